/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The user's end of a simulated terminal. The kernel carries octets across a pseudo-terminal in its own time,
 * so neither end waits for the other by the clock: the simulator's counters say when all are over. */

#include <glib.h>

/* What the simulator says of its end: "octets_in" or "octets_out". */
typedef guint64 (*SimCounterFunc) (gpointer data, const char *name);

typedef struct
{
  int fd;
  SimCounterFunc counter;
  gpointer data;
  guint64 read; /* of the simulator's "octets_out" */
} SimTerminal;

/* Asserts that `path` can be opened. What was written to an earlier user is not this one's. */
void sim_terminal_open (SimTerminal *self, const char *path, SimCounterFunc counter, gpointer data);
/* On a descriptor that is open already; takes it over. */
void sim_terminal_attach (SimTerminal *self, int fd, SimCounterFunc counter, gpointer data);
void sim_terminal_close (SimTerminal *self);

/* Returns when the simulator has them all. */
void sim_terminal_write (SimTerminal *self, gconstpointer octets, gsize len);
/* Some of what the simulator has written so far; 0 once all of it was read. */
gsize sim_terminal_read (SimTerminal *self, gpointer octets, gsize size);
/* Reads what is left, and asserts that a hang-up follows. */
void sim_terminal_assert_hung_up (SimTerminal *self);
