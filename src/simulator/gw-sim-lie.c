/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-lie.h"

#include <string.h>

#include "gw-link-codec.h"
#include "gw-reader.h"

static const char *const names[] = {
  [GW_SIM_LIE_NONE] = "off",  [GW_SIM_LIE_LENGTHS] = "lengths", [GW_SIM_LIE_SEQUENCE] = "sequence",
  [GW_SIM_LIE_CBOR] = "cbor", [GW_SIM_LIE_KEY_ID] = "key-id",   [GW_SIM_LIE_HELLO] = "hello",
};

gboolean
gw_sim_lie_parse (const char *text, GwSimLie *lie)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (text, names[i]))
      {
        *lie = i;
        return TRUE;
      }
  return FALSE;
}

const char *
gw_sim_lie_name (GwSimLie lie)
{
  return names[lie];
}

static void
tell_lengths (GRand *rand, guint8 *message, gsize len)
{
  static const guint8 endless_map[] = { 0xba, 0xff, 0xff, 0xff, 0xff };

  if (len >= GW_SMP_HEADER_LEN + sizeof endless_map && g_rand_boolean (rand))
    memcpy (message + GW_SMP_HEADER_LEN, endless_map, sizeof endless_map);
  else
    gw_put_u16be (message + 2, g_rand_int (rand));
}

/* Flips the lowest bits of the key id and of the uid (its first octets) wherever the message holds them. */
static void
tell_key_id (const guint8 kid[GW_KEY_ID_LEN], guint8 *message, gsize len)
{
  for (gsize at = GW_SMP_HEADER_LEN; at + GW_UID_LEN <= len; at++)
    if (memcmp (message + at, kid, GW_UID_LEN) == 0)
      message[at + GW_UID_LEN - 1] ^= 1;
}

void
gw_sim_lie_tell (
    GwSimLie lie, GRand *rand, gboolean in_clear, const guint8 kid[32], guint8 *message, gsize len)
{
  GwDatagramKind kind = gw_datagram_kind (message, len);

  if (len < GW_SMP_HEADER_LEN || (kind != GW_DATAGRAM_SMP_REQUEST && kind != GW_DATAGRAM_SMP_RESPONSE))
    return;
  switch (lie)
    {
    case GW_SIM_LIE_LENGTHS:
      tell_lengths (rand, message, len);
      break;
    case GW_SIM_LIE_SEQUENCE:
      message[6] += g_rand_int_range (rand, 1, 256);
      break;
    case GW_SIM_LIE_CBOR:
      for (gsize i = GW_SMP_HEADER_LEN; i < len; i++)
        message[i] = g_rand_int (rand);
      break;
    case GW_SIM_LIE_KEY_ID:
      if (in_clear)
        tell_key_id (kid, message, len);
      break;
    default:
      break;
    }
}

gsize
gw_sim_lie_hello (GRand *rand, guint8 out[GW_SIM_LIE_HELLO_MAX])
{
  GwLinkHello hello = {
    .version = GW_LINK_VERSION,
    .manufacturer = gw_text ("Nobody"),
    .model = gw_text ("Nothing"),
    .serial = gw_text ("0"),
    .firmware = gw_text ("0"),
    .mtu = GW_LINK_MTU_MIN,
    .security = GW_LINK_SEC_DTLS12,
  };
  GwCborWriter w;
  size_t len;

  for (guint i = 0; i < sizeof hello.kid; i++)
    hello.kid[i] = g_rand_int (rand);
  memcpy (hello.uid, hello.kid, sizeof hello.uid);
  gw_smp_begin (&w, out, GW_SIM_LIE_HELLO_MAX, GW_SMP_OP_READ_RSP, GW_SMP_GROUP_LINK,
                g_rand_int (rand) & 0xff, GW_LINK_HELLO);
  gw_link_hello_rsp_encode (&hello, &w);
  return gw_smp_end (&w, &len) == GW_OK ? len : 0;
}
