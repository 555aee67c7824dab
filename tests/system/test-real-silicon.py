#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints made of real SRAM readouts, one of each chip, on the whole way: onboarded with the first readout, then power-cycled
through all of them. Each stays the endpoint it was. The argument is the folder of the readouts."""
import glob
import os
import sys
import unittest

import tap
from lab import Lab

READOUT = 56320
FOLDER = os.path.abspath(sys.argv.pop(1))
CHIPS = sorted(glob.glob(os.path.join(FOLDER, "*.bin")))


class RealSilicon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=len(CHIPS), sim_args=["--sram", FOLDER])
        cls.lab.start()
        cls.lab.wait_online()
        cls.ids = cls.lab.ids()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def test_every_readout_is_the_same_endpoint(self):
        ports = range(len(CHIPS))
        readouts = max(os.path.getsize(path) // READOUT for path in CHIPS)
        fixed = [[] for _ in ports]
        self.assertEqual(len(set(self.ids)), len(CHIPS))
        for _ in range(readouts - 1):
            self.lab.control("power-cycle all")
            for n in ports:
                status = self.lab.sim_status(n)
                self.assertEqual(status["kid"], self.ids[n])
                self.assertTrue(status["puf_ok"])
                fixed[n].append(status["fixed"])
            for n in ports:
                self.lab.wait_flow(n, more=1, timeout=60)
        self.assertEqual(set(self.lab.bus.endpoints()), set(self.ids))
        for n in ports:
            count = os.path.getsize(CHIPS[n]) // READOUT
            self.assertEqual(self.lab.sim_status(n)["power_ups"], readouts)
            self.assertGreater(min(fixed[n][:count - 1]), 0)
            print(f"# {os.path.basename(CHIPS[n])}: {self.ids[n][:16]} through {count} readouts, corrected cells of 2,550: "
                  + " ".join(map(str, fixed[n][:count - 1])), flush=True)
        self.lab.control("stop all")
        acked, delivered, lost = self.lab.drained()
        print(f"# {acked} reports acknowledged, {delivered} delivered, {len(lost)} lost", flush=True)
        self.assertEqual(lost, [])


if __name__ == "__main__":
    tap.main()
