/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Results of src/common and src/endpoint: 0 is success, a failure is negative. Nothing here allocates, so
 * the text of a status is a static string, fit for a log line and for the message of a GError.
 */

typedef enum
{
  GW_OK = 0,
  GW_E_TRUNCATED = -1,   /* the input ends inside an item */
  GW_E_MALFORMED = -2,   /* not what the encoding allows, or octets left over at the end */
  GW_E_LIMIT = -3,       /* longer, deeper or more than a named limit */
  GW_E_TYPE = -4,        /* an item of another type than the field's */
  GW_E_MISSING = -5,     /* a required field is absent */
  GW_E_DUPLICATE = -6,   /* a field occurs twice */
  GW_E_RANGE = -7,       /* a value outside its range, NaN and infinity among them */
  GW_E_TEXT = -8,        /* text that is not UTF-8, or holds control characters */
  GW_E_SPACE = -9,       /* the output does not fit the caller's buffer */
  GW_E_UNSUPPORTED = -10, /* well formed, but a version or a feature that this end does not know */
  GW_E_INVALID = -11,    /* an argument or a call out of order: the caller's fault */
  GW_E_STATE = -12,      /* refused in the present state */
  GW_E_CHECK = -13,      /* a checksum, digest or signature does not hold */
  GW_E_IO = -14,         /* the platform failed (flash, line, random numbers) */
  GW_E_PUF = -15,        /* the PUF response could not be reconstructed */
  GW_E_CRYPTO = -16,     /* the crypto library failed */
  GW_E_AGAIN = -17,      /* not now; call again later */
  GW_E_NOT_FOUND = -18,
  GW_E_DENIED = -19,
} GwStatus;

/* A static, never NULL, lower-case phrase for @status ("truncated", "wrong type", ...). */
const char *gw_status_text (GwStatus status);
