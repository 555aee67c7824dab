/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-spool.h"

/* A spooled report or event as SenML JSON (RFC 8428), see doc/telemetry.md:
 *
 *   [{"bn":"urn:gangway:<key id>:","bt":1790000000.123,"n":"_boot","vs":"0a1b2c3d"},{"n":"_seq","v":17},
 *    {"n":"temperature","u":"Cel","v":21.3,"t":-2}]
 *
 * (base name, _boot, _seq) tell every record of every endpoint apart, for good. Names that begin with _ are
 * ours: an endpoint's begin with a letter or a digit.
 */

#define GW_SENML_JSON_MAX 65536 /* octets of text; beyond it the record is refused */
#define GW_SENML_BASE_NAME "urn:gangway:"

/* record: its payload is the CBOR body of the report or event request as it was received. NULL with
 * GW_ERROR_INVALID if it cannot be told in SenML, GW_ERROR_LIMIT if that gets too long (give it up with
 * GW_SPOOL_DROP_REFUSED). */
char *gw_senml_from_record (const GwSpoolRecord *record, GError **error);

/* The shortest decimal text that reads back as this double; if it holds a single exactly, as that single
 * (21.3, not 21.299999237060547). Finite only. out: GW_SENML_NUMBER_LEN octets. */
#define GW_SENML_NUMBER_LEN 40
void gw_senml_print_number (double number, char *out);
