#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example plugin, in C and in Python: boards in the slots of a rack go all the way to the broker."""
import os
import socket
import subprocess
import sys
import tempfile
import unittest

from gi.repository import GLib

import tap
from bus import ROOT
from lab import ASAN, SOURCE, Lab
from supervisor import wait, within

EXAMPLE = os.path.join(SOURCE, "plugins", "example")
LINES_MAX = {"rack-plugin.c": 120, "rack-plugin.py": 60}
COLUMNS_MAX = {"rack-plugin.c": 110, "rack-plugin.py": 120}
EXPOSURE_MAX = 10  # of systemd-analyze security, in tenths
STRANGERS = 40
SILENT_S = 18


class Rack:
    """What both plugins must do; argv() says which one it is."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=2, sim_args=["--slots"])
        try:
            cls.lab.start(plugins=False)
            cls.ids = cls.lab.ids()
            cls.plugin = cls.lab.supervisor.start("rack-plugin", [*cls.argv(), cls.lab.ports, "rack1"], restart=True,
                                                  env={**cls.env(), "DBUS_SYSTEM_BUS_ADDRESS": cls.lab.address})
            cls.lab.wait_online()
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def bus(self):
        return self.lab.bus.objects.get(f"{ROOT}/bus/rack1", {}).get("org.gangway.Gangway1.Bus", {})

    def nodes(self):
        return self.lab.bus.call(f"{ROOT}/bus/rack1", "org.freedesktop.DBus.Properties", "Get", "(ss)",
                                 "org.gangway.Gangway1.Bus", "NodeCount")[0]

    def slot(self, n):
        """A socket in a slot that the simulator leaves empty, and what answers the gateway."""
        path = os.path.join(self.lab.ports, f"slot-{n}")
        board = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        board.settimeout(60)
        board.bind(path)
        self.addCleanup(board.close)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return board

    def answer(self, board):
        question, gateway = board.recvfrom(100)
        self.assertEqual(question, bytes.fromhex("0800000151000000a0"))
        board.sendto(bytes.fromhex("0900000151000000a0"), gateway)
        return gateway

    def test_all_the_way(self):
        """Reports arrive in the boards' own names; the bus says what it is."""
        for n in range(2):
            self.lab.wait_flow(n)
            self.assertIn(self.ids[n], self.lab.broker.users())
        self.assertEqual((self.bus()["Kind"], self.bus()["Device"]), ("rack", self.lab.ports))
        self.assertEqual(self.lab.bus.call(self.lab.bus.endpoints()[self.ids[0]]["path"], "Points", "Write", "(uva{sv})", 4,
                                           GLib.Variant("d", 42.0), {})[0], 42)

    def test_sandboxed(self):
        with open(f"/proc/{self.plugin.pid}/status", encoding="utf-8") as f:
            self.assertIn("\nSeccomp:\t2\n", f.read())

    def test_pulled_and_plugged(self):
        """A board that goes is gone, while its neighbour works on; back in its slot it comes online by itself."""
        self.lab.control("unplug 1")
        self.assertTrue(within(SILENT_S - 3, lambda: self.nodes() == 1), "it was missed only when it was silent")
        self.lab.wait_state(self.ids[1], "offline")
        self.lab.wait_flow(0)
        self.lab.control("replug 1")
        self.lab.wait_online()
        self.lab.wait_flow(1)

    def test_silent_board(self):
        """A board that hangs keeps its socket, so silence alone tells."""
        board = self.slot(9)
        self.answer(board)
        wait("its node", lambda: self.nodes() == 3)
        wait("its end", lambda: self.nodes() == 2, SILENT_S + 12)
        self.lab.wait_online()

    def test_strangers(self):
        """Sockets that are no slots, and packets that are too large or empty, make no node and disturb nobody."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        gateway = os.path.join(self.lab.ports, "gateway")
        for n in range(STRANGERS):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
                if n:  # the first has no name at all
                    stranger.bind(os.path.join(folder.name, f"slot-{n}"))
                stranger.sendto(bytes.fromhex("0900000151000000a0"), gateway)
        board = self.slot(12)
        for packet in (b"", bytes(513), bytes.fromhex("0900000151000000a0") + bytes(600), b"\x09", b"\x16" * 100):
            board.sendto(packet, gateway)
        self.lab.wait_flow(0)
        self.assertEqual(self.nodes(), 2)

    def test_the_agents_restart(self):
        before = self.plugin.pid
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        self.lab.wait_online()
        self.assertEqual(self.plugin.pid, before)

    def test_a_restart_of_its_own(self):
        """It may be killed at any time: its supervisor starts it, and what its socket has left is no obstacle."""
        before = self.plugin.starts
        self.plugin.kill()
        wait("its restart", lambda: self.plugin.starts > before and self.plugin.alive)
        wait("the bus", lambda: self.bus() and self.nodes() == 2, 20)
        self.lab.wait_online()
        self.lab.wait_flow(1)

    def test_refused(self):
        """A name that is no name is refused for good: it says why and ends."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        done = subprocess.run([*self.argv(), folder.name, "no name"], capture_output=True, text=True, timeout=120, check=False,
                              env={**os.environ, **self.env(), "DBUS_SYSTEM_BUS_ADDRESS": self.lab.address})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("refused", done.stderr)


class InC(Rack, unittest.TestCase):
    @classmethod
    def argv(cls):
        return [cls.lab.binary("plugins", "example", "rack-plugin")]

    @staticmethod
    def env():
        # The leak check at exit needs a process of its own, which the sandbox refuses.
        return {"ASAN_OPTIONS": ASAN.replace("detect_leaks=1", "detect_leaks=0")}


class InPython(Rack, unittest.TestCase):
    @classmethod
    def argv(cls):
        return ["/usr/bin/python3", os.path.join(EXAMPLE, "rack-plugin.py")]

    @classmethod
    def env(cls):
        folder = cls.lab.binary("src", "libgangway")
        return {"GI_TYPELIB_PATH": folder, "LD_LIBRARY_PATH": folder}


class Text(unittest.TestCase):
    def test_short_enough(self):
        for name, most in LINES_MAX.items():
            with open(os.path.join(EXAMPLE, name), encoding="utf-8") as f:
                lines = f.read().splitlines()
            self.assertLessEqual(len(lines), most, name)
            for number, line in enumerate(lines, 1):
                self.assertLessEqual(len(line), COLUMNS_MAX[name], f"{name}:{number}")

    def test_formatted(self):
        done = subprocess.run(["clang-format", "--dry-run", "--Werror", os.path.join(EXAMPLE, "rack-plugin.c")],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_unit(self):
        """The unit is well-formed, as tight as that of the serial plugin, and ends with what the rule starts."""
        with open(os.path.join(EXAMPLE, "gangway-rack@.service"), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(EXAMPLE, "71-gangway-rack.rules"), encoding="utf-8") as f:
            rules = f.read()
        self.assertIn("BindsTo=dev-gangway_rack-%i.device", text)
        with open(os.path.join(SOURCE, "systemd", "gangway-serial@.service.in"), encoding="utf-8") as f:
            serial = f.read().split("[Service]")[1].split("[Install]")[0]
        other = ("Environment=", "ExecStart=", "User=", "SupplementaryGroups=", "DeviceAllow=")
        kept = {line for line in serial.splitlines() if "=" in line and line[0] != "#" and not line.startswith(other)}
        self.assertEqual(kept - set(text.splitlines()), set(), "of the serial plugin's protections these are missing")
        self.assertIn('"/dev/gangway_rack/$env{BUSNUM}$env{DEVNUM}"', rules)
        self.assertIn('"gangway-rack@$env{BUSNUM}$env{DEVNUM}.service"', rules)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "gangway-rack@.service")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace("/usr/local/libexec/gangway/rack-plugin ", "/bin/true "))
            instance = os.path.join(folder, "gangway-rack@001004.service")
            for args in (["verify", "--man=no", "--recursive-errors=no", instance],
                         ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}", path]):
                done = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False,
                                      env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotRegex(done.stdout + done.stderr, r"gangway-rack\S*:\d+:")


# A sanitizer's runtime does not survive in the interpreter's process: there is no introspection then.
if not os.path.exists(os.path.join(os.environ.get("GANGWAY_BUILD", ""), "src", "libgangway", "Gangway-1.0.typelib")):
    del InPython


if __name__ == "__main__":
    sys.exit(tap.main())
