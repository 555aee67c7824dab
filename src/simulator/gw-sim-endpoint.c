/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The platform functions, the timers that drive the GwEp, and production of reports. */

#include "gw-sim-endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "gw-ep.h"
#include "gw-keys.h"
#include "gw-protocol.h"
#include "gw-sim-flash.h"
#include "gw-sim-plant.h"
#include "gw-sim-rand.h"
#include "gw-sim-reports.h"
#include "gw-status.h"

#define RESET_USEC (100 * 1000)     /* without power when it resets itself */
#define LIAR_HELLO_USEC (13 * 1000) /* a hello takes this long at 115,200 baud */
#define PENDING_MAX 8               /* GW_SIM_RATE_MAX keeps so many reports waiting */
#define REVEALED_GENERATIONS 4

struct GwSimEndpoint
{
  GwSimEndpointConfig config;
  char *serial;
  guint64 seed;
  GwSimPuf *puf;
  GwSimFlash *flash;
  GwSimPlant *plant;
  GwSimReports *reports;
  GRand *rand;

  GwEpPlatform platform;
  GwEpConfig ep_config;
  GwEp *ep;
  guint8 kid[GW_KEYS_KID_LEN];
  GwPufHealth health;
  guint power_ups;

  const GwSimCarrier *carrier; /* NULL: on no wire */
  gpointer carrier_data;

  gboolean powered, hanging, button;
  gint64 powered_at; /* microseconds of the loop: the zero of the chip's clock */
  gboolean enrolling;
  guint64 enrolment_block; /* of the reproducible entropy */
  guint identified;        /* times that it was asked to show itself */
  guint sign_delay;        /* milliseconds */
  GwSimLie lie;
  double rate; /* reports a second, or GW_SIM_RATE_MAX */

  GwTimer poll_timer, produce_timer, reset_timer, lie_timer;
};

/* The endpoint whose library code is on the stack; see gw_sim_endpoint_tamper(). */
static GwSimEndpoint *running;

static char *
to_hex (const guint8 *data, gsize len)
{
  char *text = g_malloc (2 * len + 1);

  for (gsize i = 0; i < len; i++)
    g_snprintf (text + 2 * i, 3, "%02x", data[i]);
  return text;
}

/* ---- The platform ---- */

static uint64_t
platform_now_ms (void *ctx)
{
  GwSimEndpoint *self = ctx;

  return (gw_loop_now (self->config.loop) - self->powered_at) / 1000;
}

/* While it enrols, a chip draws from its seed, so that the same seed gives the same key ids; afterwards from
 * the kernel. */
static int
platform_random (void *ctx, uint8_t *out, size_t len)
{
  GwSimEndpoint *self = ctx;

  while (len > 0)
    {
      guint8 block[32];
      gsize n = sizeof block;

      if (self->enrolling)
        {
          g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
          guint64 input[] = { GUINT64_TO_LE (self->seed), GUINT64_TO_LE (self->enrolment_block++) };

          g_checksum_update (sum, (const guchar *)input, sizeof input);
          g_checksum_get_digest (sum, block, &n);
        }
      else if (getrandom (block, sizeof block, 0) != (gssize)sizeof block)
        return GW_E_IO;
      n = MIN (n, len);
      memcpy (out, block, n);
      out += n;
      len -= n;
    }
  return GW_OK;
}

static int
platform_puf_read (void *ctx, size_t offset, uint8_t *out, size_t len)
{
  GwSimEndpoint *self = ctx;

  return gw_sim_puf_read (self->puf, offset, out, len) ? GW_OK : GW_E_INVALID;
}

static int
platform_nv_read (void *ctx, GwEpNvSlot slot, uint8_t *out, size_t cap, size_t *len)
{
  GwSimEndpoint *self = ctx;

  return gw_sim_flash_read (self->flash, slot, out, cap, len);
}

static int
platform_nv_write (void *ctx, GwEpNvSlot slot, const uint8_t *data, size_t len)
{
  GwSimEndpoint *self = ctx;

  if (slot == GW_EP_NV_HELPER)
    self->enrolling = FALSE;
  return gw_sim_flash_write (self->flash, slot, data, len);
}

static int
platform_send (void *ctx, const uint8_t *datagram, size_t len)
{
  GwSimEndpoint *self = ctx;
  guint8 message[GW_EP_MTU_MAX];

  if (!self->carrier || len > sizeof message)
    return GW_E_AGAIN;
  memcpy (message, datagram, len);
  gw_sim_lie_tell (self->lie, self->rand, TRUE, self->kid, message, len);
  return self->carrier->send (message, len, self->carrier_data) ? GW_OK : GW_E_AGAIN;
}

static void
platform_reset (void *ctx)
{
  GwSimEndpoint *self = ctx;

  gw_timer_arm (&self->reset_timer, 0);
}

static void
platform_identify (void *ctx, uint32_t ms)
{
  GwSimEndpoint *self = ctx;

  self->identified++;
}

static bool
platform_button (void *ctx)
{
  GwSimEndpoint *self = ctx;

  return self->button;
}

static uint32_t
platform_sign_delay_ms (void *ctx)
{
  GwSimEndpoint *self = ctx;

  return self->sign_delay;
}

static const GwEpPoint *
platform_point_describe (void *ctx, size_t index)
{
  GwSimEndpoint *self = ctx;

  return gw_sim_plant_describe (self->plant, index);
}

static int
platform_point_read (void *ctx, uint32_t id, GwEpValue *value)
{
  GwSimEndpoint *self = ctx;

  gw_sim_plant_run (self->plant, gw_loop_now (self->config.loop));
  return gw_sim_plant_read (self->plant, id, value);
}

static int
platform_point_write (void *ctx, uint32_t id, const GwEpValue *value, GwEpValue *actual)
{
  GwSimEndpoint *self = ctx;

  gw_sim_plant_run (self->plant, gw_loop_now (self->config.loop));
  return gw_sim_plant_write (self->plant, id, value, actual);
}

static void
init_platform (GwSimEndpoint *self)
{
  self->platform = (GwEpPlatform){
    .ctx = self,
    .now_ms = platform_now_ms,
    .random = platform_random,
    .puf_octets = gw_sim_puf_octets (self->puf),
    .puf_read = platform_puf_read,
    .nv_read = platform_nv_read,
    .nv_write = platform_nv_write,
    .send = platform_send,
    .reset = platform_reset,
    .identify = platform_identify,
    .button = platform_button,
    .sign_delay_ms = platform_sign_delay_ms,
    .point_describe = platform_point_describe,
    .point_read = platform_point_read,
    .point_write = platform_point_write,
  };
}

/* ---- Reports ---- */

static void
on_acknowledged (void *data, uint64_t q, bool is_event)
{
  GwSimEndpoint *self = data;

  if (!is_event)
    gw_sim_reports_note_acknowledged (self->reports, q);
}

static json_t *
describe_reports (const GwSimEndpoint *self, json_t *boots)
{
  g_autofree char *kid = to_hex (self->kid, sizeof self->kid);

  return json_pack ("{s:s, s:o}", "kid", kid, "boots", boots);
}

json_t *
gw_sim_endpoint_acknowledged (const GwSimEndpoint *self)
{
  return describe_reports (self, gw_sim_reports_acknowledged (self->reports));
}

json_t *
gw_sim_endpoint_produced (const GwSimEndpoint *self)
{
  return describe_reports (self, gw_sim_reports_made (self->reports));
}

/* ---- Running ---- */

gboolean
gw_sim_rate_parse (const char *text, double *rate)
{
  char *end;

  if (g_str_equal (text, "max"))
    {
      *rate = GW_SIM_RATE_MAX;
      return TRUE;
    }
  *rate = g_ascii_strtod (text, &end);
  return end != text && *end == '\0' && *rate >= 0 && *rate <= GW_SIM_RATE_NUMBER_MAX;
}

static gboolean
produce (GwSimEndpoint *self)
{
  GwEpRecord records[GW_EP_RECORDS_MAX];
  const GwEpPoint *point;
  guint64 q;
  gsize n = 0;

  gw_sim_plant_run (self->plant, gw_loop_now (self->config.loop));
  for (gsize i = 0; n < GW_EP_RECORDS_MAX && (point = gw_sim_plant_describe (self->plant, i)); i++)
    if (point->access & GW_EP_ACCESS_REPORT)
      {
        records[n].id = point->id;
        if (gw_sim_plant_read (self->plant, point->id, &records[n].value) == GW_OK)
          n++;
      }
  if (n == 0 || gw_ep_report (self->ep, records, n) != GW_OK)
    return FALSE;
  gw_ep_boot (self->ep, &q); /* the last number given out is the report's */
  gw_sim_reports_note_made (self->reports, q, gw_loop_realtime (self->config.loop));
  return TRUE;
}

static gboolean
may_produce (const GwSimEndpoint *self)
{
  return self->powered && !self->hanging && self->rate > 0 && gw_ep_owned (self->ep);
}

static void
keep_pending (GwSimEndpoint *self)
{
  GwEpStats stats;

  if (self->rate != GW_SIM_RATE_MAX || !may_produce (self))
    return;
  gw_ep_stats (self->ep, &stats);
  for (guint n = stats.reports_pending; n < PENDING_MAX; n++)
    if (!produce (self))
      return;
}

/* Has the library do what is due, and comes back when it says. */
static void
run (GwSimEndpoint *self)
{
  GwSimEndpoint *before = running;
  guint64 next;

  if (!self->powered || self->hanging)
    return;
  running = self;
  keep_pending (self);
  next = gw_ep_poll (self->ep);
  running = before;
  if (next == GW_EP_NEVER)
    gw_timer_disarm (&self->poll_timer);
  else
    gw_timer_arm (&self->poll_timer,
                  self->powered_at + (gint64)next * 1000 - gw_loop_now (self->config.loop));
}

static void
on_poll (gpointer data)
{
  run (data);
}

static void
arm_production (GwSimEndpoint *self)
{
  if (self->rate > 0 && self->rate != GW_SIM_RATE_MAX)
    gw_timer_arm (&self->produce_timer, G_USEC_PER_SEC / self->rate);
}

static void
on_produce (gpointer data)
{
  GwSimEndpoint *self = data;

  arm_production (self);
  if (!may_produce (self))
    return;
  produce (self);
  run (self);
}

static void
on_reset (gpointer data)
{
  GwSimEndpoint *self = data;
  g_autoptr (GError) error = NULL;

  if (self->powered)
    {
      gw_sim_endpoint_power_off (self);
      gw_timer_arm (&self->reset_timer, RESET_USEC);
    }
  else if (!gw_sim_endpoint_power_on (self, &error))
    g_message ("%s", error->message);
}

static void
on_lie (gpointer data)
{
  GwSimEndpoint *self = data;
  guint8 hello[GW_SIM_LIE_HELLO_MAX];
  gsize len = gw_sim_lie_hello (self->rand, hello);

  if (self->powered && !self->hanging && self->carrier)
    self->carrier->send (hello, len, self->carrier_data);
  gw_timer_arm (&self->lie_timer, LIAR_HELLO_USEC);
}

void
gw_sim_endpoint_tamper (guint8 *message, gsize len)
{
  if (running)
    gw_sim_lie_tell (running->lie, running->rand, FALSE, running->kid, message, len);
}

void
gw_sim_endpoint_input (GwSimEndpoint *self, const guint8 *datagram, gsize len)
{
  if (!self->powered || self->hanging)
    return;
  running = self;
  gw_ep_input (self->ep, datagram, len);
  running = NULL;
  run (self);
}

/* ---- The wire ---- */

static void
tell_carrier (GwSimEndpoint *self)
{
  if (self->carrier && self->carrier->power)
    self->carrier->power (self->powered, self->carrier_data);
}

void
gw_sim_endpoint_set_carrier (GwSimEndpoint *self, const GwSimCarrier *carrier, gpointer data)
{
  self->carrier = carrier;
  self->carrier_data = data;
  gw_ep_share (self->ep, carrier != NULL);
  if (!carrier || !self->powered)
    return;
  gw_sim_endpoint_set_link (self, TRUE, 0);
  tell_carrier (self);
}

void
gw_sim_endpoint_set_link (GwSimEndpoint *self, gboolean up, guint frame_ms)
{
  if (frame_ms > 0)
    gw_ep_set_link (self->ep, self->ep_config.mtu > 0 ? self->ep_config.mtu : GW_LINK_MTU_MIN,
                    MIN (frame_ms, G_MAXUINT16));
  if (!self->powered)
    return;
  gw_ep_link (self->ep, up);
  gw_timer_arm (&self->poll_timer, 0);
}

void
gw_sim_endpoint_hello (const GwSimEndpoint *self, GwLinkHello *hello)
{
  gw_ep_hello (self->ep, hello);
}

gboolean
gw_sim_endpoint_in_session (const GwSimEndpoint *self)
{
  return self->powered && gw_ep_state (self->ep) == GW_EP_SESSION;
}

gboolean
gw_sim_endpoint_is_running (const GwSimEndpoint *self)
{
  return self->powered && !self->hanging;
}

/* ---- Power ---- */

static void
begin_boot (GwSimEndpoint *self)
{
  g_autofree char *bt = to_hex (gw_ep_boot (self->ep, NULL), GW_DATA_BOOT_LEN);

  gw_sim_reports_begin_boot (self->reports, bt);
}

gboolean
gw_sim_endpoint_power_on (GwSimEndpoint *self, GError **error)
{
  guint8 prk[GW_PUF_PRK_OCTETS], helper[GW_EP_NV_MAX];
  gsize len;
  int rc;

  if (self->powered)
    return TRUE;
  gw_timer_disarm (&self->reset_timer);
  self->powered_at = gw_loop_now (self->config.loop);
  self->power_ups++;
  gw_sim_puf_power_up (self->puf);
  self->enrolling
      = gw_sim_flash_read (self->flash, GW_EP_NV_HELPER, helper, sizeof helper, &len) == GW_E_NOT_FOUND;
  rc = gw_ep_power_up (self->ep);
  self->enrolling = FALSE;
  gw_puf_reconstruct (&self->platform, prk, &self->health);
  explicit_bzero (prk, sizeof prk);
  if (rc != GW_OK)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Endpoint %s does not start: %s", self->serial,
                   gw_status_text (rc));
      return FALSE;
    }
  self->powered = TRUE;
  memcpy (self->kid, gw_ep_key_id (self->ep), sizeof self->kid);
  begin_boot (self);
  tell_carrier (self);
  run (self);
  return TRUE;
}

void
gw_sim_endpoint_power_off (GwSimEndpoint *self)
{
  gw_timer_disarm (&self->poll_timer);
  gw_timer_disarm (&self->reset_timer);
  if (!self->powered)
    return;
  self->powered = FALSE;
  gw_ep_shutdown (self->ep);
  tell_carrier (self);
}

/* ---- Life ---- */

static GwSimEndpoint *
new_endpoint (const GwSimEndpointConfig *config, const char *serial, guint64 seed, GwSimPuf *puf)
{
  GwSimEndpoint *self = g_new0 (GwSimEndpoint, 1);

  self->config = *config;
  self->serial = g_strdup (serial);
  self->seed = seed;
  self->puf = puf;
  self->rand = gw_sim_rand_new (seed);
  self->plant = gw_sim_plant_new (seed, gw_loop_now (config->loop));
  self->reports = gw_sim_reports_new ();
  self->ep = g_malloc0 (gw_ep_size ());
  init_platform (self);
  self->ep_config = (GwEpConfig){
    .manufacturer = config->manufacturer,
    .model = config->model,
    .serial = self->serial,
    .firmware = config->firmware,
    .mtu = config->mtu,
    .acknowledged = on_acknowledged,
    .data = self,
  };
  gw_timer_init (&self->poll_timer, config->loop, on_poll, self);
  gw_timer_init (&self->produce_timer, config->loop, on_produce, self);
  gw_timer_init (&self->reset_timer, config->loop, on_reset, self);
  gw_timer_init (&self->lie_timer, config->loop, on_lie, self);
  return self;
}

static gboolean
init_endpoint (GwSimEndpoint *self, const char *folder, GError **error)
{
  int rc;

  self->flash = gw_sim_flash_new (folder, error);
  if (!self->flash)
    return FALSE;
  rc = gw_ep_init (self->ep, &self->platform, &self->ep_config);
  if (rc != GW_OK)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot describe endpoint %s: %s", self->serial,
                   gw_status_text (rc));
      return FALSE;
    }
  return TRUE;
}

GwSimEndpoint *
gw_sim_endpoint_new (const GwSimEndpointConfig *config,
                     const char *serial,
                     guint64 seed,
                     GwSimPuf *puf,
                     const char *folder,
                     GError **error)
{
  g_autoptr (GwSimEndpoint) self = new_endpoint (config, serial, seed, puf);

  return init_endpoint (self, folder, error) ? g_steal_pointer (&self) : NULL;
}

GwSimEndpoint *
gw_sim_endpoint_clone (const GwSimEndpoint *self, const char *folder, GError **error)
{
  g_autoptr (GwSimEndpoint) clone
      = new_endpoint (&self->config, self->serial, self->seed, gw_sim_puf_clone (self->puf));

  if (!init_endpoint (clone, folder, error))
    return NULL;
  if (gw_sim_flash_copy (clone->flash, self->flash) != GW_OK)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot copy the flash of %s", self->serial);
      return NULL;
    }
  gw_sim_endpoint_set_rate (clone, self->rate);
  return g_steal_pointer (&clone);
}

void
gw_sim_endpoint_free (GwSimEndpoint *self)
{
  gw_sim_endpoint_power_off (self);
  gw_timer_disarm (&self->produce_timer);
  gw_timer_disarm (&self->reset_timer);
  gw_timer_disarm (&self->lie_timer);
  gw_sim_reports_free (self->reports);
  g_clear_pointer (&self->flash, gw_sim_flash_free);
  gw_sim_plant_free (self->plant);
  gw_sim_puf_free (self->puf);
  g_rand_free (self->rand);
  g_free (self->ep);
  g_free (self->serial);
  g_free (self);
}

const guint8 *
gw_sim_endpoint_key_id (const GwSimEndpoint *self)
{
  return self->kid;
}

const char *
gw_sim_endpoint_serial (const GwSimEndpoint *self)
{
  return self->serial;
}

/* ---- Disturbances ---- */

void
gw_sim_endpoint_set_hanging (GwSimEndpoint *self, gboolean hanging)
{
  self->hanging = hanging;
  if (hanging)
    gw_timer_disarm (&self->poll_timer);
  else
    run (self);
}

void
gw_sim_endpoint_set_sign_delay (GwSimEndpoint *self, guint ms)
{
  self->sign_delay = ms;
}

void
gw_sim_endpoint_set_lie (GwSimEndpoint *self, GwSimLie lie)
{
  self->lie = lie;
  if (lie == GW_SIM_LIE_HELLO)
    gw_timer_arm (&self->lie_timer, 0);
  else
    gw_timer_disarm (&self->lie_timer);
}

void
gw_sim_endpoint_set_model (GwSimEndpoint *self, const GwSimPufModel *model)
{
  gw_sim_puf_set_model (self->puf, model);
}

void
gw_sim_endpoint_set_button (GwSimEndpoint *self, gboolean pressed)
{
  self->button = pressed;
}

gboolean
gw_sim_endpoint_force (GwSimEndpoint *self, const char *point, const double *value)
{
  return gw_sim_plant_force (self->plant, point, value);
}

void
gw_sim_endpoint_set_rate (GwSimEndpoint *self, double rate)
{
  self->rate = rate;
  gw_timer_disarm (&self->produce_timer);
  arm_production (self);
  run (self);
}

gboolean
gw_sim_endpoint_event (GwSimEndpoint *self, guint level, guint32 code, const char *message)
{
  gboolean queued = self->powered && gw_ep_event (self->ep, level, code, message) == GW_OK;

  run (self);
  return queued;
}

gboolean
gw_sim_endpoint_factory_reset (GwSimEndpoint *self)
{
  gboolean done = self->powered && gw_ep_factory_reset (self->ep) == GW_OK;

  run (self);
  return done;
}

/* ---- Looking ---- */

static json_t *
describe_value (const GwEpValue *value)
{
  switch (value->type)
    {
    case GW_EP_BOOL:
      return json_boolean (value->u.b);
    case GW_EP_INT:
      return json_integer (value->u.i);
    case GW_EP_FLOAT:
      return json_real (value->u.f);
    default:
      return json_stringn ((const char *)value->u.s.octets, value->u.s.len);
    }
}

static json_t *
describe_points (GwSimEndpoint *self)
{
  json_t *values = json_object ();
  const GwEpPoint *point;
  GwEpValue value;

  for (gsize i = 0; (point = gw_sim_plant_describe (self->plant, i)); i++)
    if (platform_point_read (self, point->id, &value) == GW_OK)
      json_object_set_new (values, point->name, describe_value (&value));
  return values;
}

json_t *
gw_sim_endpoint_status (GwSimEndpoint *self)
{
  static const char *const states[] = { "off", "link-down", "waiting", "handshaking", "session" };
  g_autofree char *kid = to_hex (self->kid, sizeof self->kid), *bt = NULL;
  guint64 last_q = 0, last_acked, acked = gw_sim_reports_count_acknowledged (self->reports, &last_acked);
  GwEpState state = self->powered ? gw_ep_state (self->ep) : GW_EP_OFF;
  GwEpStats stats;

  gw_ep_stats (self->ep, &stats);
  if (self->powered)
    bt = to_hex (gw_ep_boot (self->ep, &last_q), GW_DATA_BOOT_LEN);
  return json_pack (
      "{s:s, s:s, s:b, s:s, s:b, s:b, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:i, s:i, "
      "s:i, "
      "s:i, s:s, s:b, s:o}",
      "kid", kid, "serial", self->serial, "powered", self->powered, "state", states[state], "session",
      state == GW_EP_SESSION, "owned", self->powered && gw_ep_owned (self->ep), "boot", bt ? bt : "",
      "power_ups", (int)self->power_ups, "last_q", (json_int_t)last_q, "acked", (json_int_t)acked, "acked_q",
      (json_int_t)last_acked, "pending", (json_int_t)stats.reports_pending, "dropped",
      (json_int_t)stats.reports_dropped, "handshakes", (json_int_t)stats.handshakes, "handshakes_failed",
      (json_int_t)stats.handshakes_failed, "sessions_lost", (json_int_t)stats.sessions_lost, "signatures",
      (json_int_t)stats.signatures, "puf_ok", self->health.ok, "fixed", (int)self->health.fixed, "fixed_max",
      (int)self->health.max, "identified", (int)self->identified, "sign_delay_ms", (int)self->sign_delay,
      "lie", gw_sim_lie_name (self->lie), "hanging", self->hanging, "points", describe_points (self));
}

static gboolean
reveal_key (GwKeys *keys, GwKeysKind kind, guint32 generation, const char *kid, FILE *out)
{
  guint8 scalar[32];
  g_autofree char *text = NULL;
  GwKey key;

  if (gw_keys_open (keys, kind, generation, &key) != GW_OK)
    return FALSE;
  mbedtls_mpi_write_binary (&key.d, scalar, sizeof scalar);
  gw_key_close (&key);
  text = to_hex (scalar, sizeof scalar);
  explicit_bzero (scalar, sizeof scalar);
  if (kind == GW_KEYS_ID)
    return fprintf (out, "%s id %s\n", kid, text) > 0;
  return fprintf (out, "%s tls-%u %s\n", kid, generation, text) > 0;
}

gboolean
gw_sim_endpoint_reveal (GwSimEndpoint *self, FILE *out)
{
  g_autofree char *kid = to_hex (self->kid, sizeof self->kid);
  GwKeys keys = { .platform = &self->platform };
  gboolean ok = reveal_key (&keys, GW_KEYS_ID, 0, kid, out);

  for (guint32 generation = 1; generation <= REVEALED_GENERATIONS && ok; generation++)
    ok = reveal_key (&keys, GW_KEYS_TLS, generation, kid, out);
  return ok;
}
