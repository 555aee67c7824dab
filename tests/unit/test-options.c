/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The border of D-Bus calls: options by name and type, texts, and descriptors of every unfit kind. */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-error.h"
#include "gw-options.h"

static GVariant *
parse (const char *text)
{
  GVariant *options = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);

  g_assert_nonnull (options);
  return g_variant_ref_sink (options);
}

static gboolean
check (const char *text, const char **name, gboolean *flag, guint32 *number, gint32 *handle, GError **error)
{
  g_autoptr (GVariant) options = parse (text);
  const char *borrowed = NULL;
  gboolean good = gw_options_check (options, error, "name", "s", &borrowed, "flag", "b", flag, "number", "u", number, "fd", "h",
                                    handle, NULL);

  if (name != NULL)
    *name = g_intern_string (borrowed);
  return good;
}

static void
test_known (void)
{
  g_autoptr (GError) error = NULL;
  const char *name = NULL;
  gboolean flag = FALSE;
  guint32 number = 7;
  gint32 handle = -1;

  g_assert_true (check ("{'name': <'x'>, 'flag': <true>, 'fd': <handle 3>}", &name, &flag, &number, &handle, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (name, ==, "x");
  g_assert_true (flag);
  g_assert_cmpuint (number, ==, 7); /* absent: left alone */
  g_assert_cmpint (handle, ==, 3);
  g_assert_true (check ("{}", NULL, &flag, &number, &handle, &error));
}

static void
test_refused (void)
{
  static const struct
  {
    const char *options;
    const char *message;
  } cases[] = {
    { "{'nmae': <'x'>}", "there is no option 'nmae'" },
    { "{'': <'x'>}", "there is no option ''" },
    { "{'name': <1>}", "option 'name' must have the type s, not i" },
    { "{'flag': <'true'>}", "option 'flag' must have the type b, not s" },
    { "{'number': <-1>}", "option 'number' must have the type u, not i" },
    { "{'fd': <int32 3>}", "option 'fd' must have the type h, not i" },
    { "{'name': <<'x'>>}", "option 'name' must have the type s, not v" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      gboolean flag;
      guint32 number;
      gint32 handle;

      g_assert_false (check (cases[i].options, NULL, &flag, &number, &handle, &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
      g_assert_cmpstr (error->message, ==, cases[i].message);
    }
}

static void
test_text (void)
{
  g_assert_true (gw_options_check_text ("Pumpe 3, Halle ä", 64, "name", NULL));
  g_assert_true (gw_options_check_text ("12345678", 8, "name", NULL));
  g_assert_false (gw_options_check_text ("123456789", 8, "name", NULL));
  g_assert_false (gw_options_check_text ("", 8, "name", NULL));
  g_assert_false (gw_options_check_text ("a\nb", 8, "name", NULL));
  g_assert_false (gw_options_check_text ("a\x7f", 8, "name", NULL));
  g_assert_false (gw_options_check_text ("\xc2\x85", 8, "name", NULL)); /* C1 */
}

/* Takes @fd out of a list where it stands at index 0; the list dups it. */
static int
take (int fd, gint32 index, GwOptionsFd need, GError **error)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();

  g_assert_cmpint (g_unix_fd_list_append (list, fd, NULL), ==, 0);
  close (fd);
  return gw_options_take_fd (list, index, need, "thing", error);
}

static void
assert_taken (int fd, GwOptionsFd need)
{
  g_autoptr (GError) error = NULL;
  int taken = take (fd, 0, need, &error);

  g_assert_no_error (error);
  g_assert_cmpint (fcntl (taken, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  close (taken);
}

static void
assert_refused (int fd, gint32 index, GwOptionsFd need)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (take (fd, index, need, &error), ==, -1);
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
}

static int
temporary (int flags)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "gw-options-XXXXXX", NULL);
  int fd = g_mkstemp (path), again;

  again = open (path, flags);
  unlink (path);
  close (fd);
  return again;
}

static void
test_descriptors (void)
{
  int ends[2];

  assert_taken (temporary (O_RDONLY), GW_OPTIONS_FD_READ);
  assert_taken (temporary (O_RDWR), GW_OPTIONS_FD_READ);
  assert_taken (temporary (O_RDWR), GW_OPTIONS_FD_WRITE);
  assert_refused (temporary (O_WRONLY), 0, GW_OPTIONS_FD_READ);
  assert_refused (temporary (O_RDONLY), 0, GW_OPTIONS_FD_WRITE);
  assert_refused (temporary (O_PATH), 0, GW_OPTIONS_FD_READ);
  g_assert_cmpint (pipe (ends), ==, 0);
  assert_taken (ends[0], GW_OPTIONS_FD_READ);
  assert_taken (ends[1], GW_OPTIONS_FD_WRITE);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  assert_taken (ends[0], GW_OPTIONS_FD_READ);
  assert_taken (ends[1], GW_OPTIONS_FD_WRITE);
  assert_refused (open ("/dev/zero", O_RDONLY), 0, GW_OPTIONS_FD_READ);
  assert_refused (open ("/", O_RDONLY | O_DIRECTORY), 0, GW_OPTIONS_FD_READ);
}

/* g_unix_fd_list_get() takes -1 for the one before the first. */
static void
test_indices (void)
{
  g_autoptr (GError) error = NULL;

  assert_refused (temporary (O_RDONLY), -1, GW_OPTIONS_FD_READ);
  assert_refused (temporary (O_RDONLY), 1, GW_OPTIONS_FD_READ);
  assert_refused (temporary (O_RDONLY), G_MAXINT32, GW_OPTIONS_FD_READ);
  assert_refused (temporary (O_RDONLY), G_MININT32, GW_OPTIONS_FD_READ);
  g_assert_cmpint (gw_options_take_fd (NULL, 0, GW_OPTIONS_FD_READ, "thing", &error), ==, -1);
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
}

/* Never more than GW_ERROR_QUOTE_MAX octets of it, whole characters, and nothing that a terminal would obey. */
static void
test_quote (void)
{
  static const struct
  {
    const char *text, *end;
    gsize len;
  } cases[] = {
    { "", "", 0 },
    { "short", "short", 5 },
    { "a\033[2J\nb\x7f\xc2\x9b", "a?[2J?b??", 9 },
  };
  g_autofree char *exact = g_strnfill (GW_ERROR_QUOTE_MAX, 'x'), *longer = g_strnfill (GW_ERROR_QUOTE_MAX + 1, 'x');
  g_autofree char *same = gw_error_quote (exact), *cut = gw_error_quote (longer), *whole = NULL;
  g_autoptr (GString) wide = g_string_new ("x");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *quote = gw_error_quote (cases[i].text);

      g_assert_cmpstr (quote, ==, cases[i].end);
      g_assert_cmpuint (strlen (quote), ==, cases[i].len);
    }
  g_assert_cmpstr (same, ==, exact);
  g_assert_cmpuint (strlen (cut), ==, GW_ERROR_QUOTE_MAX + 3);
  g_assert_true (g_str_has_suffix (cut, "x..."));
  for (guint i = 0; i < 100000; i++)
    g_string_append (wide, "\u00fc");
  whole = gw_error_quote (wide->str);
  g_assert_true (g_utf8_validate (whole, -1, NULL));
  g_assert_cmpuint (strlen (whole), ==, 1 + (GW_ERROR_QUOTE_MAX - 1) / 2 * 2 + 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/options/known", test_known);
  g_test_add_func ("/options/refused", test_refused);
  g_test_add_func ("/options/text", test_text);
  g_test_add_func ("/options/descriptors", test_descriptors);
  g_test_add_func ("/options/indices", test_indices);
  g_test_add_func ("/options/quote", test_quote);
  return g_test_run ();
}
