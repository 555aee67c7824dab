/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-enrolment.h. The run is reference counted: each request and the issuer's task hold one reference, so that an answer after
 * gw_enrolment_cancel() finds memory, sees that it is over and does nothing.
 */

#include "config.h"

#include "gw-enrolment.h"

#include <string.h>

#include <gnutls/crypto.h>

#include "gw-csr-check.h"
#include "gw-error.h"

/* Room in a message for everything of a chunk but its octets. */
#define CHUNK_OVERHEAD 96

/* An object on its way to the endpoint. */
typedef struct
{
  GBytes *octets;
  guint8 sha[GW_SHA256_LEN];
  guint32 off;
  guint32 furthest; /* that it ever was: who goes to and fro comes no further */
  guint stalls;     /* answers in a row that brought us no further */
} Outgoing;

#define STALLS_MAX 8

struct _GwEnrolment
{
  GwSession *session;
  GwCa *ca;
  GwIssuer *issuer;
  const GwEnrolmentEvents *events;
  gpointer data;
  gboolean over;
  gboolean too_late;
  GCancellable *cancellable;

  gboolean take_ownership;
  guint8 slot;
  guint32 generation;
  gboolean has_slot_kid;
  guint8 slot_kid[GW_KEY_ID_LEN];
  char *kid;
  char *serial_number;
  char *policy;

  Outgoing out;
  GByteArray *csr;
  GwIssued *issued;
};

static void send_anchor_part (GwEnrolment *self);
static void ask_csr (GwEnrolment *self);
static void send_certificate_part (GwEnrolment *self);

static void
enrolment_clear (GwEnrolment *self)
{
  gw_session_unref (self->session);
  g_clear_object (&self->cancellable);
  g_clear_pointer (&self->out.octets, g_bytes_unref);
  g_clear_pointer (&self->csr, g_byte_array_unref);
  g_clear_pointer (&self->issued, gw_issued_free);
  g_free (self->kid);
  g_free (self->serial_number);
  g_free (self->policy);
}

static GwEnrolment *
enrolment_ref (GwEnrolment *self)
{
  return g_rc_box_acquire (self);
}

static void
enrolment_unref (GwEnrolment *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) enrolment_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwEnrolment, enrolment_unref)

/* The end: the starter's reference goes. */
static void
finish (GwEnrolment *self, const GError *error)
{
  g_autoptr (GwEnrolment) owned = self;

  if (self->over)
    {
      g_steal_pointer (&owned);
      return;
    }
  self->over = TRUE;
  self->events->done (error == NULL ? g_steal_pointer (&self->issued) : NULL, error, self->data);
}

static void
finish_status (GwEnrolment *self, const char *what, GwStatus status)
{
  g_autoptr (GError) error
      = g_error_new (GW_ERROR, GW_ERROR_INVALID, "the endpoint's answer to %s is damaged: %s", what, gw_status_text (status));

  finish (self, error);
}

/* Whether an answer is worth reading: the enrolment is not over, and the answer is one. */
static gboolean
goes_on (GwEnrolment *self, const GError *error)
{
  if (!self->over && error != NULL)
    finish (self, error);
  return !self->over;
}

/* One request to the endpoint; it holds a reference until @answered has been called. */
static void
ask (GwEnrolment *self, guint8 command, const GwCborWriter *body, GwSmpAnswer answered)
{
  gw_session_request (self->session, GW_SMP_OP_WRITE, GW_SESSION_GROUP_IDENT, command, body, GW_SMP_PATIENCE_NORMAL, answered,
                      enrolment_ref (self));
}

static void
load_outgoing (GwEnrolment *self, GBytes *octets)
{
  gsize len;
  gconstpointer data = g_bytes_get_data (octets, &len);

  g_clear_pointer (&self->out.octets, g_bytes_unref);
  self->out.octets = g_bytes_ref (octets);
  self->out.off = self->out.furthest = 0;
  self->out.stalls = 0;
  gnutls_hash_fast (GNUTLS_DIG_SHA256, data, len, self->out.sha);
}

static void
next_part (GwEnrolment *self, GwIdentPart *part)
{
  gsize len, chunk = gw_session_get_message_max (self->session) - CHUNK_OVERHEAD;
  const guint8 *octets = g_bytes_get_data (self->out.octets, &len);

  memset (part, 0, sizeof *part);
  part->off = self->out.off;
  part->data = (GwBytes) { octets + part->off, MIN (chunk, len - part->off) };
  if (part->off > 0)
    return;
  part->has_len = TRUE;
  part->len = (guint32) len;
  part->has_sha = TRUE;
  memcpy (part->sha, self->out.sha, sizeof part->sha);
}

/* The endpoint says where to go on. 1: the object is there as a whole; 0: go on; -1: the run has ended. */
static int
take_offset (GwEnrolment *self, const char *what, GwBytes body)
{
  g_autoptr (GError) error = NULL;
  GwIdentOffset answer;
  GwStatus status = gw_ident_offset_decode (body, &answer);

  if (status != GW_OK || answer.off > g_bytes_get_size (self->out.octets))
    {
      finish_status (self, what, status != GW_OK ? status : GW_E_RANGE);
      return -1;
    }
  self->out.stalls = answer.off > self->out.furthest ? 0 : self->out.stalls + 1;
  self->out.furthest = MAX (self->out.furthest, answer.off);
  self->out.off = answer.off;
  if (self->out.stalls > STALLS_MAX)
    {
      g_set_error (&error, GW_ERROR, GW_ERROR_FAILED, "the endpoint takes no more of %s at octet %u", what, answer.off);
      finish (self, error);
      return -1;
    }
  return answer.off == g_bytes_get_size (self->out.octets);
}

/* ---- certificate to the endpoint ---- */

static void
on_certificate_part (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;
  int done;

  if (!goes_on (self, error))
    return;
  done = take_offset (self, "its certificate", body);
  if (done == 0)
    send_certificate_part (self);
  else if (done > 0)
    finish (self, NULL);
}

static void
send_certificate_part (GwEnrolment *self)
{
  guint8 buffer[GW_CHANNEL_DATAGRAM_MAX];
  GwIdentCertPut put = { .slot = self->slot };
  GwCborWriter body;

  next_part (self, &put.part);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_cert_put_encode (&put, &body);
  ask (self, GW_IDENT_CERT_PUT, &body, on_certificate_part);
}

static void
on_issued (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GwIssued) issued = gw_issuer_issue_finish (self->issuer, result, &error);

  if (self->over)
    return;
  if (issued == NULL)
    {
      finish (self, error);
      return;
    }
  self->issued = g_steal_pointer (&issued);
  self->events->stage (0.8, "giving the endpoint its certificate", self->data);
  load_outgoing (self, self->issued->certificate);
  send_certificate_part (self);
}

/* ---- signing request from the endpoint ---- */

static void
issue (GwEnrolment *self)
{
  g_autoptr (GBytes) csr = g_bytes_new (self->csr->data, self->csr->len);
  g_autoptr (GError) error = NULL;
  GwIssueRequest request = { self->kid, self->serial_number, self->policy };
  GwCsrKey key;

  if (!gw_csr_check_full (csr, gw_session_get_binding (self->session), gw_session_get_key_id (self->session), &key, &error))
    {
      finish (self, error);
      return;
    }
  if (self->has_slot_kid && memcmp (self->slot_kid, key.key_id, sizeof self->slot_kid) != 0)
    {
      error = g_error_new (GW_ERROR, GW_ERROR_NOT_TRUSTED,
                           "The endpoint's certificate request is over another key than it says slot %u holds; it gets no certificate",
                           self->slot);
      finish (self, error);
      return;
    }
  self->events->stage (0.6, "having the certificate issued", self->data);
  gw_issuer_issue_async (self->issuer, csr, &request, self->cancellable, on_issued, enrolment_ref (self));
}

static void
on_csr (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;
  GwIdentChunk chunk;
  GwStatus status;

  if (!goes_on (self, error))
    return;
  status = gw_ident_csr_rsp_decode (body, &chunk);
  if (status == GW_OK && (chunk.off != self->csr->len || chunk.len > GW_CSR_MAX || chunk.data.len == 0))
    status = GW_E_RANGE;
  if (status != GW_OK)
    {
      finish_status (self, "the request for its certificate", status);
      return;
    }
  g_byte_array_append (self->csr, chunk.data.ptr, (guint) chunk.data.len);
  if (self->csr->len < chunk.len)
    ask_csr (self);
  else
    issue (self);
}

static void
ask_csr (GwEnrolment *self)
{
  guint8 buffer[64];
  GwIdentCsrReq request = { self->slot, self->generation, self->csr->len };
  GwCborWriter body;

  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_csr_req_encode (&request, &body);
  ask (self, GW_IDENT_CSR, &body, on_csr);
}

/* ---- ownership ---- */

static void
on_own (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;
  g_autoptr (GError) too_late = NULL;
  GwIdentOwnRsp answer;
  GwStatus status;

  if (error != NULL && result != NULL && !result->in_group && result->rc == GW_SMP_RC_ACCESS_DENIED)
    {
      self->too_late = TRUE;
      too_late = g_error_new (GW_ERROR, GW_ERROR_BAD_STATE,
                              "it has no owner and takes one within %u minutes of its power-up only, which are over",
                              GW_IDENT_FIRST_OWNER_S / 60);
      error = too_late;
    }
  if (!goes_on (self, error))
    return;
  status = gw_ident_own_rsp_decode (body, &answer);
  if (status != GW_OK || answer.state != GW_LINK_STATE_OWNED)
    {
      finish_status (self, "taking ownership", status != GW_OK ? status : GW_E_STATE);
      return;
    }
  self->events->owned (self->data);
  if (self->over)
    return;
  self->events->stage (0.4, "asking the endpoint for its signing request", self->data);
  ask_csr (self);
}

gboolean
gw_enrolment_is_too_late (GwEnrolment *self)
{
  return self->too_late;
}

static void
send_own (GwEnrolment *self)
{
  guint8 buffer[64];
  GwIdentOwnReq request = { .mode = GW_IDENT_OWN_FIRST_USE };
  GwCborWriter body;

  memcpy (request.sha, self->out.sha, sizeof request.sha);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_own_req_encode (&request, &body);
  ask (self, GW_IDENT_OWN, &body, on_own);
}

static void
on_anchor_part (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;
  int done;

  if (!goes_on (self, error))
    return;
  done = take_offset (self, "its owner's certificate", body);
  if (done == 0)
    send_anchor_part (self);
  else if (done > 0)
    send_own (self);
}

static void
send_anchor_part (GwEnrolment *self)
{
  guint8 buffer[GW_CHANNEL_DATAGRAM_MAX];
  GwIdentAnchor anchor = { .kind = GW_IDENT_ANCHOR_OWNER_CA };
  GwCborWriter body;

  next_part (self, &anchor.part);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_anchor_encode (&anchor, &body);
  ask (self, GW_IDENT_ANCHOR, &body, on_anchor_part);
}

static void
on_turn (GwSession *session, gpointer data)
{
  g_autoptr (GwEnrolment) self = data;

  if (self->over)
    return;
  if (self->take_ownership)
    {
      self->events->stage (0.2, "becoming the endpoint's owner", self->data);
      load_outgoing (self, gw_ca_get_certificate (self->ca));
      send_anchor_part (self);
    }
  else
    {
      self->events->stage (0.4, "asking the endpoint for its signing request", self->data);
      ask_csr (self);
    }
}

GwEnrolment *
gw_enrolment_start (GwSession *session,
                    GwCa *ca,
                    GwIssuer *issuer,
                    const GwEnrolmentOrder *order,
                    const GwEnrolmentEvents *events,
                    gpointer data)
{
  GwEnrolment *self = g_rc_box_new0 (GwEnrolment);

  self->session = gw_session_ref (session);
  self->ca = ca;
  self->issuer = issuer;
  self->events = events;
  self->data = data;
  self->cancellable = g_cancellable_new ();
  self->take_ownership = order->take_ownership;
  self->slot = order->slot;
  self->generation = order->generation;
  self->has_slot_kid = order->slot_kid != NULL;
  if (self->has_slot_kid)
    memcpy (self->slot_kid, order->slot_kid, sizeof self->slot_kid);
  self->kid = g_strdup (order->kid);
  self->serial_number = g_strdup (order->serial_number);
  self->policy = g_strdup (order->policy);
  self->csr = g_byte_array_new ();
  /* Where a whole bus was claimed at once, all its endpoints come here together. */
  events->stage (0.1, "waiting for its turn on the bus", data);
  gw_session_await_turn (session, on_turn, enrolment_ref (self));
  return self;
}

void
gw_enrolment_cancel (GwEnrolment *self)
{
  g_autoptr (GwEnrolment) owned = self;

  self->over = TRUE;
  g_cancellable_cancel (self->cancellable);
}
