/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ISO-TP machines against each other: any length, both directions at once, any configuration, with and
 * without loss. What comes is what was sent, in order; without loss all of it comes. */
#include <string.h>

#include "isotp-bus.h"

#define ID_A 0x18DA01F1u
#define ID_B 0x18DAF101u
#define MESSAGES 30

static GByteArray *
random_message (GRand *rand, guint32 len)
{
  GByteArray *message = g_byte_array_sized_new (len);

  g_byte_array_set_size (message, len);
  for (guint32 i = 0; i < len; i++)
    message->data[i] = (guint8)g_rand_int (rand);
  return message;
}

static guint32
random_len (GRand *rand, guint32 max)
{
  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      return (guint32)g_rand_int_range (rand, 1, 9); /* around one frame */
    case 1:
      return (guint32)g_rand_int_range (rand, 50, 130);
    case 2:
      return (guint32)g_rand_int_range (rand, 4090, 4100);
    default:
      return (guint32)g_rand_int_range (rand, 1, (gint)max + 1);
    }
}

static void
random_config (GRand *rand, GwIsotpConfig *config, gboolean fd)
{
  static const guint8 dls[] = { 8, 12, 16, 20, 24, 32, 48, 64 };
  static const guint8 st_mins[] = { 0, 0, 0, 1, 2, 0xF1, 0xF9 };

  config->fd = fd;
  config->brs = g_rand_boolean (rand);
  config->tx_dl = fd ? dls[g_rand_int_range (rand, 0, G_N_ELEMENTS (dls))] : 8;
  config->pad = g_rand_boolean (rand);
  config->block_size = g_rand_boolean (rand) ? 0 : (guint8)g_rand_int_range (rand, 1, 40);
  config->st_min = st_mins[g_rand_int_range (rand, 0, G_N_ELEMENTS (st_mins))];
  config->window = (guint8)g_rand_int_range (rand, 1, GW_ISOTP_WINDOW_MAX + 1);
}

/* Hands every message to the bus as soon as the one before has left, both ways; takes away what came. */
static void
converse (IsotpBus *bus, guint32 max_len)
{
  GQueue expected[2] = { G_QUEUE_INIT, G_QUEUE_INIT }; /* by the receiver */
  guint left[2] = { MESSAGES, MESSAGES }, came[2] = { 0, 0 };
  gboolean more;

  do
    {
      for (guint i = 0; i < 2; i++)
        {
          GBytes *got;

          while ((got = g_queue_pop_head (&bus->node[i].delivered)))
            {
              GBytes *want;

              /* what is before it was lost */
              do
                want = g_queue_pop_head (&expected[i]);
              while (bus->loss > 0 && want && !g_bytes_equal (want, got) && (g_bytes_unref (want), TRUE));
              g_assert_nonnull (want);
              g_assert_true (g_bytes_equal (want, got));
              came[i]++;
              g_bytes_unref (want);
              g_bytes_unref (got);
            }
          if (bus->node[i].sending == NULL && left[i] > 0)
            {
              GByteArray *message = random_message (bus->rand, random_len (bus->rand, max_len));

              left[i]--;
              g_queue_push_tail (&expected[!i], g_bytes_new (message->data, message->len));
              isotp_bus_send (bus, i, message);
            }
        }
      more = isotp_bus_step (bus);
    }
  while (more || left[0] > 0 || left[1] > 0
         || bus->node[0].delivered.length + bus->node[1].delivered.length > 0);

  for (guint i = 0; i < 2; i++)
    {
      const GwIsotpCounters *counters = &bus->node[i].isotp.counters;

      g_assert_false (gw_isotp_is_sending (&bus->node[i].isotp));
      g_assert_false (gw_isotp_is_receiving (&bus->node[i].isotp));
      g_assert_cmpint (gw_isotp_due (&bus->node[i].isotp), ==, G_MAXINT64);
      g_assert_cmpuint (counters->messages_in, ==, came[i]);
      g_assert_cmpuint (counters->messages_out, ==, bus->node[i].sent);
      g_assert_cmpuint (counters->failures_out, ==, bus->node[i].failed_out);
      g_assert_cmpuint (bus->node[i].sent + bus->node[i].failed_out, ==, MESSAGES);
      if (bus->loss == 0)
        {
          g_assert_cmpuint (came[i], ==, MESSAGES);
          g_assert_cmpuint (counters->failures_in + counters->ignored + counters->late, ==, 0);
        }
      else
        g_assert_cmpuint (came[i], >, 0);
      g_queue_clear_full (&expected[i], (GDestroyNotify)g_bytes_unref);
    }
}

typedef struct
{
  gboolean fd[2];
  gdouble loss;
} Case;

static void
test_converse (gconstpointer data)
{
  const Case *c = data;

  for (guint32 seed = 1; seed <= 40; seed++)
    {
      GwIsotpConfig a, b;
      g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
      g_autoptr (IsotpBus) bus = NULL;

      gw_isotp_config_default (&a, ID_A, ID_B);
      gw_isotp_config_default (&b, ID_B, ID_A);
      random_config (rand, &a, c->fd[0]);
      random_config (rand, &b, c->fd[1]);
      bus = isotp_bus_new (&a, &b, 5000, seed);
      bus->loss = c->loss;
      bus->refusal = seed % 2 ? 0.1 : 0;
      converse (bus, 5000);
    }
}

/* More than 12 and more than 16 bits of length, over many sequence numbers. */
static void
test_long (void)
{
  for (guint fd = 0; fd < 2; fd++)
    {
      GwIsotpConfig a, b;
      g_autoptr (IsotpBus) bus = NULL;
      GByteArray *message;

      gw_isotp_config_default (&a, ID_A, ID_B);
      gw_isotp_config_default (&b, ID_B, ID_A);
      a.fd = b.fd = a.brs = b.brs = fd;
      a.tx_dl = b.tx_dl = fd ? 64 : 8;
      bus = isotp_bus_new (&a, &b, 200000, 1);
      message = random_message (bus->rand, 200000);
      isotp_bus_send (bus, 0, g_byte_array_ref (message));
      while (isotp_bus_step (bus))
        ;
      g_assert_cmpuint (bus->node[1].delivered.length, ==, 1);
      g_assert_cmpmem (g_bytes_get_data (bus->node[1].delivered.head->data, NULL),
                       g_bytes_get_size (bus->node[1].delivered.head->data), message->data, message->len);
      g_byte_array_unref (message);
    }
}

int
main (int argc, char **argv)
{
  static const Case classic = { { FALSE, FALSE }, 0 }, fd = { { TRUE, TRUE }, 0 },
                    mixed = { { TRUE, FALSE }, 0 }, lossy = { { FALSE, FALSE }, 0.005 },
                    lossy_fd = { { TRUE, TRUE }, 0.02 };

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/isotp-pair/classic", &classic, test_converse);
  g_test_add_data_func ("/isotp-pair/fd", &fd, test_converse);
  g_test_add_data_func ("/isotp-pair/mixed", &mixed, test_converse);
  g_test_add_data_func ("/isotp-pair/lossy", &lossy, test_converse);
  g_test_add_data_func ("/isotp-pair/lossy-fd", &lossy_fd, test_converse);
  g_test_add_func ("/isotp-pair/long", test_long);
  return g_test_run ();
}
