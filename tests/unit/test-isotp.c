/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ISO-TP frame by frame: each thing that the standard says can happen to a message. Time is handed in, so
 * time-outs are exact to the microsecond. */
#include "isotp-machine.h"

static void
test_config (void)
{
  static const struct
  {
    gboolean fd;
    guint8 asked, got;
  } lengths[] = { { FALSE, 8, 8 },   { FALSE, 64, 8 }, { FALSE, 0, 8 },  { TRUE, 64, 64 },
                  { TRUE, 255, 64 }, { TRUE, 63, 48 }, { TRUE, 12, 12 }, { TRUE, 11, 8 },
                  { TRUE, 8, 8 },    { TRUE, 7, 8 },   { TRUE, 0, 8 } };
  static const guint8 windows[][2]
      = { { 0, 1 }, { 1, 1 }, { GW_ISOTP_WINDOW_MAX, GW_ISOTP_WINDOW_MAX }, { 255, GW_ISOTP_WINDOW_MAX } };
  GwIsotpConfig config;
  GwIsotp self;

  gw_isotp_config_default (&config, 0x7ff, 0x7fe);
  g_assert_false (config.extended);
  gw_isotp_config_default (&config, 0x7ff, 0x800);
  g_assert_true (config.extended);
  gw_isotp_config_default (&config, 0x800, 0x7ff);
  g_assert_true (config.extended);
  for (gsize i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      config.fd = lengths[i].fd;
      config.tx_dl = lengths[i].asked;
      gw_isotp_init (&self, &config, buffer, sizeof buffer);
      g_assert_cmpuint (self.config.tx_dl, ==, lengths[i].got);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (windows); i++)
    {
      config.window = windows[i][0];
      gw_isotp_init (&self, &config, buffer, sizeof buffer);
      g_assert_cmpuint (self.config.window, ==, windows[i][1]);
    }
}

/* --- single frames --- */

static void
test_single (void)
{
  GwIsotp self = machine (NULL);

  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  assert_no_pull (&self, 0);
  g_assert_cmpint (gw_isotp_send (&self, (GwBytes){ pattern, 0 }, 0), ==, GW_E_RANGE);
  g_assert_cmpint (gw_isotp_send (&self, (GwBytes){ pattern, G_MAXUINT32 + G_GUINT64_CONSTANT (1) }, 0), ==,
                   GW_E_RANGE);
  begin (&self, 7, 5);
  g_assert_true (gw_isotp_is_sending (&self));
  g_assert_cmpint (gw_isotp_send (&self, (GwBytes){ pattern, 1 }, 5), ==, GW_E_STATE);
  assert_pull (&self, 5, "07 01 02 03 04 05 06 07");
  assert_no_pull (&self, 5);
  g_assert_cmpint (gw_isotp_confirm (&self, 6), ==, GW_ISOTP_SENT);
  g_assert_false (gw_isotp_is_sending (&self));
  g_assert_cmpint (gw_isotp_confirm (&self, 6), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "03 01 02 03", 7), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 3);
  g_assert_cmpint (take (&self, "02 01 02 aa*5", 7), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 2);
  g_assert_cmpint (take (&self, "00 0a 01 02 03 04 05 06 07 08 09 0a", 7), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 10);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  g_assert_cmpuint (self.counters.messages_out, ==, 1);
  g_assert_cmpuint (self.counters.frames_out, ==, 1);
  g_assert_cmpuint (self.counters.messages_in, ==, 3);
  g_assert_cmpuint (self.counters.frames_in, ==, 3);
  g_assert_cmpuint (self.counters.ignored, ==, 0);
}

static void
test_single_fd (void)
{
  GwIsotp self = machine (fd64);

  begin (&self, 7, 0);
  g_assert_cmpint (out (&self, 0, "07 01 02 03 04 05 06 07"), ==, GW_ISOTP_SENT);
  begin (&self, 8, 0);
  g_assert_cmpint (out (&self, 0, "00 08 01 02 03 04 05 06 07 08 cc*2"), ==, GW_ISOTP_SENT);
  begin (&self, 62, 0);
  assert_pull (&self, 0,
               "00 3e 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d "
               "1e 1f 20 21 22"
               "23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e");
  g_assert_cmpint (gw_isotp_confirm (&self, 0), ==, GW_ISOTP_SENT);
}

/* Not ours, not well formed: nothing changes. */
static void
test_ignored (void)
{
  GwIsotp self = machine (NULL);
  GwCanFrame frame;
  guint ignored = 0;

  for (gsize i = 0; i < isotp_n_decodes; i++)
    if (isotp_decodes[i].status != GW_OK)
      {
        g_assert_cmpint (take (&self, isotp_decodes[i].hex, 0), ==, GW_ISOTP_NOTHING);
        ignored++;
      }
  frame = isotp_frame ("01 11");
  frame.id++;
  g_assert_cmpint (gw_isotp_take (&self, &frame, 0), ==, GW_ISOTP_NOTHING);
  frame = isotp_frame ("01 11");
  frame.id = 0x18DB33F1; /* the functional address */
  g_assert_cmpint (gw_isotp_take (&self, &frame, 0), ==, GW_ISOTP_NOTHING);
  frame = isotp_frame ("01 11");
  frame.extended = false;
  g_assert_cmpint (gw_isotp_take (&self, &frame, 0), ==, GW_ISOTP_NOTHING);
  frame = isotp_frame ("01 11");
  frame.remote = true;
  g_assert_cmpint (gw_isotp_take (&self, &frame, 0), ==, GW_ISOTP_NOTHING);
  frame = isotp_frame ("01 11");
  frame.len = 255; /* no frame has that */
  g_assert_cmpint (gw_isotp_take (&self, &frame, 0), ==, GW_ISOTP_NOTHING);
  /* well formed, but nobody asked */
  g_assert_cmpint (take (&self, "21 01*7", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpuint (self.counters.ignored, ==, ignored + 7);
  g_assert_cmpuint (self.counters.frames_in, ==, 0);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  assert_no_pull (&self, 0);
}

/* --- receiving more than a frame --- */

static void
test_receive (void)
{
  GwIsotp self = machine (NULL);

  g_assert_cmpint (take (&self, "10 14 01 02 03 04 05 06", 0), ==, GW_ISOTP_NOTHING);
  g_assert_true (gw_isotp_is_receiving (&self));
  assert_pull (&self, 0, "30 00 00");
  assert_no_pull (&self, 0);
  g_assert_cmpint (gw_isotp_confirm (&self, 3), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 3 + SECOND);
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 10), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 10 + SECOND);
  g_assert_cmpint (take (&self, "22 0e 0f 10 11 12 13 14", 11), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 20);
  g_assert_false (gw_isotp_is_receiving (&self));
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);

  /* the last frame short or padded */
  take (&self, "10 09 01 02 03 04 05 06", 20);
  out (&self, 20, "30 00 00");
  g_assert_cmpint (take (&self, "21 07 08 09", 20), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 9);
  take (&self, "10 09 01 02 03 04 05 06", 20);
  out (&self, 20, "30 00 00");
  g_assert_cmpint (take (&self, "21 07 08 09 00*4", 20), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 9);
  g_assert_cmpuint (self.counters.frames_in, ==, 7);
  g_assert_cmpuint (self.counters.frames_out, ==, 3);
}

/* The frame length of a transfer is that of its first frame, whatever we send ourselves. */
static void
test_receive_fd (void)
{
  GwIsotp self = machine (NULL);

  take (&self, "10 14 01 02 03 04 05 06 07 08 09 0a", 0);
  out (&self, 0, "30 00 00");
  g_assert_cmpint (take (&self, "21 0b 0c 0d 0e 0f 10 11", 0), ==,
                   GW_ISOTP_NOTHING); /* too short for the middle or the end */
  g_assert_cmpint (take (&self, "21 0b 0c 0d 0e 0f 10 11 12 13 14 cc*5", 0), ==,
                   GW_ISOTP_NOTHING); /* too long */
  g_assert_cmpuint (self.counters.ignored, ==, 2);
  g_assert_cmpint (take (&self, "21 0b 0c 0d 0e 0f 10 11 12 13 14 cc", 0), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 20);

  /* FD frames of 8 octets, and a last one that is shorter than the others */
  take (&self, "10 0b 01 02 03 04 05 06 07 08 09 0a", 0);
  out (&self, 0, "30 00 00");
  g_assert_cmpint (take (&self, "21 0b", 0), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 11);
  take (&self, "10 09 01 02 03 04 05 06", 0);
  out (&self, 0, "30 00 00");
  g_assert_cmpint (take (&self, "21 07 08 09 cc*8", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "21 07 08", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "21 07 08 09", 0), ==, GW_ISOTP_RECEIVED);
  g_assert_cmpuint (self.counters.ignored, ==, 4);
}

static void
blocks_of_2 (GwIsotpConfig *config)
{
  config->block_size = 2;
  config->st_min = 0xf1;
  config->pad = true;
}

static void
test_receive_blocks (void)
{
  GwIsotp self = machine (blocks_of_2);

  take (&self, "10 22 01 02 03 04 05 06", 0);
  out (&self, 0, "30 02 f1 cc*5");
  take (&self, "21 07 08 09 0a 0b 0c 0d", 10);
  assert_no_pull (&self, 10);
  take (&self, "22 0e 0f 10 11 12 13 14", 20);
  g_assert_cmpint (take (&self, "23 15 16 17 18 19 1a 1b", 20), ==,
                   GW_ISOTP_NOTHING); /* we have not said so */
  g_assert_cmpuint (self.counters.ignored, ==, 1);
  g_assert_cmpint (gw_isotp_due (&self), ==, 20 + SECOND);
  out (&self, 30, "30 02 f1 cc*5");
  g_assert_cmpint (gw_isotp_due (&self), ==, 30 + SECOND);
  take (&self, "23 15 16 17 18 19 1a 1b", 40);
  /* a block that ends with the message asks for nothing */
  g_assert_cmpint (take (&self, "24 1c 1d 1e 1f 20 21 22", 50), ==, GW_ISOTP_RECEIVED);
  assert_no_pull (&self, 50);
  assert_message (&self, 34);
}

static void
test_receive_wrong_sn (void)
{
  static const char *const frames[]
      = { "20 07 08 09 0a 0b 0c 0d", "22 07 08 09 0a 0b 0c 0d", "2f 07 08 09 0a 0b 0c 0d" };

  for (gsize i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      GwIsotp self = machine (NULL);

      take (&self, "10 14 01 02 03 04 05 06", 0);
      out (&self, 0, "30 00 00");
      assert_receive_failed (&self, take (&self, frames[i], 1), GW_ISOTP_N_WRONG_SN);
      g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
      g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 2), ==, GW_ISOTP_NOTHING);
      g_assert_cmpuint (self.counters.ignored, ==, 1);
    }
}

static void
test_receive_timeout_cr (void)
{
  GwIsotp self = machine (NULL);

  take (&self, "10 14 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "30 00 00");
  gw_isotp_confirm (&self, 9);
  assert_receive_failed (&self, tick_at (&self, 9 + SECOND), GW_ISOTP_N_TIMEOUT_CR);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);

  self = machine (NULL);
  take (&self, "10 14 01 02 03 04 05 06", 0);
  out (&self, 0, "30 00 00");
  take (&self, "21 07 08 09 0a 0b 0c 0d", 50);
  assert_receive_failed (&self, tick_at (&self, 50 + SECOND), GW_ISOTP_N_TIMEOUT_CR);
}

static void
test_receive_timeout_ar (void)
{
  GwIsotp self = machine (NULL);

  take (&self, "10 14 01 02 03 04 05 06", 4);
  assert_receive_failed (&self, tick_at (&self, 4 + SECOND), GW_ISOTP_N_TIMEOUT_A);

  self = machine (NULL);
  take (&self, "10 14 01 02 03 04 05 06", 4);
  assert_pull (&self, 5, "30 00 00");
  assert_receive_failed (&self, tick_at (&self, 4 + SECOND), GW_ISOTP_N_TIMEOUT_A);
  /* the window is free again */
  take (&self, "10 14 01 02 03 04 05 06", 2 * SECOND);
  assert_pull (&self, 2 * SECOND, "30 00 00");

  /* "overflow" that does not get out is forgotten; that message has failed already */
  self = machine (NULL);
  assert_receive_failed (&self, take (&self, "12 58 01 02 03 04 05 06", 4), GW_ISOTP_N_BUFFER_OVFLW);
  g_assert_cmpint (tick_at (&self, 4 + SECOND), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  assert_no_pull (&self, 2 * SECOND);
}

/* Consecutive frames may come before we know that our flow control went out. */
static void
test_data_overtakes_confirmation (void)
{
  GwIsotp self = machine (blocks_of_2);

  take (&self, "10 22 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "30 02 f1 cc*5");
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 10), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 10 + SECOND);
  g_assert_cmpint (take (&self, "22 0e 0f 10 11 12 13 14", 20), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, 20);
  g_assert_cmpint (gw_isotp_confirm (&self, 30), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 20 + SECOND); /* that of the next flow control */
  assert_pull (&self, 30, "30 02 f1 cc*5");
}

static void
test_receive_overflow (void)
{
  GwIsotp self = machine (NULL);

  assert_receive_failed (&self, take (&self, "10 c9 01 02 03 04 05 06", 0), GW_ISOTP_N_BUFFER_OVFLW);
  g_assert_cmpint (out (&self, 0, "32 00 00"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "10 00 ff ff ff ff 01 02", 0), ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (out (&self, 0, "32 00 00"), ==, GW_ISOTP_NOTHING);
  /* exactly what there is room for */
  g_assert_cmpint (take (&self, "10 c8 01 02 03 04 05 06", 0), ==, GW_ISOTP_NOTHING);
  out (&self, 0, "30 00 00");

  /* even for a single frame */
  gw_isotp_init (&self, &self.config, buffer, 6);
  g_assert_cmpint (take (&self, "06 01 02 03 04 05 06", 0), ==, GW_ISOTP_RECEIVED);
  assert_receive_failed (&self, take (&self, "07 01 02 03 04 05 06 07", 0), GW_ISOTP_N_BUFFER_OVFLW);
  assert_no_pull (&self, 0);
}

static void
test_receive_unexpected (void)
{
  GwIsotp self = machine (NULL);

  /* a single frame instead of the rest */
  take (&self, "10 14 aa*6", 0);
  out (&self, 0, "30 00 00");
  g_assert_cmpint (take (&self, "03 01 02 03", 1), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 3);
  g_assert_cmpuint (self.counters.failures_in, ==, 1);
  g_assert_cmpint (gw_isotp_receive_failure (&self), ==, GW_ISOTP_N_UNEXP_PDU);
  g_assert_cmpint (take (&self, "21 aa*7", 1), ==, GW_ISOTP_NOTHING);

  /* another first frame instead, before and after our flow control */
  take (&self, "10 15 aa*6", 2);
  g_assert_cmpint (take (&self, "10 16 bb*6", 2), ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (gw_isotp_receive_failure (&self), ==, GW_ISOTP_N_UNEXP_PDU);
  out (&self, 2, "30 00 00");
  assert_no_pull (&self, 2);
  g_assert_cmpint (take (&self, "21 bb*7", 2), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "10 14 01 02 03 04 05 06", 3), ==, GW_ISOTP_RECEIVE_FAILED);
  out (&self, 3, "30 00 00");
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 3), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "22 0e 0f 10 11 12 13 14", 3), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 20);
  g_assert_cmpuint (self.counters.failures_in, ==, 3);

  /* one that is too long instead; and what was to be said to that is dropped when the other goes on */
  take (&self, "10 14 aa*6", 4);
  g_assert_cmpint (take (&self, "10 c9 aa*6", 4), ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (gw_isotp_receive_failure (&self), ==, GW_ISOTP_N_BUFFER_OVFLW);
  g_assert_cmpint (take (&self, "01 01", 4), ==, GW_ISOTP_RECEIVED);
  assert_no_pull (&self, 4);
  g_assert_cmpuint (self.counters.failures_in, ==, 5);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
}

static void
no_waits (GwIsotpConfig *config)
{
  config->wait_max = 0;
}

static void
test_bears_no_waits (void)
{
  GwIsotp self = machine (no_waits);

  begin (&self, 20, 1 * SECOND);
  out (&self, 1 * SECOND, "10 14 01 02 03 04 05 06");
  assert_send_failed (&self, take (&self, "31 00 00", 1 * SECOND), GW_ISOTP_N_WFT_OVRN);
}

/* --- both directions, and the rest --- */

static void
test_both (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  take (&self, "10 14 01 02 03 04 05 06", 1);
  take (&self, "30 00 00", 2);
  out (&self, 3, "30 00 00"); /* flow control goes before data */
  out (&self, 4, "21 07 08 09 0a 0b 0c 0d");
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 5), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 6, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_SENT);
  g_assert_cmpint (take (&self, "22 0e 0f 10 11 12 13 14", 7), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 20);
  g_assert_cmpuint (self.counters.ignored + self.counters.failures_in + self.counters.failures_out, ==, 0);

  /* what is due first counts, whichever direction it is of */
  begin (&self, 20, 8);
  out (&self, 8, "10 14 01 02 03 04 05 06");
  take (&self, "10 14 01 02 03 04 05 06", 8);
  out (&self, 8, "30 00 00");
  take (&self, "30 00 7f", SECOND - 8);
  out (&self, SECOND - 8, "21 07 08 09 0a 0b 0c 0d");
  g_assert_cmpint (tick_at (&self, SECOND + 8), ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (out (&self, 2 * SECOND, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_SENT);

  /* both time-outs at one moment are two events */
  begin (&self, 20, 10);
  out (&self, 10, "10 14 01 02 03 04 05 06");
  take (&self, "10 14 01 02 03 04 05 06", 10);
  out (&self, 10, "30 00 00");
  g_assert_cmpint (gw_isotp_tick (&self, 10 + SECOND), ==, GW_ISOTP_SEND_FAILED);
  g_assert_cmpint (gw_isotp_tick (&self, 10 + SECOND), ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (gw_isotp_tick (&self, 10 + SECOND), ==, GW_ISOTP_NOTHING);
}

static void
test_reset (void)
{
  GwIsotp self = machine (window2);

  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  take (&self, "10 14 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "30 00 00");
  gw_isotp_reset (&self);
  g_assert_false (gw_isotp_is_sending (&self));
  g_assert_false (gw_isotp_is_receiving (&self));
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
  g_assert_cmpint (gw_isotp_confirm (&self, 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpuint (self.counters.frames_out, ==, 1);
  g_assert_cmpuint (self.counters.failures_in + self.counters.failures_out, ==, 0);
  begin (&self, 1, 0);
  g_assert_cmpint (out (&self, 0, "01 01"), ==, GW_ISOTP_SENT);
}

/* N_Br and N_Cs are a promise, not a time-out: breaking it is counted. */
static void
test_late (void)
{
  GwIsotp self = machine (NULL);

  take (&self, "10 14 01 02 03 04 05 06", 0);
  out (&self, 500 * MS, "30 00 00");
  g_assert_cmpuint (self.counters.late, ==, 0);
  take (&self, "10 14 01 02 03 04 05 06", 1 * SECOND);
  out (&self, 1 * SECOND + 500 * MS + 1, "30 00 00");
  g_assert_cmpuint (self.counters.late, ==, 1);
  begin (&self, 27, 2 * SECOND);
  out (&self, 2 * SECOND, "10 1b 01 02 03 04 05 06");
  take (&self, "30 00 0a", 2 * SECOND);
  out (&self, 2 * SECOND + 500 * MS, "21 07 08 09 0a 0b 0c 0d");
  g_assert_cmpuint (self.counters.late, ==, 1);
  out (&self, 3 * SECOND + 10 * MS, "22 0e 0f 10 11 12 13 14"); /* the separation time is not counted */
  g_assert_cmpuint (self.counters.late, ==, 1);
  out (&self, 3 * SECOND + 520 * MS + 1, "23 15 16 17 18 19 1a 1b");
  g_assert_cmpuint (self.counters.late, ==, 2);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*test) (void);
  } tests[] = {
    { "config", test_config },
    { "single", test_single },
    { "single-fd", test_single_fd },
    { "ignored", test_ignored },
    { "receive", test_receive },
    { "receive-fd", test_receive_fd },
    { "receive-blocks", test_receive_blocks },
    { "receive-wrong-sn", test_receive_wrong_sn },
    { "receive-timeout-cr", test_receive_timeout_cr },
    { "receive-timeout-ar", test_receive_timeout_ar },
    { "data-overtakes-confirmation", test_data_overtakes_confirmation },
    { "receive-overflow", test_receive_overflow },
    { "receive-unexpected", test_receive_unexpected },
    { "bears-no-waits", test_bears_no_waits },
    { "both", test_both },
    { "reset", test_reset },
    { "late", test_late },
  };

  g_test_init (&argc, &argv, NULL);
  pattern = isotp_pattern ();
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/isotp/", tests[i].name, NULL);

      g_test_add_func (path, tests[i].test);
    }
  return g_test_run ();
}
