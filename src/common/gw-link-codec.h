/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bodies of gw_link (group 0x5100), the only group that is allowed in the clear: so nothing here is proof of
 * anything. See gw-smp-codec.h for what all the decoders and encoders have in common. `mute` and `start` are
 * answered by an empty map, `probe` by a hello or by silence.
 */

#include "gw-smp-codec.h"

typedef struct
{
  bool has_nonce;
  uint8_t nonce[GW_HELLO_NONCE_LEN];
} GwLinkHelloReq;

typedef struct
{
  uint8_t version; /* GW_LINK_VERSION; another is for the caller to refuse */
  uint8_t uid[GW_UID_LEN]; /* equals the first octets of kid, or decoding fails with GW_E_RANGE */
  uint8_t kid[GW_KEY_ID_LEN];
  GwText manufacturer;
  GwText model;
  GwText serial;
  GwText firmware;
  uint16_t mtu;      /* GW_LINK_MTU_MIN .. GW_LINK_MTU_MAX */
  uint32_t security; /* GW_LINK_SEC_ bits */
  uint8_t state;     /* GW_LINK_STATE_ */
  bool has_nonce;    /* that of the request */
  uint8_t nonce[GW_HELLO_NONCE_LEN];
} GwLinkHello;

typedef struct
{
  uint8_t lo[GW_UID_LEN]; /* both ends inclusive, compared as big-endian numbers */
  uint8_t hi[GW_UID_LEN];
} GwLinkProbe;

typedef struct
{
  uint8_t uid[GW_UID_LEN];
  bool mute;
} GwLinkMute;

typedef struct
{
  uint8_t uid[GW_UID_LEN];
  uint8_t address; /* 0x01 .. 0xFE */
} GwLinkAddressReq;

typedef struct
{
  uint8_t address;
} GwLinkAddressRsp;

typedef struct
{
  uint8_t nonce[GW_HELLO_NONCE_LEN];
} GwLinkStart;

GwStatus gw_link_hello_req_decode (GwBytes body, GwLinkHelloReq *out);
void gw_link_hello_req_encode (const GwLinkHelloReq *in, GwCborWriter *w);
GwStatus gw_link_hello_rsp_decode (GwBytes body, GwLinkHello *out);
void gw_link_hello_rsp_encode (const GwLinkHello *in, GwCborWriter *w);
GwStatus gw_link_probe_decode (GwBytes body, GwLinkProbe *out);
void gw_link_probe_encode (const GwLinkProbe *in, GwCborWriter *w);
GwStatus gw_link_mute_decode (GwBytes body, GwLinkMute *out);
void gw_link_mute_encode (const GwLinkMute *in, GwCborWriter *w);
GwStatus gw_link_address_req_decode (GwBytes body, GwLinkAddressReq *out);
void gw_link_address_req_encode (const GwLinkAddressReq *in, GwCborWriter *w);
GwStatus gw_link_address_rsp_decode (GwBytes body, GwLinkAddressRsp *out);
void gw_link_address_rsp_encode (const GwLinkAddressRsp *in, GwCborWriter *w);
GwStatus gw_link_start_decode (GwBytes body, GwLinkStart *out);
void gw_link_start_encode (const GwLinkStart *in, GwCborWriter *w);
