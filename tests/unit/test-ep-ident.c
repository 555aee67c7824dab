/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gw_ident: who may do what, first use, certificates, signatures, wiping. */

#include <string.h>

#include "gw-data-codec.h"
#include "gw-ep-ident.h"
#include "gw-ep-smp.h"
#include "gw-puf.h"
#include "test-ep-lab.h"

#define GROUP(n) (0x10000 | (n))

static GBytes *
call (Lab *lab, guint8 op, guint8 command, GBytes *body)
{
  return lab_request (lab, op, GW_SMP_GROUP_IDENT, command, body);
}

static int
result_of (GBytes *body)
{
  int result = lab_result (body);

  g_bytes_unref (body);
  return result;
}

/* `kept` holds what the info borrows. */
static GwIdentInfo
get_info (Lab *lab, GBytes **kept)
{
  GwIdentInfo info;

  g_clear_pointer (kept, g_bytes_unref);
  *kept = call (lab, GW_SMP_OP_READ, GW_IDENT_INFO, lab_empty ());
  g_assert_cmpint (gw_ident_info_decode (lab_bytes (*kept), &info), ==, GW_OK);
  return info;
}

static GBytes *
own_body (guint8 mode, const guint8 sha[32])
{
  GwIdentOwnReq req = { .mode = mode };

  memcpy (req.sha, sha, 32);
  return LAB_BODY (gw_ident_own_req_encode (&req, w));
}

static Lab *
owned_lab (guint64 seed)
{
  Lab *lab = lab_new (seed);

  lab_connect (lab);
  lab_own (lab);
  return lab;
}

/* ---- Who may ---- */

/* A stranger gets info, nonce, anchor and own, and what is needed to find and to keep them; all else is 11.
 */
static void
test_unowned (void)
{
  g_autoptr (Lab) lab = lab_new (1);
  const guint16 groups[] = { GW_SMP_GROUP_OS,
                             GW_SMP_GROUP_IMAGE,
                             GW_SMP_GROUP_ENUM,
                             GW_SMP_GROUP_LINK,
                             GW_SMP_GROUP_IDENT,
                             GW_SMP_GROUP_DATA,
                             4711 };
  guint open = 0;

  lab_connect (lab);
  for (guint g = 0; g < G_N_ELEMENTS (groups); g++)
    for (guint8 command = 0; command < 12; command++)
      for (guint8 op = 0; op <= 2; op += 2)
        {
          int result = result_of (lab_request (lab, op, groups[g], command, lab_empty ()));
          gboolean is_ident = groups[g] == GW_SMP_GROUP_IDENT;
          gboolean allowed
              = (is_ident && op == 0 && (command == GW_IDENT_INFO || command == GW_IDENT_NONCE))
                || (is_ident && op == 2 && (command == GW_IDENT_ANCHOR || command == GW_IDENT_OWN))
                || (groups[g] == GW_SMP_GROUP_OS && command == GW_SMP_OS_ECHO)
                || (groups[g] == GW_SMP_GROUP_OS && op == 0 && command == GW_SMP_OS_PARAMS)
                || (groups[g] == GW_SMP_GROUP_ENUM && op == 0 && command == GW_SMP_ENUM_DETAILS);

          g_assert_cmpint (result == GW_SMP_RC_ACCESS_DENIED, ==, !allowed);
          open += allowed;
        }
  g_assert_cmpuint (open, ==, 8);
}

static void
test_info (void)
{
  g_autoptr (Lab) lab = lab_new (2);
  g_autoptr (GBytes) kept = NULL;
  GwIdentInfo info;

  lab_connect (lab);
  lab_advance (lab, 1234);
  info = get_info (lab, &kept);
  g_assert_cmpmem (info.hello.kid, 32, gw_ep_key_id (lab->ep), 32);
  g_assert_true (gw_text_equal (info.hello.serial, "0001"));
  g_assert_cmpuint (info.hello.state, ==, GW_LINK_STATE_UNOWNED);
  g_assert_true (gw_text_equal (info.root_of_trust, "puf"));
  g_assert_false (info.has_owner);
  g_assert_cmpuint (info.uptime_ms, ==, 1234);
  g_assert_cmpuint (info.generation, ==, 1);
  g_assert_cmpuint (info.n_slots, ==, 1);
  g_assert_cmpuint (info.slots[0].slot, ==, 0);
  g_assert_false (info.slots[0].has_certificate);
  g_assert_cmpmem (info.slots[0].kid, 32, gw_ep_key_id (lab->ep), 32);
  g_assert_true (info.has_puf);
  g_assert_true (info.puf.ok);
  g_assert_cmpuint (info.puf.max, ==, GW_PUF_FIX_MAX);
}

/* ---- First use ---- */

static void
test_own (void)
{
  g_autoptr (Lab) lab = lab_new (3);
  g_autoptr (GBytes) kept = NULL;
  gnutls_pubkey_t key;
  gnutls_datum_t spki;
  guint8 want[32], sha[32], other[32] = { 1 };
  GwIdentInfo info;

  lab_connect (lab);
  lab_own (lab);
  gnutls_pubkey_init (&key);
  gnutls_pubkey_import_x509 (key, lab->owner_ca.crt, 0);
  gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &spki);
  {
    g_autoptr (GBytes) bytes = g_bytes_new (spki.data, spki.size);

    lab_sha256 (bytes, want);
  }
  gnutls_free (spki.data);
  gnutls_pubkey_deinit (key);
  for (guint round = 0; round < 2; round++)
    {
      info = get_info (lab, &kept);
      g_assert_true (info.has_owner);
      g_assert_cmpmem (info.owner, 32, want, 32);
      g_assert_cmpuint (info.hello.state, ==, GW_LINK_STATE_OWNED);
      g_assert_cmpuint (info.generation, ==, 1);
      /* The same once more is the answer that was lost; another owner is not taken. */
      lab_sha256 (lab->owner_ca.der, sha);
      g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==, 0);
      g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, other))), ==,
                       GW_SMP_RC_BAD_STATE);
      lab_power_cycle (lab);
      lab_connect (lab);
    }
}

static void
test_own_window (void)
{
  g_autoptr (Lab) lab = lab_new (4);
  guint8 sha[32];

  lab_connect (lab);
  for (guint i = 0; i < 20; i++)
    {
      lab_advance (lab, 30000);
      g_assert_nonnull (lab->server);
      lab_send_anchor (lab, lab->owner_ca.der, sha); /* and keeps the session alive */
    }
  lab_advance (lab, 1);
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_ACCESS_DENIED);
  g_assert_false (gw_ep_owned (lab->ep));
  lab->button = TRUE;
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==, 0);
  g_assert_true (gw_ep_owned (lab->ep));
}

static void
test_own_window_edge (void)
{
  g_autoptr (Lab) lab = lab_new (5);
  guint8 sha[32];

  lab_connect (lab);
  for (guint i = 0; i < 20; i++)
    {
      lab_advance (lab, 30000);
      lab_send_anchor (lab, lab->owner_ca.der, sha);
    }
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==, 0);
}

static void
test_own_refusals (void)
{
  g_autoptr (Lab) lab = lab_new (6);
  g_autoptr (GBytes) junk = g_bytes_new_static ("no certificate", 14);
  LabCert other = lab_cert_new ("other", LAB_CERT_CA, NULL);
  guint8 sha[32] = { 0 };

  lab_connect (lab);
  /* Nothing sent yet. */
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_BAD_STATE);
  /* A digest of something else. */
  lab_send_anchor (lab, lab->owner_ca.der, sha);
  sha[0] ^= 1;
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_BAD_STATE);
  /* A CA that this session's gateway does not belong to. */
  lab_send_anchor (lab, other.der, sha);
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GROUP (GW_IDENT_ERR_NOT_OWNER));
  /* No CA; no certificate. */
  lab_send_anchor (lab, lab->gateway_cert.der, sha);
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_CORRUPT);
  lab_send_anchor (lab, junk, sha);
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_CORRUPT);
  /* By voucher: not yet. */
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (1, sha))), ==,
                   GW_SMP_RC_NOT_SUPPORTED);
  /* Flash that does not take it. */
  lab_send_anchor (lab, lab->owner_ca.der, sha);
  lab->chip.writes_left = 0;
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GW_SMP_RC_UNKNOWN);
  g_assert_false (gw_ep_owned (lab->ep));
  lab->chip.writes_left = G_MAXUINT;
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==, 0);
  lab_cert_clear (&other);
}

/* A gateway of that CA, but with a certificate that an owned endpoint would refuse: it would lock itself out.
 */
static void
test_own_by_unfit_gateway (void)
{
  g_autoptr (Lab) lab = lab_new (21);
  guint8 sha[32];

  lab_set_gateway_cert (lab, lab_cert_new ("gateway", LAB_CERT_CLIENT_AUTH, &lab->owner_ca));
  lab_connect (lab);
  lab_send_anchor (lab, lab->owner_ca.der, sha);
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_OWN, own_body (0, sha))), ==,
                   GROUP (GW_IDENT_ERR_NOT_OWNER));
  g_assert_false (gw_ep_owned (lab->ep));
}

/* ---- Chunks ---- */

static int
send_part (Lab *lab, const guint8 *data, gsize len, guint32 off, guint32 n, const guint8 *sha, guint32 *next)
{
  GwIdentAnchor anchor = { .kind = GW_IDENT_ANCHOR_OWNER_CA };
  g_autoptr (GBytes) body = NULL;
  GwIdentOffset offset;
  int result;

  anchor.part.off = off;
  anchor.part.data = (GwBytes){ data + off, n };
  anchor.part.has_len = anchor.part.has_sha = sha != NULL;
  anchor.part.len = (guint32)len;
  if (sha)
    memcpy (anchor.part.sha, sha, 32);
  body = call (lab, GW_SMP_OP_WRITE, GW_IDENT_ANCHOR, LAB_BODY (gw_ident_anchor_encode (&anchor, w)));
  result = lab_result (body);
  if (result == 0)
    {
      g_assert_cmpint (gw_ident_offset_decode (lab_bytes (body), &offset), ==, GW_OK);
      *next = offset.off;
    }
  return result;
}

static void
test_upload (void)
{
  g_autoptr (Lab) lab = lab_new (7);
  guint8 data[1100], sha[32], wrong[32] = { 0 };
  g_autoptr (GBytes) bytes = NULL;
  guint32 next = 0;

  for (guint i = 0; i < sizeof data; i++)
    data[i] = (guint8)i;
  bytes = g_bytes_new (data, 1000);
  lab_sha256 (bytes, sha);
  lab_connect (lab);
  g_assert_cmpint (send_part (lab, data, 1000, 100, 50, NULL, &next), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (send_part (lab, data, 1000, 0, 400, sha, &next), ==, 0);
  g_assert_cmpuint (next, ==, 400);
  /* A gap and a repetition: the endpoint says where it stands. */
  g_assert_cmpint (send_part (lab, data, 1000, 500, 50, NULL, &next), ==, 0);
  g_assert_cmpuint (next, ==, 400);
  g_assert_cmpint (send_part (lab, data, 1000, 0, 10, sha, &next), ==, 0);
  g_assert_cmpuint (next, ==, 400);
  /* Beyond the end. */
  g_assert_cmpint (send_part (lab, data, 1000, 400, 300, NULL, &next), ==, 0);
  g_assert_cmpint (send_part (lab, data, 1000, 700, 301, NULL, &next), ==, GW_SMP_RC_INVALID);
  g_assert_cmpint (send_part (lab, data, 1000, 700, 300, NULL, &next), ==, 0);
  g_assert_cmpuint (next, ==, 1000);
  /* Another object starts over; a wrong digest is found at the end. */
  g_assert_cmpint (send_part (lab, data, 400, 0, 399, wrong, &next), ==, 0);
  g_assert_cmpuint (next, ==, 399);
  g_assert_cmpint (send_part (lab, data, 400, 399, 1, NULL, &next), ==, GW_SMP_RC_CORRUPT);
  g_assert_cmpint (send_part (lab, data, 400, 399, 1, NULL, &next), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (send_part (lab, data, GW_EP_BLOB_MAX + 1, 0, 400, sha, &next), ==, GW_SMP_RC_TOO_LARGE);
  g_assert_cmpint (send_part (lab, data, 1000, 0, 400, sha, &next), ==, 0);
  /* It does not outlive the session. */
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpint (send_part (lab, data, 1000, 400, 10, NULL, &next), ==, GW_SMP_RC_BAD_STATE);
}

/* ---- CSR and certificates ---- */

static int
fetch (Lab *lab, guint8 command, guint8 slot, guint64 generation, GBytes **out)
{
  g_autoptr (GByteArray) all = g_byte_array_new ();
  guint32 off = 0, len = 0;
  guint chunks = 0;

  do
    {
      GwIdentCsrReq csr = { .slot = slot, .generation = generation, .off = off };
      GwIdentCertGet get = { .slot = slot, .off = off };
      g_autoptr (GBytes) body = NULL;
      GwIdentChunk chunk;
      int result;

      if (command == GW_IDENT_CSR)
        body = call (lab, GW_SMP_OP_WRITE, command, LAB_BODY (gw_ident_csr_req_encode (&csr, w)));
      else
        body = call (lab, GW_SMP_OP_READ, command, LAB_BODY (gw_ident_cert_get_req_encode (&get, w)));
      result = lab_result (body);
      if (result != 0)
        return result;
      if (command == GW_IDENT_CSR)
        g_assert_cmpint (gw_ident_csr_rsp_decode (lab_bytes (body), &chunk), ==, GW_OK);
      else
        g_assert_cmpint (gw_ident_cert_get_rsp_decode (lab_bytes (body), &chunk), ==, GW_OK);
      g_assert_cmpuint (chunk.off, ==, off);
      g_assert_cmpuint (chunk.data.len, >, 0);
      g_byte_array_append (all, chunk.data.ptr, (guint)chunk.data.len);
      off += (guint32)chunk.data.len;
      len = chunk.len;
      chunks++;
    }
  while (off < len);
  if (len > 450)
    g_assert_cmpuint (chunks, >, 1);
  if (out)
    *out = g_bytes_new (all->data, all->len);
  return 0;
}

static gnutls_x509_crq_t
parse_csr (GBytes *der)
{
  gnutls_datum_t d = { (guchar *)g_bytes_get_data (der, NULL), (guint)g_bytes_get_size (der) };
  gnutls_x509_crq_t crq;

  gnutls_x509_crq_init (&crq);
  g_assert_cmpint (gnutls_x509_crq_import (crq, &d, GNUTLS_X509_FMT_DER), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_verify (crq, 0), ==, 0);
  return crq;
}

/* What the gateway's CA would make of it. */
static GBytes *
issue (Lab *lab, GBytes *csr, const LabCert *issuer)
{
  gnutls_x509_crq_t crq = parse_csr (csr);
  gnutls_x509_crt_t crt;
  gnutls_datum_t der;
  GBytes *out;

  gnutls_x509_crt_init (&crt);
  gnutls_x509_crt_set_version (crt, 3);
  gnutls_x509_crt_set_serial (crt, "\1", 1);
  gnutls_x509_crt_set_dn (crt, "CN=endpoint", NULL);
  gnutls_x509_crt_set_activation_time (crt, 1700000000);
  gnutls_x509_crt_set_expiration_time (crt, 1893456000); /* 2030-01-01 00:00:00 */
  g_assert_cmpint (gnutls_x509_crt_set_crq (crt, crq), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_sign2 (crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), ==, 0);
  gnutls_x509_crt_export2 (crt, GNUTLS_X509_FMT_DER, &der);
  out = g_bytes_new (der.data, der.size);
  gnutls_free (der.data);
  gnutls_x509_crt_deinit (crt);
  gnutls_x509_crq_deinit (crq);
  return out;
}

static int
put_cert (Lab *lab, guint8 slot, GBytes *cert)
{
  GwBytes der = lab_bytes (cert);
  GwIdentCertPut put = { .slot = slot, .part.has_len = true, .part.has_sha = true };

  lab_sha256 (cert, put.part.sha);
  put.part.len = (guint32)der.len;
  while (put.part.off < der.len)
    {
      g_autoptr (GBytes) body = NULL;
      GwIdentOffset offset;
      int result;

      put.part.data = (GwBytes){ der.ptr + put.part.off, MIN (200, der.len - put.part.off) };
      body = call (lab, GW_SMP_OP_WRITE, GW_IDENT_CERT_PUT, LAB_BODY (gw_ident_cert_put_encode (&put, w)));
      result = lab_result (body);
      if (result != 0)
        return result;
      g_assert_cmpint (gw_ident_offset_decode (lab_bytes (body), &offset), ==, GW_OK);
      put.part.off = offset.off;
      put.part.has_len = put.part.has_sha = false;
    }
  return 0;
}

static void
test_csr (void)
{
  g_autoptr (Lab) lab = owned_lab (8);
  g_autoptr (GBytes) csr = NULL;
  g_autoptr (GBytes) again = NULL;
  g_autoptr (GBytes) later = NULL;
  g_autoptr (GBytes) kept = NULL;
  g_autofree char *binding = NULL;
  guint8 pass[100];
  size_t n = sizeof pass;
  gnutls_x509_crq_t crq;
  GwIdentInfo info;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &csr), ==, 0);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &again), ==, 0);
  g_assert_true (g_bytes_equal (csr, again));
  crq = parse_csr (csr);
  /* challengePassword as it stands: GnuTLS's own call for it puts a backslash before each plus sign. */
  g_assert_cmpint (gnutls_x509_crq_get_attribute_by_oid (crq, "1.2.840.113549.1.9.7", 0, pass, &n), ==, 0);
  binding = g_base64_encode (gw_ep_binding (lab->ep), 32);
  g_assert_cmpuint (strlen (binding), ==, GW_IDENT_BINDING_TEXT_LEN);
  g_assert_cmpmem (pass + 2, n - 2, binding, GW_IDENT_BINDING_TEXT_LEN);
  gnutls_x509_crq_deinit (crq);

  /* A pending slot shows its key; nothing was raised. */
  info = get_info (lab, &kept);
  g_assert_cmpuint (info.generation, ==, 1);
  g_assert_cmpuint (info.n_slots, ==, 2);
  g_assert_cmpuint (info.slots[1].slot, ==, 1);
  g_assert_cmpuint (info.slots[1].generation, ==, 1);
  g_assert_false (info.slots[1].has_certificate);
  g_assert_cmpint (memcmp (info.slots[1].kid, info.slots[0].kid, 32), !=, 0);

  /* Another session, another binding. */
  gw_ep_link (lab->ep, false);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &later), ==, 0);
  g_assert_false (g_bytes_equal (csr, later));
}

static void
test_csr_rules (void)
{
  g_autoptr (Lab) lab = owned_lab (9);
  g_autoptr (GBytes) kept = NULL;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 0, 1, NULL), ==, GROUP (GW_IDENT_ERR_BAD_SLOT));
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 0, NULL), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 3, NULL), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 0x100000001, NULL), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 2, 2, NULL), ==, 0); /* current + 1 raises it */
  g_assert_cmpuint (get_info (lab, &kept).generation, ==, 2);
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, NULL), ==, GW_SMP_RC_BAD_STATE);
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpuint (get_info (lab, &kept).generation, ==, 2);
  /* What flash does not take has not happened. */
  lab->chip.writes_left = 0;
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 2, 3, NULL), ==, GW_SMP_RC_UNKNOWN);
  g_assert_cmpuint (get_info (lab, &kept).generation, ==, 2);
}

static void
test_certificate (void)
{
  g_autoptr (Lab) lab = owned_lab (10);
  g_autoptr (GBytes) csr = NULL;
  g_autoptr (GBytes) csr2 = NULL;
  g_autoptr (GBytes) cert = NULL;
  g_autoptr (GBytes) cert2 = NULL;
  g_autoptr (GBytes) kept = NULL;
  g_autoptr (GBytes) back = NULL;
  g_autoptr (GBytes) back2 = NULL;
  GwIdentInfo info;

  g_assert_cmpint (fetch (lab, GW_IDENT_CERT_GET, 1, 0, NULL), ==, GW_SMP_RC_NO_ENTRY);
  g_assert_cmpint (fetch (lab, GW_IDENT_CERT_GET, 0, 0, NULL), ==, GROUP (GW_IDENT_ERR_BAD_SLOT));
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &csr), ==, 0);
  cert = issue (lab, csr, &lab->owner_ca);

  /* Not for K_id, not for another key, not what is no certificate. */
  g_assert_cmpint (put_cert (lab, 0, cert), ==, GROUP (GW_IDENT_ERR_BAD_SLOT));
  g_assert_cmpint (put_cert (lab, 1, lab->gateway_cert.der), ==, GROUP (GW_IDENT_ERR_KEY_MISMATCH));
  g_assert_cmpint (put_cert (lab, 1, csr), ==, GW_SMP_RC_CORRUPT);
  g_assert_false (get_info (lab, &kept).slots[1].has_certificate);

  g_assert_cmpint (put_cert (lab, 1, cert), ==, 0);
  g_assert_cmpint (put_cert (lab, 1, cert), ==, 0); /* once more: the answer was lost */
  for (guint round = 0; round < 2; round++)
    {
      info = get_info (lab, &kept);
      g_assert_cmpuint (info.n_slots, ==, 2);
      g_assert_true (info.slots[1].has_certificate);
      g_assert_true (info.slots[1].has_not_after);
      g_assert_cmpuint (info.slots[1].not_after, ==, 1893456000);
      g_assert_cmpuint (info.slots[1].generation, ==, 1);
      g_clear_pointer (&back, g_bytes_unref);
      g_assert_cmpint (fetch (lab, GW_IDENT_CERT_GET, 1, 0, &back), ==, 0);
      g_assert_true (g_bytes_equal (cert, back));
      lab_power_cycle (lab);
      lab_connect (lab);
    }

  /* Renewal: the next key in slot 2; the endpoint restarts between CSR and certificate; slot 1 stays. */
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 2, 2, &csr2), ==, 0);
  cert2 = issue (lab, csr2, &lab->owner_ca);
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpint (put_cert (lab, 2, cert2), ==, 0);
  info = get_info (lab, &kept);
  g_assert_cmpuint (info.n_slots, ==, 3);
  g_assert_cmpuint (info.slots[2].generation, ==, 2);
  g_assert_cmpint (memcmp (info.slots[1].kid, info.slots[2].kid, 32), !=, 0);
  g_assert_cmpint (fetch (lab, GW_IDENT_CERT_GET, 2, 0, &back2), ==, 0);
  g_assert_true (g_bytes_equal (cert2, back2));
}

/* ---- Signatures ---- */

static GBytes *
sign_body (guint8 slot, guint64 generation, gsize len)
{
  static const guint8 hash[64] = "transcript hash of 32 or 48 octets, whatever it may be";
  GwIdentSignReq req = { .slot = slot, .generation = generation, .transcript_hash = { hash, len } };

  return LAB_BODY (gw_ident_sign_req_encode (&req, w));
}

static int
sign (Lab *lab, guint8 slot, guint64 generation, gsize len)
{
  return result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_SIGN, sign_body (slot, generation, len)));
}

static void
verify_signature (GBytes *csr, GBytes *body, gsize hash_len)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();
  gnutls_x509_crq_t crq = parse_csr (csr);
  GwIdentSignRsp rsp;
  gnutls_datum_t data, sig;
  gnutls_pubkey_t key;
  guint8 spaces[64];

  g_assert_cmpint (gw_ident_sign_rsp_decode (lab_bytes (body), &rsp), ==, GW_OK);
  memset (spaces, 0x20, sizeof spaces);
  g_byte_array_append (content, spaces, sizeof spaces);
  g_byte_array_append (content, (const guint8 *)"TLS 1.3, client CertificateVerify", 34); /* with the NUL */
  g_byte_array_append (content, (const guint8 *)"transcript hash of 32 or 48 octets, whatever it may be",
                       (guint)hash_len);
  data = (gnutls_datum_t){ content->data, content->len };
  sig = (gnutls_datum_t){ (guchar *)rsp.signature.ptr, (guint)rsp.signature.len };
  gnutls_pubkey_init (&key);
  g_assert_cmpint (gnutls_pubkey_import_x509_crq (key, crq, 0), ==, 0);
  g_assert_cmpint (gnutls_pubkey_verify_data2 (key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &sig), ==, 0);
  gnutls_pubkey_deinit (key);
  gnutls_x509_crq_deinit (crq);
}

static void
test_sign (void)
{
  g_autoptr (Lab) lab = owned_lab (11);
  g_autoptr (GBytes) csr = NULL;
  g_autoptr (GBytes) a = NULL;
  g_autoptr (GBytes) b = NULL;

  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GW_SMP_RC_BAD_STATE); /* no key there yet */
  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &csr), ==, 0);
  a = call (lab, GW_SMP_OP_WRITE, GW_IDENT_SIGN, sign_body (1, 1, 32));
  verify_signature (csr, a, 32);
  b = call (lab, GW_SMP_OP_WRITE, GW_IDENT_SIGN, sign_body (1, 1, 48));
  verify_signature (csr, b, 48);
}

static void
test_sign_refusals (void)
{
  g_autoptr (Lab) lab = owned_lab (12);
  GwEpStats stats;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, NULL), ==, 0);
  g_assert_cmpint (sign (lab, 0, 1, 32), ==, GROUP (GW_IDENT_ERR_NOT_SIGNABLE));
  g_assert_cmpint (sign (lab, 3, 1, 32), !=, 0);
  g_assert_cmpint (sign (lab, 2, 1, 32), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (sign (lab, 1, 2, 32), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (sign (lab, 1, 0x100000001, 32), ==, GW_SMP_RC_BAD_STATE);
  g_assert_cmpint (sign (lab, 1, 1, 33), ==, GW_SMP_RC_INVALID);
  g_assert_cmpint (sign (lab, 1, 1, 0), ==, GW_SMP_RC_INVALID);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.signatures, ==, 0);
  g_assert_cmpuint (stats.signatures_refused, >=, 3);
}

/* Five at once, then one every ten seconds. */
static void
test_sign_bucket (void)
{
  g_autoptr (Lab) lab = owned_lab (13);

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, NULL), ==, 0);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GROUP (GW_IDENT_ERR_BUSY));
  lab_advance (lab, 9999);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GROUP (GW_IDENT_ERR_BUSY));
  lab_advance (lab, 1);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GROUP (GW_IDENT_ERR_BUSY));
  lab_advance (lab, 25000);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GROUP (GW_IDENT_ERR_BUSY));
  lab_advance (lab, 5000);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  lab_advance (lab, 30000);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  lab_advance (lab, 50000);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (sign (lab, 1, 1, 32), ==, 0);
  g_assert_cmpint (sign (lab, 1, 1, 32), ==, GROUP (GW_IDENT_ERR_BUSY));
}

/* While a slow signature is under way, reports flow, its repetition is not a second one, and it comes. */
static void
test_sign_late (void)
{
  g_autoptr (Lab) lab = owned_lab (14);
  g_autoptr (GBytes) csr = NULL;
  g_autoptr (GBytes) answer = NULL;
  GwEpRecord record = { .id = 1, .value = { .type = GW_EP_FLOAT, .u.f = 20.5 } };
  GwEpStats stats;
  GwSmpMessage msg;
  GwBytes raw;
  guint8 seq;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, &csr), ==, 0);
  lab->sign_delay = 2000;
  seq = lab->next_seq;
  g_assert_null (call (lab, GW_SMP_OP_WRITE, GW_IDENT_SIGN, sign_body (1, 1, 32)));

  g_assert_cmpint (gw_ep_report (lab->ep, &record, 1), ==, GW_OK);
  lab_pump (lab);
  {
    g_autoptr (GBytes) report = lab_take_record (lab);

    g_assert_nonnull (report);
    lab_ack (lab, report);
    gw_ep_stats (lab->ep, &stats);
    g_assert_cmpuint (stats.reports_acked, ==, 1);
  }

  lab_advance (lab, 1000);
  lab_send_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, GW_IDENT_SIGN, seq, sign_body (1, 1, 32));
  g_assert_null (lab_take_record (lab));
  lab_advance (lab, 999);
  g_assert_null (lab_take_record (lab));
  lab_advance (lab, 1);
  answer = lab_take_record (lab);
  g_assert_nonnull (answer);
  raw = lab_bytes (answer);
  g_assert_cmpint (gw_smp_decode (raw.ptr, raw.len, &msg), ==, GW_OK);
  g_assert_true (gw_smp_answers (&msg, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, seq, GW_IDENT_SIGN));
  {
    g_autoptr (GBytes) body = g_bytes_new (msg.body.ptr, msg.body.len);

    verify_signature (csr, body, 32);
  }
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.signatures, ==, 1);
}

/* A signature that is under way when its session ends is not made for the next one. */
static void
test_sign_late_and_lost (void)
{
  g_autoptr (Lab) lab = owned_lab (15);
  GwEpStats stats;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, 1, NULL), ==, 0);
  lab->sign_delay = 2000;
  g_assert_null (call (lab, GW_SMP_OP_WRITE, GW_IDENT_SIGN, sign_body (1, 1, 32)));
  gw_ep_link (lab->ep, false);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  lab_advance (lab, 5000);
  g_assert_null (lab_take_record (lab));
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.signatures, ==, 0);
}

/* ---- The rest ---- */

static void
test_nonce_and_identify (void)
{
  g_autoptr (Lab) lab = owned_lab (16);
  g_autoptr (GBytes) a = call (lab, GW_SMP_OP_READ, GW_IDENT_NONCE, lab_empty ());
  g_autoptr (GBytes) b = call (lab, GW_SMP_OP_READ, GW_IDENT_NONCE, lab_empty ());
  GwIdentIdentify identify = { .ms = 1500 };
  GwIdentNonce n;

  g_assert_cmpint (gw_ident_nonce_decode (lab_bytes (a), &n), ==, GW_OK);
  g_assert_false (g_bytes_equal (a, b));
  g_assert_cmpint (result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_IDENTIFY,
                                    LAB_BODY (gw_ident_identify_encode (&identify, w)))),
                   ==, 0);
  g_assert_cmpuint (lab->identified_ms, ==, 1500);
}

static int
wipe (Lab *lab, guint8 level)
{
  GwIdentWipe req = { .level = level };

  return result_of (call (lab, GW_SMP_OP_WRITE, GW_IDENT_WIPE, LAB_BODY (gw_ident_wipe_encode (&req, w))));
}

static void
enrol (Lab *lab, guint64 generation)
{
  g_autoptr (GBytes) csr = NULL;
  g_autoptr (GBytes) cert = NULL;

  g_assert_cmpint (fetch (lab, GW_IDENT_CSR, 1, generation, &csr), ==, 0);
  cert = issue (lab, csr, &lab->owner_ca);
  g_assert_cmpint (put_cert (lab, 1, cert), ==, 0);
}

static void
test_wipe (void)
{
  g_autoptr (Lab) lab = owned_lab (17);
  g_autoptr (GBytes) kept = NULL;
  GwIdentInfo info;

  enrol (lab, 1);
  g_assert_cmpint (wipe (lab, 0), !=, 0);
  g_assert_cmpint (wipe (lab, 3), !=, 0);
  g_assert_cmpint (wipe (lab, GW_IDENT_WIPE_CERTIFICATES), ==, 0);
  for (guint round = 0; round < 2; round++)
    {
      info = get_info (lab, &kept);
      g_assert_cmpuint (info.generation, ==, 2);
      g_assert_cmpuint (info.n_slots, ==, 1);
      g_assert_true (info.has_owner);
      g_assert_cmpint (sign (lab, 1, 1, 32), ==, GW_SMP_RC_BAD_STATE);
      lab_power_cycle (lab);
      lab_connect (lab);
    }

  enrol (lab, 2);
  g_assert_cmpint (wipe (lab, GW_IDENT_WIPE_OWNER), ==, 0);
  g_assert_false (gw_ep_owned (lab->ep));
  lab_advance (lab, 300);
  g_assert_cmpint (gw_ep_state (lab->ep), !=, GW_EP_SESSION);
  /* Now it is anybody's. */
  lab_set_gateway_cert (lab, lab_cert_new ("anybody", 0, NULL));
  lab_advance (lab, 3000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  info = get_info (lab, &kept);
  g_assert_cmpuint (info.generation, ==, 3);
  g_assert_cmpuint (info.n_slots, ==, 1);
  g_assert_false (info.has_owner);
}

static void
test_factory_reset (void)
{
  g_autoptr (Lab) lab = owned_lab (18);
  g_autoptr (GBytes) kept = NULL;

  enrol (lab, 1);
  g_assert_cmpint (gw_ep_factory_reset (lab->ep), ==, GW_OK);
  g_assert_false (gw_ep_owned (lab->ep));
  lab_set_gateway_cert (lab, lab_cert_new ("anybody", 0, NULL));
  lab_advance (lab, 3000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_cmpuint (get_info (lab, &kept).generation, ==, 2);
}

/* The power fails after each of a wipe's writes: afterwards it is wiped whole, or not begun. */
static void
test_wipe_cut (void)
{
  for (guint writes = 0; writes < 6; writes++)
    {
      g_autoptr (Lab) lab = owned_lab (19);
      g_autoptr (GBytes) kept = NULL;
      GwIdentInfo info;

      enrol (lab, 1);
      lab->chip.writes_left = writes;
      g_assert_cmpint (wipe (lab, GW_IDENT_WIPE_OWNER), ==, GW_SMP_RC_UNKNOWN);
      lab->chip.writes_left = G_MAXUINT;
      lab_power_cycle (lab);
      lab_connect (lab);
      info = get_info (lab, &kept);
      if (writes == 0)
        {
          g_assert_cmpuint (info.generation, ==, 1);
          g_assert_cmpuint (info.n_slots, ==, 2);
          g_assert_true (info.has_owner);
        }
      else
        {
          g_assert_cmpuint (info.generation, ==, 2);
          g_assert_cmpuint (info.n_slots, ==, 1);
          g_assert_false (info.has_owner);
        }
    }
}

/* Flash that says something else than it should keeps the endpoint off, rather than unowned or young. */
static void
test_damaged_flash (void)
{
  const GwEpNvSlot slots[] = { GW_EP_NV_GENERATION, GW_EP_NV_ANCHOR, GW_EP_NV_STATE };

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    {
      g_autoptr (Lab) lab = owned_lab (20);

      gw_ep_shutdown (lab->ep);
      g_clear_pointer (&lab->chip.nv[slots[i]], g_byte_array_unref);
      lab->chip.nv[slots[i]] = g_byte_array_append (g_byte_array_new (), (const guint8 *)"\0\0", 2);
      g_assert_cmpint (gw_ep_power_up (lab->ep), !=, GW_OK);
      g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_OFF);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ep-ident/unowned", test_unowned);
  g_test_add_func ("/ep-ident/info", test_info);
  g_test_add_func ("/ep-ident/own", test_own);
  g_test_add_func ("/ep-ident/own-window", test_own_window);
  g_test_add_func ("/ep-ident/own-window-edge", test_own_window_edge);
  g_test_add_func ("/ep-ident/own-refusals", test_own_refusals);
  g_test_add_func ("/ep-ident/own-by-unfit-gateway", test_own_by_unfit_gateway);
  g_test_add_func ("/ep-ident/upload", test_upload);
  g_test_add_func ("/ep-ident/csr", test_csr);
  g_test_add_func ("/ep-ident/csr-rules", test_csr_rules);
  g_test_add_func ("/ep-ident/certificate", test_certificate);
  g_test_add_func ("/ep-ident/sign", test_sign);
  g_test_add_func ("/ep-ident/sign-refusals", test_sign_refusals);
  g_test_add_func ("/ep-ident/sign-bucket", test_sign_bucket);
  g_test_add_func ("/ep-ident/sign-late", test_sign_late);
  g_test_add_func ("/ep-ident/sign-late-and-lost", test_sign_late_and_lost);
  g_test_add_func ("/ep-ident/nonce-and-identify", test_nonce_and_identify);
  g_test_add_func ("/ep-ident/wipe", test_wipe);
  g_test_add_func ("/ep-ident/factory-reset", test_factory_reset);
  g_test_add_func ("/ep-ident/wipe-cut", test_wipe_cut);
  g_test_add_func ("/ep-ident/damaged-flash", test_damaged_flash);
  return g_test_run ();
}
