/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-db.h"
#include "gw-policy.h"

/*
 * The inventory: which chips exist (manifests of the silicon vendors, the Global Inventory) and which are ours
 * (batches of the owner), and the decision that follows for a key id which an endpoint has *proven*.
 *
 * Kept in inventory.db (gw-inventory-db.h). Look-ups are synchronous reads on the main thread (tens of microseconds).
 * Changes run one after the other in a worker thread with its own connection; their callbacks come on the main context that was
 * the thread default at the call. Everything is all-or-nothing: an error or a kill -9 leaves the inventory as it was.
 * Descriptors passed in are borrowed for the call: duplicated inside. A callback must call its finish function; both may still
 * come after gw_inventory_free (with CANCELLED), which finish then does not touch.
 */
typedef struct _GwInventory GwInventory;

/* damage: as gw_db_open. trust_dir: folder of PEM files of manifest signers' roots, read at each import. */
GwInventory *gw_inventory_open (const char *state_dir, const char *trust_dir, char **damage, GError **error);
/* For the imports that begin after this. */
void gw_inventory_set_trust_dir (GwInventory *self, const char *trust_dir);

/* Waits for a change that is running (cancelled first). */
void gw_inventory_free (GwInventory *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwInventory, gw_inventory_free)

/* ---- the decision ---- */

typedef enum
{
  GW_ADMISSION_ADMITTED,
  GW_ADMISSION_NOT_IN_MANIFEST,
  GW_ADMISSION_NOT_CLAIMED,
  GW_ADMISSION_POLICY_MISSING, /* the claim names a policy that is not there */
  GW_ADMISSION_POLICY_INVALID,
} GwAdmissionVerdict;

typedef struct
{
  GwAdmissionVerdict verdict;
  gboolean in_manifest;
  char *manifest;       /* name; NULL unless in_manifest */
  char *manufacturer;   /* of the manifest; NULL unless in_manifest */
  char *model;
  char *serial;
  gboolean claimed;
  char *batch;          /* NULL if approved singly */
  char *policy;         /* name; NULL unless claimed */
  gint64 adopt_until;   /* us UTC; first use is allowed before it (if the policy says window); 0 = not */
  char *reason;         /* one sentence, for StateReason; NULL if admitted */
  char *remedy;         /* what to do next, a command to type; NULL if admitted */
} GwAdmission;

void gw_admission_free (GwAdmission *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwAdmission, gw_admission_free)

/* Decide for one proven key id. NULL with error (storage): treat as refused. policies: the set in force. */
GwAdmission *gw_inventory_decide (GwInventory *self, const guint8 kid[GW_KEY_ID_LEN], GwPolicySet *policies,
                                  GError **error);

/* Counts, for the properties; cached, refreshed after each change. */
guint64 gw_inventory_get_chip_count (GwInventory *self);
guint64 gw_inventory_get_manifest_count (GwInventory *self);
guint64 gw_inventory_get_batch_count (GwInventory *self);

typedef struct
{
  char *name;
  char *signer;      /* distinguished name */
  guint64 chips;
  gint64 imported;   /* us */
} GwManifestInfo;

typedef struct
{
  char *name;
  char *policy;
  guint64 ids;
  gint64 added;        /* us */
  gint64 adopt_until;  /* us; 0 = no first use */
} GwBatchInfo;

void gw_manifest_info_free (GwManifestInfo *self);
void gw_batch_info_free (GwBatchInfo *self);

/* By name. Arrays own their elements. */
GPtrArray *gw_inventory_list_manifests (GwInventory *self, GError **error);
GPtrArray *gw_inventory_list_batches (GwInventory *self, GError **error);

/* ---- changes ---- */

/* Names of batches and manifests: 1 to 64 of [a-zA-Z0-9._-]. */
#define GW_INVENTORY_NAME_MAX 64
gboolean gw_inventory_name_is_valid (const char *name);

/* Called on the caller's main context, a few times a job: 0.0 .. 1.0, never after the callback. */
typedef void (*GwInventoryProgress) (double fraction, gpointer data);

typedef struct
{
  char *name;        /* of the manifest in the inventory */
  char *signer;      /* subject of the certificate that signed it */
  guint64 chips;     /* listed */
  guint64 added;     /* new here */
  guint64 known;     /* listed before, identically, by this or another manifest */
  guint64 malformed; /* lines; not 0 only with an error */
  guint64 duplicate; /* key ids listed twice, or otherwise by another manifest; not 0 only with an error */
  gboolean report_cut; /* the report's reader was gone, too slow, or the report reached its bound */
} GwManifestResult;

void gw_manifest_result_free (GwManifestResult *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwManifestResult, gw_manifest_result_free)

/*
 * Import a manifest: content (CSV, any readable descriptor) and its detached CMS signature (DER). name: what to call it,
 * NULL = "manifest-" and the first 8 hex digits of its SHA-256. report_fd (-1 = none): one line "LINE: STATUS: DETAIL" a
 * refused line, STATUS malformed | duplicate | contradiction. Importing the same content again is no error. Errors: INVALID (malformed, by line; contradicts another
 * manifest), NOT_TRUSTED (signature), EXISTS (name taken by other content), LIMIT, TIMEOUT (the descriptor stalls),
 * CANCELLED, STORAGE.
 */
void gw_inventory_import_manifest (GwInventory *self, int content_fd, int signature_fd, int report_fd,
                                   const char *name, GwInventoryProgress progress, gpointer progress_data,
                                   GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);

/* TRUE: imported. *result (may be NULL) is set whenever the content was read to its end, also with an error. */
gboolean gw_inventory_import_manifest_finish (GwInventory *self, GAsyncResult *res, GwManifestResult **result,
                                              GError **error);

typedef struct
{
  guint64 lines;       /* with a key id or what should be one */
  guint64 accepted;    /* claimed now, or would be on a dry run */
  guint64 malformed;
  guint64 unknown;     /* in no trusted manifest */
  guint64 duplicate;   /* twice in this file */
  guint64 claimed;     /* by a batch or approval already */
  gboolean dry_run;
  gboolean report_cut; /* the report's reader was gone, too slow, or the report reached its bound */
} GwBatchResult;

void gw_batch_result_free (GwBatchResult *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwBatchResult, gw_batch_result_free)

/*
 * Add a batch: claim the key ids of a file (one a line, blank lines and # comments allowed) for a policy. report_fd (-1 = none):
 * one line "LINE: STATUS: DETAIL" a refused line, STATUS malformed | unknown | duplicate | claimed. adopt_until: us UTC,
 * 0 = no first use. If any line is refused nothing is added and the error (INVALID) has the counts, except on a dry run,
 * which changes nothing and succeeds with the counts. The counts are there in both cases: *result is set whenever
 * the file was read to its end (finish returns FALSE with error if refused). Errors besides: EXISTS (name), LIMIT, TIMEOUT, CANCELLED,
 * STORAGE. Whether the policy is there is the caller's to check before.
 */
void gw_inventory_add_batch (GwInventory *self, const char *name, const char *policy, int ids_fd, int report_fd,
                             gint64 adopt_until, gboolean dry_run, GwInventoryProgress progress,
                             gpointer progress_data, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer data);
gboolean gw_inventory_add_batch_finish (GwInventory *self, GAsyncResult *res, GwBatchResult **result, GError **error);

/* Withdraw a batch and its claims; what is enrolled already is left alone. NOT_FOUND. */
void gw_inventory_remove_batch (GwInventory *self, const char *name, GAsyncReadyCallback callback, gpointer data);
gboolean gw_inventory_remove_batch_finish (GwInventory *self, GAsyncResult *res, GError **error);

/* Withdraw whatever claims one chip. */
void gw_inventory_withdraw (GwInventory *self, const guint8 kid[GW_KEY_ID_LEN], GAsyncReadyCallback callback, gpointer data);
gboolean gw_inventory_withdraw_finish (GwInventory *self, GAsyncResult *res, GError **error);

/* Claim one chip for a policy, or change the policy and window of its claim. NOT_TRUSTED if it is in no manifest. */
void gw_inventory_approve (GwInventory *self, const guint8 kid[GW_KEY_ID_LEN], const char *policy,
                           gint64 adopt_until, GAsyncReadyCallback callback, gpointer data);
gboolean gw_inventory_approve_finish (GwInventory *self, GAsyncResult *res, GError **error);

/* ---- key ids at the borders ---- */

/* Strict: 64 lower-case hex digits. */
gboolean gw_key_id_parse (const char *text, guint8 kid[GW_KEY_ID_LEN]);
char *gw_key_id_to_string (const guint8 kid[GW_KEY_ID_LEN]);
