/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every plugin of ours does as a program: options, one GangwayBus, lines for the journal, an orderly end. A plugin
 * embeds a GwProgram as its first member and says the rest by GwProgramFuncs. Everything runs on the default main
 * context. Plugins of others need none of this: plugins/example shows one. */

#include <gangway.h>

#include "gw-hush.h"
#include "gw-link-codec.h"

G_BEGIN_DECLS

typedef struct _GwProgram GwProgram;

typedef struct
{
  const char *program;       /* "gangway-can" */
  const char *summary;       /* for --help, after the program's name */
  const char *device_help;   /* of --device, */
  const char *device_arg;    /* and what stands for its value there */
  const char *device_needed; /* the error when it is missing, or when words are left over */
  /* Whether the options make sense together. NULL: always. */
  gboolean (*check) (GwProgram *self, GError **error);
  /* Opens the device and makes what works on it; nothing of that may call back before the main loop runs. */
  gboolean (*start) (GwProgram *self, GError **error);
  /* Of the bus; asked after start. */
  const char *(*kind) (GwProgram *self);
  /* The agent's datagram is in the node's queue. */
  void (*pushed) (GwProgram *self, GangwayNode *node, gint64 now);
  /* The agent asks to look for endpoints. */
  void (*scan) (GwProgram *self, gint64 now);
  /* The program was asked to end: nobody is up any more. */
  void (*end) (GwProgram *self);
  /* Frees what start made, also if it failed half-way. The bus is freed next. */
  void (*clear) (GwProgram *self);
} GwProgramFuncs;

struct _GwProgram
{
  const GwProgramFuncs *funcs;
  char *device, *name, *bus_address;
  gboolean no_sandbox, version;
  GangwayBus *bus; /* NULL in start */
  /* The rest is the implementation's. */
  GMainLoop *loop;
  int status;
};

/* All of main (): @entries are the plugin's own options. Returns the process's exit code: 0 when the device has gone or
 * somebody asked it to end, 1 when it cannot work, 2 when the command line is wrong. */
int gw_program_run (
    GwProgram *self, const GwProgramFuncs *funcs, const GOptionEntry *entries, int argc, char **argv);

/* Tells the agent of an endpoint whose hello answer is @hello, @body its CBOR. @address: of the node on its bus, 0: it has
 * none. (transfer full), or NULL with an error: it cannot be taken. */
GangwayNode *gw_program_node_up (
    GwProgram *self, guint address, const GwLinkHello *hello, GwBytes body, guint32 rtt_ms, GError **error);
/* Why it is no more, for a log line. */
const char *gw_program_down_text (GangwayDownReason reason);
/* For the agent; what it has no room for is dropped and counted by the library. */
void gw_program_datagram (GangwayNode *node, GwBytes datagram);
/* Eight octets that tell our questions from those of others. */
void gw_program_make_nonce (guint8 nonce[GW_HELLO_NONCE_LEN]);

/* An endpoint's name in a log line: maker, model and serial number. */
#define GW_PROGRAM_HELLO_FORMAT "%.*s %.*s, serial number %.*s"
#define GW_PROGRAM_HELLO_ARGS(hello)                                                                               \
  (int) (hello)->manufacturer.len, (hello)->manufacturer.ptr, (int) (hello)->model.len, (hello)->model.ptr,        \
      (int) (hello)->serial.len, (hello)->serial.ptr

/* One line on stderr, which the journal reads. */
void gw_program_say (GwProgram *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The same of what others can make happen all the time: a few lines, then one in a while with how many were left out. */
void gw_program_say_seldom (GwProgram *self, GwHush *hush, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* Ends the main loop. */
void gw_program_quit (GwProgram *self, int status);

G_END_DECLS
