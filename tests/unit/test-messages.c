/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every message against its byte vector, both ends: encoding a struct gives the octets; decoding them and
 * encoding what was decoded gives them again. Then each vector is damaged in every way that applies to all
 * messages: cut at each octet, written into too small a buffer, followed by more, a field missing, doubled,
 * of another type, a field unknown to us added. Bounds of single fields follow in a table of bodies.
 */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "gw-data-codec.h"
#include "gw-ident-codec.h"
#include "gw-message-codecs.h"
#include "message-samples.h"

#define BUF_SIZE 2048
#define FIELDS_MAX 23 /* pairs in a map with a one-octet head */

static json_t *vectors;

static GByteArray *
from_hex (const char *hex)
{
  GByteArray *out = g_byte_array_new ();

  for (; *hex != '\0'; hex += 2)
    {
      guint8 octet = (guint8)(g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_assert_true (g_ascii_isxdigit (hex[0]) && g_ascii_isxdigit (hex[1]));
      g_byte_array_append (out, &octet, 1);
    }
  return out;
}

static GByteArray *
vector_octets (const json_t *v)
{
  return from_hex (json_string_value (json_object_get (v, "hex")));
}

static GByteArray *
vector_body (const json_t *v)
{
  g_autoptr (GByteArray) all = vector_octets (v);
  GByteArray *body = g_byte_array_new ();

  g_byte_array_append (body, all->data + GW_SMP_HEADER_LEN, all->len - GW_SMP_HEADER_LEN);
  return body;
}

static const GwMessageCodec *
vector_codec (const json_t *v)
{
  return gw_message_codec_find (json_string_value (json_object_get (v, "name")));
}

static guint
vector_int (const json_t *v, const char *key)
{
  return (guint)json_integer_value (json_object_get (v, key));
}

static GwStatus
recode (const json_t *v, const GByteArray *body)
{
  guint8 out[BUF_SIZE];
  GwCborWriter w;

  gw_cbor_writer_init (&w, out, sizeof out);
  return vector_codec (v)->recode ((GwBytes){ body->data, body->len }, &w);
}

/* ---- Each vector, both ends ---- */

/* Writes the sample of @v as a whole message into a fresh buffer of exactly @size octets. */
static GwStatus
encode_sample (const json_t *v, guint8 *buf, gsize size, gsize *len)
{
  GwCborWriter w;

  gw_smp_begin (&w, buf, size, vector_int (v, "op"), vector_int (v, "group"), vector_int (v, "seq"),
                vector_int (v, "command"));
  message_sample_find (json_string_value (json_object_get (v, "name"))) (&w);
  return gw_smp_end (&w, len);
}

static void
test_encode (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) want = vector_octets (v);
  guint8 buf[BUF_SIZE];
  gsize len = 0;

  g_assert_cmpint (encode_sample (v, buf, sizeof buf, &len), ==, GW_OK);
  g_assert_cmpmem (buf, len, want->data, want->len);
}

static void
test_decode (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) octets = vector_octets (v);
  guint8 buf[BUF_SIZE];
  GwSmpMessage msg;
  GwCborWriter w;
  GwSmpResult result;

  g_assert_cmpint (gw_smp_decode (octets->data, octets->len, &msg), ==, GW_OK);
  g_assert_cmpint (msg.op, ==, vector_int (v, "op"));
  g_assert_cmpint (msg.group, ==, vector_int (v, "group"));
  g_assert_cmpint (msg.seq, ==, vector_int (v, "seq"));
  g_assert_cmpint (msg.command, ==, vector_int (v, "command"));

  gw_cbor_writer_init (&w, buf, sizeof buf);
  g_assert_cmpint (vector_codec (v)->recode (msg.body, &w), ==, GW_OK);
  g_assert_cmpint (w.status, ==, GW_OK);
  g_assert_cmpmem (buf, w.len, msg.body.ptr, msg.body.len);

  /* a result is read out of any response: an error out of the error vectors only */
  g_assert_cmpint (gw_smp_result_decode (msg.body, &result), ==, GW_OK);
  g_assert_cmpint (result.rc != 0, ==,
                   strstr (json_string_value (json_object_get (v, "name")), "error") != NULL);
}

static void
test_truncated (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) octets = vector_octets (v);
  g_autoptr (GByteArray) body = vector_body (v);
  GwSmpMessage msg;

  for (guint n = 0; n < octets->len; n++)
    {
      /* a copy of its own, so that a read past its end is seen by the sanitizer */
      g_autofree guint8 *copy = g_memdup2 (octets->data, n);

      g_assert_cmpint (gw_smp_decode (copy, n, &msg), ==, GW_E_TRUNCATED);
    }
  for (guint n = 0; n < body->len; n++)
    {
      g_autofree guint8 *copy = g_memdup2 (body->data, n);
      GByteArray cut = { copy, n };

      g_assert_cmpint (recode (v, &cut), ==, GW_E_TRUNCATED);
    }
}

static void
test_no_space (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) octets = vector_octets (v);
  gsize len;

  for (guint n = 0; n < octets->len; n++)
    {
      g_autofree guint8 *buf = g_malloc (n);

      g_assert_cmpint (encode_sample (v, buf, n, &len), ==, GW_E_SPACE);
    }
}

static void
test_trailing (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) octets = vector_octets (v);
  g_autoptr (GByteArray) body = vector_body (v);
  GwSmpMessage msg;

  g_byte_array_append (octets, (const guint8 *)"", 1);
  g_assert_cmpint (gw_smp_decode (octets->data, octets->len, &msg), ==, GW_E_MALFORMED);
  g_byte_array_append (body, (const guint8 *)"", 1);
  g_assert_cmpint (recode (v, body), ==, GW_E_MALFORMED);
}

/* ---- Each field of each vector ---- */

/* A body taken apart: where each pair begins, where its value does, and the end. */
typedef struct
{
  gsize key[FIELDS_MAX + 1];
  gsize value[FIELDS_MAX];
  guint n;
} Pairs;

static Pairs
take_apart (const GByteArray *body)
{
  GwCborReader r;
  GwCborSpan span;
  Pairs p = { .n = 0 };

  gw_cbor_reader_init (&r, body->data, body->len);
  g_assert_cmpint (gw_cbor_read_map (&r, &span), ==, GW_OK);
  while (gw_cbor_span_next (&r, &span) > 0)
    {
      p.key[p.n] = r.pos;
      g_assert_cmpint (gw_cbor_skip (&r), ==, GW_OK);
      p.value[p.n++] = r.pos;
      g_assert_cmpint (gw_cbor_skip (&r), ==, GW_OK);
      g_assert_cmpuint (p.n, <, FIELDS_MAX);
    }
  p.key[p.n] = r.pos;
  return p;
}

static void
append_pair (GByteArray *out, const GByteArray *body, const Pairs *p, guint i)
{
  g_byte_array_append (out, body->data + p->key[i], p->key[i + 1] - p->key[i]);
}

/* @body with pair @skip left out (or none) and pair @twice repeated (or none). */
static GByteArray *
put_together (const GByteArray *body, const Pairs *p, guint skip, guint twice)
{
  GByteArray *out = g_byte_array_new ();
  guint8 head = (guint8)(0xa0 + p->n - (skip < p->n) + (twice < p->n));

  g_byte_array_append (out, &head, 1);
  for (guint i = 0; i < p->n; i++)
    if (i != skip)
      append_pair (out, body, p, i);
  if (twice < p->n)
    append_pair (out, body, p, twice);
  return out;
}

static gboolean
is_optional (const json_t *v, const GByteArray *body, const Pairs *p, guint i)
{
  const json_t *optional = json_object_get (v, "optional");
  const json_t *name;
  gsize index;

  json_array_foreach (optional, index, name)
  {
    const char *key = json_string_value (name);

    if (p->value[i] - p->key[i] == strlen (key) + 1
        && memcmp (body->data + p->key[i] + 1, key, strlen (key)) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
test_fields (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) body = vector_body (v);
  Pairs p = take_apart (body);

  for (guint i = 0; i < p.n; i++)
    {
      g_autoptr (GByteArray) without = put_together (body, &p, i, G_MAXUINT);
      g_autoptr (GByteArray) twice = put_together (body, &p, G_MAXUINT, i);
      g_autoptr (GByteArray) wrong = g_byte_array_new ();

      g_assert_cmpint (recode (v, without), ==, is_optional (v, body, &p, i) ? GW_OK : GW_E_MISSING);
      g_assert_cmpint (recode (v, twice), ==, GW_E_DUPLICATE);

      g_byte_array_append (wrong, body->data, p.value[i]);
      g_byte_array_append (wrong, (const guint8 *)"\xf6", 1); /* null */
      g_byte_array_append (wrong, body->data + p.key[i + 1], body->len - p.key[i + 1]);
      g_assert_cmpint (recode (v, wrong), ==, GW_E_TYPE);
    }
}

static void
test_unknown_fields (gconstpointer data)
{
  static const guint8 unknown[] = { 0x62, 'z',  'z',  0x82, 0x01, 0xa1, 0x41, 0x00, 0x9f, 0xff, /* "zz" */
                                    0x82, 0x01, 0x02, 0xf6 };                                   /* [1, 2] */
  const json_t *v = data;
  g_autoptr (GByteArray) body = vector_body (v);
  g_autoptr (GByteArray) more = g_byte_array_new ();
  g_autoptr (GByteArray) indefinite = g_byte_array_new ();
  Pairs p = take_apart (body);
  guint8 head = (guint8)(0xa0 + p.n + 2);

  g_byte_array_append (more, &head, 1);
  g_byte_array_append (more, unknown, sizeof unknown);
  g_byte_array_append (more, body->data + 1, body->len - 1);
  g_assert_cmpint (recode (v, more), ==, GW_OK);

  g_byte_array_append (indefinite, (const guint8 *)"\xbf", 1);
  g_byte_array_append (indefinite, body->data + 1, body->len - 1);
  for (guint n = 1; n <= indefinite->len; n++)
    {
      GByteArray cut = { indefinite->data, n };

      g_assert_cmpint (recode (v, &cut), ==, GW_E_TRUNCATED);
    }
  g_byte_array_append (indefinite, (const guint8 *)"\xff", 1);
  g_assert_cmpint (recode (v, indefinite), ==, GW_OK);
}

/* ---- Bounds of single fields ---- */

#define TEXT(s)                                                                                              \
  {                                                                                                          \
    (s), sizeof (s) - 1                                                                                      \
  }
#define ZEROS_8 "0000000000000000"
#define ZEROS_32 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8
#define REPORT "a46262744400000000617101627570006173" /* ...: s: */
#define POINT(rest) "a3616e03637265760061709f" rest "ff"

static const struct
{
  const char *codec;
  const char *hex;
  GwStatus status;
} bodies[] = {
  /* the body itself */
  { "smp/empty", "", GW_E_TRUNCATED },
  { "smp/empty", "80", GW_E_TYPE },
  { "smp/empty", "a0a0", GW_E_MALFORMED },
  { "smp/empty", "bfff", GW_OK },
  { "smp/empty", "bfffff", GW_E_MALFORMED },
  { "smp/empty", "a1ff", GW_E_MALFORMED },
  { "smp/empty", "a1ff00", GW_E_MALFORMED },
  { "smp/empty", "bf01ff", GW_E_MALFORMED },
  { "smp/empty", "a101c100", GW_E_UNSUPPORTED },
  { "smp/empty", "a1018181818181818180", GW_OK },
  { "smp/empty", "a101818181818181818180", GW_E_LIMIT },
  { "smp/empty", "a101a1", GW_E_TRUNCATED },
  { "smp/empty", "bbffffffffffffffff", GW_E_TRUNCATED },
  { "smp/empty", "a1fc00", GW_E_MALFORMED },
  /* texts */
  { "os/echo-req", "a16164617f", GW_E_TEXT },
  { "os/echo-req", "a1616461ff", GW_E_TEXT },
  { "os/echo-req", "a1616460", GW_OK },
  { "os/echo-req", "a161647f6161ff", GW_E_UNSUPPORTED },
  { "os/echo-req", "a161646800000000000000", GW_E_TRUNCATED },
  { "os/reset", "a165666f72636502", GW_E_RANGE },
  { "smp/error", "a1627263191000", GW_OK },
  { "smp/error", "a16272631a00010000", GW_E_RANGE },
  { "smp/error", "a163657272a0", GW_E_MISSING },
  { "smp/error", "a16365727200", GW_E_TYPE },
  { "smp/error", "a163657272a26567726f757000627263f6", GW_E_TYPE },
  { "enum/details-req", "a16667726f757073811a00010000", GW_E_RANGE },
  { "enum/details-req", "a0", GW_OK },
  { "enum/details-req", "a16667726f7570739818000000000000000000000000000000000000000000000000", GW_OK },
  { "enum/details-req", "a16667726f757073981900000000000000000000000000000000000000000000000000",
    GW_E_LIMIT },
  { "enum/details-rsp", "a16667726f75707380", GW_OK },
  { "enum/details-rsp", "a16667726f75707381a0", GW_E_MISSING },
  /* link */
  { "link/hello-req", "a0", GW_OK },
  { "link/hello-req", "a1616e4700000000000000", GW_E_LIMIT },
  { "link/hello-req", "a1616e49000000000000000000", GW_E_LIMIT },
  { "link/address-rsp", "a1616100", GW_E_RANGE },
  { "link/address-rsp", "a1616118fe", GW_OK },
  { "link/address-rsp", "a1616118ff", GW_E_RANGE },
  /* ident: chunks and parts */
  { "ident/csr-req", "a36173036367656e00636f666600", GW_E_RANGE },
  { "ident/csr-req", "a36173006367656e1b8000000000000000636f666600", GW_E_RANGE },
  { "ident/csr-rsp", "a3636c656e02636f66660063637372420000", GW_OK },
  { "ident/csr-rsp", "a3636c656e02636f66660163637372420000", GW_E_RANGE },
  { "ident/csr-rsp", "a3636c656e02636f6666026363737240", GW_OK },
  { "ident/csr-rsp", "a3636c656e02636f6666016363737240", GW_E_RANGE },
  { "ident/csr-rsp", "a3636c656e00636f6666006363737240", GW_E_RANGE },
  { "ident/csr-rsp", "a3636c656e191000636f6666006363737240", GW_E_RANGE },
  { "ident/csr-rsp", "a3636c656e191001636f6666006363737240", GW_E_RANGE },
  { "ident/cert-put", "a3617300636f66660064646174614100", GW_E_MISSING },
  { "ident/cert-put", "a4617300636f66660064646174614100636c656e01", GW_E_MISSING },
  { "ident/cert-put", "a3617300636f666601646461746140", GW_E_LIMIT },
  { "ident/cert-put", "a3617300636f6666190fff64646174614100", GW_OK },
  { "ident/cert-put", "a3617300636f666619100064646174614100", GW_E_RANGE },
  { "ident/cert-put", "a4617300636f66660164646174614100636c656e02", GW_OK },
  { "ident/cert-put", "a4617300636f66660164646174614100636c656e01", GW_E_RANGE },
  { "ident/anchor", "a3616b02636f66660164646174614100", GW_E_RANGE },
  { "ident/anchor", "a3616b01636f66660064646174614100", GW_E_MISSING },
  { "ident/own-req", "a2616d03637368615820" ZEROS_32, GW_E_RANGE },
  { "ident/own-rsp", "a162737403", GW_E_RANGE },
  { "ident/sign-req", "a36173016367656e006274685820" ZEROS_32, GW_OK },
  { "ident/sign-req", "a36173016367656e006274685821" ZEROS_32 "00", GW_E_RANGE },
  { "ident/sign-req", "a36173016367656e006274685830" ZEROS_32 ZEROS_8 ZEROS_8, GW_OK },
  { "ident/sign-req", "a36173016367656e006274685831" ZEROS_32 ZEROS_8 ZEROS_8 "00", GW_E_LIMIT },
  { "ident/sign-req", "a36173016367656e006274684100", GW_E_LIMIT },
  { "ident/sign-rsp", "a16373696740", GW_E_LIMIT },
  { "ident/attest-req", "a1616e48" ZEROS_8, GW_OK },
  { "ident/attest-req", "a1616e4700000000000000", GW_E_LIMIT },
  { "ident/wipe", "a1636c766c00", GW_E_RANGE },
  { "ident/wipe", "a1636c766c03", GW_E_RANGE },
  { "ident/identify", "a1626d7319ea60", GW_OK },
  { "ident/identify", "a1626d7319ea61", GW_E_RANGE },
  /* data: points */
  { "data/describe-rsp", POINT (""), GW_OK },
  { "data/describe-rsp", POINT ("a462696401616e616162747901616107"), GW_OK },
  { "data/describe-rsp", POINT ("a462696401616e616162747900616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e616162747906616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e616162747901616108"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e6062747901616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e612d62747901616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e62612062747901616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a462696401616e62617e62747901616107"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a662696401616e616162747902616107626c6f0262686901"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a662696401616e616162747902616107626c6f0262686902"), GW_OK },
  { "data/describe-rsp", POINT ("a562696401616e61616274790261610762737400"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a562696401616e61616274790261610762737401"), GW_OK },
  { "data/describe-rsp", POINT ("a562696401616e616162747902616107626c6ff97c00"), GW_E_RANGE },
  { "data/describe-rsp", POINT ("a562696401616e616162747902616107626c6ff93c00"), GW_OK },
  { "data/describe-rsp", POINT ("a562696401616e616162747902616107626c6f1bffffffffffffffff"), GW_E_RANGE },
  { "data/describe-rsp", "a3616e00637265760061709fa462696401616e616162747901616107ff", GW_E_RANGE },
  { "data/describe-rsp", "a3616e1901016372657600617080", GW_E_RANGE },
  { "data/describe-rsp", "a3616e006372657600617000", GW_E_TYPE },
  /* data: ids */
  { "data/read-req", "a162696480", GW_E_RANGE },
  { "data/read-req", "a16269648100", GW_OK },
  { "data/read-req", "a26269648100616901", GW_E_RANGE },
  { "data/read-req", "a1626964811b0000000100000000", GW_E_RANGE },
  { "data/read-req", "a16269649820" ZEROS_32, GW_OK },
  { "data/read-req", "a16269649821" ZEROS_32 "00", GW_E_LIMIT },
  { "data/read-req", "a16269649f00", GW_E_TRUNCATED },
  { "data/watch", "a36269648101636d696e05636d617804", GW_E_RANGE },
  { "data/watch", "a36269648101636d696e05636d617800", GW_OK },
  { "data/watch", "a36269648101636d696e05636d617805", GW_OK },
  { "data/watch", "a46269648101636d696e05636d61780062646220", GW_E_RANGE },
  { "data/watch", "a46269648101636d696e05636d61780062646200", GW_OK },
  /* data: values */
  { "data/status-rsp", "a2627374036176f5", GW_E_RANGE },
  { "data/status-rsp", "a2627374006176f7", GW_E_TYPE },
  { "data/status-rsp", "a262737400617680", GW_E_TYPE },
  { "data/status-rsp", "a2627374006176f97e00", GW_E_RANGE },
  { "data/status-rsp", "a2627374006176fb7ff0000000000000", GW_E_RANGE },
  { "data/status-rsp", "a26273740061761b7fffffffffffffff", GW_OK },
  { "data/status-rsp", "a26273740061761b8000000000000000", GW_E_RANGE },
  { "data/status-rsp", "a26273740061763b7fffffffffffffff", GW_OK },
  { "data/status-rsp", "a26273740061763b8000000000000000", GW_E_RANGE },
  { "data/status-rsp", "a26273740061767880" ZEROS_32 ZEROS_32 ZEROS_32 ZEROS_32, GW_E_TEXT },
  { "data/status-rsp", "a26273740061767881" ZEROS_32 ZEROS_32 ZEROS_32 ZEROS_32 "00", GW_E_LIMIT },
  { "data/status-rsp", "a26273740061765880" ZEROS_32 ZEROS_32 ZEROS_32 ZEROS_32, GW_OK },
  { "data/status-rsp", "a26273740061765881" ZEROS_32 ZEROS_32 ZEROS_32 ZEROS_32 "00", GW_E_LIMIT },
  /* data: reports and their records */
  { "data/ack", "a26262744400000000617100", GW_E_RANGE },
  { "data/ack", "a2626274440000000061711b7fffffffffffffff", GW_OK },
  { "data/ack", "a2626274440000000061711b8000000000000000", GW_E_RANGE },
  { "data/event", "a5626274440000000061710162757000626c7608616300", GW_E_RANGE },
  { "data/report", REPORT "80", GW_OK },
  { "data/report", REPORT "00", GW_E_TYPE },
  { "data/report", REPORT "8100", GW_E_TYPE },
  { "data/report", REPORT "81a0", GW_E_MISSING },
  { "data/report", REPORT "81a1006161", GW_E_MISSING },
  { "data/report", REPORT "81a10201", GW_E_RANGE },
  { "data/report", REPORT "81a20061610201", GW_OK },
  { "data/report", REPORT "81a200616102f5", GW_E_TYPE },
  { "data/report", REPORT "81a20061610301", GW_E_TYPE },
  { "data/report", REPORT "81a20061610401", GW_E_TYPE },
  { "data/report", REPORT "81a20061610801", GW_E_TYPE },
  { "data/report", REPORT "81a30061610201036161", GW_E_DUPLICATE },
  { "data/report", REPORT "81a30061610061610201", GW_E_DUPLICATE },
  { "data/report", REPORT "81a300616102010501", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a300616102012001", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a30061610201236143", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a300616102012401", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a300616102012501", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a300616102010705", GW_OK },
  { "data/report", REPORT "81a3006161020162787801", GW_OK },
  { "data/report", REPORT "81a300616102016001", GW_OK },
  { "data/report", REPORT "81a3006161020162785f01", GW_E_UNSUPPORTED },
  { "data/report", REPORT "81a30061610201f500", GW_E_TYPE },
  { "data/report", REPORT "81a300616102011bffffffffffffffff00", GW_E_RANGE },
  { "data/report", REPORT "81a30061610201061b000000e8d4a51000", GW_OK },
  { "data/report", REPORT "81a30061610201061b000000e8d4a51001", GW_E_RANGE },
  { "data/report", REPORT "81a40061610201061b000000e8d4a510002201", GW_E_RANGE },
  { "data/report", REPORT "81a3006161020106f4", GW_E_TYPE },
  { "data/report", REPORT "82a1216161a10201", GW_OK },     /* base name alone, then a value */
  { "data/report", REPORT "82a12201a20061610201", GW_OK }, /* base time alone */
  { "data/report", REPORT "81a12201", GW_OK },
  { "data/report", REPORT "82a121612da20061610201", GW_E_RANGE }, /* full name begins with - */
  { "data/report", REPORT "82a12162612ca20061610201", GW_E_RANGE },
  { "data/report",
    REPORT "82a12178206161616161616161616161616161616161616161616161616161616161616161a20061610201",
    GW_E_RANGE },
  { "data/report", REPORT "81bf0061610201", GW_E_TRUNCATED },
  { "data/report", REPORT "81bf0061610201ff", GW_OK },
  { "data/report", REPORT "9fa20061610201", GW_E_TRUNCATED },
  { "data/report", REPORT "81a201", GW_E_TRUNCATED },
};

static void
test_bodies (void)
{
  guint8 buf[BUF_SIZE];

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_autoptr (GByteArray) body = from_hex (bodies[i].hex);
      const GwMessageCodec *codec = gw_message_codec_find (bodies[i].codec);
      GwCborWriter w;
      GwStatus st;

      gw_cbor_writer_init (&w, buf, sizeof buf);
      st = codec->recode ((GwBytes){ body->data, body->len }, &w);
      if (st != bodies[i].status)
        g_test_message ("%s %s: %s instead of %s", bodies[i].codec, bodies[i].hex, gw_status_text (st),
                        gw_status_text (bodies[i].status));
      g_assert_cmpint (st, ==, bodies[i].status);
    }
}

/* One record or point more than the limit. */
static void
test_list_limits (void)
{
  const GwDataReport report = { .seq = 1 };
  const GwDataDescribeRsp describe = { .count = GW_DATA_POINTS_MAX };
  const GwDataRecord rec = { .name = TEXT ("a"), .value = { .type = GW_VALUE_BOOL } };
  const GwDataPoint point = { .name = TEXT ("a"), .type = GW_VALUE_BOOL };
  static guint8 buf[8192];

  for (guint extra = 0; extra < 2; extra++)
    {
      GwCborWriter w;
      GwDataReport r;
      GwDataDescribeRsp d;

      gw_cbor_writer_init (&w, buf, sizeof buf);
      gw_data_report_begin (&report, &w);
      for (guint i = 0; i < GW_DATA_RECORDS_MAX + extra; i++)
        g_assert_true (gw_data_add_record (&w, &rec));
      gw_data_end (&w);
      g_assert_cmpint (gw_data_report_decode ((GwBytes){ buf, w.len }, &r), ==, extra ? GW_E_LIMIT : GW_OK);

      gw_cbor_writer_init (&w, buf, sizeof buf);
      gw_data_describe_rsp_begin (&describe, &w);
      for (guint i = 0; i < GW_DATA_POINTS_MAX + extra; i++)
        g_assert_true (gw_data_add_point (&w, &point));
      gw_data_end (&w);
      g_assert_cmpint (gw_data_describe_rsp_decode ((GwBytes){ buf, w.len }, &d), ==,
                       extra ? GW_E_LIMIT : GW_OK);
    }
}

/* Adding stops where the end would not fit, and what was added before is a whole message. */
static void
test_list_fills (void)
{
  const GwDataReport report = { .seq = 1 };
  const GwDataRecord rec = { .name = TEXT ("abc"), .value = { .type = GW_VALUE_INT, .i = 1000 } };

  for (gsize size = 40; size < 80; size++)
    {
      g_autofree guint8 *buf = g_malloc (size);
      GwCborWriter w;
      GwDataReport out;
      gsize n = 0;

      gw_cbor_writer_init (&w, buf, size);
      gw_data_report_begin (&report, &w);
      while (gw_data_add_record (&w, &rec))
        n++;
      gw_data_end (&w);
      g_assert_cmpint (w.status, ==, GW_OK);
      g_assert_cmpint (gw_data_report_decode ((GwBytes){ buf, w.len }, &out), ==, GW_OK);
      g_assert_cmpuint (out.records.n, ==, n);
    }
}

/* The base fields in force reach every record, also those of a record without a value. */
static void
test_records_resolve (void)
{
  g_autoptr (GByteArray) good
      = from_hex (REPORT "84a1216174a2220a0201a300616104f50620a3221a6553f10000616202f93c00");
  const GwDataRecord base_only = { .has_base_time = true, .base_time = 5 };
  guint8 buf[8];
  GwCborWriter w;
  GwDataReport m;
  GwDataRecord rec;

  gw_cbor_writer_init (&w, buf, sizeof buf);
  g_assert_true (gw_data_add_record (&w, &base_only));
  g_assert_cmpmem (buf, w.len, "\xa1\x22\x05", 3);

  g_assert_cmpint (gw_data_report_decode ((GwBytes){ good->data, good->len }, &m), ==, GW_OK);
  g_assert_cmpuint (m.records.n, ==, 3);

  g_assert_true (gw_data_records_next (&m.records, &rec));
  g_assert_true (gw_text_equal (rec.base_name, "t") && rec.name.len == 0);
  g_assert_true (rec.has_base_name && rec.has_base_time);
  g_assert_cmpfloat (rec.base_time, ==, 10);
  g_assert_false (rec.has_time);
  g_assert_cmpint (rec.value.type, ==, GW_VALUE_INT);

  g_assert_true (gw_data_records_next (&m.records, &rec));
  g_assert_true (gw_text_equal (rec.base_name, "t") && gw_text_equal (rec.name, "a"));
  g_assert_cmpfloat (rec.base_time + rec.time, ==, 9);
  g_assert_cmpint (rec.value.type, ==, GW_VALUE_BOOL);
  g_assert_false (rec.has_base_name || rec.has_base_time);

  g_assert_true (gw_data_records_next (&m.records, &rec));
  g_assert_true (gw_text_equal (rec.base_name, "t") && gw_text_equal (rec.name, "b"));
  g_assert_true (!rec.has_base_name && rec.has_base_time);
  g_assert_cmpfloat (rec.base_time, ==, 1700000000);
  g_assert_cmpint (rec.value.type, ==, GW_VALUE_FLOAT);
  g_assert_false (gw_data_records_next (&m.records, &rec));
}

/* A hello whose uid is not of its key id. */
static void
test_uid_of_kid (void)
{
  const GwLinkHello hello = { .version = 1, .kid = { 1 }, .mtu = 512 };
  GwIdentInfo info = { .hello = hello };
  GwLinkHello out;
  guint8 buf[BUF_SIZE];
  GwCborWriter w;

  gw_cbor_writer_init (&w, buf, sizeof buf);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_link_hello_rsp_decode ((GwBytes){ buf, w.len }, &out), ==, GW_E_RANGE);

  gw_cbor_writer_init (&w, buf, sizeof buf);
  gw_ident_info_encode (&info, &w);
  g_assert_cmpint (gw_ident_info_decode ((GwBytes){ buf, w.len }, &info), ==, GW_E_RANGE);
}

static void
test_names (void)
{
  g_assert_true (gw_data_name_is_valid (gw_text ("a")));
  g_assert_true (gw_data_name_is_valid (gw_text ("9:._/-Zz")));
  g_assert_true (gw_data_name_is_valid (gw_text ("abcdefghijklmnopqrstuvwxyz012345")));
  g_assert_false (gw_data_name_is_valid (gw_text ("abcdefghijklmnopqrstuvwxyz0123456")));
  g_assert_false (gw_data_name_is_valid (gw_text ("")));
  g_assert_false (gw_data_name_is_valid (gw_text ("/a")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a b")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a#")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a\xc3\xa9")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a@")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a[")));
  g_assert_false (gw_data_name_is_valid (gw_text ("a{")));
}

static void
add_for_each (const char *what, GTestDataFunc func)
{
  const json_t *v;
  gsize i;

  json_array_foreach (vectors, i, v)
  {
    g_autofree char *path
        = g_strdup_printf ("/messages/%s/%s", what, json_string_value (json_object_get (v, "name")));

    g_test_add_data_func (path, v, func);
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL;
  json_error_t error;
  int rc;

  g_test_init (&argc, &argv, NULL);
  path = g_build_filename (g_getenv ("GW_VECTORS_DIR"), "messages.json", NULL);
  vectors = json_load_file (path, 0, &error);
  if (vectors == NULL || json_array_size (vectors) != message_samples_n)
    g_error ("%s: %s", path, vectors == NULL ? error.text : "another number of vectors than of samples");

  add_for_each ("encode", test_encode);
  add_for_each ("decode", test_decode);
  add_for_each ("truncated", test_truncated);
  add_for_each ("no-space", test_no_space);
  add_for_each ("trailing", test_trailing);
  add_for_each ("fields", test_fields);
  add_for_each ("unknown-fields", test_unknown_fields);
  g_test_add_func ("/messages/bodies", test_bodies);
  g_test_add_func ("/messages/list-limits", test_list_limits);
  g_test_add_func ("/messages/list-fills", test_list_fills);
  g_test_add_func ("/messages/records-resolve", test_records_resolve);
  g_test_add_func ("/messages/uid-of-kid", test_uid_of_kid);
  g_test_add_func ("/messages/names", test_names);
  rc = g_test_run ();
  json_decref (vectors);
  return rc;
}
