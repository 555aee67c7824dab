/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The standard SMP groups an endpoint serves: os (echo, datetime, reset, params, info) and enum (details), by
 * which the gateway finds the numbers of ours by name. Echo, params and enum are open to any session: without
 * them a gateway could neither find gw_ident nor keep an unowned endpoint's session. */

#include "gw-ep-private.h"

#include <string.h>

#include "gw-ep-time-codec.h"

#define OS_ERR_RTC_NOT_SET 4 /* MCUmgr's os group */

static int
echo (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwSmpEcho message;

  (void)ep;
  if (gw_smp_echo_req_decode (body, &message) != GW_OK)
    return GW_SMP_RC_INVALID;
  gw_smp_echo_rsp_encode (&message, w);
  return GW_EP_OK;
}

static int
params (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwSmpParams message = { .buf_size = (uint32_t)gw_ep_dtls_message_max (&ep->dtls), .buf_count = 1 };

  if (gw_smp_empty_decode (body) != GW_OK)
    return GW_SMP_RC_INVALID;
  gw_smp_params_rsp_encode (&message, w);
  return GW_EP_OK;
}

/* Every character of uname(1)'s format is answered by what comes nearest; the rest is left out. */
static int
info (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  char text[GW_EP_IDENT_STR_MAX * 2 + 2];
  GwSmpInfoReq req;
  GwSmpInfoRsp rsp;
  size_t len = strlen (ep->config->model);

  if (gw_smp_info_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  memcpy (text, ep->config->model, len);
  text[len++] = ' ';
  memcpy (text + len, ep->config->firmware, strlen (ep->config->firmware) + 1);
  rsp.output = gw_text (text);
  gw_smp_info_rsp_encode (&rsp, w);
  return GW_EP_OK;
}

static int
reset (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwSmpReset message;

  if (gw_smp_reset_decode (body, &message) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (message.has_boot_mode && message.boot_mode != 0)
    return GW_SMP_RC_NOT_SUPPORTED;
  ep->reset_at = gw_ep_now (ep) + GW_EP_CLOSE_DELAY_MS;
  gw_smp_empty_encode (w);
  return GW_EP_OK;
}

/* The wall clock lives in RAM: set by the owner, counted on by the uptime, for the application. Records do
 * not use it; the gateway makes their times absolute. */
static int
datetime_get (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  uint64_t unix_ms;

  if (gw_smp_empty_decode (body) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (!gw_ep_wall_clock (ep, &unix_ms))
    return GW_EP_GROUP_ERROR (OS_ERR_RTC_NOT_SET);
  gw_ep_datetime_encode (unix_ms, w);
  return GW_EP_OK;
}

static int
datetime_set (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  uint64_t unix_ms;

  if (gw_ep_datetime_decode (body, &unix_ms) != GW_OK)
    return GW_SMP_RC_INVALID;
  ep->has_wall_clock = true;
  ep->wall_clock_at_0 = unix_ms - gw_ep_now (ep);
  gw_smp_empty_encode (w);
  return GW_EP_OK;
}

static const struct
{
  uint16_t group;
  const char *name;
} groups[] = {
  { GW_SMP_GROUP_OS, "os" },
  { GW_SMP_GROUP_ENUM, "enum" },
  { GW_SMP_GROUP_IDENT, GW_SMP_GROUP_NAME_IDENT },
  { GW_SMP_GROUP_DATA, GW_SMP_GROUP_NAME_DATA },
};

static bool
asked_for (const GwSmpEnumReq *req, uint16_t group)
{
  size_t i;

  for (i = 0; i < req->n_groups; i++)
    if (req->groups[i] == group)
      return true;
  return req->n_groups == 0;
}

static int
enum_details (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwSmpEnumReq req;
  GwSmpEnumRsp rsp;
  size_t i;

  (void)ep;
  if (gw_smp_enum_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  memset (&rsp, 0, sizeof rsp);
  for (i = 0; i < sizeof groups / sizeof groups[0]; i++)
    if (asked_for (&req, groups[i].group))
      rsp.groups[rsp.n_groups++]
          = (GwSmpEnumGroup){ .group = groups[i].group, .has_name = true, .name = gw_text (groups[i].name) };
  gw_smp_enum_rsp_encode (&rsp, w);
  return GW_EP_OK;
}

const GwEpCommand gw_ep_os_commands[] = {
  { GW_SMP_GROUP_OS, GW_SMP_OS_ECHO, GW_SMP_OP_WRITE, true, echo },
  { GW_SMP_GROUP_OS, GW_SMP_OS_ECHO, GW_SMP_OP_READ, true, echo },
  { GW_SMP_GROUP_OS, GW_SMP_OS_DATETIME, GW_SMP_OP_READ, false, datetime_get },
  { GW_SMP_GROUP_OS, GW_SMP_OS_DATETIME, GW_SMP_OP_WRITE, false, datetime_set },
  { GW_SMP_GROUP_OS, GW_SMP_OS_RESET, GW_SMP_OP_WRITE, false, reset },
  { GW_SMP_GROUP_OS, GW_SMP_OS_PARAMS, GW_SMP_OP_READ, true, params },
  { GW_SMP_GROUP_OS, GW_SMP_OS_INFO, GW_SMP_OP_READ, false, info },
  { GW_SMP_GROUP_ENUM, GW_SMP_ENUM_DETAILS, GW_SMP_OP_READ, true, enum_details },
};
const size_t gw_ep_os_n_commands = sizeof gw_ep_os_commands / sizeof gw_ep_os_commands[0];
