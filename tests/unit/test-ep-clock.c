/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wall clock, by which GnuTLS times its retransmissions, stands still but for the lab's: linked into a
 * test program, this stands before libc's. */

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "test-ep-lab.h"

int
clock_gettime (clockid_t id, struct timespec *out)
{
  if (id != CLOCK_REALTIME)
    return (int)syscall (SYS_clock_gettime, id, out);
  out->tv_sec = 1700000000 + (time_t)(lab_clock_ms / 1000);
  out->tv_nsec = (long)(lab_clock_ms % 1000) * 1000000;
  return 0;
}
