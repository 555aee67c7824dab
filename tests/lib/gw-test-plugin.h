/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A plugin of ours as a process, between an agent that the test plays on a private bus and a pseudo-terminal whose far end
 * the test plays. What fails ends the test; the plugin dies with it. */

#include <gio/gio.h>

#include "gw-fake-agent.h"

G_BEGIN_DECLS

/* Octets came from the plugin. */
typedef void (*GwTestPluginOctets) (gpointer owner, const guint8 *data, gsize len);

typedef struct
{
  GwTestBus *dbus;
  GwFakeAgent *agent;
  int master;   /* the test's end of the line, -1: hung up */
  char *dir;
  char *device; /* the plugin's: a link of this test's own, gone before the terminal is. Its number is soon somebody else's,
                 * in a test that runs beside this one, and the plugin tries again for ever. */
  GPid pid;     /* 0: there is none */
  int said;     /* a file for what plugins say; -1: goes where this test's goes */
  GwTestPluginOctets octets;
  gpointer owner;
  GSource *source;
} GwTestPlugin;

/* Bus, agent and line; no plugin yet. */
void gw_test_plugin_init (GwTestPlugin *self, const char *policy_file, GwTestPluginOctets octets, gpointer owner);
/* Has the plugin, if there is one, end orderly. */
void gw_test_plugin_clear (GwTestPlugin *self);

/* A new line, in the place of one that was hung up. */
void gw_test_plugin_open_line (GwTestPlugin *self);
/* Whether what the plugin writes is read. */
void gw_test_plugin_listen (GwTestPlugin *self, gboolean listen);
void gw_test_plugin_hang_up (GwTestPlugin *self);
/* Turns the main loop while the line is full: the plugin may wait for our reading it. */
void gw_test_plugin_write (GwTestPlugin *self, gconstpointer data, gsize len);

/* Starts @program with --device @device, --bus, and @options, which end with NULL. */
GPid gw_test_plugin_spawn (GwTestPlugin *self, const char *program, const char *device, const char *const *options);
/* Waits for its end, turning the main loop. */
int gw_test_plugin_exit_status (GPid pid);
/* Waits until it has ended by itself, with 0. */
void gw_test_plugin_wait_end (GwTestPlugin *self);
/* Asks it to end, and waits for that. */
void gw_test_plugin_terminate (GwTestPlugin *self);
void gw_test_plugin_kill (GwTestPlugin *self);
/* In the sandbox: "2", outside: "0". */
gboolean gw_test_plugin_seccomp_mode_is (GwTestPlugin *self, const char *mode);

void gw_test_plugin_restart_agent (GwTestPlugin *self);
/* Until a plugin has asked the agent to be attached so often in all. */
void gw_test_plugin_wait_calls (GwTestPlugin *self, guint calls);
/* The next message of this type; what is told of link, counters and nodes comes when it comes. */
const GwBusmsg *gw_test_plugin_expect (GwTestPlugin *self, GwBusmsgType type);

G_END_DECLS
