/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-endpoint.h. This file holds what an endpoint is and what happens to it: its session, what it says of itself, what people
 * decide. What follows from that is gw-onboarding's.
 */

#include "config.h"

#include "gw-endpoint.h"

#include <string.h>

#include "gw-data-codec.h"
#include "gw-endpoint-private.h"
#include "gw-error.h"
#include "gw-event.h"
#include "gw-onboarding.h"
#include "gw-telemetry.h"

/* ---- small things ---- */

void
gw_endpoint_replace_string (char **where, const char *value)
{
  char *old = *where;

  *where = g_strdup (value);
  g_free (old);
}

void
gw_endpoint_changed (GwEndpoint *self)
{
  if (self->listener != NULL)
    self->listener->changed (self, self->listener_data);
}

void
gw_endpoint_counted (GwEndpoint *self)
{
  if (self->listener != NULL)
    self->listener->counted (self, self->listener_data);
}

void
gw_endpoint_set_reason (GwEndpoint *self, const char *reason, const char *remedy)
{
  if (g_strcmp0 (self->reason, reason) == 0 && g_strcmp0 (self->remedy, remedy) == 0)
    return;
  gw_endpoint_replace_string (&self->reason, reason);
  gw_endpoint_replace_string (&self->remedy, remedy);
  gw_endpoint_changed (self);
}

void
gw_endpoint_save (GwEndpoint *self)
{
  if (!self->stored)
    return;
  gw_endpoint_replace_string (&self->record->reason, self->reason);
  gw_db_save_endpoint_async (self->services->writer, self->record, NULL, NULL);
}

void
gw_endpoint_presence_event (GwEndpoint *self, GwPresenceEvent event)
{
  GwPresence next;

  if (!gw_presence_next (self->presence, event, &next) || next == self->presence)
    return;
  self->presence = next;
  gw_endpoint_changed (self);
}

/* The journal's line for each state that is stored. */
static void
announce (GwEndpoint *self, GwLifecycle next)
{
  static const GwEvent events[GW_LIFECYCLE_COUNT] = {
    [GW_LIFECYCLE_QUARANTINED] = GW_EVENT_ENDPOINT_QUARANTINED,
    [GW_LIFECYCLE_VERIFIED] = GW_EVENT_ENDPOINT_ADMITTED,
    [GW_LIFECYCLE_ENROLLED] = GW_EVENT_ENDPOINT_ENROLLED,
    [GW_LIFECYCLE_REVOKED] = GW_EVENT_ENDPOINT_REVOKED,
    [GW_LIFECYCLE_RELEASED] = GW_EVENT_ENDPOINT_RELEASED,
    [GW_LIFECYCLE_DECOMMISSIONED] = GW_EVENT_ENDPOINT_DECOMMISSIONED,
  };
  gboolean why = next != GW_LIFECYCLE_VERIFIED && next != GW_LIFECYCLE_ENROLLED && *self->reason != '\0';

  gw_event (events[next], self->id, NULL, "endpoint %.16s: %s -> %s%s%s", self->id,
            gw_lifecycle_to_string (self->record->lifecycle), gw_lifecycle_to_string (next), why ? ": " : "",
            why ? self->reason : "");
}

/* TRUE if the event is allowed; saves when it changes something. */
gboolean
gw_endpoint_lifecycle_event (GwEndpoint *self, GwLifecycleEvent event)
{
  GwLifecycle next;

  if (!gw_lifecycle_next (self->record->lifecycle, event, &next))
    return FALSE;
  if (next == self->record->lifecycle)
    return TRUE;
  announce (self, next);
  self->record->lifecycle = next;
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  return TRUE;
}

void
gw_endpoint_settle (GwEndpoint *self, const GError *error)
{
  if (!self->run_wanted)
    return;
  self->run_wanted = FALSE;
  if (self->listener != NULL)
    self->listener->settled (self, error, self->listener_data);
}

void
gw_endpoint_settle_error (GwEndpoint *self, GwError code, const char *format, ...)
{
  g_autoptr (GError) error = NULL;
  va_list args;

  va_start (args, format);
  error = g_error_new_valist (GW_ERROR, code, format, args);
  va_end (args);
  gw_endpoint_settle (self, error);
}

/* ---- the session ---- */

static void
on_stored (GwBytes body, guint64 uptime_ms, gpointer data)
{
  GwEndpoint *self = data;

  if (uptime_ms != 0)
    gw_endpoint_note_uptime (self, uptime_ms);
  if (self->courier != NULL)
    gw_courier_wake (self->courier);
  if (self->listener != NULL)
    self->listener->reported (self, body, self->listener_data);
}

static void
on_session_request (GwSession *session, const GwSmpMessage *request, gpointer data)
{
  GwEndpoint *self = data;
  /* What may not leave for the broker is better kept by the endpoint. */
  gboolean admitted = gw_lifecycle_may_connect (self->record->lifecycle) && !self->record->cloned && !self->contradicts
                      && (!self->surveyed || self->generation >= self->record->generation);
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
  self->surveying = FALSE;
  self->surveyed = FALSE;
  self->told_ready = FALSE;
  self->uptime_at = 0;
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  gw_timer_disarm (&self->retry_timer);
  self->retry_usec = 0;
  g_clear_pointer (&self->session, gw_session_unref);
}

static gboolean
is_let_in (GwEndpoint *self)
{
  return self->record->lifecycle == GW_LIFECYCLE_ENROLLED || self->record->lifecycle == GW_LIFECYCLE_VERIFIED;
}

static void
on_session_ended (GwSession *session, const GError *error, gpointer data)
{
  GwEndpoint *self = data;

  if (self->session != session)
    return;
  self->record->last_seen = gw_loop_realtime (self->services->loop);
  forget_session (self);
  if (self->courier != NULL)
    gw_courier_drain (self->courier);
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_SESSION_END);
  gw_endpoint_settle (self, error);
  /* What hindered it in this session is over; what keeps it out anyway says so again. */
  if (is_let_in (self))
    {
      if (!self->record->cloned)
        gw_endpoint_set_reason (self, "", "");
      gw_onboarding_consider (self);
    }
  gw_endpoint_save (self);
}

static void
on_session_heard (GwSession *session, gpointer data)
{
  GwEndpoint *self = data;
  gint64 minute = gw_loop_realtime (self->services->loop) / (60 * G_USEC_PER_SEC);

  if (minute == self->minute)
    return;
  self->minute = minute;
  gw_endpoint_counted (self);
}

static const GwSessionUser session_user = {
  .request = on_session_request,
  .ended = on_session_ended,
  .heard = on_session_heard,
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

  gw_endpoint_replace_string (&self->firmware, firmware);
  gw_endpoint_replace_string (&self->root_of_trust, root_of_trust);
  if (*self->manifest == '\0')
    {
      g_autofree char *manufacturer = dup_text (info->hello.manufacturer);
      g_autofree char *model = dup_text (info->hello.model);
      g_autofree char *serial = dup_text (info->hello.serial);

      gw_endpoint_replace_string (&self->manufacturer, manufacturer);
      gw_endpoint_replace_string (&self->model, model);
      gw_endpoint_replace_string (&self->serial_number, serial);
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
  self->surveying = FALSE;
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("it could not be asked what it is: %s", error->message);

      gw_endpoint_set_reason (self, text,
                              "it is asked again by itself, `gangwayctl onboard` asks at once; if it stays so, its firmware "
                              "does not speak this protocol");
      gw_endpoint_settle (self, error);
      /* A noisy line may have cost the answer while the session lives on. Who is kept out is asked once let in. */
      if (is_let_in (self) && !self->record->cloned)
        gw_onboarding_retry_later (self);
      return;
    }
  self->retry_usec = 0;
  take_survey (self, info);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self);
}

void
gw_endpoint_survey (GwEndpoint *self)
{
  if (self->surveying)
    return;
  self->surveying = TRUE;
  gw_session_survey (self->session, on_surveyed, self);
}

void
gw_endpoint_adopt (GwEndpoint *self, GwSession *session, const char *bus, guint32 node, const GwLinkHello *hello)
{
  if (self->session != NULL)
    {
      gw_session_set_user (self->session, NULL, NULL);
      forget_session (self);
    }
  self->session = gw_session_ref (session);
  gw_endpoint_replace_string (&self->bus, bus);
  gw_endpoint_replace_string (&self->record->last_bus, strrchr (bus, '/') != NULL ? strrchr (bus, '/') + 1 : bus);
  self->node = node;
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
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_PROVE);
  gw_endpoint_changed (self);
  gw_endpoint_survey (self);
  /* Whether it is let in needs its key alone: one that answers nothing is not kept in suspense. */
  gw_onboarding_consider (self);
}

void
gw_endpoint_attach (GwEndpoint *self, const char *bus, guint32 node)
{
  if (self->session != NULL)
    return;
  gw_endpoint_replace_string (&self->bus, bus);
  self->node = node;
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_ATTACH);
  gw_endpoint_changed (self);
}

void
gw_endpoint_detach (GwEndpoint *self)
{
  if (self->session != NULL)
    return;
  gw_endpoint_replace_string (&self->bus, "/");
  self->node = 0;
  self->address = 0;
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_DETACH);
  gw_endpoint_changed (self);
}

void
gw_endpoint_begin_proof (GwEndpoint *self)
{
  gw_endpoint_presence_event (self, GW_PRESENCE_EVENT_HELLO);
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
  gw_endpoint_set_reason (self, reason, "find and unplug the copy, then `gangwayctl approve` the one that stays");
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self);
}

gboolean
gw_endpoint_can_approve (GwEndpoint *self, GError **error)
{
  GwLifecycle lifecycle = self->record->lifecycle, next;

  if (gw_lifecycle_next (lifecycle, GW_LIFECYCLE_EVENT_REJECT, &next))
    return TRUE;
  g_set_error (error, GW_ERROR, lifecycle == GW_LIFECYCLE_REVOKED ? GW_ERROR_REVOKED : GW_ERROR_BAD_STATE,
               "the endpoint is %s, which is for good: replace the device", gw_lifecycle_to_string (lifecycle));
  return FALSE;
}

gboolean
gw_endpoint_approve (GwEndpoint *self, GError **error)
{
  if (!gw_endpoint_can_approve (self, error))
    return FALSE;
  gw_endpoint_lifecycle_event (self, GW_LIFECYCLE_EVENT_REJECT);
  self->record->held = FALSE;
  self->record->cloned = FALSE;
  gw_endpoint_set_reason (self, "", "");
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self);
  return TRUE;
}

void
gw_endpoint_reconsider (GwEndpoint *self)
{
  gw_onboarding_consider (self);
}

void
gw_endpoint_hurry (GwEndpoint *self)
{
  self->retry_usec = 0;
  gw_timer_disarm (&self->retry_timer);
  gw_onboarding_consider (self);
  if (self->courier != NULL)
    gw_courier_hurry (self->courier);
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
  gw_onboarding_consider (self);
  if (!self->run_wanted || self->courier == NULL)
    return TRUE;
  if (gw_courier_is_online (self->courier))
    gw_endpoint_settle (self, NULL);
  else
    gw_courier_hurry (self->courier);
  return TRUE;
}

gboolean
gw_endpoint_can_renew (GwEndpoint *self, GError **error)
{
  const GwEndpointRecord *record = self->record;

  if (record->lifecycle != GW_LIFECYCLE_ENROLLED || record->cloned || record->held)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s: only an enrolled one has a certificate to renew",
                 gw_endpoint_get_state (self));
  else if (self->session == NULL || !self->surveyed)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint has no proven session: plug it in first");
  else if (self->run_wanted || self->enrolment != NULL)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_BUSY, "a job works on this endpoint already: wait for it or cancel it");
  else if (!gw_onboarding_is_ours (self))
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "%s: %s",
                 *self->reason != '\0' ? self->reason : "the endpoint is not this gateway's",
                 *self->remedy != '\0' ? self->remedy : "take it on board first");
  else
    return TRUE;
  return FALSE;
}

gboolean
gw_endpoint_renew (GwEndpoint *self, gboolean rekey, GError **error)
{
  guint8 other = self->record->slot == 1 ? 2 : 1;

  if (!gw_endpoint_can_renew (self, error))
    return FALSE;
  self->run_wanted = TRUE;
  if (rekey)
    gw_onboarding_enrol (self, other, MAX (self->record->generation, (guint32) self->generation) + 1, NULL);
  else
    gw_onboarding_enrol (self, self->record->slot, self->record->generation, NULL);
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
  GwLifecycle next;

  if (!gw_lifecycle_next (self->record->lifecycle, event, &next))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s: that cannot be changed any more",
                   gw_lifecycle_to_string (self->record->lifecycle));
      return FALSE;
    }
  /* A person's word is kept, also about a chip of no manifest. */
  self->stored = TRUE;
  gw_endpoint_set_reason (self, reason, remedy);
  gw_endpoint_lifecycle_event (self, event);
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self);
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

/* Nobody may deliver in its name any more: what it still has here goes, and is counted. */
static void
give_up_spool (GwEndpoint *self)
{
  guint64 n = gw_spool_drop (self->services->spool, self->record->kid, 0, GW_SPOOL_DROP_RELEASED);

  if (n > 0)
    gw_event (GW_EVENT_REPORTS_GIVEN_UP, self->id, NULL, "endpoint %.16s: %" G_GUINT64_FORMAT " reports were given up with it",
              self->id, n);
}

gboolean
gw_endpoint_revoke (GwEndpoint *self, const char *reason, GError **error)
{
  GwLifecycle next;

  if (gw_lifecycle_next (self->record->lifecycle, GW_LIFECYCLE_EVENT_REVOKE, &next))
    drop_certificate (self);
  if (!decide (self, GW_LIFECYCLE_EVENT_REVOKE, reason, "revoking is for good; replace the device", error))
    return FALSE;
  give_up_spool (self);
  return TRUE;
}

gboolean
gw_endpoint_decommission (GwEndpoint *self, const char *reason, GError **error)
{
  drop_certificate (self);
  g_clear_pointer (&self->record->policy, g_free);
  g_clear_pointer (&self->record->batch, g_free);
  if (!decide (self, GW_LIFECYCLE_EVENT_DECOMMISSION, reason, "", error))
    return FALSE;
  give_up_spool (self);
  return TRUE;
}

void
gw_endpoint_set_name (GwEndpoint *self, const char *name)
{
  gw_endpoint_replace_string (&self->record->name, name);
  self->stored = TRUE;
  gw_endpoint_save (self);
  gw_endpoint_changed (self);
  gw_onboarding_consider (self); /* topics may hold the name */
}

void
gw_endpoint_cancel_run (GwEndpoint *self)
{
  if (!self->run_wanted)
    return;
  if (self->enrolment != NULL)
    gw_enrolment_cancel (g_steal_pointer (&self->enrolment));
  if (self->record->lifecycle != GW_LIFECYCLE_ENROLLED)
    gw_endpoint_set_reason (self, "its onboarding was cancelled", "`gangwayctl onboard` takes it up again");
  gw_endpoint_settle_error (self, GW_ERROR_CANCELLED, "cancelled; the endpoint goes on by itself at the next occasion");
}

/* ---- what it is ---- */

const GwEndpointRecord *
gw_endpoint_get_record (GwEndpoint *self)
{
  return self->record;
}

gboolean
gw_endpoint_is_stored (GwEndpoint *self)
{
  return self->stored;
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
gw_endpoint_get_node (GwEndpoint *self)
{
  return self->node;
}

guint16
gw_endpoint_get_address (GwEndpoint *self)
{
  return self->address;
}

void
gw_endpoint_set_address (GwEndpoint *self, guint16 address)
{
  if (self->address == address)
    return;
  self->address = address;
  gw_endpoint_changed (self);
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
  gw_timer_init (&self->retry_timer, services->loop, gw_onboarding_retry, self);
  gw_timer_init (&self->renew_timer, services->loop, gw_onboarding_retry, self);
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
