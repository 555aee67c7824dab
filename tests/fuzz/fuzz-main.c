/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over the files of its corpus, each a TAP case. Every input is also cut short at each
 * octet, and handed over in memory of its exact size, so that a sanitizer sees a read past the end. A target
 * that finds something wrong aborts: meson counts that as a failure.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_MAX 512 /* inputs up to this length are cut at each octet */
#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput (const unsigned char *data, size_t size);

static void
run_copy (const unsigned char *data, size_t size)
{
  unsigned char *copy = malloc (size);

  if (size > 0)
    memcpy (copy, data, size);
  LLVMFuzzerTestOneInput (copy, size);
  free (copy);
}

/* 0 if the file could not be read. */
static int
run_file (const char *dir, const char *name)
{
  static unsigned char data[INPUT_MAX];
  char path[4096];
  size_t size;
  FILE *f;

  snprintf (path, sizeof path, "%s/%s", dir, name);
  f = fopen (path, "rb");
  if (f == NULL)
    return 0;
  size = fread (data, 1, sizeof data, f);
  fclose (f);
  run_copy (data, size);
  for (size_t n = 0; size <= CUT_MAX && n < size; n++)
    run_copy (data, n);
  return 1;
}

int
main (int argc, char **argv)
{
  struct dirent **names;
  int n, cases = 0, bad = 0;

  n = argc == 2 ? scandir (argv[1], &names, NULL, alphasort) : -1;
  for (int i = 0; i < n; i++)
    {
      if (names[i]->d_name[0] != '.')
        {
          int ok = run_file (argv[1], names[i]->d_name);

          printf ("%s %d %s\n", ok ? "ok" : "not ok", ++cases, names[i]->d_name);
          fflush (stdout);
          bad += !ok;
        }
      free (names[i]);
    }
  if (n >= 0)
    free (names);
  printf ("1..%d\n", cases);
  if (cases == 0)
    fprintf (stderr, "fuzz-main: no corpus in %s\n", argc == 2 ? argv[1] : "(no folder named)");
  return bad > 0 || cases == 0;
}
