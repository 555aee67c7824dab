/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-db.h"

/*
 * inventory.db: manifests, chips, batches, claims. A file of its own beside gangway.db, because a change here is one
 * long transaction (a million chips), and SQLite has one write lock a file.
 *
 * A connection belongs to one thread at a time. The reader is the main thread's; the writer is opened by the worker for
 * one change and closed after it, which also gives back its memory and its temporary file.
 * All errors: GW_ERROR_STORAGE unless said otherwise.
 */
#define GW_INVENTORY_DB_FILE "inventory.db"

typedef struct _GwInventoryDb GwInventoryDb;

GwInventoryDb *gw_inventory_db_open (const char *state_dir, char **damage, GError **error);
GwInventoryDb *gw_inventory_db_open_writer (const char *state_dir, GError **error);
void gw_inventory_db_free (GwInventoryDb *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwInventoryDb, gw_inventory_db_free)

/* ---- reading (either connection): 1 = found, 0 = not there, -1 = error ---- */

typedef struct
{
  char *manifest;
  char *manufacturer;
  char *model;
  char *serial;
} GwChip;

void gw_chip_clear (GwChip *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwChip, gw_chip_clear)
int gw_inventory_db_lookup_chip (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], GwChip *out, GError **error);

typedef struct
{
  char *batch; /* NULL: approved singly */
  char *policy;
  gint64 adopt_until; /* us; 0 = no first use */
} GwClaim;

void gw_claim_clear (GwClaim *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwClaim, gw_claim_clear)
int gw_inventory_db_lookup_claim (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], GwClaim *out, GError **error);

typedef struct
{
  guint64 chips;
  guint64 manifests;
  guint64 batches;
} GwInventoryCounts;

gboolean gw_inventory_db_count (GwInventoryDb *self, GwInventoryCounts *out, GError **error);

/* Arrays of GwManifestInfo and GwBatchInfo (gw-inventory.h). */
GPtrArray *gw_inventory_db_list_manifests (GwInventoryDb *self, GError **error);
GPtrArray *gw_inventory_db_list_batches (GwInventoryDb *self, GError **error);

/* ---- changing (writer): begin .. commit; freeing without commit leaves everything as it was ---- */

gboolean gw_inventory_db_begin (GwInventoryDb *self, GError **error);
gboolean gw_inventory_db_commit (GwInventoryDb *self, GError **error);

/* Rows gathered in a temporary table (a private, unlinked file) and given back in the order of their key ids, equal ones
 * by line. The table's own order is the file's, so that nothing is inserted at random places. Texts may be NULL. */
gboolean gw_inventory_db_stage (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], guint64 line,
                                const char *manufacturer, const char *model, const char *serial, GError **error);

typedef struct
{
  const guint8 *kid; /* borrowed until the next call */
  guint64 line;
  const char *manufacturer;
  const char *model;
  const char *serial;
} GwStagedRow;

/* The next row, sorted by key id, then by line: 1, 0 at the end, -1. *first_line: the line on which this key id stood first, 0 if
 * this is it. */
int gw_inventory_db_next_staged (GwInventoryDb *self, GwStagedRow *out, guint64 *first_line, GError **error);

/* 1 and *id set: a manifest of this content is there; 0: none. */
int gw_inventory_db_find_manifest (GwInventoryDb *self, const guint8 sha256[32], char **name, GError **error);

/* GW_ERROR_EXISTS if the name is taken. */
gboolean gw_inventory_db_add_manifest (GwInventoryDb *self, const char *name, const guint8 sha256[32],
                                       const char *signer, gint64 now, gint64 *id, GError **error);
gboolean gw_inventory_db_set_manifest_counts (GwInventoryDb *self, gint64 id, guint64 chips, guint64 added,
                                              GError **error);

/* 1 = added, 0 = the key id is there already, -1 = error. */
int gw_inventory_db_add_chip (GwInventoryDb *self, gint64 manifest, const GwStagedRow *row, GError **error);

/* GW_ERROR_EXISTS if the name is taken. */
gboolean gw_inventory_db_add_batch (GwInventoryDb *self, const char *name, const char *policy, gint64 now,
                                    gint64 adopt_until, gint64 *id, GError **error);

/* 1 = added, 0 = claimed already, -1 = error. */
int gw_inventory_db_add_claim (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], gint64 batch, GError **error);

/* A claim of its own policy, or a new policy and window for the one that is there. */
gboolean gw_inventory_db_approve (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], const char *policy,
                                  gint64 adopt_until, GError **error);

/* Also where there is none. */
gboolean gw_inventory_db_remove_claim (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], GError **error);

/* 1 = removed with its claims, 0 = not there. */
int gw_inventory_db_remove_batch (GwInventoryDb *self, const char *name, GError **error);
