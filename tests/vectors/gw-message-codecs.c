/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-message-codecs.h"

#include <string.h>

#include "gw-data-codec.h"
#include "gw-ident-codec.h"
#include "gw-link-codec.h"

#define RECODE(codec, Type)                                                                                  \
  static GwStatus recode_##codec (GwBytes body, GwCborWriter *w)                                             \
  {                                                                                                          \
    Type m;                                                                                                  \
    GwStatus st = gw_##codec##_decode (body, &m);                                                            \
                                                                                                             \
    if (st == GW_OK)                                                                                         \
      gw_##codec##_encode (&m, w);                                                                           \
    return st;                                                                                               \
  }

RECODE (smp_result, GwSmpResult)
RECODE (smp_echo_req, GwSmpEcho)
RECODE (smp_echo_rsp, GwSmpEcho)
RECODE (smp_params_rsp, GwSmpParams)
RECODE (smp_info_req, GwSmpInfoReq)
RECODE (smp_info_rsp, GwSmpInfoRsp)
RECODE (smp_reset, GwSmpReset)
RECODE (smp_enum_req, GwSmpEnumReq)
RECODE (smp_enum_rsp, GwSmpEnumRsp)
RECODE (link_hello_req, GwLinkHelloReq)
RECODE (link_hello_rsp, GwLinkHello)
RECODE (link_probe, GwLinkProbe)
RECODE (link_mute, GwLinkMute)
RECODE (link_address_req, GwLinkAddressReq)
RECODE (link_address_rsp, GwLinkAddressRsp)
RECODE (link_start, GwLinkStart)
RECODE (ident_info, GwIdentInfo)
RECODE (ident_csr_req, GwIdentCsrReq)
RECODE (ident_csr_rsp, GwIdentChunk)
RECODE (ident_cert_put, GwIdentCertPut)
RECODE (ident_cert_get_req, GwIdentCertGet)
RECODE (ident_cert_get_rsp, GwIdentChunk)
RECODE (ident_anchor, GwIdentAnchor)
RECODE (ident_offset, GwIdentOffset)
RECODE (ident_own_req, GwIdentOwnReq)
RECODE (ident_own_rsp, GwIdentOwnRsp)
RECODE (ident_nonce, GwIdentNonce)
RECODE (ident_sign_req, GwIdentSignReq)
RECODE (ident_sign_rsp, GwIdentSignRsp)
RECODE (ident_attest_req, GwIdentAttestReq)
RECODE (ident_attest_rsp, GwIdentChunk)
RECODE (ident_wipe, GwIdentWipe)
RECODE (ident_identify, GwIdentIdentify)
RECODE (data_describe_req, GwDataDescribeReq)
RECODE (data_read_req, GwDataReadReq)
RECODE (data_write_req, GwDataWriteReq)
RECODE (data_write_rsp, GwDataWriteRsp)
RECODE (data_watch, GwDataWatch)
RECODE (data_event, GwDataEvent)
RECODE (data_ack, GwDataAck)
RECODE (data_status_req, GwDataStatusReq)
RECODE (data_status_rsp, GwDataStatusRsp)

static GwStatus
recode_empty (GwBytes body, GwCborWriter *w)
{
  GwStatus st = gw_smp_empty_decode (body);

  if (st == GW_OK)
    gw_smp_empty_encode (w);
  return st;
}

/* Writes the records of @list; GW_E_INVALID if walking finds another number than decoding did. */
static GwStatus
put_records (GwDataList list, GwCborWriter *w)
{
  GwDataRecord rec;
  size_t n = 0;

  for (; gw_data_records_next (&list, &rec); n++)
    if (!gw_data_add_record (w, &rec))
      return GW_E_SPACE;
  gw_data_end (w);
  return n == list.n ? GW_OK : GW_E_INVALID;
}

static GwStatus
recode_describe_rsp (GwBytes body, GwCborWriter *w)
{
  GwDataDescribeRsp m;
  GwDataPoint point;
  size_t n = 0;
  GwStatus st = gw_data_describe_rsp_decode (body, &m);

  if (st != GW_OK)
    return st;
  gw_data_describe_rsp_begin (&m, w);
  for (; gw_data_points_next (&m.points, &point); n++)
    if (!gw_data_add_point (w, &point))
      return GW_E_SPACE;
  gw_data_end (w);
  return n == m.points.n ? GW_OK : GW_E_INVALID;
}

static GwStatus
recode_read_rsp (GwBytes body, GwCborWriter *w)
{
  GwDataReadRsp m;
  GwStatus st = gw_data_read_rsp_decode (body, &m);

  if (st != GW_OK)
    return st;
  gw_data_read_rsp_begin (w);
  return put_records (m.records, w);
}

static GwStatus
recode_report (GwBytes body, GwCborWriter *w)
{
  GwDataReport m;
  GwStatus st = gw_data_report_decode (body, &m);

  if (st != GW_OK)
    return st;
  gw_data_report_begin (&m, w);
  return put_records (m.records, w);
}

const GwMessageCodec gw_message_codecs[] = {
  { "smp/empty", recode_empty },
  { "smp/error", recode_smp_result },
  { "smp/group-error", recode_smp_result },
  { "os/echo-req", recode_smp_echo_req },
  { "os/echo-rsp", recode_smp_echo_rsp },
  { "os/params-rsp", recode_smp_params_rsp },
  { "os/info-req", recode_smp_info_req },
  { "os/info-rsp", recode_smp_info_rsp },
  { "os/reset", recode_smp_reset },
  { "enum/details-req", recode_smp_enum_req },
  { "enum/details-rsp", recode_smp_enum_rsp },
  { "link/hello-req", recode_link_hello_req },
  { "link/hello-rsp", recode_link_hello_rsp },
  { "link/probe", recode_link_probe },
  { "link/mute", recode_link_mute },
  { "link/address-req", recode_link_address_req },
  { "link/address-rsp", recode_link_address_rsp },
  { "link/start", recode_link_start },
  { "ident/info-rsp", recode_ident_info },
  { "ident/csr-req", recode_ident_csr_req },
  { "ident/csr-rsp", recode_ident_csr_rsp },
  { "ident/cert-put", recode_ident_cert_put },
  { "ident/offset", recode_ident_offset },
  { "ident/cert-get-req", recode_ident_cert_get_req },
  { "ident/cert-get-rsp", recode_ident_cert_get_rsp },
  { "ident/anchor", recode_ident_anchor },
  { "ident/own-req", recode_ident_own_req },
  { "ident/own-rsp", recode_ident_own_rsp },
  { "ident/nonce-rsp", recode_ident_nonce },
  { "ident/sign-req", recode_ident_sign_req },
  { "ident/sign-rsp", recode_ident_sign_rsp },
  { "ident/attest-req", recode_ident_attest_req },
  { "ident/attest-rsp", recode_ident_attest_rsp },
  { "ident/wipe", recode_ident_wipe },
  { "ident/identify", recode_ident_identify },
  { "data/describe-req", recode_data_describe_req },
  { "data/describe-rsp", recode_describe_rsp },
  { "data/read-req", recode_data_read_req },
  { "data/read-rsp", recode_read_rsp },
  { "data/write-req", recode_data_write_req },
  { "data/write-rsp", recode_data_write_rsp },
  { "data/watch", recode_data_watch },
  { "data/report", recode_report },
  { "data/event", recode_data_event },
  { "data/ack", recode_data_ack },
  { "data/status-req", recode_data_status_req },
  { "data/status-rsp", recode_data_status_rsp },
};
const size_t gw_message_codecs_n = sizeof gw_message_codecs / sizeof gw_message_codecs[0];

const GwMessageCodec *
gw_message_codec_find (const char *name)
{
  const GwMessageCodec *best = NULL;
  size_t best_len = 0;

  for (size_t i = 0; i < gw_message_codecs_n; i++)
    {
      size_t len = strlen (gw_message_codecs[i].name);

      if (len > best_len && strncmp (name, gw_message_codecs[i].name, len) == 0)
        {
          best = &gw_message_codecs[i];
          best_len = len;
        }
    }
  return best;
}
