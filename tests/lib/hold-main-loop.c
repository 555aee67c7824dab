/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Preloaded into the agent, plays the worst case of its end. While the file $HOLD_MAIN_LOOP is there, who a caller is will be told to
 * the threads that judge calls only after the main loop has ended, and the main thread stays in the moment after the loop.
 */

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <gio/gio.h>

#define LOOK_USEC 10000
#define PATIENCE_USEC (60 * 1000 * 1000)

static int ended; /* atomic */

static gboolean
is_held (void)
{
  const char *path = getenv ("HOLD_MAIN_LOOP");

  return path != NULL && access (path, F_OK) == 0;
}

void
g_main_loop_run (GMainLoop *loop)
{
  void (*run) (GMainLoop *) = (void (*) (GMainLoop *)) dlsym (RTLD_NEXT, "g_main_loop_run");

  run (loop);
  if (g_main_loop_get_context (loop) != g_main_context_default ())
    return;
  g_atomic_int_set (&ended, 1);
  for (unsigned waited = 0; waited < PATIENCE_USEC && is_held (); waited += LOOK_USEC)
    g_usleep (LOOK_USEC);
}

typedef GVariant *(*CallSync) (GDBusConnection *connection,
                               const char *name,
                               const char *path,
                               const char *interface,
                               const char *method,
                               GVariant *parameters,
                               const GVariantType *type,
                               GDBusCallFlags flags,
                               int timeout,
                               GCancellable *cancellable,
                               GError **error);

GVariant *
g_dbus_connection_call_sync (GDBusConnection *connection,
                             const char *name,
                             const char *path,
                             const char *interface,
                             const char *method,
                             GVariant *parameters,
                             const GVariantType *type,
                             GDBusCallFlags flags,
                             int timeout,
                             GCancellable *cancellable,
                             GError **error)
{
  CallSync call = (CallSync) dlsym (RTLD_NEXT, "g_dbus_connection_call_sync");

  if (g_str_equal (method, "GetConnectionUnixUser") && is_held ())
    {
      g_message ("a call is being judged");
      for (unsigned waited = 0; waited < PATIENCE_USEC && !g_atomic_int_get (&ended); waited += LOOK_USEC)
        g_usleep (LOOK_USEC);
    }
  return call (connection, name, path, interface, method, parameters, type, flags, timeout, cancellable, error);
}
