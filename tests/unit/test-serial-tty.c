/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TIOCSRS485 towards a driver that umockdev plays: one that can, one that says it can and keeps nothing, one that refuses.
 * Runs under umockdev-wrapper, in which /dev/ttyPLAYED is a pseudo-terminal whose requests come here. */

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <string.h>
#include <sys/ioctl.h>
#include <umockdev.h>
#include <unistd.h>

#include "gw-serial-tty.h"

#define NODE "/dev/ttyPLAYED"

typedef enum
{
  SWITCHES,
  FORGETS,
  REFUSES,
} Driver;

typedef struct
{
  UMockdevTestbed *bed;
  UMockdevIoctlBase *base;
  Driver driver;
  struct serial_rs485 kept;
  guint asked;
} Test;

/* While the test waits in its ioctl (). */
static gboolean
on_ioctl (UMockdevIoctlBase *base, UMockdevIoctlClient *client, gpointer data)
{
  Test *test = data;
  gulong request = umockdev_ioctl_client_get_request (client);
  g_autoptr (GError) error = NULL;
  UMockdevIoctlData *block;

  if (request != TIOCSRS485 && request != TIOCGRS485)
    {
      /* The pseudo-terminal behind it takes it. */
      int code = 0, result = umockdev_ioctl_client_execute (client, &code, &error);

      g_assert_no_error (error);
      umockdev_ioctl_client_complete (client, result, code);
      return TRUE;
    }
  test->asked++;
  if (test->driver == REFUSES)
    {
      umockdev_ioctl_client_complete (client, -1, ENOTTY);
      return TRUE;
    }
  block = umockdev_ioctl_data_resolve (umockdev_ioctl_client_get_arg (client), 0, sizeof test->kept, &error);
  g_assert_no_error (error);
  if (request == TIOCGRS485)
    umockdev_ioctl_data_update (block, 0, (guint8 *) &test->kept, sizeof test->kept);
  else if (test->driver == SWITCHES)
    memcpy (&test->kept, block->data, sizeof test->kept);
  umockdev_ioctl_data_unref (block);
  umockdev_ioctl_client_complete (client, 0, 0);
  return TRUE;
}

static void
setup (Test *test, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  test->driver = GPOINTER_TO_INT (data);
  test->bed = umockdev_testbed_new ();
  g_assert_true (umockdev_in_mock_environment ());
  umockdev_testbed_add_from_string (test->bed,
                                    "P: /devices/platform/serial/tty/ttyPLAYED\n"
                                    "N: ttyPLAYED\n"
                                    "E: DEVNAME=" NODE "\n"
                                    "E: SUBSYSTEM=tty\n"
                                    "A: dev=4:64\n",
                                    &error);
  g_assert_no_error (error);
  test->base = umockdev_ioctl_base_new ();
  g_signal_connect (test->base, "handle-ioctl", G_CALLBACK (on_ioctl), test);
  umockdev_testbed_attach_ioctl (test->bed, NODE, test->base, &error);
  g_assert_no_error (error);
}

static void
teardown (Test *test, gconstpointer data)
{
  umockdev_testbed_detach_ioctl (test->bed, NODE, NULL);
  g_object_unref (test->base);
  g_object_unref (test->bed);
}

static int
open_line (void)
{
  g_autoptr (GError) error = NULL;
  int fd = gw_serial_tty_open (NODE, 115200, &error);

  g_assert_no_error (error);
  return fd;
}

static void
test_switches (Test *test, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fd = open_line ();

  g_assert_cmpuint (test->asked, ==, 0); /* not unless it is said to be RS-485 */
  g_assert_true (gw_serial_tty_set_rs485 (fd, &error));
  g_assert_no_error (error);
  g_assert_cmphex (test->kept.flags, ==, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND);
  g_assert_cmpuint (test->kept.delay_rts_before_send, ==, 0);
  g_assert_cmpuint (test->kept.delay_rts_after_send, ==, 0);
  close (fd);
}

static void
test_forgets (Test *test, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fd = open_line ();

  g_assert_false (gw_serial_tty_set_rs485 (fd, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL);
  g_assert_cmpuint (test->asked, ==, 2);
  close (fd);
}

static void
test_refuses (Test *test, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fd = open_line ();

  g_assert_false (gw_serial_tty_set_rs485 (fd, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, g_strerror (ENOTTY)));
  g_assert_cmpuint (test->asked, ==, 1);
  close (fd);
}

#define ADD(path, driver, func) g_test_add (path, Test, GINT_TO_POINTER (driver), setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/serial-tty/switches", SWITCHES, test_switches);
  ADD ("/serial-tty/forgets", FORGETS, test_forgets);
  ADD ("/serial-tty/refuses", REFUSES, test_refuses);
  return g_test_run ();
}
