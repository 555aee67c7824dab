/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the byte vectors hold, as structs: encoding them must give the vectors' octets. */
#include "message-samples.h"

#include <glib.h>
#include <string.h>

#include "gw-data-codec.h"
#include "gw-ident-codec.h"

#define UID                                                                                                  \
  {                                                                                                          \
    0x5a, 0x17, 0xc0, 0xff, 0xee, 0x00, 0x11, 0x22                                                           \
  }
#define KID                                                                                                  \
  {                                                                                                          \
    0x5a, 0x17, 0xc0, 0xff, 0xee, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,    \
        0xcc, 0xdd, 0xee, 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b             \
  }
#define COUNT_16 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define SHA                                                                                                  \
  {                                                                                                          \
    COUNT_16, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31                                 \
  }
#define NONCE                                                                                                \
  {                                                                                                          \
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef                                                           \
  }
#define RQ                                                                                                   \
  {                                                                                                          \
    0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8                                                           \
  }
#define BT                                                                                                   \
  {                                                                                                          \
    0xb0, 0x07, 0x4e, 0x57                                                                                   \
  }
#define TEXT(s)                                                                                              \
  {                                                                                                          \
    (s), sizeof (s) - 1                                                                                      \
  }
#define BYTES(...)                                                                                           \
  {                                                                                                          \
    (const guint8[]){ __VA_ARGS__ }, sizeof (const guint8[]) { __VA_ARGS__ }                                 \
  }
#define HELLO_FIELDS                                                                                         \
  .version = 1, .uid = UID, .kid = KID, .manufacturer = TEXT ("Acme"), .model = TEXT ("TH-2"),               \
  .serial = TEXT ("A-0001"), .firmware = TEXT ("1.4.2"), .mtu = 1024, .security = GW_LINK_SEC_DTLS12

#define SAMPLE(name, codec, Type, ...)                                                                       \
  static void sample_##name (GwCborWriter *w)                                                                \
  {                                                                                                          \
    const Type m = { __VA_ARGS__ };                                                                          \
                                                                                                             \
    gw_##codec##_encode (&m, w);                                                                             \
  }

SAMPLE (smp_error, smp_result, GwSmpResult, .rc = GW_SMP_RC_ACCESS_DENIED, .reason = TEXT ("not the owner"))
SAMPLE (smp_group_error,
        smp_result,
        GwSmpResult,
        .in_group = true,
        .group = GW_SMP_GROUP_DATA,
        .rc = GW_DATA_ERR_EXPIRED)
SAMPLE (os_echo_req, smp_echo_req, GwSmpEcho, .text = TEXT ("ping"))
SAMPLE (os_echo_rsp, smp_echo_rsp, GwSmpEcho, .text = TEXT ("ping"))
SAMPLE (os_params_rsp, smp_params_rsp, GwSmpParams, .buf_size = 1024, .buf_count = 1)
SAMPLE (os_info_req, smp_info_req, GwSmpInfoReq, .has_format = true, .format = TEXT ("sv"))
SAMPLE (os_info_rsp, smp_info_rsp, GwSmpInfoRsp, .output = TEXT ("gangway 1.4.2"))
SAMPLE (os_reset, smp_reset, GwSmpReset, .has_force = true, .force = true, .has_boot_mode = true)
SAMPLE (
    enum_req, smp_enum_req, GwSmpEnumReq, .n_groups = 2, .groups = { GW_SMP_GROUP_IDENT, GW_SMP_GROUP_DATA })
SAMPLE (enum_rsp,
        smp_enum_rsp,
        GwSmpEnumRsp,
        .n_groups = 3,
        .groups = {
            { .group = 0, .has_name = true, .name = TEXT ("os mgmt"), .has_handlers = true, .handlers = 8 },
            { .group = GW_SMP_GROUP_IDENT, .has_name = true, .name = TEXT (GW_SMP_GROUP_NAME_IDENT) },
            { .group = GW_SMP_GROUP_DATA, .has_name = true, .name = TEXT (GW_SMP_GROUP_NAME_DATA) },
        })
SAMPLE (hello_req, link_hello_req, GwLinkHelloReq, .has_nonce = true, .nonce = NONCE)
SAMPLE (hello_rsp, link_hello_rsp, GwLinkHello, HELLO_FIELDS, .has_nonce = true, .nonce = NONCE)
SAMPLE (probe, link_probe, GwLinkProbe, .hi = { 255, 255, 255, 255, 255, 255, 255, 255 })
SAMPLE (mute, link_mute, GwLinkMute, .uid = UID, .mute = true)
SAMPLE (address_req, link_address_req, GwLinkAddressReq, .uid = UID, .address = 5)
SAMPLE (address_rsp, link_address_rsp, GwLinkAddressRsp, .address = 5)
SAMPLE (start, link_start, GwLinkStart, .nonce = NONCE)
SAMPLE (info,
        ident_info,
        GwIdentInfo,
        .hello = { HELLO_FIELDS, .state = GW_LINK_STATE_OWNED },
        .root_of_trust = TEXT (GW_IDENT_ROT_PUF),
        .has_owner = true,
        .owner
        = { 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
            0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff },
        .uptime_ms = 123456,
        .generation = 3,
        .n_slots = 2,
        .slots = { { .slot = 0, .kid = KID },
                   { .slot = 1,
                     .generation = 3,
                     .kid = { 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
                              0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
                              0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77 },
                     .has_certificate = true,
                     .has_not_after = true,
                     .not_after = 1798761600 } },
        .has_puf = true,
        .puf = { .ok = true, .fixed = 17, .max = 36 })
SAMPLE (csr_req, ident_csr_req, GwIdentCsrReq, .slot = 1, .generation = 3)
SAMPLE (csr_rsp, ident_csr_rsp, GwIdentChunk, .len = 300, .data = BYTES (0x30, 0x82, 0x01, 0x28, 0x30))
SAMPLE (cert_put,
        ident_cert_put,
        GwIdentCertPut,
        .slot = 1,
        .part
        = { .data = BYTES (0x30, 0x82, 0x01), .has_len = true, .len = 420, .has_sha = true, .sha = SHA })
SAMPLE (cert_put_more,
        ident_cert_put,
        GwIdentCertPut,
        .slot = 1,
        .part = { .off = 3, .data = BYTES (0xa0, 0xb1, 0xc2) })
SAMPLE (offset, ident_offset, GwIdentOffset, .off = 6)
SAMPLE (cert_get_req, ident_cert_get_req, GwIdentCertGet, .slot = 1)
SAMPLE (cert_get_rsp, ident_cert_get_rsp, GwIdentChunk, .len = 420, .data = BYTES (0x30, 0x82, 0x01, 0xa0))
SAMPLE (anchor,
        ident_anchor,
        GwIdentAnchor,
        .part = { .data = BYTES (0x30, 0x82, 0x01), .has_len = true, .len = 3, .has_sha = true, .sha = SHA })
SAMPLE (own_req, ident_own_req, GwIdentOwnReq, .sha = SHA)
SAMPLE (own_rsp, ident_own_rsp, GwIdentOwnRsp, .state = GW_LINK_STATE_OWNED)
SAMPLE (nonce, ident_nonce, GwIdentNonce, .nonce = { COUNT_16 })
SAMPLE (sign_req,
        ident_sign_req,
        GwIdentSignReq,
        .slot = 1,
        .generation = 3,
        .transcript_hash = { (const guint8[])SHA, 32 })
SAMPLE (sign_rsp, ident_sign_rsp, GwIdentSignRsp, .signature = BYTES (0x30, 6, 2, 1, 1, 2, 1, 2))
SAMPLE (attest_req, ident_attest_req, GwIdentAttestReq, .nonce = BYTES (COUNT_16), .off = 256)
SAMPLE (attest_rsp, ident_attest_rsp, GwIdentChunk, .len = 258, .off = 256, .data = BYTES (0xd2, 0x8a))
SAMPLE (wipe, ident_wipe, GwIdentWipe, .level = GW_IDENT_WIPE_CERTIFICATES)
SAMPLE (identify, ident_identify, GwIdentIdentify, .ms = 3000)
SAMPLE (describe_req, data_describe_req, GwDataDescribeReq, .index = 2)
SAMPLE (read_req, data_read_req, GwDataReadReq, .n_ids = 2, .ids = { 1, 7 }, .index = 1)
SAMPLE (write_req,
        data_write_req,
        GwDataWriteReq,
        .request = RQ,
        .id = 7,
        .value = { .type = GW_VALUE_BOOL, .b = true },
        .by_ms = 130000)
SAMPLE (write_rsp,
        data_write_rsp,
        GwDataWriteRsp,
        .value = { .type = GW_VALUE_BOOL, .b = true },
        .uptime_ms = 123999,
        .has_duplicate = true,
        .duplicate = true)
SAMPLE (watch,
        data_watch,
        GwDataWatch,
        .n_ids = 1,
        .ids = { 1 },
        .min_ms = 1000,
        .max_ms = 60000,
        .has_deadband = true,
        .deadband = 0.5)
SAMPLE (event,
        data_event,
        GwDataEvent,
        .boot = BT,
        .seq = 2,
        .uptime_ms = 124500,
        .level = 4,
        .code = 17,
        .has_message = true,
        .message = TEXT ("over temperature"))
SAMPLE (ack, data_ack, GwDataAck, .boot = BT, .seq = 1)
SAMPLE (status_req, data_status_req, GwDataStatusReq, .request = RQ)
SAMPLE (status_rsp,
        data_status_rsp,
        GwDataStatusRsp,
        .has_value = true,
        .value = { .type = GW_VALUE_FLOAT, .d = 3.25 })

static void
sample_describe_rsp (GwCborWriter *w)
{
  const GwDataDescribeRsp m = { .count = 4, .revision = 9 };
  const GwDataPoint points[] = {
    { .id = 1,
      .name = TEXT ("temp"),
      .has_unit = true,
      .unit = TEXT ("Cel"),
      .type = GW_VALUE_FLOAT,
      .access = GW_DATA_ACCESS_READ | GW_DATA_ACCESS_REPORT,
      .has_low = true,
      .low = -40,
      .has_high = true,
      .high = 85,
      .has_step = true,
      .step = 0.0625 },
    { .id = 7,
      .name = TEXT ("relay/1"),
      .type = GW_VALUE_BOOL,
      .access = GW_DATA_ACCESS_READ | GW_DATA_ACCESS_WRITE,
      .has_unsafe = true,
      .unsafe = true },
  };

  gw_data_describe_rsp_begin (&m, w);
  for (guint i = 0; i < G_N_ELEMENTS (points); i++)
    if (!gw_data_add_point (w, &points[i]))
      w->status = GW_E_SPACE;
  gw_data_end (w);
}

static void
put_records (GwCborWriter *w, const GwDataRecord *records, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!gw_data_add_record (w, &records[i]))
      w->status = GW_E_SPACE;
  gw_data_end (w);
}

static void
sample_read_rsp (GwCborWriter *w)
{
  const GwDataRecord records[] = {
    { .name = TEXT ("temp"),
      .unit = TEXT ("Cel"),
      .has_time = true,
      .time = -2,
      .value = { .type = GW_VALUE_FLOAT, .d = 21.5 } },
    { .name = TEXT ("relay/1"), .value = { .type = GW_VALUE_BOOL, .b = true } },
  };

  gw_data_read_rsp_begin (w);
  put_records (w, records, G_N_ELEMENTS (records));
}

static void
sample_report (GwCborWriter *w)
{
  const GwDataReport m = { .boot = BT, .seq = 1, .uptime_ms = 124000 };
  const GwDataRecord records[] = {
    { .has_base_name = true,
      .base_name = TEXT ("temp/"),
      .has_base_time = true,
      .base_time = -10,
      .name = TEXT ("a"),
      .unit = TEXT ("Cel"),
      .has_time = true,
      .time = -0.5,
      .value = { .type = GW_VALUE_FLOAT, .d = 21.1 } },
    { .name = TEXT ("b"), .value = { .type = GW_VALUE_INT, .i = -7 } },
    { .name = TEXT ("label"), .value = { .type = GW_VALUE_TEXT, .text = TEXT ("Grün") } },
    { .name = TEXT ("raw"), .value = { .type = GW_VALUE_BYTES, .bytes = BYTES (0, 255) } },
  };

  gw_data_report_begin (&m, w);
  put_records (w, records, G_N_ELEMENTS (records));
}

static const struct
{
  const char *name;
  MessageSample sample;
} samples[] = {
  { "smp/empty", gw_smp_empty_encode },
  { "smp/error", sample_smp_error },
  { "smp/group-error", sample_smp_group_error },
  { "os/echo-req", sample_os_echo_req },
  { "os/echo-rsp", sample_os_echo_rsp },
  { "os/params-rsp", sample_os_params_rsp },
  { "os/info-req", sample_os_info_req },
  { "os/info-rsp", sample_os_info_rsp },
  { "os/reset", sample_os_reset },
  { "enum/details-req", sample_enum_req },
  { "enum/details-rsp", sample_enum_rsp },
  { "link/hello-req", sample_hello_req },
  { "link/hello-rsp", sample_hello_rsp },
  { "link/probe", sample_probe },
  { "link/mute", sample_mute },
  { "link/address-req", sample_address_req },
  { "link/address-rsp", sample_address_rsp },
  { "link/start", sample_start },
  { "ident/info-rsp", sample_info },
  { "ident/csr-req", sample_csr_req },
  { "ident/csr-rsp", sample_csr_rsp },
  { "ident/cert-put", sample_cert_put },
  { "ident/cert-put-more", sample_cert_put_more },
  { "ident/offset", sample_offset },
  { "ident/cert-get-req", sample_cert_get_req },
  { "ident/cert-get-rsp", sample_cert_get_rsp },
  { "ident/anchor", sample_anchor },
  { "ident/own-req", sample_own_req },
  { "ident/own-rsp", sample_own_rsp },
  { "ident/nonce-rsp", sample_nonce },
  { "ident/sign-req", sample_sign_req },
  { "ident/sign-rsp", sample_sign_rsp },
  { "ident/attest-req", sample_attest_req },
  { "ident/attest-rsp", sample_attest_rsp },
  { "ident/wipe", sample_wipe },
  { "ident/identify", sample_identify },
  { "data/describe-req", sample_describe_req },
  { "data/describe-rsp", sample_describe_rsp },
  { "data/read-req", sample_read_req },
  { "data/read-rsp", sample_read_rsp },
  { "data/write-req", sample_write_req },
  { "data/write-rsp", sample_write_rsp },
  { "data/watch", sample_watch },
  { "data/report", sample_report },
  { "data/event", sample_event },
  { "data/ack", sample_ack },
  { "data/status-req", sample_status_req },
  { "data/status-rsp", sample_status_rsp },
};

const guint message_samples_n = G_N_ELEMENTS (samples);

MessageSample
message_sample_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (samples); i++)
    if (strcmp (samples[i].name, name) == 0)
      return samples[i].sample;
  g_error ("no sample for vector %s", name);
}
