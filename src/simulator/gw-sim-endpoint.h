/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One virtual endpoint: a GwEp with its platform (PUF, flash, plant, entropy, clock) and the ways to disturb
 * it.
 *
 * Owned by who made it; used from the loop's thread. It is on a wire while gw_sim_endpoint_set_carrier() gave
 * it one, whose functions it calls; they must not call back, but for gw_sim_endpoint_set_link() where that is
 * said. */

#include <gio/gio.h>
#include <jansson.h>
#include <stdio.h>

#include "gw-link-codec.h"
#include "gw-loop.h"
#include "gw-sim-lie.h"
#include "gw-sim-puf.h"

typedef struct GwSimEndpoint GwSimEndpoint;

/* What all endpoints of a simulator share. Strings are borrowed. */
typedef struct
{
  GwLoop *loop;
  const char *manufacturer, *model, *firmware; /* at most 24 octets each */
  guint16 mtu;                                 /* 0: the library's default */
} GwSimEndpointConfig;

/* What an endpoint hangs on. */
typedef struct
{
  /* FALSE: the datagram is not taken. */
  gboolean (*send) (const guint8 *datagram, gsize len, gpointer data);
  /* It has power now, or no longer; before it sends anything. Also told to a new carrier of an endpoint that
   * has power. May call gw_sim_endpoint_set_link(). NULL: not wanted. */
  void (*power) (gboolean on, gpointer data);
} GwSimCarrier;

/* Reports as fast as they are acknowledged. */
#define GW_SIM_RATE_MAX G_MAXDOUBLE
/* "max", or a number from 0 to this. FALSE: neither. */
#define GW_SIM_RATE_NUMBER_MAX 10000
gboolean gw_sim_rate_parse (const char *text, double *rate);

/* Takes over `puf`, on failure too. Flash lies in `folder`. `seed` makes enrolment, plant and lies
 * reproducible. NULL: the flash cannot be read, or the names are too long. Begins without power, on no wire.
 */
GwSimEndpoint *gw_sim_endpoint_new (const GwSimEndpointConfig *config,
                                    const char *serial,
                                    guint64 seed,
                                    GwSimPuf *puf,
                                    const char *folder,
                                    GError **error);

/* Another chip with the same cells, flash and serial number: the caller's, without power, on no wire. NULL as
 * above. */
GwSimEndpoint *gw_sim_endpoint_clone (const GwSimEndpoint *self, const char *folder, GError **error);

void gw_sim_endpoint_free (GwSimEndpoint *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimEndpoint, gw_sim_endpoint_free)

/* NULL: off the wire. Being on the wire is not having power. */
void gw_sim_endpoint_set_carrier (GwSimEndpoint *self, const GwSimCarrier *carrier, gpointer data);
/* Whether it may send by itself, and what a full datagram takes on this wire (0: as it was). From power-up,
 * or from its coming to a carrier, it may. */
void gw_sim_endpoint_set_link (GwSimEndpoint *self, gboolean up, guint frame_ms);
/* Whether its chip does anything at all: has power and does not hang. */
gboolean gw_sim_endpoint_is_running (const GwSimEndpoint *self);
/* What it says of itself in the clear; only with power. */
void gw_sim_endpoint_hello (const GwSimEndpoint *self, GwLinkHello *hello);
gboolean gw_sim_endpoint_in_session (const GwSimEndpoint *self);
/* A datagram from the gateway; without power it falls on the floor. */
void gw_sim_endpoint_input (GwSimEndpoint *self, const guint8 *datagram, gsize len);

/* Switching on fails where the chip does, for instance with a PUF too noisy: G_IO_ERROR_FAILED. Twice is
 * once. */
gboolean gw_sim_endpoint_power_on (GwSimEndpoint *self, GError **error);
void gw_sim_endpoint_power_off (GwSimEndpoint *self);

/* 32 octets, the endpoint's; known from the first power-up on, else zeroes. */
const guint8 *gw_sim_endpoint_key_id (const GwSimEndpoint *self);
const char *gw_sim_endpoint_serial (const GwSimEndpoint *self);

/* Disturbances. A hanging endpoint has power and does nothing. */
void gw_sim_endpoint_set_hanging (GwSimEndpoint *self, gboolean hanging);
/* What each K_tls signature takes. */
void gw_sim_endpoint_set_sign_delay (GwSimEndpoint *self, guint ms);
void gw_sim_endpoint_set_lie (GwSimEndpoint *self, GwSimLie lie);
/* As gw_sim_puf_set_model(). */
void gw_sim_endpoint_set_model (GwSimEndpoint *self, const GwSimPufModel *model);
void gw_sim_endpoint_set_button (GwSimEndpoint *self, gboolean pressed);
/* As gw_sim_plant_force(). */
gboolean gw_sim_endpoint_force (GwSimEndpoint *self, const char *point, const double *value);

/* Reports a second; 0 stops production. Nothing is produced without power or owner. */
void gw_sim_endpoint_set_rate (GwSimEndpoint *self, double rate);
/* `level`: syslog's severity; `message` may be NULL. FALSE: it has no power, or does not take it. */
gboolean gw_sim_endpoint_event (GwSimEndpoint *self, guint level, guint32 code, const char *message);
/* Forgets owner and certificates. FALSE: it has no power. */
gboolean gw_sim_endpoint_factory_reset (GwSimEndpoint *self);

/* {"kid", "state", "session", "owned", "boot", "acked", ...}; the caller's. */
json_t *gw_sim_endpoint_status (GwSimEndpoint *self);
/* {"kid", "boots": [{"bt", "q": [[first, last], ..]}]}: the reports acknowledged since the start. */
json_t *gw_sim_endpoint_acknowledged (const GwSimEndpoint *self);
/* {"kid", "boots": [{"bt", "first", "usec": [..]}]}: when report `first` and those after it were made, UTC;
 * the last thousand of each boot at least. */
json_t *gw_sim_endpoint_produced (const GwSimEndpoint *self);

/* Writes K_id's and the first generations' private scalars, "KEY-ID KIND SCALAR" a line: for tests that look
 * for them. */
gboolean gw_sim_endpoint_reveal (GwSimEndpoint *self, FILE *out);

/* Lets the endpoint whose library code is running now lie about a message that is about to be encrypted: for
 * gw-sim-wrap.c, which does not know whose it is. */
void gw_sim_endpoint_tamper (guint8 *message, gsize len);
