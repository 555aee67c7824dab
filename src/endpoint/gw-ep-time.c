/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-time.h. */

#include "gw-ep-time.h"

uint64_t
gw_ep_time_to_unix (int year, int month, int day, int hour, int minute, int second)
{
  static const uint16_t before_month[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
  uint64_t days, y = (uint64_t)(year - 1);

  if (year < 1970 || month < 1 || month > 12 || day < 1)
    return 0;
  /* Days before the year from 0001-01-01 on, less those before 1970. */
  days = y * 365u + y / 4u - y / 100u + y / 400u - 719162u;
  days += before_month[month - 1] + (uint64_t)(day - 1);
  if (month > 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
    days++;
  return ((days * 24u + (uint64_t)hour) * 60u + (uint64_t)minute) * 60u + (uint64_t)second;
}
