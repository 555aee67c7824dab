/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-reports.h"

typedef struct
{
  guint64 first, last;
} Range;

typedef struct
{
  char *bt;
  GArray *acked; /* of Range, ascending */
  GArray *made;  /* of gint64: when report `first_made` and those after it were made, UTC in microseconds */
  guint64 first_made;
} Boot;

struct GwSimReports
{
  GPtrArray *boots; /* of Boot, the present one last */
};

static void
boot_free (gpointer data)
{
  Boot *boot = data;

  g_array_unref (boot->acked);
  g_array_unref (boot->made);
  g_free (boot->bt);
  g_free (boot);
}

GwSimReports *
gw_sim_reports_new (void)
{
  GwSimReports *self = g_new0 (GwSimReports, 1);

  self->boots = g_ptr_array_new_with_free_func (boot_free);
  return self;
}

void
gw_sim_reports_free (GwSimReports *self)
{
  g_ptr_array_unref (self->boots);
  g_free (self);
}

void
gw_sim_reports_begin_boot (GwSimReports *self, const char *bt)
{
  Boot *boot = g_new0 (Boot, 1);

  boot->bt = g_strdup (bt);
  boot->acked = g_array_new (FALSE, FALSE, sizeof (Range));
  boot->made = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_ptr_array_add (self->boots, boot);
}

/* ---- Noting ---- */

static Boot *
present_boot (GwSimReports *self)
{
  return self->boots->pdata[self->boots->len - 1];
}

void
gw_sim_reports_note_made (GwSimReports *self, guint64 q, gint64 usec)
{
  Boot *boot = present_boot (self);

  if (boot->made->len == 0)
    boot->first_made = q;
  while (boot->first_made + boot->made->len <= q)
    g_array_append_val (boot->made, usec);
  if (boot->made->len < 2 * GW_SIM_REPORTS_MADE)
    return;
  boot->first_made += GW_SIM_REPORTS_MADE;
  g_array_remove_range (boot->made, 0, GW_SIM_REPORTS_MADE);
}

void
gw_sim_reports_note_acknowledged (GwSimReports *self, guint64 q)
{
  Boot *boot = present_boot (self);
  Range *last = boot->acked->len > 0 ? &g_array_index (boot->acked, Range, boot->acked->len - 1) : NULL;

  if (last && last->last + 1 == q)
    last->last = q;
  else
    g_array_append_val (boot->acked, ((Range){ q, q }));
}

/* ---- Looking ---- */

guint64
gw_sim_reports_count_acknowledged (const GwSimReports *self, guint64 *last_q)
{
  guint64 n = 0;

  *last_q = 0;
  for (guint i = 0; i < self->boots->len; i++)
    {
      const Boot *boot = self->boots->pdata[i];

      *last_q = 0;
      for (guint k = 0; k < boot->acked->len; k++)
        {
          const Range *range = &g_array_index (boot->acked, Range, k);

          n += range->last - range->first + 1;
          *last_q = range->last;
        }
    }
  return n;
}

json_t *
gw_sim_reports_acknowledged (const GwSimReports *self)
{
  json_t *boots = json_array ();

  for (guint i = 0; i < self->boots->len; i++)
    {
      const Boot *boot = self->boots->pdata[i];
      json_t *ranges = json_array ();

      for (guint k = 0; k < boot->acked->len; k++)
        {
          const Range *range = &g_array_index (boot->acked, Range, k);

          json_array_append_new (ranges,
                                 json_pack ("[I, I]", (json_int_t)range->first, (json_int_t)range->last));
        }
      json_array_append_new (boots, json_pack ("{s:s, s:o}", "bt", boot->bt, "q", ranges));
    }
  return boots;
}

json_t *
gw_sim_reports_made (const GwSimReports *self)
{
  json_t *boots = json_array ();

  for (guint i = 0; i < self->boots->len; i++)
    {
      const Boot *boot = self->boots->pdata[i];
      json_t *times = json_array ();

      for (guint k = 0; k < boot->made->len; k++)
        json_array_append_new (times, json_integer (g_array_index (boot->made, gint64, k)));
      json_array_append_new (boots, json_pack ("{s:s, s:I, s:o}", "bt", boot->bt, "first",
                                               (json_int_t)boot->first_made, "usec", times));
    }
  return boots;
}
