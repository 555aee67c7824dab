/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CiA 305 layer setting services (version 3.0), as far as numbering nodes by fastscan needs them, and the NMT and heartbeat
 * frames of CiA 301 beside them. Classic frames, 11-bit ids, little endian, LSS frames always of 8 octets.
 */

#include "gw-can.h"

#define GW_LSS_ID_MASTER 0x7E5u
#define GW_LSS_ID_SLAVE 0x7E4u
#define GW_NMT_ID 0x000u
#define GW_HEARTBEAT_ID 0x700u /* + node number */

#define GW_LSS_NODE_MIN 1
#define GW_LSS_NODE_MAX 127
#define GW_LSS_NODE_NONE 0xFF
#define GW_LSS_PRODUCT 0x47574159u /* "GWAY" */

typedef enum
{
  GW_LSS_SWITCH_GLOBAL = 0x04,      /* mode: 0 waiting, 1 configuration */
  GW_LSS_CONFIGURE_NODE_ID = 0x11,
  GW_LSS_CONFIGURE_BIT_TIMING = 0x13,
  GW_LSS_STORE = 0x17,
  GW_LSS_IDENTIFY_SLAVE = 0x4F,     /* answer to fastscan */
  GW_LSS_FASTSCAN = 0x51,
  GW_LSS_INQUIRE_NODE_ID = 0x5E,
} GwLssCommand;

typedef enum
{
  GW_LSS_SUB_VENDOR,
  GW_LSS_SUB_PRODUCT,
  GW_LSS_SUB_REVISION,
  GW_LSS_SUB_SERIAL,
  GW_LSS_N_SUBS,
} GwLssSub;

#define GW_LSS_BIT_CHECK_START 0x80

typedef struct
{
  GwLssCommand command;
  union
  {
    uint8_t mode;    /* SWITCH_GLOBAL */
    uint8_t node_id; /* CONFIGURE_NODE_ID request; INQUIRE_NODE_ID answer */
    struct
    {
      uint8_t error; /* 0 success, 1 node id out of range, 255 specific */
      uint8_t specific;
    } result;        /* CONFIGURE_NODE_ID answer */
    struct
    {
      uint32_t id_number;
      uint8_t bit_check; /* 0..31, or GW_LSS_BIT_CHECK_START */
      uint8_t sub, next; /* 0..3 */
    } fastscan;
  };
} GwLssMessage;

/* The uid (first 8 octets of the key id, big endian) as identity object: revision is its first half, serial its second. */
void gw_lss_identity (uint32_t vendor, const uint8_t uid[GW_UID_LEN], uint32_t identity[GW_LSS_N_SUBS]);

/* From @frame of id GW_LSS_ID_MASTER or _SLAVE. GW_E_TYPE: another id or a command not listed above; GW_E_TRUNCATED: not 8
 * octets; GW_E_RANGE: a field. */
GwStatus gw_lss_decode (const GwCanFrame *frame, GwLssMessage *out);
void gw_lss_encode_request (const GwLssMessage *in, GwCanFrame *out);
void gw_lss_encode_answer (const GwLssMessage *in, GwCanFrame *out);

/* CiA 301, 7.2.8.2.2.1 and 7.2.8.3.2.2. */
typedef enum
{
  GW_NMT_START = 0x01,
  GW_NMT_STOP = 0x02,
  GW_NMT_PRE_OPERATIONAL = 0x80,
  GW_NMT_RESET_NODE = 0x81,
  GW_NMT_RESET_COMMUNICATION = 0x82,
} GwNmtCommand;

void gw_nmt_encode (GwNmtCommand command, uint8_t node_id, GwCanFrame *out); /* node 0: all */
bool gw_nmt_decode (const GwCanFrame *frame, GwNmtCommand *command, uint8_t *node_id);

#define GW_HEARTBEAT_BOOT 0x00
#define GW_HEARTBEAT_OPERATIONAL 0x05
void gw_heartbeat_encode (uint8_t node_id, uint8_t state, GwCanFrame *out);
bool gw_heartbeat_decode (const GwCanFrame *frame, uint8_t *node_id, uint8_t *state);

/* The ISO-TP ids of a node (29-bit normal fixed addressing, 18DA<TA><SA>). */
#define GW_CAN_GATEWAY_ADDRESS 0xF1
uint32_t gw_can_isotp_id (uint8_t target, uint8_t source);
