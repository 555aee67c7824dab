/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-flash.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "gw-status.h"

struct GwSimFlash
{
  char *folder;
  GBytes *slots[GW_EP_NV_N_SLOTS]; /* NULL: never written, or erased */
};

/* Names of the files; a new slot is added at the end of both lists. */
static const char *const slot_names[GW_EP_NV_N_SLOTS] = {
  [GW_EP_NV_HELPER] = "helper",           [GW_EP_NV_KEY_ID] = "key-id", [GW_EP_NV_GENERATION] = "generation",
  [GW_EP_NV_CERT_1] = "cert-1",           [GW_EP_NV_CERT_2] = "cert-2", [GW_EP_NV_ANCHOR] = "anchor",
  [GW_EP_NV_VOUCHER_KEY] = "voucher-key", [GW_EP_NV_STATE] = "state",
};

static char *
slot_path (const GwSimFlash *self, GwEpNvSlot slot)
{
  return g_build_filename (self->folder, slot_names[slot], NULL);
}

static gboolean
load_slot (GwSimFlash *self, GwEpNvSlot slot, GError **error)
{
  g_autofree char *path = slot_path (self, slot), *content = NULL;
  g_autoptr (GError) local_error = NULL;
  gsize len;

  if (!g_file_get_contents (path, &content, &len, &local_error))
    {
      if (g_error_matches (local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return TRUE;
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  self->slots[slot] = g_bytes_new_take (g_steal_pointer (&content), len);
  return TRUE;
}

GwSimFlash *
gw_sim_flash_new (const char *folder, GError **error)
{
  g_autoptr (GwSimFlash) self = g_new0 (GwSimFlash, 1);

  self->folder = g_strdup (folder);
  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      int errsv = errno;

      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errsv),
                   "Cannot make the flash folder %s: %s", folder, g_strerror (errsv));
      return NULL;
    }
  for (guint i = 0; i < GW_EP_NV_N_SLOTS; i++)
    if (!load_slot (self, i, error))
      return NULL;
  return g_steal_pointer (&self);
}

void
gw_sim_flash_free (GwSimFlash *self)
{
  for (guint i = 0; i < GW_EP_NV_N_SLOTS; i++)
    g_clear_pointer (&self->slots[i], g_bytes_unref);
  g_free (self->folder);
  g_free (self);
}

int
gw_sim_flash_read (const GwSimFlash *self, GwEpNvSlot slot, guint8 *out, gsize cap, gsize *len)
{
  const guint8 *data;
  gsize n;

  if (slot >= GW_EP_NV_N_SLOTS)
    return GW_E_INVALID;
  if (!self->slots[slot])
    return GW_E_NOT_FOUND;
  data = g_bytes_get_data (self->slots[slot], &n);
  if (n > cap)
    return GW_E_SPACE;
  if (n > 0)
    memcpy (out, data, n);
  *len = n;
  return GW_OK;
}

int
gw_sim_flash_write (GwSimFlash *self, GwEpNvSlot slot, const guint8 *data, gsize len)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;

  if (slot >= GW_EP_NV_N_SLOTS || len > GW_EP_NV_MAX)
    return GW_E_INVALID;
  path = slot_path (self, slot);
  if (len == 0)
    {
      if (g_unlink (path) != 0 && errno != ENOENT)
        return GW_E_IO;
      g_clear_pointer (&self->slots[slot], g_bytes_unref);
      return GW_OK;
    }
  if (!g_file_set_contents_full (path, (const char *)data, len, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    {
      g_warning ("Flash: %s", error->message);
      return GW_E_IO;
    }
  g_clear_pointer (&self->slots[slot], g_bytes_unref);
  self->slots[slot] = g_bytes_new (data, len);
  return GW_OK;
}

int
gw_sim_flash_copy (GwSimFlash *self, const GwSimFlash *other)
{
  for (guint i = 0; i < GW_EP_NV_N_SLOTS; i++)
    {
      gsize len = 0;
      const guint8 *data = other->slots[i] ? g_bytes_get_data (other->slots[i], &len) : NULL;
      int rc = gw_sim_flash_write (self, i, data, len);

      if (rc != GW_OK)
        return rc;
    }
  return GW_OK;
}
