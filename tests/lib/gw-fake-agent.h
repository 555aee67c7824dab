/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent as a plugin sees it, in the test's own process: owns the name, answers AttachBus with a socket pair, keeps
 * every message that comes and says HELLO. Freeing it is the agent's death. One bus at a time. */

#include "gw-busmsg-codec.h"
#include "gw-test-bus.h"

G_BEGIN_DECLS

typedef struct _GwFakeAgent GwFakeAgent;

typedef enum
{
  GW_FAKE_AGENT_GOOD,
  GW_FAKE_AGENT_MUTE,    /* never says HELLO */
  GW_FAKE_AGENT_NEWER,   /* says HELLO of version 2 */
  GW_FAKE_AGENT_GARBAGE, /* says something else first */
  GW_FAKE_AGENT_STREAM,  /* hands out a stream socket, with a HELLO in it */
  GW_FAKE_AGENT_NO_FD,   /* names a descriptor that is not there */
} GwFakeAgentManner;

/* Owns the name when it returns. */
GwFakeAgent *gw_fake_agent_new (GwTestBus *bus, GwFakeAgentManner manner);
void gw_fake_agent_free (GwFakeAgent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwFakeAgent, gw_fake_agent_free)

/* Answer the next @times calls of AttachBus with this error (org.gangway.Gangway1.Error.@name). */
void gw_fake_agent_refuse (GwFakeAgent *self, const char *name, guint times);
/* Limits that its HELLO gives; before it is attached. */
void gw_fake_agent_set_limits (GwFakeAgent *self, guint datagram_max, guint nodes_max);
/* Whether it reads the bus socket. */
void gw_fake_agent_set_reading (GwFakeAgent *self, gboolean reading);

guint gw_fake_agent_get_calls (GwFakeAgent *self); /* of AttachBus, refused ones included */
gboolean gw_fake_agent_is_attached (GwFakeAgent *self); /* there is a socket, and the plugin has not closed it */
GVariant *gw_fake_agent_get_options (GwFakeAgent *self); /* of the last AttachBus; (transfer none) */

/* Waits for the plugin's next message and decodes it; borrowed until the next call. A message that does not decode ends
 * the test. */
const GwBusmsg *gw_fake_agent_next (GwFakeAgent *self);
/* The same, and its type must be this. */
const GwBusmsg *gw_fake_agent_expect (GwFakeAgent *self, GwBusmsgType type);
/* Takes @n messages off the socket itself and forgets them, without turning the main context. */
void gw_fake_agent_skip (GwFakeAgent *self, guint n);
/* Messages that wait. */
guint gw_fake_agent_waiting (GwFakeAgent *self);
/* Waits until the plugin has closed the socket. */
void gw_fake_agent_wait_closed (GwFakeAgent *self);

void gw_fake_agent_send (GwFakeAgent *self, const GwBusmsg *msg);
void gw_fake_agent_send_datagram (GwFakeAgent *self, guint node, gconstpointer data, gsize len);
void gw_fake_agent_send_raw (GwFakeAgent *self, gconstpointer data, gsize len);
/* Closes the socket, stays on D-Bus. */
void gw_fake_agent_hang_up (GwFakeAgent *self);

G_END_DECLS
