/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See the header for the format. No state but the checksum's table, which is made once. */

#include "gw-spool-codec.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "gw-reader.h"

#define MAGIC 0x47575231u /* "GWR1" */
#define CRC_FROM 8u       /* the first octet that the checksum covers */
#define NUMBER_MAX UINT64_C (9999999999)

static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void
make_crc_table (void)
{
  for (uint32_t i = 0; i < 256; i++)
    {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; bit++)
        crc = crc & 1 ? crc >> 1 ^ UINT32_C (0x82f63b78) : crc >> 1;
      crc_table[0][i] = crc;
    }
  for (uint32_t i = 0; i < 256; i++)
    for (int k = 1; k < 8; k++)
      crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

/* Eight octets a step, each through its own table: start-up reads the whole spool through this. */
uint32_t
gw_spool_codec_crc32c (uint32_t crc, const void *data, size_t len)
{
  const uint8_t *p = data;

  pthread_once (&crc_once, make_crc_table);
  crc = ~crc;
  for (; len >= 8; len -= 8, p += 8)
    {
      uint32_t low
          = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
      crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff]
            ^ crc_table[4][low >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]]
            ^ crc_table[0][p[7]];
    }
  for (; len > 0; len--, p++)
    crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
  return ~crc;
}

static uint32_t
record_crc (const GwSpoolSegmentId *id, uint32_t offset, const uint8_t *record, size_t size)
{
  uint8_t place[20];

  gw_put_u64be (place, id->number);
  gw_put_u64be (place + 8, id->salt);
  gw_put_u32be (place + 16, offset);
  return gw_spool_codec_crc32c (gw_spool_codec_crc32c (0, place, sizeof place), record + CRC_FROM,
                                size - CRC_FROM);
}

size_t
gw_spool_codec_size (const GwSpoolHeader *header)
{
  return (size_t)GW_SPOOL_HEADER_LEN + header->payload_len;
}

void
gw_spool_codec_encode (const GwSpoolSegmentId *id,
                       uint32_t offset,
                       const GwSpoolHeader *header,
                       const void *payload,
                       uint8_t *out)
{
  size_t size = gw_spool_codec_size (header);

  memset (out, 0, GW_SPOOL_HEADER_LEN);
  gw_put_u32be (out, MAGIC);
  gw_put_u32be (out + 8, header->payload_len);
  out[12] = header->kind;
  out[13] = header->flags;
  gw_put_u64be (out + 16, header->seq);
  gw_put_u64be (out + 24, (uint64_t)header->time);
  gw_put_u64be (out + 32, header->q);
  memcpy (out + 40, header->boot, sizeof header->boot);
  gw_put_u32be (out + 44, header->lost);
  memcpy (out + 48, header->kid, sizeof header->kid);
  if (header->payload_len > 0)
    memcpy (out + GW_SPOOL_HEADER_LEN, payload, header->payload_len);
  gw_put_u32be (out + 4, record_crc (id, offset, out, size));
}

/* Numbers that no spool has given, and the owner that nobody is. */
static bool
is_plausible (const GwSpoolHeader *header)
{
  static const uint8_t nobody[sizeof header->kid];

  if (header->seq > INT64_MAX)
    return false;
  if (header->kind == GW_SPOOL_RECORD_ACK || header->kind == GW_SPOOL_RECORD_CHECKPOINT)
    return true;
  return (header->kind == GW_SPOOL_RECORD_REPORT || header->kind == GW_SPOOL_RECORD_EVENT) && header->seq > 0
         && memcmp (header->kid, nobody, sizeof nobody) != 0;
}

size_t
gw_spool_codec_decode (const GwSpoolSegmentId *id,
                       uint32_t offset,
                       const uint8_t *data,
                       size_t len,
                       GwSpoolHeader *out,
                       const uint8_t **payload)
{
  GwReader r;
  uint32_t magic, crc;
  uint16_t zero;
  GwBytes body;

  gw_reader_init (&r, data, len);
  magic = gw_reader_u32be (&r);
  crc = gw_reader_u32be (&r);
  out->payload_len = gw_reader_u32be (&r);
  out->kind = gw_reader_u8 (&r);
  out->flags = gw_reader_u8 (&r);
  zero = gw_reader_u16be (&r);
  out->seq = gw_reader_u64be (&r);
  out->time = (int64_t)gw_reader_u64be (&r);
  out->q = gw_reader_u64be (&r);
  gw_reader_copy (&r, out->boot, sizeof out->boot);
  out->lost = gw_reader_u32be (&r);
  gw_reader_copy (&r, out->kid, sizeof out->kid);
  if (!gw_reader_ok (&r) || magic != MAGIC || zero != 0 || out->payload_len > GW_SPOOL_RECORD_PAYLOAD_MAX)
    return 0;
  body = gw_reader_bytes (&r, out->payload_len);
  if (!gw_reader_ok (&r) || !is_plausible (out))
    return 0;
  if (crc != record_crc (id, offset, data, gw_spool_codec_size (out)))
    return 0;
  *payload = body.ptr;
  return gw_spool_codec_size (out);
}

size_t
gw_spool_codec_find (const uint8_t *data, size_t len, size_t from)
{
  static const uint8_t magic[4] = { MAGIC >> 24, MAGIC >> 16 & 0xff, MAGIC >> 8 & 0xff, MAGIC & 0xff };
  const uint8_t *at;

  if (from >= len)
    return len;
  at = memmem (data + from, len - from, magic, sizeof magic);
  return at == NULL ? len : (size_t)(at - data);
}

void
gw_spool_codec_put_ack (const GwSpoolState *state, uint8_t out[GW_SPOOL_ACK_LEN])
{
  memcpy (out, state->kid, sizeof state->kid);
  gw_put_u64be (out + 32, state->cursor);
  for (size_t i = 0; i < GW_SPOOL_DROPS; i++)
    gw_put_u64be (out + 40 + 8 * i, state->dropped[i]);
}

void
gw_spool_codec_put_state (const GwSpoolState *state, uint8_t out[GW_SPOOL_STATE_LEN])
{
  gw_spool_codec_put_ack (state, out);
  out += GW_SPOOL_ACK_LEN;
  gw_put_u64be (out, state->lost);
  gw_put_u64be (out + 8, state->q);
  memcpy (out + 16, state->boot, sizeof state->boot);
  gw_put_u32be (out + 20, state->has_last);
}

static void
read_ack (GwReader *r, GwSpoolState *out)
{
  memset (out, 0, sizeof *out);
  gw_reader_copy (r, out->kid, sizeof out->kid);
  out->cursor = gw_reader_u64be (r);
  for (size_t i = 0; i < GW_SPOOL_DROPS; i++)
    out->dropped[i] = gw_reader_u64be (r);
}

bool
gw_spool_codec_get_ack (const uint8_t *payload, size_t len, size_t i, GwSpoolState *out)
{
  GwReader r;

  if (i >= len / GW_SPOOL_ACK_LEN)
    return false;
  gw_reader_init (&r, payload + i * GW_SPOOL_ACK_LEN, GW_SPOOL_ACK_LEN);
  read_ack (&r, out);
  return gw_reader_ok (&r);
}

bool
gw_spool_codec_get_state (const uint8_t *payload, size_t len, size_t i, GwSpoolState *out)
{
  GwReader r;

  if (i >= len / GW_SPOOL_STATE_LEN)
    return false;
  gw_reader_init (&r, payload + i * GW_SPOOL_STATE_LEN, GW_SPOOL_STATE_LEN);
  read_ack (&r, out);
  out->lost = gw_reader_u64be (&r);
  out->q = gw_reader_u64be (&r);
  gw_reader_copy (&r, out->boot, sizeof out->boot);
  out->has_last = gw_reader_u32be (&r) != 0;
  return gw_reader_ok (&r);
}

void
gw_spool_codec_print_name (const GwSpoolSegmentId *id, char out[GW_SPOOL_NAME_LEN + 1])
{
  snprintf (out, GW_SPOOL_NAME_LEN + 1, "%010" PRIu64 "-%016" PRIx64 ".gws", id->number % (NUMBER_MAX + 1),
            id->salt);
}

static int
digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

bool
gw_spool_codec_parse_name (const char *name, GwSpoolSegmentId *out)
{
  if (strlen (name) != GW_SPOOL_NAME_LEN || name[10] != '-' || strcmp (name + 27, ".gws") != 0)
    return false;
  out->number = out->salt = 0;
  for (size_t i = 0; i < 10; i++)
    {
      if (digit (name[i]) > 9)
        return false;
      out->number = out->number * 10 + (uint64_t)digit (name[i]);
    }
  for (size_t i = 11; i < 27; i++)
    {
      if (digit (name[i]) > 15)
        return false;
      out->salt = out->salt << 4 | (uint64_t)digit (name[i]);
    }
  return out->number > 0;
}
