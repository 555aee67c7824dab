/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gunixfdlist.h>

#include "gw-ctl.h"

/* Opens `path` ("-": standard input) for reading and appends it to `fds`; *handle is its index. FALSE: told
 * the user. */
gboolean gw_ctl_file_read (GwCtl *self, const char *path, GUnixFDList *fds, gint32 *handle, GwCtlExit *exit);

/* A place for a report by line: `path` is created or emptied, NULL means an unnamed file that
 * gw_ctl_file_print shows. Returns a descriptor or -1 (told the user). */
int gw_ctl_file_report (GwCtl *self, const char *path, GwCtlExit *exit);

/* Copies what was written to an unnamed report to stderr, cleaned line by line. */
void gw_ctl_file_print (int fd);
