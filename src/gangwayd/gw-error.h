/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The daemon's one error domain.
 *
 * Every message says what failed, why, and what to do next. Registered with GDBus, so that an error returned from a
 * method handler leaves the bus as org.gangway.Gangway1.Error.NAME; the names are part of the D-Bus interface. The
 * numbers are internal, but codes are only ever appended.
 */
typedef enum
{
  GW_ERROR_FAILED = 0,     /* Error.Failed: nothing more precise is true */
  GW_ERROR_NOT_AUTHORIZED, /* Error.NotAuthorized */
  GW_ERROR_NOT_FOUND,      /* Error.NotFound */
  GW_ERROR_EXISTS,         /* Error.Exists */
  GW_ERROR_INVALID,        /* Error.Invalid: an argument or a file is malformed */
  GW_ERROR_BAD_STATE,      /* Error.BadState: not now, in this state */
  GW_ERROR_BUSY,           /* Error.Busy: something of the kind is running already */
  GW_ERROR_NOT_TRUSTED,    /* Error.NotTrusted: signature, chain or manifest missing or wrong */
  GW_ERROR_UNCLAIMED,      /* Error.Unclaimed: no batch claims the endpoint */
  GW_ERROR_REVOKED,        /* Error.Revoked */
  GW_ERROR_CLONED,         /* Error.Cloned: two endpoints prove one key id */
  GW_ERROR_OFFLINE,        /* Error.Offline */
  GW_ERROR_TIMEOUT,        /* Error.Timeout */
  GW_ERROR_LIMIT,          /* Error.Limit: a named limit was reached */
  GW_ERROR_UNSUPPORTED,    /* Error.Unsupported */
  GW_ERROR_CANCELLED,      /* Error.Cancelled */
  GW_ERROR_STORAGE,        /* Error.Storage: disk or database */
  GW_ERROR_LAST_           /* number of codes, not a code */
} GwError;

#define GW_ERROR (gw_error_quark ())
#define GW_ERROR_DBUS_PREFIX "org.gangway.Gangway1.Error."

/* The domain; the first call registers it with GDBus. Call once early in main (): a domain that was never used is
 * unknown when an error comes in from the bus. Thread-safe. */
GQuark gw_error_quark (void);

/* "NotTrusted" for GW_ERROR_NOT_TRUSTED; "Failed" for a number that is no code. Static. */
const char *gw_error_code_name (int code);

/* Most octets of a stranger's word that a message repeats. */
#define GW_ERROR_QUOTE_MAX 64

/* @text, valid UTF-8 of anybody and of any length, as a message may repeat it: cut at GW_ERROR_QUOTE_MAX octets,
 * with "..." then, and without control characters. The caller's. */
char *gw_error_quote (const char *text);

/* Turn an error of any domain into one of GW_ERROR, keeping the message: cancellation and time-out keep their
 * meaning, file and no-space errors become STORAGE, all else FAILED. For the border to D-Bus. */
void gw_error_to_domain (GError **error);
