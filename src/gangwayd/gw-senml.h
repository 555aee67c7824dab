/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-spool.h"

/* A spooled report or event as SenML JSON (RFC 8428), see doc/telemetry.md:
 *
 *   [{"bn":"urn:gangway:<key id>:","bt":1790000000.123,"n":"_boot","vs":"0a1b2c3d"},{"n":"_seq","v":17},
 *    {"n":"temperature","u":"Cel","v":21.3,"t":-2}]
 *
 * (base name, _boot, _seq) tell every record of every endpoint apart, for good. Names that begin with _ are ours; an
 * endpoint's are made to fit RFC 8428's character set and never begin with one.
 */

#define GW_SENML_JSON_MAX (4 * GW_SPOOL_PAYLOAD_MAX) /* octets of text; beyond it the record is refused */

/* payload: the CBOR body of the report or event request as it was received. NULL with GW_ERROR_INVALID if it cannot
 * be told in SenML (give it up with GW_SPOOL_DROP_REFUSED). */
char *gw_senml_from_record (const GwSpoolRecord *record, GError **error);
