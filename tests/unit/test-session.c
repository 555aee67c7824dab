/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A node with its sessions (GwNode, GwSession, GwChannel, GwSmpPeer) and the endpoint library at the other end of a line that the test
 * holds: it sees, drops, repeats and forges datagrams. Time stands still but for the test, for GnuTLS too (test-ep-clock.c).
 * What the endpoint does by itself is test-ep-dtls's; here it is the gateway that is tried.
 */

#include <string.h>

#include "gw-data-codec.h"
#include "gw-error.h"
#include "gw-node.h"
#include "test-ep-lab.h"

#define MSEC 1000
#define SLICE_MS 50
#define HANDSHAKE 22
#define ALERT 21
#define APPLICATION_DATA 23
#define RANDOM_AT 27 /* of a ClientHello: record head 13, handshake head 12, version 2 */

typedef enum
{
  AT_NOTHING,
  AT_SEND,
  AT_PROVING,
  AT_PROVED,
  AT_FAILED,
  AT_REQUEST,
  AT_ENDED,
  AT_SURVEYED,
  AT_ANSWER,
  N_PLACES,
} Place;

typedef struct Rig Rig;
/* Whether the datagram gets through. */
typedef gboolean (*RigFilter) (Rig *self, gboolean to_gateway, const guint8 *datagram, gsize len);

struct Rig
{
  GwClock *clock;
  GwLoop *loop;
  GwChannelIdentity *identity;
  Lab *lab; /* the endpoint; its gateway half rests */
  GwNode *node;
  RigFilter filter;
  guint filter_count;
  GBytes *first_hello; /* the first ClientHello seen */
  GPtrArray *records;  /* GBytes: application data that the endpoint sent */
  guint starts;        /* gw_link start sent */

  guint proving, proved, failed, ended, requests, surveyed, answers;
  GError *failure, *end, *answer_error;
  GwSession *session;
  guint8 key_id[32];
  char *serial;
  Place free_at;
};

/* ---- The node's owner and the session's user ---- */

static void
maybe_free (Rig *self, Place place)
{
  if (self->free_at == place && self->node != NULL)
    gw_node_free (g_steal_pointer (&self->node));
}

static void
on_send (GwNode *node, const guint8 *datagram, gsize len, gpointer data)
{
  Rig *self = data;

  self->starts += gw_datagram_kind (datagram, len) == GW_DATAGRAM_SMP_REQUEST;
  g_queue_push_tail (&self->lab->to_endpoint, g_bytes_new (datagram, len));
  maybe_free (self, AT_SEND);
}

static void
on_request (GwSession *session, const GwSmpMessage *request, gpointer data)
{
  Rig *self = data;
  guint8 answer[64];
  GwDataReport report;
  GwCborWriter w;
  GwDataAck ack;
  gsize len;

  self->requests++;
  g_assert_cmpint (gw_data_report_decode (request->body, &report), ==, GW_OK);
  memcpy (ack.boot, report.boot, sizeof ack.boot);
  ack.seq = report.seq;
  gw_smp_begin_response (&w, answer, sizeof answer, request);
  gw_data_ack_encode (&ack, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  gw_session_respond (session, answer, len);
  maybe_free (self, AT_REQUEST);
}

static void
on_ended (GwSession *session, const GError *error, gpointer data)
{
  Rig *self = data;

  g_assert_true (session == self->session);
  self->ended++;
  g_clear_error (&self->end);
  self->end = g_error_copy (error);
  g_clear_pointer (&self->session, gw_session_unref);
  maybe_free (self, AT_ENDED);
}

static const GwSessionUser user = { on_request, on_ended };

static void
on_surveyed (GwSession *session, const GwIdentInfo *info, const GError *error, gpointer data)
{
  Rig *self = data;

  self->surveyed++;
  if (info != NULL)
    {
      g_free (self->serial);
      self->serial = g_strndup (info->hello.serial.ptr, info->hello.serial.len);
    }
  maybe_free (self, AT_SURVEYED);
}

static void
on_answer (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Rig *self = data;

  self->answers++;
  g_clear_error (&self->answer_error);
  if (error != NULL)
    self->answer_error = g_error_copy (error);
  maybe_free (self, AT_ANSWER);
}

static void
on_proving (GwNode *node, gpointer data)
{
  Rig *self = data;

  self->proving++;
  maybe_free (self, AT_PROVING);
}

static void
on_proved (GwNode *node, GwSession *session, gpointer data)
{
  Rig *self = data;

  self->proved++;
  g_assert_null (self->session); /* the one before was told its end */
  g_assert_true (gw_node_get_session (node) == session);
  self->session = gw_session_ref (session);
  memcpy (self->key_id, gw_session_get_key_id (session), sizeof self->key_id);
  gw_session_set_user (session, &user, self);
  gw_session_survey (session, on_surveyed, self);
  maybe_free (self, AT_PROVED);
}

static void
on_failed (GwNode *node, const GError *error, gpointer data)
{
  Rig *self = data;

  self->failed++;
  g_clear_error (&self->failure);
  self->failure = g_error_copy (error);
  maybe_free (self, AT_FAILED);
}

static const GwNodeEvents node_events = {
  .send = on_send,
  .proving = on_proving,
  .proved = on_proved,
  .failed = on_failed,
};

/* ---- The line ---- */

static gboolean
is_client_hello (const guint8 *datagram, gsize len)
{
  return len > RANDOM_AT + 32 && datagram[0] == HANDSHAKE && datagram[4] == 0 && datagram[13] == 1;
}

static void
deliver (Rig *self, gboolean to_gateway, GBytes *datagram)
{
  gsize len;
  const guint8 *octets = g_bytes_get_data (datagram, &len);

  if (to_gateway && is_client_hello (octets, len) && self->first_hello == NULL)
    self->first_hello = g_bytes_ref (datagram);
  if (to_gateway && octets[0] == APPLICATION_DATA)
    g_ptr_array_add (self->records, g_bytes_ref (datagram));
  if (self->filter != NULL && !self->filter (self, to_gateway, octets, len))
    return;
  if (!to_gateway)
    gw_ep_input (self->lab->ep, octets, len);
  else if (self->node != NULL)
    gw_node_input (self->node, octets, len);
}

static gboolean
carry (Rig *self)
{
  g_autoptr (GBytes) up = g_queue_pop_head (&self->lab->to_gateway);
  g_autoptr (GBytes) down = g_queue_pop_head (&self->lab->to_endpoint);

  if (up != NULL)
    deliver (self, TRUE, up);
  if (down != NULL)
    deliver (self, FALSE, down);
  return up != NULL || down != NULL;
}

static void
pump (Rig *self)
{
  gboolean busy = TRUE;

  while (busy)
    {
      gw_ep_poll (self->lab->ep);
      busy = carry (self);
      while (g_main_context_iteration (NULL, FALSE))
        busy = TRUE;
    }
}

static void
advance (Rig *self, guint ms)
{
  pump (self);
  for (guint passed = 0; passed < ms; passed += SLICE_MS)
    {
      self->lab->now += SLICE_MS;
      lab_clock_ms = self->lab->now;
      gw_clock_advance (self->clock, SLICE_MS * MSEC);
      pump (self);
    }
}

/* ---- Fixture ---- */

static void
new_node (Rig *self)
{
  self->node = gw_node_new (self->loop, 1, 512, 50, (GwBytes) { NULL, 0 }, &node_events, self);
  gw_node_set_identity (self->node, self->identity);
}

/* A chip whose owner is the gateway's: what it wrote to its flash when it was taken. */
static Lab *
owned_chip (guint seed)
{
  Lab *lab = lab_new (seed);
  GwBytes anchor = lab_bytes (lab->owner_ca.der);

  lab->chip.nv[GW_EP_NV_ANCHOR] = g_byte_array_append (g_byte_array_new (), anchor.ptr, (guint) anchor.len);
  return lab;
}

static Rig *
rig_new (void)
{
  Rig *self = g_new0 (Rig, 1);

  self->lab = owned_chip (1);
  self->clock = gw_clock_new_mock (1000 * G_USEC_PER_SEC, G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC);
  self->loop = gw_loop_new (NULL, self->clock);
  self->identity = gw_channel_identity_new (self->lab->credentials, NULL);
  self->records = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  new_node (self);
  return self;
}

static void
rig_free (Rig *self)
{
  if (self->node != NULL)
    gw_node_free (self->node);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_null (self->session); /* whatever happened, its user was told */
  g_ptr_array_unref (self->records);
  g_clear_pointer (&self->first_hello, g_bytes_unref);
  g_clear_error (&self->failure);
  g_clear_error (&self->end);
  g_clear_error (&self->answer_error);
  g_free (self->serial);
  gw_channel_identity_unref (self->identity);
  gw_loop_free (self->loop);
  gw_clock_unref (self->clock);
  lab_free (self->lab);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Rig, rig_free)

static void
power_up (Rig *self)
{
  g_assert_cmpint (gw_ep_power_up (self->lab->ep), ==, GW_OK);
  pump (self);
}

static Rig *
connected (void)
{
  Rig *self = rig_new ();

  power_up (self);
  g_assert_cmpuint (self->proved, ==, 1);
  g_assert_cmpuint (self->surveyed, ==, 1);
  return self;
}

/* Asks the endpoint something; TRUE if it answered. */
static gboolean
asks (Rig *self)
{
  guint before = self->answers;

  gw_session_request (self->session, GW_SMP_OP_READ, GW_SESSION_GROUP_IDENT, GW_IDENT_NONCE, NULL, GW_SMP_PATIENCE_NORMAL,
                      on_answer, self);
  pump (self);
  return self->answers == before + 1 && self->answer_error == NULL;
}

static gboolean
reports (Rig *self)
{
  const GwEpRecord record = { .id = 3, .value = { .type = GW_EP_BOOL, .u.b = true } };
  guint before = self->requests;

  g_assert_cmpint (gw_ep_report (self->lab->ep, &record, 1), ==, GW_OK);
  pump (self);
  return self->requests == before + 1;
}

static void
forge (Rig *self, const void *datagram, gsize len)
{
  gw_node_input (self->node, datagram, len);
  pump (self);
}

/* A ClientHello of a stranger: a true one, its random changed. */
static void
forge_hello (Rig *self, guint32 stranger)
{
  gsize len;
  const guint8 *octets = g_bytes_get_data (self->first_hello, &len);
  g_autofree guint8 *copy = g_memdup2 (octets, len);

  memcpy (copy + RANDOM_AT, &stranger, sizeof stranger);
  gw_node_input (self->node, copy, len);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  /* Its answers go nowhere. */
  g_queue_clear_full (&self->lab->to_endpoint, (GDestroyNotify) g_bytes_unref);
}

/* ---- Proof and survey ---- */

static void
test_proof (void)
{
  g_autoptr (Rig) rig = connected ();

  g_assert_cmpmem (rig->key_id, 32, gw_ep_key_id (rig->lab->ep), 32);
  g_assert_cmpmem (gw_session_get_binding (rig->session), 32, gw_ep_binding (rig->lab->ep), 32);
  g_assert_cmpstr (rig->serial, ==, "0001");
  g_assert_cmpuint (rig->proving, ==, 1);
  g_assert_true (gw_session_is_group (rig->session, GW_SMP_GROUP_DATA, GW_SESSION_GROUP_DATA));
  g_assert_cmpuint (gw_session_get_message_max (rig->session), ==, 512 - GW_DTLS_RECORD_OVERHEAD);
  g_assert_true (asks (rig));
  g_assert_true (reports (rig));
}

static gboolean
lose_a_third (Rig *self, gboolean to_gateway, const guint8 *datagram, gsize len)
{
  return self->filter_count++ % 3 != 1;
}

static void
test_lossy_line (void)
{
  g_autoptr (Rig) rig = rig_new ();

  rig->filter = lose_a_third;
  power_up (rig);
  advance (rig, 40000);
  g_assert_cmpuint (rig->proved, ==, 1);
  g_assert_cmpstr (rig->serial, ==, "0001");
}

static void
test_short_datagrams (void)
{
  g_autoptr (Rig) rig = rig_new ();

  /* The gateway's flight in pieces of 128 octets. */
  gw_node_free (rig->node);
  rig->node = gw_node_new (rig->loop, 1, 128, 50, (GwBytes) { NULL, 0 }, &node_events, rig);
  gw_node_set_identity (rig->node, rig->identity);
  power_up (rig);
  g_assert_cmpuint (rig->proved, ==, 1);
}

/* ---- Who is there ---- */

static void
test_reboot (void)
{
  g_autoptr (Rig) rig = connected ();
  guint8 before[32];

  memcpy (before, rig->key_id, sizeof before);
  lab_power_cycle (rig->lab);
  pump (rig);
  g_assert_cmpuint (rig->proved, ==, 2);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_error (rig->end, GW_ERROR, GW_ERROR_OFFLINE);
  g_assert_cmpmem (rig->key_id, 32, before, 32);
  g_assert_cmpuint (rig->failed, ==, 0);
  g_assert_true (asks (rig));
  g_assert_true (reports (rig));
}

static void
test_another_chip_in_its_place (void)
{
  g_autoptr (Rig) rig = connected ();
  g_autoptr (Lab) first = rig->lab;
  guint8 before[32];

  memcpy (before, rig->key_id, sizeof before);
  rig->lab = lab_new (2);
  rig->lab->now = first->now;
  power_up (rig);
  g_assert_cmpuint (rig->proved, ==, 2);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_cmpint (memcmp (rig->key_id, before, sizeof before), !=, 0);
  g_assert_true (asks (rig));
  /* The identity borrows the first one's credentials. */
  gw_node_free (g_steal_pointer (&rig->node));
  gw_channel_identity_unref (rig->identity);
  rig->identity = gw_channel_identity_new (rig->lab->credentials, NULL);
}

static void
test_gateway_restart (void)
{
  g_autoptr (Rig) rig = connected ();

  rig->free_at = AT_NOTHING;
  gw_node_free (g_steal_pointer (&rig->node));
  g_assert_cmpuint (rig->ended, ==, 1);
  advance (rig, GW_DTLS_START_HONOUR_MS);
  new_node (rig);
  rig->starts = 0;
  reports (rig); /* a record for which there is no session */
  g_assert_cmpuint (rig->starts, ==, 1);
  advance (rig, 2000);
  g_assert_cmpuint (rig->proved, ==, 2);
  g_assert_cmpuint (rig->requests, ==, 1); /* the report, once */
}

static void
test_start_is_asked_for_within_limits (void)
{
  g_autoptr (Rig) rig = connected ();
  g_autoptr (GBytes) stray = NULL;
  gsize len;

  g_assert_true (reports (rig));
  stray = g_bytes_ref (rig->records->pdata[0]);
  gw_node_free (g_steal_pointer (&rig->node));
  new_node (rig);
  gw_ep_shutdown (rig->lab->ep);
  rig->starts = 0;
  for (guint i = 0; i < 100; i++)
    gw_node_input (rig->node, g_bytes_get_data (stray, &len), g_bytes_get_size (stray));
  g_assert_cmpuint (rig->starts, ==, 1);
  advance (rig, 60000);
  /* Nobody answers: asked again, but no oftener than it is honoured. */
  g_assert_cmpuint (rig->starts, >, 5);
  g_assert_cmpuint (rig->starts, <=, 1 + 60000 / GW_DTLS_START_HONOUR_MS);
}

/* ---- What strangers send ---- */

static void
test_copy_of_the_hello (void)
{
  g_autoptr (Rig) rig = rig_new ();
  gsize len;

  g_assert_cmpint (gw_ep_power_up (rig->lab->ep), ==, GW_OK);
  gw_ep_poll (rig->lab->ep);
  carry (rig);
  g_assert_nonnull (rig->first_hello);
  forge (rig, g_bytes_get_data (rig->first_hello, &len), g_bytes_get_size (rig->first_hello));
  g_assert_cmpuint (rig->proving, ==, 1); /* twice before its answer: one handshake */
  g_assert_cmpuint (rig->proved, ==, 1);
  forge (rig, g_bytes_get_data (rig->first_hello, &len), g_bytes_get_size (rig->first_hello));
  g_assert_cmpuint (rig->proving, ==, 1); /* late: nothing new */
  g_assert_true (asks (rig));
  g_assert_cmpuint (rig->ended, ==, 0);
}

/* A handshake message in two fragments, each a datagram (RFC 6347, section 4.2.3). */
static void
fragment (GBytes *hello, gsize at, gboolean second, guint8 *out, gsize *out_len)
{
  gsize len, whole, from = second ? at : 0, n;
  const guint8 *octets = g_bytes_get_data (hello, &len);

  whole = len - 25;
  n = second ? whole - at : at;
  memcpy (out, octets, 25);
  out[10] = second; /* record sequence */
  out[11] = (guint8) ((12 + n) >> 8);
  out[12] = (guint8) (12 + n);
  out[19] = 0; /* fragment offset */
  out[20] = (guint8) (from >> 8);
  out[21] = (guint8) from;
  out[22] = 0; /* fragment length */
  out[23] = (guint8) (n >> 8);
  out[24] = (guint8) n;
  memcpy (out + 25, octets + 25 + from, n);
  *out_len = 25 + n;
}

static gboolean
split_client_hello (Rig *self, gboolean to_gateway, const guint8 *datagram, gsize len)
{
  g_autoptr (GBytes) hello = NULL;
  guint8 part[2048];
  gsize n;

  if (!to_gateway || !is_client_hello (datagram, len))
    return TRUE;
  hello = g_bytes_new (datagram, len);
  for (guint second = 0; second < 2; second++)
    {
      fragment (hello, 60, second, part, &n);
      gw_node_input (self->node, part, n);
    }
  return FALSE;
}

static void
test_hello_in_fragments (void)
{
  g_autoptr (Rig) rig = rig_new ();

  rig->filter = split_client_hello;
  power_up (rig);
  /* The split took a record number more: the endpoint's next record bears it again, is dropped as a replay, and repeated. */
  advance (rig, 3000);
  g_assert_cmpuint (rig->proving, ==, 1);
  g_assert_cmpuint (rig->proved, ==, 1);
  g_assert_true (asks (rig));
}

static void
test_hello_on_a_live_session (void)
{
  g_autoptr (Rig) rig = connected ();

  forge_hello (rig, 1);
  g_assert_cmpuint (rig->proving, ==, 2);
  g_assert_true (asks (rig));
  g_assert_true (reports (rig));
  advance (rig, 59000);
  g_assert_true (reports (rig));
  g_assert_cmpuint (rig->failed, ==, 0);
  advance (rig, 2000);
  g_assert_cmpuint (rig->failed, ==, 1);
  g_assert_error (rig->failure, GW_ERROR, GW_ERROR_TIMEOUT);
  g_assert_cmpuint (rig->ended, ==, 0);
  g_assert_true (asks (rig));
}

static void
test_hello_flood (void)
{
  g_autoptr (Rig) rig = connected ();
  guint before = rig->proving;

  for (guint i = 0; i < 1000; i++)
    forge_hello (rig, i + 1);
  g_assert_cmpuint (rig->proving - before, <=, GW_NODE_HANDSHAKE_BURST);
  g_assert_cmpuint (gw_node_get_refused (rig->node), >=, 1000 - GW_NODE_HANDSHAKE_BURST);
  g_assert_error (rig->failure, GW_ERROR, GW_ERROR_LIMIT); /* for people to see */
  g_assert_true (asks (rig));
  g_assert_true (reports (rig));
  before = rig->proving;
  advance (rig, 2 * GW_NODE_HANDSHAKE_REFILL_USEC / MSEC);
  for (guint i = 0; i < 1000; i++)
    forge_hello (rig, 5000 + i);
  g_assert_cmpuint (rig->proving - before, ==, 2);
  /* After it the endpoint gets in again. */
  lab_power_cycle (rig->lab);
  advance (rig, 10000);
  g_assert_cmpuint (rig->proved, ==, 2);
  g_assert_true (asks (rig));
}

static void
test_forged_records (void)
{
  /* In the clear: a fatal alert, application data, a ChangeCipherSpec, a HelloVerifyRequest, a lone half of one; then records
   * of the session's epoch that nobody sealed. */
  static const guint8 alert[] = { 21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40 };
  static const guint8 closing[] = { 21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0 };
  static const guint8 clear_data[] = { 23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4 };
  static const guint8 ccs[] = { 20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1 };
  static const guint8 half[] = { 22, 254, 253, 0, 0, 0, 0, 0 };
  static const guint8 long_record[] = { 23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 255, 255, 1, 2, 3 };
  static const guint8 claim[] = { 23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0x2e, 0xf7, 1, 2, 3 };
  guint8 sealed_alert[13 + 26] = { 21, 254, 253, 0, 1, 0, 0, 0, 0, 1, 0, 0, 26 };
  guint8 noise[512];
  g_autoptr (Rig) rig = connected ();

  forge (rig, alert, sizeof alert);
  forge (rig, closing, sizeof closing);
  forge (rig, clear_data, sizeof clear_data);
  forge (rig, ccs, sizeof ccs);
  forge (rig, half, sizeof half);
  forge (rig, long_record, sizeof long_record);
  forge (rig, claim, sizeof claim);
  g_assert_true (asks (rig));
  forge (rig, sealed_alert, sizeof sealed_alert);
  for (guint i = 0; i < 500; i++)
    {
      for (gsize k = 0; k < sizeof noise; k++)
        noise[k] = (guint8) g_test_rand_int ();
      noise[0] = (guint8) g_test_rand_int_range (20, 64);
      if (i % 2 == 0)
        {
          noise[1] = 254;
          noise[2] = 253;
          noise[3] = 0;
          noise[4] = 1;
        }
      forge (rig, noise, (gsize) g_test_rand_int_range (1, sizeof noise));
    }
  g_assert_cmpuint (rig->ended, ==, 0);
  g_assert_true (asks (rig));
  g_assert_true (reports (rig));
}

static void
test_replay (void)
{
  g_autoptr (Rig) rig = connected ();
  gsize len;

  g_assert_true (reports (rig));
  g_assert_true (asks (rig));
  for (guint i = rig->records->len; i > 0; i--)
    {
      g_autoptr (GBytes) again = g_bytes_ref (rig->records->pdata[i - 1]);

      forge (rig, g_bytes_get_data (again, &len), g_bytes_get_size (again));
    }
  g_assert_cmpuint (rig->requests, ==, 1);
  g_assert_cmpuint (rig->answers, ==, 1);
  g_assert_cmpuint (rig->ended, ==, 0);
  g_assert_true (reports (rig));
}

static void
test_clear_smp_does_nothing (void)
{
  const guint8 request[] = { 0x0a, 0, 0, 1, 0x51, 0x02, 0, GW_DATA_REPORT, 0xa0 };
  const guint8 answer[] = { 0x09, 0, 0, 1, 0, 10, 0, 3, 0xa0 };
  g_autoptr (Rig) rig = connected ();

  forge (rig, request, sizeof request);
  forge (rig, answer, sizeof answer);
  g_assert_cmpuint (rig->requests, ==, 0);
  g_assert_true (asks (rig));
}

/* ---- Silence ---- */

static gboolean
gone (Rig *self, gboolean to_gateway, const guint8 *datagram, gsize len)
{
  self->filter_count += !to_gateway && datagram[0] == APPLICATION_DATA;
  return FALSE;
}

static void
test_keep_alive (void)
{
  g_autoptr (Rig) rig = connected ();
  gint64 heard = gw_session_get_last_heard (rig->session);

  advance (rig, GW_KEEPALIVE_IDLE_MS + 100);
  g_assert_cmpint (gw_session_get_last_heard (rig->session), >, heard); /* it was asked, and answered */
  advance (rig, 10 * GW_KEEPALIVE_IDLE_MS);
  g_assert_cmpuint (rig->ended, ==, 0);
  g_assert_true (asks (rig));
  rig->filter = gone;
  rig->starts = 0;
  /* Up to a quarter sooner, each endpoint in its own time. */
  advance (rig, GW_KEEPALIVE_IDLE_MS * 3 / 4 + (GW_KEEPALIVE_MISSES_MAX - 1) * (GW_CLONE_PING_MS + 100));
  g_assert_cmpuint (rig->ended, ==, 0);
  advance (rig, GW_KEEPALIVE_IDLE_MS / 4 + GW_CLONE_PING_MS + 200);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_cmpuint (rig->filter_count, ==, GW_KEEPALIVE_MISSES_MAX);
  g_assert_error (rig->end, GW_ERROR, GW_ERROR_TIMEOUT);
  g_assert_error (rig->failure, GW_ERROR, GW_ERROR_TIMEOUT);
  g_assert_null (gw_node_get_session (rig->node));
  g_assert_cmpuint (rig->starts, ==, 1); /* it may have lost us, not we it */
}

static void
test_stalled_request (void)
{
  g_autoptr (Rig) rig = connected ();

  rig->filter = gone;
  g_assert_false (asks (rig));
  advance (rig, 40000);
  g_assert_cmpuint (rig->answers, ==, 1);
  g_assert_error (rig->answer_error, GW_ERROR, GW_ERROR_TIMEOUT);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_error (rig->end, GW_ERROR, GW_ERROR_TIMEOUT);
  /* It comes back by itself. */
  rig->filter = NULL;
  lab_power_cycle (rig->lab);
  advance (rig, 10000);
  g_assert_cmpuint (rig->proved, ==, 2);
}

static gboolean
after_some (Rig *self, gboolean to_gateway, const guint8 *datagram, gsize len)
{
  if (self->filter_count == 0)
    return FALSE;
  self->filter_count--;
  return TRUE;
}

/* Dead after each number of datagrams: nothing stays, and the next one gets in. */
static void
test_dead_in_every_state (void)
{
  for (guint n = 1; n < 14; n++)
    {
      g_autoptr (Rig) rig = rig_new ();
      gboolean was_proved;

      rig->filter = after_some;
      rig->filter_count = n;
      power_up (rig);
      was_proved = rig->proved > 0;
      gw_ep_shutdown (rig->lab->ep);
      advance (rig, 62000);
      g_assert_null (gw_node_get_session (rig->node));
      g_assert_cmpuint (rig->failed, ==, 1);
      g_assert_error (rig->failure, GW_ERROR, GW_ERROR_TIMEOUT);
      g_assert_cmpuint (rig->ended, ==, was_proved);
      rig->filter = NULL;
      power_up (rig);
      advance (rig, 10000);
      g_assert_cmpuint (rig->proved, ==, was_proved + 1);
    }
}

static void
test_close_notify (void)
{
  g_autoptr (Rig) rig = connected ();

  g_assert_cmpint (gw_ep_factory_reset (rig->lab->ep), ==, GW_OK);
  pump (rig);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_error (rig->end, GW_ERROR, GW_ERROR_OFFLINE);
  g_assert_cmpstr (rig->end->message, ==, "the endpoint closed the session");
}

/* The hello of a stranger is under way: the session's own end must not get lost on it. */
static void
test_close_notify_beside_a_candidate (void)
{
  g_autoptr (Rig) rig = connected ();

  forge_hello (rig, 1);
  g_assert_cmpint (gw_ep_factory_reset (rig->lab->ep), ==, GW_OK);
  pump (rig);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_cmpstr (rig->end->message, ==, "the endpoint closed the session");
}

static void
test_drop_tells_the_endpoint (void)
{
  g_autoptr (Rig) rig = connected ();
  g_autoptr (GError) why = g_error_new_literal (GW_ERROR, GW_ERROR_CLONED, "it is elsewhere");

  gw_node_drop_session (rig->node, why);
  g_assert_cmpuint (rig->ended, ==, 1);
  g_assert_error (rig->end, GW_ERROR, GW_ERROR_CLONED);
  pump (rig);
  g_assert_cmpint (gw_ep_state (rig->lab->ep), !=, GW_EP_SESSION);
}

/* ---- Freed inside each callback ---- */

static void
test_free_inside (gconstpointer data)
{
  Place place = GPOINTER_TO_UINT (data);
  g_autoptr (Rig) rig = rig_new ();

  rig->free_at = place;
  power_up (rig);
  if (rig->node != NULL && place == AT_REQUEST)
    reports (rig);
  if (rig->node != NULL && place == AT_ANSWER)
    asks (rig);
  if (rig->node != NULL && (place == AT_FAILED || place == AT_ENDED))
    {
      rig->filter = gone;
      advance (rig, 20000);
    }
  g_assert_null (rig->node);
  g_assert_null (rig->session);
  advance (rig, 100000);
}

/* The same while its own end comes from a request that is given up, with others behind it. */
static void
test_free_inside_a_stall (void)
{
  g_autoptr (Rig) rig = connected ();

  rig->filter = gone;
  rig->free_at = AT_ANSWER;
  for (guint i = 0; i < 5; i++)
    gw_session_request (rig->session, GW_SMP_OP_READ, GW_SESSION_GROUP_IDENT, GW_IDENT_NONCE, NULL, GW_SMP_PATIENCE_NORMAL,
                        on_answer, rig);
  advance (rig, 40000);
  g_assert_null (rig->node);
  g_assert_cmpuint (rig->answers, ==, 5);
}

int
main (int argc, char **argv)
{
  static const char *const places[N_PLACES]
      = { NULL, "send", "proving", "proved", "failed", "request", "ended", "surveyed", "answer" };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session/proof", test_proof);
  g_test_add_func ("/session/lossy-line", test_lossy_line);
  g_test_add_func ("/session/short-datagrams", test_short_datagrams);
  g_test_add_func ("/session/reboot", test_reboot);
  g_test_add_func ("/session/another-chip-in-its-place", test_another_chip_in_its_place);
  g_test_add_func ("/session/gateway-restart", test_gateway_restart);
  g_test_add_func ("/session/start-is-asked-for-within-limits", test_start_is_asked_for_within_limits);
  g_test_add_func ("/session/copy-of-the-hello", test_copy_of_the_hello);
  g_test_add_func ("/session/hello-in-fragments", test_hello_in_fragments);
  g_test_add_func ("/session/hello-on-a-live-session", test_hello_on_a_live_session);
  g_test_add_func ("/session/hello-flood", test_hello_flood);
  g_test_add_func ("/session/forged-records", test_forged_records);
  g_test_add_func ("/session/replay", test_replay);
  g_test_add_func ("/session/clear-smp-does-nothing", test_clear_smp_does_nothing);
  g_test_add_func ("/session/keep-alive", test_keep_alive);
  g_test_add_func ("/session/stalled-request", test_stalled_request);
  g_test_add_func ("/session/dead-in-every-state", test_dead_in_every_state);
  g_test_add_func ("/session/close-notify", test_close_notify);
  g_test_add_func ("/session/close-notify-beside-a-candidate", test_close_notify_beside_a_candidate);
  g_test_add_func ("/session/drop-tells-the-endpoint", test_drop_tells_the_endpoint);
  for (guint i = 1; i < N_PLACES; i++)
    {
      g_autofree char *path = g_strdup_printf ("/session/free-inside/%s", places[i]);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_free_inside);
    }
  g_test_add_func ("/session/free-inside/a-stall", test_free_inside_a_stall);
  return g_test_run ();
}
