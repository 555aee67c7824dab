/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reports and events that wait for the gateway's acknowledgement.
 *
 * A byte buffer of entries, oldest first; each has its number q, from 1 on. The oldest goes to the gateway
 * and stays until that acknowledges boot token and q; a full queue drops the oldest that is not on its way,
 * counted, and its number is skipped. Times are kept as uptime and leave as seconds relative to the moment of
 * sending, so a repeated report carries a larger age. All in RAM: a power cycle begins a new boot token. */

#include "gw-data-codec.h"
#include "gw-ep.h"

#define GW_EP_REFUSED_MIN_MS 1000u  /* a refused report is tried again after this, doubling .. */
#define GW_EP_REFUSED_MAX_MS 60000u /* .. up to this */

/* Largest entry: its head and GW_EP_RECORDS_MAX texts. */
#define GW_EP_ENTRY_HEAD_LEN 20u
#define GW_EP_ENTRY_RECORD_HEAD_LEN 4u
#define GW_EP_ENTRY_MAX                                                                                      \
  (GW_EP_ENTRY_HEAD_LEN + GW_EP_RECORDS_MAX * (GW_EP_ENTRY_RECORD_HEAD_LEN + GW_EP_TEXT_MAX))

_Static_assert(GW_EP_QUEUE_LEN >= 2 * GW_EP_ENTRY_MAX, "the queue holds one report on its way and a new one");

typedef struct
{
  uint8_t boot[GW_DATA_BOOT_LEN];
  uint64_t last_q;
  bool in_flight; /* the first entry is the outstanding request */
  uint8_t refusals;
  uint64_t hold_until; /* nothing is sent before */
  uint32_t n;
  size_t used;
  uint8_t data[GW_EP_QUEUE_LEN];
} GwEpQueue;

/* A report being put together; it becomes several where it would not fit into one message. */
typedef struct
{
  GwEp *ep;
  uint64_t at;
  size_t cost; /* octets on the wire, at most */
  size_t len;
  uint8_t n;
  uint8_t entry[GW_EP_ENTRY_MAX];
} GwEpReportBuilder;

/* Power-up: a new boot token, an empty queue. */
int gw_ep_queue_load (GwEp *ep);
void gw_ep_queue_session_end (GwEp *ep);

/* Readings taken at `at`, by number of the point. */
void gw_ep_report_begin (GwEp *ep, GwEpReportBuilder *self, uint64_t at);
void gw_ep_report_add (GwEpReportBuilder *self, size_t index, const GwEpValue *value);
void gw_ep_report_end (GwEpReportBuilder *self);

/* `len` at most GW_EP_TEXT_MAX. */
void gw_ep_queue_event (GwEp *ep, uint8_t level, uint32_t code, const char *text, size_t len, uint64_t at);

/* When the first entry may be sent; GW_EP_NEVER: none. */
uint64_t gw_ep_queue_due (const GwEp *ep);
/* The command (GW_DATA_REPORT or GW_DATA_EVENT) of the first entry. */
uint8_t gw_ep_queue_first_command (const GwEp *ep);
/* Writes the body of the first entry as it is at `now`. False: it does not fit. */
bool gw_ep_queue_encode_first (const GwEp *ep, GwCborWriter *w, uint64_t now);
/* Drops the first entry, counted. */
void gw_ep_queue_drop_first (GwEp *ep);
/* Drops everything, counted: it was another owner's. */
void gw_ep_queue_forget (GwEp *ep);
/* The gateway's answer to the outstanding one. */
void gw_ep_queue_answered (GwEp *ep, GwBytes body, uint64_t now);
