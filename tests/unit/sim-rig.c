/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sim-rig.h"

#include <glib/gstdio.h>

#define START_UTC_USEC (1700000000 * (gint64)G_USEC_PER_SEC)

void
sim_rig_init (SimRig *self)
{
  self->clock = gw_clock_new_mock (SIM_RIG_START_USEC, START_UTC_USEC);
  self->loop = gw_loop_new (NULL, self->clock);
  self->folder = g_dir_make_tmp ("gw-sim-XXXXXX", NULL);
  g_assert_nonnull (self->folder);
}

void
sim_rig_clear (SimRig *self)
{
  g_clear_pointer (&self->sim, gw_sim_free);
  gw_loop_free (self->loop);
  gw_clock_unref (self->clock);
  sim_rig_remove_tree (self->folder);
  g_free (self->folder);
}

GwSimOptions
sim_rig_options (const SimRig *self)
{
  return (GwSimOptions){
    .folder = self->folder,
    .seed = "test",
    .manufacturer = "Gangway",
    .model = "SIM-1",
    .firmware = "1.0.0",
    .puf = GW_SIM_PUF_MODEL_DEFAULT,
  };
}

void
sim_rig_start (SimRig *self, const GwSimOptions *options)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&self->sim, gw_sim_free);
  self->sim = gw_sim_new (self->loop, options, &error);
  g_assert_no_error (error);
}

void
sim_rig_turn (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

void
sim_rig_jump (SimRig *self, gint64 usec)
{
  gw_clock_advance (self->clock, usec);
  sim_rig_turn ();
}

json_t *
sim_rig_command (SimRig *self, const char *line)
{
  json_t *answer = gw_sim_command (self->sim, line);

  if (!json_is_true (json_object_get (answer, "ok")))
    g_error ("%s: %s", line, json_string_value (json_object_get (answer, "error")));
  return answer;
}

void
sim_rig_tell (SimRig *self, const char *line)
{
  json_decref (sim_rig_command (self, line));
}

void
sim_rig_remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR) && !g_file_test (child, G_FILE_TEST_IS_SYMLINK))
        sim_rig_remove_tree (child);
      else
        g_unlink (child);
    }
  g_rmdir (path);
}
