/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How often our plugins say what others can make happen all the time. */

#include "gw-program.h"

static void
say_a_hundred (void)
{
  const GwProgramFuncs funcs = { .program = "gangway-test" };
  GwProgram program = { .funcs = &funcs, .device = (char *) "ttyX" };
  GwHush of_one = { 0 }, of_another = { 0 };

  for (guint i = 1; i <= 100; i++)
    gw_program_say_seldom (&program, &of_one, "node 1: change %u", i);
  gw_program_say_seldom (&program, &of_another, "node 2: change %u", 1u);
}

static void
test_say_seldom (void)
{
  if (g_test_subprocess ())
    {
      say_a_hundred ();
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("gangway-test: ttyX: node 1: change 1\n*change 5\n*change 6 (*less often*)\n"
                             "gangway-test: ttyX: node 2: change 1\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/program/say-seldom", test_say_seldom);
  return g_test_run ();
}
