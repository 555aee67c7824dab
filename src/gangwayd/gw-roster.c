/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-roster.h. An entry is an endpoint and the nodes that have proven its key; whether such a proof still lives is asked of the
 * node each time, because sessions end without a word.
 */

#include "config.h"

#include "gw-roster.h"

#include <string.h>

#include "gw-error.h"
#include "gw-event.h"

#define PREFIX_MIN 4

typedef struct
{
  GwRoster *roster;
  GwEndpoint *endpoint;
  GPtrArray *claimants; /* GwNode that have proven this key */
  GPtrArray *seen;      /* GwNode whose GwRoster.places names this entry; the claimants are among them */
  GwTimer contest;
  GwNode *challenger; /* waits for the first one's silence */
  gint64 asked_at;
} Entry;

struct _GwRoster
{
  const GwServices *services;
  const GwRosterListener *listener;
  gpointer listener_data;
  GHashTable *entries; /* GBytes of the key id -> Entry */
  GHashTable *places;  /* GwNode -> GPtrArray of the entries that may be there, so that nobody asks a thousand others */
};

/* @entry is, or says that it is, at @node. */
static void
see (Entry *entry, GwNode *node)
{
  GHashTable *places = entry->roster->places;
  GPtrArray *there = g_hash_table_lookup (places, node);

  if (g_ptr_array_find (entry->seen, node, NULL))
    return;
  if (there == NULL)
    {
      there = g_ptr_array_new ();
      g_hash_table_insert (places, node, there);
    }
  g_ptr_array_add (there, entry);
  g_ptr_array_add (entry->seen, node);
}

static void
unsee (Entry *entry, GwNode *node)
{
  GHashTable *places = entry->roster->places;
  GPtrArray *there = g_hash_table_lookup (places, node);

  g_ptr_array_remove (entry->seen, node);
  if (there == NULL)
    return;
  g_ptr_array_remove (there, entry);
  if (there->len == 0)
    g_hash_table_remove (places, node);
}

/* Those that may be at @node, for a loop in which they leave. */
static GPtrArray *
who_is_at (GwRoster *self, GwNode *node)
{
  GPtrArray *there = g_hash_table_lookup (self->places, node);

  return there != NULL ? g_ptr_array_copy (there, NULL, NULL) : g_ptr_array_new ();
}

static void
entry_free (Entry *entry)
{
  gw_timer_disarm (&entry->contest);
  while (entry->seen->len > 0)
    unsee (entry, g_ptr_array_index (entry->seen, 0));
  g_ptr_array_unref (entry->seen);
  g_ptr_array_unref (entry->claimants);
  gw_endpoint_free (entry->endpoint);
  g_free (entry);
}

static Entry *
find_entry (GwRoster *self, const guint8 *kid)
{
  g_autoptr (GBytes) key = g_bytes_new_static (kid, GW_KEY_ID_LEN);

  return g_hash_table_lookup (self->entries, key);
}

/* Whether @node has a living session that proved this entry's key. */
static gboolean
claim_lives (Entry *entry, GwNode *node)
{
  GwSession *session = gw_node_get_session (node);

  return session != NULL && gw_session_is_up (session)
         && memcmp (gw_session_get_key_id (session), gw_endpoint_get_record (entry->endpoint)->kid, GW_KEY_ID_LEN) == 0;
}

static guint
living_claims (Entry *entry, GwNode **last)
{
  guint n = 0;

  for (guint i = 0; i < entry->claimants->len; i++)
    {
      GwNode *node = g_ptr_array_index (entry->claimants, i);

      if (!claim_lives (entry, node))
        continue;
      n++;
      if (last != NULL)
        *last = node;
    }
  return n;
}

static void
adopt (Entry *entry, GwNode *node)
{
  GwBus *bus = gw_bus_of_node (node);

  gw_endpoint_adopt (entry->endpoint, gw_node_get_session (node), gw_bus_get_path (bus), gw_node_get_id (node),
                     gw_node_get_hello (node));
  gw_endpoint_set_address (entry->endpoint, gw_node_get_address (node));
}

static void
raise_alarm (Entry *entry)
{
  GwBus *first = NULL, *second = gw_bus_of_node (entry->challenger);
  g_autofree char *reason = NULL;

  for (guint i = 0; i < entry->claimants->len && first == NULL; i++)
    if (g_ptr_array_index (entry->claimants, i) != entry->challenger)
      first = gw_bus_of_node (g_ptr_array_index (entry->claimants, i));
  entry->challenger = NULL;
  reason = g_strdup_printf ("two living devices have proven the same key, on bus %s and on bus %s: one is a copy",
                            first != NULL ? gw_bus_get_name (first) : "?", gw_bus_get_name (second));
  gw_event (GW_EVENT_ENDPOINT_CLONED, gw_endpoint_get_id (entry->endpoint), gw_bus_get_name (second), "endpoint %.16s: %s",
            gw_endpoint_get_id (entry->endpoint), reason);
  gw_endpoint_set_cloned (entry->endpoint, reason);
}

/* The time that the first one gets to answer. One request is out at a time, so it cannot while it signs; and a copy must not
 * take its place for that. */
static void
arm_contest (Entry *entry, GwSession *first)
{
  GwLoop *loop = entry->roster->services->loop;
  gint64 quiet = first != NULL ? gw_session_get_quiet_until (first) - gw_loop_now (loop) : 0;

  gw_timer_arm (&entry->contest, MAX (quiet, 0) + (gint64) GW_CLONE_PING_MS * 1000);
}

/* The time to answer is over. */
static void
on_contest_over (gpointer data)
{
  Entry *entry = data;
  GwSession *first = gw_endpoint_get_session (entry->endpoint);
  GwNode *challenger = entry->challenger;

  if (challenger == NULL || !claim_lives (entry, challenger))
    {
      entry->challenger = NULL;
      return;
    }
  if (first != NULL && gw_session_is_up (first) && gw_session_get_last_heard (first) > entry->asked_at)
    {
      raise_alarm (entry);
      return;
    }
  if (first != NULL && gw_session_is_up (first)
      && gw_session_get_quiet_until (first) > gw_loop_now (entry->roster->services->loop))
    {
      arm_contest (entry, first);
      return;
    }
  entry->challenger = NULL;
  for (guint i = entry->claimants->len; i > 0; i--)
    {
      GwNode *node = g_ptr_array_index (entry->claimants, i - 1);

      if (node == challenger)
        continue;
      g_ptr_array_remove_index (entry->claimants, i - 1);
      gw_node_drop_session (node, NULL);
    }
  gw_event (GW_EVENT_ENDPOINT_MOVED, gw_endpoint_get_id (entry->endpoint), gw_bus_get_name (gw_bus_of_node (challenger)),
            "endpoint %.16s has moved to bus %s", gw_endpoint_get_id (entry->endpoint),
            gw_bus_get_name (gw_bus_of_node (challenger)));
  adopt (entry, challenger);
}

static Entry *
add_entry (GwRoster *self, GwEndpointRecord *record)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->roster = self;
  entry->endpoint = gw_endpoint_new (self->services, record);
  entry->claimants = g_ptr_array_new ();
  entry->seen = g_ptr_array_new ();
  gw_timer_init (&entry->contest, self->services->loop, on_contest_over, entry);
  g_hash_table_insert (self->entries, g_bytes_new (record->kid, GW_KEY_ID_LEN), entry);
  self->listener->added (entry->endpoint, self->listener_data);
  return entry;
}

static gboolean
is_stranger (Entry *entry)
{
  return !gw_endpoint_is_stored (entry->endpoint);
}

/* Anybody can make up keys and prove them: what stands in no manifest must not grow without bound. */
static void
forget_strangers (GwRoster *self)
{
  GHashTableIter iter;
  Entry *entry, *oldest = NULL;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &entry))
    {
      const GwEndpointRecord *record = gw_endpoint_get_record (entry->endpoint);

      if (!is_stranger (entry))
        continue;
      n++;
      if (gw_endpoint_get_session (entry->endpoint) == NULL && living_claims (entry, NULL) == 0
          && (oldest == NULL || record->last_seen < gw_endpoint_get_record (oldest->endpoint)->last_seen))
        oldest = entry;
    }
  if (n < GW_ROSTER_STRANGERS_MAX || oldest == NULL)
    return;
  self->listener->removed (oldest->endpoint, self->listener_data);
  {
    g_autoptr (GBytes) key = g_bytes_new (gw_endpoint_get_record (oldest->endpoint)->kid, GW_KEY_ID_LEN);

    g_hash_table_remove (self->entries, key);
  }
}

static gboolean
is_seen_at (Entry *entry, GwBus *bus, GwNode *node)
{
  return gw_endpoint_get_node (entry->endpoint) == gw_node_get_id (node)
         && g_strcmp0 (gw_endpoint_get_bus (entry->endpoint), gw_bus_get_path (bus)) == 0;
}

/* A place has one endpoint: whoever was seen there before is somewhere else now. */
static void
leave_to (GwRoster *self, Entry *newcomer, GwBus *bus, GwNode *node)
{
  g_autoptr (GPtrArray) there = who_is_at (self, node);

  for (guint i = 0; i < there->len; i++)
    {
      Entry *entry = g_ptr_array_index (there, i);

      if (entry == newcomer || !is_seen_at (entry, bus, node))
        continue;
      g_ptr_array_remove (entry->claimants, node);
      gw_endpoint_detach (entry->endpoint);
    }
}

void
gw_roster_proved (GwRoster *self, GwBus *bus, GwNode *node, GwSession *session)
{
  const guint8 *kid = gw_session_get_key_id (session);
  Entry *entry = find_entry (self, kid);
  GwSession *first;

  if (entry == NULL)
    {
      forget_strangers (self);
      entry = add_entry (self, gw_endpoint_record_new (kid));
    }
  leave_to (self, entry, bus, node);
  see (entry, node);
  first = gw_endpoint_get_session (entry->endpoint);
  if (!g_ptr_array_find (entry->claimants, node, NULL))
    g_ptr_array_add (entry->claimants, node);
  if (first == NULL || !gw_session_is_up (first) || (entry->challenger == NULL && living_claims (entry, NULL) == 1))
    {
      adopt (entry, node);
      return;
    }
  /* A second place: is the first still there? */
  entry->challenger = node;
  entry->asked_at = gw_loop_now (self->services->loop);
  gw_session_ping (first);
  arm_contest (entry, first);
}

/* The entry of whoever the node says it is, in the clear: a hint. */
static Entry *
claimed_entry (GwRoster *self, GwNode *node)
{
  const GwLinkHello *hello = gw_node_get_hello (node);

  return hello != NULL ? find_entry (self, hello->kid) : NULL;
}

void
gw_roster_node_up (GwRoster *self, GwBus *bus, GwNode *node)
{
  Entry *entry = claimed_entry (self, node);

  if (entry == NULL)
    return;
  see (entry, node);
  gw_endpoint_attach (entry->endpoint, gw_bus_get_path (bus), gw_node_get_id (node));
  if (is_seen_at (entry, bus, node))
    gw_endpoint_set_address (entry->endpoint, gw_node_get_address (node));
}

void
gw_roster_node_moved (GwRoster *self, GwBus *bus, GwNode *node)
{
  GHashTableIter iter;
  Entry *entry;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &entry))
    if (is_seen_at (entry, bus, node))
      gw_endpoint_set_address (entry->endpoint, gw_node_get_address (node));
}

void
gw_roster_proving (GwRoster *self, GwBus *bus, GwNode *node)
{
  Entry *entry = claimed_entry (self, node);

  if (entry != NULL && gw_endpoint_get_session (entry->endpoint) == NULL)
    gw_endpoint_begin_proof (entry->endpoint);
}

void
gw_roster_node_down (GwRoster *self, GwBus *bus, GwNode *node)
{
  g_autoptr (GPtrArray) there = who_is_at (self, node);

  for (guint i = 0; i < there->len; i++)
    {
      Entry *entry = g_ptr_array_index (there, i);
      gboolean here = is_seen_at (entry, bus, node);

      g_ptr_array_remove (entry->claimants, node);
      unsee (entry, node);
      if (entry->challenger == node)
        {
          entry->challenger = NULL;
          gw_timer_disarm (&entry->contest);
        }
      if (!here)
        continue;
      /* Its session ends with the node; end it first, so that the endpoint is seen to be nowhere. */
      gw_node_drop_session (node, NULL);
      gw_endpoint_detach (entry->endpoint);
      if (entry->challenger != NULL)
        {
          gw_timer_disarm (&entry->contest);
          on_contest_over (entry);
        }
    }
}

GwEndpoint *
gw_roster_lookup (GwRoster *self, const guint8 kid[GW_KEY_ID_LEN])
{
  Entry *entry = find_entry (self, kid);

  return entry != NULL ? entry->endpoint : NULL;
}

/* How well an endpoint fits what was asked for. A device chooses its own serial number: it must not pass for another's id or name. */
typedef enum
{
  FIT_NOT,
  FIT_PREFIX,
  FIT_SERIAL,
  FIT_NAME,
  FIT_ID,
} Fit;

static Fit
fit (GwEndpoint *endpoint, const char *text)
{
  const char *id = gw_endpoint_get_id (endpoint), *given = gw_endpoint_get_record (endpoint)->name;
  gsize len = strlen (text);

  if (strcmp (id, text) == 0)
    return FIT_ID;
  if (g_strcmp0 (given, text) == 0)
    return FIT_NAME;
  if (given == NULL && strcmp (gw_endpoint_get_name (endpoint), text) == 0)
    return FIT_SERIAL;
  return len >= PREFIX_MIN && strncmp (id, text, len) == 0 ? FIT_PREFIX : FIT_NOT;
}

GwEndpoint *
gw_roster_find (GwRoster *self, const char *text, GError **error)
{
  gboolean is_path = g_str_has_prefix (text, GW_ENDPOINT_PATH_PREFIX);
  const char *wanted = is_path ? text + strlen (GW_ENDPOINT_PATH_PREFIX) : text;
  GwEndpoint *found = NULL;
  Fit best = FIT_NOT;
  GHashTableIter iter;
  g_autofree char *quoted = NULL;
  guint n = 0;
  Entry *entry;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &entry))
    {
      Fit now = fit (entry->endpoint, wanted);

      if (now == FIT_NOT || now < best || (is_path && now != FIT_PREFIX && now != FIT_ID))
        continue;
      n = now > best ? 1 : n + 1;
      best = now;
      found = entry->endpoint;
    }
  if (n == 1)
    return found;
  quoted = gw_error_quote (text);
  if (n > 1)
    g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "%u endpoints are called '%s' or begin with it: give more digits of the key id",
                 n, quoted);
  else
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_FOUND,
                 "no endpoint is called '%s': give a name, or at least %d digits of a key id, as `gangwayctl list` shows them", quoted,
                 PREFIX_MIN);
  return NULL;
}

gboolean
gw_roster_name_is_taken (GwRoster *self, const char *name, GwEndpoint *but)
{
  GHashTableIter iter;
  Entry *entry;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &entry))
    if (entry->endpoint != but && strcmp (gw_endpoint_get_name (entry->endpoint), name) == 0)
      return TRUE;
  return FALSE;
}

GList *
gw_roster_list (GwRoster *self)
{
  GList *list = NULL;
  GHashTableIter iter;
  Entry *entry;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &entry))
    list = g_list_prepend (list, entry->endpoint);
  return list;
}

guint
gw_roster_get_size (GwRoster *self)
{
  return g_hash_table_size (self->entries);
}

void
gw_roster_reconsider (GwRoster *self)
{
  g_autoptr (GList) all = gw_roster_list (self);

  for (GList *l = all; l != NULL; l = l->next)
    gw_endpoint_reconsider (l->data);
}

void
gw_roster_hurry (GwRoster *self)
{
  g_autoptr (GList) all = gw_roster_list (self);

  for (GList *l = all; l != NULL; l = l->next)
    gw_endpoint_hurry (l->data);
}

static gboolean
can_approve (Entry *entry, GwNode **last, GError **error)
{
  if (!gw_endpoint_can_approve (entry->endpoint, error))
    return FALSE;
  if (living_claims (entry, last) <= 1 || !gw_endpoint_get_record (entry->endpoint)->cloned)
    return TRUE;
  g_set_error_literal (error, GW_ERROR, GW_ERROR_BAD_STATE,
                       "two devices with this key still answer: unplug the copy first, then approve the one that stays");
  return FALSE;
}

gboolean
gw_roster_can_approve (GwRoster *self, GwEndpoint *endpoint, GError **error)
{
  return can_approve (find_entry (self, gw_endpoint_get_record (endpoint)->kid), NULL, error);
}

gboolean
gw_roster_approve (GwRoster *self, GwEndpoint *endpoint, GError **error)
{
  Entry *entry = find_entry (self, gw_endpoint_get_record (endpoint)->kid);
  GwNode *last = NULL;

  if (!can_approve (entry, &last, error) || !gw_endpoint_approve (endpoint, error))
    return FALSE;
  if (last != NULL && gw_node_get_session (last) != gw_endpoint_get_session (endpoint))
    adopt (entry, last);
  return TRUE;
}

GwRoster *
gw_roster_new (const GwServices *services, const GwRosterListener *listener, gpointer data, GError **error)
{
  g_autoptr (GPtrArray) records = gw_db_load_endpoints (services->db, error);
  GwRoster *self;

  if (records == NULL)
    return NULL;
  self = g_new0 (GwRoster, 1);
  self->services = services;
  self->listener = listener;
  self->listener_data = data;
  self->places = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  self->entries
      = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, (GDestroyNotify) entry_free);
  for (guint i = 0; i < records->len; i++)
    {
      Entry *entry = add_entry (self, gw_endpoint_record_copy (g_ptr_array_index (records, i)));

      gw_endpoint_reconsider (entry->endpoint);
    }
  return self;
}

void
gw_roster_free (GwRoster *self)
{
  g_hash_table_unref (self->entries);
  g_hash_table_unref (self->places);
  g_free (self);
}
