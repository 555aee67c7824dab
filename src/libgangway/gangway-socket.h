/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The plugin's end of the bus socket: sends and decodes messages, exchanges HELLOs, never stops reading, never blocks.
 * Internal to the library. It belongs to its GangwayBus; callbacks run on the thread-default main context of its making
 * and may free it. */

#include <gio/gio.h>

#include "gw-busmsg-codec.h"

G_BEGIN_DECLS

typedef struct _GangwaySocket GangwaySocket;

typedef struct
{
  void (*hello) (gpointer owner); /* once, before all others: the limits are agreed on */
  void (*datagram) (gpointer owner, guint node, const guint8 *data, gsize len); /* borrowed */
  void (*scan) (gpointer owner);
  void (*closed) (gpointer owner, const GError *why); /* the last callback; not after gangway_socket_free () */
} GangwaySocketFuncs;

/* Whether @fd is what AttachBus promises: a connected AF_UNIX SOCK_SEQPACKET. */
gboolean gangway_socket_check_fd (int fd, GError **error);

/* Takes @fd, sends HELLO. @funcs must outlive the socket. */
GangwaySocket *gangway_socket_new (int fd, const GangwaySocketFuncs *funcs, gpointer owner);
void gangway_socket_free (GangwaySocket *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GangwaySocket, gangway_socket_free)

/* Agreed limits; valid from the hello callback on. */
guint gangway_socket_get_datagram_max (GangwaySocket *self);
guint gangway_socket_get_nodes_max (GangwaySocket *self);

/* Sends a message that must arrive; it waits in a bounded queue while the agent is busy. When even that is full the
 * socket is closed (from an idle callback): the next attachment starts from the truth. */
void gangway_socket_send (GangwaySocket *self, const GwBusmsg *msg);
/* Sends a message that may be lost. FALSE: the agent is busy or gone. */
gboolean gangway_socket_try_send (GangwaySocket *self, const GwBusmsg *msg);

G_END_DECLS
