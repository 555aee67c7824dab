/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the caller that the agent gets as descriptors: opened with the caller's rights, here. */
#include "gw-ctl-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-ctl-text.h"

static gboolean
refuse_file (GwCtl *self, const char *doing, const char *path, int error, GwCtlExit *exit)
{
  g_autofree char *what = g_strdup_printf ("cannot %s %s: %s", doing, path, g_strerror (error));

  *exit = gw_ctl_refuse (self, GW_CTL_USAGE, what, "check the file's name and its rights");
  return FALSE;
}

gboolean
gw_ctl_file_read (GwCtl *self, const char *path, GUnixFDList *fds, gint32 *handle, GwCtlExit *exit)
{
  g_autoptr (GError) error = NULL;
  gboolean standard = g_str_equal (path, "-");
  int fd = standard ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return refuse_file (self, "open", path, errno, exit);
  *handle = g_unix_fd_list_append (fds, fd, &error);
  if (!standard)
    close (fd);
  if (*handle >= 0)
    return TRUE;
  *exit = gw_ctl_refuse (self, GW_CTL_FAILED, error->message, NULL);
  return FALSE;
}

int
gw_ctl_file_report (GwCtl *self, const char *path, GwCtlExit *exit)
{
  int fd = path ? open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                : memfd_create ("gangwayctl-report", MFD_CLOEXEC);

  if (fd < 0)
    refuse_file (self, "write", path ? path : "the report", errno, exit);
  return fd;
}

void
gw_ctl_file_print (int fd)
{
  FILE *file;
  char *line = NULL;
  size_t size = 0;
  int copy = dup (fd);

  if (copy < 0 || lseek (copy, 0, SEEK_SET) != 0 || (file = fdopen (copy, "r")) == NULL)
    {
      if (copy >= 0)
        close (copy);
      return;
    }
  while (getline (&line, &size, file) > 0)
    {
      g_autofree char *clean = gw_ctl_text_clean (g_strchomp (line));

      fprintf (stderr, "%s\n", clean);
    }
  free (line);
  fclose (file);
}
