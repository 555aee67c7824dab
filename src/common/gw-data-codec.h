/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bodies of gw_data (default group 0x5102), inside DTLS, with SenML-CBOR records (RFC 8428, section 6). See
 * gw-smp-codec.h for what all the decoders and encoders have in common.
 *
 * Lists of any length (points, records) are not copied: decoding checks every element and leaves a GwDataList,
 * over which gw_data_points_next / gw_data_records_next walk; after a good decode they cannot fail. Encoding
 * writes the head, then element after element while they fit, then the end:
 *
 *   gw_data_report_begin (&report, &w);
 *   while (more && gw_data_add_record (&w, &rec)) ...;   // false: does not fit, nothing was written
 *   gw_data_end (&w);
 */

#include "gw-smp-codec.h"

/* Space that gw_data_add_* leaves for gw_data_end. */
#define GW_DATA_END_LEN 1u

/* A checked list inside a message. Copy it to walk again. */
typedef struct
{
  GwCborReader reader;
  GwCborSpan span;
  size_t n; /* elements; for records those that carry a value */
  GwText base_name;
  double base_time;
} GwDataList;

typedef struct
{
  uint32_t id;
  GwText name;
  bool has_unit;
  GwText unit;
  GwValueType type;
  uint8_t access; /* GW_DATA_ACCESS_ */
  bool has_low, has_high, has_step;
  double low, high, step; /* in the point's unit */
  bool has_unsafe;
  bool unsafe; /* acts on something that moves or heats: the gateway asks twice */
} GwDataPoint;

/* One SenML record. Walking a list fills base_name and base_time with those in force (has_base_* tell that they
 * changed since the last record handed out), so that the full name is base_name | name, at most
 * GW_DATA_POINT_NAME_MAX octets of SenML's characters, and the full time is base_time + time: seconds, UTC if at
 * least GW_DATA_TIME_ABSOLUTE_S, else relative to the moment of sending (RFC 8428, 4.5.3). */
typedef struct
{
  bool has_base_name, has_base_time;
  GwText base_name;
  double base_time;
  GwText name;  /* empty: absent */
  GwText unit;  /* empty: absent */
  bool has_time;
  double time;
  GwValue value; /* GW_VALUE_NONE only in a record of base fields, which walking does not hand out */
} GwDataRecord;

typedef struct
{
  uint32_t index; /* of the first point wanted; absent means 0 */
} GwDataDescribeReq;

typedef struct
{
  uint32_t count;    /* of all points, at most GW_DATA_POINTS_MAX; ask on with i = those received */
  uint64_t revision; /* changes whenever a description does */
  GwDataList points;
} GwDataDescribeRsp;

typedef struct
{
  size_t n_ids; /* 1 .. GW_DATA_IDS_MAX */
  uint32_t ids[GW_DATA_IDS_MAX];
  uint32_t index; /* of the first id wanted; absent means 0 */
} GwDataReadReq;

/* One record for each id from `index` on, in that order; fewer, but at least one, if not all fit. */
typedef struct
{
  GwDataList records;
} GwDataReadRsp;

typedef struct
{
  uint8_t request[GW_DATA_REQUEST_LEN];
  uint32_t id;
  GwValue value;
  uint64_t by_ms; /* the endpoint's uptime after which it must not act */
} GwDataWriteReq;

typedef struct
{
  GwValue value; /* as it now stands */
  uint64_t uptime_ms;
  bool has_duplicate;
  bool duplicate; /* the request was answered before; the stored answer */
} GwDataWriteRsp;

typedef struct
{
  size_t n_ids;
  uint32_t ids[GW_DATA_IDS_MAX];
  uint32_t min_ms; /* no oftener */
  uint32_t max_ms; /* no seldomer; 0: no reports */
  bool has_deadband;
  double deadband;
} GwDataWatch;

typedef struct
{
  uint8_t boot[GW_DATA_BOOT_LEN];
  uint64_t seq; /* from 1, at most INT64_MAX; shared by reports and events */
  uint64_t uptime_ms;
  GwDataList records; /* ignored when encoding */
} GwDataReport;

typedef struct
{
  uint8_t boot[GW_DATA_BOOT_LEN];
  uint64_t seq;
  uint64_t uptime_ms;
  uint8_t level; /* syslog severity, 0 emergency .. 7 debug */
  uint32_t code;
  bool has_message;
  GwText message;
} GwDataEvent;

/* The answer to a report and to an event. */
typedef struct
{
  uint8_t boot[GW_DATA_BOOT_LEN];
  uint64_t seq;
} GwDataAck;

typedef struct
{
  uint8_t request[GW_DATA_REQUEST_LEN];
} GwDataStatusReq;

typedef struct
{
  uint8_t state; /* GW_DATA_COMMAND_ */
  bool has_value;
  GwValue value;
} GwDataStatusRsp;

/* Whether @name is a SenML name: A-Z a-z 0-9 - : . / _, begun by a letter or digit (RFC 8428, section 4.5.1),
 * 1 .. GW_DATA_POINT_NAME_MAX octets. */
bool gw_data_name_is_valid (GwText name);

GwStatus gw_data_describe_req_decode (GwBytes body, GwDataDescribeReq *out);
void gw_data_describe_req_encode (const GwDataDescribeReq *in, GwCborWriter *w);
GwStatus gw_data_describe_rsp_decode (GwBytes body, GwDataDescribeRsp *out);
void gw_data_describe_rsp_begin (const GwDataDescribeRsp *in, GwCborWriter *w);
GwStatus gw_data_read_req_decode (GwBytes body, GwDataReadReq *out);
void gw_data_read_req_encode (const GwDataReadReq *in, GwCborWriter *w);
GwStatus gw_data_read_rsp_decode (GwBytes body, GwDataReadRsp *out);
void gw_data_read_rsp_begin (GwCborWriter *w);
GwStatus gw_data_write_req_decode (GwBytes body, GwDataWriteReq *out);
void gw_data_write_req_encode (const GwDataWriteReq *in, GwCborWriter *w);
GwStatus gw_data_write_rsp_decode (GwBytes body, GwDataWriteRsp *out);
void gw_data_write_rsp_encode (const GwDataWriteRsp *in, GwCborWriter *w);
GwStatus gw_data_watch_decode (GwBytes body, GwDataWatch *out);
void gw_data_watch_encode (const GwDataWatch *in, GwCborWriter *w);
GwStatus gw_data_report_decode (GwBytes body, GwDataReport *out);
void gw_data_report_begin (const GwDataReport *in, GwCborWriter *w);
GwStatus gw_data_event_decode (GwBytes body, GwDataEvent *out);
void gw_data_event_encode (const GwDataEvent *in, GwCborWriter *w);
GwStatus gw_data_ack_decode (GwBytes body, GwDataAck *out);
void gw_data_ack_encode (const GwDataAck *in, GwCborWriter *w);
GwStatus gw_data_status_req_decode (GwBytes body, GwDataStatusReq *out);
void gw_data_status_req_encode (const GwDataStatusReq *in, GwCborWriter *w);
GwStatus gw_data_status_rsp_decode (GwBytes body, GwDataStatusRsp *out);
void gw_data_status_rsp_encode (const GwDataStatusRsp *in, GwCborWriter *w);

/* Adds one element after a *_begin. False, and nothing written, if it and the end would not fit. */
bool gw_data_add_point (GwCborWriter *w, const GwDataPoint *point);
bool gw_data_add_record (GwCborWriter *w, const GwDataRecord *record);
/* Ends the list, and with it the message. */
void gw_data_end (GwCborWriter *w);

/* The next element of a checked list; false at its end. */
bool gw_data_points_next (GwDataList *list, GwDataPoint *out);
bool gw_data_records_next (GwDataList *list, GwDataRecord *out);
