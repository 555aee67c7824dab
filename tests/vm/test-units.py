#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent as the service manager sees it: its users and folders, readiness, status, watchdog, reload, end, and its sandbox."""
import os
import re
import signal
import socket
import stat
import subprocess
import unittest

import tap
from bus import NAME, ROOT, Client
from machine import AGENT, PATIENCE, SYSTEM_BUS, drop_in, journal, run, show, status_of, wait_unit
from supervisor import wait

EXPOSURE_MAX = {AGENT: 2.0, "gangway-serial@ttyS0.service": 1.0}


def mode_of(path):
    found = os.stat(path)
    return (stat.S_IMODE(found.st_mode), run("stat", "-c", "%U:%G", path).strip())


class Installed(unittest.TestCase):
    def test_users(self):
        for user in ("gangway", "gangway-bus"):
            fields = run("getent", "passwd", user).strip().split(":")
            self.assertTrue(fields[6].endswith("nologin"), fields)
            self.assertNotIn(user, run("getent", "group", "dialout").strip().split(":")[3].split(","))

    def test_folders(self):
        self.assertEqual(mode_of("/etc/gangway"), (0o750, "root:gangway"))
        self.assertEqual(mode_of("/etc/gangway/policies.d"), (0o750, "root:gangway"))
        self.assertEqual(mode_of("/etc/gangway/trust.d/manifest"), (0o755, "root:root"))

    def test_units_are_well_formed(self):
        for unit in EXPOSURE_MAX:
            text = run("systemd-analyze", "verify", "--man=no", unit, check=False)
            self.assertNotIn("gangway", text)

    def test_exposure(self):
        for unit, most in EXPOSURE_MAX.items():
            text = run("systemd-analyze", "security", "--no-pager", unit)
            score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", text).group(1))
            print(f"# {unit}: {score}", flush=True)
            self.assertLessEqual(score, most, text)


class Agent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run("systemctl", "start", AGENT)
        cls.bus = Client(SYSTEM_BUS)

    def setUp(self):
        if show(AGENT, "ActiveState") != "active":
            run("systemctl", "start", AGENT)

    def pid(self):
        return int(show(AGENT, "MainPID"))

    def test_ready_means_on_the_bus(self):
        """`systemctl start` comes back when the name is there, not before: asked at once, thrice."""
        for _ in range(3):
            run("systemctl", "stop", AGENT)
            run("systemctl", "start", AGENT)
            self.assertTrue(self.bus.call_bus("NameHasOwner", "(s)", NAME)[0])
            self.assertEqual(show(AGENT, "ActiveState", "Type"), {"ActiveState": "active", "Type": "notify"})

    def test_status_tells_what_is_there(self):
        self.assertEqual(show(AGENT, "StatusText"), "0 endpoints, 0 buses, 0 octets spooled")

    def test_watchdog(self):
        """Fed while the agent gets on, and the end of it when it stands still; sooner here than as shipped."""
        self.assertEqual(show(AGENT, "WatchdogUSec"), "30s")
        drop_in(AGENT, "[Service]\nWatchdogSec=10s\n")
        run("systemctl", "restart", AGENT)
        pid, restarts = self.pid(), int(show(AGENT, "NRestarts"))
        for _ in range(2):
            last = int(show(AGENT, "WatchdogTimestampMonotonic"))
            wait("a beat", lambda: int(show(AGENT, "WatchdogTimestampMonotonic")) > last, PATIENCE)
        self.assertEqual((self.pid(), int(show(AGENT, "NRestarts"))), (pid, restarts))
        os.kill(pid, signal.SIGSTOP)
        wait("its restart", lambda: int(show(AGENT, "NRestarts")) > restarts and show(AGENT, "ActiveState") == "active", PATIENCE)
        self.assertNotEqual(self.pid(), pid)
        self.assertIn("Watchdog timeout", journal("-u", AGENT))
        drop_in(AGENT, "")
        run("systemctl", "restart", AGENT)

    def test_words_to_the_service_manager(self):
        """Ready, reloading, ready again, progress, stopping: as they are sent."""
        run("systemctl", "stop", AGENT)
        words = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("\0gangway-test")
            manager.settimeout(PATIENCE)

            def hear(word):
                while not words or word not in words[-1]:
                    words.append(manager.recv(4096).decode().splitlines())
            with subprocess.Popen(["runuser", "-u", "gangway", "--", "env", "NOTIFY_SOCKET=@gangway-test", "WATCHDOG_USEC=300000",
                                   "/usr/libexec/gangway/gangwayd", "--state-dir", "/var/lib/gangway"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
                hear("READY=1")
                pid = int(self.bus.call_bus("GetConnectionUnixProcessID", "(s)", NAME)[0])
                for _ in range(3):
                    hear("WATCHDOG=1")
                self.assertEqual(words[-1], ["WATCHDOG=1", "STATUS=0 endpoints, 0 buses, 0 octets spooled"])
                os.kill(pid, signal.SIGHUP)
                hear("RELOADING=1")
                hear("READY=1")
                os.kill(pid, signal.SIGTERM)
                hear("STOPPING=1")
                self.assertEqual(agent.wait(), 0)
        self.assertTrue(words[-1][1].startswith("STATUS=stopping"), words[-1])

    def test_reload(self):
        pid = self.pid()
        run("systemctl", "reload", AGENT)
        self.assertEqual(show(AGENT, "ActiveState"), "active")
        with open("/etc/gangway/gangway.conf", "a", encoding="utf-8") as f:
            f.write("[Spool]\nNoSuchKey=1\n")
        run("systemctl", "reload", AGENT)
        wait("a word on the mistake", lambda: "NoSuchKey" in journal("-u", AGENT), PATIENCE)
        with open("/etc/gangway/gangway.conf", "r+", encoding="utf-8") as f:
            text = f.read().replace("[Spool]\nNoSuchKey=1\n", "")
            f.seek(0)
            f.truncate()
            f.write(text)
        wait("it to be ready again", lambda: show(AGENT, "SubState") == "running", PATIENCE)
        self.assertEqual(self.pid(), pid)

    def test_end(self):
        """In good order on SIGTERM: it leaves with 0, the name is gone."""
        run("systemctl", "stop", AGENT)
        self.assertEqual(show(AGENT, "Result", "ExecMainStatus", "ActiveState"),
                         {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"})
        self.assertFalse(self.bus.call_bus("NameHasOwner", "(s)", NAME)[0])

    def test_killed_it_is_back(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait("another process", lambda: self.pid() not in (0, pid) and show(AGENT, "ActiveState") == "active", PATIENCE)
        self.assertRegex(self.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager", "GatewayId",
                                       timeout=PATIENCE)[0], "^gw-[0-9a-f]{16}$")

    def test_a_crash_tells_no_key(self):
        """Nor where core dumps go to a program, for which LimitCORE= does not count."""
        keys = [bytes.fromhex(re.sub(r"[^0-9a-f]", "", run("openssl", "pkey", "-in", f"/var/lib/gangway/ca/{name}.key", "-text", "-noout")
                                     .split("priv:")[1].split("pub:")[0]))[-32:] for name in ("ca", "gateway")]
        before = run("sysctl", "-n", "kernel.core_pattern").strip()
        run("sysctl", "-w", "kernel.core_pattern=|/bin/dd of=/run/core.%p")
        pid = self.pid()
        try:
            os.kill(pid, signal.SIGSEGV)
            wait("another process", lambda: self.pid() not in (0, pid) and show(AGENT, "ActiveState") == "active", PATIENCE)
        finally:
            run("sysctl", "-w", f"kernel.core_pattern={before}")
        with open(f"/run/core.{pid}", "rb") as f:
            core = f.read()
        self.assertIn(b"CORE", core)  # the notes: it was dumped
        for key in keys:
            for part in (key[:16], key[16:], key[::-1][:16], key[::-1][16:]):
                self.assertFalse(part in core, "a key is in the dump")  # which is too large to be shown

    def test_privileges(self):
        status = status_of(self.pid())
        self.assertEqual(status["Uid"].split()[0], run("id", "-u", "gangway").strip())
        self.assertEqual([status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")], ["0" * 16] * 5)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))

    def test_what_it_sees(self):
        inside = ["nsenter", "-t", str(self.pid()), "-m", "--"]
        self.assertIn("Read-only", self.refused(*inside, "touch", "/etc/gangway/x"))
        self.assertIn("Read-only", self.refused(*inside, "touch", "/var/lib/x"))
        self.assertIn("No such file", self.refused(*inside, "stat", "/dev/ttyS0"))
        run(*inside, "touch", "/var/lib/gangway/x")
        os.unlink("/var/lib/gangway/x")

    def refused(self, *argv):
        with self.assertRaises(AssertionError) as caught:
            run(*argv)
        return str(caught.exception)

    def test_state_is_its_own(self):
        for path, folders, files in os.walk("/var/lib/gangway"):
            for name in [".", *folders, *files]:
                mode, owner = mode_of(os.path.join(path, name))
                self.assertEqual((mode & 0o077, owner), (0, "gangway:gangway"), os.path.join(path, name))

    def test_nothing_has_failed(self):
        wait_unit(AGENT, "active")
        self.assertEqual(run("systemctl", "--failed", "--no-legend", "--plain").strip(), "")


if __name__ == "__main__":
    tap.main()
