/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ISO-TP on an imagined bus of true bit timing, 29-bit ids: the payload of one node against the bound that
 * its full consecutive frames set, (octets of payload in one) / (its bits, stuff bits counted, at the bit
 * rates). What is missing are first frames, flow control, half-full last frames - and any moment in which a
 * machine has nothing ready, which is what this is for. Time is not the machine's, so load does not matter;
 * the processor time for a frame does take it from the machine. bench-isotp [MESSAGES]. One JSON object a
 * line; fails below REACH. */

#include <stdlib.h>
#include <time.h>

#include "isotp-bus.h"

#define ID_GATEWAY 0x18DA01F1u
#define ID_NODE 0x18DAF101u
#define LEN_MAX 4095
#define REACH 0.9 /* of the bound, for messages of DATAGRAM octets and more */
#define DATAGRAM 512

typedef struct
{
  const char *kind;
  gboolean fd;
  guint8 block_size;
  gboolean both;
} Setup;

static double
processor_seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static GByteArray *
random_message (GRand *rand, guint len)
{
  GByteArray *message = g_byte_array_sized_new (len);

  for (guint i = 0; i < len; i++)
    {
      guint8 octet = (guint8)g_rand_int (rand); /* as encrypted records are */

      g_byte_array_append (message, &octet, 1);
    }
  return message;
}

static gboolean
measure (const Setup *setup, guint len, guint messages)
{
  GwIsotpConfig a, b;
  g_autoptr (IsotpBus) bus = NULL;
  guint left[2] = { messages, setup->both ? messages : 0 };
  guint per_frame = setup->fd ? 63 : 7;
  double payload, bound, share, cpu;

  gw_isotp_config_default (&a, ID_NODE, ID_GATEWAY);
  a.fd = a.brs = setup->fd;
  a.tx_dl = setup->fd ? 64 : 8;
  a.block_size = setup->block_size;
  b = a;
  b.tx_id = a.rx_id;
  b.rx_id = a.tx_id;
  bus = isotp_bus_new (&a, &b, LEN_MAX, 1);
  cpu = processor_seconds ();
  do
    for (guint i = 0; i < 2; i++)
      if (bus->node[i].sending == NULL && left[i] > 0)
        {
          left[i]--;
          isotp_bus_send (bus, i, random_message (bus->rand, len));
        }
  while (isotp_bus_step (bus) || left[0] > 0 || left[1] > 0);
  cpu = processor_seconds () - cpu;
  g_assert_cmpuint (bus->node[1].delivered.length, ==, messages);
  payload = (double)len * (bus->node[0].delivered.length + bus->node[1].delivered.length)
            / ((double)bus->now / 1e9);
  bound = (double)per_frame * (double)bus->full_frames / ((double)bus->full_nsec / 1e9);
  share = payload / bound;
  g_print ("{\"bench\": \"isotp\", \"bus\": \"%s\", \"both_ways\": %s, \"block_size\": %u, \"octets\": %u,"
           " \"payload_per_second\": %.0f, \"bound_per_second\": %.0f, \"share\": %.3f, "
           "\"cpu_ns_per_frame\": %.0f}\n",
           setup->kind, setup->both ? "true" : "false", setup->block_size, len, payload, bound, share,
           cpu * 1e9 / (double)bus->frames);
  return share >= REACH || len < DATAGRAM || setup->block_size > 0;
}

int
main (int argc, char **argv)
{
  static const Setup setups[] = {
    { "500k", FALSE, 0, FALSE },   { "500k", FALSE, 8, FALSE },  { "500k", FALSE, 0, TRUE },
    { "500k/2M", TRUE, 0, FALSE }, { "500k/2M", TRUE, 0, TRUE },
  };
  static const guint lens[] = { 200, DATAGRAM, 1024, LEN_MAX };
  guint messages = argc > 1 ? (guint)atoi (argv[1]) : 200;
  gboolean good = TRUE;

  for (gsize i = 0; i < G_N_ELEMENTS (setups); i++)
    for (gsize k = 0; k < G_N_ELEMENTS (lens); k++)
      good &= measure (&setups[i], lens[k], messages);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
