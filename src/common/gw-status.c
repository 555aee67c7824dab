/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-status.h"

const char *
gw_status_text (GwStatus status)
{
  switch (status)
    {
    case GW_OK:
      return "success";
    case GW_E_TRUNCATED:
      return "truncated";
    case GW_E_MALFORMED:
      return "malformed";
    case GW_E_LIMIT:
      return "over a limit";
    case GW_E_TYPE:
      return "wrong type";
    case GW_E_MISSING:
      return "a field is missing";
    case GW_E_DUPLICATE:
      return "a field occurs twice";
    case GW_E_RANGE:
      return "out of range";
    case GW_E_TEXT:
      return "not clean text";
    case GW_E_SPACE:
      return "no space left in the buffer";
    case GW_E_UNSUPPORTED:
      return "not supported";
    case GW_E_INVALID:
      return "invalid argument";
    case GW_E_STATE:
      return "not in this state";
    case GW_E_CHECK:
      return "check failed";
    case GW_E_IO:
      return "input or output failed";
    case GW_E_PUF:
      return "PUF response not reconstructed";
    case GW_E_CRYPTO:
      return "cryptographic operation failed";
    case GW_E_AGAIN:
      return "not now";
    case GW_E_NOT_FOUND:
      return "not found";
    case GW_E_DENIED:
      return "denied";
    }
  return "unknown error";
}
