/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Every number of the endpoint protocol that both ends must agree on: groups, commands, error codes, sizes,
 * limits and timers. doc/protocol.md describes them; a test compares the two, so a number is changed in both
 * or in none. Times are milliseconds (_MS) unless the name says otherwise. No code, no includes.
 */

/* ---- Identity ---- */

#define GW_KEY_ID_LEN 32u       /* SHA-256 of the DER SubjectPublicKeyInfo of K_id */
#define GW_KEY_ID_TEXT_LEN 64u  /* the same in lower-case hex, without a terminator */
#define GW_SPKI_LEN 91u         /* DER SubjectPublicKeyInfo of an uncompressed P-256 point, named curve */
#define GW_UID_LEN 8u           /* first octets of the key id: the uid of the links */
#define GW_SHA256_LEN 32u
#define GW_SHA384_LEN 48u
#define GW_HELLO_TEXT_MAX 24u   /* octets of manufacturer, model, serial number, firmware */
#define GW_HELLO_NONCE_LEN 8u

/* ---- Serial frames (RFC 1662 style) ---- */

#define GW_FRAME_FLAG 0x7eu
#define GW_FRAME_ESCAPE 0x7du
#define GW_FRAME_XOR 0x20u
#define GW_FRAME_CONTROL_UI 0x03u
#define GW_FRAME_CONTROL_PF 0x10u       /* the P/F bit: 0x03 | 0x10 = 0x13 */
#define GW_FRAME_ADDRESS_ALL 0xffu      /* broadcast, and the only address point to point */
#define GW_FRAME_ADDRESS_STATION_MIN 0x01u
#define GW_FRAME_ADDRESS_STATION_MAX 0xfeu
#define GW_FRAME_FCS_INIT 0xffffu
#define GW_FRAME_FCS_POLY 0x8408u       /* x^16 + x^12 + x^5 + 1, reflected */
#define GW_FRAME_FCS_GOOD 0xf0b8u
#define GW_FRAME_OVERHEAD 4u            /* address, control, FCS */

#define GW_SERIAL_SPEED_DEFAULT 115200u

/* ---- Links and datagrams ---- */

#define GW_LINK_MTU_MIN 512u    /* what every link carries in one datagram */
#define GW_LINK_MTU_MAX 4096u   /* what no link announces more than */
#define GW_DATAGRAM_DTLS_MIN 20u        /* first octet: RFC 7983 range of DTLS content types */
#define GW_DATAGRAM_DTLS_MAX 63u

/* Stations on a multidrop line */
#define GW_STATION_ANSWER_MS 10u        /* a polled station begins to answer within */
#define GW_STATION_WAIT_MS 20u          /* the master waits this plus the frame's time */
#define GW_STATION_MISSES_MAX 10u       /* then the station is dropped */
#define GW_STATION_SEARCH_PERIOD_MS 2000u       /* the master looks for new stations every */
#define GW_STATION_TURN_OCTETS 3u       /* silence between the end of a frame and the answer to it, at least */
#define GW_STATION_FORGET_MS 20000u     /* a station that nobody polls forgets its number and its mute after */

/* ---- CAN: numbers by CiA 305, datagrams by ISO-TP (ISO 15765-2) ---- */

#define GW_NMT_ID 0x000u
#define GW_HEARTBEAT_ID 0x700u  /* + node number */
#define GW_LSS_ID_SLAVE 0x7e4u
#define GW_LSS_ID_MASTER 0x7e5u
#define GW_LSS_NODE_MIN 1u
#define GW_LSS_NODE_MAX 127u
#define GW_LSS_NODE_NONE 0xffu  /* the number of a node that has none */
#define GW_LSS_PRODUCT 0x47574159u      /* "GWAY": what tells endpoints from other CANopen nodes */
#define GW_LSS_BIT_CHECK_START 0x80u    /* fastscan: everybody, from the beginning */
#define GW_HEARTBEAT_BOOT 0x00u
#define GW_HEARTBEAT_OPERATIONAL 0x05u
#define GW_HEARTBEAT_PERIOD_MS 1000u
#define GW_CAN_GATEWAY_ADDRESS 0xf1u    /* the gateway's ISO-TP address; a node's is its number */
#define GW_CAN_ISOTP_ID 0x18da0000u     /* + target address x 256 + source address, 29 bits */

/* ---- SMP v2 ---- */

#define GW_SMP_HEADER_LEN 8u
#define GW_SMP_VERSION 1u       /* the value of the version field in SMP v2 */
#define GW_SMP_OP_READ 0u
#define GW_SMP_OP_READ_RSP 1u
#define GW_SMP_OP_WRITE 2u
#define GW_SMP_OP_WRITE_RSP 3u
#define GW_SMP_FIRST_OCTET_READ 0x08u
#define GW_SMP_FIRST_OCTET_READ_RSP 0x09u
#define GW_SMP_FIRST_OCTET_WRITE 0x0au
#define GW_SMP_FIRST_OCTET_WRITE_RSP 0x0bu

#define GW_SMP_GROUP_OS 0u
#define GW_SMP_GROUP_IMAGE 1u
#define GW_SMP_GROUP_ENUM 10u
#define GW_SMP_GROUP_LINK 0x5100u       /* always */
#define GW_SMP_GROUP_IDENT 0x5101u      /* by default: looked up by name once a session */
#define GW_SMP_GROUP_DATA 0x5102u       /* by default: looked up by name once a session */
#define GW_SMP_GROUP_NAME_LINK "gw_link"
#define GW_SMP_GROUP_NAME_IDENT "gw_ident"
#define GW_SMP_GROUP_NAME_DATA "gw_data"
#define GW_SMP_GROUP_NAME_MAX 24u
#define GW_SMP_GROUPS_MAX 24u   /* groups an endpoint may name in one answer */

#define GW_SMP_OS_ECHO 0u
#define GW_SMP_OS_DATETIME 4u
#define GW_SMP_OS_RESET 5u
#define GW_SMP_OS_PARAMS 6u
#define GW_SMP_OS_INFO 7u
#define GW_SMP_OS_BOOTLOADER 8u
#define GW_SMP_IMAGE_STATE 0u
#define GW_SMP_IMAGE_UPLOAD 1u
#define GW_SMP_IMAGE_ERASE 5u
#define GW_SMP_IMAGE_SLOT_INFO 6u
#define GW_SMP_ENUM_COUNT 0u
#define GW_SMP_ENUM_LIST 1u
#define GW_SMP_ENUM_SINGLE 2u
#define GW_SMP_ENUM_DETAILS 3u

#define GW_SMP_ECHO_MAX 128u    /* octets of text in os echo */
#define GW_SMP_INFO_MAX 256u
#define GW_SMP_REASON_MAX 64u   /* octets of an error's `rsn` */

/* SMP return codes, valid at the top level ("rc") in every group */
#define GW_SMP_RC_OK 0u
#define GW_SMP_RC_UNKNOWN 1u
#define GW_SMP_RC_NO_MEMORY 2u
#define GW_SMP_RC_INVALID 3u
#define GW_SMP_RC_TIMEOUT 4u
#define GW_SMP_RC_NO_ENTRY 5u
#define GW_SMP_RC_BAD_STATE 6u
#define GW_SMP_RC_TOO_LARGE 7u
#define GW_SMP_RC_NOT_SUPPORTED 8u
#define GW_SMP_RC_CORRUPT 9u
#define GW_SMP_RC_BUSY 10u
#define GW_SMP_RC_ACCESS_DENIED 11u
#define GW_SMP_RC_TOO_OLD 12u
#define GW_SMP_RC_TOO_NEW 13u
#define GW_SMP_RC_PER_USER 256u /* from here on ours; none is in use */

/* ---- gw_link, in the clear ---- */

#define GW_LINK_HELLO 0u        /* read */
#define GW_LINK_PROBE 1u        /* write, as all that follow */
#define GW_LINK_MUTE 2u
#define GW_LINK_ADDRESS 3u
#define GW_LINK_START 4u

#define GW_LINK_VERSION 1u
#define GW_LINK_SEC_DTLS12 1u   /* bit 0 of hello's `sec` */
#define GW_LINK_STATE_UNOWNED 0u
#define GW_LINK_STATE_OWNED 1u
#define GW_LINK_STATE_LOCKED 2u

#define GW_LINK_HELLO_PERIOD_MS 1000u   /* the plugin asks this often until a node is up */

/* ---- gw_ident, inside DTLS ---- */

#define GW_IDENT_INFO 0u        /* read */
#define GW_IDENT_CSR 1u         /* write */
#define GW_IDENT_CERT_PUT 2u    /* write */
#define GW_IDENT_CERT_GET 3u    /* read */
#define GW_IDENT_ANCHOR 4u      /* write */
#define GW_IDENT_OWN 5u         /* write */
#define GW_IDENT_NONCE 6u       /* read */
#define GW_IDENT_SIGN 7u        /* write */
#define GW_IDENT_ATTEST 8u      /* read */
#define GW_IDENT_WIPE 9u        /* write */
#define GW_IDENT_IDENTIFY 10u   /* write */

#define GW_IDENT_ERR_BAD_SLOT 2u
#define GW_IDENT_ERR_KEY_MISMATCH 3u
#define GW_IDENT_ERR_NOT_OWNER 4u
#define GW_IDENT_ERR_BAD_VOUCHER 5u
#define GW_IDENT_ERR_STALE_NONCE 6u
#define GW_IDENT_ERR_NOT_SIGNABLE 7u
#define GW_IDENT_ERR_BUSY 8u
#define GW_IDENT_ERR_PUF_FAILED 9u

#define GW_IDENT_ANCHOR_OWNER_CA 0u
#define GW_IDENT_ANCHOR_VOUCHER 1u
#define GW_IDENT_OWN_FIRST_USE 0u
#define GW_IDENT_OWN_VOUCHER 1u
#define GW_IDENT_OWN_RELEASE 2u
#define GW_IDENT_WIPE_CERTIFICATES 1u
#define GW_IDENT_WIPE_OWNER 2u  /* certificates and owner */
#define GW_IDENT_ROT_PUF "puf"
#define GW_IDENT_ROT_X509 "x509"
#define GW_IDENT_ROT_PSA "psa"
#define GW_IDENT_ROT_MAX 8u

#define GW_IDENT_SLOT_ID 0u     /* K_id; 1 and 2 are the current and the next K_tls */
#define GW_IDENT_SLOT_MAX 2u
#define GW_IDENT_SLOTS_MAX 3u   /* slots in info */
#define GW_IDENT_NONCE_LEN 16u
#define GW_IDENT_EAT_NONCE_MIN 8u       /* RFC 9711, section 4.1 */
#define GW_IDENT_EAT_NONCE_MAX 64u
#define GW_IDENT_SIG_MAX 72u    /* DER ECDSA-Sig-Value on P-256 */
#define GW_IDENT_OBJECT_MAX 4096u       /* a certificate, CSR, voucher or token, whole */
#define GW_IDENT_IDENTIFY_MAX_MS 60000u

#define GW_IDENT_FIRST_OWNER_S 600u     /* seconds after power-up in which m = 0 is accepted */
#define GW_IDENT_SIGN_BUCKET 5u         /* signatures at once */
#define GW_IDENT_SIGN_REFILL_MS 10000u  /* one more every */
#define GW_IDENT_BINDING_LEN 32u        /* RFC 9266 tls-exporter; 44 characters in base64 */
#define GW_IDENT_BINDING_TEXT_LEN 44u
#define GW_IDENT_BINDING_LABEL "EXPORTER-Channel-Binding"
#define GW_IDENT_SAN_PREFIX "urn:gangway:sn:"

/* ---- gw_data, inside DTLS ---- */

#define GW_DATA_DESCRIBE 0u     /* read */
#define GW_DATA_READ 1u         /* read */
#define GW_DATA_WRITE 2u        /* write */
#define GW_DATA_WATCH 3u        /* write */
#define GW_DATA_REPORT 4u       /* endpoint to gateway, a write */
#define GW_DATA_EVENT 5u        /* endpoint to gateway, a write */
#define GW_DATA_COMMAND_STATUS 6u       /* read */

#define GW_DATA_ERR_NO_POINT 2u
#define GW_DATA_ERR_TYPE 3u
#define GW_DATA_ERR_RANGE 4u
#define GW_DATA_ERR_NOT_WRITABLE 5u
#define GW_DATA_ERR_EXPIRED 6u
#define GW_DATA_ERR_INTERLOCK 7u

#define GW_DATA_TYPE_BOOL 1u
#define GW_DATA_TYPE_INT 2u
#define GW_DATA_TYPE_FLOAT 3u
#define GW_DATA_TYPE_TEXT 4u
#define GW_DATA_TYPE_BYTES 5u
#define GW_DATA_ACCESS_READ 1u
#define GW_DATA_ACCESS_WRITE 2u
#define GW_DATA_ACCESS_REPORT 4u
#define GW_DATA_COMMAND_DONE 0u
#define GW_DATA_COMMAND_RUNNING 1u
#define GW_DATA_COMMAND_REFUSED 2u

#define GW_DATA_BOOT_LEN 4u     /* bt */
#define GW_DATA_REQUEST_LEN 8u  /* rq */
#define GW_DATA_REQUESTS_KEPT 8u        /* the endpoint keeps its last rq */
#define GW_DATA_POINT_NAME_MAX 32u      /* octets; SenML's characters (RFC 8428, section 4.5.1) */
#define GW_DATA_UNIT_MAX 16u
#define GW_DATA_VALUE_MAX 128u  /* octets of a text or byte value */
#define GW_DATA_EVENT_TEXT_MAX 128u
#define GW_DATA_POINTS_MAX 256u /* points of an endpoint */
#define GW_DATA_IDS_MAX 32u     /* point ids in one read or watch */
#define GW_DATA_RECORDS_MAX 64u /* SenML records in one message */
#define GW_DATA_TIME_ABSOLUTE_S 268435456u      /* 2^28: smaller times are relative (RFC 8428, section 4.5.3) */
#define GW_DATA_TIME_MAX_S 1000000000000u       /* 10^12: no time, base or sum lies further from 0 */

/* ---- Sessions and requests ---- */

#define GW_DTLS_CLIENT_HELLO_MIN_MS 1000u       /* then 2, 4 .. */
#define GW_DTLS_CLIENT_HELLO_MAX_MS 60000u      /* .. this, each with the jitter below */
#define GW_DTLS_CLIENT_HELLO_JITTER_PERCENT 25u
#define GW_DTLS_CLIENT_HELLO_SHARED_MS 15000u   /* the first one on a bus that many share, with that jitter too */
#define GW_DTLS_START_HONOUR_MS 5000u   /* an endpoint honours one `start` per */
#define GW_DTLS_RETRANSMIT_MIN_MS 100u  /* and at least twice a full frame's time */
#define GW_DTLS_RECORD_OVERHEAD 37u     /* record header, nonce and tag of AES-128-GCM */

#define GW_KEEPALIVE_IDLE_MS 10000u     /* os echo after this much silence */
#define GW_KEEPALIVE_MISSES_MAX 3u      /* then the session is down */

#define GW_REQUEST_TIMEOUT_MS 1000u     /* plus two full-frame times; doubles with each try */
#define GW_REQUEST_TIMEOUT_FRAMES 2u
#define GW_REQUEST_TRIES_MAX 5u
#define GW_REQUEST_SIGN_TIMEOUT_MS 5000u
#define GW_REQUEST_IMAGE_TIMEOUT_MS 40000u      /* erase, and upload at off 0 */
#define GW_CLONE_PING_MS 2000u  /* the first session's time to answer when a second proof comes */

/* ---- CBOR bounds ---- */

#define GW_CBOR_DEPTH_MAX 8u    /* nesting inside a skipped item */
