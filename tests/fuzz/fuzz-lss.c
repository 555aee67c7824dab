/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: the LSS master and a slave on a bus where the input is everybody else, and time. The two hear
 * each other, too, unless the input says that a frame is lost. Whatever comes: frames are well formed and go
 * out one at a time, nothing is due for ever at one moment, waiting and the frames of a second have their
 * limits, numbers are in range. */
#include <stdlib.h>
#include <string.h>

#include "gw-lss-master.h"
#include "gw-lss-slave.h"
#include "gw-reader.h"

#define VENDOR 0x00000B5Au
#define MSEC INT64_C (1000)
#define TICKS_MAX 8

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  GwLssMaster master;
  GwLssSlave slave;
  int64_t now;
  bool out;
  unsigned numbers;
} World;

static void
require (bool condition)
{
  if (!condition)
    abort ();
}

static uint8_t
on_number (void *owner, const uint8_t *uid, int64_t now)
{
  World *w = owner;

  require (now == w->now);
  w->numbers++;
  return (uint8_t)(uid[0] ^ uid[7] ^ w->numbers); /* any: what is no number is refused */
}

static void
on_numbered (void *owner, uint8_t node_id, const uint8_t *uid, int64_t now)
{
  require (node_id >= GW_LSS_NODE_MIN && node_id <= GW_LSS_NODE_MAX && now == ((World *)owner)->now);
}

static void
on_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid, int64_t now)
{
  require (kind <= GW_LSS_TROUBLE_FULL && now == ((World *)owner)->now);
}

static const GwLssMasterFuncs funcs = { on_number, on_numbered, on_trouble };

/* What is decoded encodes to the same but for reserved octets, and decodes to itself. */
static void
check_codec (const GwCanFrame *frame)
{
  GwLssMessage msg, again;
  GwCanFrame out;

  if (gw_lss_decode (frame, &msg) != GW_OK)
    return;
  gw_lss_encode (&msg, &out);
  require (out.id == frame->id && out.len == frame->len && out.data[0] == frame->data[0]);
  require (gw_lss_decode (&out, &again) == GW_OK && memcmp (&msg, &again, sizeof msg) == 0);
}

static void
to_slave (World *w, const GwCanFrame *frame, bool answer_lost)
{
  GwCanFrame answer;
  bool answers;

  gw_lss_slave_take (&w->slave, frame, w->now, &answer, &answers);
  require (w->slave.node_id == GW_LSS_NODE_NONE || w->slave.node_id <= GW_LSS_NODE_MAX);
  if (!answers)
    return;
  require (answer.id == GW_LSS_ID_SLAVE);
  check_codec (&answer);
  if (!answer_lost)
    gw_lss_master_take (&w->master, &answer, w->now);
}

static void
check_time (World *w)
{
  int64_t wait = gw_lss_patience_wait (&w->master.patience);
  GwCanFrame frame;

  require (wait >= GW_LSS_WAIT_MIN_USEC && wait <= GW_LSS_WAIT_START_USEC);
  for (unsigned i = 0; gw_lss_master_due (&w->master) <= w->now; i++)
    {
      require (i < TICKS_MAX);
      gw_lss_master_tick (&w->master, w->now);
    }
  if (gw_lss_slave_tick (&w->slave, w->now, &frame))
    gw_lss_master_take (&w->master, &frame, w->now);
  require (gw_lss_slave_due (&w->slave) > w->now);
}

/* One step of the input. */
static void
act (World *w, GwReader *r)
{
  uint8_t op = gw_reader_u8 (r);
  GwCanFrame frame = { .len = 8 };

  switch (op & 7)
    {
    case 0: /* others' frame */
      frame.id = gw_reader_u16be (r) & GW_CAN_ID_BASE_MAX;
      frame.len = op >> 4 <= 8 ? op >> 4 : 8;
      gw_reader_copy (r, frame.data, frame.len);
      check_codec (&frame);
      gw_lss_master_take (&w->master, &frame, w->now);
      to_slave (w, &frame, op & 8);
      break;
    case 1: /* somebody answers */
      frame.id = GW_LSS_ID_SLAVE;
      frame.data[0] = op & 8 ? GW_LSS_IDENTIFY_SLAVE : GW_LSS_CONFIGURE_NODE_ID;
      frame.data[1] = op >> 4;
      gw_lss_master_take (&w->master, &frame, w->now);
      break;
    case 2: /* a heartbeat */
      gw_heartbeat_encode (gw_reader_u8 (r) & GW_LSS_NODE_MAX, 5, &frame);
      gw_lss_master_take (&w->master, &frame, w->now);
      break;
    case 3:
      w->now += (int64_t)(op >> 3) * MSEC;
      break;
    case 4:
      w->now += (int64_t)gw_reader_u16be (r) * MSEC;
      break;
    case 5:
      if (w->out)
        gw_lss_master_unpull (&w->master);
      w->out = false;
      break;
    case 6:
      if (op & 8)
        gw_lss_master_scan (&w->master, w->now);
      else
        gw_lss_master_forget (&w->master, gw_reader_u8 (r));
      break;
    default: /* the master's turn; bits say what is lost */
      if (!w->out && !gw_lss_master_pull (&w->master, w->now, &frame))
        {
          if (gw_lss_master_due (&w->master) < w->now + 200 * MSEC)
            w->now = gw_lss_master_due (&w->master);
          break;
        }
      if (w->out)
        break;
      require (frame.id == GW_LSS_ID_MASTER && frame.len == 8);
      check_codec (&frame);
      require (!gw_lss_master_pull (&w->master, w->now, &(GwCanFrame){ 0 }));
      w->now += op & 64 ? MSEC : 250;
      w->out = op & 8;
      if (w->out)
        break;
      gw_lss_master_confirm (&w->master, w->now);
      if (!(op & 16))
        to_slave (w, &frame, op & 32);
      break;
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  World w = { .now = 1000000 };
  uint8_t uid[GW_UID_LEN];
  uint32_t identity[GW_LSS_N_SUBS];
  int64_t begun = w.now;
  GwReader r;

  gw_reader_init (&r, data, size);
  gw_reader_copy (&r, uid, sizeof uid);
  gw_lss_identity (VENDOR, uid, identity);
  gw_lss_slave_init (&w.slave, identity);
  gw_lss_master_init (&w.master, VENDOR, &funcs, &w, w.now);
  while (r.left > 0 && gw_reader_ok (&r))
    {
      act (&w, &r);
      check_time (&w);
    }
  /* A frame takes 250 us here, so this only says that nothing goes out without having been sent. */
  require (w.master.counters.frames_out <= (uint64_t)(w.now - begun) / 250 + 1);
  return 0;
}
