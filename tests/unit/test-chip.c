/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test-chip.h"

#include <string.h>

#include "gw-status.h"

static int
chip_random (void *ctx, uint8_t *out, size_t len)
{
  TestChip *self = ctx;

  if (self->entropy_fails)
    return GW_E_IO;
  while (len > 0)
    {
      g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
      guint8 digest[32];
      gsize n = sizeof digest;

      self->entropy++;
      g_checksum_update (sum, (const guchar *)&self->entropy, sizeof self->entropy);
      g_checksum_get_digest (sum, digest, &n);
      n = MIN (n, len);
      memcpy (out, digest, n);
      out += n;
      len -= n;
    }
  return GW_OK;
}

static int
chip_puf_read (void *ctx, size_t offset, uint8_t *out, size_t len)
{
  TestChip *self = ctx;

  self->puf_reads++;
  return gw_sim_puf_read (self->puf, offset, out, len) ? GW_OK : GW_E_INVALID;
}

static int
chip_nv_read (void *ctx, GwEpNvSlot slot, uint8_t *out, size_t cap, size_t *len)
{
  TestChip *self = ctx;
  GByteArray *content = self->nv[slot];

  if (!content)
    return GW_E_NOT_FOUND;
  if (content->len > cap)
    return GW_E_SPACE;
  memcpy (out, content->data, content->len);
  *len = content->len;
  return GW_OK;
}

static int
chip_nv_write (void *ctx, GwEpNvSlot slot, const uint8_t *data, size_t len)
{
  TestChip *self = ctx;

  if (self->writes_left == 0)
    return GW_E_IO;
  self->writes_left--;
  g_clear_pointer (&self->nv[slot], g_byte_array_unref);
  if (len > 0)
    self->nv[slot] = g_byte_array_append (g_byte_array_new (), data, len);
  return GW_OK;
}

void
test_chip_init (TestChip *self, GwSimPuf *puf)
{
  *self = (TestChip){ .puf = puf, .writes_left = G_MAXUINT };
  self->platform = (GwEpPlatform){
    .ctx = self,
    .random = chip_random,
    .puf_octets = gw_sim_puf_octets (puf),
    .puf_read = chip_puf_read,
    .nv_read = chip_nv_read,
    .nv_write = chip_nv_write,
  };
  gw_sim_puf_power_up (puf);
}

void
test_chip_clear (TestChip *self)
{
  for (guint i = 0; i < GW_EP_NV_N_SLOTS; i++)
    g_clear_pointer (&self->nv[i], g_byte_array_unref);
  g_clear_pointer (&self->puf, gw_sim_puf_free);
}
