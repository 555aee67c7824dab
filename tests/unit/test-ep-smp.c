/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of requests: numbers, repetition, retry, late answers, and the standard groups. */

#include <string.h>

#include "gw-ep-smp.h"
#include "gw-ep-time-codec.h"
#include "gw-ep-time.h"
#include "test-ep-lab.h"

#define MESSAGE_MAX 475

static gsize
message (guint8 *out, guint8 op, guint16 group, guint8 seq, guint8 command)
{
  const guint8 head[]
      = { (guint8)(8 | op), 0, 0, 1, (guint8)(group >> 8), (guint8)group, seq, command, 0xa0 };

  memcpy (out, head, sizeof head);
  return sizeof head;
}

static GwEpSmpVerdict
request (GwEpSmp *smp, guint8 seq)
{
  guint8 buf[16];
  GwSmpMessage msg;

  return gw_ep_smp_input (smp, buf, message (buf, GW_SMP_OP_READ, 0, seq, 0), 5, &msg);
}

static void
finish (GwEpSmp *smp)
{
  GwCborWriter w;

  gw_ep_smp_begin_answer (smp, &w, MESSAGE_MAX);
  gw_smp_empty_encode (&w);
  g_assert_true (gw_ep_smp_finish (smp, &w, MESSAGE_MAX, GW_EP_OK));
}

static void
test_numbers (void)
{
  g_autofree GwEpSmp *smp = g_new (GwEpSmp, 1);

  gw_ep_smp_start (smp, 0);
  g_assert_cmpint (request (smp, 255), ==, GW_EP_SMP_DROP); /* nothing to repeat */
  g_assert_cmpint (request (smp, 1), ==, GW_EP_SMP_DROP);   /* the first is 0 */
  for (guint i = 0; i < 600; i++)
    {
      guint8 seq = (guint8)i;

      g_assert_cmpint (request (smp, seq), ==, GW_EP_SMP_EXECUTE);
      g_assert_cmpint (request (smp, seq), ==, GW_EP_SMP_DROP);               /* still running */
      g_assert_cmpint (request (smp, (guint8)(seq + 1)), ==, GW_EP_SMP_DROP); /* one at a time */
      finish (smp);
      g_assert_cmpint (request (smp, seq), ==, GW_EP_SMP_REPEAT);
      g_assert_cmpint (request (smp, (guint8)(seq - 1)), ==, GW_EP_SMP_DROP);
      g_assert_cmpint (request (smp, (guint8)(seq + 2)), ==, GW_EP_SMP_DROP);
    }
}

static void
test_errors (void)
{
  g_autofree GwEpSmp *smp = g_new (GwEpSmp, 1);
  const guint8 rc[] = { 0x09, 0, 0, 5, 0, 0, 0, 0, 0xa1, 0x62, 'r', 'c', 0x0b };
  GwCborWriter w;

  gw_ep_smp_start (smp, 0);
  g_assert_false (gw_ep_smp_finish (smp, &w, MESSAGE_MAX, GW_EP_OK)); /* nothing runs */
  request (smp, 0);
  gw_ep_smp_begin_answer (smp, &w, MESSAGE_MAX);
  g_assert_true (gw_ep_smp_finish (smp, &w, MESSAGE_MAX, GW_SMP_RC_ACCESS_DENIED));
  g_assert_cmpmem (smp->answer, smp->answer_len, rc, sizeof rc);

  /* A body that does not fit is an error, not half a body. */
  request (smp, 1);
  gw_ep_smp_begin_answer (smp, &w, 20);
  gw_cbor_put_text (&w, gw_text ("longer than there is room for"));
  g_assert_true (gw_ep_smp_finish (smp, &w, 20, GW_EP_OK));
  g_assert_cmpuint (smp->answer_len, ==, 13);
  g_assert_cmpuint (smp->answer[12], ==, GW_SMP_RC_TOO_LARGE);
}

static GwEpSmpVerdict
answer (GwEpSmp *smp, guint8 op, guint16 group, guint8 seq, guint8 command)
{
  guint8 buf[16];
  GwSmpMessage msg;

  return gw_ep_smp_input (smp, buf, message (buf, op, group, seq, command), 5, &msg);
}

static void
test_requester (void)
{
  g_autofree GwEpSmp *smp = g_new (GwEpSmp, 1);
  guint64 now = 1000, gap;

  gw_ep_smp_start (smp, now);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 9, 0, 4), ==, GW_EP_SMP_DROP);
  gw_ep_smp_begin_request (smp, GW_SMP_OP_WRITE, 9, 4, now, 50);
  g_assert_cmpuint (smp->seq, ==, 0);
  g_assert_cmpint (answer (smp, GW_SMP_OP_READ_RSP, 9, 0, 4), ==, GW_EP_SMP_DROP);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 8, 0, 4), ==, GW_EP_SMP_DROP);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 9, 1, 4), ==, GW_EP_SMP_DROP);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 9, 0, 5), ==, GW_EP_SMP_DROP);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 9, 0, 4), ==, GW_EP_SMP_ANSWER);
  g_assert_cmpint (answer (smp, GW_SMP_OP_WRITE_RSP, 9, 0, 4), ==, GW_EP_SMP_DROP);

  /* 1.1, 2.2, 4.4, 8.8, 17.6 s; then it is over if the gateway was silent, else it goes on at 17.6 s. */
  gw_ep_smp_start (smp, now);
  gw_ep_smp_begin_request (smp, GW_SMP_OP_WRITE, 9, 4, now, 50);
  gap = 1100;
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpint (gw_ep_smp_tick (smp, now + gap - 1, 50), ==, GW_EP_SMP_WAIT);
      now += gap;
      g_assert_cmpint (gw_ep_smp_tick (smp, now, 50), ==, GW_EP_SMP_RETRY);
      g_assert_cmpuint (smp->seq, ==, 0);
      gap *= 2;
    }
  now += gap;
  g_assert_cmpint (gw_ep_smp_tick (smp, now - 1, 50), ==, GW_EP_SMP_WAIT);
  smp->heard_at = now - 5000;
  g_assert_cmpint (gw_ep_smp_tick (smp, now, 50), ==, GW_EP_SMP_RETRY);
  smp->heard_at = 1000;
  now += gap;
  g_assert_cmpint (gw_ep_smp_tick (smp, now - 1, 50), ==, GW_EP_SMP_WAIT);
  g_assert_cmpint (gw_ep_smp_tick (smp, now, 50), ==, GW_EP_SMP_LOST);
}

/* The same by the wire: a lost answer is got by asking again, and nothing is done twice. */
static void
test_repeat_by_wire (void)
{
  g_autoptr (Lab) lab = lab_new (1);
  GwSmpEcho echo = { .text = gw_text ("once") };
  GwEpStats stats;
  g_autoptr (GBytes) first = NULL;
  g_autoptr (GBytes) second = NULL;

  lab_connect (lab);
  lab_send_request (lab, GW_SMP_OP_WRITE, 0, 0, 0, LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  first = lab_take_record (lab);
  lab_send_request (lab, GW_SMP_OP_WRITE, 0, 0, 0, LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  second = lab_take_record (lab);
  g_assert_true (g_bytes_equal (first, second));
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.requests_in, ==, 1);
  g_assert_cmpuint (stats.repeats_in, ==, 1);
  lab_send_request (lab, GW_SMP_OP_WRITE, 0, 0, 5, LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  g_assert_null (lab_take_record (lab));
  /* A new session begins at 0 again. */
  lab_power_cycle (lab);
  lab_connect (lab);
  lab_send_request (lab, GW_SMP_OP_WRITE, 0, 0, 1, LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  g_assert_null (lab_take_record (lab));
}

static void
test_standard_groups (void)
{
  g_autoptr (Lab) lab = lab_new (2);
  GwSmpEcho echo = { .text = gw_text ("hello") };
  GwSmpParams params;
  GwSmpEnumReq ask = { 0 };
  GwSmpEnumRsp groups;
  GwSmpInfoRsp info;
  guint16 id;
  g_autoptr (GBytes) a = NULL;
  g_autoptr (GBytes) b = NULL;
  g_autoptr (GBytes) c = NULL;
  g_autoptr (GBytes) d = NULL;
  g_autoptr (GBytes) e = NULL;
  g_autoptr (GBytes) f = NULL;
  g_autoptr (GBytes) g = NULL;

  lab_connect (lab);
  a = lab_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_ECHO,
                   LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  g_assert_cmpint (gw_smp_echo_rsp_decode (lab_bytes (a), &echo), ==, GW_OK);
  g_assert_true (gw_text_equal (echo.text, "hello"));

  b = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_OS, GW_SMP_OS_PARAMS, lab_empty ());
  g_assert_cmpint (gw_smp_params_rsp_decode (lab_bytes (b), &params), ==, GW_OK);
  g_assert_cmpuint (params.buf_size, ==, 512 - GW_DTLS_RECORD_OVERHEAD);
  g_assert_cmpuint (params.buf_count, ==, 1);

  c = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_ENUM, GW_SMP_ENUM_DETAILS,
                   LAB_BODY (gw_smp_enum_req_encode (&ask, w)));
  g_assert_cmpint (gw_smp_enum_rsp_decode (lab_bytes (c), &groups), ==, GW_OK);
  g_assert_cmpint (gw_smp_enum_find (&groups, "gw_ident", &id), ==, GW_OK);
  g_assert_cmpuint (id, ==, GW_SMP_GROUP_IDENT);
  g_assert_cmpint (gw_smp_enum_find (&groups, "gw_data", &id), ==, GW_OK);
  g_assert_cmpuint (id, ==, GW_SMP_GROUP_DATA);
  ask.n_groups = 1;
  ask.groups[0] = GW_SMP_GROUP_DATA;
  d = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_ENUM, GW_SMP_ENUM_DETAILS,
                   LAB_BODY (gw_smp_enum_req_encode (&ask, w)));
  g_assert_cmpint (gw_smp_enum_rsp_decode (lab_bytes (d), &groups), ==, GW_OK);
  g_assert_cmpuint (groups.n_groups, ==, 1);

  lab_own (lab);
  e = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_OS, GW_SMP_OS_INFO, lab_empty ());
  g_assert_cmpint (gw_smp_info_rsp_decode (lab_bytes (e), &info), ==, GW_OK);
  g_assert_true (gw_text_equal (info.output, "T1 1.2.3"));

  /* The answer leaves before the chip restarts. */
  f = lab_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_RESET, lab_empty ());
  g_assert_cmpint (lab_result (f), ==, 0);
  g_assert_cmpuint (lab->resets, ==, 0);
  lab_advance (lab, 1000);
  g_assert_cmpuint (lab->resets, ==, 1);

  g = lab_request (lab, GW_SMP_OP_READ, 77, 0, lab_empty ());
  g_assert_cmpint (lab_result (g), ==, GW_SMP_RC_NOT_SUPPORTED);
}

/* Bodies that are not what the command takes. */
static void
test_malformed (void)
{
  g_autoptr (Lab) lab = lab_new (3);
  const guint8 bad[] = { 0xa1, 0x61 };
  const guint16 groups[] = { GW_SMP_GROUP_OS, GW_SMP_GROUP_IDENT, GW_SMP_GROUP_DATA, GW_SMP_GROUP_ENUM };

  lab_connect (lab);
  lab_own (lab);
  for (guint g = 0; g < G_N_ELEMENTS (groups); g++)
    for (guint8 command = 0; command < 12; command++)
      for (guint8 op = 0; op <= 2; op += 2)
        {
          g_autoptr (GBytes) a = lab_request (lab, op, groups[g], command, g_bytes_new (bad, sizeof bad));
          int result = lab_result (a);

          g_assert_true (result == GW_SMP_RC_INVALID || result == GW_SMP_RC_NOT_SUPPORTED);
        }
  g_assert_cmpuint (lab->resets, ==, 0);
}

/* Against GLib's calendar. */
static void
test_time (void)
{
  const int dates[][3]
      = { { 1970, 1, 1 },  { 1972, 2, 29 }, { 2000, 2, 29 },  { 2000, 3, 1 },  { 2023, 2, 28 },
          { 2023, 3, 1 },  { 2024, 2, 1 },  { 2024, 12, 31 }, { 2038, 1, 19 }, { 2099, 12, 31 },
          { 2100, 2, 28 }, { 2100, 3, 1 },  { 2101, 1, 1 },   { 2400, 3, 1 },  { 9999, 12, 31 } };

  int year, month, day;

  for (guint i = 0; i < G_N_ELEMENTS (dates); i++)
    {
      g_autoptr (GDateTime) t = g_date_time_new_utc (dates[i][0], dates[i][1], dates[i][2], 23, 59, 58);

      g_assert_cmpuint (gw_ep_time_to_unix (dates[i][0], dates[i][1], dates[i][2], 23, 59, 58), ==,
                        (guint64)g_date_time_to_unix (t));
      gw_ep_time_from_days ((guint64)g_date_time_to_unix (t) / 86400, &year, &month, &day);
      g_assert_cmpint (year, ==, dates[i][0]);
      g_assert_cmpint (month, ==, dates[i][1]);
      g_assert_cmpint (day, ==, dates[i][2]);
    }
  g_assert_cmpuint (gw_ep_time_to_unix (1969, 12, 31, 0, 0, 0), ==, 0);
  g_assert_cmpuint (gw_ep_time_to_unix (2000, 13, 1, 0, 0, 0), ==, 0);
  g_assert_cmpuint (gw_ep_time_to_unix (2000, 0, 1, 0, 0, 0), ==, 0);
}

static GBytes *
datetime_body (const char *text)
{
  return LAB_BODY (gw_cbor_begin_map (w, 1); gw_cbor_put_key (w, "datetime");
                   gw_cbor_put_text (w, gw_text (text)));
}

static void
test_datetime (void)
{
  g_autoptr (Lab) lab = lab_new (4);
  const struct
  {
    const char *text;
    guint64 ms;
  } good[] = {
    { "1970-01-01T00:00:00", 0 },
    { "2026-11-23T01:41:39Z", 1795398099000 },
    { "2026-11-23T01:41:39.5", 1795398099500 },
    { "2024-02-29T23:59:59.123456Z", 1709251199123 },
  };
  const char *bad[] = { "",
                        "2026-11-23",
                        "2026-11-23 01:41:39",
                        "2026-13-01T00:00:00",
                        "2026-00-01T00:00:00",
                        "2026-02-29T00:00:00",
                        "2026-11-31T00:00:00",
                        "2026-11-23T24:00:00",
                        "2026-11-23T00:60:00",
                        "2026-11-23T00:00:60",
                        "2026-11-23T00:00:00.",
                        "2026-11-23T00:00:00z",
                        "2026-11-23T00:00:00ZZ",
                        "2026-11-23T00:00:00+01:00",
                        "-026-11-23T00:00:00",
                        "1:26-11-23T00:00:00",
                        "1969-12-31T23:59:59" };
  const char *want = "2024-02-29T23:59:59.623";
  g_autoptr (GBytes) unset = NULL;
  g_autoptr (GBytes) set = NULL;
  g_autoptr (GBytes) get = NULL;
  g_autoptr (GBytes) wanted = NULL;
  guint64 ms;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (GBytes) body = datetime_body (good[i].text);

      g_assert_cmpint (gw_ep_datetime_decode (lab_bytes (body), &ms), ==, GW_OK);
      g_assert_cmpuint (ms, ==, good[i].ms);
    }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GBytes) body = datetime_body (bad[i]);

      g_assert_cmpint (gw_ep_datetime_decode (lab_bytes (body), &ms), !=, GW_OK);
    }

  lab_connect (lab);
  lab_own (lab);
  g_assert_false (gw_ep_wall_clock (lab->ep, &ms));
  unset = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_OS, GW_SMP_OS_DATETIME, lab_empty ());
  g_assert_cmpint (lab_result (unset), ==, 0x10000 | 4);
  set = lab_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_DATETIME, datetime_body (good[3].text));
  g_assert_cmpint (lab_result (set), ==, 0);
  lab_advance (lab, 500);
  g_assert_true (gw_ep_wall_clock (lab->ep, &ms));
  g_assert_cmpuint (ms, ==, good[3].ms + 500);
  get = lab_request (lab, GW_SMP_OP_READ, GW_SMP_GROUP_OS, GW_SMP_OS_DATETIME, lab_empty ());
  wanted = datetime_body (want);
  g_assert_true (g_bytes_equal (get, wanted));
  lab_power_cycle (lab);
  g_assert_false (gw_ep_wall_clock (lab->ep, &ms));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ep-smp/numbers", test_numbers);
  g_test_add_func ("/ep-smp/errors", test_errors);
  g_test_add_func ("/ep-smp/requester", test_requester);
  g_test_add_func ("/ep-smp/repeat-by-wire", test_repeat_by_wire);
  g_test_add_func ("/ep-smp/standard-groups", test_standard_groups);
  g_test_add_func ("/ep-smp/time", test_time);
  g_test_add_func ("/ep-smp/datetime", test_datetime);
  g_test_add_func ("/ep-smp/malformed", test_malformed);
  return g_test_run ();
}
