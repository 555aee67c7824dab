/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A plugin in the sandbox, for the test: at each attachment it tries what it must not be able to do and sends the
 * verdict as one datagram, "name=errno" words, 0 = it could. "quit" from the agent ends it. */

#include <gangway.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static GMainLoop *loop;
static GangwayNode *node;
static int status = 1;

static int
verdict (long rc)
{
  int code = rc < 0 ? errno : 0;

  if (rc > 2)
    close (rc);
  return code;
}

static int
try_execve (void)
{
  char *argv[] = { (char *) "/bin/true", NULL };

  execve (argv[0], argv, NULL);
  return errno;
}

static int
try_exec_memory (void)
{
  void *page = mmap (NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return page == MAP_FAILED ? errno : 0;
}

static void
on_attached (GangwayBus *bus, gpointer data)
{
  g_autofree char *text = NULL;
  g_autoptr (GBytes) datagram = NULL;
  g_autoptr (GError) error = NULL;

  if (node == NULL)
    node = gangway_bus_node_up (bus, 1024, 0, NULL, &error);
  g_assert_no_error (error);
  text = g_strdup_printf ("open=%d openat=%d creat=%d socket=%d execve=%d fork=%d exec-memory=%d kill=%d sti=%d dup=%d",
                          verdict (open ("/etc/passwd", O_RDONLY)),
                          verdict (openat (AT_FDCWD, "/dev/null", O_RDONLY)),
                          verdict (creat ("/tmp/gw-sandbox-must-not-be", 0600)),
                          verdict (socket (AF_UNIX, SOCK_STREAM, 0)),
                          try_execve (),
                          verdict (fork ()),
                          try_exec_memory (),
                          verdict (kill (1, 0)),
                          verdict (ioctl (0, TIOCSTI, "x")),
                          verdict (dup (0)));
  datagram = g_bytes_new (text, strlen (text));
  gangway_node_send (node, datagram, &error);
  g_assert_no_error (error);
}

static void
on_datagram (GangwayBus *bus, GangwayNode *to, GBytes *datagram, gpointer data)
{
  status = 0;
  g_main_loop_quit (loop);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (gangway_bus_attach_finish (GANGWAY_BUS (source), result, &error))
    return;
  fprintf (stderr, "%s\n", error->message);
  g_main_loop_quit (loop);
}

static void
on_lost (GangwayBus *bus, const char *why, gpointer data)
{
  status = 3;
  g_main_loop_quit (loop);
}

int
main (int argc, char **argv)
{
  g_autoptr (GangwayBus) bus = NULL;

  loop = g_main_loop_new (NULL, FALSE);
  bus = g_object_new (
      GANGWAY_TYPE_BUS, "name", "boxed", "kind", "test", "bus-address", argv[1], "sandbox", TRUE, NULL);
  g_signal_connect (bus, "attached", G_CALLBACK (on_attached), NULL);
  g_signal_connect (bus, "datagram", G_CALLBACK (on_datagram), NULL);
  g_signal_connect (bus, "lost", G_CALLBACK (on_lost), NULL);
  gangway_bus_attach_async (bus, NULL, on_ready, NULL);
  g_main_loop_run (loop);
  g_clear_object (&node);
  g_clear_object (&bus);
  g_main_loop_unref (loop);
  return status;
}
