#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The audit trail of a gateway with one endpoint: what people had done, what came about by itself, and that a changed or
missing record is found."""
import os
import sqlite3
import subprocess
import unittest

from gi.repository import GLib

import tap
from bus import NAME, ROOT, error_name
from lab import Lab
from supervisor import wait

ERROR = "org.gangway.Gangway1.Error."


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=1)
        try:
            cls.lab.start()
            cls.lab.wait_online()
            cls.id = cls.lab.ids()[0]
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def read(self, first=0, most=1000):
        return self.lab.bus.call(ROOT, "Audit", "Read", "(tu)", first, most)[0]

    def verify(self):
        return tuple(self.lab.bus.call(ROOT, "Audit", "Verify"))

    def path(self):
        return sorted(self.lab.bus.of("Endpoint"))[0]

    def test_what_people_had_done_and_what_came_of_it(self):
        wait("its record", lambda: any(r[2] == "credential-issued" for r in self.read()))
        records, me = self.read(), f"uid {os.getuid()}"
        self.assertEqual([r[0] for r in records], list(range(1, len(records) + 1)))
        done = [r[2] for r in records if r[1] == me]
        self.assertEqual(done[:3], ["Inventory.ImportManifest", "Inventory.AddBatch", "Manager.AttachBus"])
        came = {r[2]: r[3] for r in records if r[1] == "agent"}
        for action in ("endpoint-admitted", "credential-owned", "credential-issued", "endpoint-enrolled"):
            self.assertEqual(came[action]["object"], self.id, action)
        self.assertIn("generation", came["credential-issued"]["detail"])
        self.assertLess(abs(came["credential-issued"]["time"] - GLib.get_real_time()), 600e6)
        self.assertEqual({r[1] for r in records}, {me, "agent"})

    def test_decisions(self):
        before = self.read()[-1][0]
        self.lab.bus.call(self.path(), "Endpoint", "Quarantine", "(s)", "a look at its wiring")
        self.lab.wait_state(self.id, "quarantined")
        self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.id, "", {})
        self.lab.wait_online()
        wait("the records", lambda: any(r[2] == "Inventory.Approve" for r in self.read(before + 1)))
        records = self.read(before + 1)
        asked, came = records[0], records[1]
        self.assertEqual((asked[0], asked[2], asked[3]["object"]), (before + 1, "Endpoint.Quarantine", self.path()))
        self.assertIn("a look at its wiring", asked[3]["detail"])
        self.assertEqual((came[2], came[3]["object"]), ("endpoint-quarantined", self.id))
        out = self.lab.ctl("audit", "--max", "3")
        self.assertIn("Inventory.Approve", self.lab.ctl("audit", "--wide"))
        self.assertEqual(len(out.splitlines()), 4)

    def test_looking_leaves_no_record(self):
        self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", self.id)
        self.read()
        self.verify()
        before = self.read()[-1][0]
        self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", self.id)
        self.verify()
        self.assertEqual(self.read()[-1][0], before)

    def test_bounds(self):
        for most in (0, 1001, 0xffffffff):
            with self.assertRaises(GLib.Error) as caught:
                self.read(1, most)
            self.assertEqual(error_name(caught.exception), ERROR + "Limit")
        self.assertEqual(self.read(10 ** 6), [])
        self.assertEqual([r[0] for r in self.read(2, 2)], [2, 3])

    def test_y_plugins_do_not_crowd_people_out(self):
        """One that attaches in vain again and again: its records end, a person's decision is there."""
        answers = []
        for n in range(100, 5201, 100):  # the bus takes so many at once
            for _ in range(100):
                self.lab.bus.connection.call(NAME, ROOT, f"{NAME}.Manager", "AttachBus", GLib.Variant("(a{sv})", ({},)), None, 0, -1,
                                             None, lambda _c, result: answers.append(result))
            wait("the answers", lambda: len(answers) == n, 60)
        self.lab.bus.call(self.path(), "Endpoint", "SetName", "(s)", "press-4")
        last = self.read()[-1]
        self.assertEqual((last[2], last[3]["detail"]), ("Endpoint.SetName", "('press-4',)"))
        self.assertGreater(last[0], 5000)
        self.assertLess(last[0], 5100)

    def test_z_what_was_changed_or_taken_out(self):
        """Last: the trail is not what it was afterwards."""
        good, last = self.verify()
        self.assertTrue(good)
        self.assertEqual(self.read()[-1][0], last)
        self.assertIn(f"All {last} records fit", self.lab.ctl("audit", "--verify"))
        exits = len(self.lab.agent.exits)
        with sqlite3.connect(os.path.join(self.lab.state, "gangway.db"), timeout=10) as db:
            db.execute("UPDATE audit SET detail = detail || '.' WHERE seq = 3")
        self.assertEqual(self.verify(), (False, 3))
        with self.assertRaises(subprocess.CalledProcessError):
            self.lab.ctl("audit", "--verify")
        with sqlite3.connect(os.path.join(self.lab.state, "gangway.db"), timeout=10) as db:
            db.execute("DELETE FROM audit WHERE seq = 2")
        self.assertEqual(self.verify(), (False, 2))
        self.assertEqual(len(self.lab.agent.exits), exits)


if __name__ == "__main__":
    tap.main()
