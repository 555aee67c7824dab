/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * GangwayBus:
 *
 * A field bus, attached to the agent by gangway_bus_attach_async() and from then on kept attached: when the agent goes
 * away ([signal@Gangway.Bus::detached]) the bus attaches again by itself as soon as there is one, after a jittered delay
 * of 0.2 to 5 s if it refuses, and announces the nodes that are up anew ([signal@Gangway.Bus::attached]).
 *
 * Datagrams from the agent come as [signal@Gangway.Bus::datagram]; a plugin must never stop the main loop, and keeps at
 * most %GANGWAY_NODE_QUEUE_MAX of them a node (gangway_node_queue_push()).
 *
 * When the D-Bus daemon itself goes, [signal@Gangway.Bus::lost] is emitted: the plugin exits with a failure and leaves
 * the restart to its supervisor, because a sandboxed process cannot connect anew.
 *
 * Since: 0.1
 */

#include "gangway-private.h"

#include "gangway-attachment.h"
#include "gangway-report.h"

struct _GangwayBus
{
  GObject parent_instance;

  char *name, *kind, *device, *plugin, *bus_address;
  gboolean sandbox;   /* enter it at the first attachment */
  gboolean sandboxed; /* in it */

  GangwayAttachment attachment;
  GTask *task; /* attach_async until its end */

  GPtrArray *nodes; /* GangwayNode by rising id */
  guint32 last_id;

  GangwayReport report;
};

G_DEFINE_FINAL_TYPE (GangwayBus, gangway_bus, G_TYPE_OBJECT)

enum
{
  PROP_NAME = 1,
  PROP_KIND,
  PROP_DEVICE,
  PROP_PLUGIN,
  PROP_BUS_ADDRESS,
  PROP_SANDBOX,
  PROP_ATTACHED,
  N_PROPS
};

enum
{
  SIGNAL_ATTACHED,
  SIGNAL_DETACHED,
  SIGNAL_REFUSED,
  SIGNAL_DATAGRAM,
  SIGNAL_SCAN,
  SIGNAL_LOST,
  N_SIGNALS
};

static GParamSpec *props[N_PROPS];
static guint signals[N_SIGNALS];

/* ---- What is told of the bus ---- */

void
gangway_bus_count_drop (GangwayBus *self)
{
  gangway_report_count_drop (&self->report);
}

void
gangway_bus_node_changed (GangwayBus *self, GangwayNode *node, gboolean now)
{
  gangway_report_node (&self->report, node, now);
}

/**
 * gangway_bus_set_stats:
 * @self: the bus
 * @stats: counters since the plugin started
 *
 * Shows the counters on the agent's Bus object: sent once a second at most, and only when they changed, so a plugin may
 * call this as often as it likes.
 *
 * Since: 0.1
 */
void
gangway_bus_set_stats (GangwayBus *self, const GangwayStats *stats)
{
  g_return_if_fail (GANGWAY_IS_BUS (self));
  g_return_if_fail (stats != NULL);
  gangway_report_set_stats (&self->report, stats);
}

/**
 * gangway_bus_set_link:
 * @self: the bus
 * @link: how the link is now
 *
 * Shows the state of the link on the agent's Bus object and lets the agent make its time-outs from the link's measured
 * round trip. Sent once a second at most, at once when state or culprit changed (a few times a second at most), and only
 * when something changed, so a plugin may call this as often as it likes. Told again by itself after the agent's restart.
 * A plugin that never calls it is served with the round trip of each gangway_bus_node_up().
 *
 * Since: 0.1
 */
void
gangway_bus_set_link (GangwayBus *self, const GangwayLink *link)
{
  g_return_if_fail (GANGWAY_IS_BUS (self));
  g_return_if_fail (link != NULL);
  g_return_if_fail (link->state <= GANGWAY_LINK_STATE_OFF);
  gangway_report_set_link (&self->report, link);
}

/* ---- Nodes ---- */

static void
announce (GangwayBus *self, GangwayNode *node)
{
  GangwaySocket *socket = gangway_attachment_get_socket (&self->attachment);
  GBytes *hello = gangway_node_get_hello (node);
  GwBusmsg msg = { .type = GW_BUSMSG_NODE_UP, .node = gangway_node_get_id (node) };
  gsize len = 0;

  msg.node_up.mtu = MIN (gangway_node_get_mtu (node), gangway_socket_get_datagram_max (socket));
  msg.node_up.rtt_ms = gangway_node_get_rtt_ms (node);
  msg.node_up.cbor.ptr = hello != NULL ? g_bytes_get_data (hello, &len) : NULL;
  msg.node_up.cbor.len = len;
  gangway_socket_send (socket, &msg);
  gangway_report_announced (&self->report, node);
}

static GangwayNode *
find_node (GangwayBus *self, guint32 id)
{
  guint low = 0, high = self->nodes->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      GangwayNode *node = g_ptr_array_index (self->nodes, middle);

      if (gangway_node_get_id (node) == id)
        return node;
      if (gangway_node_get_id (node) < id)
        low = middle + 1;
      else
        high = middle;
    }
  return NULL;
}

/**
 * gangway_bus_node_up:
 * @self: the bus
 * @mtu: largest datagram of the node in octets, at least 512
 * @rtt_ms: measured round trip in milliseconds, 0 = not measured
 * @hello: (nullable): the endpoint's hello answer, CBOR as it came, at most 512 octets
 * @error: return location
 *
 * Tells the agent of an endpoint on the bus; if there is no agent now, then when it comes. Errors:
 * %GANGWAY_ERROR_LIMIT (too many nodes, mtu or hello out of range).
 *
 * Returns: (transfer full): the node; it stays up until gangway_node_down(), also without this reference
 *
 * Since: 0.1
 */
GangwayNode *
gangway_bus_node_up (GangwayBus *self, guint mtu, guint rtt_ms, GBytes *hello, GError **error)
{
  GangwaySocket *socket;
  GangwayNode *node;
  guint most;

  g_return_val_if_fail (GANGWAY_IS_BUS (self), NULL);
  socket = gangway_attachment_get_socket (&self->attachment);
  most = socket != NULL ? gangway_socket_get_nodes_max (socket) : GW_BUSMSG_NODES_MAX;
  if (self->nodes->len >= most || self->last_id == G_MAXUINT32)
    {
      g_set_error (error, GANGWAY_ERROR, GANGWAY_ERROR_LIMIT, "the bus has %u nodes already", self->nodes->len);
      return NULL;
    }
  if (mtu < GW_BUSMSG_DATAGRAM_MIN || (hello != NULL && g_bytes_get_size (hello) > GW_BUSMSG_HELLO_CBOR_MAX))
    {
      g_set_error (error,
                   GANGWAY_ERROR,
                   GANGWAY_ERROR_LIMIT,
                   "a node needs an mtu of at least %u and a hello of at most %u octets",
                   GW_BUSMSG_DATAGRAM_MIN,
                   GW_BUSMSG_HELLO_CBOR_MAX);
      return NULL;
    }
  node = gangway_node_new (self, ++self->last_id, MIN (mtu, G_MAXUINT16), MIN (rtt_ms, G_MAXUINT16), hello);
  g_ptr_array_add (self->nodes, g_object_ref (node));
  if (socket != NULL)
    announce (self, node);
  return node;
}

void
gangway_bus_node_down (GangwayBus *self, GangwayNode *node, GangwayDownReason reason)
{
  const GwBusmsg msg = {
    .type = GW_BUSMSG_NODE_DOWN,
    .node = gangway_node_get_id (node),
    .node_down = { (GwBusmsgDown) reason },
  };
  GangwaySocket *socket = gangway_attachment_get_socket (&self->attachment);

  if (socket != NULL)
    gangway_socket_send (socket, &msg);
  g_ptr_array_remove (self->nodes, node);
  gangway_node_disown (node);
}

gboolean
gangway_bus_node_send (GangwayBus *self, GangwayNode *node, GBytes *datagram, GError **error)
{
  GwBusmsg msg = { .type = GW_BUSMSG_DATAGRAM, .node = gangway_node_get_id (node) };
  GangwaySocket *socket = gangway_attachment_get_socket (&self->attachment);

  msg.datagram.ptr = g_bytes_get_data (datagram, &msg.datagram.len);
  if (socket == NULL)
    {
      g_set_error_literal (error, GANGWAY_ERROR, GANGWAY_ERROR_NOT_ATTACHED, "no agent");
      gangway_bus_count_drop (self);
      return FALSE;
    }
  if (msg.datagram.len == 0 || msg.datagram.len > gangway_socket_get_datagram_max (socket))
    {
      g_set_error (error,
                   GANGWAY_ERROR,
                   GANGWAY_ERROR_LIMIT,
                   "a datagram has 1 to %u octets, not %zu",
                   gangway_socket_get_datagram_max (socket),
                   msg.datagram.len);
      return FALSE;
    }
  if (!gangway_socket_try_send (socket, &msg))
    {
      g_set_error_literal (error, GANGWAY_ERROR, GANGWAY_ERROR_BUSY, "the agent does not keep up");
      gangway_bus_count_drop (self);
      return FALSE;
    }
  return TRUE;
}

/* ---- Attaching ---- */

/* Ends attach_async, if it has not ended yet. */
static gboolean
end_task (GangwayBus *self, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->task);

  if (task == NULL)
    {
      g_clear_error (&error);
      return FALSE;
    }
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
  return TRUE;
}

static gboolean
on_enter (gpointer owner, GError **error)
{
  GangwayBus *self = owner;

  return !self->sandbox || gangway_bus_sandbox (self, error);
}

static void
on_attached (gpointer owner)
{
  GangwayBus *self = owner;
  GangwaySocket *socket = gangway_attachment_get_socket (&self->attachment);
  guint most = gangway_socket_get_nodes_max (socket);

  if (self->nodes->len > most)
    g_warning ("the agent takes %u nodes of this bus, %u are up: the last ones stay unseen", most, self->nodes->len);
  for (guint i = 0; i < MIN (self->nodes->len, most); i++)
    announce (self, g_ptr_array_index (self->nodes, i));
  gangway_report_attach (&self->report, socket);
  end_task (self, NULL);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_ATTACHED]);
  g_signal_emit (self, signals[SIGNAL_ATTACHED], 0);
}

static void
on_datagram (gpointer owner, guint id, const guint8 *data, gsize len)
{
  GangwayBus *self = owner;
  GangwayNode *node = find_node (self, id);
  g_autoptr (GBytes) datagram = NULL;

  /* Otherwise it crossed the node's NODE_DOWN. The emission holds the node and the bus. */
  if (node == NULL)
    return;
  datagram = g_bytes_new (data, len);
  g_signal_emit (self, signals[SIGNAL_DATAGRAM], 0, node, datagram);
}

static void
on_scan (gpointer owner)
{
  g_signal_emit (owner, signals[SIGNAL_SCAN], 0);
}

static void
on_leaving (gpointer owner)
{
  GangwayBus *self = owner;

  gangway_report_detach (&self->report);
}

static void
on_detached (gpointer owner, const GError *why)
{
  g_object_notify_by_pspec (owner, props[PROP_ATTACHED]);
  g_signal_emit (owner, signals[SIGNAL_DETACHED], 0, why->message);
}

static void
on_refused (gpointer owner, const GError *why)
{
  g_signal_emit (owner, signals[SIGNAL_REFUSED], 0, why->message);
}

static void
on_over (gpointer owner, const GError *why)
{
  if (!end_task (owner, g_error_copy (why)))
    g_signal_emit (owner, signals[SIGNAL_LOST], 0, why->message);
}

static const GangwayAttachmentFuncs attachment_funcs = {
  .enter = on_enter,
  .attached = on_attached,
  .datagram = on_datagram,
  .scan = on_scan,
  .leaving = on_leaving,
  .detached = on_detached,
  .refused = on_refused,
  .over = on_over,
};

static GVariant *
attach_options (GangwayBus *self)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "name", "s", self->name);
  g_variant_dict_insert (&dict, "kind", "s", self->kind);
  g_variant_dict_insert (&dict, "device", "s", self->device);
  g_variant_dict_insert (&dict, "plugin", "s", self->plugin);
  g_variant_dict_insert (&dict, "version", "u", GW_BUSMSG_VERSION);
  return g_variant_dict_end (&dict);
}

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  GangwayBus *self = data;

  if (self->task != NULL)
    gangway_bus_detach (self);
}

/**
 * gangway_bus_attach_async:
 * @self: the bus
 * @cancellable: (nullable): ends the waiting, not the attachment
 * @callback: (nullable): called when the bus is attached for the first time, or cannot be
 * @user_data: for @callback
 *
 * Connects to D-Bus and attaches the bus. If the agent is not there yet, this waits for it. The current thread-default
 * main context is the one in which everything of this bus runs from now on.
 *
 * Since: 0.1
 */
void
gangway_bus_attach_async (
    GangwayBus *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (GANGWAY_IS_BUS (self));
  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, gangway_bus_attach_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (gangway_attachment_is_started (&self->attachment))
    {
      g_task_return_new_error (task, GANGWAY_ERROR, GANGWAY_ERROR_FAILED, "the bus attaches already");
      return;
    }
  if (cancellable != NULL)
    g_signal_connect_object (cancellable, "cancelled", G_CALLBACK (on_cancelled), self, 0);
  self->task = g_steal_pointer (&task);
  gangway_attachment_start (&self->attachment, self->bus_address, attach_options (self));
}

/**
 * gangway_bus_attach_finish:
 * @self: the bus
 * @result: what the callback got
 * @error: return location
 *
 * Errors: %GANGWAY_ERROR_REFUSED, %GANGWAY_ERROR_SANDBOX, %GANGWAY_ERROR_FAILED, those of #GIOErrorEnum when D-Bus cannot
 * be reached, %G_IO_ERROR_CANCELLED.
 *
 * Returns: whether the bus is attached
 *
 * Since: 0.1
 */
gboolean
gangway_bus_attach_finish (GangwayBus *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * gangway_bus_detach:
 * @self: the bus
 *
 * Leaves the agent, which sees every node gone, and D-Bus. Nodes stay up in the plugin's eyes. A bus outside the sandbox
 * can be attached again.
 *
 * Since: 0.1
 */
void
gangway_bus_detach (GangwayBus *self)
{
  g_autoptr (GError) why = NULL;

  g_return_if_fail (GANGWAY_IS_BUS (self));
  why = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "detached");
  gangway_attachment_stop (&self->attachment, why);
  end_task (self, g_error_copy (why));
}

/**
 * gangway_bus_is_attached:
 * @self: the bus
 *
 * The state that [signal@Gangway.Bus::attached] and [signal@Gangway.Bus::detached] tell of.
 *
 * Returns: whether there is an agent now
 *
 * Since: 0.1
 */
gboolean
gangway_bus_is_attached (GangwayBus *self)
{
  g_return_val_if_fail (GANGWAY_IS_BUS (self), FALSE);
  return gangway_attachment_get_socket (&self->attachment) != NULL;
}

/**
 * gangway_bus_get_object_path:
 * @self: the bus
 *
 * Where the bus can be seen on D-Bus.
 *
 * Returns: (transfer none) (nullable): path of the agent's Bus object; %NULL while there is no agent
 *
 * Since: 0.1
 */
const char *
gangway_bus_get_object_path (GangwayBus *self)
{
  g_return_val_if_fail (GANGWAY_IS_BUS (self), NULL);
  return gangway_attachment_get_object_path (&self->attachment);
}

/**
 * gangway_bus_sandbox:
 * @self: the bus
 * @error: return location
 *
 * Restricts the whole process, all its threads, for good to the system calls that a bus with its device already open
 * needs: reading, writing, polling, memory, time. Opening a file, making a socket, starting a program or a thread fail
 * with EPERM from here on. Attaching again after the agent's restart still works. Done at the first attachment when
 * [property@Gangway.Bus:sandbox] is set. Twice is once.
 *
 * Returns: whether the filter stands; %GANGWAY_ERROR_SANDBOX otherwise
 *
 * Since: 0.1
 */
gboolean
gangway_bus_sandbox (GangwayBus *self, GError **error)
{
  g_return_val_if_fail (GANGWAY_IS_BUS (self), FALSE);
  if (!self->sandboxed)
    self->sandboxed = gangway_sandbox_enter (error);
  return self->sandboxed;
}

/* ---- The object ---- */

/**
 * gangway_bus_new:
 * @name: the bus's name, 1 to 32 of [a-zA-Z0-9_-]
 * @kind: "serial", "can" or a word of your own, 1 to 32 octets
 * @device: (nullable): the device as a person knows it, at most 128 octets
 *
 * Makes a bus outside the sandbox. A plugin sets [property@Gangway.Bus:sandbox] and [property@Gangway.Bus:plugin] besides, before
 * it attaches the bus, or makes the bus with g_object_new() and all of them at once. What is wrong with the words is told by
 * gangway_bus_attach_finish(), since the agent judges them.
 *
 * Returns: (transfer full): a bus that is not attached yet
 *
 * Since: 0.1
 */
GangwayBus *
gangway_bus_new (const char *name, const char *kind, const char *device)
{
  g_return_val_if_fail (name != NULL && kind != NULL, NULL);
  return g_object_new (GANGWAY_TYPE_BUS, "name", name, "kind", kind, "device", device, NULL);
}

static void
gangway_bus_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  GangwayBus *self = GANGWAY_BUS (object);
  char **text[] = { [PROP_NAME] = &self->name,     [PROP_KIND] = &self->kind,
                    [PROP_DEVICE] = &self->device, [PROP_PLUGIN] = &self->plugin };

  switch (prop_id)
    {
    case PROP_NAME:
    case PROP_KIND:
    case PROP_DEVICE:
    case PROP_PLUGIN:
      /* They travel in AttachBus, where nothing is nullable. */
      g_free (*text[prop_id]);
      *text[prop_id] = g_strdup (g_value_get_string (value) != NULL ? g_value_get_string (value) : "");
      break;
    case PROP_BUS_ADDRESS:
      self->bus_address = g_value_dup_string (value);
      break;
    case PROP_SANDBOX:
      self->sandbox = g_value_get_boolean (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gangway_bus_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GangwayBus *self = GANGWAY_BUS (object);

  switch (prop_id)
    {
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_KIND:
      g_value_set_string (value, self->kind);
      break;
    case PROP_DEVICE:
      g_value_set_string (value, self->device);
      break;
    case PROP_PLUGIN:
      g_value_set_string (value, self->plugin);
      break;
    case PROP_BUS_ADDRESS:
      g_value_set_string (value, self->bus_address);
      break;
    case PROP_SANDBOX:
      g_value_set_boolean (value, self->sandbox);
      break;
    case PROP_ATTACHED:
      g_value_set_boolean (value, gangway_bus_is_attached (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gangway_bus_dispose (GObject *object)
{
  GangwayBus *self = GANGWAY_BUS (object);

  gangway_attachment_clear (&self->attachment);
  for (guint i = 0; i < self->nodes->len; i++)
    gangway_node_disown (g_ptr_array_index (self->nodes, i));
  g_ptr_array_set_size (self->nodes, 0);
  G_OBJECT_CLASS (gangway_bus_parent_class)->dispose (object);
}

static void
gangway_bus_finalize (GObject *object)
{
  GangwayBus *self = GANGWAY_BUS (object);

  g_ptr_array_unref (self->nodes);
  g_free (self->name);
  g_free (self->kind);
  g_free (self->device);
  g_free (self->plugin);
  g_free (self->bus_address);
  G_OBJECT_CLASS (gangway_bus_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
  /* What gangway_bus_new() does not take. */
  const GParamFlags later = G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS;

  /**
   * GangwayBus:name:
   *
   * The bus's name, 1 to 32 of [a-zA-Z0-9_-]; it becomes the last part of the agent's object path.
   *
   * Since: 0.1
   */
  props[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, flags);
  /**
   * GangwayBus:kind:
   *
   * "serial", "can" or the plugin's own word: 1 to 32 octets of UTF-8 without control characters.
   *
   * Since: 0.1
   */
  props[PROP_KIND] = g_param_spec_string ("kind", NULL, NULL, NULL, flags);
  /**
   * GangwayBus:device:
   *
   * The device as a person knows it, at most 128 octets of UTF-8 without control characters.
   *
   * Since: 0.1
   */
  props[PROP_DEVICE] = g_param_spec_string ("device", NULL, NULL, NULL, flags);
  /**
   * GangwayBus:plugin:
   *
   * Program and version of the plugin, at most 128 octets of UTF-8 without control characters. Told to the agent at
   * gangway_bus_attach_async().
   *
   * Since: 0.1
   */
  props[PROP_PLUGIN] = g_param_spec_string ("plugin", NULL, NULL, NULL, later);
  /**
   * GangwayBus:bus-address:
   *
   * D-Bus address; %NULL = the system bus.
   *
   * Since: 0.1
   */
  props[PROP_BUS_ADDRESS] = g_param_spec_string ("bus-address", NULL, NULL, NULL, flags);
  /**
   * GangwayBus:sandbox:
   *
   * Whether gangway_bus_sandbox() is done at the next attachment, before [signal@Gangway.Bus::attached]. What is set once
   * it is done changes nothing.
   *
   * Since: 0.1
   */
  props[PROP_SANDBOX] = g_param_spec_boolean ("sandbox", NULL, NULL, FALSE, later);
  /**
   * GangwayBus:attached: (getter is_attached)
   *
   * Whether there is an agent now.
   *
   * Since: 0.1
   */
  props[PROP_ATTACHED] = g_param_spec_boolean (
      "attached", NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static guint
signal_new (const char *name, guint n_args, GType first, GType second)
{
  return g_signal_new (
      name, GANGWAY_TYPE_BUS, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, n_args, first, second);
}

static void
gangway_bus_class_init (GangwayBusClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->set_property = gangway_bus_set_property;
  object_class->get_property = gangway_bus_get_property;
  object_class->dispose = gangway_bus_dispose;
  object_class->finalize = gangway_bus_finalize;
  install_properties (object_class);

  /**
   * GangwayBus::attached:
   * @bus: the bus
   *
   * The agent has the bus and all nodes that are up; at the first time and after every restart of the agent.
   *
   * Since: 0.1
   */
  signals[SIGNAL_ATTACHED] = signal_new ("attached", 0, G_TYPE_NONE, G_TYPE_NONE);
  /**
   * GangwayBus::detached:
   * @bus: the bus
   * @why: the reason, for a log line
   *
   * The agent is gone. Attaching again goes on by itself, unless it was gangway_bus_detach().
   *
   * Since: 0.1
   */
  signals[SIGNAL_DETACHED] = signal_new ("detached", 1, G_TYPE_STRING, G_TYPE_NONE);
  /**
   * GangwayBus::refused:
   * @bus: the bus
   * @why: the reason, for a log line
   *
   * The agent does not take the bus at the moment; it is asked again. Emitted once for each new reason.
   *
   * Since: 0.1
   */
  signals[SIGNAL_REFUSED] = signal_new ("refused", 1, G_TYPE_STRING, G_TYPE_NONE);
  /**
   * GangwayBus::datagram:
   * @bus: the bus
   * @node: the node it is for, which is up
   * @datagram: the datagram
   *
   * The agent sends a datagram to a node.
   *
   * Since: 0.1
   */
  signals[SIGNAL_DATAGRAM] = signal_new ("datagram", 2, GANGWAY_TYPE_NODE, G_TYPE_BYTES);
  /**
   * GangwayBus::scan:
   * @bus: the bus
   *
   * Somebody wants endpoints to be looked for now.
   *
   * Since: 0.1
   */
  signals[SIGNAL_SCAN] = signal_new ("scan", 0, G_TYPE_NONE, G_TYPE_NONE);
  /**
   * GangwayBus::lost:
   * @bus: the bus
   * @why: the reason, for a log line
   *
   * D-Bus is gone. Exit with a failure: a supervisor starts the plugin anew.
   *
   * Since: 0.1
   */
  signals[SIGNAL_LOST] = signal_new ("lost", 1, G_TYPE_STRING, G_TYPE_NONE);
}

static void
gangway_bus_init (GangwayBus *self)
{
  self->nodes = g_ptr_array_new_with_free_func (g_object_unref);
  gangway_report_init (&self->report, self->nodes);
  gangway_attachment_init (&self->attachment, &attachment_funcs, self);
  /* The generator of the jitter seeds itself from a file, which the sandbox would refuse. */
  g_random_int ();
}
