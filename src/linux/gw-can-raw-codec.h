/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a CAN_RAW socket reads and writes (linux/can.h, linux/can/error.h), as values. Any program on the machine may put
 * such frames onto an interface, error frames included: nothing in them is believed to be in its range. */

#include <linux/can.h>

#include "gw-can.h"

typedef enum
{
  GW_CAN_RAW_BAD, /* neither of the two sizes, or a length that there is not */
  GW_CAN_RAW_FRAME,
  GW_CAN_RAW_ERROR,
} GwCanRawKind;

typedef enum
{
  GW_CAN_RAW_STATE_SAME, /* it says nothing of the state */
  GW_CAN_RAW_STATE_ACTIVE,
  GW_CAN_RAW_STATE_WARNING,
  GW_CAN_RAW_STATE_PASSIVE,
  GW_CAN_RAW_STATE_OFF,
} GwCanRawState;

typedef struct
{
  GwCanRawState state;
  bool bus_error;  /* a frame was damaged or not acknowledged */
  bool overflow;   /* frames were lost in the controller */
  bool restarted;
  bool has_counters;
  uint8_t tx_errors, rx_errors;
} GwCanRawError;

/* @data of @len octets as read. Fills @frame or @error in. */
GwCanRawKind gw_can_raw_decode (const void *data, size_t len, GwCanFrame *frame, GwCanRawError *error);
/* Returns the octets to be written; @in must be valid. */
size_t gw_can_raw_encode (const GwCanFrame *in, struct canfd_frame *out);
