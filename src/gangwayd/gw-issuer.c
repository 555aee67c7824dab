/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The issuer interface: hands each call to the driver. Requests are checked here, once for all drivers. */

#include "gw-issuer.h"

#include <string.h>

#include "gw-error.h"

#define KID_TEXT_LEN 64

void
gw_issued_free (GwIssued *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->certificate, g_bytes_unref);
  g_clear_pointer (&self->chain, g_ptr_array_unref);
  g_free (self->fingerprint);
  g_free (self->serial);
  g_free (self);
}

const char *
gw_issuer_get_name (GwIssuer *self)
{
  return self->klass->name;
}

static gboolean
check_request (const GwIssueRequest *request, GError **error)
{
  const char *kid = request->kid;

  if (kid == NULL || strlen (kid) != KID_TEXT_LEN || strspn (kid, "0123456789abcdef") != KID_TEXT_LEN)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
                   "A certificate needs a key id of 64 lower-case hex digits");
      return FALSE;
    }
  if (request->serial_number == NULL)
    return TRUE;
  if (strlen (request->serial_number) > GW_ISSUER_SERIAL_NUMBER_MAX
      || !g_utf8_validate (request->serial_number, -1, NULL))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
                   "The serial number of %s is longer than %d octets or not UTF-8; correct the manifest", kid,
                   GW_ISSUER_SERIAL_NUMBER_MAX);
      return FALSE;
    }
  return TRUE;
}

/* A request that no driver gets to see fails through a task with this tag. */
static void
fail_early (GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data, GError *error)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);

  g_task_set_source_tag (task, fail_early);
  g_task_return_error (task, error);
}

void
gw_issuer_issue_async (GwIssuer *self,
                       GBytes *csr,
                       const GwIssueRequest *request,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  GError *error = NULL;

  if (!check_request (request, &error))
    {
      fail_early (cancellable, callback, user_data, error);
      return;
    }
  self->klass->issue_async (self, csr, request, cancellable, callback, user_data);
}

GwIssued *
gw_issuer_issue_finish (GwIssuer *self, GAsyncResult *result, GError **error)
{
  if (G_IS_TASK (result) && g_task_get_source_tag (G_TASK (result)) == (gpointer)fail_early)
    return g_task_propagate_pointer (G_TASK (result), error);
  return self->klass->issue_finish (self, result, error);
}

void
gw_issuer_free (GwIssuer *self)
{
  if (self == NULL)
    return;
  if (self->klass->destroy != NULL)
    self->klass->destroy (self);
  g_free (self);
}
