/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-bus-link.h. */

#include "config.h"

#include "gw-bus-link.h"

/* The first word of a healthy link is no news. */
static void
tell_power (GwBusLink *self, gint64 now)
{
  gboolean on = self->now.state != GW_BUSMSG_LINK_OFF;

  if (self->now.state == GW_BUSMSG_LINK_UNKNOWN || (on && !self->power.told)
      || !gw_event_connection_changed (&self->power, on, now))
    return;
  if (on)
    gw_event (GW_EVENT_BUS_BACK, NULL, self->bus, "bus %s carries frames again", self->bus);
  else
    gw_event (GW_EVENT_BUS_OFF, NULL, self->bus,
              "bus %s is off: its controller has met too many errors (transmit %u, receive %u) and neither sends nor receives%s",
              self->bus, self->now.tx_errors, self->now.rx_errors, gw_event_connection_note (&self->power));
}

static void
tell_crowd (GwBusLink *self, const char *culprit, gint64 now)
{
  if (self->now.culprit == 0 || culprit == NULL)
    {
      if (self->crowd.told)
        gw_event_connection_changed (&self->crowd, TRUE, now);
      return;
    }
  /* Another culprit is other news. */
  if (self->crowd.told && self->now.culprit != self->culprit_told)
    gw_event_connection_changed (&self->crowd, TRUE, now);
  if (!gw_event_connection_changed (&self->crowd, FALSE, now))
    return;
  self->culprit_told = self->now.culprit;
  gw_event (GW_EVENT_BUS_CULPRIT, NULL, self->bus, "bus %s: %s takes %u.%u %% of it, the others get what is left%s", self->bus, culprit,
            self->now.culprit_permille / 10, self->now.culprit_permille % 10, gw_event_connection_note (&self->crowd));
}

void
gw_bus_link_init (GwBusLink *self, const char *bus)
{
  *self = (GwBusLink) { .bus = bus };
  self->now.load_permille = GW_BUSMSG_LOAD_UNKNOWN;
}

void
gw_bus_link_take (GwBusLink *self, const GwBusmsgLink *link, const char *culprit, gint64 now)
{
  self->now = *link;
  tell_power (self, now);
  tell_crowd (self, culprit, now);
}

guint
gw_bus_link_get_berths (const GwBusLink *self)
{
  if (self->now.octets_per_second == 0)
    return 0;
  return CLAMP (self->now.octets_per_second / GW_BUS_LINK_NODE_OCTETS, GW_BUS_LINK_NODES_MIN, GW_BUSMSG_NODES_MAX);
}

/* What the plugin measures, or what it will be when all berths are held. */
static guint64
round_trip (const GwBusLink *self, guint mtu)
{
  guint64 msec = self->now.round_trip_ms;

  if (self->now.octets_per_second != 0)
    msec = MAX (msec, (guint64) gw_bus_link_get_berths (self) * 2 * mtu * 1000 / self->now.octets_per_second);
  return msec;
}

guint
gw_bus_link_get_frame_msec (const GwBusLink *self, guint mtu, guint untold)
{
  guint64 msec = round_trip (self, mtu);

  if (msec == 0)
    msec = untold;
  if (self->now.octets_per_second != 0)
    msec = MAX (msec, GW_BUS_LINK_SHARED_MSEC_MIN);
  return (guint) MIN (msec, GW_BUS_LINK_FRAME_MSEC_MAX);
}

gint64
gw_bus_link_get_idle_usec (const GwBusLink *self)
{
  guint64 msec = 2 * round_trip (self, GW_BUSMSG_DATAGRAM_MIN);

  return (gint64) CLAMP (msec, GW_BUS_LINK_IDLE_MSEC, GW_BUS_LINK_FRAME_MSEC_MAX) * 1000;
}
