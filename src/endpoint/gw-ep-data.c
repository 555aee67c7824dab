/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-data.h. */

#include "gw-ep-data.h"

#include <math.h>
#include <string.h>

#include <mbedtls/sha256.h>

#include "gw-ep-private.h"
#include "gw-reader.h"

static const GwEpPoint *
point_at (const GwEp *ep, size_t index)
{
  return ep->platform->point_describe (ep->platform->ctx, index);
}

static const GwEpPoint *
find_point (const GwEp *ep, uint32_t id, size_t *index)
{
  size_t i;

  for (i = 0; i < ep->data.n_points; i++)
    if (point_at (ep, i)->id == id)
      {
        if (index != NULL)
          *index = i;
        return point_at (ep, i);
      }
  return NULL;
}

/* ---- Values ---- */

static GwValue
to_wire (const GwEpValue *value)
{
  switch (value->type)
    {
    case GW_EP_BOOL:
      return gw_value_bool (value->u.b);
    case GW_EP_INT:
      return gw_value_int (value->u.i);
    case GW_EP_FLOAT:
      return gw_value_float (value->u.f);
    case GW_EP_TEXT:
      return (GwValue){ .type = GW_VALUE_TEXT, .text = { (const char *)value->u.s.octets, value->u.s.len } };
    default:
      return gw_value_bytes (value->u.s.octets, value->u.s.len);
    }
}

/* A written value as the point's type: GW_EP_OK or an error of the group. An integer is a good float, and a
 * float without a fraction a good integer: commands come out of JSON. */
static int
from_wire (const GwValue *in, GwEpType type, GwEpValue *out)
{
  double number;

  memset (out, 0, sizeof *out);
  out->type = type;
  switch (type)
    {
    case GW_EP_BOOL:
      out->u.b = in->b;
      return in->type == GW_VALUE_BOOL ? GW_EP_OK : GW_EP_GROUP_ERROR (GW_DATA_ERR_TYPE);
    case GW_EP_INT:
      if (in->type == GW_VALUE_INT)
        out->u.i = in->i;
      else if (in->type == GW_VALUE_FLOAT && fabs (in->d) < 0x1p53 && in->d == (double)(int64_t)in->d)
        out->u.i = (int64_t)in->d;
      else
        return GW_EP_GROUP_ERROR (GW_DATA_ERR_TYPE);
      return GW_EP_OK;
    case GW_EP_FLOAT:
      if (!gw_value_number (in, &number))
        return GW_EP_GROUP_ERROR (GW_DATA_ERR_TYPE);
      out->u.f = number;
      return GW_EP_OK;
    default:
      if (in->type != (type == GW_EP_TEXT ? GW_VALUE_TEXT : GW_VALUE_BYTES))
        return GW_EP_GROUP_ERROR (GW_DATA_ERR_TYPE);
      if (in->bytes.len > sizeof out->u.s.octets)
        return GW_EP_GROUP_ERROR (GW_DATA_ERR_RANGE);
      out->u.s.len = (uint8_t)in->bytes.len;
      if (in->bytes.len > 0)
        memcpy (out->u.s.octets, in->bytes.ptr, in->bytes.len);
      return GW_EP_OK;
    }
}

static bool
as_number (const GwEpValue *value, double *out)
{
  if (value->type == GW_EP_INT)
    *out = (double)value->u.i;
  else if (value->type == GW_EP_FLOAT)
    *out = value->u.f;
  else
    return false;
  return true;
}

static bool
in_range (const GwEpPoint *point, const GwEpValue *value)
{
  double number;

  if (!as_number (value, &number))
    return true;
  return !point->has_limits || (number >= point->lo && number <= point->hi);
}

/* A value that may be reported for the point: its type, finite, of a possible length. */
static bool
is_valid (const GwEpPoint *point, const GwEpValue *value)
{
  if (value->type != point->type)
    return false;
  if (value->type == GW_EP_FLOAT)
    return isfinite (value->u.f);
  if (value->type == GW_EP_TEXT || value->type == GW_EP_BYTES)
    return value->u.s.len <= sizeof value->u.s.octets
           && (value->type == GW_EP_BYTES
               || gw_text_is_clean ((const char *)value->u.s.octets, value->u.s.len));
  return true;
}

static bool
value_equal (const GwEpValue *a, const GwEpValue *b)
{
  GwValue x = to_wire (a), y = to_wire (b);

  return gw_value_equal (&x, &y);
}

/* ---- Describing ---- */

static void
describe_point (const GwEpPoint *point, GwDataPoint *out)
{
  *out = (GwDataPoint){
    .id = point->id,
    .name = gw_text (point->name),
    .has_unit = point->unit != NULL,
    .type = (GwValueType)point->type,
    .access = point->access,
    .has_low = point->has_limits,
    .has_high = point->has_limits,
    .has_step = point->has_step,
    .low = point->lo,
    .high = point->hi,
    .step = point->step,
    .has_unsafe = point->unsafe,
    .unsafe = point->unsafe,
  };
  if (point->unit != NULL)
    out->unit = gw_text (point->unit);
}

/* The revision is a digest of the descriptions as they go over the wire. */
static int
count_points (GwEp *ep)
{
  mbedtls_sha256_context sha;
  uint8_t digest[GW_SHA256_LEN];
  const GwEpPoint *point;
  GwDataPoint described;
  GwCborWriter w;
  GwReader r;
  int status = GW_OK;

  mbedtls_sha256_init (&sha);
  (void)mbedtls_sha256_starts_ret (&sha, 0);
  ep->data.n_points = 0;
  while (status == GW_OK && (point = point_at (ep, ep->data.n_points)) != NULL)
    {
      gw_cbor_writer_init (&w, ep->io, sizeof ep->io);
      describe_point (point, &described);
      if (ep->data.n_points == GW_EP_POINTS_MAX)
        status = GW_E_LIMIT;
      else if (!gw_data_name_is_valid (described.name) || find_point (ep, point->id, NULL) != NULL
               || !gw_data_add_point (&w, &described))
        status = GW_E_INVALID;
      (void)mbedtls_sha256_update_ret (&sha, ep->io, w.len);
      ep->data.n_points++;
    }
  if (mbedtls_sha256_finish_ret (&sha, digest) != 0)
    status = GW_E_CRYPTO;
  mbedtls_sha256_free (&sha);
  gw_reader_init (&r, digest, sizeof digest);
  ep->data.revision = gw_reader_u32be (&r);
  return status;
}

int
gw_ep_data_load (GwEp *ep)
{
  memset (&ep->data, 0, sizeof ep->data);
  return count_points (ep);
}

void
gw_ep_data_forget (GwEp *ep)
{
  memset (ep->data.commands, 0, sizeof ep->data.commands);
  memset (ep->data.watches, 0, sizeof ep->data.watches);
}

static int
describe (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwDataDescribeReq req;
  GwDataDescribeRsp rsp = { .count = (uint32_t)ep->data.n_points, .revision = ep->data.revision };
  GwDataPoint point;
  size_t i;

  if (gw_data_describe_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.index > ep->data.n_points)
    return GW_SMP_RC_NO_ENTRY;
  gw_data_describe_rsp_begin (&rsp, w);
  for (i = req.index; i < ep->data.n_points; i++)
    {
      describe_point (point_at (ep, i), &point);
      if (!gw_data_add_point (w, &point))
        break;
    }
  if (i == req.index && i < ep->data.n_points)
    return GW_SMP_RC_TOO_LARGE;
  gw_data_end (w);
  return GW_EP_OK;
}

/* ---- Reading ---- */

static void
make_record (const GwEpPoint *point, const GwEpValue *value, GwDataRecord *out)
{
  memset (out, 0, sizeof *out);
  out->name = gw_text (point->name);
  if (point->unit != NULL)
    out->unit = gw_text (point->unit);
  out->value = to_wire (value);
}

static int
read_point (GwEp *ep, uint32_t id, const GwEpPoint **point, GwEpValue *value)
{
  *point = find_point (ep, id, NULL);
  if (*point == NULL)
    return GW_EP_GROUP_ERROR (GW_DATA_ERR_NO_POINT);
  if (((*point)->access & GW_EP_ACCESS_READ) == 0)
    return GW_SMP_RC_NOT_SUPPORTED;
  memset (value, 0, sizeof *value);
  if (ep->platform->point_read (ep->platform->ctx, id, value) != GW_OK || !is_valid (*point, value))
    return GW_SMP_RC_BAD_STATE;
  return GW_EP_OK;
}

static int
read_points (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwDataReadReq req;
  GwDataRecord record;
  const GwEpPoint *point;
  GwEpValue value;
  size_t i;
  int result;

  if (gw_data_read_req_decode (body, &req) != GW_OK || req.index >= req.n_ids)
    return GW_SMP_RC_INVALID;
  gw_data_read_rsp_begin (w);
  for (i = req.index; i < req.n_ids; i++)
    {
      result = read_point (ep, req.ids[i], &point, &value);
      if (result != GW_EP_OK)
        return result;
      make_record (point, &value, &record);
      if (!gw_data_add_record (w, &record))
        break;
    }
  if (i == req.index)
    return GW_SMP_RC_TOO_LARGE;
  gw_data_end (w);
  return GW_EP_OK;
}

/* ---- Commands ---- */

static GwEpCommandRecord *
find_request (GwEp *ep, const uint8_t request[GW_DATA_REQUEST_LEN])
{
  size_t i;

  for (i = 0; i < GW_DATA_REQUESTS_KEPT; i++)
    if (ep->data.commands[i].used && memcmp (ep->data.commands[i].request, request, GW_DATA_REQUEST_LEN) == 0)
      return &ep->data.commands[i];
  return NULL;
}

static GwEpCommandRecord *
new_request (GwEp *ep, const uint8_t request[GW_DATA_REQUEST_LEN])
{
  GwEpCommandRecord *record = &ep->data.commands[ep->data.next_command];

  ep->data.next_command = (uint8_t)((ep->data.next_command + 1u) % GW_DATA_REQUESTS_KEPT);
  memset (record, 0, sizeof *record);
  record->used = true;
  memcpy (record->request, request, GW_DATA_REQUEST_LEN);
  return record;
}

static int
act (GwEp *ep, const GwDataWriteReq *req, GwEpValue *actual)
{
  const GwEpPoint *point = find_point (ep, req->id, NULL);
  GwEpValue value;
  int result;

  if (point == NULL)
    return GW_EP_GROUP_ERROR (GW_DATA_ERR_NO_POINT);
  if ((point->access & GW_EP_ACCESS_WRITE) == 0)
    return GW_EP_GROUP_ERROR (GW_DATA_ERR_NOT_WRITABLE);
  result = from_wire (&req->value, point->type, &value);
  if (result != GW_EP_OK)
    return result;
  if (!in_range (point, &value))
    return GW_EP_GROUP_ERROR (GW_DATA_ERR_RANGE);
  if (gw_ep_uptime (ep) > req->by_ms)
    return GW_EP_GROUP_ERROR (GW_DATA_ERR_EXPIRED);
  *actual = value;
  switch (ep->platform->point_write (ep->platform->ctx, point->id, &value, actual))
    {
    case GW_OK:
      return is_valid (point, actual) ? GW_EP_OK : GW_SMP_RC_UNKNOWN;
    case GW_E_NOT_FOUND:
      return GW_EP_GROUP_ERROR (GW_DATA_ERR_NO_POINT);
    case GW_E_STATE:
    case GW_E_AGAIN:
    case GW_E_DENIED:
      return GW_EP_GROUP_ERROR (GW_DATA_ERR_INTERLOCK);
    default:
      return GW_SMP_RC_UNKNOWN;
    }
}

static int
write_point (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwDataWriteReq req;
  GwDataWriteRsp rsp = { 0 };
  GwEpCommandRecord *record;

  if (gw_data_write_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  record = find_request (ep, req.request);
  rsp.has_duplicate = rsp.duplicate = record != NULL;
  if (record == NULL)
    {
      record = new_request (ep, req.request);
      record->result = act (ep, &req, &record->value);
    }
  if (record->result != GW_EP_OK)
    return record->result;
  rsp.value = to_wire (&record->value);
  rsp.uptime_ms = gw_ep_uptime (ep);
  gw_data_write_rsp_encode (&rsp, w);
  return GW_EP_OK;
}

static int
command_status (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwDataStatusReq req;
  GwDataStatusRsp rsp = { 0 };
  const GwEpCommandRecord *record;

  if (gw_data_status_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  record = find_request (ep, req.request);
  if (record == NULL)
    return GW_SMP_RC_NO_ENTRY;
  rsp.state = record->result == GW_EP_OK ? GW_DATA_COMMAND_DONE : GW_DATA_COMMAND_REFUSED;
  rsp.has_value = record->result == GW_EP_OK;
  if (rsp.has_value)
    rsp.value = to_wire (&record->value);
  gw_data_status_rsp_encode (&rsp, w);
  return GW_EP_OK;
}

/* ---- Watching ---- */

static int
watch (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwDataWatch req;
  const GwEpPoint *point;
  GwEpWatch *entry;
  size_t i, index = 0;

  if (gw_data_watch_decode (body, &req) != GW_OK || (req.max_ms != 0 && req.min_ms > req.max_ms))
    return GW_SMP_RC_INVALID;
  for (i = 0; i < req.n_ids; i++)
    {
      point = find_point (ep, req.ids[i], NULL);
      if (point == NULL)
        return GW_EP_GROUP_ERROR (GW_DATA_ERR_NO_POINT);
      if ((point->access & GW_EP_ACCESS_REPORT) == 0)
        return GW_SMP_RC_NOT_SUPPORTED;
    }
  for (i = 0; i < req.n_ids; i++)
    {
      (void)find_point (ep, req.ids[i], &index);
      entry = &ep->data.watches[index];
      memset (entry, 0, sizeof *entry);
      entry->on = req.max_ms != 0;
      entry->min_ms = req.min_ms;
      entry->max_ms = req.max_ms;
      entry->has_deadband = req.has_deadband;
      entry->deadband = req.deadband;
    }
  gw_smp_empty_encode (w);
  return GW_EP_OK;
}

/* The next look: at the period asked for, and in time for the longest silence. */
static uint64_t
sample_due (const GwEpWatch *entry, uint64_t now)
{
  uint64_t due = entry->sampled_at + entry->min_ms;

  if (!entry->has_sample)
    return now;
  if (entry->has_last)
    due = gw_ep_earlier (due, entry->reported_at + entry->max_ms);
  if (due < entry->sampled_at + GW_EP_SAMPLE_MIN_MS)
    due = entry->sampled_at + GW_EP_SAMPLE_MIN_MS;
  return due;
}

static bool
has_moved (const GwEpWatch *entry, const GwEpValue *value)
{
  double before, after;

  if (entry->has_deadband && as_number (&entry->last, &before) && as_number (value, &after))
    return fabs (after - before) > entry->deadband;
  return !value_equal (&entry->last, value);
}

/* Reads a watched point that is due; true: the value is to be reported. */
static bool
sample (GwEp *ep, size_t index, uint64_t now, GwEpValue *value)
{
  GwEpWatch *entry = &ep->data.watches[index];
  const GwEpPoint *point = point_at (ep, index);

  entry->has_sample = true;
  entry->sampled_at = now;
  memset (value, 0, sizeof *value);
  if (ep->platform->point_read (ep->platform->ctx, point->id, value) != GW_OK || !is_valid (point, value))
    return false;
  if (entry->has_last && now - entry->reported_at < entry->max_ms && !has_moved (entry, value))
    return false;
  entry->has_last = true;
  entry->last = *value;
  entry->reported_at = now;
  return true;
}

uint64_t
gw_ep_data_poll (GwEp *ep, uint64_t now)
{
  GwEpReportBuilder builder;
  uint64_t next = GW_EP_NEVER;
  GwEpWatch *entry;
  GwEpValue value;
  size_t i;

  gw_ep_report_begin (ep, &builder, now);
  for (i = 0; i < ep->data.n_points; i++)
    {
      entry = &ep->data.watches[i];
      if (!entry->on)
        continue;
      if (now >= sample_due (entry, now) && sample (ep, i, now, &value))
        gw_ep_report_add (&builder, i, &value);
      next = gw_ep_earlier (next, sample_due (entry, now));
    }
  gw_ep_report_end (&builder);
  return next;
}

/* ---- Reports of the application ---- */

int
gw_ep_report (GwEp *ep, const GwEpRecord *records, size_t n)
{
  GwEpReportBuilder builder;
  const GwEpPoint *point;
  size_t i, index = 0;

  if (!ep->on || ep->busy)
    return GW_E_STATE;
  if (n == 0 || n > GW_EP_RECORDS_MAX)
    return GW_E_INVALID;
  for (i = 0; i < n; i++)
    {
      point = find_point (ep, records[i].id, NULL);
      if (point == NULL || !is_valid (point, &records[i].value))
        return GW_E_INVALID;
    }
  gw_ep_report_begin (ep, &builder, gw_ep_now (ep));
  for (i = 0; i < n; i++)
    {
      (void)find_point (ep, records[i].id, &index);
      gw_ep_report_add (&builder, index, &records[i].value);
    }
  gw_ep_report_end (&builder);
  return GW_OK;
}

int
gw_ep_event (GwEp *ep, unsigned level, uint32_t code, const char *message)
{
  size_t len = message != NULL ? strlen (message) : 0;

  if (!ep->on || ep->busy)
    return GW_E_STATE;
  if (level > 7)
    return GW_E_INVALID;
  /* Cut at a character, not inside one. */
  if (len > GW_EP_TEXT_MAX)
    for (len = GW_EP_TEXT_MAX; len > 0 && ((uint8_t)message[len] & 0xc0u) == 0x80u;)
      len--;
  if (len > 0 && !gw_text_is_clean (message, len))
    return GW_E_INVALID;
  gw_ep_queue_event (ep, (uint8_t)level, code, message, len, gw_ep_now (ep));
  return GW_OK;
}

const GwEpCommand gw_ep_data_commands[] = {
  { GW_SMP_GROUP_DATA, GW_DATA_DESCRIBE, GW_SMP_OP_READ, false, describe },
  { GW_SMP_GROUP_DATA, GW_DATA_READ, GW_SMP_OP_READ, false, read_points },
  { GW_SMP_GROUP_DATA, GW_DATA_WRITE, GW_SMP_OP_WRITE, false, write_point },
  { GW_SMP_GROUP_DATA, GW_DATA_WATCH, GW_SMP_OP_WRITE, false, watch },
  { GW_SMP_GROUP_DATA, GW_DATA_COMMAND_STATUS, GW_SMP_OP_READ, false, command_status },
};
const size_t gw_ep_data_n_commands = sizeof gw_ep_data_commands / sizeof gw_ep_data_commands[0];
