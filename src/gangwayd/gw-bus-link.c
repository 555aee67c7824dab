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
