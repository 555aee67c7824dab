/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-onboarding.h. The heart is gw_onboarding_consider(). Runs that are under way belong to the endpoint (enrolment, courier) and are
 * cancelled by it; their callbacks come back here.
 */

#include "config.h"

#include "gw-onboarding.h"

#include <string.h>

#include <gnutls/x509.h>

#include "gw-endpoint-private.h"
#include "gw-enrolment.h"
#include "gw-error.h"
#include "gw-event.h"

/* The certificate's age is looked at this often. */
#define RENEW_LOOK_USEC (G_GINT64_CONSTANT (24 * 3600) * G_USEC_PER_SEC)

void
gw_onboarding_retry_later (GwEndpoint *self)
{
  self->retry_usec = CLAMP (self->retry_usec * 2, GW_ENDPOINT_RETRY_MIN_USEC, GW_ENDPOINT_RETRY_MAX_USEC);
  gw_timer_arm (&self->retry_timer, self->retry_usec);
}

void
gw_onboarding_retry (gpointer data)
{
  gw_onboarding_consider (data);
}

/* ---- the courier ---- */

static void
announce_uplink (GwEndpoint *self, gboolean online, const char *reason)
{
  const char *bus = self->record->last_bus;

  /* Without a reason, or without the endpoint, it ended as it should. */
  if (!online && (reason == NULL || self->session == NULL))
    return;
  if (!gw_event_connection_changed (&self->told, online, gw_loop_now (self->services->loop)))
    return;
  if (online)
    gw_event (GW_EVENT_UPLINK_ONLINE, self->id, bus, "endpoint %.16s is connected to its broker", self->id);
  else
    gw_event (GW_EVENT_UPLINK_LOST, self->id, bus, "endpoint %.16s has no connection to its broker: %s%s", self->id, reason,
              gw_event_connection_note (&self->told));
}

static void
on_courier_online (gboolean online, const char *reason, gpointer data)
{
  GwEndpoint *self = data;

  announce_uplink (self, online, reason);
  if (online)
    {
      gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_CONNECT);
      gw_endpoint_set_reason (self, reason != NULL ? reason : "",
                              reason != NULL ? "its reports are kept and tried again; look at the broker's log and access list" : "");
      gw_endpoint_settle (self, NULL);
      return;
    }
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_DISCONNECT);
  if (reason != NULL && self->session != NULL)
    {
      g_autofree char *text = g_strdup_printf ("not connected to the broker: %s", reason);

      gw_endpoint_set_reason (self, text, "it is tried again by itself; look at the broker's log and at `gangwayctl policies`");
      /* Whoever waits hears it now: how long it takes to put right nobody knows. */
      gw_endpoint_settle_error (self, GW_ERROR_OFFLINE, "%s: %s", self->reason, self->remedy);
    }
  gw_endpoint_changed (self);
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

static void
on_courier_delivered (gpointer data)
{
  gw_endpoint_counted (data);
}

static const GwCourierEvents courier_events = {
  .online = on_courier_online,
  .sign = on_courier_sign,
  .command = on_courier_command,
  .delivered = on_courier_delivered,
};

void
gw_onboarding_drop_courier (GwEndpoint *self)
{
  if (self->courier == NULL)
    return;
  g_clear_pointer (&self->courier, gw_courier_free);
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_DISCONNECT);
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
  GwCourierOrder order = {
    .kid = self->record->kid,
    .id = self->id,
    .policy = policy,
    .vars = { self->id, self->serial_number, self->model, gw_endpoint_get_name (self) },
    .certificate = self->record->certificate,
  };

  if (!self->told_ready && self->listener != NULL)
    {
      self->told_ready = TRUE;
      self->listener->ready (self, self->listener_data);
    }
  gw_timer_arm (&self->renew_timer, CLAMP (until, G_USEC_PER_SEC, RENEW_LOOK_USEC));
  /* The policy, a name that stands in a topic, or the certificate may have changed. */
  if (self->courier != NULL && !gw_courier_fits (self->courier, &order))
    gw_onboarding_drop_courier (self);
  if (self->courier == NULL)
    self->courier = gw_courier_new (self->services, &order, &courier_events, self, &error);
  if (self->courier == NULL)
    {
      gw_endpoint_set_reason (self, error->message, "correct the policy, then `gangwayctl reload`");
      gw_endpoint_settle (self, error);
      return;
    }
  if (gw_courier_is_online (self->courier))
    gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_CONNECT);
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

  gw_event (GW_EVENT_CREDENTIAL_OWNED, self->id, self->record->last_bus, "endpoint %.16s has taken this gateway as its owner",
            self->id);
  self->has_owner = TRUE;
  memcpy (self->owner, gw_ca_get_spki_hash (self->services->ca), sizeof self->owner);
  self->record->owned = TRUE;
  memcpy (self->record->owner, self->owner, sizeof self->record->owner);
  gw_endpoint_save (self);
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
      memset (slot->kid, 0, sizeof slot->kid); /* told at the next survey */
    }
  self->generation = MAX (self->generation, record->generation);
}

static void
announce_certificate (GwEndpoint *self, const GwIssued *issued)
{
  g_autoptr (GDateTime) end = g_date_time_new_from_unix_utc (issued->not_after / G_USEC_PER_SEC);
  g_autofree char *until = end != NULL ? g_date_time_format_iso8601 (end) : g_strdup ("?");

  gw_event (GW_EVENT_CREDENTIAL_ISSUED, self->id, self->record->last_bus,
            "endpoint %.16s has got a certificate for its key of generation %u until %s, SHA-256 %s", self->id, self->record->generation,
            until, issued->fingerprint);
}

static void
on_enrolment_done (GwIssued *issued, const GError *error, gpointer data)
{
  g_autoptr (GwIssued) owned = issued;
  GwEndpoint *self = data;
  gboolean too_late = gw_enrolment_is_too_late (self->enrolment);

  self->enrolment = NULL;
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("could not be enrolled: %s", error->message);

      if (g_strcmp0 (self->reason, text) != 0)
        gw_event (GW_EVENT_CREDENTIAL_FAILED, self->id, self->record->last_bus, "endpoint %.16s %s", self->id, text);
      gw_endpoint_set_reason (self, text,
                              too_late ? "power-cycle it, or press its owner's button: it is tried again by itself then"
                                       : "it is tried again by itself; `gangwayctl onboard` tries at once");
      if (too_late)
        gw_endpoint_settle_error (self, GW_ERROR_BAD_STATE, "%s: %s", self->reason, self->remedy);
      else
        gw_endpoint_settle (self, error);
      if (self->session != NULL)
        gw_onboarding_retry_later (self);
      return;
    }
  self->retry_usec = 0;
  take_certificate (self, issued);
  announce_certificate (self, issued);
  /* The old connection showed the old certificate. */
  gw_onboarding_drop_courier (self);
  if (!gw_endpoint_lifecycle_event (self, GW_LIFECYCLE_EVENT_ENROL))
    return;
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self);
}

static const GwEnrolmentEvents enrolment_events = {
  .stage = on_enrolment_stage,
  .owned = on_enrolment_owned,
  .done = on_enrolment_done,
};

gboolean
gw_onboarding_is_ours (GwEndpoint *self)
{
  return self->has_owner && !self->contradicts
         && memcmp (self->owner, gw_ca_get_spki_hash (self->services->ca), sizeof self->owner) == 0;
}

/* Whether the endpoint is ours, or may become it now; says why not. */
static gboolean
may_own (GwEndpoint *self, const GwPolicy *policy, const GwAdmission *admission)
{
  if (self->has_owner)
    {
      if (memcmp (self->owner, gw_ca_get_spki_hash (self->services->ca), sizeof self->owner) == 0)
        return TRUE;
      gw_endpoint_set_reason (self, "it belongs to another owner", "have that owner release it, or reset it to its factory state");
      gw_endpoint_settle_error (self, GW_ERROR_NOT_TRUSTED, "%s: %s", self->reason, self->remedy);
      return FALSE;
    }
  if (policy->first_use == GW_POLICY_FIRST_USE_WINDOW && admission->adopt_until > gw_loop_realtime (self->services->loop))
    return TRUE;
  gw_endpoint_set_reason (self,
              policy->first_use == GW_POLICY_FIRST_USE_WINDOW
                  ? "it has no owner yet, and the time in which this batch takes first owners is over"
                  : "it has no owner yet, and its policy takes none on first use (FirstUse=never)",
              policy->first_use == GW_POLICY_FIRST_USE_WINDOW
                  ? "approve it: `gangwayctl approve` opens that time again for this one"
                  : "set FirstUse=window in the policy and `gangwayctl reload`, or take a device that has its owner");
  gw_endpoint_settle_error (self, GW_ERROR_NOT_TRUSTED, "%s: %s", self->reason, self->remedy);
  return FALSE;
}

/* The key that the endpoint says is in that slot, NULL while it has not said it. */
static const guint8 *
told_key (GwEndpoint *self, guint8 number, guint32 generation)
{
  static const guint8 untold[GW_KEY_ID_LEN];
  const GwIdentSlot *slot = find_slot (self, number);

  if (slot == NULL || !slot->has_certificate || slot->generation != generation || memcmp (slot->kid, untold, sizeof untold) == 0)
    return NULL;
  return slot->kid;
}

void
gw_onboarding_enrol (GwEndpoint *self, guint8 slot, guint32 generation, const GwAdmission *admission)
{
  GwEnrolmentOrder order = {
    .take_ownership = !self->has_owner,
    .slot = slot,
    .generation = generation,
    .slot_kid = told_key (self, slot, generation),
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
  gw_endpoint_replace_string (&self->manifest, admission->in_manifest ? admission->manifest : "");
  if (!admission->in_manifest)
    return;
  gw_endpoint_replace_string (&self->manufacturer, admission->manufacturer);
  gw_endpoint_replace_string (&self->model, admission->model);
  gw_endpoint_replace_string (&self->serial_number, admission->serial);
  if (self->stored)
    return;
  self->stored = TRUE;
  gw_endpoint_save (self);
}

/* Keeps it out, with the reason that is set. */
static void
keep_out (GwEndpoint *self, GwError code)
{
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  gw_timer_disarm (&self->retry_timer);
  gw_onboarding_drop_courier (self);
  gw_endpoint_settle_error (self, code, "%s%s%s", self->reason, *self->remedy != '\0' ? ": " : "", self->remedy);
}

static GwError
verdict_error (GwAdmissionVerdict verdict)
{
  switch (verdict)
    {
    case GW_ADMISSION_NOT_CLAIMED:
      return GW_ERROR_UNCLAIMED;
    case GW_ADMISSION_POLICY_MISSING:
      return GW_ERROR_NOT_FOUND;
    case GW_ADMISSION_POLICY_INVALID:
      return GW_ERROR_INVALID;
    case GW_ADMISSION_ADMITTED:
    case GW_ADMISSION_NOT_IN_MANIFEST:
    default:
      return GW_ERROR_NOT_TRUSTED;
    }
}

/* What claims it now. An enrolled endpoint whose claim was withdrawn keeps its policy: it lives on by it. */
static void
take_claim (GwEndpoint *self, const GwAdmission *admission)
{
  GwEndpointRecord *record = self->record;
  const char *policy = admission->policy;

  if (policy == NULL && record->lifecycle == GW_LIFECYCLE_ENROLLED)
    policy = record->policy;
  if (g_strcmp0 (record->policy, policy) == 0 && g_strcmp0 (record->batch, admission->batch) == 0)
    return;
  gw_endpoint_replace_string (&record->policy, policy);
  gw_endpoint_replace_string (&record->batch, admission->batch);
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
}

/* The inventory's word; FALSE if the endpoint stays out. */
static gboolean
admit (GwEndpoint *self, const GwAdmission *admission)
{
  if (admission->verdict == GW_ADMISSION_ADMITTED)
    {
      take_claim (self, admission);
      /* Whatever kept it out is over; what hinders it on its way it will say. */
      if (self->courier == NULL && self->enrolment == NULL && !gw_timer_is_armed (&self->retry_timer))
        gw_endpoint_set_reason (self, "", "");
      return gw_endpoint_lifecycle_event (self, GW_LIFECYCLE_EVENT_ADMIT);
    }
  if (self->record->lifecycle != GW_LIFECYCLE_ENROLLED)
    gw_endpoint_set_reason (self, admission->reason, admission->remedy);
  gw_endpoint_lifecycle_event (self, GW_LIFECYCLE_EVENT_REJECT);
  take_claim (self, admission);
  if (self->record->lifecycle == GW_LIFECYCLE_ENROLLED
      && (admission->verdict == GW_ADMISSION_NOT_CLAIMED || admission->verdict == GW_ADMISSION_NOT_IN_MANIFEST))
    return TRUE; /* its claim was withdrawn after it was enrolled: that does not end it */
  gw_endpoint_set_reason (self, admission->reason, admission->remedy);
  keep_out (self, verdict_error (admission->verdict));
  return FALSE;
}

/* The remedies are not stored with the reason: after a restart they are found again. */
static gboolean
bar (GwEndpoint *self, GwError code, const char *reason, const char *remedy)
{
  gw_endpoint_set_reason (self, *self->reason != '\0' ? self->reason : reason, remedy);
  keep_out (self, code);
  return TRUE;
}

/* States that need no look at the inventory. TRUE: it stays out. */
static gboolean
is_barred (GwEndpoint *self)
{
  if (self->record->lifecycle == GW_LIFECYCLE_REVOKED)
    return bar (self, GW_ERROR_REVOKED, "it is revoked", "revoking is for good; replace the device");
  if (self->record->lifecycle == GW_LIFECYCLE_DECOMMISSIONED)
    return bar (self, GW_ERROR_BAD_STATE, "it is decommissioned", "");
  if (self->record->cloned)
    return bar (self, GW_ERROR_CLONED, "two living devices have proven the same key: one is a copy",
                "find and unplug the copy, then `gangwayctl approve` the one that stays");
  if (self->record->held)
    return bar (self, GW_ERROR_BAD_STATE, "somebody has quarantined it", "`gangwayctl approve` lets it in again");
  return FALSE;
}

void
gw_onboarding_consider (GwEndpoint *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwAdmission) admission = NULL;
  GwPolicy *policy;

  if (is_barred (self))
    return;
  admission = gw_inventory_decide (self->services->inventory, self->record->kid, self->services->policies, &error);
  if (admission == NULL)
    {
      gw_endpoint_set_reason (self, error->message, "look at the journal: the inventory cannot be read");
      keep_out (self, GW_ERROR_STORAGE);
      return;
    }
  take_labels (self, admission);
  if (!admit (self, admission))
    return;
  policy = self->record->policy != NULL ? gw_policy_set_lookup (self->services->policies, self->record->policy) : NULL;
  if (policy == NULL || !gw_policy_is_valid (policy))
    {
      gw_endpoint_set_reason (self, policy == NULL ? "its policy is gone" : "its policy has mistakes", "see `gangwayctl policies`");
      keep_out (self, GW_ERROR_INVALID);
      return;
    }
  if (self->session == NULL || self->enrolment != NULL)
    return;
  if (!self->surveyed)
    {
      if (!gw_timer_is_armed (&self->retry_timer))
        gw_endpoint_survey (self);
      return;
    }
  if (self->contradicts)
    {
      gw_event (GW_EVENT_ENDPOINT_CONTRADICTS, self->id, self->record->last_bus,
                "endpoint %.16s: what was said in the clear is not what it says inside its session", self->id);
      gw_endpoint_set_reason (self, "what it says of itself in the clear is not what it says inside the proven session",
                  "look for a device on the line that answers in its place, then unplug and plug it");
      keep_out (self, GW_ERROR_NOT_TRUSTED);
      return;
    }
  /* The endpoint's counter only ever rises, whatever is reset or wiped. */
  if (self->generation < self->record->generation)
    {
      g_autofree char *text
          = g_strdup_printf ("its key generation fell from %u to %" G_GUINT64_FORMAT ": its flash was rolled back, or it is a copy",
                             self->record->generation, self->generation);

      gw_event (GW_EVENT_ENDPOINT_CONTRADICTS, self->id, self->record->last_bus, "endpoint %.16s: %s", self->id, text);
      gw_endpoint_set_reason (self, text, "find out who had it; a rolled back device must be replaced");
      keep_out (self, GW_ERROR_NOT_TRUSTED);
      return;
    }
  if (!may_own (self, policy, admission))
    return;
  if (has_good_certificate (self) && gw_endpoint_lifecycle_event (self, GW_LIFECYCLE_EVENT_ENROL))
    connect_uplink (self, policy);
  else
    gw_onboarding_enrol (self, self->record->slot != 0 ? self->record->slot : 1, (guint32) self->generation, admission);
}
