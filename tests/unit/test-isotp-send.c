/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending over ISO-TP, frame by frame: flow control of all kinds, each way to fail, what the link cannot
 * send. */
#include "isotp-machine.h"

static void
test_send (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  g_assert_cmpint (out (&self, 0, "10 14 01 02 03 04 05 06"), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, 0);
  g_assert_cmpint (take (&self, "30 00 00", 1), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 1, "21 07 08 09 0a 0b 0c 0d"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00", 1), ==, GW_ISOTP_NOTHING); /* not asked for */
  g_assert_cmpint (out (&self, 1, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_SENT);
  g_assert_cmpuint (self.counters.ignored, ==, 1);
  g_assert_cmpuint (self.counters.frames_in, ==, 1);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
}

static void
padded (GwIsotpConfig *config)
{
  config->pad = true;
}

static void
test_send_padded (void)
{
  GwIsotp self = machine (padded);

  begin (&self, 9, 0);
  g_assert_cmpint (out (&self, 0, "10 09 01 02 03 04 05 06"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00 55*5", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 0, "21 07 08 09 cc*4"), ==, GW_ISOTP_SENT);
}

static void
dl16 (GwIsotpConfig *config)
{
  config->fd = true;
  config->tx_dl = 16;
}

static void
test_send_fd (void)
{
  GwIsotp self = machine (dl16);

  begin (&self, 15, 0);
  g_assert_cmpint (out (&self, 0, "10 0f 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 0, "21 0f"), ==, GW_ISOTP_SENT);
  begin (&self, 38, 0);
  g_assert_cmpint (out (&self, 0, "10 26 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 0, "21 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 0, "22 1e 1f 20 21 22 23 24 25 26 cc*2"), ==, GW_ISOTP_SENT);
}

/* The escaped length; the sequence number goes round; every octet is there. */
static void
test_send_long (void)
{
  GwIsotp self = machine (NULL);
  gsize at = 2;

  begin (&self, ISOTP_PATTERN_MAX, 0);
  g_assert_cmpint (out (&self, 0, "10 00 00 01 11 70 01 02"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 00", 0), ==, GW_ISOTP_NOTHING);
  for (guint sn = 1; at < ISOTP_PATTERN_MAX; sn++)
    {
      GwCanFrame frame;

      g_assert_true (gw_isotp_pull (&self, 0, &frame));
      g_assert_cmphex (frame.data[0], ==, 0x20 | (sn & 0x0f));
      g_assert_cmpmem (frame.data + 1, frame.len - 1u, pattern + at, MIN (7, ISOTP_PATTERN_MAX - at));
      at += frame.len - 1u;
      g_assert_cmpint (gw_isotp_confirm (&self, 0), ==,
                       at < ISOTP_PATTERN_MAX ? GW_ISOTP_NOTHING : GW_ISOTP_SENT);
    }
  g_assert_cmpuint (at, ==, ISOTP_PATTERN_MAX);
}

/* Block size and separation time as the last flow control had them. */
static void
test_send_blocks (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 6 + 5 * 7, 0);
  g_assert_cmpint (out (&self, 0, "10 29 01 02 03 04 05 06"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 02 05", 10), ==, GW_ISOTP_NOTHING);
  assert_pull (&self, 10, "21 07 08 09 0a 0b 0c 0d"); /* the first one need not wait */
  g_assert_cmpint (gw_isotp_due (&self), ==, 10 + SECOND);
  g_assert_cmpint (gw_isotp_confirm (&self, 200), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, 200 + 5 * MS - 1);
  g_assert_cmpint (tick_at (&self, 200 + 5 * MS), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 200 + 5 * MS + SECOND);
  g_assert_cmpint (out (&self, 200 + 5 * MS, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, SECOND);

  g_assert_cmpint (take (&self, "30 01 f3", SECOND), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, SECOND, "23 15 16 17 18 19 1a 1b"), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "30 00 f3", SECOND), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, SECOND, "24 1c 1d 1e 1f 20 21 22"), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, SECOND + 299);
  /* without a tick before, too */
  g_assert_cmpint (out (&self, SECOND + 300, "25 23 24 25 26 27 28 29"), ==, GW_ISOTP_SENT);
  g_assert_cmpint (gw_isotp_due (&self), ==, G_MAXINT64);
}

static void
test_send_waits (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  for (guint i = 1; i <= 10; i++)
    {
      g_assert_cmpint (take (&self, "31 00 00", i * 900 * MS), ==, GW_ISOTP_NOTHING);
      g_assert_cmpint (gw_isotp_due (&self), ==, i * 900 * MS + SECOND);
      assert_no_pull (&self, i * 900 * MS);
    }
  /* in a row: flow control to go on begins a new row */
  g_assert_cmpint (take (&self, "30 01 00", 10 * SECOND), ==, GW_ISOTP_NOTHING);
  out (&self, 10 * SECOND, "21 07 08 09 0a 0b 0c 0d");
  for (guint i = 1; i <= 10; i++)
    g_assert_cmpint (take (&self, "31 00 00", 10 * SECOND), ==, GW_ISOTP_NOTHING);
  assert_send_failed (&self, take (&self, "31 00 00", 10 * SECOND), GW_ISOTP_N_WFT_OVRN);
}

static void
test_send_refused (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  assert_send_failed (&self, take (&self, "32 00 00", 1), GW_ISOTP_N_BUFFER_OVFLW);

  for (guint8 status = 3; status <= 15; status++)
    {
      g_autofree char *hex = g_strdup_printf ("%02x 00 00", 0x30 | status);

      self = machine (NULL);
      begin (&self, 20, 0);
      out (&self, 0, "10 14 01 02 03 04 05 06");
      assert_send_failed (&self, take (&self, hex, 1), GW_ISOTP_N_INVALID_FS);
    }
  /* and the next one goes */
  begin (&self, 1, 0);
  g_assert_cmpint (out (&self, 0, "01 01"), ==, GW_ISOTP_SENT);
}

static void
test_send_timeout_bs (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  assert_pull (&self, 0, "10 14 01 02 03 04 05 06");
  gw_isotp_confirm (&self, 300);
  assert_send_failed (&self, tick_at (&self, 300 + SECOND), GW_ISOTP_N_TIMEOUT_BS);

  self = machine (NULL);
  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  take (&self, "30 01 00", 1);
  out (&self, 2, "21 07 08 09 0a 0b 0c 0d");
  assert_send_failed (&self, tick_at (&self, 2 + SECOND), GW_ISOTP_N_TIMEOUT_BS);
}

/* A frame that is not pulled, or not confirmed. */
static void
test_send_timeout_as (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 2, 7);
  assert_send_failed (&self, tick_at (&self, 7 + SECOND), GW_ISOTP_N_TIMEOUT_A);

  self = machine (NULL);
  begin (&self, 2, 7);
  assert_pull (&self, 8, "02 01 02");
  assert_send_failed (&self, tick_at (&self, 7 + SECOND), GW_ISOTP_N_TIMEOUT_A);
  /* its place in the window is free again, and a late confirmation harmless */
  begin (&self, 1, 2 * SECOND);
  g_assert_cmpint (out (&self, 2 * SECOND, "01 01"), ==, GW_ISOTP_SENT);
  g_assert_cmpint (gw_isotp_confirm (&self, 2 * SECOND), ==, GW_ISOTP_NOTHING);

  self = machine (NULL);
  begin (&self, 20, 0);
  assert_pull (&self, 0, "10 14 01 02 03 04 05 06");
  assert_send_failed (&self, tick_at (&self, SECOND), GW_ISOTP_N_TIMEOUT_A);

  self = machine (NULL);
  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  take (&self, "30 00 00", 5);
  assert_pull (&self, 5, "21 07 08 09 0a 0b 0c 0d");
  gw_isotp_confirm (&self, 6);
  assert_pull (&self, 7, "22 0e 0f 10 11 12 13 14");
  assert_send_failed (&self, tick_at (&self, 6 + SECOND), GW_ISOTP_N_TIMEOUT_A);
}

/* The other may have heard a frame, and answered, before we know that it went out. */
static void
test_flow_overtakes_confirmation (void)
{
  GwIsotp self = machine (NULL);

  begin (&self, 20, 0);
  assert_pull (&self, 0, "10 14 01 02 03 04 05 06");
  g_assert_cmpint (take (&self, "30 01 00", 1), ==, GW_ISOTP_NOTHING);
  assert_no_pull (&self, 1); /* the link has not taken its frame off us yet */
  g_assert_cmpint (gw_isotp_confirm (&self, 2), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 1 + SECOND);
  assert_pull (&self, 2, "21 07 08 09 0a 0b 0c 0d");
  g_assert_cmpint (take (&self, "30 00 00", 3), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_confirm (&self, 4), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (out (&self, 4, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_SENT);

  /* a refusal as well; then the confirmation is nobody's */
  self = machine (window2);
  begin (&self, 20, 0);
  assert_pull (&self, 0, "10 14 01 02 03 04 05 06");
  g_assert_cmpint (take (&self, "32 00 00", 1), ==, GW_ISOTP_SEND_FAILED);
  begin (&self, 2, 2);
  assert_pull (&self, 2, "02 01 02");
  g_assert_cmpint (gw_isotp_confirm (&self, 3), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_confirm (&self, 4), ==, GW_ISOTP_SENT);
}

static void
test_window (void)
{
  GwIsotp self = machine (window3);

  begin (&self, 6 + 4 * 7, 0);
  assert_pull (&self, 0, "10 22 01 02 03 04 05 06");
  assert_no_pull (&self, 0);
  gw_isotp_confirm (&self, 0);
  take (&self, "30 00 00", 1);
  assert_pull (&self, 1, "21 07 08 09 0a 0b 0c 0d");
  assert_pull (&self, 1, "22 0e 0f 10 11 12 13 14");
  assert_pull (&self, 1, "23 15 16 17 18 19 1a 1b");
  assert_no_pull (&self, 1);
  g_assert_cmpint (gw_isotp_confirm (&self, 5), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_due (&self), ==, 5 + SECOND);
  assert_pull (&self, 5, "24 1c 1d 1e 1f 20 21 22");
  assert_no_pull (&self, 5);
  g_assert_cmpint (gw_isotp_confirm (&self, 6), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_confirm (&self, 7), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (gw_isotp_confirm (&self, 8), ==, GW_ISOTP_SENT);

  /* the end of a block is when the last of it has gone out */
  begin (&self, 6 + 4 * 7, 10);
  out (&self, 10, "10 22 01 02 03 04 05 06");
  take (&self, "30 02 00", 11);
  assert_pull (&self, 11, "21 07 08 09 0a 0b 0c 0d");
  assert_pull (&self, 11, "22 0e 0f 10 11 12 13 14");
  assert_no_pull (&self, 11);
  gw_isotp_confirm (&self, 20);
  g_assert_cmpint (gw_isotp_due (&self), ==, 20 + SECOND);
  gw_isotp_confirm (&self, 30);
  g_assert_cmpint (tick_at (&self, 30 + SECOND), ==, GW_ISOTP_SEND_FAILED);
  g_assert_cmpint (gw_isotp_send_failure (&self), ==, GW_ISOTP_N_TIMEOUT_BS);

  /* one by one where time is to be kept between them */
  begin (&self, 20, 0);
  out (&self, 0, "10 14 01 02 03 04 05 06");
  take (&self, "30 00 01", 1);
  assert_pull (&self, 1, "21 07 08 09 0a 0b 0c 0d");
  assert_no_pull (&self, 10 * MS);
  gw_isotp_confirm (&self, 10 * MS);
  assert_no_pull (&self, 11 * MS - 1);
  g_assert_cmpint (out (&self, 11 * MS, "22 0e 0f 10 11 12 13 14"), ==, GW_ISOTP_SENT);
}

/* What the link could not send is pulled again, the same. */
static void
test_unpull (void)
{
  GwIsotp self = machine (window3);

  gw_isotp_unpull (&self); /* nothing there */
  begin (&self, 2, 0);
  assert_pull (&self, 0, "02 01 02");
  gw_isotp_unpull (&self);
  g_assert_cmpint (out (&self, 0, "02 01 02"), ==, GW_ISOTP_SENT);

  for (gsize len = 21; len <= 28; len++) /* last frames of all lengths */
    {
      g_autofree char *first = g_strdup_printf ("10 %02x 01 02 03 04 05 06", (guint)len);
      GwCanFrame a, b, c, again;

      begin (&self, len, 0);
      assert_pull (&self, 0, first);
      gw_isotp_unpull (&self);
      out (&self, 0, first);
      take (&self, len % 2 ? "30 00 00" : "30 03 00", 1);
      g_assert_true (gw_isotp_pull (&self, 1, &a));
      g_assert_true (gw_isotp_pull (&self, 1, &b));
      g_assert_true (gw_isotp_pull (&self, 1, &c));
      gw_isotp_unpull (&self);
      gw_isotp_unpull (&self);
      g_assert_true (gw_isotp_pull (&self, 1, &again));
      g_assert_cmpmem (again.data, again.len, b.data, b.len);
      g_assert_true (gw_isotp_pull (&self, 1, &again));
      g_assert_cmpmem (again.data, again.len, c.data, c.len);
      g_assert_cmpint (gw_isotp_confirm (&self, 2), ==, GW_ISOTP_NOTHING);
      g_assert_cmpint (gw_isotp_confirm (&self, 2), ==, GW_ISOTP_NOTHING);
      if (len == 28)
        {
          assert_no_pull (&self, 2);
          g_assert_cmpint (gw_isotp_confirm (&self, 2), ==, GW_ISOTP_NOTHING);
          take (&self, "30 00 00", 3);
          assert_pull (&self, 3, "24 1c");
        }
      g_assert_cmpint (gw_isotp_confirm (&self, 3), ==, GW_ISOTP_SENT);
    }

  /* the end of a block is taken back, too */
  begin (&self, 34, 0);
  out (&self, 0, "10 22 01 02 03 04 05 06");
  take (&self, "30 01 00", 1);
  assert_pull (&self, 1, "21 07 08 09 0a 0b 0c 0d");
  gw_isotp_unpull (&self);
  assert_pull (&self, 1, "21 07 08 09 0a 0b 0c 0d");
  assert_no_pull (&self, 1);
  /* what the other has answered cannot be taken back */
  take (&self, "30 00 00", 2);
  gw_isotp_unpull (&self);
  assert_pull (&self, 2, "22 0e 0f 10 11 12 13 14");
  gw_isotp_reset (&self);

  /* flow control */
  take (&self, "10 14 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "30 00 00");
  gw_isotp_unpull (&self);
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 0), ==, GW_ISOTP_NOTHING); /* too early */
  g_assert_cmpuint (self.counters.ignored, ==, 1);
  assert_pull (&self, 0, "30 00 00");
  gw_isotp_confirm (&self, 0);
  g_assert_cmpint (take (&self, "21 07 08 09 0a 0b 0c 0d", 0), ==, GW_ISOTP_NOTHING);
  g_assert_cmpint (take (&self, "22 0e 0f 10 11 12 13 14", 0), ==, GW_ISOTP_RECEIVED);
  assert_message (&self, 20);
  take (&self, "12 58 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "32 00 00");
  gw_isotp_unpull (&self);
  assert_pull (&self, 0, "32 00 00");
  /* a newer one takes its place */
  gw_isotp_confirm (&self, 0);
  take (&self, "10 14 01 02 03 04 05 06", 0);
  assert_pull (&self, 0, "30 00 00");
  take (&self, "12 58 01 02 03 04 05 06", 0);
  gw_isotp_unpull (&self);
  assert_pull (&self, 0, "32 00 00");
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*test) (void);
  } tests[] = {
    { "send", test_send },
    { "send-padded", test_send_padded },
    { "send-fd", test_send_fd },
    { "send-long", test_send_long },
    { "send-blocks", test_send_blocks },
    { "send-waits", test_send_waits },
    { "send-refused", test_send_refused },
    { "send-timeout-bs", test_send_timeout_bs },
    { "send-timeout-as", test_send_timeout_as },
    { "flow-overtakes-confirmation", test_flow_overtakes_confirmation },
    { "window", test_window },
    { "unpull", test_unpull },
  };

  g_test_init (&argc, &argv, NULL);
  pattern = isotp_pattern ();
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/isotp-send/", tests[i].name, NULL);

      g_test_add_func (path, tests[i].test);
    }
  return g_test_run ();
}
