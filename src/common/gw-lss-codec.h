/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CiA 305 layer setting services (version 3.0): what a slave has to understand and a numbering master to speak, and the
 * NMT and heartbeat frames of CiA 301 beside them. Classic frames, 11-bit ids, little endian, LSS frames always of 8 octets;
 * reserved octets are sent 0 and ignored.
 */

#include "gw-can.h"
#include "gw-protocol.h"

#define GW_LSS_LEN 8

/* An answer's command is its request's, except for the four that say so. */
typedef enum
{
  GW_LSS_SWITCH_GLOBAL = 0x04,      /* mode: 0 waiting, 1 configuration; never answered */
  GW_LSS_CONFIGURE_NODE_ID = 0x11,
  GW_LSS_CONFIGURE_BIT_TIMING = 0x13,
  GW_LSS_ACTIVATE_BIT_TIMING = 0x15, /* never answered */
  GW_LSS_STORE = 0x17,
  GW_LSS_SELECT_VENDOR = 0x40,      /* four in this order; who has all of them */
  GW_LSS_SELECT_PRODUCT = 0x41,
  GW_LSS_SELECT_REVISION = 0x42,
  GW_LSS_SELECT_SERIAL = 0x43,
  GW_LSS_SELECTED = 0x44,           /* answers this and is in configuration */
  GW_LSS_IDENTIFY_VENDOR = 0x46,    /* six in this order */
  GW_LSS_IDENTIFY_PRODUCT = 0x47,
  GW_LSS_IDENTIFY_REVISION_LOW = 0x48,
  GW_LSS_IDENTIFY_REVISION_HIGH = 0x49,
  GW_LSS_IDENTIFY_SERIAL_LOW = 0x4A,
  GW_LSS_IDENTIFY_SERIAL_HIGH = 0x4B,
  GW_LSS_IDENTIFY_UNNUMBERED = 0x4C,
  GW_LSS_IDENTIFY_SLAVE = 0x4F,     /* answer to 46..4B and to fastscan */
  GW_LSS_UNNUMBERED_SLAVE = 0x50,   /* answer to 4C */
  GW_LSS_FASTSCAN = 0x51,
  GW_LSS_INQUIRE_VENDOR = 0x5A,
  GW_LSS_INQUIRE_PRODUCT = 0x5B,
  GW_LSS_INQUIRE_REVISION = 0x5C,
  GW_LSS_INQUIRE_SERIAL = 0x5D,
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

/* Why a configuration was not done, 3.9 and following: 1 is "node id out of range", "bit timing not supported" and "no
 * storage", by its command. */
#define GW_LSS_ERROR_NONE 0
#define GW_LSS_ERROR_UNSUPPORTED 1
#define GW_LSS_ERROR_SPECIFIC 255

typedef struct
{
  GwLssCommand command;
  bool answer;       /* of a slave (7E4); else a request of the master (7E5) */
  union
  {
    uint8_t mode;    /* SWITCH_GLOBAL */
    uint8_t node_id; /* CONFIGURE_NODE_ID request, any value; INQUIRE_NODE_ID answer */
    struct
    {
      uint8_t error, specific;
    } result;        /* answers to CONFIGURE_* and STORE */
    struct
    {
      uint8_t table, index;
    } bit_timing;    /* CONFIGURE_BIT_TIMING request */
    uint16_t delay;  /* ACTIVATE_BIT_TIMING, milliseconds */
    uint32_t id_number; /* SELECT_* and IDENTIFY_* requests; INQUIRE_* answers */
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
/* The way back. */
void gw_lss_uid (const uint32_t identity[GW_LSS_N_SUBS], uint8_t uid[GW_UID_LEN]);

/* From a classic frame of id GW_LSS_ID_MASTER or _SLAVE. GW_E_TYPE: another kind of frame or a command not listed above for
 * that direction; GW_E_TRUNCATED: not 8 octets; GW_E_RANGE: a field. *@out is zeroed where it fails. */
GwStatus gw_lss_decode (const GwCanFrame *frame, GwLssMessage *out);
/* @in->answer says which id; its fields are taken as they are. */
void gw_lss_encode (const GwLssMessage *in, GwCanFrame *out);

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
/* False: no NMT frame, an unknown command, or a node beyond 127. */
bool gw_nmt_decode (const GwCanFrame *frame, GwNmtCommand *command, uint8_t *node_id);

void gw_heartbeat_encode (uint8_t node_id, uint8_t state, GwCanFrame *out);
bool gw_heartbeat_decode (const GwCanFrame *frame, uint8_t *node_id, uint8_t *state);

/* The ISO-TP id of a node (29-bit normal fixed addressing, 18DA<TA><SA>). */
uint32_t gw_can_isotp_id (uint8_t target, uint8_t source);
