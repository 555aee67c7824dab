/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-error.h"
#include "gw-lifecycle.h"
#include "gw-protocol.h"
#include "gw-writer.h"

/*
 * gangway.db: what has happened on this gateway (endpoints, their certificates, the audit trail, the gateway's id).
 *
 * Two connections. GwDb is the main thread's: reads only, synchronous, a few microseconds each. GwDbWriter is the
 * writer thread's: all writes, inside the group transaction that GwWriter opens and commits. What *should* exist
 * (manifests, chips, batches, claims) is bulk data in a file of its own, inventory.db (gw-inventory-db.h), so that
 * an import of a million chips never holds SQLite's one write lock against a spool commit.
 *
 * WAL, synchronous=FULL, user_version steps. A damaged file is moved aside under a new name, never deleted.
 * Times are gint64 microseconds since 1970 (UTC); 0 = never. Errors: GW_ERROR_STORAGE unless said otherwise.
 */
#define GW_DB_FILE "gangway.db"

typedef struct _GwDb GwDb;
typedef struct _GwDbWriter GwDbWriter;

typedef struct
{
  guint8 kid[GW_KEY_ID_LEN];
  GwLifecycle lifecycle;
  gboolean held;            /* a person keeps it in quarantine until Approve, whatever the inventory says */
  gboolean cloned;          /* two living endpoints proved this key id; refused until Approve */
  gboolean owned;           /* this gateway's owner CA is pinned in the endpoint */
  guint8 owner[32];         /* SHA-256 of that owner CA's SPKI; zero while not owned */
  char *reason;             /* why it is in this state, for people; NULL = none */
  char *name;               /* set by SetName; NULL = none */
  char *policy;             /* in force; NULL = none */
  char *batch;              /* that claimed it; NULL = none or approved singly */
  guint32 generation;       /* of the operational key the certificate is for; 0 = none yet */
  guint8 slot;              /* 1 or 2: where that key lives; 0 = none */
  GBytes *certificate;      /* DER, leaf; NULL = none */
  guint8 fingerprint[32];   /* SHA-256 of certificate; zero = none */
  gint64 not_after;         /* of certificate, us */
  gint64 first_seen;        /* first proof of the key id, us */
  gint64 last_seen;         /* us; written rarely, the live value is in memory */
  char *last_bus;           /* bus it was last proven on; NULL = none */
} GwEndpointRecord;

GwEndpointRecord *gw_endpoint_record_new (const guint8 kid[GW_KEY_ID_LEN]);
GwEndpointRecord *gw_endpoint_record_copy (const GwEndpointRecord *self);
void gw_endpoint_record_free (GwEndpointRecord *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwEndpointRecord, gw_endpoint_record_free)

/*
 * Open for reading, creating, migrating and checking the file first. Call in the main thread before gw_db_writer_open.
 * damage: set to a sentence for the log (else NULL) when a damaged file was moved aside and an empty one took its
 * place; free with g_free. The gateway id is made here on first start.
 */
GwDb *gw_db_open (const char *state_dir, char **damage, GError **error);
void gw_db_free (GwDb *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDb, gw_db_free)

/* "gw-" and 16 hex digits, made at first start; owned by self. */
const char *gw_db_get_gateway_id (GwDb *self);

/* A value of the meta table; NULL without error = not there. */
char *gw_db_get_meta (GwDb *self, const char *key, GError **error);

/* All endpoints ever proven here: array of GwEndpointRecord with free function. */
GPtrArray *gw_db_load_endpoints (GwDb *self, GError **error);

/* One endpoint; NULL without error = not there. */
GwEndpointRecord *gw_db_load_endpoint (GwDb *self, const guint8 kid[GW_KEY_ID_LEN], GError **error);

/* How many stored endpoints of this batch have this lifecycle. -1 with error. */
gint64 gw_db_count_endpoints (GwDb *self, const char *batch, GwLifecycle lifecycle, GError **error);

typedef struct
{
  gint64 seq;     /* from 1, without gaps */
  gint64 time;    /* us */
  char *actor;    /* who: "uid N", "agent" */
  char *action;   /* what: "Endpoint.Revoke", "endpoint-revoked", ... */
  char *object;   /* on what: key id, object path, bus; may be empty */
  char *detail;   /* free text */
} GwAuditRecord;

void gw_audit_record_free (GwAuditRecord *self);

/* Records from a number on (0: the last ones), oldest first, at most max. */
GPtrArray *gw_db_load_audit (GwDb *self, gint64 from, guint max, GError **error);

/* Recompute the hash chain, some records at a time, because a trail of years takes seconds. Zeroed at first. */
typedef struct
{
  guint8 hash[32];  /* of the last record that fits */
  gint64 last;      /* its number */
  gint64 bad_seq;   /* first record that does not fit; 0: none yet */
  gboolean at_end;
} GwAuditCheck;

/* Looks at @max more records. FALSE with error: could not read. */
gboolean gw_db_check_audit (GwDb *self, GwAuditCheck *check, guint max, GError **error);

/* ---- the writer thread's connection ---- */

/* May be opened in one thread and used in another, by one thread at a time. */
GwDbWriter *gw_db_writer_open (const char *state_dir, GError **error);
void gw_db_writer_free (GwDbWriter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDbWriter, gw_db_writer_free)

/* What makes it the database of a GwWriter: gw_writer_new (&gw_db_writer_store, db_writer). A group is one transaction,
 * an item of it a savepoint; commit returns after the fsync. begin takes no lock before the first write. In a test it
 * drives the connection without a thread. */
extern const GwWriterStore gw_db_writer_store;

/* Insert or replace, all columns. */
gboolean gw_db_writer_save_endpoint (GwDbWriter *self, const GwEndpointRecord *record, GError **error);
gboolean gw_db_writer_remove_endpoint (GwDbWriter *self, const guint8 kid[GW_KEY_ID_LEN], GError **error);
gboolean gw_db_writer_set_meta (GwDbWriter *self, const char *key, const char *value, GError **error);

/* Append to the audit trail; each record carries the hash of itself and of the one before. */
gboolean gw_db_writer_append_audit (GwDbWriter *self, gint64 time, const char *actor, const char *action,
                                    const char *object, const char *detail, GError **error);

/* ---- from the main thread, through the writer thread (gw-writer.h) ---- */

/* Copies what it needs; done may be NULL (a failure is then logged). Order of calls = order of writes. */
void gw_db_save_endpoint_async (GwWriter *writer, const GwEndpointRecord *record, GwWriterDone done, gpointer data);
void gw_db_append_audit_async (GwWriter *writer, gint64 time, const char *actor, const char *action,
                               const char *object, const char *detail);
