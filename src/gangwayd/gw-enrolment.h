/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-ca.h"
#include "gw-issuer.h"
#include "gw-session.h"

G_BEGIN_DECLS

/*
 * One run of giving an endpoint its owner and its certificate, inside one session: owner CA and ownership where it has none, then the
 * signing request, the issuer, and the certificate. Every step may be done again: a run that is broken off is simply followed
 * by another.
 */

typedef struct _GwEnrolment GwEnrolment;

typedef struct
{
  gboolean take_ownership; /* the endpoint has no owner and may be taken */
  guint8 slot;             /* whose certificate: 1 or 2 */
  guint32 generation;      /* of the slot's key */
  const guint8 *slot_kid;  /* of the slot's key as the endpoint told it, 32 octets; NULL: not told yet */
  const char *kid;         /* 64 hex digits */
  const char *serial_number; /* of the manifest */
  const char *policy;
} GwEnrolmentOrder;

typedef struct
{
  /* For people and for jobs: 0.0 to 1.0. */
  void (*stage) (double progress, const char *stage, gpointer data);
  /* The endpoint has accepted us as its owner. */
  void (*owned) (gpointer data);
  /* The end; @issued is taken over by the callee, NULL with @error. The enrolment is then freed by itself. */
  void (*done) (GwIssued *issued, const GError *error, gpointer data);
} GwEnrolmentEvents;

/* All borrowed but the order's strings; @ca and @issuer outlive the run. */
GwEnrolment *gw_enrolment_start (GwSession *session,
                                 GwCa *ca,
                                 GwIssuer *issuer,
                                 const GwEnrolmentOrder *order,
                                 const GwEnrolmentEvents *events,
                                 gpointer data);
/* In done(): the endpoint takes no first owner any more, until it is power-cycled or its owner's button is pressed. */
gboolean gw_enrolment_is_too_late (GwEnrolment *self);

/* Stops without another event, before done() only. */
void gw_enrolment_cancel (GwEnrolment *self);

G_END_DECLS
