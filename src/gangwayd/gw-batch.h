/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-inventory-db.h"
#include "gw-inventory.h"

/* Adding a batch, in a worker thread: stage the ids, look at each in the order of the key ids, commit if all are good. */
#define GW_BATCH_IDS_MAX 1000000u
#define GW_BATCH_SIZE_MAX (G_GUINT64_CONSTANT (256) << 20) /* octets of the list, comments included */

typedef struct
{
  int ids_fd; /* borrowed */
  int report_fd; /* -1 = none */
  const char *name;
  const char *policy;
  gint64 adopt_until; /* us, 0 = no first use */
  gint64 now;         /* us, to be stored */
  gboolean dry_run;
  GwInventoryProgress progress; /* called in this thread; may be NULL */
  gpointer progress_data;
} GwBatchJob;

/* result: set once the list was read to its end, whatever the outcome. Errors: gw_inventory_add_batch. */
gboolean gw_batch_add (GwInventoryDb *db, const GwBatchJob *job, GCancellable *cancellable, GwBatchResult **result,
                       GError **error);
gboolean gw_batch_remove (GwInventoryDb *db, const char *name, GError **error);
/* Also where nothing claims it. */
gboolean gw_batch_withdraw (GwInventoryDb *db, const guint8 kid[GW_KEY_ID_LEN], GError **error);
gboolean gw_batch_approve (GwInventoryDb *db, const guint8 kid[GW_KEY_ID_LEN], const char *policy, gint64 adopt_until,
                           GError **error);
