/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for policies, gangway.conf and topic templates. What a valid policy's templates expand to, with
 * the input itself as a value, has no wildcard and as many levels as the template. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-config.h"
#include "gw-policy.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static guint
count_levels (const char *topic)
{
  guint n = 1;

  for (; *topic; topic++)
    n += *topic == '/';
  return n;
}

static void
check_topic (const char *topic_template, const char *value)
{
  const GwPolicyVars vars = { value, value, value, NULL };
  g_autofree char *topic = topic_template ? gw_policy_expand (topic_template, &vars, NULL) : NULL;

  if (topic
      && (strpbrk (topic, "+#\x7f\n") || topic[0] == '$' || !g_utf8_validate (topic, -1, NULL)
          || count_levels (topic) != count_levels (topic_template)))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GwPolicy) policy = gw_policy_parse ("p", "p.policy", (const char *)data, size);
  g_autoptr (GwConfig) config = gw_config_parse ("c", (const char *)data, size, NULL);
  g_autofree char *value = g_strndup ((const char *)data, size);

  check_topic (policy->telemetry_topic, value);
  check_topic (policy->command_topic, value);
  check_topic ("a/{id}/{serial}-{model}/{name}", value);
  check_topic (value, "x/+");
  if (gw_policy_is_valid (policy) && (!policy->broker_host || !policy->broker_port || !policy->trust_anchors))
    abort ();
  if (config && (!config->policy_dirs[0] || config->drain_time <= 0))
    abort ();
  return 0;
}
