/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Who signs the endpoints' certificates: one interface, a driver for each kind of issuer. The local CA
 * (gw-ca.h) is the first; an EST server or a cloud's registry answer over the network, so everything is
 * asynchronous. */

#define GW_ISSUER_SERIAL_NUMBER_MAX 64 /* octets of the manifest's serial number */

typedef struct _GwIssuer GwIssuer;

typedef struct
{
  const char *kid;           /* 64 lower-case hex digits: becomes the CN */
  const char *serial_number; /* of the manifest, as it stands there (UTF-8); NULL or "": no SAN */
  const char *policy;        /* the policy's name: what the driver looks its own settings up by */
} GwIssueRequest;

typedef struct
{
  GBytes *certificate; /* DER, the leaf */
  GPtrArray *chain;  /* of GBytes, DER: intermediates from the leaf's issuer upwards, without the root; may be
                        empty */
  char *fingerprint; /* SHA-256 of certificate, 64 hex digits */
  char *serial;      /* the certificate's serial number, hex */
  gint64 not_before; /* microseconds since 1970 */
  gint64 not_after;
} GwIssued;

void gw_issued_free (GwIssued *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwIssued, gw_issued_free)

/* What a driver fills in. destroy drops what is its own in self. */
typedef struct
{
  const char *name;
  void (*issue_async) (GwIssuer *self,
                       GBytes *csr,
                       const GwIssueRequest *request,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data);
  GwIssued *(*issue_finish) (GwIssuer *self, GAsyncResult *result, GError **error);
  void (*destroy) (GwIssuer *self);
} GwIssuerClass;

struct _GwIssuer
{
  const GwIssuerClass *klass;
  gpointer driver;
};

const char *gw_issuer_get_name (GwIssuer *self);

/* csr: DER, already judged by gw_csr_check (). request is copied. The callback is never called from inside
 * this call. A source object of the GAsyncResult is not given: user_data names the asker. */
void gw_issuer_issue_async (GwIssuer *self,
                            GBytes *csr,
                            const GwIssueRequest *request,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
GwIssued *gw_issuer_issue_finish (GwIssuer *self, GAsyncResult *result, GError **error);

void gw_issuer_free (GwIssuer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwIssuer, gw_issuer_free)
