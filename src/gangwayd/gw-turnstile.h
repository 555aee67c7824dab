/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * What a D-Bus call may weigh. Answers name what was asked for, ours and GDBus's own: one to a call of nearly the bus's limit
 * is larger than the bus takes, and whoever sends it is thrown off the bus. So a call that is larger than any of ours ever is gets
 * one short answer, before anything looks into it. Bulk data comes by descriptor.
 *
 * And what all calls together may weigh that wait to be answered, in octets and in descriptors: calls that want no answer are held back by
 * nobody else, and sixteen descriptors may come with each, whatever the method; at the process's limit GLib aborts. One caller has at most
 * half of it, several share it, and what is too much is answered with Limit.
 */

/* Octets of a call's arguments, and of an object path. */
#define GW_TURNSTILE_BODY_MAX 65536
#define GW_TURNSTILE_PATH_MAX 1024
/* Octets of all calls that wait, each with 2 KiB of its own; descriptors that came with them. */
#define GW_TURNSTILE_QUEUE_MAX (64 * 1024 * 1024)
#define GW_TURNSTILE_DESCRIPTORS_MAX 256

/* For as long as @connection lives. The check runs in GDBus's thread and touches nothing of the daemon; calls that are let through may
 * outlive the connection. */
void gw_turnstile_install (GDBusConnection *connection);

G_END_DECLS
