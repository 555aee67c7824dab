/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "isotp-bus.h"

#define USEC G_GINT64_CONSTANT (1000)

IsotpBus *
isotp_bus_new (const GwIsotpConfig *a, const GwIsotpConfig *b, gsize rx_size, guint32 seed)
{
  const GwIsotpConfig *configs[] = { a, b };
  IsotpBus *bus = g_new0 (IsotpBus, 1);

  for (guint i = 0; i < 2; i++)
    {
      bus->node[i].buffer = g_malloc (rx_size);
      gw_isotp_init (&bus->node[i].isotp, configs[i], bus->node[i].buffer, rx_size);
      g_queue_init (&bus->node[i].delivered);
    }
  bus->bit_rate = 500000;
  bus->data_rate = 2000000;
  bus->rand = g_rand_new_with_seed (seed);
  return bus;
}

void
isotp_bus_free (IsotpBus *bus)
{
  for (guint i = 0; i < 2; i++)
    {
      g_free (bus->node[i].buffer);
      g_clear_pointer (&bus->node[i].sending, g_byte_array_unref);
      g_queue_clear_full (&bus->node[i].delivered, (GDestroyNotify)g_bytes_unref);
    }
  g_rand_free (bus->rand);
  g_free (bus);
}

void
isotp_bus_send (IsotpBus *bus, guint from, GByteArray *message)
{
  IsotpBusNode *node = &bus->node[from];

  g_assert_null (node->sending);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ message->data, message->len }, bus->now / USEC),
                   ==, GW_OK);
  node->sending = message;
}

static void
on_event (IsotpBusNode *node, GwIsotpEvent event)
{
  GwBytes message = gw_isotp_message (&node->isotp);

  switch (event)
    {
    case GW_ISOTP_NOTHING:
      return;
    case GW_ISOTP_RECEIVED:
      g_queue_push_tail (&node->delivered, g_bytes_new (message.ptr, message.len));
      return;
    case GW_ISOTP_RECEIVE_FAILED:
      node->failed_in++;
      return;
    case GW_ISOTP_SENT:
      node->sent++;
      break;
    case GW_ISOTP_SEND_FAILED:
      node->failed_out++;
      break;
    default:
      g_assert_not_reached ();
    }
  g_assert_false (gw_isotp_is_sending (&node->isotp));
  g_clear_pointer (&node->sending, g_byte_array_unref);
}

/* The winner's oldest frame goes over the bus. */
static void
carry (IsotpBus *bus, guint from)
{
  IsotpBusNode *node = &bus->node[from], *other = &bus->node[!from];
  GwCanFrame frame = node->queue[0];
  gint64 nsec = (gint64)gw_can_frame_nsec (&frame, bus->bit_rate, bus->data_rate);
  gboolean heard_first
      = g_rand_boolean (bus->rand); /* by the other, before the sender knows that it went out */

  g_assert_true (gw_can_frame_is_valid (&frame));
  memmove (node->queue, node->queue + 1, --node->waiting * sizeof frame);
  bus->now += nsec;
  bus->frames++;
  if (frame.data[0] >> 4 == GW_ISOTP_CONSECUTIVE && frame.len == node->isotp.config.tx_dl)
    {
      bus->full_frames++;
      bus->full_nsec += nsec;
    }
  if (!heard_first)
    on_event (node, gw_isotp_confirm (&node->isotp, bus->now / USEC));
  if (bus->loss == 0 || g_rand_double (bus->rand) >= bus->loss)
    on_event (other, gw_isotp_take (&other->isotp, &frame, bus->now / USEC));
  if (heard_first)
    on_event (node, gw_isotp_confirm (&node->isotp, bus->now / USEC));
}

static void
fill (IsotpBus *bus, IsotpBusNode *node)
{
  while (gw_isotp_pull (&node->isotp, bus->now / USEC, &node->queue[node->waiting]))
    {
      node->waiting++;
      if (bus->refusal > 0 && g_rand_double (bus->rand) < bus->refusal)
        for (guint n = (guint)g_rand_int_range (bus->rand, 1, (gint)node->waiting + 1); n > 0; n--)
          {
            gw_isotp_unpull (&node->isotp);
            node->waiting--;
          }
    }
}

gboolean
isotp_bus_step (IsotpBus *bus)
{
  IsotpBusNode *a = &bus->node[0], *b = &bus->node[1];
  gint64 due = G_MAXINT64;
  GwIsotpEvent event;

  for (guint i = 0; i < 2; i++)
    {
      IsotpBusNode *node = &bus->node[i];

      while ((event = gw_isotp_tick (&node->isotp, bus->now / USEC)) != GW_ISOTP_NOTHING)
        on_event (node, event);
      g_assert_cmpint (gw_isotp_due (&node->isotp), >, bus->now / USEC);
      fill (bus, node);
      due = MIN (due, gw_isotp_due (&node->isotp));
    }
  if (a->waiting > 0 || b->waiting > 0)
    carry (bus, a->waiting == 0 || (b->waiting > 0 && gw_can_frame_wins (&b->queue[0], &a->queue[0])));
  else if (due < G_MAXINT64)
    bus->now = MAX (bus->now, due * USEC);
  else
    return FALSE;
  return TRUE;
}
