#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulated SLCAN adapter and its bus, judged by python3-can and by an LSS master of other making: no AF_CAN needed."""
import os
import struct
import sys
import time

import can

import tap
from lab import CAN, Lab
from supervisor import wait

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "judges"))
import lss  # noqa: E402
from can_link import EFF, Link  # noqa: E402

PRODUCT = 0x47574159
GATEWAY = 0xF1
ENDPOINTS = 2
PATIENCE = 300
LATE, TRIES = 5, 10  # seconds without a frame, and how often an exchange is tried on a busy machine


class SlcanLink:
    """python3-can's SLCAN with the face of can_link.Link."""

    def __init__(self, path):
        self.bus = can.Bus(interface="slcan", channel=path, bitrate=500000, ttyBaudrate=115200, sleep_after_open=0)

    def send(self, can_id, data=b""):
        self.bus.send(can.Message(arbitration_id=can_id & ~EFF, is_extended_id=bool(can_id & EFF), data=data))

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            # None also for an answer that is no frame.
            message = self.bus.recv(left)
            if message is not None:
                return message.arbitration_id | (EFF if message.is_extended_id else 0), bytes(message.data)
        return None

    wait = Link.wait

    def close(self):
        self.bus.shutdown()


class Adapter(tap.Story):
    """One bus, first without numbers; no plugin is there."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=ENDPOINTS, bus="can")
        cls.lab.start_sim()
        cls.link = SlcanLink(os.path.join(cls.lab.ports, CAN))

    @classmethod
    def tearDownClass(cls):
        cls.link.close()
        cls.lab.close(failed=bool(cls.broken))

    def test_01_it_says_what_it_is(self):
        hardware, software = self.link.bus.get_version(PATIENCE)
        self.assertIsNotNone(hardware)
        self.assertIsNotNone(software)
        self.assertTrue(self.link.bus.get_serial_number(PATIENCE))

    def test_02_a_foreign_master_numbers_all(self):
        done = lss.Master(self.link, patience=0.1).number_all(first=100)
        uids = {struct.unpack(">II", bytes.fromhex(key_id)[:8]) for key_id in self.lab.ids()}
        self.assertEqual({identity for identity in done.values()}, {(0, PRODUCT, *uid) for uid in uids})
        type(self).numbers = sorted(done)
        self.assertEqual(self.numbers, [100, 101])

    def test_03_they_start(self):
        for n in self.numbers:
            self.assertIsNotNone(self.link.wait(lambda can_id, data, n=n: (can_id, data) == (0x700 + n, b"\x05"), PATIENCE), n)

    def ask_hello(self, node):
        """By hand, by ISO 15765-2: the answer; None where a frame did not come, as when the node or this was late for the other."""
        to_node, from_node = 0x18DA0000 | node << 8 | GATEWAY, 0x18DA0000 | GATEWAY << 8 | node

        def hear(kind):
            frame = self.link.wait(lambda can_id, data: can_id == EFF | from_node and data[0] & 0xF0 == kind, LATE)
            return frame and frame[1]
        # SMP read, group 0x5100, command 0, an empty map: 9 octets, so a first frame and a consecutive one.
        request = bytes.fromhex("080000015100" + "0000" + "a0")
        self.link.send(EFF | to_node, bytes([0x10, len(request)]) + request[:6])
        if not hear(0x30):
            return None
        self.link.send(EFF | to_node, b"\x21" + request[6:])
        first = hear(0x10)
        if not first:
            return None
        length = (first[0] & 0x0F) << 8 | first[1]
        answer = first[2:]
        self.link.send(EFF | to_node, b"\x30\0\0")
        for n in range((length - 6 + 6) // 7):
            data = hear(0x20)
            if not data:
                return None
            self.assertEqual(data[0], 0x20 | (n + 1) & 0x0F)
            answer += data[1:]
        return answer

    def test_04_they_answer_hello_over_isotp(self):
        answer = next(filter(None, (self.ask_hello(self.numbers[0]) for _ in range(TRIES))), None)
        self.assertIsNotNone(answer)
        self.assertEqual(answer[0], 0x09)
        self.assertTrue(any(bytes.fromhex(key_id) in answer for key_id in self.lab.ids()), answer.hex())

    def test_05_reset_takes_the_number(self):
        self.link.send(0, bytes([0x82, 0]))
        master = lss.Master(self.link, patience=0.1)
        found = master.find()
        self.assertIsNotNone(found)
        self.assertTrue(master.number(7))
        self.assertIsNotNone(self.link.wait(lambda can_id, data: (can_id, data) == (0x707, b"\0"), PATIENCE))

    def test_06_what_is_sent_is_heard_by_all(self):
        before = self.lab.sim_status(0)["line"]["unit"]["frames_in"]
        for n in range(50):
            self.link.send(0x123, bytes([n]))
        wait("them to be heard", lambda: self.lab.sim_status(0)["line"]["unit"]["frames_in"] >= before + 50, PATIENCE)


if __name__ == "__main__":
    tap.main()
