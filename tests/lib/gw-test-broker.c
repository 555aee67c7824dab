// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gw-test-broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT (120 * G_USEC_PER_SEC)

static guint16
free_port (void)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof name;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (struct sockaddr *)&name, len), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *)&name, &len), ==, 0);
  close (fd);
  return ntohs (name.sin_port);
}

GwTestBroker *
gw_test_broker_new (void)
{
  GwTestBroker *self = g_new0 (GwTestBroker, 1);

  self->dir = g_dir_make_tmp ("gw-broker-XXXXXX", NULL);
  g_assert_nonnull (self->dir);
  self->log_path = g_build_filename (self->dir, "mosquitto.log", NULL);
  self->port = free_port ();
  self->ca = gw_test_ca_new ("Test CA");
  self->ca_path = gw_test_cert_write (self->ca, self->dir, "ca");
  self->server = gw_test_cert_new (self->ca, GW_TEST_SERVER, "localhost", -3600, 86400);
  return self;
}

void
gw_test_broker_set_server (GwTestBroker *self, GwTestCert *server)
{
  gw_test_cert_free (self->server);
  self->server = server;
}

static char *
write_config (GwTestBroker *self)
{
  g_autofree char *path = g_build_filename (self->dir, "mosquitto.conf", NULL);
  g_autofree char *server = gw_test_cert_write (self->server, self->dir, "server");
  g_autofree char *text = g_strdup_printf (
      "user %s\n"
      "persistence false\n"
      "log_dest stderr\n"
      "log_type all\n"
      "set_tcp_nodelay true\n"
      "allow_anonymous %s\n"
      "listener %u 127.0.0.1\n"
      "cafile %s/ca.pem\n"
      "certfile %s/server.pem\n"
      "keyfile %s/server.key\n"
      "require_certificate %s\n"
      "use_identity_as_username %s\n"
      "%s",
      g_get_user_name (), self->anonymous ? "true" : "false", self->port, self->dir, self->dir, self->dir,
      self->anonymous ? "false" : "true", self->anonymous ? "false" : "true", self->extra ? self->extra : "");

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return g_steal_pointer (&path);
}

static char **
make_environment (GwTestBroker *self)
{
  char **env = g_get_environ ();
  g_autofree char *path = g_build_filename (self->dir, "openssl.cnf", NULL);
  g_autofree char *text = NULL;

  if (!self->openssl)
    return env;
  text = g_strdup_printf (
      "openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = sys\n[sys]\n%s\n", self->openssl);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return g_environ_setenv (env, "OPENSSL_CONF", path, TRUE);
}

static gboolean
listens (guint16 port)
{
  struct sockaddr_in name
      = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK), .sin_port = htons (port) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  gboolean ok = connect (fd, (struct sockaddr *)&name, sizeof name) == 0;

  close (fd);
  return ok;
}

void
gw_test_broker_start (GwTestBroker *self)
{
  g_autofree char *config = write_config (self);
  g_auto (GStrv) env = make_environment (self);
  gint64 deadline = g_get_monotonic_time () + START_TIMEOUT;
  pid_t parent = getpid ();

  g_assert_cmpint (self->pid, ==, 0);
  self->pid = fork ();
  g_assert_cmpint (self->pid, >=, 0);
  if (self->pid == 0)
    {
      int log = open (self->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

      /* Never outlive a test that crashed. */
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (getppid () != parent || log < 0 || dup2 (log, 1) < 0 || dup2 (log, 2) < 0)
        _exit (126);
      execle ("/usr/sbin/mosquitto", "mosquitto", "-c", config, NULL, env);
      _exit (127);
    }

  while (!listens (self->port))
    {
      g_autofree char *log = NULL;

      if (waitpid (self->pid, NULL, WNOHANG) == 0 && g_get_monotonic_time () < deadline)
        {
          g_usleep (2000);
          continue;
        }
      log = gw_test_broker_read_log (self);
      g_error ("mosquitto does not start:\n%s", log);
    }
}

void
gw_test_broker_stop (GwTestBroker *self)
{
  if (!self->pid)
    return;
  kill (self->pid, SIGKILL);
  waitpid (self->pid, NULL, 0);
  self->pid = 0;
}

void
gw_test_broker_free (GwTestBroker *self)
{
  static const char *const names[] = { "mosquitto.log", "mosquitto.conf", "openssl.cnf", "ca.pem",
                                       "ca.key",        "server.pem",     "server.key",  "acl" };

  if (!self)
    return;
  gw_test_broker_stop (self);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (self->dir, names[i], NULL);

      g_unlink (path);
    }
  g_rmdir (self->dir);
  gw_test_cert_free (self->ca);
  gw_test_cert_free (self->server);
  g_free (self->dir);
  g_free (self->log_path);
  g_free (self->ca_path);
  g_free (self->extra);
  g_free (self->openssl);
  g_free (self);
}

char *
gw_test_broker_read_log (GwTestBroker *self)
{
  char *text = NULL;

  return g_file_get_contents (self->log_path, &text, NULL, NULL) ? text : g_strdup ("");
}
