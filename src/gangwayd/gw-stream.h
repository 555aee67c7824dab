/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-error.h"

/*
 * Reading from and writing to a caller's descriptor in a worker thread. The other end may be a pipe that never moves: both
 * calls watch the cancellable and give up after GW_STREAM_STALL_MS without progress. The descriptor's flags
 * are shared with the caller and are not touched.
 */
#define GW_STREAM_STALL_MS 30000
#define GW_STREAM_WRITE_MAX 4096 /* PIPE_BUF: after POLLOUT a pipe takes this without blocking */

/* Octets read, 0 at the end, -1 with CANCELLED, TIMEOUT or STORAGE. */
gssize gw_stream_read (int fd, void *buffer, gsize length, GCancellable *cancellable, GError **error);

/* All or error. */
gboolean gw_stream_write (int fd, const void *data, gsize length, GCancellable *cancellable, GError **error);

/* Everything up to the end, at most max octets (else GW_ERROR_LIMIT). */
GByteArray *gw_stream_read_all (int fd, gsize max, GCancellable *cancellable, GError **error);
