/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulator's end of a terminal, against a user at the other. A device of the machine's: test-gw-sim.c.
 */

#include "gw-sim-pty.h"

#include <string.h>

#include "sim-rig.h"
#include "sim-terminal.h"

typedef struct
{
  SimRig rig;
  GwSimPty pty;
  SimTerminal terminal;
  GByteArray *came;
  guint users_came, users_went;
  gboolean unplugs; /* as soon as octets come */
} Fixture;

static void
on_octets (guint8 *octets, gsize len, gpointer data)
{
  Fixture *f = data;

  g_byte_array_append (f->came, octets, len);
  if (f->unplugs)
    gw_sim_pty_unplug (&f->pty);
}

static void
on_user (gboolean is_there, gpointer data)
{
  Fixture *f = data;

  g_assert_cmpuint (f->pty.out->len, ==, 0);
  *(is_there ? &f->users_came : &f->users_went) += 1;
}

static const GwSimPtyFuncs funcs = { on_octets, on_user };

static guint64
counter (gpointer data, const char *name)
{
  Fixture *f = data;

  return g_str_equal (name, "octets_in") ? f->pty.octets_in : f->pty.octets_out;
}

static void
open_terminal (Fixture *f)
{
  sim_terminal_open (&f->terminal, f->pty.path, counter, f);
  gw_sim_pty_check (&f->pty);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *link = NULL;
  g_autoptr (GError) error = NULL;

  sim_rig_init (&f->rig);
  link = g_build_filename (f->rig.folder, "tty", NULL);
  f->came = g_byte_array_new ();
  gw_sim_pty_init (&f->pty, f->rig.loop, link, &funcs, f);
  gw_sim_pty_plug (&f->pty, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_sim_pty_clear (&f->pty);
  g_byte_array_unref (f->came);
  sim_rig_clear (&f->rig);
}

static gboolean
put (Fixture *f, const char *text)
{
  return gw_sim_pty_put (&f->pty, (const guint8 *)text, strlen (text));
}

static void
assert_read (Fixture *f, const char *expected)
{
  char octets[64];
  gsize n = sim_terminal_read (&f->terminal, octets, sizeof octets);

  g_assert_cmpmem (octets, n, expected, strlen (expected));
}

/* Nobody is there, however often it is looked: nothing is taken for later. */
static void
test_nobody (Fixture *f, gconstpointer data)
{
  gw_sim_pty_check (&f->pty);
  gw_sim_pty_check (&f->pty);
  sim_rig_turn ();
  g_assert_false (put (f, "lost"));
  gw_sim_pty_flush (&f->pty);
  g_assert_cmpuint (f->users_came, ==, 0);
  open_terminal (f);
  assert_read (f, "");
  sim_terminal_close (&f->terminal);
}

static void
test_both_ways (Fixture *f, gconstpointer data)
{
  open_terminal (f);
  g_assert_cmpuint (f->users_came, ==, 1);
  sim_terminal_write (&f->terminal, "ping", 4);
  g_assert_cmpmem (f->came->data, f->came->len, "ping", 4);
  g_assert_true (put (f, "po"));
  g_assert_true (put (f, "ng"));
  assert_read (f, ""); /* it is queued only */
  gw_sim_pty_flush (&f->pty);
  assert_read (f, "pong");
  sim_terminal_close (&f->terminal);
}

/* What was queued for a user who has gone is not the next one's. */
static void
test_next_user (Fixture *f, gconstpointer data)
{
  open_terminal (f);
  g_assert_true (put (f, "for the first"));
  sim_terminal_close (&f->terminal);
  while (f->users_went == 0)
    sim_rig_turn ();
  g_assert_false (put (f, "for nobody"));
  open_terminal (f);
  g_assert_cmpuint (f->users_came, ==, 2);
  gw_sim_pty_flush (&f->pty);
  assert_read (f, "");
  g_assert_true (put (f, "for the second"));
  gw_sim_pty_flush (&f->pty);
  assert_read (f, "for the second");
  sim_terminal_close (&f->terminal);
}

/* A user who does not read: the queue fills up and no further, and nothing of what it took is lost or out of
 * order. */
static void
test_slow_user (Fixture *f, gconstpointer data)
{
  guint32 put = 0, got = 0, number;

  open_terminal (f);
  while (gw_sim_pty_put (&f->pty, (const guint8 *)&put, sizeof put))
    {
      put++;
      gw_sim_pty_flush (&f->pty);
    }
  g_assert_cmpuint (f->pty.out->len, <=, GW_SIM_PTY_QUEUE_MAX);
  g_assert_cmpuint (f->pty.out->len, >, GW_SIM_PTY_QUEUE_MAX - sizeof put);
  while (got < put)
    {
      for (gsize n = 0, more; n < sizeof number; n += more)
        while ((more = sim_terminal_read (&f->terminal, (char *)&number + n, sizeof number - n)) == 0)
          sim_rig_turn ();
      g_assert_cmpuint (number, ==, got++);
    }
  g_assert_cmpuint (f->pty.out->len, ==, 0);
  sim_terminal_close (&f->terminal);
}

static void
test_unplug (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  open_terminal (f);
  gw_sim_pty_unplug (&f->pty);
  g_assert_cmpuint (f->users_went, ==, 1);
  sim_terminal_assert_hung_up (&f->terminal);
  g_assert_false (g_file_test (f->pty.path, G_FILE_TEST_IS_SYMLINK));
  sim_terminal_close (&f->terminal);
  gw_sim_pty_unplug (&f->pty);
  gw_sim_pty_check (&f->pty);
  g_assert_true (gw_sim_pty_plug (&f->pty, &error));
  g_assert_true (gw_sim_pty_plug (&f->pty, &error));
  open_terminal (f);
  g_assert_cmpuint (f->users_came, ==, 2);
  sim_terminal_close (&f->terminal);
}

static void
test_unplugs_itself (Fixture *f, gconstpointer data)
{
  open_terminal (f);
  f->unplugs = TRUE;
  sim_terminal_write (&f->terminal, "x", 1);
  g_assert_false (f->pty.plugged);
  g_assert_cmpuint (f->users_went, ==, 1);
  sim_terminal_close (&f->terminal);
}

static void
test_no_folder (Fixture *f, gconstpointer data)
{
  g_autofree char *link = g_build_filename (f->rig.folder, "none", "tty", NULL);
  g_autoptr (GError) error = NULL;
  GwSimPty pty;

  gw_sim_pty_init (&pty, f->rig.loop, link, &funcs, f);
  g_assert_false (gw_sim_pty_plug (&pty, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, link));
  g_assert_false (pty.plugged);
  gw_sim_pty_clear (&pty);
}

#define ADD(name, func) g_test_add ("/sim-pty/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("nobody", test_nobody);
  ADD ("both-ways", test_both_ways);
  ADD ("next-user", test_next_user);
  ADD ("slow-user", test_slow_user);
  ADD ("unplug", test_unplug);
  ADD ("unplugs-itself", test_unplugs_itself);
  ADD ("no-folder", test_no_folder);
  return g_test_run ();
}
