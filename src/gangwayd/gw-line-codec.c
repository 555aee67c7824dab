/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines out of pieces. A line that lies whole in one piece is handed out in place; only the pieces' ends are
 * copied. */
#include "gw-line-codec.h"

#include <string.h>

void
gw_line_reader_init (GwLineReader *self, GwLineFunc func, gpointer data)
{
  memset (self, 0, sizeof *self);
  self->func = func;
  self->data = data;
}

static void
hand_out (GwLineReader *self, const char *line, gsize length)
{
  self->number++;
  if (length > 0 && line[length - 1] == '\r')
    length--;
  if (!self->too_long)
    self->func (length <= GW_LINE_MAX ? line : NULL, length <= GW_LINE_MAX ? length : 0, self->number, self->data);
  self->have = 0;
  self->too_long = FALSE;
}

static void
keep (GwLineReader *self, const char *octets, gsize length)
{
  if (length > sizeof self->buffer - self->have)
    {
      /* Told at once: its end may be gigabytes away. */
      if (!self->too_long)
        self->func (NULL, 0, self->number + 1, self->data);
      self->too_long = TRUE;
      length = sizeof self->buffer - self->have;
    }
  memcpy (self->buffer + self->have, octets, length);
  self->have += length;
}

void
gw_line_reader_feed (GwLineReader *self, const void *octets, gsize length)
{
  const char *at = octets;
  const char *end = at + length;

  while (at < end)
    {
      const char *newline = memchr (at, '\n', (gsize)(end - at));

      if (!newline)
        {
          keep (self, at, (gsize)(end - at));
          return;
        }
      if (self->have == 0)
        hand_out (self, at, (gsize)(newline - at));
      else
        {
          keep (self, at, (gsize)(newline - at));
          hand_out (self, self->buffer, self->have);
        }
      at = newline + 1;
    }
}

void
gw_line_reader_finish (GwLineReader *self)
{
  if (self->have > 0)
    hand_out (self, self->buffer, self->have);
}
