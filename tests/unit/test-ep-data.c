/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gw_data: points, commands, watches, and the queue of reports and events. */

#include <math.h>
#include <string.h>

#include "gw-data-codec.h"
#include "gw-ep-data.h"
#include "gw-ep-queue.h"
#include "test-ep-lab.h"

#define GROUP(n) (0x10000 | (n))
#define BY_NEVER G_MAXINT64

static GBytes *
call (Lab *lab, guint8 op, guint8 command, GBytes *body)
{
  return lab_request (lab, op, GW_SMP_GROUP_DATA, command, body);
}

static Lab *
owned_lab (guint64 seed)
{
  Lab *lab = lab_new (seed);

  lab_connect (lab);
  lab_own (lab);
  return lab;
}

static void
set_value (Lab *lab, guint index, GwEpValue value)
{
  lab->values[index] = value;
  lab->has_value[index] = TRUE;
}

static GwEpValue
number (double f)
{
  return (GwEpValue){ .type = GW_EP_FLOAT, .u.f = f };
}

static GwEpValue
text (const char *s, GwEpType type)
{
  GwEpValue value = { .type = type, .u.s.len = (guint8)strlen (s) };

  memcpy (value.u.s.octets, s, strlen (s));
  return value;
}

/* ---- Describe, read ---- */

static void
test_describe (void)
{
  g_autoptr (Lab) lab = owned_lab (1);
  GwDataDescribeReq req = { 0 };
  GwDataDescribeRsp rsp;
  GwDataPoint point;
  guint64 revision = 0;
  guint n = 0;

  do
    {
      g_autoptr (GBytes) body = NULL;

      req.index = n;
      body = call (lab, GW_SMP_OP_READ, GW_DATA_DESCRIBE, LAB_BODY (gw_data_describe_req_encode (&req, w)));
      g_assert_cmpint (gw_data_describe_rsp_decode (lab_bytes (body), &rsp), ==, GW_OK);
      g_assert_cmpuint (rsp.count, ==, 6);
      if (n > 0)
        g_assert_cmpuint (rsp.revision, ==, revision);
      revision = rsp.revision;
      g_assert_cmpuint (rsp.points.n, >, 0);
      while (gw_data_points_next (&rsp.points, &point))
        {
          if (n == 1)
            {
              g_assert_cmpuint (point.id, ==, 2);
              g_assert_true (gw_text_equal (point.name, "valve"));
              g_assert_true (gw_text_equal (point.unit, "%"));
              g_assert_cmpint (point.type, ==, GW_VALUE_INT);
              g_assert_cmpuint (point.access, ==, 7);
              g_assert_true (point.has_low && point.has_high && point.has_step && point.unsafe);
              g_assert_cmpfloat (point.low, ==, 0);
              g_assert_cmpfloat (point.high, ==, 100);
              g_assert_cmpfloat (point.step, ==, 5);
            }
          if (n == 2)
            g_assert_false (point.has_unit || point.has_low || point.has_step || point.has_unsafe);
          n++;
        }
    }
  while (n < rsp.count);
  g_assert_cmpuint (n, ==, 6);
  req.index = 6;
  {
    g_autoptr (GBytes) body
        = call (lab, GW_SMP_OP_READ, GW_DATA_DESCRIBE, LAB_BODY (gw_data_describe_req_encode (&req, w)));

    g_assert_cmpint (gw_data_describe_rsp_decode (lab_bytes (body), &rsp), ==, GW_OK);
    g_assert_cmpuint (rsp.points.n, ==, 0);
  }
  req.index = 7;
  {
    g_autoptr (GBytes) body
        = call (lab, GW_SMP_OP_READ, GW_DATA_DESCRIBE, LAB_BODY (gw_data_describe_req_encode (&req, w)));

    g_assert_cmpint (lab_result (body), ==, GW_SMP_RC_NO_ENTRY);
  }
}

static GBytes *
read_points (Lab *lab, guint32 index, guint n, const guint32 *ids)
{
  GwDataReadReq req = { .n_ids = n, .index = index };

  memcpy (req.ids, ids, n * sizeof *ids);
  return call (lab, GW_SMP_OP_READ, GW_DATA_READ, LAB_BODY (gw_data_read_req_encode (&req, w)));
}

static void
test_read (void)
{
  g_autoptr (Lab) lab = owned_lab (2);
  const guint32 ids[] = { 1, 2, 3, 4, 5 }, unknown[] = { 1, 99 }, write_only[] = { 60 };
  g_autoptr (GBytes) body = NULL;
  g_autoptr (GBytes) none = NULL;
  g_autoptr (GBytes) bad = NULL;
  g_autoptr (GBytes) closed = NULL;
  GwDataReadRsp rsp;
  GwDataRecord record;

  none = read_points (lab, 0, 1, ids);
  g_assert_cmpint (lab_result (none), ==, GW_SMP_RC_BAD_STATE); /* no value yet */
  set_value (lab, 0, number (21.5));
  set_value (lab, 1, (GwEpValue){ .type = GW_EP_INT, .u.i = -3 });
  set_value (lab, 2, (GwEpValue){ .type = GW_EP_BOOL, .u.b = true });
  set_value (lab, 3, text ("door A", GW_EP_TEXT));
  set_value (lab, 4, text ("\1\2", GW_EP_BYTES));
  body = read_points (lab, 0, 5, ids);
  g_assert_cmpint (gw_data_read_rsp_decode (lab_bytes (body), &rsp), ==, GW_OK);
  g_assert_cmpuint (rsp.records.n, ==, 5);
  g_assert_true (gw_data_records_next (&rsp.records, &record));
  g_assert_true (gw_text_equal (record.name, "temperature"));
  g_assert_true (gw_text_equal (record.unit, "Cel"));
  g_assert_cmpfloat (record.value.d, ==, 21.5);
  g_assert_true (gw_data_records_next (&rsp.records, &record));
  g_assert_cmpint (record.value.i, ==, -3);
  g_assert_true (gw_data_records_next (&rsp.records, &record));
  g_assert_true (record.value.b);
  g_assert_true (gw_data_records_next (&rsp.records, &record));
  g_assert_true (gw_text_equal (record.value.text, "door A"));
  g_assert_true (gw_data_records_next (&rsp.records, &record));
  g_assert_cmpmem (record.value.bytes.ptr, record.value.bytes.len, "\1\2", 2);

  bad = read_points (lab, 0, 2, unknown);
  g_assert_cmpint (lab_result (bad), ==, GROUP (GW_DATA_ERR_NO_POINT));
  closed = read_points (lab, 0, 1, write_only);
  g_assert_cmpint (lab_result (closed), ==, GW_SMP_RC_NOT_SUPPORTED);
}

/* Long texts do not fit into one answer: the rest is asked for by index. */
static void
test_read_pages (void)
{
  g_autoptr (Lab) lab = owned_lab (3);
  const guint32 ids[] = { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 };
  g_autofree char *filler = g_strnfill (GW_EP_TEXT_MAX, 'x');
  guint n = 0, pages = 0;

  set_value (lab, 3, text (filler, GW_EP_TEXT));
  while (n < 10)
    {
      g_autoptr (GBytes) body = read_points (lab, n, 10, ids);
      GwDataReadRsp rsp;

      g_assert_cmpint (gw_data_read_rsp_decode (lab_bytes (body), &rsp), ==, GW_OK);
      g_assert_cmpuint (rsp.records.n, >, 0);
      n += (guint)rsp.records.n;
      pages++;
    }
  g_assert_cmpuint (n, ==, 10);
  g_assert_cmpuint (pages, >, 1);
}

/* A sensor that gives nonsense gives nothing. */
static void
test_read_nonsense (void)
{
  g_autoptr (Lab) lab = owned_lab (4);
  const guint32 ids[] = { 1 };
  const GwEpValue bad[] = { number (NAN), number (INFINITY), { .type = GW_EP_INT, .u.i = 1 } };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GBytes) body = NULL;

      set_value (lab, 0, bad[i]);
      body = read_points (lab, 0, 1, ids);
      g_assert_cmpint (lab_result (body), ==, GW_SMP_RC_BAD_STATE);
    }
}

/* ---- Commands ---- */

static int
write_value (Lab *lab, guint8 rq, guint32 id, GwValue value, guint64 by, GwDataWriteRsp *rsp)
{
  GwDataWriteReq req = { .request = { rq }, .id = id, .value = value, .by_ms = by };
  static GBytes *kept;
  int result;

  g_clear_pointer (&kept, g_bytes_unref);
  kept = call (lab, GW_SMP_OP_WRITE, GW_DATA_WRITE, LAB_BODY (gw_data_write_req_encode (&req, w)));
  result = lab_result (kept);
  if (result == 0)
    g_assert_cmpint (gw_data_write_rsp_decode (lab_bytes (kept), rsp), ==, GW_OK);
  return result;
}

static int
status (Lab *lab, guint8 rq, GwDataStatusRsp *rsp)
{
  GwDataStatusReq req = { .request = { rq } };
  static GBytes *kept;
  int result;

  g_clear_pointer (&kept, g_bytes_unref);
  kept = call (lab, GW_SMP_OP_READ, GW_DATA_COMMAND_STATUS, LAB_BODY (gw_data_status_req_encode (&req, w)));
  result = lab_result (kept);
  if (result == 0)
    g_assert_cmpint (gw_data_status_rsp_decode (lab_bytes (kept), rsp), ==, GW_OK);
  return result;
}

static void
test_write (void)
{
  g_autoptr (Lab) lab = owned_lab (5);
  GwDataWriteRsp rsp;
  GwDataStatusRsp st;

  lab_advance (lab, 500);
  g_assert_cmpint (write_value (lab, 1, 2, gw_value_int (40), BY_NEVER, &rsp), ==, 0);
  g_assert_cmpint (rsp.value.i, ==, 40);
  g_assert_cmpuint (rsp.uptime_ms, ==, 500);
  g_assert_false (rsp.duplicate);
  g_assert_cmpuint (lab->writes, ==, 1);
  g_assert_cmpint (lab->values[1].u.i, ==, 40);

  /* The same request once more, even with another value: not done again. */
  g_assert_cmpint (write_value (lab, 1, 2, gw_value_int (90), BY_NEVER, &rsp), ==, 0);
  g_assert_cmpint (rsp.value.i, ==, 40);
  g_assert_true (rsp.duplicate);
  g_assert_cmpuint (lab->writes, ==, 1);

  g_assert_cmpint (status (lab, 1, &st), ==, 0);
  g_assert_cmpint (st.state, ==, GW_DATA_COMMAND_DONE);
  g_assert_cmpint (st.value.i, ==, 40);
  g_assert_cmpint (status (lab, 77, &st), ==, GW_SMP_RC_NO_ENTRY);
  /* Over a new session of the same boot it is still known, after a restart not. */
  gw_ep_link (lab->ep, false);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  g_assert_cmpint (status (lab, 1, &st), ==, 0);
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpint (status (lab, 1, &st), ==, GW_SMP_RC_NO_ENTRY);
}

static void
test_write_types (void)
{
  g_autoptr (Lab) lab = owned_lab (6);
  GwDataWriteRsp rsp;
  guint8 rq = 1;

  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_float (40.0), BY_NEVER, &rsp), ==, 0);
  g_assert_cmpint (rsp.value.type, ==, GW_VALUE_INT);
  g_assert_cmpint (write_value (lab, rq++, 60, gw_value_int (20), BY_NEVER, &rsp), ==, 0);
  g_assert_cmpint (lab->values[5].type, ==, GW_EP_FLOAT);
  g_assert_cmpint (write_value (lab, rq++, 4, gw_value_text ("label"), BY_NEVER, &rsp), ==, 0);
  g_assert_true (gw_text_equal (rsp.value.text, "label"));
  g_assert_cmpint (write_value (lab, rq++, 4, gw_value_text (""), BY_NEVER, &rsp), ==, 0);

  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_float (40.5), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_float (1e300), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_float (0x1p60), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_bool (true), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_text ("40"), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 4, gw_value_bytes ("x", 1), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpint (write_value (lab, rq++, 4, gw_value_int (4), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_TYPE));
  g_assert_cmpuint (lab->writes, ==, 4);
}

static void
test_write_refusals (void)
{
  g_autoptr (Lab) lab = owned_lab (7);
  g_autofree char *filler = g_strnfill (GW_EP_TEXT_MAX + 1, 'x');
  GwDataWriteRsp rsp;
  GwDataStatusRsp st;
  guint8 rq = 1;

  lab_advance (lab, 1000);
  g_assert_cmpint (write_value (lab, rq++, 99, gw_value_int (1), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_NO_POINT));
  g_assert_cmpint (write_value (lab, rq++, 1, gw_value_float (1), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_NOT_WRITABLE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_int (101), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_RANGE));
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_int (-1), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_RANGE));
  g_assert_cmpint (write_value (lab, rq++, 60, gw_value_float (30.001), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_RANGE));
  g_assert_cmpint (write_value (lab, rq++, 4, gw_value_text (filler), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_RANGE));
  /* By its own uptime: at the moment itself it still acts, one millisecond later not. */
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_int (1), 1000, &rsp), ==, 0);
  g_assert_cmpint (write_value (lab, rq, 2, gw_value_int (2), 999, &rsp), ==, GROUP (GW_DATA_ERR_EXPIRED));
  g_assert_cmpint (status (lab, rq++, &st), ==, 0);
  g_assert_cmpint (st.state, ==, GW_DATA_COMMAND_REFUSED);
  g_assert_false (st.has_value);
  g_assert_cmpint (lab->values[1].u.i, ==, 1);

  lab->write_result = GW_E_STATE;
  g_assert_cmpint (write_value (lab, rq, 2, gw_value_int (3), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_INTERLOCK));
  lab->write_result = GW_OK;
  /* Refused stays refused for that request. */
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_int (3), BY_NEVER, &rsp), ==,
                   GROUP (GW_DATA_ERR_INTERLOCK));
  lab->write_result = GW_E_IO;
  g_assert_cmpint (write_value (lab, rq++, 2, gw_value_int (3), BY_NEVER, &rsp), ==, GW_SMP_RC_UNKNOWN);
  g_assert_cmpuint (lab->writes, ==, 1);
}

static void
test_write_keeps_eight (void)
{
  g_autoptr (Lab) lab = owned_lab (8);
  GwDataWriteRsp rsp;
  GwDataStatusRsp st;

  for (guint8 rq = 1; rq <= 9; rq++)
    g_assert_cmpint (write_value (lab, rq, 2, gw_value_int (rq), BY_NEVER, &rsp), ==, 0);
  g_assert_cmpint (status (lab, 1, &st), ==, GW_SMP_RC_NO_ENTRY);
  for (guint8 rq = 2; rq <= 9; rq++)
    {
      g_assert_cmpint (status (lab, rq, &st), ==, 0);
      g_assert_cmpint (st.value.i, ==, rq);
    }
}

/* ---- Reports ---- */

typedef struct
{
  GBytes *raw;
  GwSmpMessage msg;
  GwDataReport report;
  GwDataEvent event;
  GwDataRecord first; /* of a report */
} Got;

static void
got_clear (Got *self)
{
  g_clear_pointer (&self->raw, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Got, got_clear)

/* The next message from the endpoint; .raw is NULL if there is none. */
static Got
get (Lab *lab)
{
  Got got = { .raw = lab_take_record (lab) };
  GwDataList list;
  GwBytes raw;

  if (!got.raw)
    return got;
  raw = lab_bytes (got.raw);
  g_assert_cmpint (gw_smp_decode (raw.ptr, raw.len, &got.msg), ==, GW_OK);
  g_assert_cmpint (got.msg.group, ==, GW_SMP_GROUP_DATA);
  g_assert_cmpint (got.msg.op, ==, GW_SMP_OP_WRITE);
  if (got.msg.command == GW_DATA_REPORT)
    {
      g_assert_cmpint (gw_data_report_decode (got.msg.body, &got.report), ==, GW_OK);
      list = got.report.records;
      g_assert_true (gw_data_records_next (&list, &got.first));
    }
  else
    g_assert_cmpint (gw_data_event_decode (got.msg.body, &got.event), ==, GW_OK);
  return got;
}

static void
report (Lab *lab, double value)
{
  GwEpRecord record = { .id = 1, .value = number (value) };

  g_assert_cmpint (gw_ep_report (lab->ep, &record, 1), ==, GW_OK);
  lab_pump (lab);
}

/* Oldest first, one on its way, the next when that is acknowledged. */
static void
test_report (void)
{
  g_autoptr (Lab) lab = owned_lab (10);
  GwEpStats stats;
  guint64 last_q;

  for (guint i = 0; i < 3; i++)
    report (lab, i);
  for (guint i = 0; i < 3; i++)
    {
      g_auto (Got) got = get (lab);
      g_auto (Got) none = get (lab);

      g_assert_nonnull (got.raw);
      g_assert_null (none.raw);
      g_assert_cmpuint (got.report.seq, ==, i + 1);
      g_assert_cmpuint (got.msg.seq, ==, i);
      g_assert_cmpmem (got.report.boot, 4, gw_ep_boot (lab->ep, &last_q), 4);
      g_assert_cmpuint (last_q, ==, 3);
      g_assert_cmpfloat (got.first.value.d, ==, i);
      g_assert_true (gw_text_equal (got.first.name, "temperature"));
      lab_ack (lab, got.raw);
    }
  lab_advance (lab, 100000);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_queued, ==, 3);
  g_assert_cmpuint (stats.reports_acked, ==, 3);
  g_assert_cmpuint (stats.reports_pending, ==, 0);
  g_assert_cmpuint (stats.reports_resent, ==, 0);
}

/* A report that waited says how long; repeated, it is the same q and request, and older. */
static void
test_report_age_and_retry (void)
{
  g_autoptr (Lab) lab = lab_new (11);
  g_auto (Got) first = { 0 };
  g_auto (Got) second = { 0 };

  lab_connect (lab);
  lab_advance (lab, 1000);
  report (lab, 1);
  lab_advance (lab, 2500);
  g_assert_cmpuint (lab->records->len, ==, 0); /* not for a stranger */
  lab_own (lab);
  lab_pump (lab);
  first = get (lab);
  g_assert_nonnull (first.raw);
  g_assert_cmpfloat_with_epsilon (first.first.base_time + first.first.time, -2.5, 1e-9);
  g_assert_cmpuint (first.report.uptime_ms, ==, 3500);
  lab_advance (lab, 1099);
  g_assert_cmpuint (lab->records->len, ==, 0);
  lab_advance (lab, 1);
  second = get (lab);
  g_assert_nonnull (second.raw);
  g_assert_cmpuint (second.msg.seq, ==, first.msg.seq);
  g_assert_cmpuint (second.report.seq, ==, 1);
  g_assert_cmpfloat_with_epsilon (second.first.base_time + second.first.time, -3.6, 1e-9);
  g_assert_cmpuint (second.report.uptime_ms, ==, 4600);
  lab_ack (lab, second.raw);
  lab_advance (lab, 50000);
  g_assert_cmpuint (lab->records->len, ==, 0);
}

/* An answer to something else, an error: the report is kept, and comes again after 1, 2, 4 .. 60 s. */
static void
test_report_refused (void)
{
  g_autoptr (Lab) lab = owned_lab (12);
  GwEpStats stats;
  guint64 wait = 1000;

  report (lab, 1);
  report (lab, 2);
  for (guint i = 0; i < 9; i++)
    {
      g_auto (Got) got = get (lab);
      GwDataAck ack = { .seq = 1 };

      g_assert_nonnull (got.raw);
      g_assert_cmpuint (got.report.seq, ==, 1);
      g_assert_cmpuint (got.msg.seq, ==, i);
      memcpy (ack.boot, got.report.boot, 4);
      if (i % 3 == 0)
        {
          guint8 error[64];
          GwCborWriter w;
          gsize len;

          /* An error, though it names the report. */
          gw_smp_begin_response (&w, error, sizeof error, &got.msg);
          gw_cbor_begin_map (&w, 3);
          gw_cbor_put_key (&w, "rc");
          gw_cbor_put_uint (&w, GW_SMP_RC_BUSY);
          gw_cbor_put_key (&w, "bt");
          gw_cbor_put_bytes (&w, ack.boot, sizeof ack.boot);
          gw_cbor_put_key (&w, "q");
          gw_cbor_put_uint (&w, 1);
          g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
          lab_send_record (lab, error, len);
        }
      else
        {
          ack.boot[0] ^= i % 3 == 1;
          ack.seq += i % 3 == 2;
          lab_answer (lab, &got.msg, LAB_BODY (gw_data_ack_encode (&ack, w)));
        }
      lab_advance (lab, wait - 1);
      g_assert_cmpuint (lab->records->len, ==, 0);
      lab_advance (lab, 1);
      g_assert_cmpuint (lab->records->len, ==, 1);
      wait = MIN (wait * 2, 60000);
      if (wait > 50000)
        break;
    }
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_pending, ==, 2);
  g_assert_cmpuint (stats.reports_acked, ==, 0);
}

/* What was not acknowledged in one session is sent in the next, and in the order it came. */
static void
test_report_new_session (void)
{
  g_autoptr (Lab) lab = owned_lab (13);
  g_auto (Got) first = { 0 };
  g_auto (Got) again = { 0 };

  report (lab, 1);
  report (lab, 2);
  first = get (lab);
  g_assert_cmpuint (first.report.seq, ==, 1);
  gw_ep_link (lab->ep, false);
  report (lab, 3);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  for (guint i = 1; i <= 3; i++)
    {
      g_auto (Got) got = get (lab);

      g_assert_nonnull (got.raw);
      g_assert_cmpuint (got.report.seq, ==, i);
      g_assert_cmpuint (got.msg.seq, ==, i - 1);
      lab_ack (lab, got.raw);
    }
}

/* A gateway that is gone altogether: after all tries the session is given up. */
static void
test_report_gateway_gone (void)
{
  g_autoptr (Lab) lab = owned_lab (14);

  lab->gateway_alive = FALSE;
  report (lab, 1);
  lab_advance (lab, 34000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  lab_advance (lab, 200);
  g_assert_cmpint (gw_ep_state (lab->ep), !=, GW_EP_SESSION);
  lab->gateway_alive = TRUE;
  lab_advance (lab, 3000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_cmpuint (lab->records->len, >, 0);
}

/* A gateway that is there but does not answer the report (its spool is full) keeps its session, and gets the
 * same request again and again. */
static void
test_report_gateway_full (void)
{
  g_autoptr (Lab) lab = owned_lab (15);
  GwSmpEcho echo = { .text = gw_text ("x") };

  report (lab, 1);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (GBytes) answer = NULL;

      lab_advance (lab, 10000);
      answer = lab_request (lab, GW_SMP_OP_WRITE, 0, 0, LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
      g_assert_nonnull (answer);
    }
  g_assert_cmpuint (lab->server_sessions, ==, 1);
  g_assert_cmpuint (lab->records->len, >, 10);
  while (lab->records->len > 0)
    {
      g_auto (Got) got = get (lab);

      g_assert_cmpuint (got.report.seq, ==, 1);
      g_assert_cmpuint (got.msg.seq, ==, 0);
      if (lab->records->len == 0)
        {
          lab_ack (lab, got.raw);
          break;
        }
    }
  {
    GwEpStats stats;

    gw_ep_stats (lab->ep, &stats);
    g_assert_cmpuint (stats.reports_acked, ==, 1);
  }
}

/* A full queue drops the oldest but the one on its way; the numbers show the gap. */
static void
test_report_overflow (void)
{
  g_autoptr (Lab) lab = owned_lab (16);
  GwEpStats stats;
  guint64 last = 0, received = 0;
  gboolean gap = FALSE;

  for (guint i = 0; i < 1000; i++)
    report (lab, i);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_queued, ==, 1000);
  g_assert_cmpuint (stats.reports_dropped, >, 500);
  g_assert_cmpuint (stats.reports_pending, ==, 1000 - stats.reports_dropped);
  for (;;)
    {
      g_auto (Got) got = get (lab);

      if (!got.raw)
        break;
      if (received == 0)
        g_assert_cmpuint (got.report.seq, ==, 1); /* it was on its way */
      else if (got.report.seq != last + 1)
        {
          g_assert_false (gap);
          g_assert_cmpuint (got.report.seq - last - 1, ==, stats.reports_dropped);
          gap = TRUE;
        }
      g_assert_cmpfloat (got.first.value.d, ==, (double)(got.report.seq - 1));
      last = got.report.seq;
      received++;
      lab_ack (lab, got.raw);
    }
  g_assert_true (gap);
  g_assert_cmpuint (last, ==, 1000);
  g_assert_cmpuint (received, ==, 1000 - stats.reports_dropped);
}

/* Without a session nothing is on its way: the very first goes too. */
static void
test_report_overflow_offline (void)
{
  g_autoptr (Lab) lab = owned_lab (26);

  report (lab, 0);
  g_ptr_array_set_size (lab->records, 0);
  gw_ep_link (lab->ep, false);
  for (guint i = 0; i < 1000; i++)
    report (lab, i);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  {
    g_auto (Got) got = get (lab);
    GwEpStats stats;

    gw_ep_stats (lab->ep, &stats);
    g_assert_cmpuint (got.report.seq, ==, stats.reports_dropped + 1);
  }
}

/* Several readings share one report; what does not fit one message becomes two. */
static void
test_report_many (void)
{
  g_autoptr (Lab) lab = owned_lab (17);
  g_autofree char *filler = g_strnfill (GW_EP_TEXT_MAX, 'x');
  GwEpRecord records[GW_EP_RECORDS_MAX + 1];
  GwEpStats stats;
  gsize n = 0;

  for (guint i = 0; i <= GW_EP_RECORDS_MAX; i++)
    records[i] = (GwEpRecord){ .id = 4, .value = text (filler, GW_EP_TEXT) };
  g_assert_cmpint (gw_ep_report (lab->ep, records, GW_EP_RECORDS_MAX + 1), ==, GW_E_INVALID);
  g_assert_cmpint (gw_ep_report (lab->ep, records, 0), ==, GW_E_INVALID);
  g_assert_cmpint (gw_ep_report (lab->ep, records, GW_EP_RECORDS_MAX), ==, GW_OK);
  lab_pump (lab);
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Got) got = get (lab);

      g_assert_nonnull (got.raw);
      n += got.report.records.n;
      lab_ack (lab, got.raw);
    }
  g_assert_cmpuint (n, ==, GW_EP_RECORDS_MAX);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_pending, ==, 0);
  g_assert_cmpuint (stats.reports_dropped, ==, 0);
}

/* Queued for a wide link, sent on a narrow one: what cannot leave any more is dropped, counted, and blocks
 * nothing. */
static void
test_report_narrower (void)
{
  g_autoptr (Lab) lab = lab_new (25);
  g_autofree char *filler = g_strnfill (GW_EP_TEXT_MAX, 'x');
  GwEpRecord records[GW_EP_RECORDS_MAX];
  GwEpStats stats;

  lab->config.mtu = GW_EP_MTU_MAX;
  g_assert_cmpint (gw_ep_set_link (lab->ep, GW_EP_MTU_MAX, 50), ==, GW_OK);
  lab_connect (lab);
  lab_own (lab);
  gw_ep_link (lab->ep, false);
  for (guint i = 0; i < GW_EP_RECORDS_MAX; i++)
    records[i] = (GwEpRecord){ .id = 4, .value = text (filler, GW_EP_TEXT) };
  g_assert_cmpint (gw_ep_report (lab->ep, records, GW_EP_RECORDS_MAX), ==, GW_OK);
  report (lab, 7);
  g_assert_cmpint (gw_ep_set_link (lab->ep, 511, 50), ==, GW_E_INVALID);
  g_assert_cmpint (gw_ep_set_link (lab->ep, 512, 50), ==, GW_OK);
  lab->config.mtu = 512;
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  {
    g_auto (Got) got = get (lab);

    g_assert_nonnull (got.raw);
    g_assert_cmpuint (got.report.seq, ==, 2);
    g_assert_cmpfloat (got.first.value.d, ==, 7);
  }
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_dropped, ==, 1);
}

static void
test_report_invalid (void)
{
  g_autoptr (Lab) lab = owned_lab (18);
  const GwEpRecord bad[] = {
    { .id = 99, .value = { .type = GW_EP_INT } },
    { .id = 1, .value = { .type = GW_EP_INT } },
    { .id = 1, .value = { .type = GW_EP_FLOAT, .u.f = NAN } },
    { .id = 4, .value = { .type = GW_EP_TEXT, .u.s.len = GW_EP_TEXT_MAX + 1 } },
    { .id = 4, .value = { .type = GW_EP_TEXT, .u.s = { .len = 1, .octets = { 0xff } } } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (gw_ep_report (lab->ep, &bad[i], 1), ==, GW_E_INVALID);
}

static void
test_event (void)
{
  g_autoptr (Lab) lab = owned_lab (19);
  g_autofree char *umlauts = NULL;
  g_autoptr (GString) many = g_string_new (NULL);

  report (lab, 1);
  g_assert_cmpint (gw_ep_event (lab->ep, 8, 1, NULL), ==, GW_E_INVALID);
  g_assert_cmpint (gw_ep_event (lab->ep, 3, 1, "bell \a"), ==, GW_E_INVALID);
  g_assert_cmpint (gw_ep_event (lab->ep, 3, 42, "too hot"), ==, GW_OK);
  g_assert_cmpint (gw_ep_event (lab->ep, 7, 43, NULL), ==, GW_OK);
  g_string_append_c (many, 'x');
  for (guint i = 0; i < 40; i++)
    g_string_append (many, "\xc3\xa4");
  g_assert_cmpint (gw_ep_event (lab->ep, 0, 44, many->str), ==, GW_OK);
  for (guint i = 0; i < 4; i++)
    {
      g_auto (Got) got = get (lab);

      g_assert_nonnull (got.raw);
      g_assert_cmpint (got.msg.command, ==, i == 0 ? GW_DATA_REPORT : GW_DATA_EVENT);
      if (i > 0)
        {
          g_assert_cmpuint (got.event.seq, ==, i + 1); /* one q for both */
          g_assert_cmpuint (got.event.code, ==, 41 + i);
        }
      if (i == 1)
        {
          g_assert_cmpuint (got.event.level, ==, 3);
          g_assert_true (gw_text_equal (got.event.message, "too hot"));
        }
      if (i == 2)
        g_assert_false (got.event.has_message);
      if (i == 3)
        g_assert_cmpuint (got.event.message.len, ==, 63); /* cut before the character that would be split */
      lab_ack (lab, got.raw);
    }
}

static void
test_reboot_is_a_new_run (void)
{
  g_autoptr (Lab) lab = owned_lab (20);
  guint8 boot[4];

  memcpy (boot, gw_ep_boot (lab->ep, NULL), 4);
  report (lab, 1);
  g_ptr_array_set_size (lab->records, 0);
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpint (memcmp (boot, gw_ep_boot (lab->ep, NULL), 4), !=, 0);
  g_assert_cmpuint (lab->records->len, ==, 0);
  report (lab, 2);
  {
    g_auto (Got) got = get (lab);

    g_assert_cmpuint (got.report.seq, ==, 1);
    g_assert_cmpmem (got.report.boot, 4, gw_ep_boot (lab->ep, NULL), 4);
  }
}

/* What an owner's endpoint measured is not for the next owner. */
static void
test_release_drops_reports (void)
{
  g_autoptr (Lab) lab = owned_lab (21);
  GwEpStats stats;

  report (lab, 1);
  report (lab, 2);
  g_ptr_array_set_size (lab->records, 0);
  g_assert_cmpint (gw_ep_factory_reset (lab->ep), ==, GW_OK);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.reports_pending, ==, 0);
  g_assert_cmpuint (stats.reports_dropped, ==, 2);
  lab_advance (lab, 3000);
  lab_own (lab);
  lab_pump (lab);
  g_assert_cmpuint (lab->records->len, ==, 0);
}

/* ---- Watches ---- */

static int
watch (Lab *lab, guint32 id, guint32 min, guint32 max, double deadband)
{
  GwDataWatch req = { .n_ids = 1,
                      .ids = { id },
                      .min_ms = min,
                      .max_ms = max,
                      .has_deadband = deadband >= 0,
                      .deadband = deadband };
  g_autoptr (GBytes) body
      = call (lab, GW_SMP_OP_WRITE, GW_DATA_WATCH, LAB_BODY (gw_data_watch_encode (&req, w)));

  return lab_result (body);
}

/* Acknowledges what came; how many. */
static guint
drain (Lab *lab)
{
  guint n = 0;

  for (;;)
    {
      g_auto (Got) got = get (lab);

      if (!got.raw)
        return n;
      n++;
      lab_ack (lab, got.raw);
    }
}

static void
test_watch (void)
{
  g_autoptr (Lab) lab = owned_lab (22);

  set_value (lab, 0, number (20));
  g_assert_cmpint (watch (lab, 1, 1000, 10000, 0.5), ==, 0);
  lab_pump (lab);
  g_assert_cmpuint (drain (lab), ==, 1); /* the present value at once */
  lab_advance (lab, 9999);
  g_assert_cmpuint (drain (lab), ==, 0);
  lab_advance (lab, 1);
  g_assert_cmpuint (drain (lab), ==, 1); /* max */
  set_value (lab, 0, number (20.5));
  lab_advance (lab, 5000);
  g_assert_cmpuint (drain (lab), ==, 0); /* within the dead band */
  set_value (lab, 0, number (20.6));
  lab_advance (lab, 1000);
  g_assert_cmpuint (drain (lab), ==, 1);
  set_value (lab, 0, number (30));
  lab_advance (lab, 999);
  g_assert_cmpuint (drain (lab), ==, 0); /* min */
  lab_advance (lab, 1);
  g_assert_cmpuint (drain (lab), ==, 1);
  /* It goes on without a session, into the queue. */
  gw_ep_link (lab->ep, false);
  lab_advance (lab, 30000);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  g_assert_cmpuint (drain (lab), ==, 3);
  g_assert_cmpint (watch (lab, 1, 0, 0, -1), ==, 0);
  lab_advance (lab, 20000);
  g_assert_cmpuint (drain (lab), ==, 0);
}

/* Points that are due together share a report; max counts even where min does not divide it. */
static void
test_watch_many (void)
{
  g_autoptr (Lab) lab = owned_lab (23);
  GwDataWatch req = { .n_ids = 3, .ids = { 1, 2, 3 }, .min_ms = 700, .max_ms = 1000 };
  g_autoptr (GBytes) body = NULL;

  set_value (lab, 0, number (1));
  set_value (lab, 1, (GwEpValue){ .type = GW_EP_INT, .u.i = 1 });
  /* The door has no value yet. */
  body = call (lab, GW_SMP_OP_WRITE, GW_DATA_WATCH, LAB_BODY (gw_data_watch_encode (&req, w)));
  g_assert_cmpint (lab_result (body), ==, 0);
  lab_pump (lab);
  {
    g_auto (Got) got = get (lab);

    g_assert_cmpuint (got.report.records.n, ==, 2);
    lab_ack (lab, got.raw);
  }
  lab_advance (lab, 999);
  g_assert_cmpuint (drain (lab), ==, 0);
  lab_advance (lab, 1);
  {
    g_auto (Got) got = get (lab);

    g_assert_cmpuint (got.report.records.n, ==, 2);
    lab_ack (lab, got.raw);
  }
  set_value (lab, 2, (GwEpValue){ .type = GW_EP_BOOL });
  lab_advance (lab, 700);
  {
    g_auto (Got) got = get (lab);

    g_assert_cmpuint (got.report.records.n, ==, 1);
    g_assert_true (gw_text_equal (got.first.name, "door"));
    lab_ack (lab, got.raw);
  }
}

static void
test_watch_limits (void)
{
  g_autoptr (Lab) lab = owned_lab (24);
  guint before;

  g_assert_cmpint (watch (lab, 99, 0, 1000, -1), ==, GROUP (GW_DATA_ERR_NO_POINT));
  g_assert_cmpint (watch (lab, 60, 0, 1000, -1), ==, GW_SMP_RC_NOT_SUPPORTED);
  g_assert_cmpint (watch (lab, 1, 1001, 1000, -1), ==, GW_SMP_RC_INVALID);
  /* As often as it likes is not as often as it can. */
  set_value (lab, 0, number (1));
  g_assert_cmpint (watch (lab, 1, 0, 1, 0), ==, 0);
  before = lab->reads;
  for (guint i = 0; i < 1000; i++)
    {
      lab_advance (lab, 1);
      drain (lab);
    }
  g_assert_cmpuint (lab->reads - before, <=, 11);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ep-data/describe", test_describe);
  g_test_add_func ("/ep-data/read", test_read);
  g_test_add_func ("/ep-data/read-pages", test_read_pages);
  g_test_add_func ("/ep-data/read-nonsense", test_read_nonsense);
  g_test_add_func ("/ep-data/write", test_write);
  g_test_add_func ("/ep-data/write-types", test_write_types);
  g_test_add_func ("/ep-data/write-refusals", test_write_refusals);
  g_test_add_func ("/ep-data/write-keeps-eight", test_write_keeps_eight);
  g_test_add_func ("/ep-data/report", test_report);
  g_test_add_func ("/ep-data/report-age-and-retry", test_report_age_and_retry);
  g_test_add_func ("/ep-data/report-refused", test_report_refused);
  g_test_add_func ("/ep-data/report-new-session", test_report_new_session);
  g_test_add_func ("/ep-data/report-gateway-gone", test_report_gateway_gone);
  g_test_add_func ("/ep-data/report-gateway-full", test_report_gateway_full);
  g_test_add_func ("/ep-data/report-overflow", test_report_overflow);
  g_test_add_func ("/ep-data/report-overflow-offline", test_report_overflow_offline);
  g_test_add_func ("/ep-data/report-many", test_report_many);
  g_test_add_func ("/ep-data/report-narrower", test_report_narrower);
  g_test_add_func ("/ep-data/report-invalid", test_report_invalid);
  g_test_add_func ("/ep-data/event", test_event);
  g_test_add_func ("/ep-data/reboot-is-a-new-run", test_reboot_is_a_new_run);
  g_test_add_func ("/ep-data/release-drops-reports", test_release_drops_reports);
  g_test_add_func ("/ep-data/watch", test_watch);
  g_test_add_func ("/ep-data/watch-many", test_watch_many);
  g_test_add_func ("/ep-data/watch-limits", test_watch_limits);
  return g_test_run ();
}
