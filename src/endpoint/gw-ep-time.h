/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calendar dates without a C library's time functions, which portable firmware may lack. */

#include <stdint.h>

/* UNIX seconds of a UTC date of the proleptic Gregorian calendar from 1970 on; 0 for earlier ones. */
uint64_t gw_ep_time_to_unix (int year, int month, int day, int hour, int minute, int second);
