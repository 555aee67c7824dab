/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-endpoint.h. The heart is consider(): from the record, the inventory's verdict, the policy and the session it derives the one
 * next step, and does it. Everything that changes any of these calls it again; so a step that was broken off by kill -9, an
 * unplugged cable or a broker that is down is simply taken again.
 */

#include "config.h"

#include "gw-endpoint.h"

#include <string.h>

#include <gnutls/x509.h>

#include "gw-data-codec.h"
#include "gw-enrolment.h"
#include "gw-error.h"
#include "gw-telemetry.h"

/* The certificate's age is looked at this often. */
#define RENEW_LOOK_USEC (G_GINT64_CONSTANT (24 * 3600) * G_USEC_PER_SEC)

struct _GwEndpoint
{
  const GwServices *services;
  const GwEndpointListener *listener;
  gpointer listener_data;
  GwEndpointRecord *record;
  gboolean stored; /* the record is in the database: chips of no manifest never are */
  char *id;
  char *manufacturer, *model, *serial_number, *firmware, *root_of_trust, *manifest;

  GwPresence presence;
  char *bus;
  guint32 address;
  char *reason;
  char *remedy;

  GwSession *session;
  gboolean surveyed;
  gboolean told_ready;
  gboolean contradicts; /* what it said in the clear is not what it says inside the session */
  GwLinkHello hello;
  char *hello_texts[4];
  gboolean has_hello;

  /* Of the survey. */
  gboolean has_owner;
  guint8 owner[GW_SHA256_LEN];
  guint64 generation;
  guint n_slots;
  GwIdentSlot slots[GW_IDENT_SLOTS_MAX];
  GwIdentPuf puf;
  guint64 uptime_ms;
  gint64 uptime_at;

  GwEnrolment *enrolment;
  gboolean run_wanted; /* somebody waits for `settled` */
  guint8 order_slot;
  guint32 order_generation;
  GwCourier *courier;
  GwTimer retry_timer;
  gint64 retry_usec;
  GwTimer renew_timer;
};

static void consider (GwEndpoint *self);

/* ---- small things ---- */

static void
replace_string (char **where, const char *value)
{
  char *old = *where;

  *where = g_strdup (value);
  g_free (old);
}

static void
changed (GwEndpoint *self)
{
  if (self->listener != NULL)
    self->listener->changed (self, self->listener_data);
}

static void
set_reason (GwEndpoint *self, const char *reason, const char *remedy)
{
  if (g_strcmp0 (self->reason, reason) == 0 && g_strcmp0 (self->remedy, remedy) == 0)
    return;
  replace_string (&self->reason, reason);
  replace_string (&self->remedy, remedy);
  changed (self);
}

static void
save (GwEndpoint *self)
{
  if (!self->stored)
    return;
  replace_string (&self->record->reason, self->reason);
  gw_db_save_endpoint_async (self->services->writer, self->record, NULL, NULL);
}

static void
presence_event (GwEndpoint *self, GwPresenceEvent event)
{
  GwPresence next;

  if (!gw_presence_next (self->presence, event, &next) || next == self->presence)
    return;
  self->presence = next;
  changed (self);
}

/* TRUE if the event is allowed; saves when it changes something. */
static gboolean
lifecycle_event (GwEndpoint *self, GwLifecycleEvent event)
{
  GwLifecycle next;

  if (!gw_lifecycle_next (self->record->lifecycle, event, &next))
    return FALSE;
  if (next == self->record->lifecycle)
    return TRUE;
  g_message ("endpoint %.16s: %s -> %s", self->id, gw_lifecycle_to_string (self->record->lifecycle),
             gw_lifecycle_to_string (next));
  self->record->lifecycle = next;
  save (self);
  changed (self);
  return TRUE;
}

static void
settle (GwEndpoint *self, const GError *error)
{
  if (!self->run_wanted)
    return;
  self->run_wanted = FALSE;
  if (self->listener != NULL)
    self->listener->settled (self, error, self->listener_data);
}

static void G_GNUC_PRINTF (3, 4)
settle_error (GwEndpoint *self, GwError code, const char *format, ...)
{
  g_autoptr (GError) error = NULL;
  va_list args;

  va_start (args, format);
  error = g_error_new_valist (GW_ERROR, code, format, args);
  va_end (args);
  settle (self, error);
}

static void
retry_later (GwEndpoint *self)
{
  self->retry_usec = CLAMP (self->retry_usec * 2, GW_ENDPOINT_RETRY_MIN_USEC, GW_ENDPOINT_RETRY_MAX_USEC);
  gw_timer_arm (&self->retry_timer, self->retry_usec);
}

static void
on_retry (gpointer data)
{
  consider (data);
}

/* ---- the courier ---- */

static void
on_courier_online (gboolean online, const char *reason, gpointer data)
{
  GwEndpoint *self = data;

  if (online)
    {
      presence_event (self, GW_PRESENCE_EVENT_CONNECT);
      set_reason (self, "", "");
      settle (self, NULL);
      return;
    }
  presence_event (self, GW_PRESENCE_EVENT_DISCONNECT);
  if (reason != NULL && self->session != NULL)
    {
      g_autofree char *text = g_strdup_printf ("not connected to the broker: %s", reason);

      set_reason (self, text, "it is tried again by itself; look at the broker's log and at `gangwayctl policies`");
    }
  changed (self);
}

typedef struct
{
  GwEndpoint *endpoint;
  guint32 serial;
} Signature;

static void
on_signature (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autofree Signature *signature = data;
  GwEndpoint *self = signature->endpoint;
  g_autoptr (GError) bad = NULL;
  GwIdentSignRsp answer = { { NULL, 0 } };
  GwStatus status;

  if (self->courier == NULL)
    return;
  if (error == NULL && (status = gw_ident_sign_rsp_decode (body, &answer)) != GW_OK)
    {
      g_set_error (&bad, GW_ERROR, GW_ERROR_INVALID, "the endpoint's signature is damaged: %s", gw_status_text (status));
      error = bad;
    }
  gw_courier_signed (self->courier, signature->serial, answer.signature.ptr, answer.signature.len, error);
}

static void
on_courier_sign (guint32 serial, const guint8 *hash, gsize len, gpointer data)
{
  GwEndpoint *self = data;
  g_autoptr (GError) error = NULL;
  GwIdentSignReq request = { self->record->slot, self->record->generation, { hash, len } };
  Signature *signature;
  guint8 buffer[128];
  GwCborWriter body;

  if (self->session == NULL)
    {
      g_set_error_literal (&error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint is not there to sign");
      gw_courier_signed (self->courier, serial, NULL, 0, error);
      return;
    }
  signature = g_new (Signature, 1);
  signature->endpoint = self;
  signature->serial = serial;
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_sign_req_encode (&request, &body);
  gw_session_request (self->session, GW_SMP_OP_WRITE, GW_SESSION_GROUP_IDENT, GW_IDENT_SIGN, &body, GW_SMP_PATIENCE_SIGN,
                      on_signature, signature);
}

static void
on_courier_command (const GwUplinkMessage *message, gpointer data)
{
  GwEndpoint *self = data;

  if (self->listener != NULL)
    self->listener->command (self, message, self->listener_data);
}

static const GwCourierEvents courier_events = {
  .online = on_courier_online,
  .sign = on_courier_sign,
  .command = on_courier_command,
};

static void
drop_courier (GwEndpoint *self)
{
  if (self->courier == NULL)
    return;
  g_clear_pointer (&self->courier, gw_courier_free);
  presence_event (self, GW_PRESENCE_EVENT_DISCONNECT);
}

/* When two thirds of the certificate's time are over; 0 if it cannot be read. */
static gint64
certificate_renew_at (GBytes *certificate)
{
  gsize len;
  gnutls_datum_t der = { (guint8 *) g_bytes_get_data (certificate, &len), 0 };
  gnutls_x509_crt_t crt;
  gint64 at = 0;

  der.size = (guint) len;
  gnutls_x509_crt_init (&crt);
  if (gnutls_x509_crt_import (crt, &der, GNUTLS_X509_FMT_DER) == 0)
    {
      gint64 from = gnutls_x509_crt_get_activation_time (crt), to = gnutls_x509_crt_get_expiration_time (crt);

      at = (from + (to - from) / 3 * 2) * G_USEC_PER_SEC;
    }
  gnutls_x509_crt_deinit (crt);
  return at;
}

static void
connect_uplink (GwEndpoint *self, GwPolicy *policy)
{
  g_autoptr (GError) error = NULL;
  gint64 until = certificate_renew_at (self->record->certificate) - gw_loop_realtime (self->services->loop);

  if (!self->told_ready && self->listener != NULL)
    {
      self->told_ready = TRUE;
      self->listener->ready (self, self->listener_data);
    }
  gw_timer_arm (&self->renew_timer, CLAMP (until, G_USEC_PER_SEC, RENEW_LOOK_USEC));
  if (self->courier == NULL)
    {
      GwCourierOrder order = {
        .kid = self->record->kid,
        .id = self->id,
        .policy = policy,
        .vars = { self->id, self->serial_number, self->model, gw_endpoint_get_name (self) },
        .certificate = self->record->certificate,
      };

      self->courier = gw_courier_new (self->services, &order, &courier_events, self, &error);
    }
  if (self->courier == NULL)
    {
      set_reason (self, error->message, "correct the policy, then `gangwayctl policies --reload`");
      settle (self, error);
      return;
    }
  if (gw_courier_is_online (self->courier))
    presence_event (self, GW_PRESENCE_EVENT_CONNECT);
  else if (self->listener != NULL && self->run_wanted)
    self->listener->stage (self, 0.9, "connecting to the broker", self->listener_data);
  gw_courier_start (self->courier);
}

/* ---- enrolment ---- */

static void
on_enrolment_stage (double progress, const char *stage, gpointer data)
{
  GwEndpoint *self = data;

  if (self->listener != NULL && self->run_wanted)
    self->listener->stage (self, progress, stage, self->listener_data);
}

static void
on_enrolment_owned (gpointer data)
{
  GwEndpoint *self = data;

  self->has_owner = TRUE;
  memcpy (self->owner, gw_ca_get_spki_hash (self->services->ca), sizeof self->owner);
  self->record->owned = TRUE;
  memcpy (self->record->owner, self->owner, sizeof self->record->owner);
  save (self);
}

static GwIdentSlot *
find_slot (GwEndpoint *self, guint8 number)
{
  for (guint i = 0; i < self->n_slots; i++)
    if (self->slots[i].slot == number)
      return &self->slots[i];
  return NULL;
}

static void
take_certificate (GwEndpoint *self, GwIssued *issued)
{
  GwEndpointRecord *record = self->record;
  GwIdentSlot *slot;

  g_clear_pointer (&record->certificate, g_bytes_unref);
  record->certificate = g_bytes_ref (issued->certificate);
  record->not_after = issued->not_after;
  record->slot = self->order_slot;
  record->generation = self->order_generation;
  for (guint i = 0; i < sizeof record->fingerprint && issued->fingerprint[2 * i] != '\0'; i++)
    record->fingerprint[i] = (guint8) (g_ascii_xdigit_value (issued->fingerprint[2 * i]) << 4
                                       | g_ascii_xdigit_value (issued->fingerprint[2 * i + 1]));
  slot = find_slot (self, record->slot);
  if (slot == NULL && self->n_slots < GW_IDENT_SLOTS_MAX)
    slot = &self->slots[self->n_slots++];
  if (slot != NULL)
    {
      slot->slot = record->slot;
      slot->generation = record->generation;
      slot->has_certificate = TRUE;
    }
  self->generation = MAX (self->generation, record->generation);
}

static void
on_enrolment_done (GwIssued *issued, const GError *error, gpointer data)
{
  g_autoptr (GwIssued) owned = issued;
  GwEndpoint *self = data;

  self->enrolment = NULL;
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("could not be enrolled: %s", error->message);

      set_reason (self, text, "it is tried again by itself; `gangwayctl onboard` tries at once");
      settle (self, error);
      if (self->session != NULL)
        retry_later (self);
      return;
    }
  self->retry_usec = 0;
  take_certificate (self, issued);
  /* The old connection showed the old certificate. */
  drop_courier (self);
  if (!lifecycle_event (self, GW_LIFECYCLE_EVENT_ENROL))
    return;
  save (self);
  changed (self);
  consider (self);
}

static const GwEnrolmentEvents enrolment_events = {
  .stage = on_enrolment_stage,
  .owned = on_enrolment_owned,
  .done = on_enrolment_done,
};

/* Whether the endpoint is ours, or may become it now; says why not. */
static gboolean
may_own (GwEndpoint *self, const GwPolicy *policy, const GwAdmission *admission)
{
  if (self->has_owner)
    {
      if (memcmp (self->owner, gw_ca_get_spki_hash (self->services->ca), sizeof self->owner) == 0)
        return TRUE;
      set_reason (self, "it belongs to another owner", "have that owner release it, or reset it to its factory state");
      settle_error (self, GW_ERROR_NOT_TRUSTED, "%s: %s", self->reason, self->remedy);
      return FALSE;
    }
  if (policy->first_use == GW_POLICY_FIRST_USE_WINDOW && admission->adopt_until > gw_loop_realtime (self->services->loop))
    return TRUE;
  set_reason (self,
              policy->first_use == GW_POLICY_FIRST_USE_WINDOW
                  ? "it has no owner yet, and the time in which this batch takes first owners is over"
                  : "it has no owner yet, and its policy takes none on first use (FirstUse=never)",
              "approve it: `gangwayctl approve`, then power-cycle the device");
  settle_error (self, GW_ERROR_NOT_TRUSTED, "%s: %s", self->reason, self->remedy);
  return FALSE;
}

static void
enrol (GwEndpoint *self, guint8 slot, guint32 generation, const GwAdmission *admission)
{
  GwEnrolmentOrder order = {
    .take_ownership = !self->has_owner,
    .slot = slot,
    .generation = generation,
    .kid = self->id,
    .serial_number = admission != NULL && admission->serial != NULL ? admission->serial : self->serial_number,
    .policy = self->record->policy,
  };

  self->order_slot = slot;
  self->order_generation = generation;
  self->enrolment = gw_enrolment_start (self->session, self->services->ca, self->services->issuer, &order, &enrolment_events, self);
}

/* Whether the endpoint still has the key and the certificate that we know, with enough time left. */
static gboolean
has_good_certificate (GwEndpoint *self)
{
  const GwEndpointRecord *record = self->record;
  const GwIdentSlot *slot;

  if (record->certificate == NULL || !self->has_owner
      || certificate_renew_at (record->certificate) <= gw_loop_realtime (self->services->loop))
    return FALSE;
  slot = find_slot (self, record->slot);
  return slot != NULL && slot->has_certificate && slot->generation == record->generation;
}

/* ---- considering ---- */

static void
take_labels (GwEndpoint *self, const GwAdmission *admission)
{
  replace_string (&self->manifest, admission->in_manifest ? admission->manifest : "");
  if (!admission->in_manifest)
    return;
  replace_string (&self->manufacturer, admission->manufacturer);
  replace_string (&self->model, admission->model);
  replace_string (&self->serial_number, admission->serial);
  if (self->stored)
    return;
  self->stored = TRUE;
  save (self);
}

/* Keeps it out, with the reason that is set. */
static void
keep_out (GwEndpoint *self, GwError code)
{
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  gw_timer_disarm (&self->retry_timer);
  drop_courier (self);
  settle_error (self, code, "%s%s%s", self->reason, *self->remedy != '\0' ? ": " : "", self->remedy);
}

/* The inventory's word; FALSE if the endpoint stays out. */
static gboolean
admit (GwEndpoint *self, const GwAdmission *admission)
{
  if (admission->verdict == GW_ADMISSION_ADMITTED)
    {
      gboolean moved = g_strcmp0 (self->record->policy, admission->policy) != 0;

      replace_string (&self->record->policy, admission->policy);
      replace_string (&self->record->batch, admission->batch);
      if (moved)
        {
          drop_courier (self);
          save (self);
        }
      if (self->record->lifecycle == GW_LIFECYCLE_QUARANTINED)
        set_reason (self, "", "");
      return lifecycle_event (self, GW_LIFECYCLE_EVENT_ADMIT);
    }
  lifecycle_event (self, GW_LIFECYCLE_EVENT_REJECT);
  if (self->record->lifecycle == GW_LIFECYCLE_ENROLLED
      && (admission->verdict == GW_ADMISSION_NOT_CLAIMED || admission->verdict == GW_ADMISSION_NOT_IN_MANIFEST))
    return TRUE; /* its claim was withdrawn after it was enrolled: that does not end it */
  set_reason (self, admission->reason, admission->remedy);
  keep_out (self, admission->verdict == GW_ADMISSION_NOT_CLAIMED ? GW_ERROR_UNCLAIMED : GW_ERROR_NOT_TRUSTED);
  return FALSE;
}

/* States that need no look at the inventory. TRUE: it stays out. */
static gboolean
is_barred (GwEndpoint *self)
{
  switch (self->record->lifecycle)
    {
    case GW_LIFECYCLE_REVOKED:
      keep_out (self, GW_ERROR_REVOKED);
      return TRUE;
    case GW_LIFECYCLE_DECOMMISSIONED:
      keep_out (self, GW_ERROR_BAD_STATE);
      return TRUE;
    default:
      break;
    }
  if (self->record->cloned)
    {
      keep_out (self, GW_ERROR_CLONED);
      return TRUE;
    }
  if (self->record->held)
    {
      keep_out (self, GW_ERROR_BAD_STATE);
      return TRUE;
    }
  return FALSE;
}

static void
consider (GwEndpoint *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwAdmission) admission = NULL;
  GwPolicy *policy;

  if (is_barred (self))
    return;
  admission = gw_inventory_decide (self->services->inventory, self->record->kid, self->services->policies, &error);
  if (admission == NULL)
    {
      set_reason (self, error->message, "look at the journal: the inventory cannot be read");
      keep_out (self, GW_ERROR_STORAGE);
      return;
    }
  take_labels (self, admission);
  if (!admit (self, admission))
    return;
  policy = self->record->policy != NULL ? gw_policy_set_lookup (self->services->policies, self->record->policy) : NULL;
  if (policy == NULL || !gw_policy_is_valid (policy))
    {
      set_reason (self, policy == NULL ? "its policy is gone" : "its policy has mistakes", "see `gangwayctl policies`");
      keep_out (self, GW_ERROR_INVALID);
      return;
    }
  if (self->session == NULL || !self->surveyed || self->enrolment != NULL)
    return;
  if (self->contradicts)
    {
      set_reason (self, "what it says of itself in the clear is not what it says inside the proven session",
                  "look for a device on the line that answers in its place, then unplug and plug it");
      keep_out (self, GW_ERROR_NOT_TRUSTED);
      return;
    }
  if (!may_own (self, policy, admission))
    return;
  if (has_good_certificate (self) && lifecycle_event (self, GW_LIFECYCLE_EVENT_ENROL))
    connect_uplink (self, policy);
  else
    enrol (self, self->record->slot != 0 ? self->record->slot : 1, (guint32) self->generation, admission);
}

/* ---- the session ---- */

static void
on_stored (GwBytes body, gpointer data)
{
  GwEndpoint *self = data;

  if (self->courier != NULL)
    gw_courier_wake (self->courier);
  if (self->listener != NULL)
    self->listener->reported (self, body, self->listener_data);
}

static void
on_session_request (GwSession *session, const GwSmpMessage *request, gpointer data)
{
  GwEndpoint *self = data;
  gboolean admitted = gw_lifecycle_may_connect (self->record->lifecycle) && !self->record->cloned;
  guint8 answer[64];
  gsize len;

  if (gw_telemetry_take (self->services, self->record->kid, session, request, admitted, on_stored, self))
    return;
  if (gw_smp_error (request, GW_SMP_RC_NOT_SUPPORTED, answer, sizeof answer, &len) == GW_OK)
    gw_session_respond (session, answer, len);
}

static void
forget_session (GwEndpoint *self)
{
  self->surveyed = FALSE;
  self->told_ready = FALSE;
  self->uptime_at = 0;
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  gw_timer_disarm (&self->retry_timer);
  g_clear_pointer (&self->session, gw_session_unref);
}

static void
on_session_ended (GwSession *session, const GError *error, gpointer data)
{
  GwEndpoint *self = data;

  if (self->session != session)
    return;
  self->record->last_seen = gw_loop_realtime (self->services->loop);
  forget_session (self);
  save (self);
  if (self->courier != NULL)
    gw_courier_drain (self->courier);
  presence_event (self, GW_PRESENCE_EVENT_SESSION_END);
  settle (self, error);
}

static const GwSessionUser session_user = {
  .request = on_session_request,
  .ended = on_session_ended,
};

static gboolean
text_differs (GwText text, const char *other)
{
  return !gw_text_equal (text, other != NULL ? other : "");
}

/* Whether the hello in the clear tells another story than the info of the session. */
static gboolean
hello_differs (GwEndpoint *self, const GwLinkHello *info)
{
  const GwLinkHello *hello = &self->hello;

  return memcmp (hello->kid, info->kid, sizeof hello->kid) != 0 || hello->version != info->version
         || hello->security != info->security || text_differs (info->manufacturer, self->hello_texts[0])
         || text_differs (info->model, self->hello_texts[1]) || text_differs (info->serial, self->hello_texts[2])
         || text_differs (info->firmware, self->hello_texts[3]);
}

static char *
dup_text (GwText text)
{
  return g_strndup (text.ptr, text.len);
}

static void
take_survey (GwEndpoint *self, const GwIdentInfo *info)
{
  g_autofree char *firmware = dup_text (info->hello.firmware);
  g_autofree char *root_of_trust = dup_text (info->root_of_trust);

  replace_string (&self->firmware, firmware);
  replace_string (&self->root_of_trust, root_of_trust);
  if (*self->manifest == '\0')
    {
      g_autofree char *manufacturer = dup_text (info->hello.manufacturer);
      g_autofree char *model = dup_text (info->hello.model);
      g_autofree char *serial = dup_text (info->hello.serial);

      replace_string (&self->manufacturer, manufacturer);
      replace_string (&self->model, model);
      replace_string (&self->serial_number, serial);
    }
  self->has_owner = info->has_owner;
  memcpy (self->owner, info->owner, sizeof self->owner);
  self->generation = info->generation;
  self->n_slots = (guint) info->n_slots;
  memcpy (self->slots, info->slots, sizeof self->slots);
  self->puf = info->puf;
  /* The key id of the session is proven, whatever the endpoint says in it. */
  self->contradicts = memcmp (info->hello.kid, self->record->kid, sizeof self->record->kid) != 0
                      || (self->has_hello && hello_differs (self, &info->hello));
  gw_endpoint_note_uptime (self, info->uptime_ms);
  self->surveyed = TRUE;
}

static void
on_surveyed (GwSession *session, const GwIdentInfo *info, const GError *error, gpointer data)
{
  GwEndpoint *self = data;

  if (self->session != session)
    return;
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("it could not be asked what it is: %s", error->message);

      set_reason (self, text, "unplug and plug it; if it stays so, its firmware does not speak this protocol");
      settle (self, error);
      return;
    }
  take_survey (self, info);
  changed (self);
  consider (self);
}

void
gw_endpoint_adopt (GwEndpoint *self, GwSession *session, const char *bus, guint32 address, const GwLinkHello *hello)
{
  if (self->session != NULL)
    {
      gw_session_set_user (self->session, NULL, NULL);
      forget_session (self);
    }
  self->session = gw_session_ref (session);
  replace_string (&self->bus, bus);
  replace_string (&self->record->last_bus, strrchr (bus, '/') != NULL ? strrchr (bus, '/') + 1 : bus);
  self->address = address;
  self->record->last_seen = gw_loop_realtime (self->services->loop);
  self->has_hello = hello != NULL;
  if (hello != NULL)
    {
      GwText texts[] = { hello->manufacturer, hello->model, hello->serial, hello->firmware };

      self->hello = *hello;
      for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
        {
          g_free (self->hello_texts[i]);
          self->hello_texts[i] = dup_text (texts[i]);
        }
    }
  gw_session_set_user (session, &session_user, self);
  presence_event (self, GW_PRESENCE_EVENT_PROVE);
  changed (self);
  gw_session_survey (session, on_surveyed, self);
}

void
gw_endpoint_attach (GwEndpoint *self, const char *bus, guint32 address)
{
  if (self->session != NULL)
    return;
  replace_string (&self->bus, bus);
  self->address = address;
  presence_event (self, GW_PRESENCE_EVENT_ATTACH);
  changed (self);
}

void
gw_endpoint_detach (GwEndpoint *self)
{
  if (self->session != NULL)
    return;
  replace_string (&self->bus, "/");
  self->address = 0;
  presence_event (self, GW_PRESENCE_EVENT_DETACH);
  changed (self);
}

void
gw_endpoint_begin_proof (GwEndpoint *self)
{
  presence_event (self, GW_PRESENCE_EVENT_HELLO);
}

GwSession *
gw_endpoint_get_session (GwEndpoint *self)
{
  return self->session;
}

/* ---- decisions ---- */

void
gw_endpoint_set_cloned (GwEndpoint *self, const char *reason)
{
  self->record->cloned = TRUE;
  set_reason (self, reason, "find and unplug the copy, then `gangwayctl approve` the one that stays");
  save (self);
  changed (self);
  consider (self);
}

gboolean
gw_endpoint_approve (GwEndpoint *self, GError **error)
{
  if (!lifecycle_event (self, GW_LIFECYCLE_EVENT_REJECT))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_REVOKED, "the endpoint is %s, which is for good",
                   gw_lifecycle_to_string (self->record->lifecycle));
      return FALSE;
    }
  self->record->held = FALSE;
  self->record->cloned = FALSE;
  set_reason (self, "", "");
  save (self);
  changed (self);
  consider (self);
  return TRUE;
}

void
gw_endpoint_reconsider (GwEndpoint *self)
{
  consider (self);
}

gboolean
gw_endpoint_can_onboard (GwEndpoint *self, gboolean claimed, GError **error)
{
  g_autoptr (GwAdmission) admission = NULL;

  if (self->run_wanted)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_BUSY, "a job works on this endpoint already: wait for it or cancel it");
  else if (self->record->lifecycle == GW_LIFECYCLE_REVOKED)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_REVOKED, "the endpoint is revoked, which is for good: replace the device");
  else if (self->record->lifecycle == GW_LIFECYCLE_DECOMMISSIONED || self->record->held)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s%s", gw_lifecycle_to_string (self->record->lifecycle),
                 self->record->held ? " by a person: `gangwayctl approve` lets it in again" : ", which is for good");
  else if (self->record->cloned)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_CLONED,
                         "two devices have proven this key: unplug the copy, then `gangwayctl approve` the one that stays");
  else if (self->session == NULL)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_OFFLINE,
                         "the endpoint has no proven session: plug it in, it is taken on board by itself");
  else
    admission = gw_inventory_decide (self->services->inventory, self->record->kid, self->services->policies, error);
  if (admission == NULL)
    return FALSE;
  if (!admission->in_manifest)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "%s: %s", admission->reason, admission->remedy);
  else if (!admission->claimed && !claimed)
    g_set_error (error, GW_ERROR, GW_ERROR_UNCLAIMED, "%s: %s, or name a policy", admission->reason, admission->remedy);
  else
    return TRUE;
  return FALSE;
}

gboolean
gw_endpoint_onboard (GwEndpoint *self, GError **error)
{
  if (!gw_endpoint_can_onboard (self, FALSE, error))
    return FALSE;
  self->run_wanted = TRUE;
  self->retry_usec = 0;
  gw_timer_disarm (&self->retry_timer);
  consider (self);
  if (self->run_wanted && self->courier != NULL && gw_courier_is_online (self->courier))
    settle (self, NULL);
  return TRUE;
}

gboolean
gw_endpoint_renew (GwEndpoint *self, gboolean rekey, GError **error)
{
  guint8 other = self->record->slot == 1 ? 2 : 1;

  if (self->record->lifecycle != GW_LIFECYCLE_ENROLLED || is_barred (self))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s: only an enrolled one has a certificate to renew",
                   gw_endpoint_get_state (self));
      return FALSE;
    }
  if (self->session == NULL || !self->surveyed)
    {
      g_set_error_literal (error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint has no proven session: plug it in first");
      return FALSE;
    }
  if (self->run_wanted || self->enrolment != NULL)
    {
      g_set_error_literal (error, GW_ERROR, GW_ERROR_BUSY, "a job works on this endpoint already: wait for it or cancel it");
      return FALSE;
    }
  self->run_wanted = TRUE;
  enrol (self, rekey ? other : self->record->slot, self->record->generation + (rekey ? 1 : 0), NULL);
  return TRUE;
}

static void
drop_certificate (GwEndpoint *self)
{
  g_clear_pointer (&self->record->certificate, g_bytes_unref);
  memset (self->record->fingerprint, 0, sizeof self->record->fingerprint);
  self->record->not_after = 0;
}

static gboolean
decide (GwEndpoint *self, GwLifecycleEvent event, const char *reason, const char *remedy, GError **error)
{
  if (!lifecycle_event (self, event))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s: that cannot be changed any more",
                   gw_lifecycle_to_string (self->record->lifecycle));
      return FALSE;
    }
  set_reason (self, reason, remedy);
  save (self);
  changed (self);
  consider (self);
  return TRUE;
}

gboolean
gw_endpoint_quarantine (GwEndpoint *self, const char *reason, GError **error)
{
  GwLifecycle next;

  if (gw_lifecycle_next (self->record->lifecycle, GW_LIFECYCLE_EVENT_QUARANTINE, &next))
    self->record->held = TRUE;
  return decide (self, GW_LIFECYCLE_EVENT_QUARANTINE, reason, "`gangwayctl approve` lets it in again", error);
}

gboolean
gw_endpoint_revoke (GwEndpoint *self, const char *reason, GError **error)
{
  GwLifecycle next;

  if (gw_lifecycle_next (self->record->lifecycle, GW_LIFECYCLE_EVENT_REVOKE, &next))
    drop_certificate (self);
  return decide (self, GW_LIFECYCLE_EVENT_REVOKE, reason, "revoking is for good; replace the device", error);
}

gboolean
gw_endpoint_decommission (GwEndpoint *self, const char *reason, GError **error)
{
  drop_certificate (self);
  return decide (self, GW_LIFECYCLE_EVENT_DECOMMISSION, reason, "", error);
}

void
gw_endpoint_set_name (GwEndpoint *self, const char *name)
{
  replace_string (&self->record->name, name);
  save (self);
  changed (self);
}

void
gw_endpoint_cancel_run (GwEndpoint *self)
{
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  settle_error (self, GW_ERROR_CANCELLED, "cancelled; the endpoint goes on by itself at the next occasion");
}

/* ---- what it is ---- */

const GwEndpointRecord *
gw_endpoint_get_record (GwEndpoint *self)
{
  return self->record;
}

const char *
gw_endpoint_get_id (GwEndpoint *self)
{
  return self->id;
}

const char *
gw_endpoint_get_name (GwEndpoint *self)
{
  if (self->record->name != NULL)
    return self->record->name;
  return *self->serial_number != '\0' ? self->serial_number : self->id;
}

void
gw_endpoint_get_labels (GwEndpoint *self, GwEndpointLabels *labels)
{
  labels->manufacturer = self->manufacturer;
  labels->model = self->model;
  labels->serial_number = self->serial_number;
  labels->firmware = self->firmware;
  labels->root_of_trust = self->root_of_trust;
  labels->manifest = self->manifest;
}

GwPresence
gw_endpoint_get_presence (GwEndpoint *self)
{
  return self->presence;
}

const char *
gw_endpoint_get_state (GwEndpoint *self)
{
  return gw_state_to_string (self->record->lifecycle, self->presence, self->record->cloned);
}

const char *
gw_endpoint_get_reason (GwEndpoint *self)
{
  return self->reason;
}

const char *
gw_endpoint_get_remedy (GwEndpoint *self)
{
  return self->remedy;
}

const char *
gw_endpoint_get_bus (GwEndpoint *self)
{
  return self->bus;
}

guint32
gw_endpoint_get_address (GwEndpoint *self)
{
  return self->address;
}

const GwIdentPuf *
gw_endpoint_get_puf (GwEndpoint *self)
{
  return &self->puf;
}

GwCourier *
gw_endpoint_get_courier (GwEndpoint *self)
{
  return self->courier;
}

const GwServices *
gw_endpoint_get_services (GwEndpoint *self)
{
  return self->services;
}

guint64
gw_endpoint_get_uptime (GwEndpoint *self)
{
  if (self->uptime_at == 0)
    return 0;
  return self->uptime_ms + (guint64) ((gw_loop_now (self->services->loop) - self->uptime_at) / 1000);
}

void
gw_endpoint_note_uptime (GwEndpoint *self, guint64 uptime_ms)
{
  self->uptime_ms = uptime_ms;
  self->uptime_at = gw_loop_now (self->services->loop);
}

void
gw_endpoint_set_listener (GwEndpoint *self, const GwEndpointListener *listener, gpointer data)
{
  self->listener = listener;
  self->listener_data = data;
}

GwEndpoint *
gw_endpoint_new (const GwServices *services, GwEndpointRecord *record)
{
  GwEndpoint *self = g_new0 (GwEndpoint, 1);

  self->services = services;
  self->record = record;
  self->id = gw_key_id_to_string (record->kid);
  self->manufacturer = g_strdup ("");
  self->model = g_strdup ("");
  self->serial_number = g_strdup ("");
  self->firmware = g_strdup ("");
  self->root_of_trust = g_strdup ("");
  self->manifest = g_strdup ("");
  self->bus = g_strdup ("/");
  self->reason = g_strdup (record->reason != NULL ? record->reason : "");
  self->remedy = g_strdup ("");
  self->stored = record->first_seen != 0;
  if (record->first_seen == 0)
    record->first_seen = gw_loop_realtime (services->loop);
  gw_timer_init (&self->retry_timer, services->loop, on_retry, self);
  gw_timer_init (&self->renew_timer, services->loop, on_retry, self);
  return self;
}

void
gw_endpoint_free (GwEndpoint *self)
{
  self->listener = NULL;
  if (self->session != NULL)
    {
      gw_session_set_user (self->session, NULL, NULL);
      forget_session (self);
    }
  g_clear_pointer (&self->courier, gw_courier_free);
  gw_timer_disarm (&self->retry_timer);
  gw_timer_disarm (&self->renew_timer);
  gw_endpoint_record_free (self->record);
  for (guint i = 0; i < G_N_ELEMENTS (self->hello_texts); i++)
    g_free (self->hello_texts[i]);
  g_free (self->manufacturer);
  g_free (self->model);
  g_free (self->serial_number);
  g_free (self->firmware);
  g_free (self->root_of_trust);
  g_free (self->manifest);
  g_free (self->bus);
  g_free (self->reason);
  g_free (self->remedy);
  g_free (self->id);
  g_free (self);
}
