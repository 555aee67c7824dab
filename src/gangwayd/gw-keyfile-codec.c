/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keyfiles, line by line. A line is taken whole or named as a problem; a group line that is malformed makes
 * the entries below it problems too, so that they do not end up in the group above.
 */
#include "gw-keyfile-codec.h"

#include <stdarg.h>
#include <string.h>

#define NAME_MAX_LEN 64u

void
gw_keyfile_add_problem (GPtrArray *problems, const char *path, guint line, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (line > 0)
    g_ptr_array_add (problems, g_strdup_printf ("%s:%u: %s", path, line, text));
  else
    g_ptr_array_add (problems, g_strdup_printf ("%s: %s", path, text));
}

static void
free_entry (gpointer data)
{
  GwKeyfileEntry *entry = data;

  g_free (entry->group);
  g_free (entry->key);
  g_free (entry->value);
  g_free (entry);
}

static gboolean
name_is_valid (const char *name)
{
  gsize length = strlen (name);

  if (length == 0 || length > NAME_MAX_LEN || !g_ascii_isalpha (name[0]))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (name[i]) && name[i] != '-')
      return FALSE;
  return TRUE;
}

/* C0 (tab apart), DEL and C1: nobody types them, and they would go on into logs and topics. */
static gboolean
has_control (const char *text)
{
  for (const char *p = text; *p; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if ((c < 0x20 && c != '\t') || (c >= 0x7f && c <= 0x9f))
        return TRUE;
    }
  return FALSE;
}

typedef struct
{
  const char *path;
  GPtrArray *entries;
  GPtrArray *problems;
  GHashTable *seen; /* "group" and "group\nkey" */
  char *group;      /* NULL: none yet, or the last one was malformed */
  gboolean bad_group;
} Parser;

static void
parse_group (Parser *p, char *line, guint number)
{
  gsize length = strlen (line);

  g_clear_pointer (&p->group, g_free);
  p->bad_group = TRUE;
  if (length < 2 || line[length - 1] != ']')
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "a group line must read [Name]");
      return;
    }
  line[length - 1] = '\0';
  if (!name_is_valid (line + 1))
    gw_keyfile_add_problem (p->problems, p->path, number,
                            "not a group name: letters, digits and '-', please");
  else if (!g_hash_table_add (p->seen, g_strdup (line + 1)))
    gw_keyfile_add_problem (p->problems, p->path, number, "group [%s] is there twice", line + 1);
  else
    {
      p->group = g_strdup (line + 1);
      p->bad_group = FALSE;
    }
}

static void
parse_entry (Parser *p, char *line, guint number)
{
  char *equals = strchr (line, '=');
  char *key = line;
  g_autofree char *mark = NULL;
  GwKeyfileEntry *entry;

  if (!equals)
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "neither [Group], Key=Value nor # comment");
      return;
    }
  *equals = '\0';
  g_strchomp (key);
  if (!name_is_valid (key))
    {
      gw_keyfile_add_problem (p->problems, p->path, number,
                              "not a key name: letters, digits and '-', please");
      return;
    }
  if (!p->group)
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "%s stands %s", key,
                              p->bad_group ? "in a group that is not taken" : "before the first [Group]");
      return;
    }
  mark = g_strconcat (p->group, "\n", key, NULL);
  if (!g_hash_table_add (p->seen, g_steal_pointer (&mark)))
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "%s is there twice in [%s]", key, p->group);
      return;
    }
  entry = g_new0 (GwKeyfileEntry, 1);
  entry->line = number;
  entry->group = g_strdup (p->group);
  entry->key = g_strdup (key);
  entry->value = g_strdup (g_strstrip (equals + 1));
  g_ptr_array_add (p->entries, entry);
}

static void
parse_line (Parser *p, const char *text, gsize length, guint number)
{
  g_autofree char *line = NULL;

  if (length > 0 && text[length - 1] == '\r')
    length--;
  if (length > GW_KEYFILE_LINE_MAX)
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "longer than %u octets", GW_KEYFILE_LINE_MAX);
      return;
    }
  if (!g_utf8_validate_len (text, length, NULL)) /* refuses NUL, too */
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "not UTF-8 text");
      return;
    }
  line = g_strndup (text, length);
  if (has_control (line))
    {
      gw_keyfile_add_problem (p->problems, p->path, number, "holds a control character");
      return;
    }
  g_strstrip (line);
  if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
    return;
  if (line[0] == '[')
    parse_group (p, line, number);
  else if (p->entries->len >= GW_KEYFILE_ENTRIES_MAX)
    gw_keyfile_add_problem (p->problems, p->path, number, "more than %u entries", GW_KEYFILE_ENTRIES_MAX);
  else
    parse_entry (p, line, number);
}

GPtrArray *
gw_keyfile_parse (const char *path, const char *text, gsize length, GPtrArray *problems)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Parser p = { path, g_ptr_array_new_with_free_func (free_entry), problems, seen, NULL, FALSE };
  const char *end = text + length;
  guint number = 0;

  if (length > GW_KEYFILE_SIZE_MAX)
    {
      gw_keyfile_add_problem (problems, path, 0, "larger than %u octets", GW_KEYFILE_SIZE_MAX);
      return p.entries;
    }
  while (text < end)
    {
      const char *newline = memchr (text, '\n', (gsize)(end - text));
      const char *stop = newline ? newline : end;

      parse_line (&p, text, (gsize)(stop - text), ++number);
      text = newline ? newline + 1 : end;
    }
  g_free (p.group);
  return p.entries;
}

/* Digits and one unit letter; units and factors go in pairs, the empty unit first. */
static gboolean
parse_number (const char *value, const char *units, const guint64 *factors, guint64 max, guint64 *out)
{
  guint64 number = 0;
  const char *unit;
  guint64 factor = factors[0];
  gsize i = 0;

  for (; g_ascii_isdigit (value[i]); i++)
    {
      if (number > max / 10)
        return FALSE;
      number = number * 10 + (guint64)(value[i] - '0');
    }
  if (i == 0 || number == 0)
    return FALSE;
  if (value[i])
    {
      unit = strchr (units, value[i]);
      if (!unit || value[i + 1])
        return FALSE;
      factor = factors[1 + (unit - units)];
    }
  if (number > max / factor)
    return FALSE;
  *out = number * factor;
  return TRUE;
}

gboolean
gw_keyfile_parse_duration (const char *value, gint64 *out)
{
  static const guint64 factors[] = { 1, 1, 60, 3600, 86400 };
  guint64 seconds;

  if (!parse_number (value, "smhd", factors, G_GUINT64_CONSTANT (36525) * 86400, &seconds))
    return FALSE;
  *out = (gint64)seconds * G_USEC_PER_SEC;
  return TRUE;
}

gboolean
gw_keyfile_parse_size (const char *value, guint64 *out)
{
  static const guint64 factors[] = { 1, 1 << 10, 1 << 20, 1 << 30 };

  return parse_number (value, "KMG", factors, G_MAXINT64, out);
}
