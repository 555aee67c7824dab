/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-event.h. The ids are random and stand for good: what a filter matches today, it matches in ten years. */

#include "config.h"

#include "gw-event.h"

typedef struct
{
  const char *name;
  const char *message_id;
  const char *priority; /* syslog severity */
} Event;

static const Event events[GW_EVENT_COUNT] = {
  [GW_EVENT_ENDPOINT_ADMITTED] = { "endpoint-admitted", "91fad80632f54b39878551c0c83d2415", "6" }, /* info */
  [GW_EVENT_ENDPOINT_QUARANTINED] = { "endpoint-quarantined", "040d256da8294b908b06bc84f37c2095", "5" }, /* notice */
  [GW_EVENT_ENDPOINT_ENROLLED] = { "endpoint-enrolled", "0a78c4cf73614f498288e3fd8e767624", "5" }, /* notice */
  [GW_EVENT_ENDPOINT_REVOKED] = { "endpoint-revoked", "071400cdc4484012b9751e43965975d0", "4" }, /* warning */
  [GW_EVENT_ENDPOINT_RELEASED] = { "endpoint-released", "7865c48da8274b3f8b6517cb15cfc3ca", "5" }, /* notice */
  [GW_EVENT_ENDPOINT_DECOMMISSIONED] = { "endpoint-decommissioned", "1268512c1ebe45a0a71201d6233bc619", "5" }, /* notice */
  [GW_EVENT_ENDPOINT_CLONED] = { "endpoint-cloned", "749d7b896a734067a38d768798df5d9c", "1" }, /* alert */
  [GW_EVENT_ENDPOINT_MOVED] = { "endpoint-moved", "1bea20d472644d8eae83940f712c2085", "6" }, /* info */
  [GW_EVENT_ENDPOINT_CONTRADICTS] = { "endpoint-contradicts", "c566ac6df54b4a1ab7dd0088e44df620", "4" }, /* warning */
  [GW_EVENT_CREDENTIAL_OWNED] = { "credential-owned", "1424b6423e8a483d80ed9c16ec862f5c", "5" }, /* notice */
  [GW_EVENT_CREDENTIAL_ISSUED] = { "credential-issued", "36818264cc5648d8b0775a0eb58c4458", "6" }, /* info */
  [GW_EVENT_CREDENTIAL_GATEWAY_RENEWED] = { "credential-gateway-renewed", "12f24980149d43e78bb66fb5abe147a4", "6" }, /* info */
  [GW_EVENT_CREDENTIAL_FAILED] = { "credential-failed", "4609ca36870540a9ad58f522cd350f99", "4" }, /* warning */
  [GW_EVENT_AUTHORITY_LOST] = { "authority-lost", "65782494d92844adbbd8db892ef8b7d4", "4" }, /* warning */
  [GW_EVENT_AUTHORITY_BACK] = { "authority-back", "eba6ad71243d442fa3f2605f62218c4a", "5" }, /* notice */
  [GW_EVENT_UPLINK_ONLINE] = { "uplink-online", "328215a7e7004f4cb9b1f250ef413489", "6" }, /* info */
  [GW_EVENT_UPLINK_LOST] = { "uplink-lost", "6b6c2c1e376245c59696cec911af5ee7", "5" }, /* notice */
  [GW_EVENT_BUS_ATTACHED] = { "bus-attached", "be97e3f5affb41e9a068cbed232f3a76", "6" }, /* info */
  [GW_EVENT_BUS_GONE] = { "bus-gone", "78725d7f076c4d029c9283b7c389dc9f", "6" }, /* info */
  [GW_EVENT_BUS_REFUSED] = { "bus-refused", "6ea7d84ef6c94d5086bc6a28117fc37a", "4" }, /* warning */
  [GW_EVENT_BUS_OFF] = { "bus-off", "533cc3c77a48407289b094e3b752553f", "4" }, /* warning */
  [GW_EVENT_BUS_BACK] = { "bus-back", "49b27f0a81ce4df681ffd07dc61a29bf", "5" }, /* notice */
  [GW_EVENT_BUS_CULPRIT] = { "bus-culprit", "55e0f3a6db8d43619324254a5b3e3761", "4" }, /* warning */
  [GW_EVENT_REPORTS_GIVEN_UP] = { "reports-given-up", "be2fae8b29164846ba6ca2fcc57c0748", "4" }, /* warning */
  [GW_EVENT_STORAGE_DAMAGED] = { "storage-damaged", "27498f4c513b48d7b0efe34d54cd0188", "3" }, /* err */
  [GW_EVENT_STORAGE_FAILED] = { "storage-failed", "97dfd95cb50b4fc3b800633516fd6e79", "3" }, /* err */
};

static struct
{
  GwEventSink func;
  gpointer data;
} sink;

void
gw_event_set_sink (GwEventSink func, gpointer data)
{
  sink.func = func;
  sink.data = data;
}

const char *
gw_event_get_message_id (GwEvent event)
{
  g_return_val_if_fail ((guint) event < GW_EVENT_COUNT, NULL);
  return events[event].message_id;
}

gboolean
gw_event_connection_changed (GwEventConnection *self, gboolean online, gint64 now)
{
  gint64 days;

  if (self->told && self->online == online && (online || now - self->at < GW_EVENT_TELL_AGAIN_USEC))
    return FALSE;
  if (self->losses == 0)
    self->forgot_at = now;
  days = (now - self->forgot_at) / GW_EVENT_TELL_AGAIN_USEC;
  self->losses -= (guint) MIN (days, self->losses);
  self->forgot_at += days * GW_EVENT_TELL_AGAIN_USEC;
  /* What was told lost is also told to be back. */
  if (!online && self->losses >= GW_EVENT_FLAPS_MAX)
    return FALSE;
  self->told = TRUE;
  self->online = online;
  if (online)
    return TRUE;
  self->losses++;
  self->at = now;
  return TRUE;
}

const char *
gw_event_connection_note (const GwEventConnection *self)
{
  return self->losses >= GW_EVENT_FLAPS_MAX ? "; this happens often, so the journal hears of it once a day from now on" : "";
}

void
gw_event (GwEvent event, const char *endpoint, const char *bus, const char *format, ...)
{
  g_autofree char *message = NULL;
  GLogField fields[7];
  gsize n = 0;
  va_list args;

  g_return_if_fail ((guint) event < GW_EVENT_COUNT);
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  fields[n++] = (GLogField) { "MESSAGE", message, -1 };
  fields[n++] = (GLogField) { "MESSAGE_ID", events[event].message_id, -1 };
  fields[n++] = (GLogField) { "PRIORITY", events[event].priority, -1 };
  fields[n++] = (GLogField) { "GLIB_DOMAIN", "gangwayd", -1 };
  fields[n++] = (GLogField) { "GANGWAY_EVENT", events[event].name, -1 };
  if (endpoint != NULL)
    fields[n++] = (GLogField) { "GANGWAY_ENDPOINT", endpoint, -1 };
  if (bus != NULL)
    fields[n++] = (GLogField) { "GANGWAY_BUS", bus, -1 };
  if (sink.func != NULL)
    sink.func (event, events[event].name, endpoint, bus, message, sink.data);
  /* The level only decides the channel: the journal takes PRIORITY. G_LOG_LEVEL_MESSAGE is shown without G_MESSAGES_DEBUG. */
  g_log_structured_array (G_LOG_LEVEL_MESSAGE, fields, n);
}
