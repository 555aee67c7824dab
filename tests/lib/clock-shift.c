/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Preloaded into a program, shifts its real-time clock by the seconds that stand in the file $CLOCK_SHIFT, which may change while it
 * runs. Monotonic time is left alone.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long
shift (void)
{
  const char *path = getenv ("CLOCK_SHIFT");
  FILE *file = path != NULL ? fopen (path, "re") : NULL;
  long seconds = 0;

  if (file == NULL)
    return 0;
  if (fscanf (file, "%ld", &seconds) != 1)
    seconds = 0;
  fclose (file);
  return seconds;
}

int
clock_gettime (clockid_t clock, struct timespec *now)
{
  static int (*real) (clockid_t clock, struct timespec *now);
  static __thread time_t read_at;
  static __thread long seconds;
  int result;

  if (real == NULL)
    *(void **) &real = dlsym (RTLD_NEXT, "clock_gettime");
  result = real (clock, now);
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
    return result;
  if (now->tv_sec != read_at)
    {
      read_at = now->tv_sec;
      seconds = shift ();
    }
  now->tv_sec += seconds;
  return result;
}

time_t
time (time_t *out)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  if (out != NULL)
    *out = now.tv_sec;
  return now.tv_sec;
}

int
gettimeofday (struct timeval *restrict out, void *restrict zone)
{
  struct timespec now;

  (void) zone;
  clock_gettime (CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
