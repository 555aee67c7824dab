/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Wakes somebody at a point in time, to the nanosecond as far as the kernel goes: GLib's main loop alone
 * counts in milliseconds, which is four frames of a CAN bus. On a mock clock it is a plain timer. */

#include "gw-loop.h"

typedef struct
{
  GwLoop *loop;
  GwTimerFunc func;
  gpointer data;
  GwTimer timer;
  int fd; /* -1 on a mock clock */
  GwFdWatch *watch;
  gint64 at; /* INT64_MAX: not armed */
} GwSimPacer;

/* Embedded in the object it serves. */
void gw_sim_pacer_init (GwSimPacer *self, GwLoop *loop, GwTimerFunc func, gpointer data);
void gw_sim_pacer_clear (GwSimPacer *self);
/* Fires once, not before `at` (monotonic, nanoseconds; INT64_MAX: never; past: next turn). */
void gw_sim_pacer_arm (GwSimPacer *self, gint64 at);
