#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""USB serial ports that come and go: udev starts and ends a sandboxed plugin for each, and what is plugged in reaches the
broker in its own name. One story in order: the cases build on each other."""
import os
import stat
import time
import unittest

import tap
from bus import NAME, ROOT
from machine import AGENT, PATIENCE, Site, drop_in, journal, run, show, status_of, wait_unit
from supervisor import wait

ENDPOINTS = 2
WATCHDOG_SEC = 10


class Hotplug(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A file system of its own for the state, which can be frozen.
        run("truncate", "-s", "64M", "/run/state.img")
        run("mke2fs", "-q", "-t", "ext4", "/run/state.img")
        os.makedirs("/var/lib/gangway")
        run("modprobe", "loop")
        run("mount", "-o", "loop", "/run/state.img", "/var/lib/gangway")
        os.rmdir("/var/lib/gangway/lost+found")
        drop_in(AGENT, f"[Service]\nWatchdogSec={WATCHDOG_SEC}s\n")
        # Leaves in the journal how many filters the unit itself sets up.
        drop_in("gangway-serial@.service", "[Service]\nExecStartPre=grep Seccomp_filters /proc/self/status\n")
        cls.site = Site(ENDPOINTS)
        try:
            cls.site.start()
        except BaseException:
            cls.site.close()
            raise
        cls.units = [f"gangway-serial@{port}.service" for port in cls.site.ports()]
        cls.certificates = None

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def buses(self):
        return {b.get("Name"): b.get("State") for b in self.site.bus.of("Bus").values()}

    def test_01_a_port_that_is_not_named_is_left_alone(self):
        self.site.plug(vendor="0x1d6b")
        wait("the port", lambda: os.path.exists("/dev/ttyACM1"), PATIENCE)
        run("udevadm", "settle")
        self.assertIn("ID_USB_VENDOR_ID=1d6b", run("udevadm", "info", "/dev/ttyACM0"))
        self.assertEqual([show(unit, "ActiveState") for unit in self.units], ["inactive"] * ENDPOINTS)
        self.site.unplug()
        wait("no port", lambda: not os.path.exists("/dev/ttyACM0"), PATIENCE)

    def test_02_a_named_port_gets_a_plugin(self):
        begin = time.monotonic()
        self.site.plug()
        for unit in self.units:
            wait_unit(unit, "active")
        wait("their buses", lambda: self.buses() == {port: "running" for port in self.site.ports()}, PATIENCE)
        print(f"# plugged to attached: {time.monotonic() - begin:.1f} s", flush=True)

    def test_03_the_plugin_is_confined(self):
        for unit, port in zip(self.units, self.site.ports()):
            pid = int(show(unit, "MainPID"))
            status = status_of(pid)
            self.assertEqual(status["Uid"].split()[0], run("id", "-u", "gangway-bus").strip())
            self.assertEqual([status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")], ["0" * 16] * 5)
            # The unit's filters and, since it has attached, libgangway's own.
            before = int(journal("-u", unit, "-t", "grep").split()[-1])
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
            self.assertEqual(int(status["Seccomp_filters"]), before + 1)
            open_files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            self.assertIn(f"/dev/{port}", open_files)
            self.assertEqual([f for f in open_files if f.startswith("/dev/tty")], [f"/dev/{port}"])
            # Only lo, and that is down.
            links = run("nsenter", "-t", str(pid), "-n", "cat", "/proc/net/dev").splitlines()[2:]
            self.assertEqual([line.split(":")[0].strip() for line in links], ["lo"])

    def test_04_its_endpoint_is_onboarded(self):
        self.site.wait_state("online")
        self.site.wait_flow()
        users = self.site.broker.users()
        for key_id in self.site.ids():
            self.assertIn(key_id, users)
        type(self).certificates = {i: e["CertificateFingerprint"] for i, e in self.site.bus.endpoints().items()}
        self.assertEqual(len(self.certificates), ENDPOINTS)
        self.assertTrue(all(self.certificates.values()))

    def test_05_the_status_line_counts_it(self):
        text = f"{ENDPOINTS} endpoints ({ENDPOINTS} online), {ENDPOINTS} buses, "
        wait("the status", lambda: show(AGENT, "StatusText").startswith(text), PATIENCE)

    def test_06_unplugged_the_plugin_ends(self):
        self.site.unplug()
        for unit in self.units:
            wait_unit(unit, "inactive")
        wait("no bus", lambda: not self.buses(), PATIENCE)
        wait("their absence", lambda: {e["Presence"] for e in self.site.bus.endpoints().values()} == {"absent"}, PATIENCE)
        self.assertEqual(run("systemctl", "--failed", "--no-legend", "--plain").strip(), "")

    def test_07_plugged_again_it_is_the_same(self):
        begin = time.monotonic()
        self.site.plug()
        self.site.wait_state("online")
        print(f"# plugged to online: {time.monotonic() - begin:.1f} s", flush=True)
        self.site.wait_flow()
        self.assertEqual({i: e["CertificateFingerprint"] for i, e in self.site.bus.endpoints().items()}, self.certificates)

    def test_08_a_plugin_that_is_killed_is_back(self):
        pid = show(self.units[0], "MainPID")
        run("systemctl", "kill", "-s", "KILL", self.units[0])
        wait("another process", lambda: show(self.units[0], "MainPID") not in ("0", pid), PATIENCE)
        self.site.wait_state("online")
        self.site.wait_flow()

    def test_09_a_disk_that_hangs_is_a_matter_for_the_watchdog(self):
        """The loop turns and D-Bus is answered, but no writer means no beat: the service manager restarts the agent."""
        restarts = int(show(AGENT, "NRestarts"))
        run("fsfreeze", "-f", "/var/lib/gangway")
        try:
            self.site.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager", "Version")
            wait("the watchdog", lambda: "Watchdog timeout" in journal("-u", AGENT), 6 * WATCHDOG_SEC)
        finally:
            run("fsfreeze", "-u", "/var/lib/gangway")
        wait("the restart", lambda: int(show(AGENT, "NRestarts")) > restarts and show(AGENT, "ActiveState") == "active",
             PATIENCE)
        self.site.wait_state("online")
        self.site.wait_flow()

    def test_10_nothing_acknowledged_is_lost(self):
        acked, missing = self.site.lost()
        print(f"# {acked} reports acknowledged, {len(missing)} missing", flush=True)
        self.assertGreater(acked, 10)
        self.assertEqual(missing, [])

    def test_11_the_state_is_private(self):
        for path, folders, files in os.walk("/var/lib/gangway"):
            for name in [".", *folders, *files]:
                found = os.stat(os.path.join(path, name))
                self.assertEqual(stat.S_IMODE(found.st_mode) & 0o077, 0, os.path.join(path, name))


if __name__ == "__main__":
    tap.main()
