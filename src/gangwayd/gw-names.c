// SPDX-License-Identifier: LGPL-2.1-or-later
/* See the header. Ownership: an Entry a name, held by the table and by its look-up while one is under way; a
 * query belongs to its entry's queue until it is answered or cancelled. */
#include "gw-names.h"

/* Names come from the policies, so there are few; this is only against growing for ever. */
#define MAX_ENTRIES 256

typedef struct
{
  gint refs;
  GwNames *names; /* NULL: gone */
  char *host;
  GCancellable *running;
  GQueue queries;
  GList *addresses;
  gint64 good_until;
} Entry;

struct GwNames
{
  GwLoop *loop;
  GHashTable *entries; /* host -> Entry */
};

struct GwNamesQuery
{
  GList link;
  Entry *entry;
  GwNamesFunc func;
  gpointer data;
};

static void
entry_unref (gpointer data)
{
  Entry *entry = data;

  if (--entry->refs)
    return;
  g_resolver_free_addresses (entry->addresses);
  g_free (entry->host);
  g_free (entry);
}

/* The table lets go of it; a look-up under way keeps the memory until it has returned. */
static void
entry_drop (gpointer data)
{
  Entry *entry = data;

  entry->names = NULL;
  if (entry->running)
    g_cancellable_cancel (entry->running);
  entry_unref (entry);
}

static gpointer
copy_object (gconstpointer object, gpointer unused)
{
  return g_object_ref ((gpointer)object);
}

static GList *
copy_addresses (GList *addresses)
{
  return g_list_copy_deep (addresses, copy_object, NULL);
}

GwNames *
gw_names_new (GwLoop *loop)
{
  GwNames *self = g_new0 (GwNames, 1);

  self->loop = loop;
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_drop);
  return self;
}

void
gw_names_free (GwNames *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->entries);
  g_free (self);
}

static void
lookup_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Entry *entry = data;
  g_autoptr (GError) error = NULL;
  GList *addresses = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &error);
  GwNamesQuery *query;

  g_clear_object (&entry->running);
  if (entry->names && addresses)
    {
      g_resolver_free_addresses (entry->addresses);
      entry->addresses = copy_addresses (addresses);
      entry->good_until = gw_loop_now (entry->names->loop) + GW_NAMES_KEEP;
    }

  /* One at a time off the entry's own queue, since the called may cancel others; who asks anew meanwhile gets
   * a new look-up or, the answer being fresh, needs none. */
  for (guint n = entry->queries.length; n && !entry->running && (query = g_queue_peek_head (&entry->queries));
       n--)
    {
      GwNamesFunc func = query->func;
      gpointer func_data = query->data;

      gw_names_cancel (query);
      func (addresses, error, func_data);
    }
  g_resolver_free_addresses (addresses);
  entry_unref (entry);
}

static void
look_up (GwNames *self, Entry *entry)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();

  entry->refs++;
  entry->running = g_cancellable_new ();
  g_main_context_push_thread_default (gw_loop_context (self->loop));
  g_resolver_lookup_by_name_async (resolver, entry->host, entry->running, lookup_done, entry);
  g_main_context_pop_thread_default (gw_loop_context (self->loop));
}

static gboolean
is_idle (gpointer host, gpointer data, gpointer unused)
{
  return !((Entry *)data)->running;
}

GwNamesQuery *
gw_names_ask (GwNames *self, const char *host, GList **addresses, GwNamesFunc func, gpointer data)
{
  GInetAddress *numeric = g_inet_address_new_from_string (host);
  Entry *entry = g_hash_table_lookup (self->entries, host);
  GwNamesQuery *query;

  *addresses = NULL;
  if (numeric)
    {
      *addresses = g_list_prepend (NULL, numeric);
      return NULL;
    }
  if (entry && entry->addresses && gw_loop_now (self->loop) < entry->good_until)
    {
      *addresses = copy_addresses (entry->addresses);
      return NULL;
    }
  if (!entry)
    {
      if (g_hash_table_size (self->entries) >= MAX_ENTRIES)
        g_hash_table_foreach_remove (self->entries, is_idle, NULL);
      entry = g_new0 (Entry, 1);
      entry->refs = 1;
      entry->names = self;
      entry->host = g_strdup (host);
      g_queue_init (&entry->queries);
      g_hash_table_insert (self->entries, entry->host, entry);
    }
  query = g_new0 (GwNamesQuery, 1);
  query->link.data = query;
  query->entry = entry;
  query->func = func;
  query->data = data;
  g_queue_push_tail_link (&entry->queries, &query->link);
  if (!entry->running)
    look_up (self, entry);
  return query;
}

void
gw_names_cancel (GwNamesQuery *query)
{
  g_queue_unlink (&query->entry->queries, &query->link);
  g_free (query);
}
