/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A private D-Bus daemon with the system bus's own denials and the shipped policy, in which nothing but the user names
 * is replaced by the caller's. It dies with the test process. tests/lib/bus.py makes the same for Python. */

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _GwTestBus GwTestBus;

/* Starts the daemon. @policy_file: the shipped policy as built. A failure ends the test. */
GwTestBus *gw_test_bus_new (const char *policy_file);
void gw_test_bus_free (GwTestBus *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTestBus, gw_test_bus_free)

const char *gw_test_bus_get_address (GwTestBus *self);
/* A connection of its own; (transfer full). */
GDBusConnection *gw_test_bus_connect (GwTestBus *self);
/* Kills the daemon. */
void gw_test_bus_stop (GwTestBus *self);

/* Turns the default main context until @condition holds; 30 s in vain end the test. */
typedef gboolean (*GwTestCondition) (gpointer data);
void gw_test_wait (GwTestCondition condition, gpointer data, const char *what);
/* Turns it until nothing is left to do. */
void gw_test_drain (void);

G_END_DECLS
