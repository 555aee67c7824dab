#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ISO-TP against implementations that share nothing with the project: python3-scapy's ISOTPSoftSocket, both ways, and
Wireshark's dissector, which knows FD frames, too.

GANGWAY_CAN names a CAN interface to do the former on; without, frames go over a socket pair."""
import os
import random
import unittest

import tap
from isotp import Pair, Recorder

INTERFACE = os.environ.get("GANGWAY_CAN")
PATIENCE = 60
# around every border of one frame, of a byte of length, of 12 bits of length; and some between
SIZES = [1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 20, 62, 63, 64, 80, 93, 106, 111, 112, 118, 119, 255, 256, 257, 512, 1000, 4094, 4095,
         4096, 4097, 10000]


def message(size, seed=0):
    return random.Random(f"{size}/{seed}").randbytes(size)


class Judge(unittest.TestCase):
    def setUp(self):
        self.pair = None

    def tearDown(self):
        if self.pair:
            self.assertEqual(self.pair.close(), 0)

    def open(self, *options, **more):
        self.pair = Pair(*options, interface=INTERFACE, **more)
        return self.pair

    def there(self, size):
        self.pair.peer.send(message(size))
        self.assertEqual(self.pair.scapy_recv(), message(size), f"{size} octets from us to scapy")

    def back(self, size):
        self.pair.scapy_send(message(size, "back"))
        self.assertEqual(self.pair.peer.receive(PATIENCE), message(size, "back"), f"{size} octets from scapy to us")

    def test_sizes(self):
        """Every size there and back, padded."""
        self.open()
        for size in SIZES:
            self.there(size)
            self.back(size)
        self.assertTrue(all(len(data) == 8 for data in self.pair.frames.heard))

    def test_sizes_unpadded(self):
        """The last frame as short as it can be."""
        self.open("--no-pad", padding=False)
        for size in SIZES:
            self.there(size)
            self.back(size)
        self.assertIn(2, map(len, self.pair.frames.heard))

    def test_every_small_size(self):
        self.open()
        for size in range(1, 130):
            self.there(size)
            self.back(size)

    def test_blocks(self):
        """Block size and separation time of each side are kept by the other: each ends its own transfers."""
        self.open("--block-size=3", "--st-min=241", bs=5, stmin=1)
        for size in (20, 27, 41, 100, 300):
            self.there(size)
            before = len(self.pair.frames.heard)
            self.back(size)
            # scapy sends a first frame and these: flow control after the first and every third, but not after the last
            more = (size - 6 + 6) // 7
            self.assertEqual(self.pair.frames.heard[before:], [b"\x30\x03\xf1" + b"\xcc" * 5] * ((more + 2) // 3))

    def test_window(self):
        """Several frames under way."""
        self.open("--window=8")
        for size in (8, 100, 4096):
            self.there(size)
            self.back(size)

    def test_both_at_once(self):
        self.open("--block-size=8", bs=8)
        for size in (100, 1000, 4096):
            self.pair.peer.send(message(size))
            self.pair.scapy_send(message(size, "back"))
            self.assertEqual(self.pair.peer.receive(PATIENCE), message(size, "back"))
            self.assertEqual(self.pair.scapy_recv(), message(size))

    def test_one_after_the_other(self):
        """Thirty messages at once, in order."""
        self.open()
        for i in range(30):
            self.pair.peer.send(message(50 + i))
        for i in range(30):
            self.assertEqual(self.pair.scapy_recv(), message(50 + i))

    def test_loss(self):
        """A frame is lost on its way to scapy: that message is, and the next is not."""
        lost = []

        def lose(data):
            if data[0] == 0x22 and not lost:
                lost.append(data)
                return True
            return False

        self.open(lose=lose, bs=4, timeout=5)
        self.pair.peer.send(message(100))
        with self.assertRaises(OSError): # scapy never asks for the next block: N_TIMEOUT_Bs
            self.pair.peer.receive(PATIENCE)
        self.there(100)
        self.assertEqual(len(lost), 1)


class Dissector(unittest.TestCase):
    def judge(self, *options):
        wire = Recorder(*options)
        try:
            for size in SIZES:
                self.assertEqual(wire.carry(message(size)), message(size))
        finally:
            self.assertEqual(wire.close(), [0, 0])
        self.assertEqual(wire.dissected(), [message(size) for size in SIZES])
        return [data[4] for data in wire.frames]

    def test_classic(self):
        self.assertEqual(set(self.judge("--block-size=7")), {8})

    def test_classic_unpadded(self):
        self.assertEqual(set(self.judge("--no-pad")), set(range(2, 9)))

    def test_fd(self):
        self.assertEqual(set(self.judge("--fd", "--brs", "--tx-dl=64")), {8, 12, 16, 20, 24, 32, 48, 64})

    def test_fd_of_other_lengths(self):
        for longest in (12, 16, 20, 24, 32, 48):
            self.judge("--fd", f"--tx-dl={longest}", "--window=4")

    def test_fd_frames_of_classic_length(self):
        self.assertEqual(set(self.judge("--fd", "--tx-dl=8")), {8})


if __name__ == "__main__":
    tap.main()
