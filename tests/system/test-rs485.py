#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stations on one RS-485 pair: found, proven, onboarded and publishing; unplugged, plugged in, restarted, disturbed."""
import os
import unittest

import tap
from bus import ROOT
from lab import RS485, Lab
from supervisor import wait

STATIONS = 4


class Pair(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(endpoints=STATIONS, bus="rs485", sim_args=["--rate", "2"])
        try:
            self.lab.start()
            self.lab.wait_online()
            self.ids = self.lab.ids()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    @property
    def plugin(self):
        return self.lab.plugins[RS485]

    def says(self, text):
        return text in self.plugin.text()

    def station(self, n):
        return self.lab.sim_status(n)["line"]["station"]

    def presence(self, n):
        return self.lab.bus.endpoints().get(self.ids[n], {}).get("Presence")

    def bus_object(self, name):
        return self.lab.bus.get(f"{ROOT}/bus/{RS485}", "Bus", name)

    def assert_nothing_lost(self):
        self.lab.control("stop all")
        acked, _delivered, lost = self.lab.drained(30)
        self.assertGreater(acked, 0)
        self.assertEqual(lost, [])

    def test_on_the_bus(self):
        self.assertEqual(self.bus_object("Kind"), "rs485")
        self.assertEqual(self.bus_object("NodeCount"), STATIONS)
        numbers = {self.station(n) for n in range(STATIONS)}
        self.assertEqual(numbers, set(range(1, STATIONS + 1)))
        endpoints = self.lab.bus.endpoints()
        for n, key_id in enumerate(self.ids):
            self.assertEqual(endpoints[key_id]["Address"], self.station(n))
        # There is no driver behind a pseudo-terminal: said once, and gone on.
        self.assertEqual(self.plugin.text().count("does not switch the direction"), 1)
        wait("the link's figures", lambda: self.bus_object("LinkState") == "active" and self.bus_object("Load") > 0
             and 0 < self.bus_object("RoundTrip") < 2000 and self.bus_object("OctetsPerSecond") > 2000)
        for n in range(STATIONS):
            self.lab.wait_flow(n)
        self.assert_nothing_lost()

    def test_unplugged_and_back_again(self):
        self.lab.control("unplug 1")
        wait("the station's absence", lambda: self.presence(1) == "absent")
        self.assertTrue(self.says("does not answer any more"))
        wait("its node to go", lambda: self.bus_object("NodeCount") == STATIONS - 1)
        for n in (0, 2, 3):
            self.lab.wait_flow(n)
        self.lab.control("replug 1")
        self.lab.wait_online()
        self.lab.wait_flow(1)
        self.assert_nothing_lost()

    def test_cable_out_and_in(self):
        """With its power its number and its session stay."""
        self.lab.control("unplug 2 powered")
        wait("the station's absence", lambda: self.presence(2) == "absent")
        handshakes = self.lab.sim_status(2)["handshakes"]
        self.lab.control("replug 2")
        self.lab.wait_online()
        self.lab.wait_flow(2)
        self.assertLessEqual(self.lab.sim_status(2)["handshakes"], handshakes + 1)
        self.assert_nothing_lost()

    def test_the_plugin_dies(self):
        """Its successor finds the stations by the numbers that they still have."""
        numbers = [self.station(n) for n in range(STATIONS)]
        self.plugin.kill()
        wait("its successor", lambda: self.plugin.starts > 1 and self.plugin.alive)
        wait("all stations back", lambda: RS485 in {p.rsplit("/", 1)[1] for p in self.lab.bus.of("Bus")}
             and self.bus_object("NodeCount") == STATIONS, 30)
        self.lab.wait_online()
        self.assertEqual([self.station(n) for n in range(STATIONS)], numbers)
        for n in range(STATIONS):
            self.lab.wait_flow(n)
        self.assert_nothing_lost()

    def test_the_agent_dies(self):
        plugin = self.plugin.pid
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        self.lab.wait_online()
        self.assertEqual(self.plugin.pid, plugin)
        for n in range(STATIONS):
            self.lab.wait_flow(n)
        self.assert_nothing_lost()

    def test_hot_plug(self):
        """A chip that nobody has told of is found among the others, and kept out."""
        self.lab.control("foreign")
        kid = self.lab.sim_status(STATIONS)["kid"]
        self.lab.wait_state(kid, "quarantined")
        wait("its node", lambda: self.bus_object("NodeCount") == STATIONS + 1)
        self.assert_nothing_lost()

    def test_adapters_of_every_kind(self):
        """One that gives back what is sent, and one that collects octets as USB adapters do."""
        self.lab.control("rs485 echo on")
        for n in range(STATIONS):
            self.lab.wait_flow(n)
        self.lab.control("rs485 echo off")
        self.lab.control("rs485 latency 16")
        for n in range(STATIONS):
            self.lab.wait_flow(n)
        self.lab.control("rs485 latency 0")
        self.assert_nothing_lost()

    def test_one_in_fifty_frames_is_damaged(self):
        self.lab.control("corrupt all 0.02")
        for n in range(STATIONS):
            self.lab.wait_flow(n, more=10, timeout=60)
        self.lab.control("corrupt all 0")
        self.assert_nothing_lost()

    def test_one_jams_the_line(self):
        """A driver that stays on: nobody can be heard, which is said; then all is as before."""
        self.lab.control("babble 3 noise")
        wait("the word", lambda: self.says("the line is never silent"), 30)
        wait("the link's state", lambda: self.bus_object("LinkState") == "off", 10)
        self.lab.control("babble 3 off")
        self.lab.wait_online(timeout=90)
        wait("the link's state", lambda: self.bus_object("LinkState") == "active", 10)
        self.assert_nothing_lost()

    def test_one_speaks_unasked(self):
        number = self.station(3)
        self.lab.control("babble 3 frames")
        wait("its name", lambda: self.bus_object("CulpritAddress") == number, 30)
        self.assertTrue(self.says(f"station {number} sends without being asked"))
        for n in range(3):
            self.lab.wait_flow(n, timeout=60)
        self.lab.control("babble 3 off")
        wait("an end of it", lambda: self.bus_object("CulpritAddress") == 0, 10)
        self.lab.wait_online(timeout=60)
        self.assert_nothing_lost()

    def test_the_adapter_is_pulled(self):
        self.lab.control("rs485 unplug")
        wait("the bus to leave", lambda: not self.lab.bus.of("Bus"))
        wait("the plugin's end", lambda: self.plugin.exits)
        self.assertEqual(self.plugin.exits[-1][1], 0)
        self.lab.control("rs485 replug")
        wait("the adapter", lambda: os.path.exists(os.path.join(self.lab.ports, RS485)))
        self.lab.wait_online(timeout=60)
        self.assert_nothing_lost()


if __name__ == "__main__":
    tap.main()
