#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SLCAN and LSS before judges that share nothing with the project: python3-can at the host's end of a pty, an LSS master and
slaves written from CiA 305 (judges/lss.py), and Wireshark's CANopen dissector over all that was said."""
import os
import queue
import random
import subprocess
import tempfile
import threading
import time
import unittest

import can
from can.interfaces.slcan import slcanBus

import tap
from judges import lss

PEER = os.path.join(os.environ["GANGWAY_BUILD"], "tests/lib/slcan-peer")
VENDOR, PRODUCT = 0x0B5A, 0x47574159
FIELDS = ["can.id", "_ws.col.Info", "canopen.lss.cs", "canopen.lss.fastscan.id", "canopen.lss.fastscan.check",
          "canopen.lss.fastscan.sub", "canopen.lss.fastscan.next", "canopen.lss.nid", "canopen.lss.switch.mode",
          "canopen.lss.conf_id.err_code", "_ws.malformed", "_ws.expert.message"]


class Peer:
    """slcan-peer, python3-can on its pty, and a recording of the bus in candump's format."""

    def __init__(self, *mode):
        self.process = subprocess.Popen([PEER, *map(str, mode)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bus = slcanBus(self.process.stdout.readline().strip(), bitrate=500000, sleep_after_open=0)
        self.record = []
        self.said = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.said.put(line.split())

    def send(self, can_id, data):
        self.bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False))
        self.record.append((can_id, bytes(data)))

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        while True:  # python3-can gives None also for an answer that is no frame
            message = self.bus.recv(max(0, deadline - time.monotonic()))
            if message is not None:
                self.record.append((message.arbitration_id, bytes(message.data)))
                return self.record[-1]
            if time.monotonic() >= deadline:
                return None

    def wait(self, wanted, timeout):
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive(deadline - time.monotonic())
            if frame is None or wanted(*frame):
                return frame

    def dissect(self):
        """What Wireshark makes of each frame, one dict of FIELDS for each."""
        with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
            for number, (can_id, data) in enumerate(self.record):
                log.write(f"({number // 10}.{number % 10}00000) can0 {can_id:03X}#{data.hex().upper()}\n")
            log.flush()
            options = [option for field in FIELDS for option in ("-e", field)]
            done = subprocess.run(["tshark", "-n", "-r", log.name, "-d", "can.subdissector,canopen", "-T", "fields", *options],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]

    def close(self):
        self.bus.shutdown()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class AnswersAll(lss.Slave):
    """Says yes to whatever is asked, and takes no number."""

    def take(self, can_id, data, now):
        if can_id != lss.MASTER_ID or data[0] == lss.SWITCH_GLOBAL:
            return []
        return [(lss.SLAVE_ID, bytes([lss.IDENTIFIED if data[0] == lss.FASTSCAN else data[0]]).ljust(8, b"\0"))]


class Case(unittest.TestCase):
    def start(self, *mode):
        peer = Peer(*mode)
        self.addCleanup(peer.close)
        return peer

    def check_dissection(self, peer):
        """Every LSS, NMT and heartbeat frame is what we meant, field by field."""
        rows = peer.dissect()
        self.assertEqual(len(rows), len(peer.record))
        for row, (can_id, data) in zip(rows, peer.record):
            self.assertEqual(int(row["can.id"]), can_id)
            self.assertEqual((row["_ws.malformed"], row["_ws.expert.message"]), ("", ""), data.hex())
            if can_id == 0x7E5:
                self.assertIn("LSS (Master)", row["_ws.col.Info"])
                self.assertEqual(int(row["canopen.lss.cs"], 0), data[0])
                if data[0] == 0x51:
                    self.assertIn("Fastscan", row["_ws.col.Info"])
                    self.assertEqual([int(row[f"canopen.lss.fastscan.{name}"], 0) for name in ("id", "check", "sub", "next")],
                                     [int.from_bytes(data[1:5], "little"), *data[5:8]])
                elif data[0] == 0x11:
                    self.assertEqual(int(row["canopen.lss.nid"], 0), data[1])
                else:
                    self.assertEqual(data[0], 0x04)
                    self.assertEqual(int(row["canopen.lss.switch.mode"], 0), data[1])
            elif can_id == 0x7E4:
                self.assertIn("LSS (Slave)", row["_ws.col.Info"])
                self.assertEqual(int(row["canopen.lss.cs"], 0), data[0])
                if data[0] == 0x11:
                    self.assertEqual(int(row["canopen.lss.conf_id.err_code"], 0), data[1])
                else:
                    self.assertIn("Identify slave", row["_ws.col.Info"])
            else:
                self.assertIn({b"\0": "Boot-up", b"\5": "Operational", b"\x7f": "Pre-operational"}[data], row["_ws.col.Info"])
        return rows


class Slcan(Case):
    def test_identity(self):
        """python3-can reads version and serial number"""
        peer = self.start("echo")
        self.assertEqual(peer.bus.get_version(60), (10, 13))
        self.assertEqual(peer.bus.get_serial_number(60), "GW01")

    def test_frames(self):
        """python3-can's frames of every kind and length come back as they were"""
        peer = self.start("echo")
        dice = random.Random(305)
        for number in range(400):
            extended, remote = dice.random() < 0.5, dice.random() < 0.2
            limit = 0x1FFFFFFF if extended else 0x7FF
            can_id = (0, limit)[number] if number < 2 else dice.randint(0, limit)
            dlc = number % 9
            sent = can.Message(arbitration_id=can_id, is_extended_id=extended, is_remote_frame=remote, dlc=dlc,
                               data=None if remote else dice.randbytes(dlc))
            peer.bus.send(sent)
            deadline = time.monotonic() + 300
            back = None
            while back is None and time.monotonic() < deadline:
                back = peer.bus.recv(60)
            self.assertTrue(sent.equals(back, timestamp_delta=None, check_direction=False), f"{sent} {back}")


class Lss(Case):
    def test_slaves(self):
        """our slaves before a foreign master: all found by the whole identity, numbered, alive"""
        # Few bits are set, for each takes that master its whole patience; and that is long, as the machine may be busy.
        uids = [0x8000000000000001, 0x8000000000000000, 0x0000000100000002, 0]
        peer = self.start("slaves", *(f"{uid:016x}" for uid in uids))
        peer.record.clear()
        done = lss.Master(peer, patience=0.1).number_all()
        self.assertEqual(sorted(done), [1, 2, 3, 4])
        self.assertEqual(set(done.values()), {(VENDOR, PRODUCT, uid >> 32, uid % 2**32) for uid in uids})
        alive = set()
        while alive != {0x701, 0x702, 0x703, 0x704}:
            frame = peer.wait(lambda can_id, data: 0x700 < can_id < 0x780 and data == b"\5", 60)
            self.assertIsNotNone(frame, alive)
            alive.add(frame[0])
        self.check_dissection(peer)

    def serve(self, peer, slaves, ours, words=()):
        """Lets them live until all of ours have a number and our master has said so, and these words, whatever else it said: who is late
        on a busy machine is trouble to it, and is asked again. Returns all that it said."""
        deadline, said = time.monotonic() + 300, []

        def done():
            while not peer.said.empty():
                said.append(peer.said.get())
            return all(word in said for word in words) and all(
                ["numbered", str(s.number), f"{s.identity[2] << 32 | s.identity[3]:016x}"] in said for s in ours)
        lss.serve(peer, slaves, lambda: time.monotonic() > deadline or done())
        self.assertTrue(done(), f"{[(s.identity, s.number) for s in ours]} {said}")
        return said

    def test_master(self):
        """our master before foreign slaves: ours are numbered, those of others left as they are"""
        dice = random.Random(305)
        uids = [0, 2**64 - 1, 2**64 - 2, 1] + [dice.getrandbits(64) for _ in range(4)]
        ours = [lss.Slave((VENDOR, PRODUCT, uid >> 32, uid % 2**32)) for uid in uids]
        others = [lss.Slave((VENDOR + 1, PRODUCT, 1, 2)), lss.Slave((VENDOR, PRODUCT + 1, 1, 2)), lss.Slave((0, 0, 0, 0))]
        peer = self.start("master", VENDOR)
        peer.record.clear()
        said = self.serve(peer, ours + others, ours)
        self.assertEqual(len({slave.number for slave in ours}), 8)
        self.assertEqual([slave.number for slave in others], [0xFF] * 3)
        self.assertFalse(any(slave.configuring for slave in others))
        self.assertEqual({line[2] for line in said if line[0] == "numbered"}, {f"{uid:016x}" for uid in uids})
        # Switched off and on, one is found again.
        again = ours[3]
        again.take(0, bytes([0x82, again.number]), time.monotonic())
        self.assertEqual(again.number, 0xFF)
        said = self.serve(peer, ours + others, [again])
        self.assertEqual({line[2] for line in said if line[0] == "numbered"}, {f"{uids[3]:016x}"})
        rows = self.check_dissection(peer)
        scans = [row for row in rows if "Fastscan" in row["_ws.col.Info"]]
        self.assertGreater(len(scans), 8 * 66)
        self.assertLessEqual({row["canopen.lss.fastscan.id"] for row in scans if row["canopen.lss.fastscan.sub"] == "0x01"},
                             {f"0x{PRODUCT:08x}"})

    def test_liar(self):
        """beside one that answers everything the others are numbered all the same, and it is told of"""
        ours = [lss.Slave((VENDOR, PRODUCT, number << 20, number)) for number in range(1, 4)]
        trouble = ["trouble", "4", "0" * 16]
        said = self.serve(self.start("master", VENDOR), [AnswersAll((0, 0, 0, 0)), *ours], ours, [trouble])
        self.assertEqual(said.count(trouble), 1)


if __name__ == "__main__":
    tap.main()
