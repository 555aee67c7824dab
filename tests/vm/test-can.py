#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CAN controllers that a driver finds (kvaser_pci, on the emulator's bus): networkd sets them up by the example that is shipped,
udev starts and ends a sandboxed plugin, the kernel's own ISO-TP judges ours, and what hangs on the wire reaches the broker. One story
in order: the cases build on each other."""
import json
import os
import re
import subprocess
import time
import unittest

import isotp_stacks
import tap
from isotp_peer import Ours
from machine import AGENT, PATIENCE, SITE, Site, journal, run, show, status_of, wait_unit
from supervisor import wait

ENDPOINTS = 1
UNIT = "gangway-can@can0.service"
EXPOSURE_MAX = 1.0
DOC = "/usr/share/doc/gangway/examples"
DRIVER = "/sys/bus/pci/drivers/kvaser_pci"
OURS, THEIRS = 0x18DA01F1, 0x18DAF101
# The emulated bus has no speed of its own, and an emulated processor is too slow for what it carries: a controller's five frames
# would be overrun. A frame is 16 octets here, so this is one in 2.6 ms.
PACE = "\n[TokenBucketFilter]\nParent=root\nRate=50K\nBurstBytes=32\nLimitBytes=1024\n"
os.environ["ISOTP_PEER"] = "/share/isotp-peer"


def link(name):
    return json.loads(run("ip", "-details", "-json", "link", "show", name))[0]


def is_up(name):
    return os.path.exists(f"/sys/class/net/{name}") and "UP" in link(name)["flags"]


def write_driver(word, device):
    with open(f"{DRIVER}/{word}", "w", encoding="ascii") as f:
        f.write(device)


def listens(name, can_id):
    """Whether a socket takes that id of 29 bits."""
    with open("/proc/net/can/rcvlist_eff", encoding="ascii") as f:
        return any(line.split()[:2] == [name, f"{can_id | isotp_stacks.EFF:x}"] for line in f)


class CanSite(Site):
    """Endpoints on can1, the agent's side is can0."""

    def start_sim(self):
        self.sim = self.supervisor.start("gangway-sim", [
            "gangway-sim", "--endpoints", str(self.endpoints), "--dir", f"{SITE}/sim", "--control", f"{SITE}/sim.socket",
            "--can", "can1"])
        wait("the simulated chips", lambda: os.path.exists(f"{SITE}/sim/chips.csv") and os.path.exists(f"{SITE}/sim.socket"),
             PATIENCE)


class Interface(unittest.TestCase):
    def test_01_networkd_brings_it_up_by_the_shipped_example(self):
        self.assertEqual((is_up("can0"), is_up("can1")), (False, False))
        with open(f"{DOC}/80-gangway-can.network", encoding="utf-8") as f:
            text = f.read()
        self.assertIn("Name=can0\n", text)
        for name in ("can0", "can1"):
            with open(f"/etc/systemd/network/80-{name}.network", "w", encoding="utf-8") as f:
                f.write(text.replace("Name=can0\n", f"Name={name}\n") + PACE)
        run("systemctl", "start", "systemd-networkd")
        for name in ("can0", "can1"):
            wait(f"{name} to be up", lambda n=name: is_up(n), PATIENCE)
            data = link(name)["linkinfo"]["info_data"]
            self.assertEqual((data["bittiming"]["bitrate"], data["bittiming"]["sample_point"], data["restart_ms"]),
                             (500000, "0.875", 100))
            self.assertEqual(data["state"], "ERROR-ACTIVE")


class IsoTp(unittest.TestCase):
    """Ours on can0 (and vcan0 for FD), the kernel's on can1."""

    @classmethod
    def setUpClass(cls):
        run("modprobe", "can-isotp")
        run("modprobe", "vcan")
        run("ip", "link", "add", "vcan0", "type", "vcan")
        run("ip", "link", "set", "vcan0", "mtu", "72", "up")

    def same(self, got, wanted):
        if got != wanted:
            self.fail(f"{len(wanted)} octets: {'nothing' if got is None else f'{len(got)} others'}")

    def converse(self, here, there, options, most, **kernel):
        begin, octets = time.monotonic(), 0
        theirs = isotp_stacks.Kernel(there, THEIRS, OURS, **kernel)
        self.addCleanup(theirs.close)
        ours = Ours(here, OURS, THEIRS, *options)
        self.addCleanup(ours.close)
        for n in isotp_stacks.lengths(most):
            message = isotp_stacks.message(n)
            ours.send(message)
            self.same(theirs.receive(PATIENCE), message)
            theirs.send(message)
            self.same(ours.receive(PATIENCE), message)
            octets += 2 * n
        print(f"# {octets} octets in {time.monotonic() - begin:.1f} s", flush=True)

    def test_on_controllers(self):
        """In blocks of no more frames than fit into an SJA1000: the emulated bus does not wait for who is slow."""
        self.converse("can0", "can1", ["--block-size=4"], 600, pad=0xCC, block_size=4)

    def test_blocks_and_separation(self):
        self.converse("can0", "can1", ["--block-size=3", "--st-min=1"], 150, pad=0xCC, block_size=2, st_min=0xF5)

    def test_padded(self):
        self.converse("vcan0", "vcan0", [], isotp_stacks.KERNEL_MAX, pad=0xCC)

    def test_unpadded(self):
        self.converse("vcan0", "vcan0", ["--no-pad"], isotp_stacks.KERNEL_MAX)

    def test_fd(self):
        self.converse("vcan0", "vcan0", ["--fd", "--tx-dl=64", "--brs"], isotp_stacks.KERNEL_MAX, tx_dl=64, brs=True, pad=0xCC)

    def test_fd_of_another_length(self):
        self.converse("vcan0", "vcan0", ["--fd", "--tx-dl=20"], 1000, tx_dl=48, pad=0xCC)

    def test_the_tools(self):
        """can-utils' isotpsend and isotprecv."""
        ids = ["-s", f"{THEIRS:X}", "-d", f"{OURS:X}", "-p", "CC:CC"]
        ours = Ours("can0", OURS, THEIRS, "--block-size=4")
        self.addCleanup(ours.close)
        for n in (1, 7, 8, 62, 4095):
            message = isotp_stacks.message(n)
            run("bash", "-c", f"isotpsend {' '.join(ids)} -b can1 <<<'{message.hex(' ')}'")
            self.same(ours.receive(PATIENCE), message)
            with subprocess.Popen(["isotprecv", *ids, "-b", "4", "can1"], stdout=subprocess.PIPE, text=True) as there:
                wait("it to listen", lambda: listens("can1", OURS), PATIENCE)
                ours.send(message)
                self.same(bytes.fromhex(there.communicate(timeout=PATIENCE)[0]), message)
            wait("it to be gone", lambda: not listens("can1", OURS), PATIENCE)


class Plugin(tap.Story):
    @classmethod
    def setUpClass(cls):
        cls.site = CanSite(ENDPOINTS)
        cls.device = os.path.basename(os.readlink("/sys/class/net/can0/device"))
        cls.certificates = None
        try:
            cls.site.start()
        except BaseException:
            cls.site.close()
            raise

    @classmethod
    def tearDownClass(cls):
        for name in ("can0", "can1") if cls.broken else ():
            print("#", " ".join(run("ip", "-s", "-d", "link", "show", name, check=False).split()), flush=True)
        cls.site.close()

    def buses(self):
        return {b.get("Name"): b.get("State") for b in self.site.bus.of("Bus").values()}

    def test_01_an_interface_that_is_not_named_is_left_alone(self):
        self.assertEqual([show(f"gangway-can@{name}.service", "ActiveState") for name in ("can0", "can1", "vcan0")],
                         ["inactive"] * 3)
        with open(f"{DOC}/gangway-ports.rules.example", encoding="utf-8") as f:
            rules = [line.lstrip("#") for line in f if 'SUBSYSTEM=="net"' in line and "can0" in line]
        self.assertEqual(len(rules), 1, rules)
        with open("/etc/udev/rules.d/65-gangway-ports.rules", "w", encoding="utf-8") as f:
            f.write(rules[0])
        run("udevadm", "control", "--reload")

    def test_02_plugged_in_it_gets_a_plugin(self):
        write_driver("unbind", self.device)
        wait("no can0", lambda: not os.path.exists("/sys/class/net/can0"), PATIENCE)
        begin = time.monotonic()
        write_driver("bind", self.device)
        wait_unit(UNIT, "active")
        wait("its bus", lambda: self.buses() == {"can0": "running"}, PATIENCE)
        print(f"# plugged to attached: {time.monotonic() - begin:.1f} s", flush=True)
        # Set up by networkd, not by the plugin, which could not.
        wait("can0 to be up", lambda: is_up("can0"), PATIENCE)
        self.assertEqual(link("can0")["linkinfo"]["info_data"]["bittiming"]["bitrate"], 500000)

    def test_03_the_plugin_is_confined(self):
        text = run("systemd-analyze", "security", "--no-pager", UNIT)
        score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", text).group(1))
        print(f"# {UNIT}: {score}", flush=True)
        self.assertLessEqual(score, EXPOSURE_MAX, text)
        self.assertNotIn("gangway", run("systemd-analyze", "verify", "--man=no", UNIT, check=False))
        status = status_of(int(show(UNIT, "MainPID")))
        self.assertEqual(status["Uid"].split()[0], run("id", "-u", "gangway-bus").strip())
        self.assertEqual([status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")], ["0" * 16] * 5)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))

    def test_04_its_endpoints_are_onboarded(self):
        self.site.wait_state("online")
        self.site.wait_flow()
        users = self.site.broker.users()
        for key_id in self.site.ids():
            self.assertIn(key_id, users)
        type(self).certificates = {i: e["CertificateFingerprint"] for i, e in self.site.bus.endpoints().items()}
        self.assertEqual(len(self.certificates), ENDPOINTS)

    def test_05_the_link_is_told(self):
        path = next(iter(self.site.bus.of("Bus")))
        self.assertEqual(self.site.bus.get(path, "Bus", "LinkState"), "active")
        wait("a load", lambda: 0 < self.site.bus.get(path, "Bus", "Load") <= 1, PATIENCE)
        self.assertGreater(self.site.bus.get(path, "Bus", "OctetsPerSecond"), 20000)

    def test_06_unplugged_the_plugin_ends(self):
        write_driver("unbind", self.device)
        wait_unit(UNIT, "inactive")
        wait("no bus", lambda: not self.buses(), PATIENCE)
        wait("their absence", lambda: {e["Presence"] for e in self.site.bus.endpoints().values()} == {"absent"}, PATIENCE)
        self.assertEqual(run("systemctl", "--failed", "--no-legend", "--plain").strip(), "")

    def test_07_plugged_in_again_it_is_the_same(self):
        begin = time.monotonic()
        write_driver("bind", self.device)
        wait_unit(UNIT, "active")
        self.site.wait_state("online")
        print(f"# plugged to online: {time.monotonic() - begin:.1f} s", flush=True)
        self.site.wait_flow()
        self.assertEqual({i: e["CertificateFingerprint"] for i, e in self.site.bus.endpoints().items()}, self.certificates)

    def test_08_a_plugin_that_is_killed_is_back(self):
        pid = show(UNIT, "MainPID")
        run("systemctl", "kill", "-s", "KILL", UNIT)
        wait("another process", lambda: show(UNIT, "MainPID") not in ("0", pid), PATIENCE)
        self.site.wait_state("online")
        self.site.wait_flow()

    def test_09_taken_down_and_up_by_hand(self):
        pid = show(UNIT, "MainPID")
        run("networkctl", "down", "can0")
        wait("a word on it", lambda: "the link is down" in journal("-u", UNIT), PATIENCE)
        run("networkctl", "up", "can0")
        self.site.wait_state("online")
        self.site.wait_flow()
        self.assertEqual(show(UNIT, "MainPID"), pid)

    def test_10_a_name_with_a_dash(self):
        """The unit's name has it escaped, and the bus has it as it is."""
        unit = "gangway-can@can\\x2dleft.service"
        run("modprobe", "vcan")
        with open("/etc/udev/rules.d/65-gangway-ports.rules", "a", encoding="utf-8") as f:
            f.write('SUBSYSTEM=="net", KERNEL=="can-left", ENV{ID_GANGWAY}="1"\n')
        run("udevadm", "control", "--reload")
        run("ip", "link", "add", "can-left", "type", "vcan")
        wait_unit(unit, "active")
        wait("its bus", lambda: self.buses() == {"can0": "running", "can-left": "running"}, PATIENCE)
        run("ip", "link", "delete", "can-left")
        wait_unit(unit, "inactive")
        wait("no bus", lambda: self.buses() == {"can0": "running"}, PATIENCE)

    def test_11_nothing_acknowledged_is_lost(self):
        acked, missing = self.site.lost()
        print(f"# {acked} reports acknowledged, {len(missing)} missing", flush=True)
        self.assertEqual(missing, [])
        self.assertEqual(show(AGENT, "NRestarts"), "0")


if __name__ == "__main__":
    tap.main()
