/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Two ISO-TP machines on a CAN bus of the imagination: one frame at a time, by arbitration, each taking the
 * time it would on the wire; time stands in `now` (nanoseconds) and jumps from one thing to happen to the
 * next. Used by the unit test and by the benchmark.
 */

#include <glib.h>

#include "gw-isotp.h"

typedef struct
{
  GwIsotp isotp;
  guint8 *buffer;
  GByteArray *sending; /* the message that is being sent */
  GQueue delivered;    /* GBytes: what came */
  guint sent, failed_out, failed_in;
  GwCanFrame queue[GW_ISOTP_WINDOW_MAX]; /* pulled, waiting for the bus */
  guint waiting;
} IsotpBusNode;

typedef struct
{
  IsotpBusNode node[2];
  guint32 bit_rate, data_rate;
  gint64 now; /* nanoseconds */
  guint64 frames;
  guint64 full_frames; /* consecutive ones that hold all they can .. */
  gint64 full_nsec;    /* .. and how long they took: what bounds the payload */
  GRand *rand;
  gdouble loss;    /* of frames that are acknowledged, yet do not reach the other's machine */
  gdouble refusal; /* of frames that the link gives back */
} IsotpBus;

IsotpBus *isotp_bus_new (const GwIsotpConfig *a, const GwIsotpConfig *b, gsize rx_size, guint32 seed);
void isotp_bus_free (IsotpBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IsotpBus, isotp_bus_free)

/* Takes the message over. */
void isotp_bus_send (IsotpBus *bus, guint from, GByteArray *message);
/* Lets one thing happen. FALSE: nothing will any more. */
gboolean isotp_bus_step (IsotpBus *bus);
