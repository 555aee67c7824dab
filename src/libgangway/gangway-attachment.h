/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The attachment of a bus to the agent: asks the agent for the bus socket, keeps it, and attaches again when it ends, until
 * stopped. Internal to the library, part of its GangwayBus, to which it holds a reference while it calls back; runs on the
 * thread-default main context. */

#include "gangway-agent.h"
#include "gangway-socket.h"

G_BEGIN_DECLS

typedef struct
{
  /* The limits are agreed on: the last moment to give up. FALSE with an error: then it is over. */
  gboolean (*enter) (gpointer owner, GError **error);
  /* The socket takes messages from now on; the agent knows nothing yet. */
  void (*attached) (gpointer owner);
  void (*datagram) (gpointer owner, guint node, const guint8 *data, gsize len); /* borrowed */
  void (*scan) (gpointer owner);
  /* The socket is about to go, and then it has gone. */
  void (*leaving) (gpointer owner);
  void (*detached) (gpointer owner, const GError *why);
  /* An attempt failed, and there will be another; once for each new reason, not once for each attempt. */
  void (*refused) (gpointer owner, const GError *why);
  /* It will not be attached any more. The last callback. */
  void (*over) (gpointer owner, const GError *why);
} GangwayAttachmentFuncs;

typedef struct
{
  const GangwayAttachmentFuncs *funcs;
  GObject *owner;        /* not referenced: it has the attachment in itself */
  GangwayAgent *agent;   /* NULL unless attaching or attached */
  GangwaySocket *socket; /* NULL while there is no agent */
  gboolean attached;     /* the socket's HELLOs are exchanged */
  gboolean was_attached; /* once, since the start */
  char *object_path;
  char *last_refusal; /* told to the owner once */
} GangwayAttachment;

void gangway_attachment_init (GangwayAttachment *self, const GangwayAttachmentFuncs *funcs, gpointer owner);
/* Stops without a word. */
void gangway_attachment_clear (GangwayAttachment *self);

/* As gangway_agent_new (). */
void gangway_attachment_start (GangwayAttachment *self, const char *address, GVariant *options);
/* Ends it; the agent sees all nodes gone. */
void gangway_attachment_stop (GangwayAttachment *self, const GError *why);
gboolean gangway_attachment_is_started (const GangwayAttachment *self);

/* NULL unless attached. */
GangwaySocket *gangway_attachment_get_socket (const GangwayAttachment *self);
/* NULL while there is no agent. */
const char *gangway_attachment_get_object_path (const GangwayAttachment *self);

G_END_DECLS
