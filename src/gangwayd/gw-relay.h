// SPDX-License-Identifier: LGPL-2.1-or-later
/* One connection attempt to a broker and, once secured, the pipe between a plain AF_UNIX socket and TLS.
 *
 *   start -> resolve -> connect -> handshake -> sign? -> handshake -> secured -> attach (fd) -> pipe ->
 * closed
 *
 * Nothing blocks: names are resolved by GwNames, the rest runs on the loop, handshake steps in its capped
 * queue. Buffers are bounded: a side that does not take its octets stops the reading of the other. An idle
 * pipe holds no buffer at all.
 *
 * Made for one attempt and freed after it. Every event is the relay's last act before it returns, so each may
 * free it.
 */
#pragma once

#include <glib.h>
#include "gw-delegate.h"
#include "gw-loop.h"
#include "gw-names.h"

G_BEGIN_DECLS

typedef struct GwRelay GwRelay;

typedef struct
{
  const char *host;
  guint16 port;
  GwDelegateCreds *creds;       /* outlives the relay */
  GwNames *names;               /* the same */
  GwTrust *trust;               /* referenced */
  GwDelegateChain *chain;       /* referenced */
  const gnutls_datum_t *ticket; /* NULL = none; copied */
  gint64 connect_timeout; /* microseconds: resolve, connect and handshake, the wait for the signature not
                             counted */
  gint64 sign_timeout;
  guint32 max_packet; /* of MQTT from the broker */
  gboolean mqtt5;
} GwRelayConfig;

/** All must be set; called from the loop only. */
typedef struct
{
  /** The endpoint shall sign for this transcript hash; answer with gw_relay_signed. */
  void (*sign) (GwRelay *self, const guint8 *th, gsize th_len, gpointer data);
  /** The broker is proven and so are we: attach the plain side now or soon. */
  void (*secured) (GwRelay *self, gpointer data);
  /** Over. @why NULL: the plain side closed and all it wrote is on its way; else domain GW_ERROR. The plain
   * side's end is closed by then. */
  void (*closed) (GwRelay *self, const GError *why, gpointer data);
} GwRelayEvents;

/** @events borrowed. Nothing happens before gw_relay_start. */
GwRelay *gw_relay_new (GwLoop *loop, const GwRelayConfig *config, const GwRelayEvents *events, gpointer data);
void gw_relay_start (GwRelay *self);
/** At once, in any state; no event follows. NULL is fine. */
void gw_relay_free (GwRelay *self);

/** The answer to the sign event, once; @sig NULL and @why: the endpoint cannot. Takes effect from the loop.
 */
void gw_relay_signed (GwRelay *self, const guint8 *sig, gsize sig_len, const GError *why);
/** Takes ownership of the connected, non-blocking @fd; after the secured event. */
void gw_relay_attach (GwRelay *self, int fd);

/** See gw_delegate_get_ticket; false before the handshake is over. */
gboolean gw_relay_get_ticket (GwRelay *self, gnutls_datum_t *ticket);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwRelay, gw_relay_free)

G_END_DECLS
