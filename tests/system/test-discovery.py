#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints are found on their serial lines, lost when they are unplugged, found again; also over restarts."""
import os
import signal
import unittest

import tap
from bus import ROOT
from lab import Lab
from supervisor import wait, within


class Discovery(unittest.TestCase):
    """Nothing is claimed here: endpoints are proven, and kept out."""

    def setUp(self):
        self.lab = Lab(endpoints=3)
        try:
            self.lab.start(claim=False)
            self.ids = self.lab.ids()
            self.wait_found()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def wait_found(self, ids=None):
        for key_id in ids or self.ids:
            self.lab.wait_state(key_id, "quarantined")
            # Its key alone decides that; what it says of itself comes right after.
            wait("what it says of itself", lambda: self.lab.bus.endpoints()[key_id]["SerialNumber"])

    def buses(self):
        return {path.rsplit("/", 1)[1] for path in self.lab.bus.of("Bus")}

    def presence(self, n):
        return self.lab.bus.endpoints().get(self.ids[n], {}).get("Presence")

    def test_each_is_found_on_its_line(self):
        self.assertEqual(self.buses(), {"ttyGW0", "ttyGW1", "ttyGW2"})
        endpoints = self.lab.bus.endpoints()
        self.assertEqual(set(endpoints), set(self.ids))
        for n, row in enumerate(self.lab.chips()):
            e = endpoints[row["key_id"]]
            self.assertEqual(e["path"], f"{ROOT}/endpoint/_{row['key_id'][:16]}")
            self.assertEqual(e["Bus"], f"{ROOT}/bus/ttyGW{n}")
            self.assertEqual((e["SerialNumber"], e["Model"]), (row["serial_number"], row["model"]))
            self.assertEqual(e["RootOfTrust"], "puf")
            self.assertTrue(e["StateReason"])

    def test_unplugged_and_back_again(self):
        self.lab.control("unplug 1")
        wait("the bus to leave", lambda: "ttyGW1" not in self.buses())
        wait("the endpoint's absence", lambda: self.presence(1) == "absent")
        self.assertEqual(self.lab.bus.endpoints()[self.ids[1]]["Bus"], "/")
        self.assertEqual(self.buses(), {"ttyGW0", "ttyGW2"})
        wait("the plugin's end", lambda: self.lab.plugins[1].exits)
        self.assertEqual(self.lab.plugins[1].exits[-1][1], 0, "a plugin whose device vanished ends well")
        self.lab.control("replug 1")
        wait("the bus", lambda: "ttyGW1" in self.buses())
        wait("the endpoint's proof", lambda: self.presence(1) == "proved", 20)

    def test_plugins_attach_again_after_the_agents_restart(self):
        plugins = [self.lab.plugins[n].pid for n in range(3)]
        for sig in (signal.SIGKILL, signal.SIGTERM):
            owner = self.lab.bus.owner
            self.lab.agent.kill(sig)
            wait("the new agent", lambda before=owner: self.lab.bus.owner not in (None, before))
            wait("all buses", lambda: self.buses() == {"ttyGW0", "ttyGW1", "ttyGW2"})
            wait("all proofs", lambda: all(self.presence(n) == "proved" for n in range(3)), 30)
        self.assertEqual([self.lab.plugins[n].pid for n in range(3)], plugins, "no plugin was restarted")
        self.assertEqual(self.lab.agent.exits[-1][1], 0, "SIGTERM ends the agent well")

    def test_a_plugins_death_costs_its_own_bus(self):
        self.lab.plugins[2].kill()
        wait("the bus to leave or be new", lambda: self.lab.plugins[2].starts > 1)
        wait("the endpoint's return", lambda: "ttyGW2" in self.buses() and self.presence(2) == "proved", 20)
        self.assertEqual([self.presence(n) for n in (0, 1)], ["proved", "proved"])

    def test_a_name_is_attached_once(self):
        second = self.lab.supervisor.start("second", [self.lab.binary("plugins", "serial", "gangway-serial"), "--device",
                                                      self.lab.port(0), "--name", "ttyGW1", "--bus", self.lab.address],
                                           may_fail=True)
        self.assertFalse(within(2, lambda: self.presence(1) != "proved" or len(self.buses()) != 3))
        second.stop()

    def test_power_cycles_keep_the_identity(self):
        boots = {self.lab.sim_status(0)["boot"]}
        for _ in range(3):
            self.lab.control("power-cycle 0")
            wait("a new session", lambda: self.lab.sim_status(0)["session"], 30)
            boots.add(self.lab.sim_status(0)["boot"])
            wait("its proof", lambda: self.presence(0) == "proved", 20)
        self.assertEqual(len(boots), 4)
        self.assertEqual(set(self.lab.bus.endpoints()), set(self.ids))

    def test_nothing_is_found_twice(self):
        descriptors = len(os.listdir(f"/proc/{self.lab.agent.pid}/fd"))
        for _ in range(3):
            self.lab.control("unplug 0")
            wait("the bus to leave", lambda: "ttyGW0" not in self.buses())
            self.lab.control("replug 0")
            wait("the endpoint's proof", lambda: self.presence(0) == "proved", 20)
        self.assertEqual(set(self.lab.bus.endpoints()), set(self.ids))
        wait("what it opened to be closed", lambda: len(os.listdir(f"/proc/{self.lab.agent.pid}/fd")) <= descriptors + 2)


if __name__ == "__main__":
    tap.main()
