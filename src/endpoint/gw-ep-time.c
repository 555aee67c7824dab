/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-time.h. */

#include "gw-ep-time.h"

#include <stdbool.h>

#define DAYS_BEFORE_1970 719162u /* from 0001-01-01 on */

static bool
is_leap (int year)
{
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int
gw_ep_time_days_of_month (int year, int month)
{
  static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

  return days[month - 1] + (month == 2 && is_leap (year) ? 1 : 0);
}

/* Days from 1970-01-01 to the first of the year. */
static uint64_t
days_before_year (int year)
{
  uint64_t y = (uint64_t)(year - 1);

  return y * 365u + y / 4u - y / 100u + y / 400u - DAYS_BEFORE_1970;
}

uint64_t
gw_ep_time_to_unix (int year, int month, int day, int hour, int minute, int second)
{
  uint64_t days;
  int m;

  if (year < 1970 || month < 1 || month > 12 || day < 1)
    return 0;
  days = days_before_year (year) + (uint64_t)(day - 1);
  for (m = 1; m < month; m++)
    days += (uint64_t)gw_ep_time_days_of_month (year, m);
  return ((days * 24u + (uint64_t)hour) * 60u + (uint64_t)minute) * 60u + (uint64_t)second;
}

void
gw_ep_time_from_days (uint64_t days, int *year, int *month, int *day)
{
  int y = 1970 + (int)(days / 366u); /* never too late */

  while (days_before_year (y + 1) <= days)
    y++;
  days -= days_before_year (y);
  for (*month = 1; days >= (uint64_t)gw_ep_time_days_of_month (y, *month); (*month)++)
    days -= (uint64_t)gw_ep_time_days_of_month (y, *month);
  *year = y;
  *day = (int)days + 1;
}
