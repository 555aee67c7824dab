#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's end, while callers go on: what is called then is not carried out, least of all in another thread."""
import os
import signal
import unittest

import tap
from bus import ROOT, error_name
from lab import Lab
from supervisor import Timeout, wait

CALLS = 4
QUIET_S = 1.0


class End(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(endpoints=1)
        self.hold = self.lab.path("hold")
        self.lab.agent_env = {"LD_PRELOAD": self.lab.binary("tests", "lib", "hold-main-loop.so"), "HOLD_MAIN_LOOP": self.hold}
        self.lab.start_bus()
        self.lab.prepare()
        self.lab.start_agent()

    def tearDown(self):
        self.lab.close()

    def test_nothing_is_carried_out_after_the_loop(self):
        """The threads in which GDBus asks who may call would else carry calls out themselves, beside the one that frees everything."""
        answers = []
        with open(self.hold, "w", encoding="utf-8"):
            for _ in range(CALLS):
                self.lab.bus.call_async(ROOT, "Inventory", "Lookup", "(s)", ("00" * 32,), answers.append)
            wait("the calls to be judged", lambda: self.lab.agent.text().count("a call is being judged") == CALLS)
            self.lab.agent.kill(signal.SIGTERM)
            with self.assertRaises(Timeout, msg="a call was answered"):
                wait("an answer", lambda: answers, QUIET_S)
        os.unlink(self.hold)
        wait("the bus to answer", lambda: len(answers) == CALLS)
        self.assertEqual({error_name(a) for a in answers}, {"org.freedesktop.DBus.Error.NoReply"})
        wait("the end", lambda: self.lab.agent.exits)
        self.assertEqual(self.lab.agent.exits[-1][1], 0)


if __name__ == "__main__":
    tap.main()
