#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents' commands for a machine of one's own (documents.GUEST), as they stand there and in their order; and a plugin
of one's own, installed by the words of doc/writing-a-plugin.md, that udev starts and ends."""
import glob
import os
import subprocess
import unittest

import documents
import tap
from machine import PATIENCE, Site, run, show, status_of, wait_unit
from supervisor import wait

WORK = "/run/work"
RACK_VENDOR, RACK_PRODUCT = "0x1209", "0x0001"
STRANGER = "0x1d6b"  # a vendor that no rule names
ran = []


def words(command, changes=None):
    """Runs a command of the documents and returns what it says."""
    assert command in documents.GUEST, command
    ran.append(command)
    for old, new in (changes or {}).items():
        assert old in command
        command = command.replace(old, new)
    done = subprocess.run(["bash", "-c", command], cwd=WORK, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, env={**os.environ, "SYSTEMD_PAGER": ""})
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Documents(unittest.TestCase):
    """One story in order."""

    @classmethod
    def setUpClass(cls):
        os.makedirs(f"{WORK}/plugins")
        os.symlink("/usr/share/doc/gangway/examples/rack", f"{WORK}/plugins/example")
        os.symlink("/share/rack-plugin", f"{WORK}/rack-plugin")
        words(next(c for c in documents.GUEST if c.startswith("ldconfig")))
        words("journalctl --update-catalog")
        cls.site = Site(1)
        try:
            cls.site.configure()
            words("systemctl enable --now gangwayd")
            cls.site.start()
        except BaseException:
            cls.site.close()
            raise
        cls.unit = cls.rack = None

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def test_1_the_agent(self):
        self.assertEqual(show("gangwayd.service", "ActiveState", "UnitFileState"),
                         {"ActiveState": "active", "UnitFileState": "enabled"})
        self.assertIn("bus", words("gangwayctl status"))
        self.assertIn("org.gangway.gangway1.view", words("pkaction | grep gangway"))

    def test_2_a_port_by_hand(self):
        self.site.plug(vendor=STRANGER)
        wait("the port", lambda: os.path.exists("/dev/ttyACM0"), PATIENCE)
        words("systemctl start gangway-serial@ttyUSB0", {"ttyUSB0": "ttyACM0"})
        self.site.wait_state("online")
        self.assertIn("is on the bus", words("journalctl -u gangwayd"))
        self.assertIn("In its own name, with a handshake that the endpoint itself has signed.",
                      words("journalctl -u gangwayd -x"))
        self.site.unplug()
        wait_unit("gangway-serial@ttyACM0.service", "inactive")

    def test_3_a_plugin_is_installed(self):
        for command in documents.GUEST:
            if command.startswith("install "):
                words(command)
        words("systemctl daemon-reload")
        words("udevadm control --reload")
        self.assertEqual(glob.glob("/run/gangway-rack/*"), [])

    def test_4_udev_starts_it(self):
        run("modprobe", "dummy_hcd")
        run("modprobe", "g_serial", f"idVendor={RACK_VENDOR}", f"idProduct={RACK_PRODUCT}", "n_ports=1")
        wait("the rack's folder", lambda: glob.glob("/run/gangway-rack/*/gateway"), PATIENCE)
        cls = type(self)
        cls.rack = os.path.basename(os.path.dirname(glob.glob("/run/gangway-rack/*/gateway")[0]))
        cls.unit = f"gangway-rack@{self.rack}.service"
        wait_unit(self.unit, "active")
        self.assertIn(self.unit, words("systemctl list-units 'gangway-rack@*'"))
        words("journalctl -u 'gangway-rack@*'")
        wait("its bus", lambda: f"rack{self.rack}" in [b["Name"] for b in self.site.bus.of("Bus").values()], PATIENCE)
        status = status_of(int(show(self.unit, "MainPID")))
        self.assertEqual(status["Uid"].split()[0], run("id", "-u", "gangway-bus").strip())
        self.assertEqual([status[k] for k in ("CapPrm", "CapEff", "CapBnd")], ["0" * 16] * 3)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))

    def test_5_a_board_proves_itself_there(self):
        folder = f"/run/gangway-rack/{self.rack}"
        self.site.supervisor.start("boards", ["runuser", "-u", "gangway-bus", "--", "gangway-sim", "--endpoints", "1", "--slots",
                                              "--seed", "rack", "--dir", folder])
        words("gangwayctl scan")
        wait("the chip list", lambda: os.path.exists(f"{folder}/chips.csv"), PATIENCE)
        with open(f"{folder}/chips.csv", encoding="utf-8") as f:
            key_id = f.read().splitlines()[1].split(",")[0]
        # It is in no manifest, so it goes no further; to be told so it must have proven its key.
        wait("its proof", lambda: self.site.state_of(key_id) == "quarantined", 2 * PATIENCE)

    def test_6_udev_ends_it(self):
        self.site.unplug()
        wait_unit(self.unit, "inactive")
        wait("its bus to be gone", lambda: not self.site.bus.of("Bus"), PATIENCE)

    def test_7_all_were_run(self):
        self.assertEqual(set(ran), set(documents.GUEST))


if __name__ == "__main__":
    tap.main()
