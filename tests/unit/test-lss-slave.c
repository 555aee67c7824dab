/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LSS frames and the slave. The octets are written out from CiA 305, so that codec and test cannot be wrong
 * together. */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "gw-lss-slave.h"
#include "gw-slcan-codec.h"

#define VENDOR 0x00000B5Au
#define SECOND INT64_C (1000000)

static const guint8 uid[GW_UID_LEN] = { 0x5a, 0x17, 0xc0, 0xff, 0xee, 0x00, 0x11, 0x22 };

static GwCanFrame
frame_of (guint32 id, const char *hex)
{
  GwCanFrame frame = { .id = id };

  for (; *hex != '\0'; hex += hex[2] == ' ' ? 3 : 2)
    frame.data[frame.len++] = (guint8)(g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));
  return frame;
}

static void
assert_frame (const GwCanFrame *frame, guint32 id, const char *hex)
{
  GwCanFrame want = frame_of (id, hex);

  g_assert_cmphex (frame->id, ==, id);
  g_assert_false (frame->extended || frame->remote || frame->fd || frame->brs);
  g_assert_cmpmem (frame->data, frame->len, want.data, want.len);
}

/* ---- Codec ---- */

typedef struct
{
  guint32 id;
  const char *hex;
  GwLssMessage msg;
} Sample;

static const Sample samples[] = {
  { 0x7e5, "04 00 00 00 00 00 00 00", { .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 } },
  { 0x7e5, "04 01 00 00 00 00 00 00", { .command = GW_LSS_SWITCH_GLOBAL, .mode = 1 } },
  { 0x7e5, "11 05 00 00 00 00 00 00", { .command = GW_LSS_CONFIGURE_NODE_ID, .node_id = 5 } },
  { 0x7e5, "11 ff 00 00 00 00 00 00", { .command = GW_LSS_CONFIGURE_NODE_ID, .node_id = 0xff } },
  { 0x7e5, "13 00 04 00 00 00 00 00", { .command = GW_LSS_CONFIGURE_BIT_TIMING, .bit_timing = { 0, 4 } } },
  { 0x7e5, "15 e8 03 00 00 00 00 00", { .command = GW_LSS_ACTIVATE_BIT_TIMING, .delay = 1000 } },
  { 0x7e5, "17 00 00 00 00 00 00 00", { .command = GW_LSS_STORE } },
  { 0x7e5, "40 04 03 02 01 00 00 00", { .command = GW_LSS_SELECT_VENDOR, .id_number = 0x01020304 } },
  { 0x7e5, "41 04 03 02 01 00 00 00", { .command = GW_LSS_SELECT_PRODUCT, .id_number = 0x01020304 } },
  { 0x7e5, "42 04 03 02 01 00 00 00", { .command = GW_LSS_SELECT_REVISION, .id_number = 0x01020304 } },
  { 0x7e5, "43 04 03 02 01 00 00 00", { .command = GW_LSS_SELECT_SERIAL, .id_number = 0x01020304 } },
  { 0x7e5, "46 ff ff ff ff 00 00 00", { .command = GW_LSS_IDENTIFY_VENDOR, .id_number = 0xffffffff } },
  { 0x7e5, "47 00 00 00 80 00 00 00", { .command = GW_LSS_IDENTIFY_PRODUCT, .id_number = 0x80000000 } },
  { 0x7e5, "48 01 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_REVISION_LOW, .id_number = 1 } },
  { 0x7e5, "49 01 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_REVISION_HIGH, .id_number = 1 } },
  { 0x7e5, "4a 01 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_SERIAL_LOW, .id_number = 1 } },
  { 0x7e5, "4b 01 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_SERIAL_HIGH, .id_number = 1 } },
  { 0x7e5, "4c 00 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_UNNUMBERED } },
  { 0x7e5,
    "51 00 00 00 00 80 00 00",
    { .command = GW_LSS_FASTSCAN, .fastscan = { .id_number = 0, .bit_check = 0x80, .sub = 0, .next = 0 } } },
  { 0x7e5,
    "51 59 41 57 47 00 01 02",
    { .command = GW_LSS_FASTSCAN,
      .fastscan = { .id_number = GW_LSS_PRODUCT, .bit_check = 0, .sub = 1, .next = 2 } } },
  { 0x7e5,
    "51 00 00 00 80 1f 03 03",
    { .command = GW_LSS_FASTSCAN,
      .fastscan = { .id_number = 0x80000000, .bit_check = 31, .sub = 3, .next = 3 } } },
  { 0x7e5, "5a 00 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_VENDOR } },
  { 0x7e5, "5b 00 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_PRODUCT } },
  { 0x7e5, "5c 00 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_REVISION } },
  { 0x7e5, "5d 00 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_SERIAL } },
  { 0x7e5, "5e 00 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_NODE_ID } },
  { 0x7e4, "11 00 00 00 00 00 00 00", { .command = GW_LSS_CONFIGURE_NODE_ID, .answer = true } },
  { 0x7e4,
    "11 ff 2a 00 00 00 00 00",
    { .command = GW_LSS_CONFIGURE_NODE_ID, .answer = true, .result = { 0xff, 0x2a } } },
  { 0x7e4,
    "13 01 00 00 00 00 00 00",
    { .command = GW_LSS_CONFIGURE_BIT_TIMING, .answer = true, .result = { 1, 0 } } },
  { 0x7e4, "17 02 00 00 00 00 00 00", { .command = GW_LSS_STORE, .answer = true, .result = { 2, 0 } } },
  { 0x7e4, "44 00 00 00 00 00 00 00", { .command = GW_LSS_SELECTED, .answer = true } },
  { 0x7e4, "4f 00 00 00 00 00 00 00", { .command = GW_LSS_IDENTIFY_SLAVE, .answer = true } },
  { 0x7e4, "50 00 00 00 00 00 00 00", { .command = GW_LSS_UNNUMBERED_SLAVE, .answer = true } },
  { 0x7e4,
    "5a 5a 0b 00 00 00 00 00",
    { .command = GW_LSS_INQUIRE_VENDOR, .answer = true, .id_number = VENDOR } },
  { 0x7e4, "5b 01 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_PRODUCT, .answer = true, .id_number = 1 } },
  { 0x7e4,
    "5c 01 00 00 00 00 00 00",
    { .command = GW_LSS_INQUIRE_REVISION, .answer = true, .id_number = 1 } },
  { 0x7e4,
    "5d 00 00 00 01 00 00 00",
    { .command = GW_LSS_INQUIRE_SERIAL, .answer = true, .id_number = 0x1000000 } },
  { 0x7e4,
    "5e ff 00 00 00 00 00 00",
    { .command = GW_LSS_INQUIRE_NODE_ID, .answer = true, .node_id = 0xff } },
  { 0x7e4, "5e 7f 00 00 00 00 00 00", { .command = GW_LSS_INQUIRE_NODE_ID, .answer = true, .node_id = 127 } },
};

/* Padding and the rest of the union are not compared: what is encoded again is. */
static void
test_samples (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (samples); i++)
    {
      const Sample *sample = &samples[i];
      GwCanFrame frame = frame_of (sample->id, sample->hex), out;
      GwLssMessage msg;

      gw_lss_encode (&sample->msg, &out);
      assert_frame (&out, sample->id, sample->hex);
      g_assert_cmpint (gw_lss_decode (&frame, &msg), ==, GW_OK);
      g_assert_cmpint (msg.command, ==, sample->msg.command);
      g_assert_cmpint (msg.answer, ==, sample->id == 0x7e4);
      gw_lss_encode (&msg, &out);
      assert_frame (&out, sample->id, sample->hex);
    }
}

static GwStatus
decode (guint32 id, const char *hex)
{
  GwCanFrame frame = frame_of (id, hex);
  GwLssMessage msg;
  GwStatus status = gw_lss_decode (&frame, &msg);

  if (status != GW_OK)
    g_assert_cmpint (msg.command, ==, 0);
  return status;
}

static void
test_refused (void)
{
  GwCanFrame frame = frame_of (0x7e5, "04 00 00 00 00 00 00 00");
  GwLssMessage msg;

  g_assert_cmpint (decode (0x7e3, "04 00 00 00 00 00 00 00"), ==, GW_E_TYPE);
  g_assert_cmpint (decode (0x7e5, "04 00 00 00 00 00 00"), ==, GW_E_TRUNCATED);
  g_assert_cmpint (decode (0x7e5, ""), ==, GW_E_TRUNCATED);
  g_assert_cmpint (decode (0x7e5, "04 02 00 00 00 00 00 00"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e5, "51 00 00 00 00 20 00 00"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e5, "51 00 00 00 00 81 00 00"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e5, "51 00 00 00 00 00 04 00"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e5, "51 00 00 00 00 00 00 04"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e4, "5e 00 00 00 00 00 00 00"), ==, GW_E_RANGE);
  g_assert_cmpint (decode (0x7e4, "5e 80 00 00 00 00 00 00"), ==, GW_E_RANGE);
  for (guint command = 0; command < 256; command++)
    for (guint answer = 0; answer < 2; answer++)
      {
        gboolean known = FALSE;

        frame.id = answer ? 0x7e4 : 0x7e5;
        frame.data[0] = (guint8)command;
        frame.data[1] = 1;
        for (gsize i = 0; i < G_N_ELEMENTS (samples); i++)
          known |= samples[i].msg.command == command && samples[i].msg.answer == answer;
        g_assert_cmpint (gw_lss_decode (&frame, &msg), ==, known ? GW_OK : GW_E_TYPE);
      }
  frame = frame_of (0x7e5, "04 00 00 00 00 00 00 00");
  frame.extended = true;
  g_assert_cmpint (gw_lss_decode (&frame, &msg), ==, GW_E_TYPE);
  frame.extended = false;
  frame.fd = true;
  g_assert_cmpint (gw_lss_decode (&frame, &msg), ==, GW_E_TYPE);
  frame.fd = false;
  frame.remote = true;
  g_assert_cmpint (gw_lss_decode (&frame, &msg), ==, GW_E_TYPE);
}

static void
test_identity (void)
{
  guint32 identity[GW_LSS_N_SUBS];
  guint8 back[GW_UID_LEN];

  gw_lss_identity (VENDOR, uid, identity);
  g_assert_cmphex (identity[0], ==, VENDOR);
  g_assert_cmphex (identity[1], ==, 0x47574159);
  g_assert_cmphex (identity[2], ==, 0x5a17c0ff);
  g_assert_cmphex (identity[3], ==, 0xee001122);
  gw_lss_uid (identity, back);
  g_assert_cmpmem (back, sizeof back, uid, sizeof uid);
}

static void
test_nmt (void)
{
  static const guint8 known[] = { 0x01, 0x02, 0x80, 0x81, 0x82 };
  GwNmtCommand command;
  GwCanFrame frame;
  guint8 node;

  gw_nmt_encode (GW_NMT_RESET_COMMUNICATION, 5, &frame);
  assert_frame (&frame, 0, "82 05");
  for (guint octet = 0; octet < 256; octet++)
    {
      gboolean is_known = memchr (known, (int)octet, sizeof known) != NULL;

      frame.data[0] = (guint8)octet;
      g_assert_cmpint (gw_nmt_decode (&frame, &command, &node), ==, is_known);
      if (is_known)
        g_assert_cmpint (command, ==, octet);
      g_assert_true (!is_known || node == 5);
    }
  gw_nmt_encode (GW_NMT_START, 127, &frame);
  g_assert_true (gw_nmt_decode (&frame, &command, &node));
  frame.data[1] = 128;
  g_assert_false (gw_nmt_decode (&frame, &command, &node));
  frame = frame_of (0x000, "82 05 00");
  g_assert_false (gw_nmt_decode (&frame, &command, &node));
  frame = frame_of (0x001, "82 05");
  g_assert_false (gw_nmt_decode (&frame, &command, &node));
  frame = frame_of (0x000, "82 05");
  frame.extended = true;
  g_assert_false (gw_nmt_decode (&frame, &command, &node));
}

static void
test_heartbeat (void)
{
  GwCanFrame frame;
  guint8 node, state;

  gw_heartbeat_encode (5, GW_HEARTBEAT_OPERATIONAL, &frame);
  assert_frame (&frame, 0x705, "05");
  for (guint32 id = 0x6fe; id < 0x785; id++)
    {
      frame = frame_of (id, "85");
      g_assert_cmpint (gw_heartbeat_decode (&frame, &node, &state), ==, id >= 0x701 && id <= 0x77f);
      if (id >= 0x701 && id <= 0x77f)
        {
          g_assert_cmpint (node, ==, id - 0x700);
          g_assert_cmpint (state, ==, 5);
        }
    }
  frame = frame_of (0x705, "05 00");
  g_assert_false (gw_heartbeat_decode (&frame, &node, &state));
  frame = frame_of (0x705, "05");
  frame.remote = true; /* node guarding */
  g_assert_false (gw_heartbeat_decode (&frame, &node, &state));
  frame.remote = false;
  frame.fd = true;
  g_assert_false (gw_heartbeat_decode (&frame, &node, &state));
  g_assert_cmphex (gw_can_isotp_id (0x05, 0xf1), ==, 0x18da05f1);
  g_assert_cmphex (gw_can_isotp_id (0xf1, 0x05), ==, 0x18daf105);
}

static guint32
field (const json_t *means, const char *name)
{
  const json_t *value = json_object_get (means, name);

  g_assert_true (json_is_integer (value));
  return (guint32)json_integer_value (value);
}

static void
check_lss_vector (const GwCanFrame *frame, const json_t *means)
{
  GwLssMessage msg;
  GwCanFrame again;

  g_assert_cmpint (gw_lss_decode (frame, &msg), ==, GW_OK);
  g_assert_cmpuint (msg.command, ==, field (means, "command"));
  if (json_object_get (means, "bit_check") != NULL)
    {
      g_assert_cmphex (msg.fastscan.id_number, ==, field (means, "id_number"));
      g_assert_cmpuint (msg.fastscan.bit_check, ==, field (means, "bit_check"));
      g_assert_cmpuint (msg.fastscan.sub, ==, field (means, "sub"));
      g_assert_cmpuint (msg.fastscan.next, ==, field (means, "next"));
    }
  else if (json_object_get (means, "id_number") != NULL)
    g_assert_cmphex (msg.id_number, ==, field (means, "id_number"));
  else if (json_object_get (means, "node_id") != NULL)
    g_assert_cmpuint (msg.node_id, ==, field (means, "node_id"));
  else if (json_object_get (means, "mode") != NULL)
    g_assert_cmpuint (msg.mode, ==, field (means, "mode"));
  else if (json_object_get (means, "error") != NULL)
    g_assert_cmpuint (msg.result.error, ==, field (means, "error"));
  gw_lss_encode (&msg, &again);
  g_assert_cmpmem (&again, sizeof again, frame, sizeof *frame);
}

static void
check_vector (const GwCanFrame *frame, const json_t *means)
{
  GwNmtCommand command;
  GwCanFrame again;
  guint8 node, state;

  if (frame->extended)
    g_assert_cmphex (gw_can_isotp_id ((guint8)field (means, "target"), (guint8)field (means, "source")), ==,
                     frame->id);
  else if (gw_nmt_decode (frame, &command, &node))
    {
      g_assert_cmpuint (node, ==, field (means, "node_id"));
      gw_nmt_encode ((GwNmtCommand)field (means, "command"), node, &again);
      g_assert_cmpmem (&again, sizeof again, frame, sizeof *frame);
    }
  else if (gw_heartbeat_decode (frame, &node, &state))
    {
      gw_heartbeat_encode ((guint8)field (means, "node_id"), (guint8)field (means, "state"), &again);
      g_assert_cmpmem (&again, sizeof again, frame, sizeof *frame);
    }
  else
    check_lss_vector (frame, means);
}

/* Those of doc/protocol.md, by way of their SLCAN lines. */
static void
test_vectors (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("GW_VECTORS_DIR"), "can.json", NULL);
  json_t *vectors = json_load_file (path, 0, NULL);
  json_t *v;
  gsize i;

  g_assert_nonnull (vectors);
  g_assert_cmpuint (json_array_size (vectors), >=, 20);
  json_array_foreach (vectors, i, v)
  {
    const char *text = json_string_value (json_object_get (v, "slcan"));
    const char *id = json_string_value (json_object_get (v, "id"));
    GwCanFrame want
        = frame_of ((guint32)g_ascii_strtoull (id, NULL, 16), json_string_value (json_object_get (v, "hex")));
    GwSlcanLine line;

    want.extended = strlen (id) == 8;
    gw_slcan_decode (text, strlen (text), GW_SLCAN_FROM_ADAPTER, &line);
    g_assert_cmpint (line.kind, ==, GW_SLCAN_FRAME);
    g_assert_cmpmem (&line.frame, sizeof line.frame, &want, sizeof want);
    check_vector (&line.frame, json_object_get (v, "means"));
  }
  json_decref (vectors);
}

/* ---- Slave ---- */

static GwLssSlave
new_slave (void)
{
  guint32 identity[GW_LSS_N_SUBS];
  GwLssSlave slave;

  gw_lss_identity (VENDOR, uid, identity);
  gw_lss_slave_init (&slave, identity);
  return slave;
}

/* The answer's first octet, or -1; NUMBERED and RESET as 1000 + the event. */
static int
ask (GwLssSlave *slave, const char *hex)
{
  GwCanFrame frame = frame_of (0x7e5, hex), answer;
  bool answers;
  GwLssSlaveEvent event = gw_lss_slave_take (slave, &frame, 0, &answer, &answers);

  if (event != GW_LSS_SLAVE_NOTHING)
    {
      g_assert_false (answers);
      return 1000 + (int)event;
    }
  if (answers)
    g_assert_cmphex (answer.id, ==, 0x7e4);
  return answers ? answer.data[0] : -1;
}

#define NO (-1)
#define NUMBERED (1000 + GW_LSS_SLAVE_NUMBERED)
#define RESET (1000 + GW_LSS_SLAVE_RESET)

static void
test_fastscan (void)
{
  GwLssSlave slave = new_slave ();

  g_assert_cmpint (ask (&slave, "51 5a 0b 00 00 00 00 01"), ==,
                   0x4f);                                            /* at the beginning without being told */
  g_assert_cmpint (ask (&slave, "51 5a 0b 00 00 00 00 01"), ==, NO); /* it is at product now */
  g_assert_cmpint (ask (&slave, "51 00 00 00 00 80 00 00"), ==, 0x4f);
  g_assert_cmpint (ask (&slave, "51 5b 0b 00 00 00 00 01"), ==, NO);
  g_assert_cmpint (ask (&slave, "51 5b 0b 00 00 01 00 00"), ==, 0x4f); /* all but the last bit */
  g_assert_cmpint (ask (&slave, "51 00 00 00 80 1f 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "51 ff ff ff 7f 1f 00 00"), ==, 0x4f);
  g_assert_cmpint (ask (&slave, "51 5a 0b 00 00 00 00 01"), ==, 0x4f);
  g_assert_cmpint (ask (&slave, "51 59 41 57 47 00 01 02"), ==, 0x4f);
  g_assert_cmpint (ask (&slave, "51 ff c0 17 5a 00 02 03"), ==, 0x4f);
  g_assert_cmpint (ask (&slave, "11 05"), ==, NO);
  g_assert_cmpint (ask (&slave, "11 05 00 00 00 00 00 00"), ==, NO); /* not in configuration yet */
  g_assert_cmpint (ask (&slave, "51 22 11 00 ee 00 03 00"), ==, 0x4f);
  g_assert_true (slave.configuring);
  g_assert_cmpint (ask (&slave, "51 00 00 00 00 80 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "11 80 00 00 00 00 00 00"), ==, 0x11);
  g_assert_cmpint (slave.pending, ==, GW_LSS_NODE_NONE);
  g_assert_cmpint (ask (&slave, "11 00 00 00 00 00 00 00"), ==, 0x11);
  g_assert_cmpint (slave.pending, ==, GW_LSS_NODE_NONE);
  g_assert_cmpint (ask (&slave, "11 7f 00 00 00 00 00 00"), ==, 0x11);
  g_assert_cmpint (slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_cmpint (ask (&slave, "4c 00 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "11 ff 00 00 00 00 00 00"), ==, 0x11); /* none, after all */
  g_assert_cmpint (ask (&slave, "4c 00 00 00 00 00 00 00"), ==, 0x50);
  g_assert_cmpint (ask (&slave, "11 7f 00 00 00 00 00 00"), ==, 0x11);
  g_assert_cmpint (gw_lss_slave_due (&slave), ==, G_MAXINT64);
  g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NUMBERED);
  g_assert_cmpint (slave.node_id, ==, 127);
  g_assert_cmpint (ask (&slave, "51 00 00 00 00 80 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "4c 00 00 00 00 00 00 00"), ==, NO);
}

/* A foreign identity is no match at any step. */
static void
test_select (void)
{
  GwLssSlave slave = new_slave ();

  g_assert_cmpint (ask (&slave, "40 5a 0b 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "41 59 41 57 47 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "42 ff c0 17 5a 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "43 23 11 00 ee 00 00 00"), ==,
                   NO); /* another serial number: from the beginning */
  g_assert_cmpint (ask (&slave, "43 22 11 00 ee 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "41 59 41 57 47 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "40 5a 0b 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "40 5a 0b 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "41 59 41 57 47 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "42 ff c0 17 5a 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "43 22 11 00 ee 00 00 00"), ==, 0x44);
  g_assert_true (slave.configuring);
  g_assert_cmpint (ask (&slave, "40 5a 0b 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "5e 00 00 00 00 00 00 00"), ==, 0x5e);
  g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NO); /* no number was given */
  g_assert_false (slave.configuring);
}

static void
test_identify (void)
{
  GwLssSlave slave = new_slave ();

  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (ask (&slave, "46 5a 0b 00 00 00 00 00"), ==, NO);
      g_assert_cmpint (ask (&slave, "47 59 41 57 47 00 00 00"), ==, NO);
      g_assert_cmpint (ask (&slave, "48 ff c0 17 5a 00 00 00"), ==, NO);
      g_assert_cmpint (ask (&slave, "49 ff c0 17 5a 00 00 00"), ==, NO);
      g_assert_cmpint (ask (&slave, i == 0 ? "4a 23 11 00 ee 00 00 00" : "4a 00 00 00 00 00 00 00"), ==, NO);
      g_assert_cmpint (ask (&slave, "4b ff ff ff ff 00 00 00"), ==, i == 0 ? NO : 0x4f);
    }
  g_assert_cmpint (ask (&slave, "4b ff ff ff ff 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "46 5b 0b 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "47 59 41 57 47 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "49 00 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "4c 00 00 00 00 00 00 00"), ==, 0x50);
}

static void
test_configuration (void)
{
  static const char *const only_there[]
      = { "5a 00 00 00 00 00 00 00", "5b 00 00 00 00 00 00 00", "5c 00 00 00 00 00 00 00",
          "5d 00 00 00 00 00 00 00", "5e 00 00 00 00 00 00 00", "13 00 00 00 00 00 00 00",
          "17 00 00 00 00 00 00 00", "11 05 00 00 00 00 00 00" };
  static const char *const answers[]
      = { "5a 5a 0b 00 00 00 00 00", "5b 59 41 57 47 00 00 00", "5c ff c0 17 5a 00 00 00",
          "5d 22 11 00 ee 00 00 00", "5e ff 00 00 00 00 00 00", "13 01 00 00 00 00 00 00",
          "17 01 00 00 00 00 00 00", "11 00 00 00 00 00 00 00" };
  GwLssSlave slave = new_slave ();
  GwCanFrame frame, answer;
  bool has;

  for (gsize i = 0; i < G_N_ELEMENTS (only_there); i++)
    g_assert_cmpint (ask (&slave, only_there[i]), ==, NO);
  g_assert_cmpint (ask (&slave, "04 01 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "15 00 00 00 00 00 00 00"), ==, NO);
  for (gsize i = 0; i < G_N_ELEMENTS (only_there); i++)
    {
      frame = frame_of (0x7e5, only_there[i]);
      gw_lss_slave_take (&slave, &frame, 0, &answer, &has);
      g_assert_true (has);
      assert_frame (&answer, 0x7e4, answers[i]);
    }
  frame = frame_of (0x7e5, "11 80 00 00 00 00 00 00");
  gw_lss_slave_take (&slave, &frame, 0, &answer, &has);
  assert_frame (&answer, 0x7e4, "11 01 00 00 00 00 00 00");
  g_assert_cmpint (ask (&slave, "04 01 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NUMBERED);
  g_assert_cmpint (slave.node_id, ==, 5);
  /* Another number for a node that has one waits for a reset, which ours forgets it at. */
  g_assert_cmpint (ask (&slave, "04 01 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (ask (&slave, "11 06 00 00 00 00 00 00"), ==, 0x11);
  g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NO);
  g_assert_cmpint (slave.node_id, ==, 5);
}

static void
test_slave_heartbeat (void)
{
  GwLssSlave slave = new_slave ();
  GwCanFrame frame;

  g_assert_false (gw_lss_slave_tick (&slave, 5 * SECOND, &frame));
  ask (&slave, "04 01 00 00 00 00 00 00");
  ask (&slave, "11 05 00 00 00 00 00 00");
  g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NUMBERED);
  g_assert_cmpint (gw_lss_slave_due (&slave), ==, 0);
  g_assert_true (gw_lss_slave_tick (&slave, 10, &frame));
  assert_frame (&frame, 0x705, "00");
  g_assert_cmpint (gw_lss_slave_due (&slave), ==, SECOND);
  g_assert_false (gw_lss_slave_tick (&slave, SECOND - 1, &frame));
  g_assert_true (gw_lss_slave_tick (&slave, SECOND + 300, &frame));
  assert_frame (&frame, 0x705, "05");
  g_assert_cmpint (gw_lss_slave_due (&slave), ==, 2 * SECOND); /* no drift */
  g_assert_true (gw_lss_slave_tick (&slave, 7 * SECOND, &frame));
  g_assert_cmpint (gw_lss_slave_due (&slave), ==, 8 * SECOND); /* and no burst */
}

static int
reset (GwLssSlave *slave, const char *hex)
{
  GwCanFrame frame = frame_of (0, hex), answer;
  bool answers;
  GwLssSlaveEvent event = gw_lss_slave_take (slave, &frame, 0, &answer, &answers);

  g_assert_false (answers);
  return event == GW_LSS_SLAVE_NOTHING ? NO : 1000 + (int)event;
}

static void
test_reset (void)
{
  static const char *const all[] = { "82 05", "81 05", "82 00", "81 00" };
  GwLssSlave slave = new_slave ();
  GwCanFrame frame = frame_of (0x7e4, "4f 00 00 00 00 00 00 00"), answer;
  bool answers;

  gw_lss_slave_take (&slave, &frame, 0, &answer, &answers); /* another's answer is nothing to us */
  g_assert_false (answers);
  for (gsize i = 0; i < G_N_ELEMENTS (all); i++)
    {
      ask (&slave, "04 01 00 00 00 00 00 00");
      ask (&slave, "11 05 00 00 00 00 00 00");
      g_assert_cmpint (ask (&slave, "04 00 00 00 00 00 00 00"), ==, NUMBERED);
      g_assert_cmpint (reset (&slave, "82 06"), ==, NO);
      g_assert_cmpint (reset (&slave, "01 05"), ==, NO);
      g_assert_cmpint (slave.node_id, ==, 5);
      g_assert_cmpint (reset (&slave, all[i]), ==, RESET);
      g_assert_cmpint (slave.node_id, ==, GW_LSS_NODE_NONE);
      g_assert_cmpint (gw_lss_slave_due (&slave), ==, G_MAXINT64);
      g_assert_cmpint (ask (&slave, "51 00 00 00 00 80 00 00"), ==, 0x4f);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lss/samples", test_samples);
  g_test_add_func ("/lss/refused", test_refused);
  g_test_add_func ("/lss/identity", test_identity);
  g_test_add_func ("/lss/nmt", test_nmt);
  g_test_add_func ("/lss/heartbeat", test_heartbeat);
  g_test_add_func ("/lss/vectors", test_vectors);
  g_test_add_func ("/lss/slave/fastscan", test_fastscan);
  g_test_add_func ("/lss/slave/select", test_select);
  g_test_add_func ("/lss/slave/identify", test_identify);
  g_test_add_func ("/lss/slave/configuration", test_configuration);
  g_test_add_func ("/lss/slave/heartbeat", test_slave_heartbeat);
  g_test_add_func ("/lss/slave/reset", test_reset);
  return g_test_run ();
}
