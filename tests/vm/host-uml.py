#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""uml.sh itself, from the host: what comes back, what cannot be harmed, and that it always ends."""
import os
import signal
import subprocess
import tempfile
import time
import unittest

import tap
from supervisor import wait

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uml.sh")
# A boot takes a second; this is for a machine that does much else.
PATIENCE = 600


def of_guest(folder):
    """Pids of all processes of the guest with that folder, its stubs included: they share its command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0].endswith(b"linux.uml") and f"init={folder}/.init".encode() in words:
            found.append(int(pid))
    return found


class Guest(unittest.TestCase):
    def setUp(self):
        # Not below /tmp, which a container may keep in memory.
        base = os.path.join(os.environ["GANGWAY_BUILD"], "vm")
        os.makedirs(base, exist_ok=True)
        self.scratch = tempfile.TemporaryDirectory(prefix="uml-", dir=base)
        self.folder = self.scratch.name

    def tearDown(self):
        wait("the guest to leave nothing running", lambda: not of_guest(self.folder), PATIENCE)
        self.scratch.cleanup()

    def boot(self, command, *options, **more):
        return subprocess.run(["bash", SCRIPT, *options, self.folder, command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False, **more)

    def test_output_exit_code_and_environment_come_through(self):
        done = self.boot("echo one; echo two >&2; printf '%s\\n' \"$WORDS\"; pwd; tty; id -u; exit 7",
                         env={**os.environ, "WORDS": "a 'b\" $c"}, start_new_session=True)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertEqual(done.stdout.splitlines(), ["one", "two", "a 'b\" $c", self.folder, "not a tty", "0"])

    def test_another_user(self):
        os.chmod(self.folder, 0o777)
        done = self.boot("id -un; touch mine; touch /etc/passwd && echo what; [ -r /etc/passwd ]", "-u", "nobody")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[0], "nobody")
        self.assertNotIn("what", done.stdout)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "mine")))

    def test_the_host_is_as_before(self):
        """Root in there, and yet only the folder is written; new files, changed files, removed files, modes."""
        with tempfile.TemporaryDirectory() as other:
            victim = os.path.join(other, "victim")
            with open(victim, "w", encoding="utf-8") as f:
                f.write("as before")
            before = os.stat(victim)
            done = self.boot(f"set -e; echo changed >{victim}; cat {victim}; chmod 600 {victim}; rm {victim}; touch {other}/new; "
                             "mkdir /etc/new.d /var/lib/new.d; echo x >/usr/bin/new; echo real >real")
            self.assertEqual((done.returncode, done.stdout), (0, "changed\n"), done.stdout + done.stderr)
            with open(victim, encoding="utf-8") as f:
                self.assertEqual(f.read(), "as before")
            self.assertEqual((os.stat(victim).st_mode, os.stat(victim).st_mtime_ns), (before.st_mode, before.st_mtime_ns))
            self.assertEqual(os.listdir(other), ["victim"])
            for path in ("/etc/new.d", "/var/lib/new.d", "/usr/bin/new"):
                self.assertFalse(os.path.exists(path), path)
            with open(os.path.join(self.folder, "real"), encoding="utf-8") as f:
                self.assertEqual(f.read(), "real\n")

    def test_its_devices(self):
        done = self.boot("ip -br -o link | awk '{print $1}'; cat /sys/class/net/vcan[01]/mtu; ls /dev/pts/ptmx /dev/shm -d; "
                         "exec 3< <(exec candump -n 1 vcan0); until grep -q vcan0 /proc/net/can/rcvlist_all; do :; done; "
                         "cansend vcan0 123#C0FFEE; cat <&3")
        self.assertEqual(done.stdout.split(), ["lo", "vcan0", "vcan1", "16", "72", "/dev/pts/ptmx", "/dev/shm",
                                               "vcan0", "123", "[3]", "C0", "FF", "EE"], done.stderr)

    def test_a_panic_is_told(self):
        done = self.boot("echo before; echo c >/proc/sysrq-trigger; sleep 100")
        self.assertEqual((done.returncode, done.stdout), (125, "before\n"), done.stderr)
        self.assertIn("console.log", done.stderr)
        with open(os.path.join(self.folder, "console.log"), encoding="utf-8") as f:
            self.assertIn("Kernel panic", f.read())

    def test_a_guest_that_does_not_end_is_ended(self):
        for seconds in (4, 16, 64, 256):  # a busy machine may take longer to come so far
            done = self.boot("echo before; sleep 1000", "-t", str(seconds))
            self.assertEqual(done.returncode, 124, done.stderr)
            if done.stdout:
                break
        self.assertEqual(done.stdout, "before\n")

    def test_it_ends_with_who_started_it(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with subprocess.Popen(["bash", SCRIPT, self.folder, "echo up; sleep 1000"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True) as caller:
                self.assertEqual(caller.stdout.readline(), "up\n")
                self.assertTrue(of_guest(self.folder))
                caller.send_signal(sig)
                begin = time.monotonic()
                wait("the guest to end", lambda: not of_guest(self.folder), PATIENCE)
                print(f"# gone {time.monotonic() - begin:.1f} s after {sig.name}", flush=True)

    def test_a_killed_kernel_takes_its_processes_along(self):
        """They are processes of this machine, and what they ask of it is traced away by the kernel alone."""
        with tempfile.TemporaryDirectory() as other:
            loop = f"import itertools, os; [os.mkdir('{other}/%d' % i) for i in itertools.count()]"
            with subprocess.Popen(["bash", SCRIPT, self.folder, f'echo up; exec /usr/bin/python3 -c "{loop}"'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as caller:
                self.assertEqual(caller.stdout.readline(), "up\n")
                os.kill(min(of_guest(self.folder)), signal.SIGKILL)
                wait("all to end", lambda: not of_guest(self.folder), PATIENCE)
                self.assertEqual(caller.wait(PATIENCE), 125)
            self.assertEqual(os.listdir(other), [])

    def test_bad_use_is_refused(self):
        for args in ([], ["/nowhere"], ["-x", "/", "true"]):
            done = subprocess.run(["bash", SCRIPT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage: uml.sh", done.stderr)


if __name__ == "__main__":
    tap.main()
