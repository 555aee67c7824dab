/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The body of os datetime, {datetime: text}: MCUmgr's "yyyy-MM-ddTHH:mm:ss[.S..]", here always UTC, with or
 * without a Z at its end. */

#include "gw-cbor.h"

/* Milliseconds since 1970. GW_E_MALFORMED or _RANGE for what is no such date; errors of the map. */
GwStatus gw_ep_datetime_decode (GwBytes body, uint64_t *unix_ms);
void gw_ep_datetime_encode (uint64_t unix_ms, GwCborWriter *w);
