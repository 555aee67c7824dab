#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints that should not be there: foreign ones, clones, liars; and a moved cable, which is none of these."""
import unittest

from gi.repository import GLib

import tap
from bus import NAME, ROOT, error_name
from lab import Lab
from supervisor import wait, within

LIES = ("lengths", "sequence", "cbor", "key-id", "hello", "off")


class Foreign(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(endpoints=2)
        try:
            self.lab.start()
            self.ids = self.lab.ids()
            self.lab.wait_online()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def endpoint(self, key_id):
        return self.lab.bus.endpoints()[key_id]

    def add(self, command):
        """A port more; returns its number."""
        port = self.lab.control(command)["port"]
        self.lab.start_plugin(port)
        return port

    def stays(self, what, predicate, seconds=3.0):
        """A state that must hold for a while; fails the moment it does not."""
        self.assertFalse(within(seconds, lambda: not predicate()), what)

    def test_a_foreign_endpoint_reaches_no_broker(self):
        port = self.add("foreign")
        key_id = self.lab.sim_status(port)["kid"]
        self.lab.wait_state(key_id, "quarantined")
        state, reason, remedy, _details = self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", key_id)
        self.assertEqual(state, "quarantined")
        self.assertIn("manifest", reason)
        self.assertTrue(remedy)
        self.lab.wait_flow(0)
        self.assertNotIn(key_id, self.lab.broker.users())
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(self.endpoint(key_id)["path"], "Endpoint", "Onboard", "(sa{sv})", "lab", {})
        self.assertEqual(error_name(caught.exception), f"{NAME}.Error.NotTrusted")
        # It is its owner's word that is missing, not polkit's.
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(self.endpoint(key_id)["path"], "Endpoint", "Identify")
        self.assertEqual(error_name(caught.exception), f"{NAME}.Error.BadState")
        self.assertIn("its owner only", caught.exception.message)

    def test_both_of_a_pair_of_clones_are_refused(self):
        port = self.add("clone 0")
        self.lab.wait_state(self.ids[0], "cloned")
        wait("the uplink's end", lambda: not self.endpoint(self.ids[0])["Connected"])
        users = self.lab.broker.users().count(self.ids[0])
        self.stays("no connection of either", lambda: self.state(0) == "cloned"
                   and self.lab.broker.users().count(self.ids[0]) == users)
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "", {})
        self.assertTrue(error_name(caught.exception).endswith("BadState"), "both still answer")
        self.assertEqual(self.state(1), "online")
        # The copy goes; the original stays out until a person says so, also over a restart of the agent.
        self.lab.control(f"unplug {port}")
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        wait("the original's proof", lambda: self.lab.bus.endpoints().get(self.ids[0], {}).get("Presence") == "proved", 30)
        self.stays("the alarm", lambda: self.state(0) == "cloned")
        self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "", {})
        self.lab.wait_online([self.ids[0]])

    def state(self, n):
        return self.lab.state_of(self.ids[n])

    def test_a_moved_cable_is_no_alarm(self):
        seen = set()
        self.lab.control("move 0 new")
        port = len(self.lab.sim_status()) - 1
        self.lab.start_plugin(port)

        def moved():
            seen.add(self.state(0))
            return self.state(0) == "online" and self.endpoint(self.ids[0])["Bus"].endswith(f"/ttyGW{port}")
        wait("the endpoint on its new line", moved, 40)
        self.assertNotIn("cloned", seen)
        self.lab.wait_flow(port)

    def test_liars_harm_nobody_else(self):
        agent = self.lab.agent.pid
        for lie in LIES:
            self.lab.control(f"lie 1 {lie}")
            if lie == "key-id":
                self.lab.control("power-cycle 1")
            self.lab.wait_flow(0, more=3)
            self.assertEqual(self.lab.agent.pid, agent, lie)
            self.assertEqual(self.state(0), "online", lie)
        self.lab.control("lie 1 off")
        self.lab.control("power-cycle 1")
        self.lab.control("garbage 0 4000")
        self.lab.wait_flow(0, more=3)

    def test_one_that_could_not_be_asked_is_asked_again(self):
        self.lab.control("lie 1 cbor")
        self.lab.control("power-cycle 1")
        wait("its damaged answer", lambda: "could not be asked" in self.endpoint(self.ids[1])["StateReason"], 20)
        session = self.lab.sim_status(1)["handshakes"]
        self.lab.control("lie 1 off")
        self.lab.wait_online([self.ids[1]], 30)
        self.assertEqual(self.lab.sim_status(1)["handshakes"], session)


if __name__ == "__main__":
    tap.main()
