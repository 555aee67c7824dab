/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who is where: the roster over real buses (the test plays the plugins), nodes and sessions, against the endpoint library. Chips stand
 * in no manifest here, which is all the same to moved cables and clones. Time stands still but for the test.
 */

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-busmsg-codec.h"
#include "gw-error.h"
#include "gw-roster.h"
#include "test-ep-lab.h"

#define MSEC 1000
#define SLICE_MS 50
#define PLACES 3
#define ADDRESS(node) (100 + (node)) /* what the plugin says of a node's address on the wire */

typedef struct Rig Rig;

/* A line with its plugin, and what is plugged in. */
typedef struct
{
  Rig *rig;
  GwBus *bus;
  int fd; /* the plugin's end */
  guint32 node; /* the last one announced; 0: none */
  gboolean up;
  gboolean mute; /* what the endpoint sends is lost, and nothing reaches it */
  Lab *lab;
  GError *gone;
} Line;

struct Rig
{
  char *folder;
  GwClock *clock;
  GwServices services;
  GwRoster *roster;
  Lab *owner; /* lends its certificates to the gateway */
  Line lines[PLACES];
  guint added, removed;
  guint counted;
  guint64 now;
};

/* ---- The bus's owner, as the agent is ---- */

static void
on_proving (GwBus *bus, GwNode *node, gpointer data)
{
  gw_roster_proving (((Line *) data)->rig->roster, bus, node);
}

static void
on_proved (GwBus *bus, GwNode *node, GwSession *session, gpointer data)
{
  gw_roster_proved (((Line *) data)->rig->roster, bus, node, session);
}

static void
on_node_up (GwBus *bus, GwNode *node, gpointer data)
{
  gw_roster_node_up (((Line *) data)->rig->roster, bus, node);
}

static void
on_node_down (GwBus *bus, GwNode *node, gpointer data)
{
  gw_roster_node_down (((Line *) data)->rig->roster, bus, node);
}

static void
on_node_moved (GwBus *bus, GwNode *node, gpointer data)
{
  gw_roster_node_moved (((Line *) data)->rig->roster, bus, node);
}

static void
on_gone (GwBus *bus, const GError *error, gpointer data)
{
  Line *line = data;

  g_assert_null (line->gone);
  line->gone = g_error_copy (error);
}

static const GwBusEvents bus_events = {
  .proving = on_proving,
  .proved = on_proved,
  .node_up = on_node_up,
  .node_down = on_node_down,
  .node_moved = on_node_moved,
  .gone = on_gone,
};

static void
on_added (GwEndpoint *endpoint, gpointer data)
{
  ((Rig *) data)->added++;
}

static void
on_removed (GwEndpoint *endpoint, gpointer data)
{
  ((Rig *) data)->removed++;
}

static const GwRosterListener listener = { on_added, on_removed };

static void
on_changed (GwEndpoint *endpoint, gpointer data)
{
}

static void
on_counted (GwEndpoint *endpoint, gpointer data)
{
  ((Rig *) data)->counted++;
}

/* Of a chip that stands in no manifest: nothing else happens to it. */
static const GwEndpointListener endpoint_listener = { .changed = on_changed, .counted = on_counted };

/* ---- Lines ---- */

static void
tell (Line *line, const GwBusmsg *message)
{
  guint8 packet[GW_BUSMSG_MAX];
  gsize len;

  g_assert_cmpint (gw_busmsg_encode (message, packet, sizeof packet, &len), ==, GW_OK);
  g_assert_cmpint (send (line->fd, packet, len, MSG_NOSIGNAL), ==, (gssize) len);
}

static void
attach (Rig *self, guint n)
{
  Line *line = &self->lines[n];
  g_autofree char *name = g_strdup_printf ("line%u", n);
  g_autofree char *path = g_strdup_printf (GW_OBJECT_ROOT "/bus/line%u", n);
  GwBusInfo info = { name, "serial", "", "test" };
  GwBusmsg hello = { .type = GW_BUSMSG_HELLO };
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
  line->rig = self;
  line->fd = pair[1];
  line->bus = gw_bus_new (self->services.loop, self->services.objects, self->services.bouncer, self->services.identity, path, &info,
                          pair[0], &bus_events, line);
  hello.hello.version = GW_BUSMSG_VERSION;
  hello.hello.datagram_max = GW_BUSMSG_DATAGRAM_MAX;
  hello.hello.nodes_max = GW_BUSMSG_NODES_MAX;
  tell (line, &hello);
}

static void
detach (Line *line)
{
  g_clear_pointer (&line->bus, gw_bus_free);
  close (line->fd);
  line->fd = -1;
  line->up = FALSE;
  g_clear_error (&line->gone);
}

static void
node_up (Line *line)
{
  GwBusmsg message = { .type = GW_BUSMSG_NODE_UP, .node = ++line->node };

  message.node_up.mtu = 512;
  message.node_up.rtt_ms = 50;
  line->up = TRUE;
  tell (line, &message);
  message = (GwBusmsg) { .type = GW_BUSMSG_NODE, .node = line->node, .node_info = { .address = ADDRESS (line->node) } };
  tell (line, &message);
}

static void
node_down (Line *line)
{
  GwBusmsg message = { .type = GW_BUSMSG_NODE_DOWN, .node = line->node };

  message.node_down.reason = GW_BUSMSG_DOWN_GONE;
  line->up = FALSE;
  tell (line, &message);
}

/* From the endpoint to the agent, one datagram; TRUE if there was one. */
static gboolean
carry_up (Line *line)
{
  g_autoptr (GBytes) datagram = line->lab != NULL ? g_queue_pop_head (&line->lab->to_gateway) : NULL;
  GwBusmsg message = { .type = GW_BUSMSG_DATAGRAM, .node = line->node };

  if (datagram == NULL)
    return FALSE;
  message.datagram = lab_bytes (datagram);
  if (line->up && !line->mute && line->fd >= 0)
    tell (line, &message);
  return TRUE;
}

static gboolean
carry_down (Line *line)
{
  guint8 packet[GW_BUSMSG_MAX];
  gssize len = line->fd >= 0 ? recv (line->fd, packet, sizeof packet, MSG_DONTWAIT) : -1;
  GwBusmsg message;

  if (len <= 0)
    return FALSE;
  g_assert_cmpint (gw_busmsg_decode (&message, GW_BUSMSG_FROM_AGENT, packet, (gsize) len, GW_BUSMSG_DATAGRAM_MAX), ==, GW_OK);
  if (message.type == GW_BUSMSG_DATAGRAM && message.node == line->node && line->up && !line->mute && line->lab != NULL)
    gw_ep_input (line->lab->ep, message.datagram.ptr, message.datagram.len);
  return TRUE;
}

static void
pump (Rig *self)
{
  gboolean busy = TRUE;

  while (busy)
    {
      busy = FALSE;
      gw_clock_advance (self->clock, 1); /* nothing goes there and back in no time */
      for (guint i = 0; i < PLACES; i++)
        {
          if (self->lines[i].lab != NULL)
            {
              self->lines[i].lab->now = self->now;
              gw_ep_poll (self->lines[i].lab->ep);
            }
          busy |= carry_up (&self->lines[i]);
          busy |= carry_down (&self->lines[i]);
        }
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
      self->now += SLICE_MS;
      lab_clock_ms = self->now;
      gw_clock_advance (self->clock, SLICE_MS * MSEC);
      pump (self);
    }
}

/* ---- Chips ---- */

/* A chip that was taken by this gateway's owner, powered. */
static Lab *
new_chip (Rig *self, guint seed)
{
  Lab *lab = lab_new (seed);
  GwBytes anchor = lab_bytes (self->owner->owner_ca.der);

  lab->chip.nv[GW_EP_NV_ANCHOR] = g_byte_array_append (g_byte_array_new (), anchor.ptr, (guint) anchor.len);
  lab->now = self->now;
  lab_clock_ms = self->now;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  return lab;
}

/* The same cells and the same flash. */
static Lab *
copy_chip (Rig *self, Lab *from, guint seed)
{
  Lab *copy = lab_new (seed);

  for (guint i = 0; i < GW_EP_NV_N_SLOTS; i++)
    if (from->chip.nv[i] != NULL)
      copy->chip.nv[i] = g_byte_array_append (g_byte_array_new (), from->chip.nv[i]->data, from->chip.nv[i]->len);
  copy->chip.entropy = 1000000;
  copy->now = self->now;
  lab_clock_ms = self->now;
  g_assert_cmpint (gw_ep_power_up (copy->ep), ==, GW_OK);
  g_assert_cmpmem (gw_ep_key_id (copy->ep), 32, gw_ep_key_id (from->ep), 32);
  return copy;
}

static void
plug (Rig *self, guint n, Lab *lab)
{
  self->lines[n].lab = lab;
  node_up (&self->lines[n]);
  pump (self);
}

static GwEndpoint *
endpoint_of (Rig *self, Lab *lab)
{
  return gw_roster_lookup (self->roster, gw_ep_key_id (lab->ep));
}

static void
assert_at (Rig *self, Lab *lab, guint n)
{
  GwEndpoint *endpoint = endpoint_of (self, lab);

  g_assert_nonnull (endpoint);
  g_assert_cmpstr (gw_endpoint_get_bus (endpoint), ==, gw_bus_get_path (self->lines[n].bus));
  g_assert_cmpuint (gw_endpoint_get_node (endpoint), ==, self->lines[n].node);
  g_assert_cmpuint (gw_endpoint_get_address (endpoint), ==, ADDRESS (self->lines[n].node));
  g_assert_cmpint (gw_endpoint_get_presence (endpoint), ==, GW_PRESENCE_PROVED);
  g_assert_true (gw_session_is_up (gw_endpoint_get_session (endpoint)));
}

/* ---- Fixture ---- */

static Rig *
rig_new (void)
{
  const char *no_dirs[] = { NULL };
  g_autoptr (GError) error = NULL;
  Rig *self = g_new0 (Rig, 1);
  GwServices *services = &self->services;

  self->now = 1000;
  self->folder = g_dir_make_tmp ("gw-roster-XXXXXX", NULL);
  self->owner = lab_new (99);
  self->clock = gw_clock_new_mock (1000 * G_USEC_PER_SEC, G_GINT64_CONSTANT (1800000000) * G_USEC_PER_SEC);
  services->loop = gw_loop_new (NULL, self->clock);
  services->objects = gw_objects_new (GW_OBJECT_ROOT);
  services->bouncer = g_object_new (GW_TYPE_BOUNCER, NULL);
  services->identity = gw_channel_identity_new (self->owner->credentials, &error);
  services->db = gw_db_open (self->folder, NULL, &error);
  g_assert_no_error (error);
  services->inventory = gw_inventory_open (self->folder, self->folder, NULL, &error);
  g_assert_no_error (error);
  services->policies = gw_policy_set_load (no_dirs, &error);
  g_assert_no_error (error);
  self->roster = gw_roster_new (services, &listener, self, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < PLACES; i++)
    attach (self, i);
  return self;
}

static void
remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR))
        remove_folder (child);
      else
        g_unlink (child);
    }
  g_rmdir (path);
}

static void
rig_free (Rig *self)
{
  for (guint i = 0; i < PLACES; i++)
    {
      if (self->lines[i].bus != NULL)
        detach (&self->lines[i]);
      g_clear_pointer (&self->lines[i].lab, lab_free);
    }
  while (g_main_context_iteration (NULL, FALSE))
    ;
  gw_roster_free (self->roster);
  gw_policy_set_free (self->services.policies);
  gw_inventory_free (self->services.inventory);
  gw_db_free (self->services.db);
  gw_channel_identity_unref (self->services.identity);
  g_object_unref (self->services.bouncer);
  g_object_unref (self->services.objects);
  gw_loop_free (self->services.loop);
  gw_clock_unref (self->clock);
  lab_free (self->owner);
  remove_folder (self->folder);
  g_free (self->folder);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Rig, rig_free)

/* Two living chips with one key, on lines 0 and 1; the alarm is raised. */
static Rig *
cloned (Lab **first, Lab **second)
{
  Rig *rig = rig_new ();

  *first = new_chip (rig, 1);
  plug (rig, 0, *first);
  *second = copy_chip (rig, *first, 1);
  plug (rig, 1, *second);
  advance (rig, GW_CLONE_PING_MS + 100);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint_of (rig, *first)), ==, "cloned");
  return rig;
}

/* ---- One place ---- */

static void
test_a_stranger (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);

  plug (rig, 0, chip);
  g_assert_cmpuint (rig->added, ==, 1);
  assert_at (rig, chip, 0);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint_of (rig, chip)), ==, "quarantined");
  g_assert_cmpstr (gw_endpoint_get_name (endpoint_of (rig, chip)), ==, "0001");
  node_down (&rig->lines[0]);
  pump (rig);
  g_assert_cmpint (gw_endpoint_get_presence (endpoint_of (rig, chip)), ==, GW_PRESENCE_ABSENT);
  g_assert_cmpstr (gw_endpoint_get_bus (endpoint_of (rig, chip)), ==, "/");
}

/* Its keep-alives move LastSeen once a minute, and nobody looks in between. */
static void
test_heard (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);

  plug (rig, 0, chip);
  advance (rig, 30000);
  gw_endpoint_set_listener (endpoint_of (rig, chip), &endpoint_listener, rig);
  advance (rig, 180000);
  g_assert_cmpuint (rig->counted, ==, 3);
  gw_endpoint_set_listener (endpoint_of (rig, chip), NULL, NULL);
}

static void
test_another_chip_in_its_place (void)
{
  g_autoptr (Rig) rig = rig_new ();
  g_autoptr (Lab) first = new_chip (rig, 1);
  Lab *second;

  plug (rig, 0, first);
  second = new_chip (rig, 2);
  rig->lines[0].lab = second; /* the plugin has not seen it */
  pump (rig);
  assert_at (rig, second, 0);
  g_assert_cmpint (gw_endpoint_get_presence (endpoint_of (rig, first)), ==, GW_PRESENCE_ABSENT);
  g_assert_cmpstr (gw_endpoint_get_bus (endpoint_of (rig, first)), ==, "/");
  g_assert_null (gw_endpoint_get_session (endpoint_of (rig, first)));
}

static void
test_the_plugin_leaves (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);

  plug (rig, 0, chip);
  detach (&rig->lines[0]);
  g_assert_cmpint (gw_endpoint_get_presence (endpoint_of (rig, chip)), ==, GW_PRESENCE_ABSENT);
  rig->lines[0].node = 0;
  attach (rig, 0);
  node_up (&rig->lines[0]);
  advance (rig, GW_DTLS_START_HONOUR_MS + 1000);
  assert_at (rig, chip, 0);
  g_assert_cmpuint (rig->added, ==, 1);
}

/* ---- Moved, or copied ---- */

static void
test_moved_cable (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);

  plug (rig, 0, chip);
  /* Its old line's plugin notices nothing. */
  rig->lines[0].lab = NULL;
  lab_power_cycle (chip);
  plug (rig, 1, chip);
  assert_at (rig, chip, 0); /* until the old place was asked */
  advance (rig, GW_CLONE_PING_MS + 100);
  assert_at (rig, chip, 1);
  g_assert_false (gw_endpoint_get_record (endpoint_of (rig, chip))->cloned);
  advance (rig, 60000);
  assert_at (rig, chip, 1);
}

static void
test_moved_cable_whose_old_line_hangs_up (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);

  plug (rig, 0, chip);
  rig->lines[0].lab = NULL;
  lab_power_cycle (chip);
  plug (rig, 1, chip);
  node_down (&rig->lines[0]);
  pump (rig);
  assert_at (rig, chip, 1); /* no need to wait */
  g_assert_false (gw_endpoint_get_record (endpoint_of (rig, chip))->cloned);
}

static void
test_clone (void)
{
  g_autoptr (GError) error = NULL;
  Lab *first, *second;
  g_autoptr (Rig) rig = cloned (&first, &second);
  GwEndpoint *endpoint = endpoint_of (rig, first);

  g_assert_cmpstr (gw_endpoint_get_reason (endpoint), ==,
                   "two living devices have proven the same key, on bus line0 and on bus line1: one is a copy");
  g_assert_false (gw_endpoint_onboard (endpoint, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_CLONED);
  g_clear_error (&error);
  g_assert_false (gw_roster_approve (rig->roster, endpoint, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_assert_cmpstr (error->message, ==,
                   "two devices with this key still answer: unplug the copy first, then approve the one that stays");
  /* Both reboot, in turn: still two. */
  lab_power_cycle (first);
  advance (rig, 5000);
  lab_power_cycle (second);
  advance (rig, 5000);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint), ==, "cloned");
  g_clear_error (&error);
  g_assert_false (gw_roster_approve (rig->roster, endpoint, &error));
  g_assert_cmpuint (rig->added, ==, 1);
}

static void
settle (guint goes)
{
  Lab *chips[2];
  g_autoptr (Rig) rig = cloned (&chips[0], &chips[1]);
  g_autoptr (GError) error = NULL;
  GwEndpoint *endpoint = endpoint_of (rig, chips[0]);

  node_down (&rig->lines[goes]);
  pump (rig);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint), ==, "cloned"); /* that one went settles nothing */
  g_assert_true (gw_roster_approve (rig->roster, endpoint, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint), ==, "quarantined"); /* it stands in no manifest */
  pump (rig);
  assert_at (rig, chips[0], 1 - goes);
}

static void
test_approve_the_original (void)
{
  settle (1);
}

static void
test_approve_the_other (void)
{
  settle (0);
}

static void
test_challenger_unplugged (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *first = new_chip (rig, 1);

  plug (rig, 0, first);
  plug (rig, 1, copy_chip (rig, first, 1));
  advance (rig, GW_CLONE_PING_MS / 2);
  node_down (&rig->lines[1]);
  advance (rig, GW_CLONE_PING_MS);
  assert_at (rig, first, 0);
  g_assert_false (gw_endpoint_get_record (endpoint_of (rig, first))->cloned);
}

static void
test_two_challengers (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *first = new_chip (rig, 1);

  plug (rig, 0, first);
  plug (rig, 1, copy_chip (rig, first, 1));
  advance (rig, GW_CLONE_PING_MS / 2);
  plug (rig, 2, copy_chip (rig, first, 1));
  advance (rig, GW_CLONE_PING_MS + 100);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint_of (rig, first)), ==, "cloned");
}

/* The first challenger of two gives way; the second one's time is its own. */
static void
test_a_challenger_after_another (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *first = new_chip (rig, 1);

  plug (rig, 0, first);
  plug (rig, 1, copy_chip (rig, first, 1));
  node_down (&rig->lines[1]);
  plug (rig, 2, copy_chip (rig, first, 1));
  advance (rig, GW_CLONE_PING_MS + 100);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint_of (rig, first)), ==, "cloned");
}

static void
ask (GwSession *session, guint8 command, GwCborWriter *body, GwSmpPatience patience, GwSmpAnswer answer, gpointer data)
{
  gw_session_request (session, GW_SMP_OP_WRITE, GW_SESSION_GROUP_IDENT, command, body, patience, answer, data);
}

static void
on_signature (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ++*(guint *) data;
}

/* One that is busy with a signature answers nothing else: it is not gone. */
static void
test_clone_beside_one_that_signs (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *first = new_chip (rig, 1);
  const guint8 hash[32] = { 1 };
  GwIdentSignReq request = { 1, 1, { hash, sizeof hash } };
  GwIdentCsrReq csr = { 1, 1, 0 };
  GwSession *session;
  guint8 buffer[128];
  GwCborWriter body;
  guint answers = 0;

  plug (rig, 0, first);
  session = gw_endpoint_get_session (endpoint_of (rig, first));
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_csr_req_encode (&csr, &body); /* it signs with keys that were asked for */
  ask (session, GW_IDENT_CSR, &body, GW_SMP_PATIENCE_NORMAL, on_signature, &answers);
  pump (rig);
  g_assert_cmpuint (answers, ==, 1);
  first->sign_delay = GW_CLONE_PING_MS + 1500;
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_sign_req_encode (&request, &body);
  ask (session, GW_IDENT_SIGN, &body, GW_SMP_PATIENCE_SIGN, on_signature, &answers);
  pump (rig);
  plug (rig, 1, copy_chip (rig, first, 1));
  advance (rig, GW_CLONE_PING_MS + 100);
  g_assert_cmpuint (answers, ==, 1);
  assert_at (rig, first, 0);
  advance (rig, 10000);
  g_assert_cmpuint (answers, ==, 2);
  g_assert_cmpstr (gw_endpoint_get_state (endpoint_of (rig, first)), ==, "cloned");
}

/* A plugin says in the clear that it has the endpoint: nobody believes it while there is a proof. */
static void
test_claims_without_proof (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);
  GwLinkHello hello = { .version = GW_LINK_VERSION,
                        .manufacturer = gw_text ("Acme"),
                        .model = gw_text ("T1"),
                        .serial = gw_text ("0001"),
                        .firmware = gw_text ("1"),
                        .mtu = 512,
                        .security = GW_LINK_SEC_DTLS12 };
  GwBusmsg message = { .type = GW_BUSMSG_NODE_UP };
  guint8 cbor[256];
  GwCborWriter w;

  plug (rig, 0, chip);
  memcpy (hello.kid, gw_ep_key_id (chip->ep), sizeof hello.kid);
  memcpy (hello.uid, hello.kid, sizeof hello.uid);
  gw_cbor_writer_init (&w, cbor, sizeof cbor);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (w.status, ==, GW_OK);
  for (guint i = 1; i < 20; i++)
    {
      message.node = i;
      message.type = GW_BUSMSG_NODE_UP;
      message.node_up.mtu = 512;
      message.node_up.rtt_ms = 0;
      message.node_up.cbor = (GwBytes) { cbor, w.len };
      tell (&rig->lines[1], &message);
      pump (rig);
      assert_at (rig, chip, 0);
      memset (&message.node_up, 0, sizeof message.node_up);
      message.type = GW_BUSMSG_NODE_DOWN;
      message.node_down.reason = GW_BUSMSG_DOWN_GONE;
      tell (&rig->lines[1], &message);
      pump (rig);
      assert_at (rig, chip, 0);
    }
  g_assert_cmpuint (rig->added, ==, 1);
}

/* ---- Floods ---- */

/* Ever new nodes, a ClientHello of each: what one node is allowed does not bound them. */
static void
test_handshakes_of_a_bus_are_bounded (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *chip = new_chip (rig, 1);
  GwBusmsg message = { .type = GW_BUSMSG_DATAGRAM };
  g_autoptr (GBytes) hello = NULL;
  guint8 answer[GW_BUSMSG_MAX];
  guint answers = 0;

  gw_ep_poll (chip->ep);
  hello = g_bytes_ref (g_queue_peek_head (&chip->to_gateway));
  plug (rig, 0, chip);
  for (guint i = 0; i < 2 * GW_BUS_HANDSHAKE_BURST; i++)
    {
      node_up (&rig->lines[1]);
      message.node = rig->lines[1].node;
      message.datagram = lab_bytes (hello);
      tell (&rig->lines[1], &message);
      for (guint k = 0; k < 4; k++)
        g_main_context_iteration (NULL, FALSE);
      while (recv (rig->lines[1].fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        answers += answer[0] == GW_BUSMSG_DATAGRAM && answer[GW_BUSMSG_HEADER_LEN] == 22;
      node_down (&rig->lines[1]);
    }
  g_assert_cmpuint (answers, >=, GW_BUS_HANDSHAKE_BURST / 2);
  g_assert_cmpuint (answers, <=, 2 * GW_BUS_HANDSHAKE_BURST); /* two datagrams each */
  advance (rig, 1000);
  assert_at (rig, chip, 0);
}

/* ---- Strangers are bounded ---- */

/* A chip that forgets who it was: the next power-up makes a new key of it. */
static void
forget_identity (Lab *lab)
{
  gw_ep_shutdown (lab->ep);
  g_queue_clear_full (&lab->to_gateway, (GDestroyNotify) g_bytes_unref);
  g_clear_pointer (&lab->chip.nv[GW_EP_NV_HELPER], g_byte_array_unref);
  g_clear_pointer (&lab->chip.nv[GW_EP_NV_KEY_ID], g_byte_array_unref);
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
}

static void
test_strangers_are_bounded (void)
{
  g_autoptr (Rig) rig = rig_new ();
  Lab *stays = new_chip (rig, 1), *changes = new_chip (rig, 2);

  plug (rig, 0, stays);
  plug (rig, 1, changes);
  for (guint i = 0; i < GW_ROSTER_STRANGERS_MAX + 8; i++)
    {
      node_down (&rig->lines[1]);
      pump (rig);
      forget_identity (changes);
      rig->now += 1000;
      lab_clock_ms = rig->now;
      gw_clock_advance (rig->clock, G_USEC_PER_SEC);
      node_up (&rig->lines[1]);
      pump (rig);
      assert_at (rig, changes, 1);
    }
  g_assert_cmpuint (gw_roster_get_size (rig->roster), ==, GW_ROSTER_STRANGERS_MAX);
  g_assert_cmpuint (rig->added, ==, GW_ROSTER_STRANGERS_MAX + 10);
  g_assert_cmpuint (rig->removed, ==, 10);
  assert_at (rig, stays, 0); /* the first to come, but it lives */
}

static void
on_nothing (guint32 ready, gpointer data)
{
}

/* The kernel watches only so many descriptors of a user: a bus that is not heard must not stay as if it were. (Here it refuses one that
 * is watched already.) */
static void
test_a_bus_that_cannot_be_watched (void)
{
  Rig *self = rig_new ();
  Line *line = &self->lines[0];
  GwBusInfo info = { "deaf", "serial", "", "test" };
  GwFdWatch *other;
  int pair[2];

  detach (line);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
  line->fd = pair[1];
  other = gw_loop_watch (self->services.loop, pair[0], EPOLLIN, on_nothing, NULL);
  line->bus = gw_bus_new (self->services.loop, self->services.objects, self->services.bouncer, self->services.identity,
                          GW_OBJECT_ROOT "/bus/deaf", &info, pair[0], &bus_events, line);
  g_assert_null (line->gone); /* its owner does not have it yet */
  pump (self);
  g_assert_error (line->gone, GW_ERROR, GW_ERROR_FAILED);
  advance (self, 60 * 1000); /* and is told so once */
  gw_fd_watch_free (other);
  rig_free (self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/roster/a-stranger", test_a_stranger);
  g_test_add_func ("/roster/heard", test_heard);
  g_test_add_func ("/roster/another-chip-in-its-place", test_another_chip_in_its_place);
  g_test_add_func ("/roster/the-plugin-leaves", test_the_plugin_leaves);
  g_test_add_func ("/roster/moved-cable", test_moved_cable);
  g_test_add_func ("/roster/moved-cable-whose-old-line-hangs-up", test_moved_cable_whose_old_line_hangs_up);
  g_test_add_func ("/roster/clone", test_clone);
  g_test_add_func ("/roster/approve-the-original", test_approve_the_original);
  g_test_add_func ("/roster/approve-the-other", test_approve_the_other);
  g_test_add_func ("/roster/challenger-unplugged", test_challenger_unplugged);
  g_test_add_func ("/roster/two-challengers", test_two_challengers);
  g_test_add_func ("/roster/a-challenger-after-another", test_a_challenger_after_another);
  g_test_add_func ("/roster/clone-beside-one-that-signs", test_clone_beside_one_that_signs);
  g_test_add_func ("/roster/claims-without-proof", test_claims_without_proof);
  g_test_add_func ("/roster/handshakes-of-a-bus-are-bounded", test_handshakes_of_a_bus_are_bounded);
  g_test_add_func ("/roster/a-bus-that-cannot-be-watched", test_a_bus_that_cannot_be_watched);
  g_test_add_func ("/roster/strangers-are-bounded", test_strangers_are_bounded);
  return g_test_run ();
}
