/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One SenML-CBOR record (RFC 8428, section 6), for gw-data-codec.c, which makes lists and messages of them. */

#include "gw-data-codec.h"

/* Reads the next element as a record. Its base fields are its own, not yet those in force. */
GwStatus gw_data_record_read (GwCborReader *r, GwDataRecord *rec);
/* GW_E_MISSING, GW_E_RANGE: nothing in it; a full name that is none, or a time beyond GW_DATA_TIME_MAX_S, with the base fields in
 * force filled in. */
GwStatus gw_data_record_check (const GwDataRecord *rec);
void gw_data_record_put (GwCborWriter *w, const GwDataRecord *rec);
