#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad files before the real agent: manifests and their signatures, batches, policies, configuration. Each is refused with its own words,
changes nothing, costs little, and nothing of it touches the endpoint beside. See bad-input.md."""
import datetime
import os
import shutil
import sys
import threading
import unittest

from gi.repository import GLib

import pki
import tap
from bus import ROOT, error_name
from rogue import Arena
from supervisor import wait

ERROR = "org.gangway.Gangway1.Error."
HEADER = "key_id,manufacturer,model,serial_number\n"
GIBIBYTE = 1 << 30


def row(n, rest="Acme,M1,{:05}"):
    return f"{n:064x}," + rest.format(n) + "\n"


class Files(Arena):
    """What the inventory says before and after is the same, unless a test says that something was taken."""

    def setUp(self):
        super().setUp()
        self.counts = self.count()
        self.folder = self.lab.path(f"bad-{self.id().rsplit('.', 1)[1]}")
        os.makedirs(self.folder)
        self.made = 0

    def tearDown(self):
        self.assertEqual(self.count(), self.counts, "the inventory is another")
        shutil.rmtree(self.folder)
        super().tearDown()

    def count(self):
        return tuple(self.lab.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", "org.gangway.Gangway1.Inventory", name)[0]
                     for name in ("ChipCount", "ManifestCount", "BatchCount"))

    def file(self, content, name=None):
        self.made += 1
        path = os.path.join(self.folder, name or f"file-{self.made}")
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def sparse(self, size, head=b""):
        path = self.file(head)
        os.truncate(path, size)
        return path

    def run_job(self, member, signature, *args, files):
        fds = [f if isinstance(f, int) else os.open(f, os.O_RDONLY) for f in files]
        try:
            path = self.lab.bus.call(ROOT, "Inventory", member, signature, *args, fds=fds)[0]
        finally:
            for fd in fds:
                os.close(fd)
        return self.lab.bus.job(path, timeout=60)

    def refused(self, job, error, words):
        self.assertFalse(job[0], job)
        self.assertEqual(job[1], ERROR + error, job)
        self.assertIn(words, job[2])
        self.assertLess(len(job[2]), 600)


class Manifests(Files):
    def manifest(self, content, signature=None, options=None):
        """Imports it under the signature of the vendor whom the lab trusts, or another; the job's end."""
        path = content if isinstance(content, (str, int)) and os.path.exists(str(content)) else content
        if not isinstance(path, int) and not (isinstance(path, str) and os.path.isabs(path)):
            path = self.file(content)
        if signature is None:
            signature = pki.sign_manifest(path, *self.lab.vendor)
        return self.run_job("ImportManifest", "(hha{sv})", 0, 1, options or {}, files=(path, signature))

    def test_signatures_that_are_none(self):
        good = self.file(HEADER + row(1))
        for signature, words in ((b"", "the signature is refused"), (b"\0", "the signature is refused"), (os.urandom(4000), "the signature is refused"),
                                 (b"-----BEGIN PKCS7-----\n", "the signature is refused")):
            self.refused(self.manifest(good, self.file(signature)), "NotTrusted", words)
        self.refused(self.manifest(good, self.sparse(4 * GIBIBYTE)), "Limit", "the signature")

    def test_an_empty_list_of_signers(self):
        """A well-formed CMS that carries certificates and nobody's signature."""
        good = self.file(HEADER + row(1))
        out = os.path.join(self.folder, "nobody.p7s")
        pki.openssl("crl2pkcs7", "-nocrl", "-certfile", self.lab.vendor[0], "-outform", "DER", "-out", out)
        self.refused(self.manifest(good, out), "NotTrusted", "nobody signed it")

    def test_signers(self):
        good = self.file(HEADER + row(1))

        def signed_by(authority, usage, name, *more):
            return pki.sign_manifest(good, *authority.issue(name, usage, *more))
        stranger = pki.Authority(os.path.join(self.folder, "pki"), "stranger-ca")
        vendor = pki.Authority.__new__(pki.Authority)  # the lab's: issuing again must not make another key
        vendor.folder, vendor.name = os.path.dirname(self.lab.vendor[0]), "vendor-ca"
        vendor.key, vendor.crt = os.path.join(vendor.folder, "vendor-ca.key"), os.path.join(vendor.folder, "vendor-ca.pem")
        self.refused(self.manifest(good, signed_by(stranger, "codeSigning", "stranger")), "NotTrusted", "leads to no trusted root")
        self.refused(self.manifest(good, signed_by(vendor, "serverAuth", "web-server")), "NotTrusted", "is not marked for code signing")
        self.refused(self.manifest(good, signed_by(vendor, "clientAuth", "client")), "NotTrusted", "is not marked for code signing")
        # A vendor signs with a certificate that has expired, or is not valid yet: dated by openssl's ca.
        for name, start, end, words in (("old", -20, -10, "has expired"), ("early", 10, 20, "is not valid yet")):
            self.refused(self.manifest(good, pki.sign_manifest(good, *self.dated(vendor, name, start, end))), "NotTrusted", words)

    def dated(self, authority, name, start, end):
        stem, now = os.path.join(self.folder, name), datetime.datetime.now(datetime.timezone.utc)
        for path, text in ((stem + ".txt", ""), (stem + ".srl", "1000\n")):
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        with open(stem + ".cnf", "w", encoding="ascii") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={stem}.txt\nserial={stem}.srl\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
                    "policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\nextendedKeyUsage=codeSigning\nkeyUsage=digitalSignature\n")
        days = [(now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in (start, end)]
        pki.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", stem + ".key", "-out", stem + ".csr")
        pki.openssl("ca", "-batch", "-config", stem + ".cnf", "-cert", authority.crt, "-keyfile", authority.key, "-in", stem + ".csr",
                    "-startdate", days[0], "-enddate", days[1], "-extensions", "e", "-out", stem + ".pem", "-notext")
        return stem + ".pem", stem + ".key"

    def test_other_content(self):
        good, other = self.file(HEADER + row(1)), self.file(HEADER + row(2))
        self.refused(self.manifest(other, pki.sign_manifest(good, *self.lab.vendor)), "NotTrusted", "it belongs to other content")

    def test_changed_under_our_hands(self):
        """What is looked at is what is taken: it changes in mid-reading, and is signed before and after, but not as it was read."""
        rows = [row(n) for n in range(1, 20000)]
        first, second = (HEADER + "".join(rows)).encode(), (HEADER + "".join(rows[:-1]) + row(99999)).encode()
        middle = len(first) // 2
        for read, words in ((first[:middle] + second[middle:], "it belongs to other content"), (first[:middle], "it belongs to other content"),
                            (first + first, "it belongs to other content")):
            theirs, ours = os.pipe()

            def write(data=read, fd=ours):
                with os.fdopen(fd, "wb") as f:
                    f.write(data)
            thread = threading.Thread(target=write)
            thread.start()
            job = self.run_job("ImportManifest", "(hha{sv})", 0, 1, {}, files=(theirs, pki.sign_manifest(self.file(first), *self.lab.vendor)))
            thread.join()
            self.refused(job, "NotTrusted", words)

    def test_a_file_that_is_overwritten_while_it_is_read(self):
        """The same with one file that somebody rewrites all the while: whatever was read, what is taken was signed."""
        rows = "".join(row(n) for n in range(1, 100000))
        path = self.file(HEADER + rows)
        signature = pki.sign_manifest(path, *self.lab.vendor)
        at, stop = len(HEADER) + len(rows) - 70, threading.Event()

        def rewrite():
            fd = os.open(path, os.O_WRONLY)
            while not stop.is_set():
                os.pwrite(fd, b"evil!", at)
            os.close(fd)
        os.pwrite(fd := os.open(path, os.O_WRONLY), b"evil!", at)
        os.close(fd)
        thread = threading.Thread(target=rewrite)
        thread.start()
        job = self.run_job("ImportManifest", "(hha{sv})", 0, 1, {}, files=(path, signature))
        stop.set()
        thread.join()
        self.refused(job, "NotTrusted", "it belongs to other content")

    def test_sparse_files(self):
        """Four gibibytes of nothing, with and without a right beginning, and one octet more."""
        signature = pki.sign_manifest(self.file(HEADER + row(1)), *self.lab.vendor)
        self.refused(self.manifest(self.sparse(4 * GIBIBYTE + 1, HEADER.encode()), signature), "Limit", "the manifest is larger than 4294967296 octets")
        self.refused(self.manifest(self.sparse(4 * GIBIBYTE), signature), "Invalid", "line 1: the first line must read")

    def test_lines(self):
        signed = row(1)
        for content, words in (
                (b"", "the manifest lists no chips"), (HEADER, "the manifest lists no chips"),
                (b"\xef\xbb\xbf" + HEADER.encode() + signed.encode(), "byte order mark"), (signed, "the first line must read"),
                (HEADER + signed + signed, "1 of 2 lines are refused, nothing was imported; the first: 3: duplicate"),
                (HEADER + signed + signed, "this key id stands on line 2 already"),
                (HEADER.encode() + signed.encode().replace(b"Acme", b"Ac\xff"), "not UTF-8"),
                (HEADER.encode() + signed.encode().replace(b"Acme", b"\xc0\x80"), "not UTF-8"),
                (HEADER.encode() + signed.encode().replace(b"Acme", b"\xed\xa0\x80"), "not UTF-8"),
                (HEADER.encode() + signed.encode().replace(b"Acme", b"Ac\0e"), "not UTF-8"),
                (HEADER + signed.replace("Acme", "A\x1b[2J"), "control character"), (HEADER + signed.replace("Acme", ""), "a field is empty"),
                (HEADER + signed.replace("Acme", "x" * 25), "a field is too long"), (HEADER + signed.replace("Acme", "x" * 100000), "too long"),
                (HEADER + signed.replace("Acme,", ""), "fewer than four fields"), (HEADER + signed.strip() + ",more\n", "more than four fields"),
                (HEADER + signed.replace("Acme", '"Acme'), "a quote is not closed"), (HEADER + signed.replace("Acme", 'Ac"me'), "a quote inside"),
                (HEADER + "\n" + signed, "empty line"), (HEADER + signed[1:], "64 lower-case hex digits"),
                (HEADER + "A" + signed[1:], "64 lower-case hex digits"), (HEADER + "g" * 64 + signed[64:], "64 lower-case hex digits")):
            with self.subTest(words=words, content=content[:90]):
                self.refused(self.manifest(self.file(content)), "Invalid", words)

    def test_millions_of_malformed_lines(self):
        path = self.file(HEADER + "nonsense\n" * 2000000)
        self.refused(self.manifest(path), "Invalid", "more than 10000 lines are malformed")

    def test_a_chip_that_is_listed_otherwise(self):
        chip = self.lab.chips()[0]
        line = f"{chip['key_id']},Somebody,else,{chip['serial_number']}\n"
        self.refused(self.manifest(HEADER + line), "Invalid", "lists this key id as")


class Batches(Files):
    spare = "5" * 64  # a chip that exists and that nobody claims

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.lab.path("spare.csv")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"{HEADER}{cls.spare},Acme,M1,spare\n")
        assert cls.lab.import_manifest(path)[0]

    def batch(self, content, name="bad", policy="lab", options=None):
        path = content if isinstance(content, str) and os.path.isabs(content) else self.file(content)
        return self.run_job("AddBatch", "(ssha{sv})", name, policy, 0, options or {}, files=(path,))

    def test_lines(self):
        mine = self.lab.ids()[0]
        for content, words in (
                (b"", "the list holds no key id"), ("# only a word\n\n", "the list holds no key id"), (mine[:-1], "malformed: not a key id"),
                (mine + "0", "malformed: not a key id"), (mine.upper() if mine.upper() != mine else "A" * 64, "malformed: not a key id"),
                ("g" * 64, "malformed: not a key id"), (mine.encode()[:-1] + b"\0", "malformed: not a key id"),
                (b"\xff" * 64, "malformed: not a key id"), (b"\xef\xbb\xbf" + mine.encode(), "malformed: not a key id"),
                ("x" * 1000, "malformed: the line is too long"), ("0" * 10000000, "malformed: the line is too long"),
                ("1" * 64, "unknown: in no trusted manifest"), (mine, "claimed: by batch lab-batch"),
                (f"{self.spare}\n{self.spare}", "1 of 2 key ids are refused, nothing was added; the first: 2: duplicate: stands on line 1"),
                (f"{self.spare}\n# that one was good\n{mine}", "1 of 2 key ids are refused, nothing was added; the first: 3: claimed")):
            with self.subTest(words=words, content=content[:70]):
                self.refused(self.batch(content), "Invalid", words)

    def test_lists_without_end(self):
        self.refused(self.batch(self.sparse(4 * GIBIBYTE)), "Limit", "the list is larger than 268435456 octets")
        self.refused(self.batch(f"{'1' * 64}\n" * 1000001), "Limit", "more than 1000000 key ids in one batch")

    cpu, memory = 8.0, 64 << 20  # a million lines are read and staged before the one too many is seen

    def test_a_report_names_each_line(self):
        theirs, ours = os.pipe()
        os.set_blocking(theirs, False)
        path = self.file("nonsense\n" + "1" * 64 + "\n" + self.lab.ids()[0] + "\n")
        fds = (os.open(path, os.O_RDONLY), ours)
        job = self.lab.bus.call(ROOT, "Inventory", "AddBatch", "(ssha{sv})", "bad", "lab", 0, {"report": GLib.Variant("h", 1)}, fds=fds)[0]
        for fd in fds:
            os.close(fd)
        self.refused(self.lab.bus.job(job), "Invalid", "3 of 3 key ids are refused")
        with os.fdopen(theirs, "r", encoding="utf-8") as f:
            lines = f.read().splitlines()
        self.assertEqual([tuple(line.split(": ")[:2]) for line in lines[-3:]],
                         [("1", "malformed"), ("2", "unknown"), ("3", "claimed")])

    def test_names_and_policies(self):
        def call(name, policy):
            with self.assertRaises(GLib.Error) as caught:
                self.batch("1" * 64, name=name, policy=policy)
            return error_name(caught.exception), caught.exception.message
        for name in ("", "x" * 65, "a\nb", "a/b", "\x1b[2J"):
            self.assertEqual(call(name, "lab")[0], ERROR + "Invalid", name)
        error, message = call("fine", "no-such-policy")
        self.assertEqual(error, ERROR + "NotFound")
        self.assertIn("there is no policy 'no-such-policy'", message)
        self.refused(self.batch("1" * 64, name="lab-batch"), "Exists", "is there already")


class Settings(Files):
    """Policies and the configuration at Reload: one that is wrong harms itself alone."""

    def setUp(self):
        super().setUp()
        self.conf = self.lab.path("etc", "gangway.conf")
        with open(self.conf, "rb") as f:
            self.good = f.read()

    def tearDown(self):
        os.path.lexists(self.conf) and os.unlink(self.conf)
        with open(self.conf, "wb") as f:
            f.write(self.good)
        self.reload()
        super().tearDown()

    def reload(self):
        self.lab.bus.call(ROOT, "Manager", "Reload", timeout=10)

    def reload_refused(self, error, words):
        with self.assertRaises(GLib.Error) as caught:
            self.reload()
        self.assertEqual(error_name(caught.exception), ERROR + error, caught.exception.message)
        self.assertIn(words, caught.exception.message)
        self.assertLess(len(caught.exception.message), 2000)

    def write_conf(self, text):
        with open(self.conf, "wb") as f:
            f.write(self.good + (text if isinstance(text, bytes) else text.encode()))

    def test_keys_of_the_configuration(self):
        lines = self.good.count(b"\n")
        for text, words in (
                ("[Spool]\nMaxBytse=1\n", f":{lines + 2}: [Spool] has no key MaxBytse"), ("[Nonsense]\nA=1\n", "there is no group [Nonsense]"),
                ("[Spool]\nMaxBytes=1M\nMaxBytes=1M\n", f":{lines + 3}: MaxBytes is there twice"), ("[Trust]\n", "group [Trust] is there twice"),
                ("[Spool]\nMaxBytes=-1\n", "MaxBytes must be a size like"), ("[Spool]\nMaxBytes=99999999999999999999\n", "MaxBytes must be a size"),
                ("[Spool]\nMaxAge=yesterday\n", "MaxAge must be a duration like"), ("[Adoption]\nWindow=\n", "Window must be a duration"),
                ("[Spool]\nMaxBytes=1M\nMaxBytesPerEndpoint=2M\n", "MaxBytesPerEndpoint is more than MaxBytes"),
                ("[Authority]\nKey=ca.key\n", "Key must be file, or a URI"), ("nonsense\n", "neither [Group], Key=Value nor # comment"),
                (b"[Spool]\nMaxBytes=\xff\n", "not UTF-8 text"), (b"[Spool]\nMaxBytes=1\0\n", "not UTF-8 text"), ("[Spool]\nMaxBytes=1\x07\n", "holds a control character"),
                ("[Spool]\nMaxBytes=" + "9" * 5000, "longer than 4096 octets"), ("#" * 4000 + "\n" + ("#" * 4000 + "\n") * 20, "larger than 65536 octets")):
            with self.subTest(words=words):
                self.write_conf(text)
                self.reload_refused("Storage" if "larger" in words else "Invalid", words)

    def test_what_is_no_file(self):
        """Nothing, a folder, a pipe that nobody writes, a device without end, four gibibytes."""
        def absent():
            os.unlink(self.conf)

        def folder():
            os.mkdir(self.conf)

        def made(what):
            return lambda: (os.unlink(self.conf) if os.path.lexists(self.conf) else None, what())
        for make, words in ((absent, "No such file"), (folder, "not a plain file"), (made(lambda: os.mkfifo(self.conf)), "not a plain file"),
                            (made(lambda: os.symlink("/dev/zero", self.conf)), "not a plain file"),
                            (made(lambda: os.symlink(self.sparse(4 * GIBIBYTE), self.conf)), "larger than 65536 octets")):
            with self.subTest(words=words):
                if os.path.isdir(self.conf):
                    os.rmdir(self.conf)
                make()
                self.reload_refused("Storage", f"cannot read the configuration: {self.conf}: {words}")

    def policy(self, name):
        return next((p for p in self.lab.bus.of("Policy").values() if p["Name"] == name), None)

    def bad_policy(self, make, words):
        path = self.lab.path("etc", "policies.d", "bad.policy")
        try:
            make(path)
            self.reload()
            wait("the policy to be shown", lambda: self.policy("bad"))
            shown = self.policy("bad")
            self.assertFalse(shown["Valid"])
            self.assertTrue(any(words in problem for problem in shown["Problems"]), shown["Problems"])
            self.assertTrue(self.policy("lab")["Valid"])
            with self.assertRaises(GLib.Error) as caught:
                self.run_job("AddBatch", "(ssha{sv})", "b", "bad", 0, {}, files=(self.file("1" * 64),))
            self.assertEqual(error_name(caught.exception), ERROR + "Invalid")
        finally:
            if os.path.lexists(path):
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
            self.reload()
        wait("the policy to go", lambda: self.policy("bad") is None)

    def test_policies(self):
        with open(self.lab.path("etc", "policies.d", "lab.policy"), encoding="utf-8") as f:
            good = f.read()

        def text(old, new):
            self.assertIn(old, good)

            def make(path):
                with open(path, "wb") as f:
                    f.write(good.replace(old, new).encode("utf-8", "surrogateescape"))
            return make
        empty, junk, huge = self.file(""), self.file(os.urandom(5000)), self.sparse(4 * GIBIBYTE)
        anchors = next(line for line in good.splitlines() if line.startswith("TrustAnchors="))
        uri = next(line for line in good.splitlines() if line.startswith("BrokerUri="))
        pipe = os.path.join(self.folder, "pipe")
        os.mkfifo(pipe)
        for make, words in (
                (text("Kind=", "Kidn="), "[Policy] has no key Kidn"), (text(anchors, anchors + "\n" + anchors), "TrustAnchors is there twice"),
                (text(anchors, "TrustAnchors=/nowhere/ca.pem"), "TrustAnchors: /nowhere/ca.pem: No such file"),
                (text(anchors, f"TrustAnchors={empty}"), "no certificate in it"), (text(anchors, f"TrustAnchors={junk}"), "no certificate in it"),
                (text(anchors, f"TrustAnchors={huge}"), "larger than 1048576 octets"), (text(anchors, f"TrustAnchors={pipe}"), "not a plain file"),
                (text(anchors, "TrustAnchors=/dev/zero"), "not a plain file"), (text(anchors, "TrustAnchors=ca.pem"), "must be an absolute path"),
                (text(anchors, "# none"), "TrustAnchors"), (text(uri, "BrokerUri=mqtt://localhost"), "BrokerUri"),
                (text(uri, "BrokerUri=mqtts://user:password@localhost"), "BrokerUri"), (text(uri, "BrokerUri=mqtts://h:99999"), "BrokerUri"),
                (text("Kind=", "TlsMin=1.2\nKind="), "TlsMin must be 1.3"), (text("Kind=", "\udcffKind="), "not UTF-8 text"),
                (text("Kind=", "x" * 5000 + "\nKind="), "longer than 4096 octets"), (lambda path: os.mkfifo(path), "not a plain file"),
                (lambda path: os.mkdir(path), "not a plain file"), (lambda path: os.symlink("/nowhere", path), "No such file"),
                (lambda path: os.symlink(huge, path), "larger than 65536 octets"), (lambda path: os.symlink(junk, path), "bad.policy")):
            with self.subTest(words=words):
                self.bad_policy(make, words)

    def test_trust_anchors_of_manifests(self):
        """A broken one among the good is named: nothing is imported in the hope that it did not matter."""
        trust = self.lab.path("etc", "trust.d", "manifest")
        path, good = os.path.join(trust, "broken.pem"), self.file(HEADER + row(1))
        signature = pki.sign_manifest(good, *self.lab.vendor)
        for make, error, words in (
                (lambda: shutil.copy(self.file(b"nonsense"), path), "NotTrusted", "broken.pem holds no certificate"),
                (lambda: os.mkfifo(path), "Storage", "not a plain file"),
                (lambda: os.symlink(self.sparse(4 * GIBIBYTE), path), "Storage", "broken.pem: larger than")):
            make()
            try:
                self.refused(self.run_job("ImportManifest", "(hha{sv})", 0, 1, {}, files=(good, signature)), error, words)
            finally:
                os.unlink(path)
        moved = trust + "-away"
        os.rename(trust, moved)
        try:
            self.refused(self.run_job("ImportManifest", "(hha{sv})", 0, 1, {}, files=(good, signature)), "NotTrusted", "nobody is trusted to sign yet")
        finally:
            os.rename(moved, trust)


if __name__ == "__main__":
    sys.exit(tap.main())
