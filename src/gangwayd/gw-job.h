/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-bouncer.h"
#include "gw-objects.h"

G_BEGIN_DECLS

/* A Job object on D-Bus: something that takes a while, with its progress, its end and a way to cancel it. */

/* A finished job stays readable this long. */
#define GW_JOB_LINGER_USEC (60 * G_USEC_PER_SEC)
/* Jobs that may exist at a time; those that have ended make way for new ones, the oldest first. */
#define GW_JOB_MAX 256

#define GW_TYPE_JOB (gw_job_get_type ())
G_DECLARE_FINAL_TYPE (GwJob, gw_job, GW, JOB, GObject)

/*
 * Exports a new running job on @manager's connection. @object: object path that it works on, or NULL. @invocation: the call that
 * starts it; its caller may cancel the job, as may whoever may make that call. Returns a reference for the worker, who must end the
 * job before giving it back; NULL with GW_ERROR_LIMIT when there are too many.
 */
GwJob *gw_job_start (GwObjects *manager,
                     GwBouncer *bouncer,
                     const char *kind,
                     const char *object,
                     GDBusMethodInvocation *invocation,
                     GError **error);
/* Cancels it when its starter leaves the bus: for jobs that live on what the starter feeds them. */
void gw_job_end_with_starter (GwJob *self, GDBusConnection *connection);
const char *gw_job_get_path (GwJob *self);
/* Cancelled by Job.Cancel; the worker looks at it and then calls gw_job_end_error() with its error. */
GCancellable *gw_job_get_cancellable (GwJob *self);
void gw_job_set_stage (GwJob *self, double progress, const char *stage);
/* @result: a{sv}, floating is sunk; may be NULL. */
void gw_job_end (GwJob *self, GVariant *result);
/* Fails it; @result as above tells counts gathered until then. Does not take @error. */
void gw_job_end_error (GwJob *self, const GError *error, GVariant *result);

G_END_DECLS
