/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <glib/gstdio.h>

#include "gw-sim-can-node.h"
#include "gw-sim-can-socket.h"
#include "gw-sim-can-wire.h"
#include "gw-sim-pair-station.h"
#include "gw-sim-private.h"
#include "gw-sim-slot.h"
#include "gw-sim-tty.h"
#include "gw-slcan-codec.h"

/* A number from the simulator's seed and a purpose, the same in every run. */
static guint64
derive_seed (GwSim *self, const char *purpose, guint index)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree char *text = g_strdup_printf ("%s/%s/%u", self->seed, purpose, index);
  guint8 digest[32];
  gsize len = sizeof digest;
  guint64 seed;

  g_checksum_update (sum, (const guchar *)text, -1);
  g_checksum_get_digest (sum, digest, &len);
  memcpy (&seed, digest, sizeof seed);
  return GUINT64_FROM_LE (seed);
}

/* ---- PUF sources ---- */

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static gboolean
load_readouts (GwSim *self, const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  if (!dir)
    return FALSE;
  while ((name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".bin"))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *path = g_build_filename (folder, names->pdata[i], NULL);
      g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, error);

      if (!file)
        return FALSE;
      g_ptr_array_add (self->readouts, g_mapped_file_get_bytes (file));
    }
  if (self->readouts->len == 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "There is no *.bin readout in %s", folder);
      return FALSE;
    }
  return TRUE;
}

/* The chips in turn, each with its next window: no two endpoints share a cell. */
static GwSimPuf *
new_puf (GwSim *self, guint64 seed, GError **error)
{
  guint windows = GW_SIM_PUF_READOUT / GW_SIM_PUF_WINDOW, index = self->n_pufs++;
  GwSimPuf *puf;

  if (self->readouts->len == 0)
    return gw_sim_puf_new_model (seed, &self->puf_model);
  if (index >= windows * self->readouts->len)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "The readouts hold %u chips of %u endpoints each; that is not enough for one more",
                   self->readouts->len, windows);
      return NULL;
    }
  puf = gw_sim_puf_new_readouts (self->readouts->pdata[index % self->readouts->len],
                                 index / self->readouts->len * GW_SIM_PUF_WINDOW);
  if (!puf)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "A readout file is not a multiple of %u octets",
                 GW_SIM_PUF_READOUT);
  return puf;
}

/* ---- Ports and endpoints ---- */

static GwSimPort *
new_serial_port (GwSim *self, guint index)
{
  g_autofree char *name = g_strdup_printf (self->slots ? "slot-%u" : "ttyGW%u", index),
                  *link = g_build_filename (self->folder, name, NULL);
  guint64 seed = derive_seed (self, "port", index);

  if (self->devices && index < g_strv_length (self->devices))
    return gw_sim_tty_new_device (self->loop, self->devices[index], seed);
  return (self->slots ? gw_sim_slot_new : gw_sim_tty_new) (self->loop, link, seed);
}

/* The wire of the next endpoint of `populate`, or of one that comes later. */
static GwSimWire
next_wire (GwSim *self)
{
  guint *left = self->can_left > 0 ? &self->can_left : &self->pair_left;

  if (*left == 0)
    return GW_SIM_WIRE_SERIAL;
  if (*left != G_MAXUINT)
    --*left;
  return left == &self->can_left ? GW_SIM_WIRE_CAN : GW_SIM_WIRE_PAIR;
}

static GwSimPort *
new_can_node (GwSim *self, guint index)
{
  g_autofree char *name = g_strdup_printf ("can/%u", index);

  return gw_sim_can_node_new (self->can, self->can_vendor, name, derive_seed (self, "node", index));
}

static GwSimPort *
new_station (GwSim *self, guint index)
{
  g_autofree char *name = g_strdup_printf ("rs485/%u", index);

  return gw_sim_pair_station_new (self->loop, self->pair, name, derive_seed (self, "station", index));
}

static GwSimPort *
new_port (GwSim *self, GwSimWire wire, guint index)
{
  switch (wire)
    {
    case GW_SIM_WIRE_CAN:
      return new_can_node (self, index);
    case GW_SIM_WIRE_PAIR:
      return new_station (self, index);
    case GW_SIM_WIRE_SERIAL:
      break;
    }
  return new_serial_port (self, index);
}

GwSimPort *
gw_sim_add_port (GwSim *self, GwSimWire wire, GError **error)
{
  guint index = self->ports->len;
  g_autoptr (GwSimPort) port = NULL;

  if (index >= GW_SIM_PORTS_MAX)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "There are %u ports already", index);
      return NULL;
    }
  port = new_port (self, wire, index);
  if (!gw_sim_port_plug (port, error))
    return NULL;
  g_ptr_array_add (self->ports, port);
  return g_steal_pointer (&port);
}

static char *
state_folder (GwSim *self)
{
  g_autofree char *name = g_strdup_printf ("chip-%u", self->endpoints->len);

  return g_build_filename (self->folder, "state", name, NULL);
}

/* Takes over the endpoint, puts it on a new port and gives it power. */
static gboolean
install (GwSim *self, GwSimEndpoint *endpoint, GwSimWire wire, GError **error)
{
  GwSimPort *port = gw_sim_add_port (self, wire, error);

  g_ptr_array_add (self->endpoints, endpoint);
  if (!port)
    return FALSE;
  gw_sim_port_set_endpoint (port, endpoint);
  return gw_sim_endpoint_power_on (endpoint, error);
}

gboolean
gw_sim_add_endpoint (GwSim *self, const char *kind, guint index, GError **error)
{
  guint64 seed = derive_seed (self, kind, index);
  g_autofree char *folder = state_folder (self);
  g_autofree char *serial = g_strdup_printf ("%c%07u", g_ascii_toupper (kind[0]), index + 1);
  g_autoptr (GwSimEndpoint) endpoint = NULL;
  GwSimPuf *puf = new_puf (self, seed, error);

  if (!puf)
    return FALSE;
  endpoint = gw_sim_endpoint_new (&self->endpoint_config, serial, seed, puf, folder, error);
  if (!endpoint)
    return FALSE;
  gw_sim_endpoint_set_sign_delay (endpoint, self->sign_delay_ms);
  gw_sim_endpoint_set_rate (endpoint, self->rate);
  return install (self, g_steal_pointer (&endpoint), next_wire (self), error);
}

gboolean
gw_sim_add_clone (GwSim *self, const GwSimPort *port, GError **error)
{
  g_autofree char *folder = state_folder (self);
  GwSimEndpoint *clone = gw_sim_endpoint_clone (gw_sim_port_get_endpoint (port), folder, error);

  return clone && install (self, clone, gw_sim_port_wire (port), error);
}

/* ---- chips.csv and the keys ---- */

static gboolean
write_chips (GwSim *self, GError **error)
{
  g_autoptr (GString) csv = g_string_new ("key_id,manufacturer,model,serial_number\n");
  g_autofree char *path = g_build_filename (self->folder, "chips.csv", NULL);

  for (guint i = 0; i < self->n_listed; i++)
    {
      const GwSimEndpoint *endpoint = self->endpoints->pdata[i];
      const guint8 *kid = gw_sim_endpoint_key_id (endpoint);

      for (guint k = 0; k < 32; k++)
        g_string_append_printf (csv, "%02x", kid[k]);
      g_string_append_printf (csv, ",%s,%s,%s\n", self->manufacturer, self->model,
                              gw_sim_endpoint_serial (endpoint));
    }
  return g_file_set_contents (path, csv->str, csv->len, error);
}

gboolean
gw_sim_reveal (GwSim *self, const char *path, GError **error)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  FILE *out = fd < 0 ? NULL : fdopen (fd, "w");
  gboolean ok = out != NULL;

  for (guint i = 0; i < self->endpoints->len && ok; i++)
    ok = gw_sim_endpoint_reveal (self->endpoints->pdata[i], out);
  if (out && fclose (out) != 0)
    ok = FALSE;
  if (!ok)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot write the keys to %s", path);
  return ok;
}

/* ---- Life ---- */

static void
on_check (gpointer data)
{
  GwSim *self = data;

  if (self->adapter)
    gw_sim_can_adapter_check (self->adapter);
  if (self->pair_adapter)
    gw_sim_pair_adapter_check (self->pair_adapter);
  for (guint i = 0; i < self->ports->len; i++)
    gw_sim_port_check (self->ports->pdata[i]);
  gw_timer_arm (&self->check_timer, GW_SIM_PORT_CHECK_USEC);
}

static gboolean
make_can (GwSim *self, const GwSimOptions *options, GError **error)
{
  g_autofree char *link = g_build_filename (self->folder, GW_SIM_CAN_LINK, NULL);

  self->can_left = options->can.n_endpoints;
  self->can_vendor = options->can.vendor;
  if (!g_str_equal (options->can.what, GW_SIM_CAN_SLCAN))
    {
      self->can = gw_sim_can_socket_new (self->loop, options->can.what, options->can.bit_rate,
                                         options->can.data_rate, error);
      return self->can != NULL;
    }
  if (gw_slcan_speed_of_rate (options->can.bit_rate) < 0
      || (options->can.data_rate > 0 && gw_slcan_speed_of_data_rate (options->can.data_rate) < 0))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "An SLCAN adapter does 10, 20, 50, 100, 125, 250, 500, 800 or 1000 kbit/s, and 500 kbit/s "
                   "or 1 to 8 "
                   "Mbit/s of data; not %u and %u bit/s",
                   options->can.bit_rate, options->can.data_rate);
      return FALSE;
    }
  self->can = gw_sim_can_wire_new (self->loop, options->can.bit_rate, options->can.data_rate,
                                   options->can.unpaced, derive_seed (self, "can", 0));
  self->adapter = gw_sim_can_adapter_new (self->loop, self->can, link);
  return gw_sim_can_adapter_plug (self->adapter, error);
}

static gboolean
make_pair (GwSim *self, const GwSimOptions *options, GError **error)
{
  g_autofree char *link = g_build_filename (self->folder, GW_SIM_PAIR_LINK, NULL);

  self->pair_left = options->rs485.n_endpoints;
  self->pair = gw_sim_pair_new (self->loop, options->rs485.speed, derive_seed (self, "pair", 0));
  self->pair_adapter = gw_sim_pair_adapter_new (self->loop, self->pair, link);
  return gw_sim_pair_adapter_plug (self->pair_adapter, error);
}

static gboolean
populate (GwSim *self, const GwSimOptions *options, GError **error)
{
  if (options->sram && !load_readouts (self, options->sram, error))
    return FALSE;
  for (guint i = 0; i < options->n_endpoints; i++)
    if (!gw_sim_add_endpoint (self, "sim", i, error))
      return FALSE;
  self->n_listed = options->n_endpoints;
  for (guint i = 0; i < options->n_foreign; i++)
    if (!gw_sim_add_endpoint (self, "foreign", self->n_foreign++, error))
      return FALSE;
  return write_chips (self, error);
}

/* What a simulator that was killed left behind: the pseudo-terminals that its links lead to have another owner by now, perhaps a person
 * at a shell. */
static void
remove_stale_links (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL), *target = NULL;

      if (!g_str_has_prefix (name, "tty"))
        continue;
      target = g_file_read_link (path, NULL);
      if (target != NULL && g_str_has_prefix (target, "/dev/pts/"))
        g_unlink (path);
    }
}

GwSim *
gw_sim_new (GwLoop *loop, const GwSimOptions *options, GError **error)
{
  g_autoptr (GwSim) self = g_new0 (GwSim, 1);

  self->loop = loop;
  self->folder = g_strdup (options->folder);
  self->seed = g_strdup (options->seed);
  self->manufacturer = g_strdup (options->manufacturer);
  self->model = g_strdup (options->model);
  self->firmware = g_strdup (options->firmware);
  self->devices = g_strdupv ((char **)options->devices);
  self->slots = options->slots;
  self->rate = options->rate;
  self->sign_delay_ms = options->sign_delay_ms;
  self->puf_model = options->puf;
  self->endpoint_config = (GwSimEndpointConfig){
    .loop = loop,
    .manufacturer = self->manufacturer,
    .model = self->model,
    .firmware = self->firmware,
    .mtu = options->mtu,
  };
  self->ports = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_sim_port_free);
  self->endpoints = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_sim_endpoint_free);
  self->readouts = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  gw_timer_init (&self->check_timer, loop, on_check, self);
  if (g_mkdir_with_parents (self->folder, 0755) != 0)
    {
      int errsv = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot make %s: %s", self->folder,
                   g_strerror (errsv));
      return NULL;
    }
  remove_stale_links (self->folder);
  if (options->can.what
      && (!make_can (self, options, error)
          || (options->can.log && !gw_sim_can_bus_open_log (self->can, options->can.log, error))))
    return NULL;
  if (options->rs485.n_endpoints > 0 && !make_pair (self, options, error))
    return NULL;
  if (!populate (self, options, error))
    return NULL;
  gw_timer_arm (&self->check_timer, 0);
  return g_steal_pointer (&self);
}

void
gw_sim_free (GwSim *self)
{
  gw_timer_disarm (&self->check_timer);
  g_ptr_array_unref (self->ports);
  g_clear_pointer (&self->adapter, gw_sim_can_adapter_free);
  g_clear_pointer (&self->can, gw_sim_can_bus_free);
  g_clear_pointer (&self->pair_adapter, gw_sim_pair_adapter_free);
  g_clear_pointer (&self->pair, gw_sim_pair_free);
  g_ptr_array_unref (self->endpoints);
  g_ptr_array_unref (self->readouts);
  g_strfreev (self->devices);
  g_free (self->folder);
  g_free (self->seed);
  g_free (self->manufacturer);
  g_free (self->model);
  g_free (self->firmware);
  g_free (self);
}

gboolean
gw_sim_is_done (const GwSim *self)
{
  return self->done;
}
