#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of agent, plugin and broker at random times under load: what was acknowledged arrives, all of it.

GANGWAY_KILL_CYCLES sets the number of kills, GANGWAY_KILL_SEED repeats a run.
"""
import os
import random
import unittest

import tap
from bus import ROOT, Client
from lab import Lab, listens
from supervisor import pause, wait

ENDPOINTS = 4
CYCLES = int(os.environ.get("GANGWAY_KILL_CYCLES", "9"))
SEED = os.environ.get("GANGWAY_KILL_SEED", str(random.SystemRandom().randrange(10**6)))
RATE = 100  # reports a second and endpoint: several are always under way between any two parts


class Kill(unittest.TestCase):
    def test_nothing_acknowledged_is_lost(self):
        chance = random.Random(SEED)
        print(f"# seed {SEED}, {CYCLES} kills", flush=True)
        with Lab(endpoints=ENDPOINTS) as lab:
            lab.start()
            lab.wait_online()
            lab.control(f"rate all {RATE}")
            kills = {"agent": 0, "plugin": 0, "broker": 0}
            for cycle in range(CYCLES):
                # Everything dies in turn, so that no run leaves one out; when, is chance: also while it comes back.
                self.let_run(chance.uniform(0.1, 2.5))
                what = sorted(kills)[cycle % 3]
                victim = {"agent": lab.agent, "plugin": lab.plugins[chance.randrange(ENDPOINTS)],
                          "broker": lab.broker.process}[what]
                wait(f"{what} to be there", lambda v=victim: v.alive, 5)
                victim.kill()
                kills[what] += 1
            lab.wait_agent()
            lab.wait_online(timeout=90)
            lab.control("stop all")
            # A broker that saves its state at each turn takes its time with what piled up while things were dead.
            reports, delivered, lost = lab.drained(60)
            twice = sum(n - 1 for n in lab.subscriber.deliveries.values())
            print(f"# {kills}: {reports} acknowledged, {delivered} delivered, {len(lost)} lost, {twice} delivered again",
                  flush=True)
            if lost:
                self.tell(lab, lost)
            self.assertGreater(reports, CYCLES * ENDPOINTS)
            self.assertEqual(lost, [], f"seed {SEED}")
            self.assertEqual(lab.subscriber.changed, [], "what comes again is the same, octet by octet")

    def test_the_bus_dies(self):
        """dbus-daemon takes agent and plugins with it; all come back, and the agent's last word is about the connection, not the name."""
        with Lab(endpoints=2) as lab:
            lab.start()
            lab.wait_online()
            lab.control(f"rate all {RATE}")
            lab.wait_flow(0, more=RATE)
            ended = [lab.agent, *lab.plugins.values()]
            for process in ended:
                process.may_fail = True  # as they must: whoever supervises them starts them again
            old = lab.daemon.pid
            lab.daemon.kill()
            # The old one's socket takes connections until the last of it has gone.
            wait("a new bus", lambda: (lab.bus.connection.is_closed() and lab.daemon.pid not in (None, old)
                                       and listens(lab.path("bus.socket"))))
            lab.bus = Client(lab.address)
            lab.wait_agent()
            lab.wait_online(timeout=90)
            lab.control("stop all")
            _reports, _delivered, lost = lab.drained(60)
            self.assertEqual(lost, [])
            # Some begin again before the bus or the agent is there, and once more.
            self.assertEqual({status for process in ended for _pid, status, _wanted in process.exits}, {1})
            with open(lab.agent.log, encoding="utf-8") as log:
                said = log.read()
            self.assertIn("the connection to D-Bus is closed", said)
            self.assertNotIn("cannot be had", said)

    @staticmethod
    def tell(lab, lost):
        """Where what is missing is: still on its way, or nowhere."""
        for n, key_id in enumerate(lab.ids()):
            missing = sorted((boot, q) for kid, boot, q in lost if kid == key_id)
            _state, _reason, _remedy, details = lab.bus.call(ROOT, "Manager", "Explain", "(s)", key_id)
            if missing:
                print(f"# port {n}: {len(missing)} missing, from {missing[0]} to {missing[-1]}; "
                      f"{details.get('spooled')} still in the spool", flush=True)

    @staticmethod
    def let_run(seconds):
        """Load for a random while: the moment of the kill is the test's input."""
        pause(seconds)


if __name__ == "__main__":
    tap.main()
