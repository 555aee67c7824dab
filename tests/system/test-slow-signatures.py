#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints that take long to sign: nobody else waits for them, and whatever ends meanwhile ends cleanly."""
import os
import unittest

import tap
from lab import Lab
from supervisor import wait

ENDPOINTS = int(os.environ.get("GANGWAY_SLOW_ENDPOINTS", "100"))
DELAY_MS = 10000
TRIES = 4
POOLED_THREADS = 4  # GLib's, for looking up names; on a quiet machine none is there when it is looked
SANITIZED_SHARE = 5  # a build with sanitizers runs a fifth of the endpoints


class Slow(unittest.TestCase):
    def test_a_hundred_slow_signatures(self):
        """The first one's reports flow while all others wait, and the agent answers. On a busy machine they may be back before that is
        seen: then it is tried again."""
        with Lab(endpoints=ENDPOINTS) as lab:
            if lab.sanitized:
                lab.endpoints = ENDPOINTS // SANITIZED_SHARE
            lab.start()
            lab.wait_online(timeout=180)
            lab.storm(lambda: False, 1.0)
            lab.control(f"sign-delay all {DELAY_MS}")
            lab.control("sign-delay 0 0")
            lab.control("rate 0 20")
            self.assertTrue(any(self.flows_meanwhile(lab) for _ in range(TRIES)))

    def flows_meanwhile(self, lab):
        """The broker goes and comes back: whether reports of the first came before the last one's return."""
        first, threads = lab.ids()[0], lab.agent_threads()
        starts = lab.broker.process.starts
        lab.broker.process.kill()
        wait("the broker's restart", lambda: lab.broker.process.starts > starts)
        wait("the connections' end", lambda: self.online(lab) < lab.endpoints // 2)
        lab.broker.wait_ready()
        lab.wait_online([first])
        seen = self.delivered(lab, first)
        times, most, flowed = [], 0, None
        while self.online(lab) < lab.endpoints:
            times += lab.storm(lambda: self.online(lab) == lab.endpoints, 0.25)
            most = max(most, lab.agent_threads())
            if flowed is None and self.delivered(lab, first) >= seen + 2:
                flowed = self.online(lab)
        print(f"# {lab.endpoints} endpoints: {len(times)} calls while they came back, the longest {max(times, default=0):.1f} ms; "
              f"reports of the first flowed with {flowed} online; threads {threads}, then at most {most}", flush=True)
        self.assertLessEqual(most, threads + POOLED_THREADS, "threads wait")
        self.assertLess(max(times, default=0), DELAY_MS / 2, "a call waited for a signature")
        return flowed is not None and flowed < lab.endpoints

    @staticmethod
    def delivered(lab, key_id):
        return sum(key[0] == key_id for key in lab.subscriber.read().deliveries)

    @staticmethod
    def online(lab):
        return sum(e.get("State") == "online" for e in lab.bus.of("Endpoint").values())


class Hanging(unittest.TestCase):
    """What ends while a handshake with the broker waits for a signature."""

    def setUp(self):
        self.lab = Lab(endpoints=2)
        try:
            self.lab.start()
            self.lab.wait_online()
            self.ids = self.lab.ids()
            self.lab.control(f"sign-delay 1 {DELAY_MS}")
            self.signatures = self.lab.sim_status(1)["signatures"]
            self.lab.broker.process.kill()
            wait("the broker's restart", lambda: self.lab.broker.process.starts > 1 and self.lab.broker.process.alive)
            self.lab.broker.wait_ready()
            self.lab.wait_online([self.ids[0]])
            wait("the other to hang", lambda: self.lab.state_of(self.ids[1]) not in ("online", None))
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def test_unplugged_meanwhile(self):
        agent = self.lab.agent.pid
        self.lab.control("unplug 1")
        wait("its absence", lambda: self.lab.bus.endpoints()[self.ids[1]]["Presence"] == "absent")
        self.lab.control("sign-delay 1 0")
        self.lab.control("replug 1")
        self.lab.wait_online([self.ids[1]], timeout=40)
        self.assertEqual(self.lab.agent.pid, agent)

    def test_the_agent_ends_meanwhile(self):
        self.assertEqual(self.lab.agent.stop(), 0)

    def test_a_late_signature_is_not_taken_for_a_newer_one(self):
        agent = self.lab.agent.pid
        # The connection is broken while the signature is under way; it comes when the next handshake already waits.
        self.lab.broker.process.kill()
        wait("the broker's restart", lambda: self.lab.broker.process.starts > 2 and self.lab.broker.process.alive)
        self.lab.broker.wait_ready()
        self.lab.wait_online([self.ids[1]], timeout=60)
        self.lab.wait_flow(1)
        self.assertEqual(self.lab.agent.pid, agent)


if __name__ == "__main__":
    tap.main()
