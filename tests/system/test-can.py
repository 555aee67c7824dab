#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints on one CAN bus, behind a simulated SLCAN adapter: from no number to the broker, over restarts of all parts, and
beside nodes that do not behave."""
import unittest

import tap
from lab import CAN, Lab
from supervisor import wait

ENDPOINTS = 4


class Can(unittest.TestCase):
    data_rate = 0

    def setUp(self):
        self.lab = Lab(endpoints=ENDPOINTS, bus="can", can_data_rate=self.data_rate)
        try:
            self.lab.start()
            self.lab.wait_online()
            self.ids = self.lab.ids()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def plugin(self):
        return self.lab.plugins[CAN]

    def bus_object(self):
        return next(iter(self.lab.bus.of("Bus").values()), {})

    def wait_flows(self):
        for n in range(ENDPOINTS):
            self.lab.wait_flow(n)


class Classic(Can):
    def test_all_the_way_to_the_broker(self):
        self.wait_flows()
        bus = self.bus_object()
        self.assertEqual((bus["Name"], bus["Kind"]), (CAN, "can"))
        wait("the link's figures", lambda: self.bus_object().get("LinkState") == "active"
             and 0 < self.bus_object()["Load"] < 1, 20)
        self.assertEqual(self.bus_object()["CulpritAddress"], 0)

    def test_a_new_plugin_finds_them_again(self):
        """Nobody is numbered anew, and the adapter that was left open is taken over."""
        before = self.lab.control("can")["can"]["adapter"]["unit"]["frames_out"]
        found = self.plugin().text().count("endpoint answers")
        self.plugin().kill()
        wait("all to answer again", lambda: self.plugin().text().count("endpoint answers") >= found + ENDPOINTS, 30)
        self.lab.wait_online()
        self.wait_flows()
        self.assertNotIn("numbered anew", self.plugin().text())
        self.assertGreater(self.lab.control("can")["can"]["adapter"]["unit"]["frames_out"], before)

    def test_a_new_agent_finds_them_again(self):
        self.lab.agent.kill()
        self.lab.wait_agent()
        self.lab.wait_online()
        self.wait_flows()

    def test_the_adapter_is_pulled_and_plugged(self):
        self.lab.control("can adapter unplug")
        wait("the plugin's end", lambda: self.plugin().exits)
        self.assertEqual(self.plugin().exits[0][1], 0)
        wait("their absence", lambda: all(e["Presence"] == "absent" for e in self.lab.bus.endpoints().values()), 20)
        self.lab.control("can adapter replug")
        self.lab.wait_online()
        self.wait_flows()

    def test_an_endpoint_is_pulled_and_plugged(self):
        self.lab.control("unplug 1")
        wait("its absence", lambda: self.lab.bus.endpoints()[self.ids[1]]["Presence"] == "absent", 20)
        self.lab.control("replug 1")
        self.lab.wait_online()
        self.lab.wait_flow(1)

    def test_off_the_bus_and_on_again(self):
        self.lab.control("can adapter bus-off")
        wait("its being told", lambda: self.bus_object().get("LinkState") == "off", 20)
        wait("the bus", lambda: self.bus_object().get("LinkState") == "active", 20)
        self.lab.wait_online()
        self.wait_flows()

    def test_beside_a_babbler(self):
        """Its frames win no more than their share, and it is named."""
        self.lab.control("babble 0 isotp 0.7")
        wait("its being named", lambda: self.bus_object().get("CulpritAddress", 0) != 0, 20)
        for n in range(1, ENDPOINTS):
            self.lab.wait_flow(n)
        self.lab.control("babble 0 off")
        wait("its being forgiven", lambda: self.bus_object().get("CulpritAddress") == 0, 20)
        self.lab.wait_online()

    def test_two_of_one_number(self):
        taken = int(self.plugin().text().split(": node ")[1].split(":")[0])
        for n in range(ENDPOINTS):
            self.lab.control(f"number {n} {taken}")
        wait("its being noticed", lambda: "two nodes have this number" in self.plugin().text(), 30)
        self.lab.wait_online()
        self.wait_flows()


class Fd(Can):
    data_rate = 2000000

    def test_all_the_way_to_the_broker(self):
        self.wait_flows()


if __name__ == "__main__":
    tap.main()
