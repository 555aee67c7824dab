/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The disk thread.
 *
 * An item lives on one of three lists: waiting (pushed, main -> thread), the group (in the thread's hands,
 * nobody else touches it) and told (finished, thread -> main). Two locked queues and a count carry it
 * between; nothing else is shared. Items are owned by whoever's list they are on; their data belongs to the
 * pusher, who frees it in done.
 *
 * The thread wakes the main context by the ready time of one GSource, so a group of any size costs one
 * wake-up. */

#include "gw-writer.h"

#include "gw-error.h"

typedef struct
{
  GList link;
  GwWriterFunc run;
  GwWriterDone done;
  gpointer data;
  gboolean is_log;
  gboolean sync;
  GError *error; /* this item's, or the group's */
} Item;

typedef struct
{
  const GwWriterStore *ops;
  gpointer handle;
  gboolean begun; /* in this group; writer thread only */
} Store;

enum
{
  STORE_LOG, /* committed first: a record the database does not know of does no harm */
  STORE_DB,
  N_STORES
};

struct _GwWriter
{
  GThread *thread;
  GMainContext *context;
  GSource *source;
  Store stores[N_STORES];

  GMutex lock;
  GCond wake; /* something waits, or stop */
  GCond idle; /* something was told, for flush */
  GQueue waiting;
  GQueue told;
  guint busy; /* items in the group */
  gboolean stop;
  gboolean stopped;
  guint64 items;
  guint64 failed;
  guint64 groups;
  guint64 aborts;
};

typedef struct
{
  GSource source;
  GwWriter *writer;
} WriterSource;

static void
fail_item (Item *item, const GError *error)
{
  if (item->error == NULL)
    item->error = g_error_copy (error);
}

/* A store that says FALSE without a reason would let its items pass for durable. */
static void
ensure_error (GError **error, const char *what)
{
  if (*error == NULL)
    g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "The store failed to %s and gave no reason", what);
}

static gboolean
begin_store (Store *store, GError **error)
{
  if (store->begun)
    return TRUE;
  store->begun = TRUE; /* also when begin fails: end clears up */
  if (store->ops->begin (store->handle, error))
    return TRUE;
  ensure_error (error, "begin");
  return FALSE;
}

/* FALSE only if the whole group must fail; an item's own failure is kept in the item. */
static gboolean
run_item (GwWriter *self, Item *item, GError **error)
{
  Store *store = &self->stores[item->is_log ? STORE_LOG : STORE_DB];

  if (store->ops == NULL)
    {
      item->error = g_error_new_literal (GW_ERROR, GW_ERROR_UNSUPPORTED, "This writer has no such store");
      return TRUE;
    }
  if (!begin_store (store, error))
    return FALSE;
  if (!store->ops->mark (store->handle, error))
    {
      ensure_error (error, "set a mark");
      return FALSE;
    }
  if (item->run (item->data, store->handle, &item->error))
    {
      g_clear_error (&item->error);
      return TRUE;
    }
  ensure_error (&item->error, "run an item");
  if (store->ops->undo (store->handle, error))
    return TRUE;
  ensure_error (error, "undo an item");
  return FALSE;
}

static gboolean
write_group (GwWriter *self, GQueue *group, GError **error)
{
  gboolean sync = FALSE;

  for (GList *l = group->head; l != NULL; l = l->next)
    {
      Item *item = l->data;
      if (!run_item (self, item, error))
        return FALSE;
      sync = sync || (item->is_log && item->sync && item->error == NULL);
    }
  for (guint i = 0; i < N_STORES; i++)
    {
      Store *store = &self->stores[i];
      if (!store->begun || store->ops->commit (store->handle, sync || i == STORE_DB, error))
        continue;
      ensure_error (error, "commit");
      return FALSE;
    }
  return TRUE;
}

/* Writes one group and leaves in each item what became of it. */
static gboolean
do_group (GwWriter *self, GQueue *group)
{
  g_autoptr (GError) error = NULL;
  gboolean committed = write_group (self, group, &error);

  for (guint i = 0; i < N_STORES; i++)
    {
      if (self->stores[i].begun)
        self->stores[i].ops->end (self->stores[i].handle, committed);
      self->stores[i].begun = FALSE;
    }
  if (!committed)
    for (GList *l = group->head; l != NULL; l = l->next)
      fail_item (l->data, error);
  return committed;
}

static void
move_links (GQueue *from, GQueue *to, guint most)
{
  while (most-- > 0 && from->head != NULL)
    g_queue_push_tail_link (to, g_queue_pop_head_link (from));
}

static gpointer
writer_thread (gpointer user_data)
{
  GwWriter *self = user_data;

  g_mutex_lock (&self->lock);
  for (;;)
    {
      GQueue group = G_QUEUE_INIT;
      gboolean committed;

      while (self->waiting.head == NULL && !self->stop)
        g_cond_wait (&self->wake, &self->lock);
      if (self->waiting.head == NULL)
        break;
      move_links (&self->waiting, &group, GW_WRITER_GROUP_MAX);
      self->busy = group.length;
      g_mutex_unlock (&self->lock);

      committed = do_group (self, &group);

      g_mutex_lock (&self->lock);
      self->busy = 0;
      self->groups += committed;
      self->aborts += !committed;
      move_links (&group, &self->told, G_MAXUINT);
      g_source_set_ready_time (self->source, 0);
      g_cond_broadcast (&self->idle);
    }
  g_mutex_unlock (&self->lock);
  return NULL;
}

/* Tells what is finished. Items are taken off first: a done callback may push, flush or stop. */
static void
tell (GwWriter *self)
{
  GQueue told = G_QUEUE_INIT;

  g_mutex_lock (&self->lock);
  move_links (&self->told, &told, G_MAXUINT);
  for (GList *l = told.head; l != NULL; l = l->next)
    {
      Item *item = l->data;
      self->items += item->error == NULL;
      self->failed += item->error != NULL;
    }
  g_mutex_unlock (&self->lock);

  while (told.head != NULL)
    {
      Item *item = g_queue_pop_head_link (&told)->data;
      if (item->done != NULL)
        item->done (item->data, item->error);
      g_clear_error (&item->error);
      g_free (item);
    }
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  g_source_set_ready_time (source, -1);
  tell (((WriterSource *)source)->writer);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

GwWriter *
gw_writer_new (const GwWriterStore *db_ops, gpointer db)
{
  GwWriter *self = g_new0 (GwWriter, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->wake);
  g_cond_init (&self->idle);
  g_queue_init (&self->waiting);
  g_queue_init (&self->told);
  self->stores[STORE_DB].ops = db_ops;
  self->stores[STORE_DB].handle = db;
  self->context = g_main_context_ref_thread_default ();
  self->source = g_source_new (&source_funcs, sizeof (WriterSource));
  ((WriterSource *)self->source)->writer = self;
  g_source_set_static_name (self->source, "gw-writer");
  g_source_attach (self->source, self->context);
  self->thread = g_thread_new ("gw-writer", writer_thread, self);
  return self;
}

void
gw_writer_set_log (GwWriter *self, const GwWriterStore *log_ops, gpointer log)
{
  /* The thread reads it only for an item pushed later; the queue's lock orders the two. */
  g_mutex_lock (&self->lock);
  self->stores[STORE_LOG].ops = log_ops;
  self->stores[STORE_LOG].handle = log;
  g_mutex_unlock (&self->lock);
}

static void
push_item (GwWriter *self, Item *item)
{
  item->link.data = item;
  g_mutex_lock (&self->lock);
  if (self->stop)
    item->error
        = g_error_new_literal (GW_ERROR, GW_ERROR_CANCELLED, "The agent is stopping; nothing more is stored");
  else if (self->waiting.length >= GW_WRITER_QUEUE_MAX)
    item->error = g_error_new (GW_ERROR, GW_ERROR_BUSY,
                               "%u writes already wait for the disk; try again later", self->waiting.length);
  if (item->error == NULL)
    {
      g_queue_push_tail_link (&self->waiting, &item->link);
      g_cond_signal (&self->wake);
    }
  else
    {
      g_queue_push_tail_link (&self->told, &item->link);
      g_source_set_ready_time (self->source, 0);
    }
  g_mutex_unlock (&self->lock);
}

void
gw_writer_push (GwWriter *self, GwWriterFunc run, GwWriterDone done, gpointer data)
{
  Item *item = g_new0 (Item, 1);

  item->run = run;
  item->done = done;
  item->data = data;
  push_item (self, item);
}

void
gw_writer_push_log (GwWriter *self, gboolean sync, GwWriterFunc run, GwWriterDone done, gpointer data)
{
  Item *item = g_new0 (Item, 1);

  item->run = run;
  item->done = done;
  item->data = data;
  item->is_log = TRUE;
  item->sync = sync;
  push_item (self, item);
}

gboolean
gw_writer_is_busy (GwWriter *self)
{
  g_mutex_lock (&self->lock);
  gboolean busy = self->waiting.length > GW_WRITER_QUEUE_HIGH;
  g_mutex_unlock (&self->lock);
  return busy;
}

void
gw_writer_flush (GwWriter *self)
{
  for (;;)
    {
      gboolean finished;

      g_mutex_lock (&self->lock);
      while (self->told.head == NULL && (self->waiting.head != NULL || self->busy > 0))
        g_cond_wait (&self->idle, &self->lock);
      finished = self->told.head == NULL;
      g_mutex_unlock (&self->lock);
      if (finished)
        return;
      tell (self);
    }
}

void
gw_writer_stop (GwWriter *self)
{
  if (self->stopped)
    return;
  gw_writer_flush (self);
  g_mutex_lock (&self->lock);
  self->stop = TRUE;
  g_cond_signal (&self->wake);
  g_mutex_unlock (&self->lock);
  g_thread_join (g_steal_pointer (&self->thread));
  self->stopped = TRUE;
  tell (self);
}

void
gw_writer_free (GwWriter *self)
{
  if (self == NULL)
    return;
  gw_writer_stop (self);
  tell (self); /* what a last done callback pushed: refused, but told */
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->wake);
  g_cond_clear (&self->idle);
  g_free (self);
}

void
gw_writer_get_stats (GwWriter *self, GwWriterStats *out)
{
  g_mutex_lock (&self->lock);
  *out = (GwWriterStats){
    .items = self->items,
    .failed = self->failed,
    .groups = self->groups,
    .aborts = self->aborts,
    .queued = self->waiting.length + self->busy,
  };
  g_mutex_unlock (&self->lock);
}
