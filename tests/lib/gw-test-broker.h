// SPDX-License-Identifier: LGPL-2.1-or-later
/* A real mosquitto on a free loopback port, with require_certificate and use_identity_as_username, in a
 * folder of its own. It dies with the test program. Any failure ends the test. */
#pragma once

#include <glib.h>
#include "gw-test-pki.h"

typedef struct
{
  char *dir;
  char *log_path;
  guint16 port;
  GwTestCert *ca;     /* issues endpoints and broker */
  GwTestCert *server; /* for localhost unless set otherwise */
  char *ca_path;      /* PEM, for GwUplinkConfig.trust_anchors */
  char *extra;        /* further lines of mosquitto.conf, NULL = none */
  char *openssl;      /* the [system_default_sect] lines of an openssl.cnf for it, NULL = the system's */
  gboolean anonymous; /* does not ask for certificates */
  GPid pid;
} GwTestBroker;

/** Makes folder, CA and server certificate; not started. */
GwTestBroker *gw_test_broker_new (void);
/** Returns when it listens. Stop and start keep port and CA. */
void gw_test_broker_start (GwTestBroker *self);
void gw_test_broker_stop (GwTestBroker *self);
void gw_test_broker_free (GwTestBroker *self);

/** Another server certificate for the next start; takes @server. */
void gw_test_broker_set_server (GwTestBroker *self, GwTestCert *server);
/** All it has logged so far; g_free it. */
char *gw_test_broker_read_log (GwTestBroker *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTestBroker, gw_test_broker_free)
