#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole gateway on a real AF_CAN: agent, gangway-can, broker, and simulated endpoints on vcan0 (classic) and vcan1 (FD), with
nodes and masters of other making beside them. Runs under uml.sh. Each class is one story in order: the cases build on each other."""
import os
import signal
import struct
import subprocess
import sys
import threading
import time

import tap
from lab import Lab
from supervisor import Timeout, wait

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "judges"))
import dissect  # noqa: E402
import lss  # noqa: E402
from can_link import EFF, ERR, Link, Recording  # noqa: E402

PRODUCT = 0x47574159
GATEWAY = 0xF1
# One emulated processor, perhaps on a busy machine: what takes a second on hardware.
PATIENCE = 90
# From <linux/can/error.h>.
ERR_CONTROLLER, ERR_BUS_OFF, ERR_RESTARTED, ERR_COUNTERS = 0x04, 0x40, 0x100, 0x200
RX_WARNING, TX_PASSIVE, ACTIVE = 0x04, 0x20, 0x40


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def isotp_id(target, source):
    return 0x18DA0000 | target << 8 | source


def gives(rows):
    """The numbers that an LSS master gave out in a recording."""
    return [int(data[2:4], 16) for can_id, data in rows if can_id == lss.MASTER_ID and data.startswith("11")]


def frames(path):
    """(id, data in hex) of a recording."""
    with open(path, encoding="ascii") as f:
        for line in f:
            can_id, _, data = line.split()[2].partition("#")
            yield int(can_id, 16), data


class Story(tap.Story):
    """A lab on an interface; its endpoints have no number yet and no plugin is there."""

    interface, endpoints, data_rate = "vcan0", 3, 0

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=cls.endpoints, bus="can", can=cls.interface, can_data_rate=cls.data_rate)
        cls.link = Link(cls.interface)
        try:
            cls.lab.start(plugins=False)
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close(failed=bool(cls.broken))

    def record(self, name):
        return Recording(self.interface, f"{self.interface}-{name}.log")

    @property
    def plugin(self):
        return self.lab.plugins[self.interface]

    def properties(self):
        """The bus's, at this moment; {} if there is none."""
        found = [path for path, p in self.lab.bus.of("Bus").items() if p.get("Name") == self.interface]
        return found[0] if found else None

    def get(self, name):
        path = self.properties()
        return self.lab.bus.get(path, "Bus", name) if path else None

    def numbers(self):
        """{key id: node number} of those that are up and proved."""
        return {node[1]: node[4] for node in self.get("Nodes") or [] if node[3] == "proved"}

    def wait_numbers(self, wanted):
        try:
            wait(f"the nodes to be {sorted(wanted.values())}", lambda: self.numbers() == wanted, PATIENCE)
        except Timeout as error:
            raise Timeout(f"{error}; they are {self.get('Nodes')}") from None

    def wait_online(self):
        self.lab.wait_online(timeout=2 * PATIENCE)

    def wait_flow(self, ports, more=2):
        for n in ports:
            self.lab.wait_flow(n, more, PATIENCE)

    def serve(self, *slaves):
        """Puts nodes of other making on the bus until the end of the case."""
        stop = threading.Event()
        link = Link(self.interface)
        thread = threading.Thread(target=lss.serve, args=(link, slaves, stop.is_set))
        thread.start()

        def end():
            stop.set()
            thread.join()
            link.close()
        self.addCleanup(end)

    def read_along(self, path, numbers):
        """What Wireshark makes of a recording: nothing malformed, and in ISO-TP the datagrams of the protocol."""
        said, bad = dissect.canopen(path)
        self.assertEqual(bad, [])
        ids = [can_id for n in numbers for can_id in (isotp_id(n, GATEWAY), isotp_id(GATEWAY, n))]
        messages, bad = dissect.isotp(path, ids)
        self.assertEqual(bad, [])
        for can_id in ids:
            self.assertTrue(messages[can_id], f"no message of {can_id:X}")
            to_node = can_id & 0xFF == GATEWAY
            for message in messages[can_id]:
                # DTLS, or plain SMP.
                self.assertTrue(20 <= message[0] <= 63 or message[0] in ((0x08, 0x0A) if to_node else (0x09, 0x0B)), message.hex())
        self.assertTrue(any(m[0] == 22 for m in messages[isotp_id(GATEWAY, numbers[0])]), "no handshake")
        return said


class Classic(Story):
    """Numbered by a master of other making first: the plugin has to take that over."""

    def test_01_a_foreign_master_numbers_our_nodes(self):
        with self.record("foreign-master") as recording:
            done = lss.Master(self.link).number_all(first=40)
        uids = {struct.unpack(">II", bytes.fromhex(key_id)[:8]) for key_id in self.lab.ids()}
        self.assertEqual({identity[2:] for identity in done.values()}, uids)
        self.assertEqual({identity[:2] for identity in done.values()}, {(0, PRODUCT)})
        self.assertEqual(set(done), {40, 41, 42})
        said, bad = dissect.canopen(recording.path)
        self.assertEqual(bad, [])
        self.assertEqual(sum("Identify slave" in words for words in said) > 3 * 4 * 2, True)
        type(self).uids = {identity[2:]: node for node, identity in done.items()}

    def test_02_the_plugin_takes_them_over_as_they_are(self):
        type(self).given = {key_id: self.uids[struct.unpack(">II", bytes.fromhex(key_id)[:8])] for key_id in self.lab.ids()}
        with self.record("onboarding") as recording:
            begin = time.monotonic()
            self.lab.start_plugins()
            self.wait_online()
            print(f"# {self.endpoints} online {time.monotonic() - begin:.1f} s after the plugin's start", flush=True)
            self.wait_flow(range(self.endpoints))
        self.wait_numbers(self.given)
        self.assertEqual(gives(frames(recording.path)), [])
        self.read_along(recording.path, sorted(self.given.values()))

    def test_03_restarted_it_finds_them_again(self):
        with self.record("restart") as recording:
            for end in (lambda: self.plugin.kill(signal.SIGKILL), lambda: (self.plugin.stop(), self.plugin.resume())):
                starts = self.plugin.starts
                end()
                wait("another process", lambda: self.plugin.starts > starts, PATIENCE)
                wait("its bus", lambda: self.get("State") == "running", PATIENCE)
                self.wait_numbers(self.given)
        self.wait_online()
        self.wait_flow(range(self.endpoints))
        rows = list(frames(recording.path))
        self.assertEqual(gives(rows), [])
        self.assertEqual([data for can_id, data in rows if can_id == 0], [], "NMT")

    def test_04_unplugged_and_plugged_in(self):
        key_id = self.lab.sim_status(2)["kid"]
        self.lab.control("unplug 2")
        wait("its absence", lambda: self.lab.bus.endpoints()[key_id]["Presence"] == "absent", PATIENCE)
        self.wait_flow([0, 1])
        with self.record("hot-plug") as recording:
            begin = time.monotonic()
            self.lab.control("replug 2")
            wait("its presence", lambda: self.lab.bus.endpoints()[key_id]["Presence"] != "absent", PATIENCE)
            print(f"# noticed after {time.monotonic() - begin:.1f} s", flush=True)
            self.wait_online()
        self.wait_flow([2])
        given = gives(frames(recording.path))
        self.assertEqual(len(given), 1, given)
        self.given[key_id] = given[0]
        self.wait_numbers(self.given)

    def test_05_nodes_of_other_making(self):
        """One of our product is numbered, others are left alone; nobody is disturbed."""
        ours = lss.Slave((0, PRODUCT, 0xA5000001, 0x00000001))
        others = [lss.Slave((0, PRODUCT + 1, 1, 1)), lss.Slave((0x1FF, PRODUCT, 1, 1)), lss.Slave((0xFFFFFFFF, 0, 0, 0))]
        with self.record("foreign-nodes") as recording:
            self.serve(ours, *others)
            wait("it to have a number", lambda: ours.log, PATIENCE)
            self.wait_flow(range(self.endpoints))
        self.assertTrue(1 <= ours.number <= 127 and ours.number not in self.given.values(), ours.number)
        self.assertEqual(gives(frames(recording.path)), [ours.number])
        for slave in others:
            self.assertEqual((slave.number, slave.log, slave.configuring), (lss.UNCONFIGURED, [], False))
        said, bad = dissect.canopen(recording.path)
        self.assertEqual(bad, [])
        self.assertIn(f"LSS (Master): Configure node-ID protocol: 0x{ours.number:02x}", said)
        self.wait_numbers(self.given)

    def state_after(self, wanted, kind, detail=0, counters=(0, 0)):
        """Sends an error frame, which a controller's driver would, and waits for that LinkState."""
        data = bytes([0, detail, 0, 0, 0, 0, *counters])
        self.link.send(ERR | kind | ERR_COUNTERS, data)
        wait(f"LinkState {wanted}", lambda: self.get("LinkState") == wanted, PATIENCE)
        wait(f"counters {counters}", lambda: (self.get("TxErrors"), self.get("RxErrors")) == counters, PATIENCE)

    def test_06_error_frames_are_seen(self):
        # While nobody is heard, which would be a sign of life.
        os.kill(self.lab.sim.pid, signal.SIGSTOP)
        try:
            self.state_after("warning", ERR_CONTROLLER, RX_WARNING, (3, 97))
            self.state_after("passive", ERR_CONTROLLER, TX_PASSIVE, (128, 97))
            self.state_after("off", ERR_BUS_OFF, counters=(255, 97))
            with self.record("bus-off") as recording:
                time.sleep(1.5)  # three of its searches would be due: a controller that is off sends nothing
            self.assertEqual(list(frames(recording.path)), [])
            self.state_after("active", ERR_RESTARTED)
        finally:
            os.kill(self.lab.sim.pid, signal.SIGCONT)
        self.wait_online()
        self.wait_flow(range(self.endpoints))
        self.wait_numbers(self.given)

    def test_07_down_and_up(self):
        starts = self.plugin.starts
        ip("link", "set", self.interface, "down")
        wait("a word on it", lambda: "the link is down" in self.plugin.text(), PATIENCE)
        ip("link", "set", self.interface, "up")
        self.wait_online()
        self.wait_flow(range(self.endpoints))
        self.wait_numbers(self.given)
        self.assertEqual(self.plugin.starts, starts)

    def test_08_a_full_queue(self):
        """The interface as slow as 500 kbit/s and its queue as short as a driver's: ENOBUFS for whoever sends too fast."""
        ip("link", "set", self.interface, "txqueuelen", "10")
        subprocess.run(["tc", "qdisc", "replace", "dev", self.interface, "root", "tbf", "rate", "500kbit", "burst", "64", "limit", "160"],
                       check=True)
        try:
            failures = sum(e["line"]["isotp"]["failures_in"] for e in self.lab.sim_status())
            self.lab.control("power-cycle all")
            wait("their sessions", lambda: all(e["session"] for e in self.lab.sim_status()), 2 * PATIENCE)
            self.wait_online()
            self.wait_flow(range(self.endpoints))
            told = subprocess.run(["tc", "-s", "qdisc", "show", "dev", self.interface], check=True, capture_output=True, text=True).stdout
            print("#", told.splitlines()[1].strip(), flush=True)
            self.assertNotIn("dropped 0,", told)
            self.assertLessEqual(sum(e["line"]["isotp"]["failures_in"] for e in self.lab.sim_status()), failures)
        finally:
            subprocess.run(["tc", "qdisc", "del", "dev", self.interface, "root"], check=True)
        # Who came back late has another number.
        wait("all to be proved", lambda: len(self.numbers()) == self.endpoints, PATIENCE)
        type(self).given = self.numbers()

    def test_09_a_stranger_floods(self):
        """All that a process can send, of ids that are nobody's and of a node's that is not there."""
        for can_id in ("123", "18DAF107"):
            with subprocess.Popen(["cangen", self.interface, "-g", "0.2", "-I", can_id, "-L", "8", "-i", *(["-e"] if len(can_id) > 3 else [])],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as flood:
                try:
                    self.wait_flow(range(self.endpoints), more=3)
                    self.assertEqual(flood.poll(), None)
                finally:
                    flood.kill()
        self.wait_numbers(self.given)

    def test_10_a_node_babbles(self):
        key_id = self.lab.sim_status(0)["kid"]
        self.lab.control("babble 0 isotp 0.8")
        wait("it to be named", lambda: self.get("CulpritAddress") == self.given[key_id], PATIENCE)
        print("#", self.get("Culprit"), flush=True)
        self.wait_flow([1, 2], more=3)
        self.lab.control("babble 0 off")
        wait("it to be forgiven", lambda: not self.get("Culprit"), PATIENCE)
        self.wait_online()
        self.wait_flow([0])

    def test_11_nothing_acknowledged_is_lost(self):
        self.lab.control("stop all")
        acked, _, lost = self.lab.drained(PATIENCE)
        print(f"# {acked} reports acknowledged, {len(lost)} lost", flush=True)
        self.assertEqual(lost, [])

    def test_12_the_interface_is_removed(self):
        self.lab.sim.stop()
        exits = len(self.plugin.exits)
        ip("link", "del", self.interface)
        wait("the plugin's end", lambda: len(self.plugin.exits) > exits and not self.lab.bus.of("Bus"), PATIENCE)
        self.assertEqual(self.plugin.exits[-1][1], 0)
        ip("link", "add", self.interface, "type", "vcan")
        ip("link", "set", self.interface, "mtu", "16", "up")
        wait("its bus", lambda: self.get("State") == "running", PATIENCE)


class Fd(Story):
    """Numbered by the plugin, on an interface with CAN FD."""

    interface, endpoints, data_rate = "vcan1", 2, 2000000

    def test_01_from_nothing_to_published(self):
        with self.record("onboarding") as recording:
            self.lab.start_plugins()
            self.wait_online()
            self.wait_flow(range(self.endpoints))
        numbers = sorted(self.numbers().values())
        self.assertEqual(sorted(set(gives(frames(recording.path)))), numbers)
        said = self.read_along(recording.path, numbers)
        for number in numbers:
            # The sequence of CiA 305: search, found, number, taken, start, boot-up, heartbeat.
            order = [said.index(words) for words in (
                "LSS (Master): LSS Fastscan protocol", "LSS (Slave): Identify slave protocol",
                f"LSS (Master): Configure node-ID protocol: 0x{number:02x}")]
            order += [said.index("LSS (Slave): Configure node-ID protocol", order[-1])]
            order += [said.index("LSS (Master): Switch state global protocol: Waiting state", order[-1])]
            order += [said.index(words, order[-1]) for words in (
                f"NMT Error Control: Boot-up [0x{number:x}]", f"NMT Error Control: Operational [0x{number:x}]")]
            self.assertEqual(order, sorted(order))
        with open(recording.path, encoding="ascii") as f:
            kinds = {line.split()[2].partition("#")[2].startswith("#") for line in f if f"{isotp_id(GATEWAY, numbers[0]):X}#" in line}
        self.assertIn(True, kinds, "no FD frame")

    def test_02_nothing_acknowledged_is_lost(self):
        self.lab.control("stop all")
        _, _, lost = self.lab.drained(PATIENCE)
        self.assertEqual(lost, [])


if __name__ == "__main__":
    tap.main()
