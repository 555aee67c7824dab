/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GPtrArray) buses = NULL;
  guint scanned = 0;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_scan, NULL, &argc, &argv, 0, 1, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  buses = gw_ctl_all (self, "Bus");
  for (guint i = 0; i < buses->len; i++)
    {
      g_autoptr (GVariant) reply = NULL;
      g_autoptr (GError) error = NULL;

      if (argc > 1 && g_strcmp0 (gw_dbus_bus_get_name (buses->pdata[i]), argv[1]) != 0)
        continue;
      reply = gw_ctl_call (buses->pdata[i], "Scan", g_variant_new ("()"), NULL, &error);
      if (reply == NULL)
        return gw_ctl_fail (self, "scan the bus", error);
      scanned++;
    }
  if (scanned == 0)
    return gw_ctl_refuse (
        self, GW_CTL_NOT_FOUND, argc > 1 ? "no bus of this name is attached" : "no field bus is attached",
        "gangwayctl status lists them; systemctl start gangway-serial@ttyUSB0 attaches one");
  gw_ctl_done (self, "%u %s asked to look. gangwayctl monitor shows what they find.", scanned,
               scanned == 1 ? "bus was" : "buses were");
  return GW_CTL_OK;
}

const GwCtlVerb verb_scan = {
  .name = "scan",
  .args = "[BUS]",
  .summary = "Have the buses look for endpoints now",
  .run = run,
};
