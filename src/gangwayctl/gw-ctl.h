/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What all verbs of gangwayctl share: the connection to the agent, its objects, how an endpoint is named,
 * waiting for jobs, and telling people what went wrong. A verb is one file with one GwCtlVerb; it returns a
 * GwCtlExit.
 *
 * Ownership: the GwCtl belongs to main and lives as long as the process; what its functions return belongs to
 * the caller unless said otherwise. Everything is synchronous, on the default main context.
 */

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <jansson.h>

#include "gw-dbus.h"

#define GW_CTL_BUS_NAME "org.gangway.Gangway1"
#define GW_CTL_ROOT "/org/gangway/Gangway1"

/* Exit codes; `gangwayctl --help` lists them, so programs may rely on them. */
typedef enum
{
  GW_CTL_OK = 0,
  GW_CTL_FAILED = 1,    /* the agent refused or could not do it */
  GW_CTL_USAGE = 2,     /* wrong command line, or a file of the caller that cannot be read */
  GW_CTL_NO_AGENT = 3,  /* no bus, or no agent on it */
  GW_CTL_DENIED = 4,    /* no permission */
  GW_CTL_NOT_FOUND = 5, /* no such endpoint, policy, bus, job, point */
} GwCtlExit;

typedef struct
{
  char *address; /* of the bus; NULL = the system bus */
  gboolean json; /* print for programs */
  gboolean wide; /* do not cut tables to the terminal's width */
  GDBusConnection *bus;
  GDBusObjectManager *objects; /* the agent's objects; NULL until gw_ctl_load */
  GwDBusManager *manager;
  GwDBusInventory *inventory;
} GwCtl;

typedef struct
{
  const char *name;                                      /* one word, or two as in "batch add" */
  const char *args;                                      /* after the name, for the usage line */
  const char *summary;                                   /* one line */
  const char *help;                                      /* more lines, or NULL */
  GwCtlExit (*run) (GwCtl *self, int argc, char **argv); /* argv[0] = the name */
} GwCtlVerb;

/* ---- The agent ---- */

/* Connects; on failure says so and returns FALSE, with the code in *exit. Further calls do nothing. */
gboolean gw_ctl_connect (GwCtl *self, GwCtlExit *exit);

/* Connects and reads all objects of the agent. As gw_ctl_connect. */
gboolean gw_ctl_load (GwCtl *self, GwCtlExit *exit);

void gw_ctl_clear (GwCtl *self);

/* The agent's objects that have the interface of `type` (GW_DBUS_TYPE_ENDPOINT ...), sorted by path; elements
 * are proxies owned by the array. Needs gw_ctl_load. */
GPtrArray *gw_ctl_all (GwCtl *self, const char *interface);

/* The interface of the object at `path`, or NULL. Needs gw_ctl_load. */
gpointer gw_ctl_at (GwCtl *self, const char *path, const char *interface);

/* What a listing method of the inventory lists, the caller's; loads first. FALSE, told and *exit set, where it cannot be had: `what`
 * is what was to be done. */
gboolean
gw_ctl_inventory_list (GwCtl *self, const char *method, const char *what, GVariant **list, GwCtlExit *exit);

/* Calls a method that changes something: polkit may ask the person at the terminal, and the agent may take
 * its time. fds may be NULL. Returns the results, NULL with an error. */
GVariant *
gw_ctl_call (gpointer proxy, const char *method, GVariant *arguments, GUnixFDList *fds, GError **error);

/* ---- Naming an endpoint ---- */

/* Finds the endpoint that `word` means: its object path, a unique beginning of its key id (4 digits or more),
 * its name or its serial number. If there is none, or several, says so with the nearest ones, sets *exit and
 * returns NULL. */
GwDBusEndpoint *gw_ctl_find_endpoint (GwCtl *self, const char *word, GwCtlExit *exit);

/* The points of that endpoint, a new reference; if it has none, or none are known yet, says so and returns
 * NULL. */
GwDBusPoints *gw_ctl_find_points (GwCtl *self, GwDBusEndpoint *endpoint, GwCtlExit *exit);

/* Says that there is no point `word`, with the nearest names. */
GwCtlExit gw_ctl_no_point (GwCtl *self, GwDBusPoints *points, const char *word);

/* Number of digits that tell all endpoints' key ids apart, 8 at least. */
guint gw_ctl_id_digits (GPtrArray *endpoints);

/* Candidates of `words` (NULL-terminated) that are near to `word`, best first, at most three; free with
 * g_strfreev. */
char **gw_ctl_near (const char *word, const char *const *words);

/* ---- Jobs ---- */

typedef struct GwCtlJobs GwCtlJobs;

/* Listens for the ends of jobs; to be called before the method that starts one. */
GwCtlJobs *gw_ctl_jobs_new (GwCtl *self);
void gw_ctl_jobs_free (GwCtlJobs *jobs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCtlJobs, gw_ctl_jobs_free)

/* Waits for the job at `path`, showing its progress on a terminal. TRUE on success. *result (a{sv}, may be
 * NULL to not want it) is set also when the job failed with counts to tell. */
gboolean gw_ctl_jobs_wait (GwCtlJobs *jobs, const char *path, GVariant **result, GError **error);

/* ---- Errors ---- */

/* Says on stderr that `doing` ("read the temperature") did not work, why and what next; returns the code to
 * exit with. */
GwCtlExit gw_ctl_fail (GwCtl *self, const char *doing, const GError *error);

/* The same for mistakes found here. `next` may be NULL. */
GwCtlExit gw_ctl_refuse (GwCtl *self, GwCtlExit code, const char *what, const char *next);

/* A wrong command line: says what and how it would be right. */
GwCtlExit gw_ctl_usage (GwCtl *self, const GwCtlVerb *verb, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* The message bus went away. */
GwCtlExit gw_ctl_bus_gone (GwCtl *self);

/* ---- What several verbs do ---- */

/* Says to people what was done; programs get an empty object. */
void gw_ctl_done (GwCtl *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Calls a method without results of the endpoint `word`; `doing` as in gw_ctl_fail, `done` is printed if all
 * went well. */
GwCtlExit gw_ctl_endpoint_call (GwCtl *self,
                                const char *word,
                                const char *method,
                                GVariant *arguments,
                                const char *doing,
                                const char *done);

/* The same for a method that returns a job; waits for its end. */
GwCtlExit gw_ctl_endpoint_job (GwCtl *self,
                               const char *word,
                               const char *method,
                               GVariant *arguments,
                               const char *doing,
                               const char *done);

/* Prints a job's counts ("12 added, 3 known") or, for programs, its result as an object. NULL prints nothing.
 */
void gw_ctl_print_result (GwCtl *self, GVariant *result);

/* All properties of a proxy and its path as JSON. */
json_t *gw_ctl_proxy_json (gpointer proxy);

/* Prints an array of them, for programs. */
void gw_ctl_print_proxies (GPtrArray *proxies);

/* argv[first] and what follows, joined with blanks. */
char *gw_ctl_join (int argc, char **argv, int first);

/* ---- Options ---- */

/* Parses argv by `entries`; what is left stays in argv. Checks that at least `min` and at most `max` words
 * (-1: any number) are left after argv[0]. FALSE: told the user; *exit is set. */
gboolean gw_ctl_options (GwCtl *self,
                         const GwCtlVerb *verb,
                         const GOptionEntry *entries,
                         int *argc,
                         char ***argv,
                         int min,
                         int max,
                         GwCtlExit *exit);

/* "90", "90s", "15m", "24h", "7d" in seconds. */
gboolean gw_ctl_parse_duration (const char *text, guint32 *seconds);
