/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-link-codec.h"

#include <string.h>

#include "gw-fields.h"

static const GwField hello_req_fields[] = {
  { .key = "n",
    .kind = GW_FIELD_FIXED,
    GW_FIELD_AT (GwLinkHelloReq, nonce),
    GW_FIELD_HAS (GwLinkHelloReq, has_nonce) },
};
static const GwFieldTable hello_req_table = GW_FIELD_TABLE (hello_req_fields);

static const GwField hello_fields[] = {
  { .key = "v",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkHello, version),
    GW_FIELD_NEEDED,
    .max = UINT8_MAX },
  { .key = "uid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkHello, uid), GW_FIELD_NEEDED },
  { .key = "kid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkHello, kid), GW_FIELD_NEEDED },
  { .key = "mfr",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwLinkHello, manufacturer),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "mdl",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwLinkHello, model),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "sn",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwLinkHello, serial),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "fw",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwLinkHello, firmware),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "mtu",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkHello, mtu),
    GW_FIELD_NEEDED,
    .min = GW_LINK_MTU_MIN,
    .max = GW_LINK_MTU_MAX },
  { .key = "sec",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkHello, security),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "st",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkHello, state),
    GW_FIELD_NEEDED,
    .max = GW_LINK_STATE_LOCKED },
  { .key = "n",
    .kind = GW_FIELD_FIXED,
    GW_FIELD_AT (GwLinkHello, nonce),
    GW_FIELD_HAS (GwLinkHello, has_nonce) },
};
static const GwFieldTable hello_table = GW_FIELD_TABLE (hello_fields);

static const GwField probe_fields[] = {
  { .key = "lo", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkProbe, lo), GW_FIELD_NEEDED },
  { .key = "hi", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkProbe, hi), GW_FIELD_NEEDED },
};
static const GwFieldTable probe_table = GW_FIELD_TABLE (probe_fields);

static const GwField mute_fields[] = {
  { .key = "uid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkMute, uid), GW_FIELD_NEEDED },
  { .key = "m", .kind = GW_FIELD_BOOL, GW_FIELD_AT (GwLinkMute, mute), GW_FIELD_NEEDED },
};
static const GwFieldTable mute_table = GW_FIELD_TABLE (mute_fields);

static const GwField address_req_fields[] = {
  { .key = "uid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkAddressReq, uid), GW_FIELD_NEEDED },
  { .key = "a",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkAddressReq, address),
    GW_FIELD_NEEDED,
    .min = GW_FRAME_ADDRESS_STATION_MIN,
    .max = GW_FRAME_ADDRESS_STATION_MAX },
};
static const GwFieldTable address_req_table = GW_FIELD_TABLE (address_req_fields);

static const GwField address_rsp_fields[] = {
  { .key = "a",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwLinkAddressRsp, address),
    GW_FIELD_NEEDED,
    .min = GW_FRAME_ADDRESS_STATION_MIN,
    .max = GW_FRAME_ADDRESS_STATION_MAX },
};
static const GwFieldTable address_rsp_table = GW_FIELD_TABLE (address_rsp_fields);

static const GwField start_fields[] = {
  { .key = "n", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwLinkStart, nonce), GW_FIELD_NEEDED },
};
static const GwFieldTable start_table = GW_FIELD_TABLE (start_fields);

static GwStatus
check_hello (const GwLinkHello *h)
{
  return memcmp (h->uid, h->kid, sizeof h->uid) == 0 ? GW_OK : GW_E_RANGE;
}

GwStatus
gw_link_hello_req_decode (GwBytes body, GwLinkHelloReq *out)
{
  return gw_fields_decode (body, &hello_req_table, out, sizeof *out);
}

void
gw_link_hello_req_encode (const GwLinkHelloReq *in, GwCborWriter *w)
{
  gw_fields_encode (&hello_req_table, in, w);
}

GwStatus
gw_link_hello_rsp_decode (GwBytes body, GwLinkHello *out)
{
  GwStatus st = gw_fields_decode (body, &hello_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_hello (out);
}

void
gw_link_hello_rsp_encode (const GwLinkHello *in, GwCborWriter *w)
{
  gw_fields_encode (&hello_table, in, w);
}

GwStatus
gw_link_probe_decode (GwBytes body, GwLinkProbe *out)
{
  return gw_fields_decode (body, &probe_table, out, sizeof *out);
}

void
gw_link_probe_encode (const GwLinkProbe *in, GwCborWriter *w)
{
  gw_fields_encode (&probe_table, in, w);
}

GwStatus
gw_link_mute_decode (GwBytes body, GwLinkMute *out)
{
  return gw_fields_decode (body, &mute_table, out, sizeof *out);
}

void
gw_link_mute_encode (const GwLinkMute *in, GwCborWriter *w)
{
  gw_fields_encode (&mute_table, in, w);
}

GwStatus
gw_link_address_req_decode (GwBytes body, GwLinkAddressReq *out)
{
  return gw_fields_decode (body, &address_req_table, out, sizeof *out);
}

void
gw_link_address_req_encode (const GwLinkAddressReq *in, GwCborWriter *w)
{
  gw_fields_encode (&address_req_table, in, w);
}

GwStatus
gw_link_address_rsp_decode (GwBytes body, GwLinkAddressRsp *out)
{
  return gw_fields_decode (body, &address_rsp_table, out, sizeof *out);
}

void
gw_link_address_rsp_encode (const GwLinkAddressRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&address_rsp_table, in, w);
}

GwStatus
gw_link_start_decode (GwBytes body, GwLinkStart *out)
{
  return gw_fields_decode (body, &start_table, out, sizeof *out);
}

void
gw_link_start_encode (const GwLinkStart *in, GwCborWriter *w)
{
  gw_fields_encode (&start_table, in, w);
}
