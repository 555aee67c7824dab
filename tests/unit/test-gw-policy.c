/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keyfiles, policies, gangway.conf: what is right is taken, what is wrong is named by file and line. */
#include <glib/gstdio.h>
#include <string.h>

#include "gw-config.h"
#include "gw-keyfile-codec.h"
#include "gw-policy.h"

#define GOOD                                                                                                 \
  "# the plant's broker\n"                                                                                   \
  "[Policy]\n"                                                                                               \
  "Kind=mosquitto\n"                                                                                         \
  "BrokerUri=mqtts://broker.example:8884\n"                                                                  \
  "TrustAnchors=/etc/gangway/broker.pem\n"                                                                   \
  "Issuer=local\n"                                                                                           \
  "TelemetryTopic=gangway/{id}/telemetry\n"                                                                  \
  "CommandTopic=gangway/{id}/command\n"                                                                      \
  "ReplyTopic=gangway/{id}/reply\n"                                                                          \
  "StatusTopic=gangway/{id}/status\n"                                                                        \
  "Format=senml-json\n"

static GwPolicy *
parse (const char *text)
{
  return gw_policy_parse ("plant", "plant.policy", text, strlen (text));
}

/* GOOD with one line (that begins with key) replaced; NULL takes it out. */
static char *
with_line (const char *key, const char *line)
{
  g_auto (GStrv) lines = g_strsplit (GOOD, "\n", -1);
  GString *out = g_string_new (NULL);

  for (char **p = lines; *p; p++)
    if (!g_str_has_prefix (*p, key))
      g_string_append_printf (out, "%s\n", *p);
    else if (line)
      g_string_append_printf (out, "%s\n", line);
  return g_string_free (out, FALSE);
}

static void
test_good (void)
{
  g_autoptr (GwPolicy) p = parse (GOOD);
  g_autoptr (GwPolicy) all = parse (GOOD "FirstUse=window\nMqttVersion=3.1.1\nTlsMin=1.3\nKeepAlive=5\r\n");

  g_assert_true (gw_policy_is_valid (p));
  g_assert_cmpstr (p->name, ==, "plant");
  g_assert_cmpstr (p->kind, ==, "mosquitto");
  g_assert_cmpstr (p->broker_uri, ==, "mqtts://broker.example:8884");
  g_assert_cmpstr (p->broker_host, ==, "broker.example");
  g_assert_cmpuint (p->broker_port, ==, 8884);
  g_assert_cmpstr (p->trust_anchors, ==, "/etc/gangway/broker.pem");
  g_assert_cmpstr (p->issuer, ==, "local");
  g_assert_cmpstr (p->telemetry_topic, ==, "gangway/{id}/telemetry");
  g_assert_cmpstr (p->command_topic, ==, "gangway/{id}/command");
  g_assert_cmpstr (p->reply_topic, ==, "gangway/{id}/reply");
  g_assert_cmpstr (p->status_topic, ==, "gangway/{id}/status");
  g_assert_cmpstr (p->format, ==, "senml-json");
  g_assert_cmpint (p->first_use, ==, GW_POLICY_FIRST_USE_NEVER);
  g_assert_cmpuint (p->mqtt_version, ==, 5);
  g_assert_cmpuint (p->keep_alive, ==, 60);

  g_assert_true (gw_policy_is_valid (all));
  g_assert_cmpint (all->first_use, ==, GW_POLICY_FIRST_USE_WINDOW);
  g_assert_cmpuint (all->mqtt_version, ==, 311);
  g_assert_cmpuint (all->keep_alive, ==, 5);
}

/* Each wrong line gives one problem, with the line's number and these words. */
static void
test_problems (void)
{
  static const struct
  {
    const char *key;
    const char *line;
    const char *expected;
  } cases[] = {
    { "Kind", NULL, "plant.policy: Kind is missing" },
    { "Kind", "Kind=aws", "plant.policy:3: Kind must be mosquitto" },
    { "Kind", "Kindd=mosquitto", "plant.policy:3: [Policy] has no key Kindd" },
    { "Kind", "Kind=mosquitto\nKind=mosquitto", "plant.policy:4: Kind is there twice" },
    { "BrokerUri", "BrokerUri=mqtt://broker", "plant.policy:4: BrokerUri: endpoints speak TLS only" },
    { "BrokerUri", "BrokerUri=https://broker", "plant.policy:4: BrokerUri: must be mqtts://" },
    { "BrokerUri", "BrokerUri=broker", "plant.policy:4: BrokerUri:" },
    { "BrokerUri", "BrokerUri=mqtts://", "plant.policy:4: BrokerUri:" },
    { "BrokerUri", "BrokerUri=mqtts://u:p@broker", "plant.policy:4: BrokerUri: only host and port" },
    { "BrokerUri", "BrokerUri=mqtts://broker/path", "plant.policy:4: BrokerUri: only host and port" },
    { "BrokerUri", "BrokerUri=mqtts://broker:0", "plant.policy:4: BrokerUri: not a port" },
    { "BrokerUri", "BrokerUri=mqtts://broker:65536", "plant.policy:4: BrokerUri" },
    { "BrokerUri", "BrokerUri=mqtts://bro%2Fker", "plant.policy:4: BrokerUri: names no host" },
    { "TrustAnchors", "TrustAnchors=relative.pem", "plant.policy:5: TrustAnchors must be an absolute path" },
    { "Issuer", "Issuer=", "plant.policy:6: Issuer must be local" },
    { "TelemetryTopic", "TelemetryTopic=a/{id}/+", "plant.policy:7: TelemetryTopic has a wildcard" },
    { "TelemetryTopic", "TelemetryTopic=a/{id}/#", "plant.policy:7: TelemetryTopic has a wildcard" },
    { "TelemetryTopic", "TelemetryTopic=", "plant.policy:7: TelemetryTopic is empty" },
    { "TelemetryTopic", "TelemetryTopic=$SYS/{id}", "plant.policy:7: TelemetryTopic begins with '$'" },
    { "TelemetryTopic", "TelemetryTopic=a//{id}", "plant.policy:7: TelemetryTopic has an empty level" },
    { "TelemetryTopic", "TelemetryTopic=a/{ip}", "plant.policy:7: TelemetryTopic has a placeholder other" },
    { "TelemetryTopic", "TelemetryTopic=a/{id", "plant.policy:7: TelemetryTopic has a placeholder other" },
    { "TelemetryTopic", "TelemetryTopic=a/id}", "plant.policy:7: TelemetryTopic has a '}'" },
    { "TelemetryTopic", "TelemetryTopic=a/{model}", "plant.policy:7: TelemetryTopic is the same for all" },
    { "Format", "Format=xml", "plant.policy:11: Format must be senml-json" },
    { "Format", "Format=senml-json\nFirstUse=always", "plant.policy:12: FirstUse must be never or window" },
    { "Format", "Format=senml-json\nMqttVersion=4", "plant.policy:12: MqttVersion must be 5 or 3.1.1" },
    { "Format", "Format=senml-json\nTlsMin=1.0", "plant.policy:12: TlsMin must be 1.3, not \"1.0\"" },
    { "Format", "Format=senml-json\nTlsMin=1.2", "plant.policy:12: TlsMin must be 1.3, not \"1.2\": endpoints sign for TLS 1.3 only" },
    { "Format", "Format=senml-json\nKeepAlive=4", "plant.policy:12: KeepAlive must be 5 to 3600" },
    { "Format", "Format=senml-json\nKeepAlive=3601", "plant.policy:12: KeepAlive must be" },
    { "Format", "Format=senml-json\n[Other]\nA=1", "plant.policy:13: there is no group [Other]" },
    { "Format", "Format=senml-json\n[Policy]", "plant.policy:12: group [Policy] is there twice" },
    { "Format", "Format=senml-json\nnonsense", "plant.policy:12: neither" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = with_line (cases[i].key, cases[i].line);
      g_autoptr (GwPolicy) p = parse (text);
      g_autofree char *all = g_strjoinv (" | ", p->problems);
      gboolean also_missing = g_str_has_prefix (cases[i].line ? cases[i].line : "", "Kindd");

      g_test_message ("%s", all);
      g_assert_false (gw_policy_is_valid (p));
      g_assert_cmpuint (g_strv_length (p->problems), ==, also_missing ? 2 : 1);
      g_assert_true (g_str_has_prefix (p->problems[0], cases[i].expected));
    }
}

static void
test_topic_too_long (void)
{
  g_autofree char *filler = g_strnfill (GW_POLICY_TOPIC_MAX - strlen ("{id}"), 'a');
  g_autofree char *fits = g_strconcat ("TelemetryTopic=", filler, "{id}", NULL);
  g_autofree char *over = g_strconcat ("TelemetryTopic=a", filler, "{id}", NULL);
  g_autofree char *good = with_line ("TelemetryTopic", fits), *bad = with_line ("TelemetryTopic", over);
  g_autoptr (GwPolicy) p = parse (good), q = parse (bad);

  g_assert_true (gw_policy_is_valid (p));
  g_assert_cmpstr (q->problems[0], ==, "plant.policy:7: TelemetryTopic is too long");
}

static void
test_broker_forms (void)
{
  g_autofree char *plain = with_line ("BrokerUri", "BrokerUri=mqtts://10.0.0.1");
  g_autofree char *six = with_line ("BrokerUri", "BrokerUri=mqtts://[::1]:1234");
  g_autoptr (GwPolicy) p = parse (plain), q = parse (six);

  g_assert_cmpstr (p->broker_host, ==, "10.0.0.1");
  g_assert_cmpuint (p->broker_port, ==, 8883);
  g_assert_cmpstr (q->broker_host, ==, "::1");
  g_assert_cmpuint (q->broker_port, ==, 1234);
}

static void
test_expand (void)
{
  const GwPolicyVars vars = { "0123", "S/N+1#%$",
                              "m\xc3\xb6"
                              "del\x01\x7f",
                              NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *a = gw_policy_expand ("g/{id}/t", &vars, &error);
  g_autofree char *b = gw_policy_expand ("{serial}-{model}/{name}", &vars, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (a, ==, "g/0123/t");
  g_assert_cmpstr (b, ==,
                   "S%2FN%2B1%23%25%24-m\xc3\xb6"
                   "del%01%7F/0123");
}

static void
test_expand_refused (void)
{
  g_autofree char *long_value = g_strnfill (GW_POLICY_TOPIC_MAX, 'a');
  const struct
  {
    const char *text;
    GwPolicyVars vars;
  } cases[] = {
    { "a/{serial}", { "1", NULL, NULL, NULL } },   { "a/{serial}", { "1", "", NULL, NULL } },
    { "a/{serial}", { "1", "\xff", NULL, NULL } }, { "a/{serial}", { "1", long_value, NULL, NULL } },
    { "a/#", { "1", NULL, NULL, NULL } },          { "a\n{id}", { "1", NULL, NULL, NULL } },
    { "a\x7f{id}", { "1", NULL, NULL, NULL } },    { "a\xc2\x85{id}", { "1", NULL, NULL, NULL } },
    { "a\xff{id}", { "1", NULL, NULL, NULL } },    { "a/{other}", { "1", NULL, NULL, NULL } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (gw_policy_expand (cases[i].text, &cases[i].vars, &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
    }
}

static void
write_file (const char *dir, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
test_set (void)
{
  g_autofree char *etc = g_dir_make_tmp ("gw-policy-XXXXXX", NULL),
                  *usr = g_dir_make_tmp ("gw-policy-XXXXXX", NULL);
  const char *dirs[] = { etc, "/nonexistent/gangway", usr, NULL };
  g_autofree char *no_anchor = with_line ("TrustAnchors", "TrustAnchors=/nonexistent/anchor.pem");
  g_autofree char *junk = g_build_filename (etc, "junk.pem", NULL);
  g_autofree char *junk_line = g_strconcat ("TrustAnchors=", junk, NULL);
  g_autofree char *junk_anchor = with_line ("TrustAnchors", junk_line);
  g_autoptr (GwPolicySet) set = NULL;
  g_autoptr (GError) error = NULL;
  static const char *const etc_files[] = { "b.policy", "junk.pem", "d.policy", "c.conf", "b\xc3\xa4.policy" };
  GPtrArray *list;

  write_file (etc, "b.policy", no_anchor);
  write_file (usr, "b.policy", "never read");
  write_file (usr, "a.policy", "[Policy]\n");
  write_file (etc, "c.conf", GOOD);
  write_file (etc, "b\xc3\xa4.policy", GOOD);
  write_file (etc, "d.policy", junk_anchor);
  write_file (etc, "junk.pem", "no PEM");

  set = gw_policy_set_load (dirs, &error);
  g_assert_no_error (error);
  list = gw_policy_set_list (set);
  g_assert_cmpuint (list->len, ==, 3);
  g_assert_cmpstr (((GwPolicy *)list->pdata[0])->name, ==, "a");
  g_assert_cmpstr (((GwPolicy *)list->pdata[1])->name, ==, "b");
  g_assert_false (gw_policy_is_valid (gw_policy_set_lookup (set, "a")));
  g_assert_nonnull (strstr (gw_policy_set_lookup (set, "b")->problems[0], "TrustAnchors"));
  g_assert_cmpuint (g_strv_length (gw_policy_set_lookup (set, "b")->problems), ==, 1);
  g_assert_nonnull (strstr (gw_policy_set_lookup (set, "d")->problems[0], "no certificate"));
  g_assert_null (gw_policy_set_lookup (set, "c"));

  for (guint i = 0; i < G_N_ELEMENTS (etc_files); i++)
    {
      g_autofree char *path = g_build_filename (etc, etc_files[i], NULL);
      g_assert_cmpint (g_unlink (path), ==, 0);
    }
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *path = g_build_filename (usr, i ? "a.policy" : "b.policy", NULL);
      g_assert_cmpint (g_unlink (path), ==, 0);
    }
  g_rmdir (etc);
  g_rmdir (usr);
}

static void
test_keyfile_limits (void)
{
  static const struct
  {
    const char *text;
    gsize length;
    const char *problem;
  } cases[] = {
    { "A=1", 3, "f:1: A stands before the first [Group]" },
    { "[G]\nA=\0", 7, "f:2: not UTF-8 text" },
    { "[G]\nA=\xff", 7, "f:2: not UTF-8 text" },
    { "[G]\nA=\x1b[0m", 10, "f:2: holds a control character" },
    { "[G\nA=1", 6, "f:1: a group line must read [Name]" },
    { "[G]\n1A=1", 8, "f:2: not a key name" },
    { "[]\nA=1", 6, "f:1: not a group name" },
  };
  g_autoptr (GString) big = g_string_new ("[G]\n");
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) none = NULL, entries = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GPtrArray) wrong = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (GPtrArray) got = gw_keyfile_parse ("f", cases[i].text, cases[i].length, wrong);

      g_assert_cmpuint (got->len, ==, 0);
      g_assert_cmpuint (wrong->len, >=, 1);
      g_assert_true (g_str_has_prefix (wrong->pdata[0], cases[i].problem));
    }

  for (guint i = 0; i <= GW_KEYFILE_ENTRIES_MAX; i++)
    g_string_append_printf (big, "K%u=%u\n", i, i);
  entries = gw_keyfile_parse ("f", big->str, big->len, problems);
  g_assert_cmpuint (entries->len, ==, GW_KEYFILE_ENTRIES_MAX);
  g_assert_cmpuint (problems->len, ==, 1);
  while (big->len <= GW_KEYFILE_SIZE_MAX)
    g_string_append (big, "# filler filler filler\n");
  none = gw_keyfile_parse ("f", big->str, big->len, problems);
  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (problems->len, ==, 2);
}

static void
test_config_values (void)
{
  static const char text[] = "[Spool]\nMaxBytes=1G\nMaxBytesPerEndpoint=512K\nMaxAge=7d\n"
                             "[Uplink]\nDrainTime = 45 \n"
                             "[Adoption]\nWindow=1h\n[Authority]\nKey=pkcs11:token=gw;object=ca\nPinFile=ca-pin\n[Trust]\nManifests=/t\n[Policies]\nDirectories=/a;/b;\n";
  g_autoptr (GError) error = NULL;
  g_autoptr (GwConfig) c = gw_config_parse ("f", text, strlen (text), &error);
  g_autoptr (GwConfig) d = gw_config_parse ("f", "", 0, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (c->spool_max_bytes, ==, G_GUINT64_CONSTANT (1) << 30);
  g_assert_cmpuint (c->spool_max_bytes_per_endpoint, ==, 512 * 1024);
  g_assert_cmpint (c->spool_max_age, ==, G_GINT64_CONSTANT (7 * 86400) * G_USEC_PER_SEC);
  g_assert_cmpint (c->drain_time, ==, 45 * G_USEC_PER_SEC);
  g_assert_cmpint (c->adoption_window, ==, G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  g_assert_cmpstr (c->authority_key, ==, "pkcs11:token=gw;object=ca");
  g_assert_cmpstr (c->authority_pin_file, ==, "ca-pin");
  g_assert_cmpstr (d->authority_key, ==, "file");
  g_assert_null (d->authority_pin_file);
  g_assert_cmpstr (c->manifest_trust_dir, ==, "/t");
  g_assert_cmpuint (g_strv_length (c->policy_dirs), ==, 2);
  g_assert_cmpstr (c->policy_dirs[1], ==, "/b");

  g_assert_cmpint (d->spool_max_age, ==, G_GINT64_CONSTANT (30 * 86400) * G_USEC_PER_SEC);
  g_assert_cmpint (d->drain_time, ==, 30 * G_USEC_PER_SEC);
  g_assert_cmpint (d->adoption_window, ==, G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC);
  g_assert_cmpstr (d->policy_dirs[0], ==, "/etc/gangway/policies.d");
}

static void
test_config_wrong (void)
{
  static const char *const cases[][2] = {
    { "[Spool]\nMaxBytes=0\n", "f:2: MaxBytes must be a size" },
    { "[Spool]\nMaxBytes=9T\n", "f:2: MaxBytes must be a size" },
    { "[Spool]\nMaxBytes=99999999999999999999\n", "f:2: MaxBytes must be a size" },
    { "[Spool]\nMaxBytes=99999999999999G\n", "f:2: MaxBytes must be a size" },
    { "[Spool]\nMaxBytes=8M\n", "f: MaxBytesPerEndpoint is more than MaxBytes" },
    { "[Authority]\nKey=/etc/ca.key\n", "f:2: Key must be file, or a URI that begins with pkcs11:" },
    { "[Authority]\nKey=pkcs11:\n", "f:2: Key must be a URI with token= or serial=" },
    { "[Authority]\nKey=pkcs11:token=;object=b\n", "f:2: Key must be a URI with token= or serial=" },
    { "[Authority]\nKey=pkcs11:token=a\n", "f:2: Key must be a URI with object= or id=" },
    { "[Authority]\nKey=pkcs11:token=a;object=b?pin-value=1234\n", "f:2: Key must be a URI without a PIN" },
    { "[Authority]\nKey=pkcs11:token=a;object=b?x=1&pin-source=/p\n", "f:2: Key must be a URI without a PIN" },
    { "[Authority]\nKey=pkcs11:token=a;object=b\nPinFile=../pin\n", "f:3: PinFile must be an absolute path" },
    { "[Authority]\nPinFile=/p\n", "f: PinFile is for a Key in a token" },
    { "[Uplink]\nDrainTime=never\n", "f:2: DrainTime must be a duration" },
    { "[Uplink]\nDrainTime=1dd\n", "f:2: DrainTime must be a duration" },
    { "[Uplink]\nDrainTime=-1\n", "f:2: DrainTime must be a duration" },
    { "[Spool]\nMaxAge=0\n", "f:2: MaxAge must be a duration" },
    { "[Spool]\nSize=1\n", "f:2: [Spool] has no key Size" },
    { "[Spoool]\nMaxBytes=1M\n", "f:2: there is no group [Spoool]" },
    { "[Trust]\nManifests=x\n", "f:2: Manifests must be an absolute path" },
    { "[Policies]\nDirectories=/a;b\n", "f:2: Directories must be absolute paths" },
    { "[Policies]\nDirectories=\n", "f:2: Directories must be absolute paths" },
    { "oops\n", "f:1: neither" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (gw_config_parse ("f", cases[i][0], strlen (cases[i][0]), &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
      g_test_message ("%s", error->message);
      g_assert_true (g_str_has_prefix (error->message, cases[i][1]));
      g_assert_null (strstr (error->message, "1234")); /* the PIN */
    }
}

static void
test_config_missing (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (gw_config_load ("/nonexistent/gangway.conf", &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_STORAGE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gw-policy/good", test_good);
  g_test_add_func ("/gw-policy/problems", test_problems);
  g_test_add_func ("/gw-policy/topic-too-long", test_topic_too_long);
  g_test_add_func ("/gw-policy/broker-forms", test_broker_forms);
  g_test_add_func ("/gw-policy/expand", test_expand);
  g_test_add_func ("/gw-policy/expand-refused", test_expand_refused);
  g_test_add_func ("/gw-policy/set", test_set);
  g_test_add_func ("/gw-keyfile/limits", test_keyfile_limits);
  g_test_add_func ("/gw-config/values", test_config_values);
  g_test_add_func ("/gw-config/wrong", test_config_wrong);
  g_test_add_func ("/gw-config/missing", test_config_missing);
  return g_test_run ();
}
