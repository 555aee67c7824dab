/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calendar dates without a C library's time functions, which portable firmware may lack: the Gregorian
 * calendar from 1970 to 9999, UTC. */

#include <stdint.h>

/* UNIX seconds of a date; 0 for one before 1970 or that is none. */
uint64_t gw_ep_time_to_unix (int year, int month, int day, int hour, int minute, int second);
int gw_ep_time_days_of_month (int year, int month);
/* The date so many days after 1970-01-01. */
void gw_ep_time_from_days (uint64_t days, int *year, int *month, int *day);
