/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * GangwayNode:
 *
 * An endpoint's place on a bus, from gangway_bus_node_up() to gangway_node_down(). What is reported of it is a hint to
 * the agent, never a proof. The bus keeps a reference while the node is up.
 *
 * Since: 0.1
 */

#include "gangway-private.h"

#include "gw-busmsg-codec.h"

G_STATIC_ASSERT (GANGWAY_NODE_QUEUE_MAX == GW_BUSMSG_NODE_QUEUE);

struct _GangwayNode
{
  GObject parent_instance;

  GangwayBus *bus; /* NULL once down */
  guint id, mtu, rtt_ms;
  GBytes *hello;
  GQueue queue; /* GBytes for the wire */
  guint64 dropped;
  guint address;    /* 0: not told */
  guint64 retries;
  gboolean dirty; /* the agent has not heard of the two above */
};

G_DEFINE_FINAL_TYPE (GangwayNode, gangway_node, G_TYPE_OBJECT)

enum
{
  PROP_ID = 1,
  PROP_MTU,
  PROP_RTT_MS,
  PROP_HELLO,
  PROP_UP,
  PROP_ADDRESS,
  PROP_RETRIES,
  N_PROPS
};

static GParamSpec *props[N_PROPS];

static void
gangway_node_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  GangwayNode *self = GANGWAY_NODE (object);

  switch (prop_id)
    {
    case PROP_ID:
      g_value_set_uint (value, self->id);
      break;
    case PROP_MTU:
      g_value_set_uint (value, self->mtu);
      break;
    case PROP_RTT_MS:
      g_value_set_uint (value, self->rtt_ms);
      break;
    case PROP_HELLO:
      g_value_set_boxed (value, self->hello);
      break;
    case PROP_UP:
      g_value_set_boolean (value, self->bus != NULL);
      break;
    case PROP_ADDRESS:
      g_value_set_uint (value, self->address);
      break;
    case PROP_RETRIES:
      g_value_set_uint64 (value, self->retries);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
gangway_node_finalize (GObject *object)
{
  GangwayNode *self = GANGWAY_NODE (object);

  g_queue_clear_full (&self->queue, (GDestroyNotify) g_bytes_unref);
  g_clear_pointer (&self->hello, g_bytes_unref);
  G_OBJECT_CLASS (gangway_node_parent_class)->finalize (object);
}

static void
gangway_node_class_init (GangwayNodeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->get_property = gangway_node_get_property;
  object_class->finalize = gangway_node_finalize;

  /**
   * GangwayNode:id:
   *
   * The node's number on the bus socket; never used twice by one bus object.
   *
   * Since: 0.1
   */
  props[PROP_ID] = g_param_spec_uint ("id", NULL, NULL, 0, G_MAXUINT32, 0, flags);
  /**
   * GangwayNode:mtu:
   *
   * Largest datagram of the node in octets.
   *
   * Since: 0.1
   */
  props[PROP_MTU] = g_param_spec_uint ("mtu", NULL, NULL, 0, G_MAXUINT16, 0, flags);
  /**
   * GangwayNode:rtt-ms:
   *
   * Round trip that the plugin measured, in milliseconds; 0 = not measured.
   *
   * Since: 0.1
   */
  props[PROP_RTT_MS] = g_param_spec_uint ("rtt-ms", NULL, NULL, 0, G_MAXUINT16, 0, flags);
  /**
   * GangwayNode:hello:
   *
   * The endpoint's hello answer, CBOR as it came.
   *
   * Since: 0.1
   */
  props[PROP_HELLO] = g_param_spec_boxed ("hello", NULL, NULL, G_TYPE_BYTES, flags);
  /**
   * GangwayNode:up: (getter is_up)
   *
   * Whether the node is up. Notified when it goes down.
   *
   * Since: 0.1
   */
  props[PROP_UP] = g_param_spec_boolean ("up", NULL, NULL, FALSE, flags);
  /**
   * GangwayNode:address:
   *
   * The node's address on the wire; 0 = none.
   *
   * Since: 0.1
   */
  props[PROP_ADDRESS] = g_param_spec_uint ("address", NULL, NULL, 0, G_MAXUINT16, 0, flags);
  /**
   * GangwayNode:retries:
   *
   * Transfers to or from the node that were begun again.
   *
   * Since: 0.1
   */
  props[PROP_RETRIES] = g_param_spec_uint64 ("retries", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
gangway_node_init (GangwayNode *self)
{
  g_queue_init (&self->queue);
}

GangwayNode *
gangway_node_new (GangwayBus *bus, guint id, guint mtu, guint rtt_ms, GBytes *hello)
{
  GangwayNode *self = g_object_new (GANGWAY_TYPE_NODE, NULL);

  self->bus = bus;
  self->id = id;
  self->mtu = mtu;
  self->rtt_ms = rtt_ms;
  self->hello = hello != NULL ? g_bytes_ref (hello) : NULL;
  return self;
}

void
gangway_node_disown (GangwayNode *self)
{
  self->bus = NULL;
  g_queue_clear_full (&self->queue, (GDestroyNotify) g_bytes_unref);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_UP]);
}

/**
 * gangway_node_get_id:
 * @self: the node
 *
 * The number stays the same when the agent restarts.
 *
 * Returns: its number on the bus socket
 *
 * Since: 0.1
 */
guint
gangway_node_get_id (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return self->id;
}

/**
 * gangway_node_get_mtu:
 * @self: the node
 *
 * What the plugin said; the agent may take less (%GANGWAY_ERROR_LIMIT).
 *
 * Returns: its largest datagram in octets
 *
 * Since: 0.1
 */
guint
gangway_node_get_mtu (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return self->mtu;
}

gboolean
gangway_node_is_dirty (GangwayNode *self)
{
  return self->dirty;
}

void
gangway_node_set_dirty (GangwayNode *self, gboolean dirty)
{
  self->dirty = dirty;
}

/**
 * gangway_node_set_address:
 * @self: the node
 * @address: node number or station on the wire, 1 to 65535; 0 = none
 *
 * Tells which address the node has on the wire, for the operator: as the endpoint's address and where a culprit is named
 * ([method@Gangway.Bus.set_link]). Best right after gangway_bus_node_up().
 *
 * Since: 0.1
 */
void
gangway_node_set_address (GangwayNode *self, guint address)
{
  g_return_if_fail (GANGWAY_IS_NODE (self));
  g_return_if_fail (address <= G_MAXUINT16);
  if (self->address == address)
    return;
  self->address = address;
  if (self->bus != NULL)
    gangway_bus_node_changed (self->bus, self, TRUE);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_ADDRESS]);
}

/**
 * gangway_node_get_address:
 * @self: the node
 *
 * What gangway_node_set_address() said.
 *
 * Returns: the node's address on the wire; 0 = none
 *
 * Since: 0.1
 */
guint
gangway_node_get_address (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return self->address;
}

/**
 * gangway_node_set_retries:
 * @self: the node
 * @retries: transfers to or from it that were begun again, since it is up
 *
 * Shows the counter on the agent's Bus object. Sent once a second at most, and only when it changed.
 *
 * Since: 0.1
 */
void
gangway_node_set_retries (GangwayNode *self, guint64 retries)
{
  g_return_if_fail (GANGWAY_IS_NODE (self));
  if (self->retries == retries)
    return;
  self->retries = retries;
  if (self->bus != NULL)
    gangway_bus_node_changed (self->bus, self, FALSE);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_RETRIES]);
}

/**
 * gangway_node_get_retries:
 * @self: the node
 *
 * What gangway_node_set_retries() said.
 *
 * Returns: transfers that were begun again
 *
 * Since: 0.1
 */
guint64
gangway_node_get_retries (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return self->retries;
}

guint
gangway_node_get_rtt_ms (GangwayNode *self)
{
  return self->rtt_ms;
}

/**
 * gangway_node_get_hello:
 * @self: the node
 *
 * What the plugin gave gangway_bus_node_up().
 *
 * Returns: (transfer none) (nullable): the endpoint's hello answer, CBOR as it came
 *
 * Since: 0.1
 */
GBytes *
gangway_node_get_hello (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), NULL);
  return self->hello;
}

/**
 * gangway_node_is_up:
 * @self: the node
 *
 * A node that is down stays down: an endpoint that comes back is a new node.
 *
 * Returns: whether gangway_node_down() is still to come
 *
 * Since: 0.1
 */
gboolean
gangway_node_is_up (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), FALSE);
  return self->bus != NULL;
}

/**
 * gangway_node_down:
 * @self: the node
 * @reason: why
 *
 * Tells the agent that the node has left the bus. Its queue is emptied. Nothing happens if it is down already. The bus
 * drops its reference.
 *
 * Since: 0.1
 */
void
gangway_node_down (GangwayNode *self, GangwayDownReason reason)
{
  GangwayBus *bus;

  g_return_if_fail (GANGWAY_IS_NODE (self));
  g_return_if_fail (reason >= GANGWAY_DOWN_REASON_GONE && reason <= GANGWAY_DOWN_REASON_REPLACED);
  bus = self->bus;
  if (bus == NULL)
    return;
  g_object_ref (self);
  gangway_bus_node_down (bus, self, reason);
  g_object_unref (self);
}

/**
 * gangway_node_send:
 * @self: the node
 * @datagram: a datagram that came from it
 * @error: return location
 *
 * Carries a datagram to the agent. It never waits: while the agent is away or busy the datagram is dropped and counted,
 * as datagrams may be. Errors: %GANGWAY_ERROR_NODE_DOWN, %GANGWAY_ERROR_NOT_ATTACHED, %GANGWAY_ERROR_BUSY,
 * %GANGWAY_ERROR_LIMIT (empty, or larger than was agreed on).
 *
 * Returns: whether it was handed over
 *
 * Since: 0.1
 */
gboolean
gangway_node_send (GangwayNode *self, GBytes *datagram, GError **error)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), FALSE);
  g_return_val_if_fail (datagram != NULL, FALSE);
  if (self->bus == NULL)
    {
      g_set_error_literal (error, GANGWAY_ERROR, GANGWAY_ERROR_NODE_DOWN, "the node is down");
      return FALSE;
    }
  return gangway_bus_node_send (self->bus, self, datagram, error);
}

/**
 * gangway_node_queue_push:
 * @self: the node
 * @datagram: a datagram for it
 *
 * Keeps a datagram until the wire is free. At most %GANGWAY_NODE_QUEUE_MAX are kept; beyond that the new one is dropped
 * and counted, also in the bus's counters.
 *
 * Returns: whether it was kept
 *
 * Since: 0.1
 */
gboolean
gangway_node_queue_push (GangwayNode *self, GBytes *datagram)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), FALSE);
  g_return_val_if_fail (datagram != NULL, FALSE);
  if (self->bus == NULL || g_queue_get_length (&self->queue) >= GANGWAY_NODE_QUEUE_MAX)
    {
      self->dropped++;
      if (self->bus != NULL)
        gangway_bus_count_drop (self->bus);
      return FALSE;
    }
  g_queue_push_tail (&self->queue, g_bytes_ref (datagram));
  return TRUE;
}

/**
 * gangway_node_queue_pop:
 * @self: the node
 *
 * Takes the oldest datagram out of the queue.
 *
 * Returns: (transfer full) (nullable): the oldest datagram that waits for the wire
 *
 * Since: 0.1
 */
GBytes *
gangway_node_queue_pop (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), NULL);
  return g_queue_pop_head (&self->queue);
}

/**
 * gangway_node_queue_get_length:
 * @self: the node
 *
 * For a plugin that looks before it pushes.
 *
 * Returns: how many datagrams wait for the wire
 *
 * Since: 0.1
 */
guint
gangway_node_queue_get_length (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return g_queue_get_length (&self->queue);
}

/**
 * gangway_node_get_dropped:
 * @self: the node
 *
 * Datagrams of this node that found its queue full.
 *
 * Returns: how many datagrams gangway_node_queue_push() dropped
 *
 * Since: 0.1
 */
guint64
gangway_node_get_dropped (GangwayNode *self)
{
  g_return_val_if_fail (GANGWAY_IS_NODE (self), 0);
  return self->dropped;
}
