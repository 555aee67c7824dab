/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gangwayctl: finds the verb, hands it the rest of the command line. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "verbs.h"

static const struct
{
  const char *title;
  const GwCtlVerb *verbs[10];
} groups[] = {
  { "Look",
    { &verb_status, &verb_bus, &verb_list, &verb_show, &verb_explain, &verb_monitor, &verb_policies,
      &verb_jobs } },
  { "Say which chips are yours",
    { &verb_inventory_import, &verb_inventory_show, &verb_inventory_lookup, &verb_batch_add, &verb_batch_list,
      &verb_batch_remove } },
  { "Take on board, and off",
    { &verb_onboard, &verb_approve, &verb_quarantine, &verb_renew, &verb_rekey, &verb_revoke,
      &verb_decommission } },
  { "Work with an endpoint", { &verb_read, &verb_write, &verb_identify, &verb_rename } },
  { "Run the agent", { &verb_scan, &verb_cancel, &verb_reload, &verb_audit } },
};

static void
print_help (void)
{
  puts ("usage: gangwayctl [--bus ADDRESS] [--json] [--wide] VERB ...\n\n"
        "Watch and steer the Gangway agent of this gateway. An ENDPOINT is given by the beginning of its\n"
        "id (4 digits or more), its name, its serial number or its object path.");
  for (gsize i = 0; i < G_N_ELEMENTS (groups); i++)
    {
      printf ("\n%s\n", groups[i].title);
      for (gsize v = 0; groups[i].verbs[v] != NULL; v++)
        printf ("  %-18s %s\n", groups[i].verbs[v]->name, groups[i].verbs[v]->summary);
    }
  puts (
      "\nOptions, before or after the verb\n"
      "  --json             print JSON for programs; keys are those of the D-Bus API\n"
      "  --wide             do not cut tables to the terminal's width\n"
      "  --bus ADDRESS      D-Bus address of the agent's bus (default: the system bus)\n"
      "  --help             this text, or a verb's own\n"
      "  --version          version of this program\n\n"
      "Exit status: 0 done; 1 the agent refused or could not; 2 wrong command line or file; 3 no bus or no\n"
      "agent; 4 not permitted; 5 no such thing.");
}

static void
print_verb_help (const GwCtlVerb *verb)
{
  printf ("usage: gangwayctl %s%s%s\n\n%s.\n", verb->name, verb->args[0] ? " " : "", verb->args,
          verb->summary);
  if (verb->help != NULL)
    printf ("\n%s\n", verb->help);
}

static void
set_address (GwCtl *self, const char *address)
{
  g_free (self->address);
  self->address = g_strdup (address);
}

/* Takes the options that every verb knows out of argv, up to "--". */
static gboolean
take_global_options (GwCtl *self, int *argc, char **argv, gboolean *help, gboolean *version)
{
  int out = 1, i = 1;

  for (; i < *argc && !g_str_equal (argv[i], "--"); i++)
    {
      if (g_str_equal (argv[i], "--json"))
        self->json = TRUE;
      else if (g_str_equal (argv[i], "--wide"))
        self->wide = TRUE;
      else if (g_str_equal (argv[i], "--help") || g_str_equal (argv[i], "-h"))
        *help = TRUE;
      else if (g_str_equal (argv[i], "--version"))
        *version = TRUE;
      else if (g_str_has_prefix (argv[i], "--bus="))
        set_address (self, argv[i] + strlen ("--bus="));
      else if (g_str_equal (argv[i], "--bus") && i + 1 < *argc)
        set_address (self, argv[++i]);
      else if (g_str_equal (argv[i], "--bus"))
        return FALSE;
      else
        argv[out++] = argv[i];
    }
  while (i < *argc)
    argv[out++] = argv[i++];
  argv[out] = NULL;
  *argc = out;
  return TRUE;
}

/* The verb at argv[1], of two words where there is one; *words tells how many. */
static const GwCtlVerb *
find_verb (int argc, char **argv, int *words)
{
  g_autofree char *two = argc > 2 ? g_strconcat (argv[1], " ", argv[2], NULL) : NULL;
  const GwCtlVerb *found = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (groups); i++)
    for (gsize v = 0; groups[i].verbs[v] != NULL; v++)
      {
        const char *name = groups[i].verbs[v]->name;

        if (two != NULL && g_str_equal (name, two))
          {
            *words = 2;
            return groups[i].verbs[v];
          }
        if (g_str_equal (name, argv[1]))
          {
            *words = 1;
            found = groups[i].verbs[v];
          }
      }
  return found;
}

static GwCtlExit
unknown_verb (GwCtl *self, int argc, char **argv)
{
  g_autofree char *given = argc > 2 ? g_strconcat (argv[1], " ", argv[2], NULL) : g_strdup (argv[1]);
  g_autofree char *first = g_strconcat (argv[1], " ", NULL);
  g_autofree char *what = g_strdup_printf ("there is no verb '%s'", given);
  g_autofree char *list = NULL, *next = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_auto (GStrv) near = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (groups); i++)
    for (gsize v = 0; groups[i].verbs[v] != NULL; v++)
      g_ptr_array_add (names, (gpointer)groups[i].verbs[v]->name);
  g_ptr_array_add (names, NULL);
  near = gw_ctl_near (given, (const char *const *)names->pdata);
  if (near[0] == NULL)
    {
      /* "batch" alone: name all that begin so. */
      g_autoptr (GPtrArray) same = g_ptr_array_new ();

      for (guint i = 0; names->pdata[i] != NULL; i++)
        if (g_str_has_prefix (names->pdata[i], first))
          g_ptr_array_add (same, g_strdup (names->pdata[i]));
      g_ptr_array_add (same, NULL);
      g_strfreev (near);
      near = (char **)g_ptr_array_free (g_steal_pointer (&same), FALSE);
    }
  list = g_strjoinv (", ", near);
  next = near[0] ? g_strdup_printf ("did you mean %s? gangwayctl --help names them all", list)
                 : g_strdup ("gangwayctl --help names them all");
  return gw_ctl_refuse (self, GW_CTL_USAGE, what, next);
}

/* A descriptor that the caller closed must not become the bus's socket, with what we print in it. Output is
 * put where it cannot be written, so that its loss is told. */
static void
fill_closed_descriptors (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) < 0 && open ("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd)
      _exit (GW_CTL_FAILED);
}

/* What was printed is said to be so only once it is. */
static GwCtlExit
check_output (GwCtl *self, GwCtlExit code)
{
  g_autofree char *what = NULL;

  errno = 0;
  if ((fflush (stdout) == 0 && !ferror (stdout)) || code != GW_CTL_OK)
    return code;
  what = g_strdup_printf ("cannot print all there is to say: %s",
                          errno != 0 ? g_strerror (errno) : "the output is broken");
  return gw_ctl_refuse (self, GW_CTL_FAILED, what,
                        "see to where the output goes; what the agent was asked to do is done");
}

int
main (int argc, char **argv)
{
  GwCtl ctl = { 0 };
  gboolean help = FALSE, version = FALSE;
  const GwCtlVerb *verb = NULL;
  GwCtlExit code = GW_CTL_OK;
  int words = 0;

  fill_closed_descriptors ();
  setlocale (LC_CTYPE, "");
  if (!take_global_options (&ctl, &argc, argv, &help, &version))
    return gw_ctl_refuse (&ctl, GW_CTL_USAGE, "--bus needs an address",
                          "e.g. --bus unix:path=/run/dbus/system_bus_socket");
  if (argc > 1)
    verb = find_verb (argc, argv, &words);
  if (version)
    puts ("gangwayctl " GANGWAY_VERSION);
  else if (help && verb != NULL)
    print_verb_help (verb);
  else if (argc > 1 && verb == NULL)
    code = unknown_verb (&ctl, argc, argv);
  else if (argc < 2)
    {
      print_help ();
      code = help ? GW_CTL_OK : GW_CTL_USAGE;
    }
  else
    code = verb->run (&ctl, argc - words, argv + words);
  code = check_output (&ctl, code);
  gw_ctl_clear (&ctl);
  return code;
}
