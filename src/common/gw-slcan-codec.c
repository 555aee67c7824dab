/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-slcan-codec.h"

#include <string.h>

#define CR '\r'
#define LF '\n'
#define BEL '\a'

#define BASE_ID_DIGITS 3
#define EXTENDED_ID_DIGITS 8
#define TIMESTAMP_DIGITS 4
#define TIMESTAMP_END 60000u
#define STATUS_DIGITS 2
#define VERSION_DIGITS 4
#define SERIAL_DIGITS 4
#define COUNTER_DIGITS 3
#define COUNTER_MAX 999u
#define SPEED_MAX 8u

/* ---- Bit rates ---- */

static const uint32_t rates[SPEED_MAX + 1]
    = { 10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000 };

int
gw_slcan_speed_of_rate (uint32_t bit_rate)
{
  for (unsigned i = 0; i <= SPEED_MAX; i++)
    if (rates[i] == bit_rate)
      return (int)i;
  return -1;
}

uint32_t
gw_slcan_rate_of_speed (unsigned digit)
{
  return digit <= SPEED_MAX ? rates[digit] : 0;
}

uint32_t
gw_slcan_rate_of_data_speed (unsigned digit)
{
  if (digit > SPEED_MAX)
    return 0;
  return digit == 0 ? 500000 : digit * 1000000;
}

int
gw_slcan_speed_of_data_rate (uint32_t bit_rate)
{
  for (unsigned i = 0; i <= SPEED_MAX; i++)
    if (gw_slcan_rate_of_data_speed (i) == bit_rate)
      return (int)i;
  return -1;
}

/* ---- Characters ---- */

static bool
is_digit (char c)
{
  return c >= '0' && c <= '9';
}

/* No locale: the manual has capitals, some hosts send small ones. */
static int
hex_value (char c)
{
  if (is_digit (c))
    return c - '0';
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

static bool
is_alphanumeric (char c)
{
  return is_digit (c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_printable (char c)
{
  return c >= ' ' && c <= '~';
}

/* What is left of a line. Like GwReader: the first read that fails makes all others fail. */
typedef struct
{
  const char *ptr;
  size_t left;
  bool failed;
} Text;

static uint32_t
take_number (Text *t, unsigned digits, unsigned base)
{
  uint32_t v = 0;

  if (t->left < digits)
    t->failed = true;
  for (unsigned i = 0; !t->failed && i < digits; i++)
    {
      int d = hex_value (t->ptr[i]);

      t->failed = d < 0 || (unsigned)d >= base;
      v = v * base + (uint32_t)d;
    }
  if (t->failed)
    return 0;
  t->ptr += digits;
  t->left -= digits;
  return v;
}

static bool
is_done (const Text *t)
{
  return !t->failed && t->left == 0;
}

/* ---- Decoding ---- */

/* Whether @letter is a frame's; fills in what it says. */
static bool
frame_of_letter (char letter, GwCanFrame *frame)
{
  static const char letters[] = "tTrRdDbB";
  const char *at = memchr (letters, letter, sizeof letters - 1);
  size_t i = at == NULL ? 0 : (size_t)(at - letters);

  memset (frame, 0, sizeof *frame);
  if (at == NULL)
    return false;
  frame->extended = i % 2 == 1;
  frame->remote = i / 2 == 1;
  frame->fd = i / 2 >= 2;
  frame->brs = i / 2 == 3;
  return true;
}

static bool
decode_frame (Text *t, GwSlcanSide side, GwSlcanLine *out)
{
  GwCanFrame *frame = &out->frame;
  uint32_t dlc;

  frame->id = take_number (t, frame->extended ? EXTENDED_ID_DIGITS : BASE_ID_DIGITS, 16);
  dlc = take_number (t, 1, 16);
  if (!frame->fd && dlc > GW_CAN_LEN_CLASSIC)
    return false;
  frame->len = gw_can_len_of_dlc ((uint8_t)dlc, frame->fd);
  for (uint8_t i = 0; !frame->remote && i < frame->len; i++)
    frame->data[i] = (uint8_t)take_number (t, 2, 16);
  if (side == GW_SLCAN_FROM_ADAPTER && t->left == TIMESTAMP_DIGITS)
    {
      out->has_timestamp = true;
      out->timestamp = (uint16_t)take_number (t, TIMESTAMP_DIGITS, 16);
    }
  return is_done (t) && out->timestamp < TIMESTAMP_END && gw_can_frame_is_valid (frame);
}

static bool
decode_command (char letter, Text *t, GwSlcanLine *out)
{
  switch (letter)
    {
    case 'O':
      out->kind = GW_SLCAN_OPEN;
      return is_done (t);
    case 'L':
      out->kind = GW_SLCAN_LISTEN;
      return is_done (t);
    case 'C':
      out->kind = GW_SLCAN_CLOSE;
      return is_done (t);
    case 'F':
      out->kind = GW_SLCAN_STATUS;
      return is_done (t);
    case 'V':
      out->kind = GW_SLCAN_VERSION;
      return is_done (t);
    case 'N':
      out->kind = GW_SLCAN_SERIAL;
      return is_done (t);
    case 'S':
    case 'Y':
      out->kind = letter == 'S' ? GW_SLCAN_SPEED : GW_SLCAN_DATA_SPEED;
      out->value = (uint16_t)take_number (t, 1, SPEED_MAX + 1);
      return is_done (t);
    case 'Z':
      out->kind = GW_SLCAN_TIMESTAMP;
      out->value = (uint16_t)take_number (t, 1, 2);
      return is_done (t);
    default:
      out->kind = GW_SLCAN_OTHER;
      return true;
    }
}

static bool
decode_state (Text *t, GwSlcanLine *out)
{
  char letter = t->left > 0 ? t->ptr[0] : '\0';

  if (letter != GW_SLCAN_STATE_ACTIVE && letter != GW_SLCAN_STATE_WARNING && letter != GW_SLCAN_STATE_PASSIVE
      && letter != GW_SLCAN_STATE_BUS_OFF)
    return false;
  t->ptr++;
  t->left--;
  out->kind = GW_SLCAN_STATE;
  out->state.state = (GwSlcanState)letter;
  out->state.rx_errors = (uint16_t)take_number (t, COUNTER_DIGITS, 10);
  out->state.tx_errors = (uint16_t)take_number (t, COUNTER_DIGITS, 10);
  return is_done (t);
}

static bool
decode_serial (Text *t, GwSlcanLine *out)
{
  out->kind = GW_SLCAN_SERIAL;
  out->has_value = true;
  if (t->left != SERIAL_DIGITS)
    return false;
  for (size_t i = 0; i < SERIAL_DIGITS; i++)
    if (!is_alphanumeric (t->ptr[i]))
      return false;
  memcpy (out->text, t->ptr, SERIAL_DIGITS);
  return true;
}

static bool
decode_answer (char letter, Text *t, GwSlcanLine *out)
{
  switch (letter)
    {
    case 'z':
    case 'Z':
      out->kind = GW_SLCAN_SENT;
      out->frame.extended = letter == 'Z';
      return is_done (t);
    case 'F':
      out->kind = GW_SLCAN_STATUS;
      out->has_value = true;
      out->value = (uint16_t)take_number (t, STATUS_DIGITS, 16);
      return is_done (t);
    case 'V':
      out->kind = GW_SLCAN_VERSION;
      out->has_value = true;
      out->value = (uint16_t)take_number (t, VERSION_DIGITS, 16);
      return is_done (t);
    case 'N':
      return decode_serial (t, out);
    case 's':
      return decode_state (t, out);
    default:
      out->kind = GW_SLCAN_OTHER;
      return true;
    }
}

static void
give_text (const char *text, size_t len, GwSlcanKind kind, GwSlcanLine *out)
{
  memset (out, 0, sizeof *out);
  out->kind = kind;
  for (size_t i = 0; i < len; i++)
    if (!is_printable (text[i]))
      {
        out->kind = GW_SLCAN_BAD;
        return;
      }
  memcpy (out->text, text, len < sizeof out->text ? len : sizeof out->text - 1);
}

void
gw_slcan_decode (const char *text, size_t len, GwSlcanSide side, GwSlcanLine *out)
{
  Text t;
  bool good;

  memset (out, 0, sizeof *out);
  if (len == 0)
    return; /* GW_SLCAN_OK */
  t = (Text){ text + 1, len - 1, false };
  if (frame_of_letter (text[0], &out->frame))
    {
      out->kind = GW_SLCAN_FRAME;
      good = decode_frame (&t, side, out);
    }
  else if (side == GW_SLCAN_FROM_HOST)
    good = decode_command (text[0], &t, out);
  else
    good = decode_answer (text[0], &t, out);
  if (!good || out->kind == GW_SLCAN_OTHER)
    give_text (text, len, good ? GW_SLCAN_OTHER : GW_SLCAN_BAD, out);
}

/* ---- Encoding ---- */

/* A growing line; what does not fit is only counted. */
typedef struct
{
  char *out;
  size_t size, len;
} Line;

static void
put_char (Line *l, char c)
{
  if (l->len < l->size)
    l->out[l->len] = c;
  l->len++;
}

static void
put_hex (Line *l, uint32_t v, unsigned digits)
{
  while (digits-- > 0)
    put_char (l, "0123456789ABCDEF"[v >> 4 * digits & 15]);
}

static void
put_decimal (Line *l, uint32_t v)
{
  put_char (l, (char)('0' + v / 100));
  put_char (l, (char)('0' + v / 10 % 10));
  put_char (l, (char)('0' + v % 10));
}

static GwStatus
encode_frame (const GwSlcanLine *in, Line *l)
{
  const GwCanFrame *frame = &in->frame;
  const char *letters = frame->remote ? "rR" : !frame->fd ? "tT" : frame->brs ? "bB" : "dD";

  if (!gw_can_frame_is_valid (frame) || (in->has_timestamp && in->timestamp >= TIMESTAMP_END))
    return GW_E_RANGE;
  put_char (l, letters[frame->extended]);
  put_hex (l, frame->id, frame->extended ? EXTENDED_ID_DIGITS : BASE_ID_DIGITS);
  put_hex (l, gw_can_dlc_of_len (frame->len), 1);
  for (uint8_t i = 0; !frame->remote && i < frame->len; i++)
    put_hex (l, frame->data[i], 2);
  if (in->has_timestamp)
    put_hex (l, in->timestamp, TIMESTAMP_DIGITS);
  return GW_OK;
}

static GwStatus
encode_digit (Line *l, char letter, uint16_t value, uint16_t max)
{
  if (value > max)
    return GW_E_RANGE;
  put_char (l, letter);
  put_hex (l, value, 1);
  return GW_OK;
}

static GwStatus
encode_serial (const GwSlcanLine *in, Line *l)
{
  put_char (l, 'N');
  if (!in->has_value)
    return GW_OK;
  for (size_t i = 0; i < SERIAL_DIGITS; i++)
    {
      if (!is_alphanumeric (in->text[i]))
        return GW_E_RANGE;
      put_char (l, in->text[i]);
    }
  return GW_OK;
}

static GwStatus
encode_state (const GwSlcanLine *in, Line *l)
{
  if (in->state.rx_errors > COUNTER_MAX || in->state.tx_errors > COUNTER_MAX)
    return GW_E_RANGE;
  put_char (l, 's');
  put_char (l, (char)in->state.state);
  put_decimal (l, in->state.rx_errors);
  put_decimal (l, in->state.tx_errors);
  return GW_OK;
}

static GwStatus
encode_text (const GwSlcanLine *in, Line *l)
{
  for (size_t i = 0; i < sizeof in->text && in->text[i] != '\0'; i++)
    {
      if (!is_printable (in->text[i]))
        return GW_E_RANGE;
      put_char (l, in->text[i]);
    }
  return GW_OK;
}

static GwStatus
encode_value (Line *l, char letter, const GwSlcanLine *in, unsigned digits)
{
  if (in->has_value && (uint32_t)in->value >> 4 * digits != 0)
    return GW_E_RANGE;
  put_char (l, letter);
  if (in->has_value)
    put_hex (l, in->value, digits);
  return GW_OK;
}

static GwStatus
encode_body (const GwSlcanLine *in, Line *l)
{
  switch (in->kind)
    {
    case GW_SLCAN_OK:
      return GW_OK;
    case GW_SLCAN_SENT:
      put_char (l, in->frame.extended ? 'Z' : 'z');
      return GW_OK;
    case GW_SLCAN_FRAME:
      return encode_frame (in, l);
    case GW_SLCAN_OPEN:
      put_char (l, 'O');
      return GW_OK;
    case GW_SLCAN_LISTEN:
      put_char (l, 'L');
      return GW_OK;
    case GW_SLCAN_CLOSE:
      put_char (l, 'C');
      return GW_OK;
    case GW_SLCAN_SPEED:
      return encode_digit (l, 'S', in->value, SPEED_MAX);
    case GW_SLCAN_DATA_SPEED:
      return encode_digit (l, 'Y', in->value, SPEED_MAX);
    case GW_SLCAN_TIMESTAMP:
      return encode_digit (l, 'Z', in->value, 1);
    case GW_SLCAN_STATUS:
      return encode_value (l, 'F', in, STATUS_DIGITS);
    case GW_SLCAN_VERSION:
      return encode_value (l, 'V', in, VERSION_DIGITS);
    case GW_SLCAN_SERIAL:
      return encode_serial (in, l);
    case GW_SLCAN_STATE:
      return encode_state (in, l);
    case GW_SLCAN_OTHER:
      return encode_text (in, l);
    default:
      return GW_E_INVALID;
    }
}

GwStatus
gw_slcan_encode (const GwSlcanLine *in, char *out, size_t size, size_t *len)
{
  Line l = { out, size, 0 };
  GwStatus status = GW_OK;

  if (in->kind != GW_SLCAN_ERROR)
    status = encode_body (in, &l);
  if (status != GW_OK)
    return status;
  put_char (&l, in->kind == GW_SLCAN_ERROR ? BEL : CR);
  if (l.len > size)
    return GW_E_SPACE;
  *len = l.len;
  return GW_OK;
}

/* ---- Lines out of octets ---- */

void
gw_slcan_collector_init (GwSlcanCollector *self, GwSlcanSide side)
{
  memset (self, 0, sizeof *self);
  self->side = side;
}

bool
gw_slcan_collector_push (GwSlcanCollector *self, char octet, GwSlcanLine *out)
{
  bool is_error = octet == BEL && self->side == GW_SLCAN_FROM_ADAPTER;

  if (octet != CR && !is_error)
    {
      if (octet == LF)
        return false;
      if (self->len < sizeof self->text)
        self->text[self->len++] = octet;
      else
        self->overrun = true;
      return false;
    }
  if (is_error || self->overrun)
    {
      memset (out, 0, sizeof *out);
      out->kind = is_error ? GW_SLCAN_ERROR : GW_SLCAN_BAD;
    }
  else
    gw_slcan_decode (self->text, self->len, self->side, out);
  self->len = 0;
  self->overrun = false;
  return true;
}
