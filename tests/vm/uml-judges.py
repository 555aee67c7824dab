#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our ISO-TP on a real AF_CAN against scapy's, read along by Wireshark; and the judges against each other.

Runs under uml.sh. The kernel's ISO-TP is asked in the booted guest (test-can.py): user-mode-linux has none.
"""
import os
import sys
import threading
import unittest

import tap
from isotp_peer import Ours
from supervisor import wait

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "judges"))
import dissect  # noqa: E402
import isotp_stacks  # noqa: E402
import lss  # noqa: E402
from can_link import EFF, Link, Recording  # noqa: E402

OURS, THEIRS = 0x18DA01F1, 0x18DAF101  # the ids of what we send, of what they send
PATIENCE = 60
# Scapy takes frames slower than we send them, and a socket holds some three hundred.
SCAPY_BLOCK = 32


class Against(unittest.TestCase):
    """Every length there and back, then both ways at once."""

    def same(self, got, wanted):
        """As assertEqual, which has too much to say on long messages."""
        if got != wanted:
            at = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), min(len(got), len(wanted)))
            self.fail(f"{len(got)} instead of {len(wanted)}, other from {at} on")

    def converse(self, name, options, padding, block_size=SCAPY_BLOCK, most=5000):
        theirs = isotp_stacks.Scapy("vcan0", THEIRS, OURS, padding=padding, block_size=block_size,
                              timeout=PATIENCE)
        self.addCleanup(theirs.close)
        with Recording("vcan0", f"{name}.log") as recording:
            ours = Ours("vcan0", OURS, THEIRS, *options, timeout=PATIENCE)
            self.addCleanup(ours.close)
            sent = [isotp_stacks.message(n) for n in isotp_stacks.lengths(most)]
            for octets in sent:
                ours.send(octets)
                self.same(theirs.receive(PATIENCE) or b"", octets)
                theirs.send(octets)
                self.same(ours.receive(PATIENCE) or b"", octets)
            here, there = isotp_stacks.message(3000), isotp_stacks.message(2900)
            ours.send(here)
            theirs.send(there)
            self.same(theirs.receive(PATIENCE) or b"", here)
            self.same(ours.receive(PATIENCE) or b"", there)
            ours.close()
        messages, bad = dissect.isotp(recording.path, [OURS, THEIRS])
        self.assertEqual(bad, [])
        self.same([len(m) for m in messages[OURS]], [len(m) for m in sent + [here]])
        self.same(messages[OURS], sent + [here])
        self.same(messages[THEIRS], sent + [there])

    def test_padded(self):
        self.converse("padded", [], True)

    def test_unpadded(self):
        self.converse("unpadded", ["--no-pad"], False, most=600)

    def test_block_size_and_separation_that_we_ask_for(self):
        """Scapy keeps to what our flow control says: 2 frames a block, 1 ms between them, and we to its."""
        self.converse("block", ["--block-size=2", "--st-min=1"], True, block_size=1, most=300)


class Lss(unittest.TestCase):
    def test_the_master_numbers_the_slaves(self):
        """And Wireshark finds nothing wrong with either."""
        identities = [(0x1FF, 0x47574159, 7, 1), (0x1FF, 0x47574159, 7, 0), (0, 0xFFFFFFFF, 0, 0x80000000)]
        slaves = [lss.Slave(identity) for identity in identities]
        stop = threading.Event()
        with Recording("vcan0", "lss.log") as recording:
            thread = threading.Thread(target=lss.serve, args=(Link("vcan0"), slaves, stop.is_set))
            thread.start()
            try:
                done = lss.Master(Link("vcan0")).number_all(first=5)
                wait("all to start", lambda: all(slave.log for slave in slaves), PATIENCE)
            finally:
                stop.set()
                thread.join()
        self.assertEqual(sorted(done.values()), sorted(identities))
        self.assertEqual({slave.number: slave.identity for slave in slaves}, done)
        said, bad = dissect.canopen(recording.path)
        self.assertEqual(bad, [])
        for node in (5, 6, 7):
            self.assertIn(f"LSS (Master): Configure node-ID protocol: 0x{node:02x}", said)
            self.assertIn(f"NMT Error Control: Boot-up [0x{node:x}]", said)


class Dissector(unittest.TestCase):
    """It does find what is wrong, else it would be no judge."""

    def record(self, *frames):
        link = Link("vcan0")
        with Recording("vcan0", f"{self.id()}.log") as recording:
            for can_id, data in frames:
                link.send(can_id, bytes.fromhex(data))
        link.close()
        return recording.path

    def test_short_lss(self):
        _, bad = dissect.canopen(self.record((lss.MASTER_ID, "5100"), (lss.MASTER_ID, "5100000000800000")))
        self.assertEqual(len(bad), 1)

    def test_lost_frame(self):
        messages, _ = dissect.isotp(self.record((OURS | EFF, "1014000102030405"), (OURS | EFF, "220D0E0F10111213")), [OURS])
        self.assertEqual(messages[OURS], [])


if __name__ == "__main__":
    tap.main()
