/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lies of an endpoint: changes to what it says, in the clear and inside DTLS. They are made on the plain SMP
 * message, so its session is sound and its proof of identity holds: what an owner's own, broken or malicious,
 * chip could do. */

#include <glib.h>

typedef enum
{
  GW_SIM_LIE_NONE,
  GW_SIM_LIE_LENGTHS,  /* a wrong length in the SMP header, or a map that claims 2^32 - 1 entries */
  GW_SIM_LIE_SEQUENCE, /* a sequence number that nobody asked with */
  GW_SIM_LIE_CBOR,     /* random octets in the body */
  GW_SIM_LIE_KEY_ID,   /* in the clear it names another key id than it proves */
  GW_SIM_LIE_HELLO, /* endless hello: answers that nobody asked for, from ever new chips, as fast as the line
                       takes them */
} GwSimLie;

/* "lengths", "sequence", "cbor", "key-id", "hello"; "off" for none. FALSE: none of them. */
gboolean gw_sim_lie_parse (const char *text, GwSimLie *lie);
/* The same word. */
const char *gw_sim_lie_name (GwSimLie lie);

/* Changes a plain SMP message of `len` octets in place. `in_clear`: on the line, not inside DTLS. `kid`: the
 * key id that the liar can prove. Other datagrams stay. */
void gw_sim_lie_tell (
    GwSimLie lie, GRand *rand, gboolean in_clear, const guint8 kid[32], guint8 *message, gsize len);

/* Writes a hello answer of a chip that does not exist; returns its length, at most GW_SIM_LIE_HELLO_MAX. */
#define GW_SIM_LIE_HELLO_MAX 256
gsize gw_sim_lie_hello (GRand *rand, guint8 out[GW_SIM_LIE_HELLO_MAX]);
