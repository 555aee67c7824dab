/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* gw_data on the endpoint: its points, the commands on them and the watches. What they yield goes into the
 * queue (gw-ep-queue.h). The points themselves are the platform's. */

#include "gw-data-codec.h"
#include "gw-ep.h"

#define GW_EP_SAMPLE_MIN_MS 100u /* a watched point is read no oftener */

typedef struct
{
  bool used;
  uint8_t request[GW_DATA_REQUEST_LEN];
  int result; /* GW_EP_OK or what was answered */
  GwEpValue value;
} GwEpCommandRecord;

typedef struct
{
  bool on;
  bool has_deadband, has_sample, has_last;
  double deadband;
  uint32_t min_ms, max_ms;
  uint64_t sampled_at, reported_at;
  GwEpValue last;
} GwEpWatch;

typedef struct
{
  size_t n_points;
  uint32_t revision;
  uint8_t next_command;
  GwEpCommandRecord commands[GW_DATA_REQUESTS_KEPT];
  GwEpWatch watches[GW_EP_POINTS_MAX];
} GwEpData;

/* Power-up. GW_E_LIMIT: too many points; GW_E_INVALID: a bad description. */
int gw_ep_data_load (GwEp *ep);
/* Forgets commands and watches: they were another owner's. */
void gw_ep_data_forget (GwEp *ep);
/* Samples what is watched; the next deadline. */
uint64_t gw_ep_data_poll (GwEp *ep, uint64_t now);
