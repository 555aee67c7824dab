/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates for tests, by the openssl command. */
#include "test-pki.h"

#include <gio/gio.h>
#include <stdarg.h>

static const char make_all[]
    = "set -e\n"
      "mkdir trust trust-other empty\n"
      "EC='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
      "root () { openssl req -x509 $EC -days 10 -subj \"/CN=$2\" -keyout $2.key -out $1/$2.pem"
      " -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign; }\n"
      /* leaf NAME CA-CERT CA-KEY DAYS KEY-OPTIONS EXTENSION... */
      "leaf () { name=$1 ca=$2 key=$3 days=$4 kind=$5; shift 5; openssl req $kind -subj "
      "\"/O=Silicon/CN=$name\""
      " -keyout $name.key -out $name.csr; : > ext; for e; do echo \"$e\" >> ext; done;"
      " openssl x509 -req -in $name.csr -CA $ca -CAkey $key -days $days -extfile ext -out $name.pem; }\n"
      "root trust root; root trust-other other\n"
      "DS=keyUsage=critical,digitalSignature CS=extendedKeyUsage=codeSigning SKI=subjectKeyIdentifier=hash\n"
      "leaf good trust/root.pem root.key 5 \"$EC\" $DS $CS $SKI\n"
      "leaf server trust/root.pem root.key 5 \"$EC\" $DS extendedKeyUsage=serverAuth\n"
      "leaf bare trust/root.pem root.key 5 \"$EC\" $DS\n"
      "leaf old trust/root.pem root.key -1 \"$EC\" $DS $CS\n"
      "leaf nosign trust/root.pem root.key 5 \"$EC\" keyUsage=critical,keyEncipherment $CS\n"
      "leaf stranger trust-other/other.pem other.key 5 \"$EC\" $DS $CS\n"
      "leaf rsa trust/root.pem root.key 5 '-newkey rsa:2048 -nodes' $DS $CS\n"
      "leaf weak trust/root.pem root.key 5 '-newkey rsa:1024 -nodes' $DS $CS\n"
      "leaf sub-ca trust/root.pem root.key 5 \"$EC\" basicConstraints=critical,CA:TRUE "
      "keyUsage=critical,keyCertSign,cRLSign\n"
      "leaf sub sub-ca.pem sub-ca.key 5 \"$EC\" $DS $CS\n"
      /* a leaf that plays CA: its certificate does not allow it */
      "leaf forged good.pem good.key 5 \"$EC\" $DS $CS\n";

static void
run (TestPki *self, const char *script)
{
  g_autoptr (GSubprocessLauncher) launcher
      = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *complaint = NULL;

  g_subprocess_launcher_set_cwd (launcher, self->dir);
  process = g_subprocess_launcher_spawn (launcher, &error, "sh", "-c", script, NULL);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_communicate_utf8 (process, NULL, NULL, NULL, &complaint, &error));
  if (!g_subprocess_get_successful (process))
    g_error ("%s\n%s", script, complaint);
}

void
test_pki_init (TestPki *self)
{
  self->dir = g_dir_make_tmp ("gw-pki-XXXXXX", NULL);
  g_assert_nonnull (self->dir);
  run (self, make_all);
}

void
test_pki_clear (TestPki *self)
{
  g_autofree char *remove = g_strdup_printf ("rm -rf '%s'", self->dir);

  run (self, remove);
  g_clear_pointer (&self->dir, g_free);
}

char *
test_pki_path (TestPki *self, const char *name)
{
  return g_build_filename (self->dir, name, NULL);
}

void
test_pki_shell (TestPki *self, const char *format, ...)
{
  g_autofree char *line = NULL;
  va_list args;

  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  run (self, line);
}

void
test_pki_revoke (TestPki *self, const char *ca, const char *ca_key, const char *name, const char *out, const char *more)
{
  test_pki_shell (self,
                  ": > revoked; [ -z '%s' ] || printf 'R\\t400101000000Z\\t200101000000Z\\t%%s\\tunknown\\t/CN=x\\n' "
                  "$(openssl x509 -noout -serial -in %s.pem | cut -d= -f2) > revoked;"
                  " printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=revoked\\ndefault_md=sha256\\ndefault_crl_days=2\\n"
                  "[partial]\\nissuingDistributionPoint=critical,@idp\\n[idp]\\nonlyuser=TRUE\\n' > ca.cnf;"
                  " mkdir -p $(dirname %s); openssl ca -config ca.cnf -gencrl -cert %s -keyfile %s -out %s %s",
                  name, *name ? name : "good", out, ca, ca_key, out, more);
}

void
test_pki_write (TestPki *self, const char *name, const char *content, gssize length)
{
  g_autofree char *path = test_pki_path (self, name);

  g_assert_true (g_file_set_contents (path, content, length, NULL));
}

void
test_pki_sign (TestPki *self, const char *name, const char *signer, const char *more)
{
  test_pki_shell (self,
                  "openssl cms -sign -binary -outform DER -in %s -out %s.p7s -signer %s.pem -inkey %s.key %s",
                  name, name, signer, signer, more);
}
