// SPDX-License-Identifier: LGPL-2.1-or-later
/* The stage for tests of uplinks: mock clock, loop, hub, and endpoints whose keys live in the test, which so
 * plays the chip. Signing can be at once, held back, or wrong. */
#pragma once

#include "gw-test-broker.h"
#include "gw-uplink.h"

typedef enum
{
  GW_TEST_SIGN_NOW,
  GW_TEST_SIGN_HOLD, /* until gw_test_endpoint_release */
  GW_TEST_SIGN_WRONG,
  GW_TEST_SIGN_NEVER,
} GwTestSigning;

typedef struct
{
  GMainContext *context;
  GwClock *clock; /* mock */
  GwLoop *loop;
  GwUplinkHub *hub;
  GwTestBroker *broker;
} GwTestStage;

typedef struct
{
  GwTestStage *stage;
  char *name;
  GwTestCert *cert;
  GwUplink *uplink;
  GwTestSigning signing;

  /* What happened. */
  guint n_signed;
  guint32 serial; /* of the last sign event */
  guint8 th[64];
  gsize th_len;
  GString *states; /* "connecting signing ..." since the last clear */
  GError *why;     /* with the last state */
  guint n_published;
  guint n_refused;
  guint64 last_cookie;
  guint n_ready;
  guint n_messages;
  char *topic, *payload, *response_topic, *correlation; /* of the last message */
  gboolean free_in_state;                               /* frees the uplink in this state's event: */
  GwUplinkState free_state;
  gboolean free_in_sign, free_in_message, free_in_published;
} GwTestEndpoint;

/** The broker, started, and all the rest. */
GwTestStage *gw_test_stage_new (void);
/** Without a running broker: start it yourself. */
GwTestStage *gw_test_stage_new_stopped (void);
void gw_test_stage_free (GwTestStage *self);

/** Config for an endpoint of that name: client id = name, all else default. */
GwUplinkConfig gw_test_stage_config (GwTestStage *self, const char *name);
/** @config NULL = gw_test_stage_config. The endpoint's certificate is issued by the broker's CA to CN=@name.
 */
GwTestEndpoint *gw_test_endpoint_new (GwTestStage *stage, const char *name, const GwUplinkConfig *config);
void gw_test_endpoint_free (GwTestEndpoint *self);
/** Signs what was asked for last. */
void gw_test_endpoint_release (GwTestEndpoint *self);
/** Starts and waits until online. */
GwTestEndpoint *
gw_test_endpoint_new_online (GwTestStage *stage, const char *name, const GwUplinkConfig *config);

typedef gboolean (*GwTestCondition) (gpointer data);
/** Runs the loop until the condition holds; ends the test if that takes 30 s of real time. */
void gw_test_stage_wait (GwTestStage *self, GwTestCondition condition, gpointer data);
/** Until the endpoint's uplink is in that state and has told so. */
void gw_test_endpoint_wait (GwTestEndpoint *self, GwUplinkState state);
/** Until *counter reaches at least value. */
void gw_test_stage_wait_count (GwTestStage *self, const guint *counter, guint value);
/** Until the broker's log has the text. */
void gw_test_stage_wait_log (GwTestStage *self, const char *text);
/** Runs what is ready now. */
void gw_test_stage_settle (GwTestStage *self);

/** Threads of this process. */
guint gw_test_n_threads (void);
