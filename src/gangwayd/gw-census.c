/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-census.h. */

#include "config.h"

#include "gw-census.h"

struct _GwCensus
{
  GHashTable *states;   /* word -> how many, never 0 */
  GHashTable *policies; /* name -> how many, never 0 */
  GwStep tell;
  void (*changed) (gpointer data);
  gpointer data;
};

static void
add (GHashTable *table, const char *key, int n)
{
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (table, key)) + (guint) n;

  if (count == 0)
    g_hash_table_remove (table, key);
  else
    g_hash_table_insert (table, g_strdup (key), GUINT_TO_POINTER (count));
}

void
gw_census_leave (GwCensus *self, GwCensusPlace *place)
{
  if (place->state == NULL)
    return;
  add (self->states, place->state, -1);
  if (place->policy != NULL)
    add (self->policies, place->policy, -1);
  place->state = NULL;
  g_clear_pointer (&place->policy, g_free);
  gw_step_queue (&self->tell);
}

void
gw_census_count (GwCensus *self, GwCensusPlace *place, const char *state, const char *policy)
{
  if (g_strcmp0 (place->state, state) == 0 && g_strcmp0 (place->policy, policy) == 0)
    return;
  gw_census_leave (self, place);
  place->state = state;
  place->policy = g_strdup (policy);
  add (self->states, state, 1);
  if (policy != NULL)
    add (self->policies, policy, 1);
  gw_step_queue (&self->tell);
}

GVariant *
gw_census_get_states (GwCensus *self)
{
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer state, n;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{su}"));
  g_hash_table_iter_init (&iter, self->states);
  while (g_hash_table_iter_next (&iter, &state, &n))
    g_variant_builder_add (&builder, "{su}", state, GPOINTER_TO_UINT (n));
  return g_variant_builder_end (&builder);
}

guint
gw_census_get_policy (GwCensus *self, const char *policy)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (self->policies, policy));
}

static void
on_tell (gpointer data)
{
  GwCensus *self = data;

  self->changed (self->data);
}

GwCensus *
gw_census_new (GwLoop *loop, void (*changed) (gpointer data), gpointer data)
{
  GwCensus *self = g_new0 (GwCensus, 1);

  self->states = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->policies = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->changed = changed;
  self->data = data;
  gw_step_init (&self->tell, loop, on_tell, self);
  return self;
}

void
gw_census_free (GwCensus *self)
{
  gw_step_cancel (&self->tell);
  g_hash_table_unref (self->states);
  g_hash_table_unref (self->policies);
  g_free (self);
}
