/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Not <termios.h>, which knows a fixed list of speeds only: termios2 and BOTHER take any number (tty_ioctl(4)). */
#include <asm/termbits.h>
#include <linux/serial.h>

/* A driver may round the speed; an 8N1 receiver copes with about 5 % in all, so half of it is ours. */
#define SPEED_TOLERANCE_PERMILLE 25

static int
fail (int fd, const char *path, const char *what, GError **error)
{
  int code = errno;

  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (code), "%s: %s: %s", path, what, g_strerror (code));
  close (fd);
  return -1;
}

/* Major numbers of the kernel's Unix98 pseudo-terminals, the side that programs open (Linux, devices.txt). */
#define PTY_MAJOR_FIRST 136
#define PTY_MAJOR_LAST 143

/* Keeps other programs from opening the line. Not on a pseudo-terminal: its exclusive mode outlives this process as
 * long as the far side is open, and would lock out our own successor after a crash (tried). */
static gboolean
set_exclusive (int fd)
{
  struct stat st;

  if (fstat (fd, &st) == 0 && major (st.st_rdev) >= PTY_MAJOR_FIRST && major (st.st_rdev) <= PTY_MAJOR_LAST)
    return TRUE;
  return ioctl (fd, TIOCEXCL) == 0;
}

static gboolean
set_line (int fd, guint speed)
{
  struct termios2 tio;

  if (ioctl (fd, TCGETS2, &tio) < 0)
    return FALSE;
  tio.c_iflag = IGNBRK;
  tio.c_oflag = 0;
  tio.c_lflag = 0;
  /* HUPCL stays off: dropping DTR at our end would reset the boards that wire it to reset. */
  tio.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | (BOTHER << IBSHIFT);
  tio.c_ispeed = speed;
  tio.c_ospeed = speed;
  for (gsize i = 0; i < sizeof tio.c_cc; i++)
    tio.c_cc[i] = 0;
  tio.c_cc[VMIN] = 1; /* so that reading 0 octets means a hang-up, not "nothing yet" */
  return ioctl (fd, TCSETS2, &tio) == 0;
}

static gboolean
check_line (int fd, guint speed, const char *path, GError **error)
{
  struct termios2 tio;
  guint64 got;

  if (ioctl (fd, TCGETS2, &tio) < 0)
    return FALSE;
  got = tio.c_ospeed;
  if (ABS ((gint64) got - (gint64) speed) * 1000 <= (gint64) speed * SPEED_TOLERANCE_PERMILLE)
    return TRUE;
  g_set_error (error,
               G_FILE_ERROR,
               G_FILE_ERROR_INVAL,
               "%s: the hardware makes %" G_GUINT64_FORMAT " bit/s of %u; choose a speed that it can",
               path,
               got,
               speed);
  return FALSE;
}

int
gw_serial_tty_open (const char *path, guint speed, GError **error)
{
  int fd;

  if (speed < GW_SERIAL_SPEED_MIN || speed > GW_SERIAL_SPEED_MAX)
    {
      g_set_error (error,
                   G_FILE_ERROR,
                   G_FILE_ERROR_INVAL,
                   "%u bit/s is no speed between %u and %u",
                   speed,
                   GW_SERIAL_SPEED_MIN,
                   GW_SERIAL_SPEED_MAX);
      return -1;
    }
  fd = open (path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return fail (fd, path, "cannot open", error);
  if (flock (fd, LOCK_EX | LOCK_NB) < 0)
    return fail (fd, path, "another program has it", error);
  if (!set_exclusive (fd))
    return fail (fd, path, "no serial line", error);
  if (!set_line (fd, speed))
    return fail (fd, path, "cannot set the line", error);
  if (!check_line (fd, speed, path, error))
    {
      close (fd);
      return -1;
    }
  ioctl (fd, TCFLSH, TCIOFLUSH);
  return fd;
}

/* What the driver keeps may differ from what it was asked for; a driver without RS-485 may clear the flag and say nothing
 * (Linux, Documentation/driver-api/serial/serial-rs485.rst). */
gboolean
gw_serial_tty_set_rs485 (int fd, GError **error)
{
  struct serial_rs485 rs485 = { .flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND };

  if (ioctl (fd, TIOCSRS485, &rs485) == 0 && ioctl (fd, TIOCGRS485, &rs485) == 0)
    {
      if (rs485.flags & SER_RS485_ENABLED)
        return TRUE;
      errno = EINVAL;
    }
  g_set_error_literal (error, G_FILE_ERROR, g_file_error_from_errno (errno), g_strerror (errno));
  return FALSE;
}
