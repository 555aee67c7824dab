/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CMS SignedData, as far as verifying a detached signature needs it. One function a level of the structure.
 */
#include "gw-cms-codec.h"

#include <string.h>

#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_OID 0x06
#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_0 0xa0 /* context, constructed */
#define TAG_1 0xa1
#define TAG_0_PRIMITIVE 0x80

static const uint8_t oid_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };
static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_content_type[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03 };
static const uint8_t oid_message_digest[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04 };

#define OID(...)                                                                                             \
  {                                                                                                          \
    (const uint8_t[]){ __VA_ARGS__ }, sizeof ((const uint8_t[]){ __VA_ARGS__ })                              \
  }

static const struct
{
  GwBytes oid;
  GwCmsHash hash;
} hashes[] = {
  { OID (0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01), GW_CMS_HASH_SHA256 },
  { OID (0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02), GW_CMS_HASH_SHA384 },
  { OID (0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03), GW_CMS_HASH_SHA512 },
};

static const struct
{
  GwBytes oid;
  GwCmsSign sign;
  GwCmsHash hash; /* UNKNOWN: names none */
} signs[] = {
  { OID (0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01), GW_CMS_SIGN_RSA, GW_CMS_HASH_UNKNOWN },
  { OID (0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b), GW_CMS_SIGN_RSA, GW_CMS_HASH_SHA256 },
  { OID (0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c), GW_CMS_SIGN_RSA, GW_CMS_HASH_SHA384 },
  { OID (0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d), GW_CMS_SIGN_RSA, GW_CMS_HASH_SHA512 },
  { OID (0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02), GW_CMS_SIGN_ECDSA, GW_CMS_HASH_SHA256 },
  { OID (0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03), GW_CMS_SIGN_ECDSA, GW_CMS_HASH_SHA384 },
  { OID (0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04), GW_CMS_SIGN_ECDSA, GW_CMS_HASH_SHA512 },
};

typedef struct
{
  uint8_t tag;
  GwBytes body;
  GwBytes whole; /* with tag and length */
} Element;

static bool
same (GwBytes a, const void *b, size_t length)
{
  return a.len == length && length > 0 && memcmp (a.ptr, b, length) == 0;
}

/* The next element; FALSE (and the reader failed) if it is not DER or runs past the end. */
static bool
next (GwReader *r, Element *out)
{
  const uint8_t *start = r->ptr;
  size_t length;
  uint8_t first;

  out->tag = gw_reader_u8 (r);
  first = gw_reader_u8 (r);
  length = first;
  if ((out->tag & 0x1f) == 0x1f || first == 0x80 || first > 0x84) /* long tags, indefinite, over 4 octets */
    r->failed = true;
  if (first > 0x80 && !r->failed)
    {
      length = 0;
      for (int i = 0; i < (first & 0x7f); i++)
        {
          uint8_t octet = gw_reader_u8 (r);

          if (i == 0 && octet == 0)
            r->failed = true;
          length = length << 8 | octet;
        }
      if (length < 0x80)
        r->failed = true;
    }
  out->body = gw_reader_bytes (r, length);
  out->whole = (GwBytes){ start, r->failed ? 0 : (size_t)(r->ptr - start) };
  return !r->failed;
}

/* The next element, which must have this tag. */
static bool
next_tag (GwReader *r, uint8_t tag, Element *out)
{
  if (!next (r, out))
    return false;
  if (out->tag != tag)
    r->failed = true;
  return !r->failed;
}

static bool
next_is (const GwReader *r, uint8_t tag)
{
  return !r->failed && r->left > 0 && r->ptr[0] == tag;
}

static GwReader
into (GwBytes body)
{
  GwReader r;

  gw_reader_init (&r, body.ptr, body.len);
  return r;
}

/* AlgorithmIdentifier: the OID; parameters are NULL or absent in all we take, and are passed over. */
static bool
parse_algorithm (GwReader *r, GwBytes *oid)
{
  Element sequence, element;
  GwReader inner;

  if (!next_tag (r, TAG_SEQUENCE, &sequence))
    return false;
  inner = into (sequence.body);
  if (!next_tag (&inner, TAG_OID, &element))
    return false;
  *oid = element.body;
  return inner.left == 0 || (next (&inner, &element) && inner.left == 0);
}

static bool
parse_attribute (GwReader *r, GwCmsSigner *out, int *n_types, int *n_digests)
{
  Element sequence, type, values, value;
  GwReader inner, set;

  if (!next_tag (r, TAG_SEQUENCE, &sequence))
    return false;
  inner = into (sequence.body);
  if (!next_tag (&inner, TAG_OID, &type) || !next_tag (&inner, TAG_SET, &values) || inner.left != 0)
    return false;
  set = into (values.body);
  if (same (type.body, oid_content_type, sizeof oid_content_type))
    {
      (*n_types)++;
      if (!next_tag (&set, TAG_OID, &value) || set.left != 0)
        return false;
      out->content_is_data = same (value.body, oid_data, sizeof oid_data);
    }
  else if (same (type.body, oid_message_digest, sizeof oid_message_digest))
    {
      (*n_digests)++;
      if (!next_tag (&set, TAG_OCTETS, &value) || set.left != 0)
        return false;
      out->digest = value.body;
    }
  return true;
}

/* Each of the two attributes must be there once: a second one would leave open which of them was meant. */
static bool
parse_attributes (GwBytes body, GwCmsSigner *out)
{
  GwReader r = into (body);
  int n_types = 0, n_digests = 0;

  while (r.left > 0)
    if (!parse_attribute (&r, out, &n_types, &n_digests))
      return false;
  return n_types == 1 && n_digests == 1;
}

static bool
parse_signer_id (GwReader *r, GwCmsSigner *out)
{
  Element element, name, serial;
  GwReader inner;

  if (next_is (r, TAG_0_PRIMITIVE))
    {
      if (!next (r, &element))
        return false;
      out->key_id = element.body;
      return out->key_id.len > 0;
    }
  if (!next_tag (r, TAG_SEQUENCE, &element))
    return false;
  inner = into (element.body);
  if (!next_tag (&inner, TAG_SEQUENCE, &name) || !next_tag (&inner, TAG_INTEGER, &serial) || inner.left != 0)
    return false;
  out->issuer = name.whole;
  out->serial = serial.body;
  return out->serial.len > 0;
}

static void
set_algorithms (GwCmsSigner *out, GwBytes hash, GwBytes sign)
{
  for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
    if (same (hash, hashes[i].oid.ptr, hashes[i].oid.len))
      out->hash = hashes[i].hash;
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
    if (same (sign, signs[i].oid.ptr, signs[i].oid.len)
        && (signs[i].hash == GW_CMS_HASH_UNKNOWN || signs[i].hash == out->hash))
      out->sign = signs[i].sign;
}

static const char *
parse_signer (GwReader *r, GwCmsSigner *out)
{
  Element sequence, element;
  GwBytes hash, sign;
  GwReader inner;

  memset (out, 0, sizeof *out);
  if (!next_tag (r, TAG_SEQUENCE, &sequence))
    return "a signer is malformed";
  inner = into (sequence.body);
  if (!next_tag (&inner, TAG_INTEGER, &element) || !parse_signer_id (&inner, out)
      || !parse_algorithm (&inner, &hash))
    return "a signer is malformed";
  if (next_is (&inner, TAG_0))
    {
      if (!next (&inner, &element) || element.body.len == 0 || !parse_attributes (element.body, out))
        return "a signer's signed attributes are malformed";
      out->attributes = element.body;
    }
  if (!parse_algorithm (&inner, &sign) || !next_tag (&inner, TAG_OCTETS, &element))
    return "a signer is malformed";
  out->signature = element.body;
  if (next_is (&inner, TAG_1) && !next (&inner, &element))
    return "a signer is malformed";
  if (inner.left != 0)
    return "a signer is malformed";
  set_algorithms (out, hash, sign);
  return NULL;
}

static const char *
parse_certs (GwBytes body, GwCmsSigned *out)
{
  GwReader r = into (body);
  Element element;

  while (r.left > 0)
    {
      if (!next (&r, &element))
        return "its certificates are malformed";
      if (element.tag != TAG_SEQUENCE) /* attribute certificates and the like */
        continue;
      if (out->n_certs == GW_CMS_CERTS_MAX)
        return "it carries too many certificates";
      out->certs[out->n_certs++] = element.whole;
    }
  return NULL;
}

static const char *
parse_signers (GwBytes body, GwCmsSigned *out)
{
  GwReader r = into (body);

  while (r.left > 0)
    {
      const char *wrong;

      if (out->n_signers == GW_CMS_SIGNERS_MAX)
        return "it has too many signers";
      wrong = parse_signer (&r, &out->signers[out->n_signers]);
      if (wrong)
        return wrong;
      out->n_signers++;
    }
  return NULL;
}

static const char *
parse_signed_data (GwBytes body, GwCmsSigned *out)
{
  GwReader r = into (body), content;
  Element element, type;
  const char *wrong;

  if (!next_tag (&r, TAG_INTEGER, &element) || !next_tag (&r, TAG_SET, &element)
      || !next_tag (&r, TAG_SEQUENCE, &element))
    return "it is malformed";
  content = into (element.body);
  if (!next_tag (&content, TAG_OID, &type) || !same (type.body, oid_data, sizeof oid_data))
    return "it is not over plain data";
  if (content.left != 0)
    return "it holds content itself; sign detached";
  if (next_is (&r, TAG_0))
    {
      if (!next (&r, &element))
        return "its certificates are malformed";
      wrong = parse_certs (element.body, out);
      if (wrong)
        return wrong;
    }
  if (next_is (&r, TAG_1) && !next (&r, &element))
    return "its revocation lists are malformed";
  if (!next_tag (&r, TAG_SET, &element) || r.left != 0)
    return "it is malformed";
  return parse_signers (element.body, out);
}

const char *
gw_cms_parse (const void *der, size_t length, GwCmsSigned *out)
{
  static const char no_cms[] = "it is not a CMS signature in DER (openssl cms -sign -binary -outform DER)";
  Element info, type, explicit, signed_data;
  GwReader r, inner;

  memset (out, 0, sizeof *out);
  gw_reader_init (&r, der, length);
  if (length > GW_CMS_SIZE_MAX)
    return "it is too large";
  if (!next_tag (&r, TAG_SEQUENCE, &info))
    return no_cms;
  if (r.left != 0)
    return "something stands after its end";
  inner = into (info.body);
  if (!next_tag (&inner, TAG_OID, &type) || !same (type.body, oid_signed_data, sizeof oid_signed_data)
      || !next_tag (&inner, TAG_0, &explicit) || inner.left != 0)
    return no_cms;
  inner = into (explicit.body);
  if (!next_tag (&inner, TAG_SEQUENCE, &signed_data) || inner.left != 0)
    return no_cms;
  return parse_signed_data (signed_data.body, out);
}
