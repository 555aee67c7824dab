#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A gateway whose clock is not set: it goes on taking reports, says what it waits for, and heals when the clock comes."""
import json
import time
import unittest

import tap
from bus import NAME, ROOT
from lab import Lab
from supervisor import wait

YEAR_1970 = "-" + str(int(time.time()) - 3600)


class Clock(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(endpoints=2, sim_args=["--rate", "5"])
        try:
            self.set("0")
            self.lab.agent_env = {"LD_PRELOAD": self.lab.binary("tests", "lib", "clock-shift.so"),
                                  "CLOCK_SHIFT": self.lab.path("shift")}
            self.lab.start_bus()
            self.lab.prepare()
            self.lab.start_sim()
            self.ids = self.lab.ids()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def set(self, shift):
        with open(self.lab.path("shift"), "w", encoding="utf-8") as f:
            f.write(shift)

    def valid(self):
        return self.lab.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager", "ClockValid")[0]

    def reason(self, n):
        return self.lab.bus.endpoints().get(self.ids[n], {}).get("StateReason", "")

    def test_first_start_in_1970(self):
        """The CA made then is good later; a manifest waits for the clock and says so."""
        self.set(YEAR_1970)
        self.lab.start_agent()
        self.assertFalse(self.valid())
        ok, error, message = self.lab.import_manifest()
        self.assertEqual((ok, error.rsplit(".", 1)[1]), (False, "NotTrusted"))
        self.assertIn("is the clock right?", message)
        self.set("0")
        wait("a valid clock", self.valid)
        self.lab.start_broker()
        self.assertTrue(self.lab.import_manifest()[0])
        self.assertTrue(self.lab.add_batch(self.ids)[0])
        self.lab.start_plugin(0)
        self.lab.wait_online(self.ids[:1])
        self.lab.wait_flow(0)

    def test_a_restart_in_1970(self):
        """Who is enrolled goes on reporting, who is not waits; as soon as the clock is set both are online, nothing is lost."""
        self.lab.start_agent()
        self.lab.start_broker()
        self.assertTrue(self.lab.import_manifest()[0])
        self.assertTrue(self.lab.add_batch(self.ids)[0])
        self.lab.start_plugin(0)
        self.lab.wait_online(self.ids[:1])
        self.set(YEAR_1970)
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        wait("the clock's loss", lambda: not self.valid())
        self.lab.start_plugin(1)
        wait("why there is no connection", lambda: "it is not valid yet; check the gateway's clock" in self.reason(0), 20)
        wait("why there is no certificate", lambda: "The gateway's clock is not set" in self.reason(1), 20)
        acked = self.lab.acked(0)
        # 18 s of reports: by then the tries after 5 and 15 s have failed, and the next is as far off.
        wait("reports acknowledged all the same", lambda: self.lab.acked(0) > acked + 90, 30)
        self.set("0")
        wait("a valid clock", self.valid)
        self.lab.wait_online(timeout=2)  # times PATIENCE
        self.lab.wait_flow(1)
        self.lab.control("stop all")
        _r, _d, lost = self.lab.drained(10)
        self.assertEqual(lost, [])
        told = [{r["n"]: r for r in json.loads(p)} for t, p in self.lab.subscriber.messages
                if t == f"gangway/{self.ids[0]}/telemetry"]
        marked = [r for r in told if r.get("_clock", {}).get("vb") is False]
        self.assertGreater(len(marked), 30, "reports taken without a clock say so")
        self.assertLess(len(marked), len(told))


if __name__ == "__main__":
    tap.main()
