/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * What a D-Bus call may weigh. Answers name what was asked for, ours and GDBus's own: one to a call of nearly the bus's limit
 * is larger than the bus takes, and whoever sends it is thrown off the bus. So a call that is larger than any of ours ever is gets
 * one short answer, before anything looks into it. Bulk data comes by descriptor.
 */

/* Octets of a call's arguments, and of an object path. */
#define GW_TURNSTILE_BODY_MAX 65536
#define GW_TURNSTILE_PATH_MAX 1024

/* For as long as @connection lives. The check runs in GDBus's thread and touches nothing of the daemon. */
void gw_turnstile_install (GDBusConnection *connection);

G_END_DECLS
