#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints on one simulated CAN bus, at its true speed, behind an SLCAN adapter: found, numbered, proven and publishing without a
hand being lifted, whatever nodes, adapter and wire come up with. Each test leaves the bus as it found it."""
import re
import unittest

import tap
from lab import CAN, Lab
from supervisor import wait

NODES = 5
PATIENCE = 60  # seconds; every wait ends when its condition is true


class Can(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=NODES, bus="can", sim_args=["--rate", "2"])
        cls.lab.start()
        cls.lab.wait_online(timeout=PATIENCE)
        cls.ids = cls.lab.ids()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def numbers(self):
        """The nodes' own view: {port: number}; 0 without one."""
        return {e["port"]: e["line"]["node"] for e in self.lab.sim_status()}

    def addresses(self):
        known = self.lab.bus.endpoints()
        return {port: known[key_id]["Address"] for port, key_id in enumerate(self.ids)}

    def bus(self, name):
        path, = self.lab.bus.of("Bus")
        return self.lab.bus.get(path, "Bus", name)

    def wait_all(self, timeout=PATIENCE):
        """Online, and reports of each flow again: the state on the bus may be older than the disturbance."""
        self.lab.wait_online(self.ids, timeout)
        for port in range(NODES):
            self.lab.wait_flow(port, timeout=timeout)

    def test_01_each_has_a_number_of_its_own(self):
        numbers = self.numbers()
        self.assertEqual(sorted(numbers.values()), list(range(1, NODES + 1)))
        self.assertEqual(self.addresses(), numbers)
        self.assertEqual(self.bus("LinkState"), "active")
        self.assertEqual(self.bus("Kind"), "can")
        self.wait_all()

    def test_02_power_off_and_on(self):
        self.lab.control("power 1 off")
        wait("the node to be missed", lambda: self.lab.bus.endpoints()[self.ids[1]]["Presence"] == "absent", PATIENCE)
        self.lab.wait_flow(0)
        self.lab.control("power 1 on")
        self.wait_all()

    def test_03_plugin_killed(self):
        numbers, process = self.numbers(), self.lab.plugins[CAN]
        starts = process.starts
        process.kill()
        wait("the plugin's restart", lambda: process.starts > starts, PATIENCE)
        self.wait_all()
        self.assertEqual(self.numbers(), numbers)  # found again, not numbered again

    def test_04_agent_killed(self):
        numbers = self.numbers()
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner, PATIENCE)
        self.lab.wait_agent()
        self.wait_all()
        self.assertEqual(self.numbers(), numbers)

    def test_05_two_with_one_number(self):
        taken = self.numbers()[0]
        self.lab.control(f"number 2 {taken}")
        wait("one of them to have another number", lambda: len(set(self.numbers().values()) - {0}) == NODES, PATIENCE)
        self.wait_all()

    def test_06_adapter_unplugged(self):
        self.lab.control("can adapter unplug")
        wait("its bus to go", lambda: not self.lab.bus.of("Bus") or self.bus("LinkState") != "active", PATIENCE)
        self.lab.control("can adapter replug")
        self.wait_all()

    def test_07_adapter_off_the_bus(self):
        self.lab.control("can adapter bus-off")
        wait("the adapter to be opened anew",
             lambda: self.lab.control("can")["can"]["adapter"]["unit"]["state"] == "active", PATIENCE)
        self.wait_all()

    def test_08_errors_on_the_wire(self):
        self.lab.control("can errors 0.1")
        try:
            for port in range(NODES):
                self.lab.wait_flow(port, more=4)
            self.assertGreater(self.lab.control("can")["can"]["destroyed"], 10)
        finally:
            self.lab.control("can errors 0")
        self.wait_all()

    def test_09_a_node_that_loses_frames(self):
        self.lab.control("drop 3 0.02")
        try:
            self.lab.wait_flow(0, more=4)
        finally:
            self.lab.control("drop 3 0")
        self.wait_all()

    def test_10_a_node_babbles(self):
        for kind in ("isotp", "heartbeat", "high"):
            with self.subTest(kind):
                self.lab.control(f"babble 4 {kind} 0.5")
                try:
                    for port in range(NODES - 1):
                        self.lab.wait_flow(port)
                finally:
                    self.lab.control("babble 4 off")
                self.wait_all()

    def test_11_one_that_takes_the_bus_is_named(self):
        number = self.numbers()[4]
        self.lab.control("flood 4 512")
        try:
            wait("the culprit's name", lambda: self.bus("CulpritAddress") == number, PATIENCE)
            self.lab.wait_flow(0)
        finally:
            self.lab.control("flood 4 off")
        wait("its name to go", lambda: self.bus("CulpritAddress") == 0, PATIENCE)
        self.wait_all()

    def test_12_silence_in_the_middle(self):
        for how in ("2", "wait"):
            with self.subTest(how):
                self.lab.control(f"stall 4 {how}")
                try:
                    for port in range(NODES - 1):
                        self.lab.wait_flow(port, more=4)
                finally:
                    self.lab.control("stall 4 off")
                self.wait_all()

    def test_13_a_liar_beside_a_newcomer(self):
        self.lab.control("power 1 off")
        wait("the node to be missed", lambda: self.lab.bus.endpoints()[self.ids[1]]["Presence"] == "absent", PATIENCE)
        self.lab.control("liar 4 on")
        try:
            self.lab.control("power 1 on")
            wait("it to be numbered", lambda: self.numbers()[1], PATIENCE)
        finally:
            self.lab.control("liar 4 off")
        self.wait_all()

    def test_14_foreign_and_cloned(self):
        port = self.lab.control("foreign")["port"]
        wait("it to be numbered", lambda: self.numbers()[port], PATIENCE)
        key_id = self.lab.sim_status(port)["kid"]
        self.lab.wait_state(key_id, "quarantined", PATIENCE)
        self.lab.control(f"power {port} off")
        self.wait_all()

    def test_15_nothing_acknowledged_is_lost(self):
        self.lab.control("stop all")
        reports, _delivered, lost = self.lab.drained(30)
        self.assertGreater(reports, 100)
        self.assertEqual(lost, [])
        self.assertFalse(re.search("ERROR: AddressSanitizer|runtime error", self.lab.plugins[CAN].text()))


class Fd(unittest.TestCase):
    """The same with frames of 64 octets at 2 Mbit/s."""

    def test_from_nothing_to_published(self):
        lab = Lab(endpoints=2, bus="can", can_data_rate=2000000)
        self.addCleanup(lab.close)
        lab.start()
        lab.wait_online(timeout=PATIENCE)
        lab.wait_flow(0)
        lab.wait_flow(1)
        self.assertEqual(lab.control("can")["can"]["data_rate"], 2000000)
        self.assertGreater(lab.control("can")["can"]["full_frames"], 50)
        lab.control("stop all")
        self.assertEqual(lab.drained(30)[2], [])


if __name__ == "__main__":
    tap.main()
