/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-smp-codec.h"

#include "gw-fields.h"
#include "gw-reader.h"

#define OP_MASK 0x07
#define VERSION_SHIFT 3

GwDatagramKind
gw_datagram_kind (const uint8_t *data, size_t len)
{
  if (len == 0)
    return GW_DATAGRAM_OTHER;
  if (data[0] >= GW_DATAGRAM_DTLS_MIN && data[0] <= GW_DATAGRAM_DTLS_MAX)
    return GW_DATAGRAM_DTLS;
  switch (data[0])
    {
    case GW_SMP_FIRST_OCTET_READ:
    case GW_SMP_FIRST_OCTET_WRITE:
      return GW_DATAGRAM_SMP_REQUEST;
    case GW_SMP_FIRST_OCTET_READ_RSP:
    case GW_SMP_FIRST_OCTET_WRITE_RSP:
      return GW_DATAGRAM_SMP_RESPONSE;
    default:
      return GW_DATAGRAM_OTHER;
    }
}

/* ---- Header ---- */

size_t
gw_datagram_whole_records (const uint8_t *data, size_t len)
{
  size_t whole = 0;
  GwReader r;

  gw_reader_init (&r, data, len);
  while (r.left > 0)
    {
      gw_reader_bytes (&r, 11); /* type, version, epoch, sequence number (RFC 6347, section 4.1) */
      gw_reader_bytes (&r, gw_reader_u16be (&r));
      if (!gw_reader_ok (&r))
        break;
      whole = len - r.left;
    }
  return whole;
}

GwStatus
gw_smp_decode (const uint8_t *data, size_t len, GwSmpMessage *msg)
{
  GwReader r;
  uint8_t first;
  uint16_t length;

  gw_reader_init (&r, data, len);
  first = gw_reader_u8 (&r);
  msg->op = first & OP_MASK;
  msg->flags = gw_reader_u8 (&r);
  length = gw_reader_u16be (&r);
  msg->group = gw_reader_u16be (&r);
  msg->seq = gw_reader_u8 (&r);
  msg->command = gw_reader_u8 (&r);
  if (!gw_reader_ok (&r))
    return GW_E_TRUNCATED;
  msg->body = gw_reader_rest (&r);
  if (first >> VERSION_SHIFT != GW_SMP_VERSION || msg->op > GW_SMP_OP_WRITE_RSP)
    return GW_E_UNSUPPORTED;
  if (length > msg->body.len)
    return GW_E_TRUNCATED;
  return length == msg->body.len ? GW_OK : GW_E_MALFORMED;
}

bool
gw_smp_is_request (const GwSmpMessage *msg)
{
  return msg->op == GW_SMP_OP_READ || msg->op == GW_SMP_OP_WRITE;
}

bool
gw_smp_answers (const GwSmpMessage *rsp, uint8_t op, uint16_t group, uint8_t seq, uint8_t command)
{
  return rsp->op == op + 1 && rsp->group == group && rsp->seq == seq && rsp->command == command;
}

void
gw_smp_begin (
    GwCborWriter *w, void *buf, size_t size, uint8_t op, uint16_t group, uint8_t seq, uint8_t command)
{
  uint8_t *p = buf;

  gw_cbor_writer_init (w, buf, size);
  if (size < GW_SMP_HEADER_LEN)
    {
      w->status = GW_E_SPACE;
      return;
    }
  p[0] = (uint8_t)(GW_SMP_VERSION << VERSION_SHIFT | op);
  p[1] = 0;
  gw_put_u16be (p + 2, 0);
  gw_put_u16be (p + 4, group);
  p[6] = seq;
  p[7] = command;
  w->len = GW_SMP_HEADER_LEN;
}

void
gw_smp_begin_response (GwCborWriter *w, void *buf, size_t size, const GwSmpMessage *req)
{
  gw_smp_begin (w, buf, size, (uint8_t)(req->op + 1), req->group, req->seq, req->command);
}

GwStatus
gw_smp_end (GwCborWriter *w, size_t *len)
{
  size_t body = w->len - GW_SMP_HEADER_LEN;

  if (w->status != GW_OK)
    return w->status;
  if (body == 0)
    return GW_E_INVALID;
  if (body > UINT16_MAX)
    return GW_E_LIMIT;
  gw_put_u16be (w->buf + 2, (uint16_t)body);
  *len = w->len;
  return GW_OK;
}

/* ---- Results ---- */

typedef struct
{
  uint16_t group;
  uint16_t rc;
} GroupError;

typedef struct
{
  uint16_t rc;
  bool has_err;
  GroupError err;
  bool has_reason;
  GwText reason;
} ResultBody;

static const GwField group_error_fields[] = {
  { .key = "group",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GroupError, group),
    GW_FIELD_NEEDED,
    .max = UINT16_MAX },
  { .key = "rc", .kind = GW_FIELD_UINT, GW_FIELD_AT (GroupError, rc), GW_FIELD_NEEDED, .max = UINT16_MAX },
};
static const GwFieldTable group_error_table = GW_FIELD_TABLE (group_error_fields);

static const GwField result_fields[] = {
  { .key = "rc",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (ResultBody, rc),
    .has = GW_FIELD_DEFAULT,
    .max = UINT16_MAX },
  { .key = "err",
    .kind = GW_FIELD_MAP,
    GW_FIELD_AT (ResultBody, err),
    GW_FIELD_HAS (ResultBody, has_err),
    .sub = &group_error_table },
  { .key = "rsn",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (ResultBody, reason),
    GW_FIELD_HAS (ResultBody, has_reason),
    .max = GW_SMP_REASON_MAX },
};
static const GwFieldTable result_table = GW_FIELD_TABLE (result_fields);

GwStatus
gw_smp_result_decode (GwBytes body, GwSmpResult *out)
{
  ResultBody b;
  GwStatus st = gw_fields_decode (body, &result_table, &b, sizeof b);

  if (st != GW_OK)
    return st;
  out->in_group = b.err.rc != 0;
  out->group = b.err.group;
  out->rc = out->in_group ? b.err.rc : b.rc;
  out->reason = b.reason;
  return GW_OK;
}

void
gw_smp_result_encode (const GwSmpResult *in, GwCborWriter *w)
{
  ResultBody b = { .has_err = in->in_group, .has_reason = in->reason.len > 0, .reason = in->reason };

  if (in->in_group)
    b.err = (GroupError){ in->group, in->rc };
  else
    b.rc = in->rc;
  gw_fields_encode (&result_table, &b, w);
}

static GwStatus
error_message (const GwSmpMessage *req, const GwSmpResult *result, void *buf, size_t size, size_t *len)
{
  GwCborWriter w;

  gw_smp_begin_response (&w, buf, size, req);
  gw_smp_result_encode (result, &w);
  return gw_smp_end (&w, len);
}

GwStatus
gw_smp_error (const GwSmpMessage *req, uint16_t rc, void *buf, size_t size, size_t *len)
{
  return error_message (req, &(GwSmpResult){ .rc = rc }, buf, size, len);
}

GwStatus
gw_smp_group_error (const GwSmpMessage *req, uint16_t rc, void *buf, size_t size, size_t *len)
{
  return error_message (req, &(GwSmpResult){ .in_group = true, .group = req->group, .rc = rc }, buf, size,
                        len);
}

const char *
gw_smp_rc_text (uint16_t rc)
{
  static const char *const texts[]
      = { "success",  "unknown error", "out of memory",   "invalid value",  "timed out",
          "no entry", "bad state",     "too large",       "not supported",  "corrupt",
          "busy",     "access denied", "version too old", "version too new" };

  return rc < sizeof texts / sizeof texts[0] ? texts[rc] : "unknown code";
}

GwStatus
gw_smp_empty_decode (GwBytes body)
{
  static const GwFieldTable none = { NULL, 0 };
  uint8_t unused;

  return gw_fields_decode (body, &none, &unused, sizeof unused);
}

void
gw_smp_empty_encode (GwCborWriter *w)
{
  gw_cbor_begin_map (w, 0);
}

/* ---- os ---- */

static const GwField echo_req_fields[] = {
  { .key = "d",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwSmpEcho, text),
    GW_FIELD_NEEDED,
    .max = GW_SMP_ECHO_MAX },
};
static const GwFieldTable echo_req_table = GW_FIELD_TABLE (echo_req_fields);

static const GwField echo_rsp_fields[] = {
  { .key = "r",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwSmpEcho, text),
    GW_FIELD_NEEDED,
    .max = GW_SMP_ECHO_MAX },
};
static const GwFieldTable echo_rsp_table = GW_FIELD_TABLE (echo_rsp_fields);

static const GwField params_fields[] = {
  { .key = "buf_size",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpParams, buf_size),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "buf_count",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpParams, buf_count),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
};
static const GwFieldTable params_table = GW_FIELD_TABLE (params_fields);

static const GwField info_req_fields[] = {
  { .key = "format",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwSmpInfoReq, format),
    GW_FIELD_HAS (GwSmpInfoReq, has_format),
    .max = GW_SMP_INFO_MAX },
};
static const GwFieldTable info_req_table = GW_FIELD_TABLE (info_req_fields);

static const GwField info_rsp_fields[] = {
  { .key = "output",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwSmpInfoRsp, output),
    GW_FIELD_NEEDED,
    .max = GW_SMP_INFO_MAX },
};
static const GwFieldTable info_rsp_table = GW_FIELD_TABLE (info_rsp_fields);

static const GwField reset_fields[] = {
  { .key = "force",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpReset, force),
    GW_FIELD_HAS (GwSmpReset, has_force),
    .max = 1 },
  { .key = "boot_mode",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpReset, boot_mode),
    GW_FIELD_HAS (GwSmpReset, has_boot_mode),
    .max = UINT8_MAX },
};
static const GwFieldTable reset_table = GW_FIELD_TABLE (reset_fields);

GwStatus
gw_smp_echo_req_decode (GwBytes body, GwSmpEcho *out)
{
  return gw_fields_decode (body, &echo_req_table, out, sizeof *out);
}

void
gw_smp_echo_req_encode (const GwSmpEcho *in, GwCborWriter *w)
{
  gw_fields_encode (&echo_req_table, in, w);
}

GwStatus
gw_smp_echo_rsp_decode (GwBytes body, GwSmpEcho *out)
{
  return gw_fields_decode (body, &echo_rsp_table, out, sizeof *out);
}

void
gw_smp_echo_rsp_encode (const GwSmpEcho *in, GwCborWriter *w)
{
  gw_fields_encode (&echo_rsp_table, in, w);
}

GwStatus
gw_smp_params_rsp_decode (GwBytes body, GwSmpParams *out)
{
  return gw_fields_decode (body, &params_table, out, sizeof *out);
}

void
gw_smp_params_rsp_encode (const GwSmpParams *in, GwCborWriter *w)
{
  gw_fields_encode (&params_table, in, w);
}

GwStatus
gw_smp_info_req_decode (GwBytes body, GwSmpInfoReq *out)
{
  return gw_fields_decode (body, &info_req_table, out, sizeof *out);
}

void
gw_smp_info_req_encode (const GwSmpInfoReq *in, GwCborWriter *w)
{
  gw_fields_encode (&info_req_table, in, w);
}

GwStatus
gw_smp_info_rsp_decode (GwBytes body, GwSmpInfoRsp *out)
{
  return gw_fields_decode (body, &info_rsp_table, out, sizeof *out);
}

void
gw_smp_info_rsp_encode (const GwSmpInfoRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&info_rsp_table, in, w);
}

GwStatus
gw_smp_reset_decode (GwBytes body, GwSmpReset *out)
{
  return gw_fields_decode (body, &reset_table, out, sizeof *out);
}

void
gw_smp_reset_encode (const GwSmpReset *in, GwCborWriter *w)
{
  gw_fields_encode (&reset_table, in, w);
}

/* ---- enum ---- */

static const GwField enum_req_fields[] = {
  { .key = "groups",
    .kind = GW_FIELD_UINTS,
    .offset = offsetof (GwSmpEnumReq, groups),
    .size = sizeof (uint16_t),
    .count = offsetof (GwSmpEnumReq, n_groups),
    .has = GW_FIELD_DEFAULT,
    .max = GW_SMP_GROUPS_MAX },
};
static const GwFieldTable enum_req_table = GW_FIELD_TABLE (enum_req_fields);

static const GwField enum_group_fields[] = {
  { .key = "group",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpEnumGroup, group),
    GW_FIELD_NEEDED,
    .max = UINT16_MAX },
  { .key = "name",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwSmpEnumGroup, name),
    GW_FIELD_HAS (GwSmpEnumGroup, has_name),
    .max = GW_SMP_GROUP_NAME_MAX },
  { .key = "handlers",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwSmpEnumGroup, handlers),
    GW_FIELD_HAS (GwSmpEnumGroup, has_handlers),
    .max = UINT32_MAX },
};
static const GwFieldTable enum_group_table = GW_FIELD_TABLE (enum_group_fields);

static const GwField enum_rsp_fields[] = {
  { .key = "groups",
    .kind = GW_FIELD_MAPS,
    .offset = offsetof (GwSmpEnumRsp, groups),
    .size = sizeof (GwSmpEnumGroup),
    .count = offsetof (GwSmpEnumRsp, n_groups),
    GW_FIELD_NEEDED,
    .max = GW_SMP_GROUPS_MAX,
    .sub = &enum_group_table },
};
static const GwFieldTable enum_rsp_table = GW_FIELD_TABLE (enum_rsp_fields);

GwStatus
gw_smp_enum_req_decode (GwBytes body, GwSmpEnumReq *out)
{
  return gw_fields_decode (body, &enum_req_table, out, sizeof *out);
}

void
gw_smp_enum_req_encode (const GwSmpEnumReq *in, GwCborWriter *w)
{
  gw_fields_encode (&enum_req_table, in, w);
}

GwStatus
gw_smp_enum_rsp_decode (GwBytes body, GwSmpEnumRsp *out)
{
  return gw_fields_decode (body, &enum_rsp_table, out, sizeof *out);
}

void
gw_smp_enum_rsp_encode (const GwSmpEnumRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&enum_rsp_table, in, w);
}

GwStatus
gw_smp_enum_find (const GwSmpEnumRsp *rsp, const char *name, uint16_t *group)
{
  for (size_t i = 0; i < rsp->n_groups; i++)
    if (rsp->groups[i].has_name && gw_text_equal (rsp->groups[i].name, name))
      {
        *group = rsp->groups[i].group;
        return GW_OK;
      }
  return GW_E_NOT_FOUND;
}
