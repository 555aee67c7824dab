/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-inventory-db.h"
#include "gw-inventory.h"

/*
 * Importing a manifest, in a worker thread. The content is read once; each piece is hashed and parsed from the same buffer, its rows
 * go to a temporary table, and only when the signature has held over all of it do they move to the inventory, in one
 * transaction. Memory does not grow with the manifest.
 */
#define GW_MANIFEST_SIZE_MAX (G_GUINT64_CONSTANT (4) << 30) /* octets; some 40 million chips */

typedef struct
{
  int content_fd; /* borrowed */
  int signature_fd;
  int report_fd;         /* -1 = none */
  const char *name;      /* NULL: by content */
  const char *trust_dir; /* anchors of the signers */
  gint64 now;            /* us, to be stored */
  GwInventoryProgress progress; /* called in this thread; may be NULL */
  gpointer progress_data;
} GwManifestJob;

/* result: set once the content was read to its end, whatever the outcome. Errors: gw_inventory_import_manifest. */
gboolean gw_manifest_import (GwInventoryDb *db, const GwManifestJob *job, GCancellable *cancellable,
                             GwManifestResult **result, GError **error);
