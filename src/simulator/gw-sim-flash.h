/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The flash of a virtual endpoint: one small file a slot in a folder, each replaced whole. Everything is read
 * at the start and kept, so reading never blocks. Owned by who made it. */

#include <glib.h>

#include "gw-ep-platform.h"

typedef struct GwSimFlash GwSimFlash;

/* Opens the folder, making it (0700) where it is missing. NULL: it or a file in it cannot be read,
 * G_FILE_ERROR. */
GwSimFlash *gw_sim_flash_new (const char *folder, GError **error);
void gw_sim_flash_free (GwSimFlash *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimFlash, gw_sim_flash_free)

/* As GwEpPlatform's nv_read and nv_write: GW_OK or a GwStatus. */
int gw_sim_flash_read (const GwSimFlash *self, GwEpNvSlot slot, guint8 *out, gsize cap, gsize *len);
int gw_sim_flash_write (GwSimFlash *self, GwEpNvSlot slot, const guint8 *data, gsize len);

/* Makes every slot of `self` as in `other`: a chip that was copied together with its flash. GW_OK, or GW_E_IO
 * and some slots are copied. */
int gw_sim_flash_copy (GwSimFlash *self, const GwSimFlash *other);
