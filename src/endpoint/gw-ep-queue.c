/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-queue.h. An entry: length 2, command 1, number of records (a report) or length of the text (an
 * event) 1, q 8, uptime clock 8; then for each record the point's number 2, type 1, length 1 and the value,
 * or for an event its level 1, code 4 and the text. Numbers are big-endian. */

#include "gw-ep-queue.h"

#include <string.h>

#include "gw-ep-private.h"
#include "gw-reader.h"

/* Octets of a report around its records: SMP header, map, bt, q, up, s and the ends. */
#define REPORT_COST 48u
/* Of a record besides name, unit and value: map, keys, string heads, and a base time in the first. */
#define RECORD_COST 20u

typedef struct
{
  uint16_t len;
  uint8_t command;
  uint8_t n;
  uint64_t q;
  uint64_t at;
} EntryHead;

int
gw_ep_queue_load (GwEp *ep)
{
  GwEpQueue *self = &ep->queue;

  memset (self, 0, sizeof *self);
  return gw_ep_dtls_random (&ep->dtls, self->boot, sizeof self->boot);
}

void
gw_ep_queue_session_end (GwEp *ep)
{
  ep->queue.in_flight = false;
  ep->queue.refusals = 0;
  ep->queue.hold_until = 0;
}

/* ---- The buffer ---- */

static void
read_head (GwReader *r, EntryHead *head)
{
  head->len = gw_reader_u16be (r);
  head->command = gw_reader_u8 (r);
  head->n = gw_reader_u8 (r);
  head->q = gw_reader_u64be (r);
  head->at = gw_reader_u64be (r);
}

static size_t
length_at (const GwEpQueue *self, size_t pos)
{
  return (size_t)self->data[pos] << 8 | self->data[pos + 1];
}

static void
remove_at (GwEp *ep, size_t pos)
{
  GwEpQueue *self = &ep->queue;
  size_t len = length_at (self, pos);

  memmove (self->data + pos, self->data + pos + len, self->used - pos - len);
  self->used -= len;
  ep->stats.reports_pending = --self->n;
}

static void
push (GwEp *ep, uint8_t *entry, size_t len, uint8_t command, uint8_t n, uint64_t at)
{
  GwEpQueue *self = &ep->queue;

  while (self->used + len > sizeof self->data)
    {
      /* The one on its way stays: its repetition must be the same report. */
      remove_at (ep, self->in_flight ? length_at (self, 0) : 0);
      ep->stats.reports_dropped++;
    }
  gw_put_u16be (entry, (uint16_t)len);
  entry[2] = command;
  entry[3] = n;
  gw_put_u64be (entry + 4, ++self->last_q);
  gw_put_u64be (entry + 12, at);
  memcpy (self->data + self->used, entry, len);
  self->used += len;
  ep->stats.reports_pending = ++self->n;
  ep->stats.reports_queued++;
}

uint64_t
gw_ep_queue_due (const GwEp *ep)
{
  return ep->queue.n > 0 ? ep->queue.hold_until : GW_EP_NEVER;
}

uint8_t
gw_ep_queue_first_command (const GwEp *ep)
{
  return ep->queue.data[2];
}

void
gw_ep_queue_drop_first (GwEp *ep)
{
  ep->queue.in_flight = false;
  remove_at (ep, 0);
  ep->stats.reports_dropped++;
}

void
gw_ep_queue_forget (GwEp *ep)
{
  while (ep->queue.n > 0)
    gw_ep_queue_drop_first (ep);
}

/* ---- In ---- */

static size_t
put_value (const GwEpValue *value, uint8_t *out)
{
  switch (value->type)
    {
    case GW_EP_BOOL:
      out[0] = value->u.b;
      return 1;
    case GW_EP_INT:
      gw_put_u64be (out, (uint64_t)value->u.i);
      return 8;
    case GW_EP_FLOAT:
      memcpy (out, &value->u.f, sizeof value->u.f);
      return sizeof value->u.f;
    default:
      memcpy (out, value->u.s.octets, value->u.s.len);
      return value->u.s.len;
    }
}

void
gw_ep_report_begin (GwEp *ep, GwEpReportBuilder *self, uint64_t at)
{
  self->ep = ep;
  self->at = at;
  self->cost = REPORT_COST;
  self->len = GW_EP_ENTRY_HEAD_LEN;
  self->n = 0;
}

void
gw_ep_report_end (GwEpReportBuilder *self)
{
  if (self->n > 0)
    push (self->ep, self->entry, self->len, GW_DATA_REPORT, self->n, self->at);
  gw_ep_report_begin (self->ep, self, self->at);
}

void
gw_ep_report_add (GwEpReportBuilder *self, size_t index, const GwEpValue *value)
{
  const GwEpPlatform *platform = self->ep->platform;
  const GwEpPoint *point = platform->point_describe (platform->ctx, index);
  size_t cost = RECORD_COST + strlen (point->name) + (point->unit != NULL ? strlen (point->unit) : 0);
  uint8_t *out;
  size_t len;

  cost += value->type == GW_EP_TEXT || value->type == GW_EP_BYTES ? value->u.s.len : 9u;
  if (self->n == GW_EP_RECORDS_MAX
      || (self->n > 0 && self->cost + cost + GW_DTLS_RECORD_OVERHEAD > self->ep->mtu))
    gw_ep_report_end (self);
  out = self->entry + self->len;
  len = put_value (value, out + GW_EP_ENTRY_RECORD_HEAD_LEN);
  gw_put_u16be (out, (uint16_t)index);
  out[2] = (uint8_t)value->type;
  out[3] = (uint8_t)len;
  self->len += GW_EP_ENTRY_RECORD_HEAD_LEN + len;
  self->cost += cost;
  self->n++;
}

void
gw_ep_queue_event (GwEp *ep, uint8_t level, uint32_t code, const char *text, size_t len, uint64_t at)
{
  uint8_t entry[GW_EP_ENTRY_HEAD_LEN + 5 + GW_EP_TEXT_MAX];

  entry[GW_EP_ENTRY_HEAD_LEN] = level;
  gw_put_u32be (entry + GW_EP_ENTRY_HEAD_LEN + 1, code);
  if (len > 0)
    memcpy (entry + GW_EP_ENTRY_HEAD_LEN + 5, text, len);
  push (ep, entry, GW_EP_ENTRY_HEAD_LEN + 5 + len, GW_DATA_EVENT, (uint8_t)len, at);
}

/* ---- Out ---- */

static GwValue
get_value (GwEpType type, GwBytes octets)
{
  GwReader r;
  double number = 0;

  gw_reader_init (&r, octets.ptr, octets.len);
  switch (type)
    {
    case GW_EP_BOOL:
      return gw_value_bool (gw_reader_u8 (&r) != 0);
    case GW_EP_INT:
      return gw_value_int ((int64_t)gw_reader_u64be (&r));
    case GW_EP_FLOAT:
      gw_reader_copy (&r, &number, sizeof number);
      return gw_value_float (number);
    case GW_EP_TEXT:
      return (GwValue){ .type = GW_VALUE_TEXT, .text = { (const char *)octets.ptr, octets.len } };
    default:
      return gw_value_bytes (octets.ptr, octets.len);
    }
}

static bool
encode_report (const GwEp *ep, GwReader *r, const EntryHead *head, GwCborWriter *w, uint64_t now)
{
  GwDataReport report = { .seq = head->q, .uptime_ms = now - ep->power_up_at };
  const GwEpPoint *point;
  GwDataRecord record;
  GwEpType type;
  unsigned i;

  memcpy (report.boot, ep->queue.boot, sizeof report.boot);
  gw_data_report_begin (&report, w);
  for (i = 0; i < head->n; i++)
    {
      memset (&record, 0, sizeof record);
      point = ep->platform->point_describe (ep->platform->ctx, gw_reader_u16be (r));
      type = (GwEpType)gw_reader_u8 (r);
      record.has_base_time = i == 0;
      record.base_time = -(double)(now - head->at) / 1000.0;
      record.name = gw_text (point->name);
      if (point->unit != NULL)
        record.unit = gw_text (point->unit);
      record.value = get_value (type, gw_reader_bytes (r, gw_reader_u8 (r)));
      if (!gw_data_add_record (w, &record))
        return false;
    }
  gw_data_end (w);
  return w->status == GW_OK;
}

/* SMP events have no record with a time: `up` is the moment of sending, as the report's. */
static bool
encode_event (const GwEp *ep, GwReader *r, const EntryHead *head, GwCborWriter *w, uint64_t now)
{
  GwDataEvent event = { .seq = head->q, .uptime_ms = now - ep->power_up_at, .has_message = head->n > 0 };
  GwBytes text;

  memcpy (event.boot, ep->queue.boot, sizeof event.boot);
  event.level = gw_reader_u8 (r);
  event.code = gw_reader_u32be (r);
  text = gw_reader_bytes (r, head->n);
  event.message = (GwText){ (const char *)text.ptr, text.len };
  gw_data_event_encode (&event, w);
  return w->status == GW_OK;
}

bool
gw_ep_queue_encode_first (const GwEp *ep, GwCborWriter *w, uint64_t now)
{
  EntryHead head;
  GwReader r;

  gw_reader_init (&r, ep->queue.data, ep->queue.used);
  read_head (&r, &head);
  return head.command == GW_DATA_REPORT ? encode_report (ep, &r, &head, w, now)
                                        : encode_event (ep, &r, &head, w, now);
}

void
gw_ep_queue_answered (GwEp *ep, GwBytes body, uint64_t now)
{
  GwEpQueue *self = &ep->queue;
  GwSmpResult result;
  GwDataAck ack;
  EntryHead head;
  GwReader r;
  uint64_t wait;

  if (!self->in_flight || self->n == 0)
    return;
  self->in_flight = false;
  gw_reader_init (&r, self->data, self->used);
  read_head (&r, &head);
  if (gw_smp_result_decode (body, &result) == GW_OK && result.rc == 0
      && gw_data_ack_decode (body, &ack) == GW_OK && memcmp (ack.boot, self->boot, sizeof self->boot) == 0
      && ack.seq == head.q)
    {
      remove_at (ep, 0);
      ep->stats.reports_acked++;
      self->refusals = 0;
      self->hold_until = 0;
      if (ep->config->acknowledged != NULL)
        ep->config->acknowledged (ep->config->data, head.q, head.command == GW_DATA_EVENT);
      return;
    }
  /* Not taken: it stays the first, and the gateway is given time. */
  wait = self->refusals < 6 ? GW_EP_REFUSED_MIN_MS << self->refusals : GW_EP_REFUSED_MAX_MS;
  if (self->refusals < 6)
    self->refusals++;
  self->hold_until = now + wait;
}
