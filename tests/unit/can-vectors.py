#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second model of CAN frames, for the vectors that gw-can.c is held to.

It writes the whole frame as a list of bits, checksum and all, the way ISO 11898-1:2015 draws it, stuffs that list, and
counts. `can-vectors.py FILE write` makes FILE; without `write` it is a test: the checksums against the check values of the
catalogue of CRCs, worst and best cases against closed formulas, and FILE against the model.
"""
import json
import random
import sys
import unittest

import tap

LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64]
FILE = sys.argv.pop(1)
D, R = 0, 1  # dominant, recessive


def bits(value, width):
    return [int(c) for c in format(value, f"0{width}b")] if width else []


def remainder(stream, polynomial, width, start=0):
    """Polynomial division as on paper; `start` is what the register holds before the first bit."""
    register = start
    for bit in stream:
        out = register >> (width - 1)
        register = (register << 1) & ((1 << width) - 1)
        if out != bit:
            register ^= polynomial
    return register


def crc15(stream):
    return remainder(stream, 0x4599, 15)


def crc17(stream, start=1 << 16):
    return remainder(stream, 0x1685B, 17, start)


def crc21(stream, start=1 << 20):
    return remainder(stream, 0x102899, 21, start)


def stuffed(stream, at_end):
    """(bits, indexes into the original stream after which a stuff bit was put)."""
    out, after = [], []
    for i, bit in enumerate(stream):
        out.append(bit)
        if len(out) >= 5 and len(set(out[-5:])) == 1 and (at_end or i + 1 < len(stream)):
            # a run does not reach over a stuff bit: that one differs by making
            out.append(1 - bit)
            after.append(i)
    return out, after


def arbitration(frame):
    """Start of frame, then the arbitration field."""
    ident = bits(frame["id"], 29 if frame["extended"] else 11)
    last = R if frame["remote"] else D
    if frame["extended"]:
        return [D] + ident[:11] + [R, R] + ident[11:] + [last]
    return [D] + ident + [last]


def payload(frame):
    return [b for octet in bytes.fromhex(frame["hex"]) for b in bits(octet, 8)]


TAIL = [D, R] + [R] * 7 + [R] * 3  # acknowledgement slot (answered) and delimiter, end of frame, intermission


def classic(frame):
    head = arbitration(frame) + [D, D] + bits(frame["len"], 4)
    body = head + ([] if frame["remote"] else payload(frame))
    out, _ = stuffed(body + bits(crc15(body), 15), at_end=True)
    return out + [R] + TAIL, []


def flexible(frame):
    """Nominal bits, data bits."""
    switch = arbitration(frame) + ([] if frame["extended"] else [D]) + [R, D, R if frame["brs"] else D]
    body = switch + [D] + bits(LENGTHS.index(frame["len"]), 4) + payload(frame)
    dynamic, after = stuffed(body, at_end=False)
    in_switch = sum(1 for i in after if i < len(switch))
    count = len(after) % 8
    gray = count ^ count >> 1
    field = bits(gray, 3) + [bin(gray).count("1") % 2]
    covered = dynamic + field
    field += bits(crc17(covered), 17) if frame["len"] <= 16 else bits(crc21(covered), 21)
    fixed = []
    for i, bit in enumerate(field):
        if i % 4 == 0:
            fixed.append(1 - (fixed or dynamic)[-1])
        fixed.append(bit)
    first = len(switch) + in_switch
    data = dynamic[first:] + fixed + [R]
    return (dynamic[:first] + TAIL, data) if frame["brs"] else (dynamic + fixed + [R] + TAIL, [])


def count(frame):
    nominal, data = (flexible if frame["fd"] else classic)(frame)
    return {"nominal": len(nominal), "data": len(data)}


def winner(a, b):
    """0 or 1; None if nothing tells them apart in arbitration. Two nodes send at once, one bit at a time."""
    streams = [arbitration(f) + [D] if not f["extended"] else arbitration(f) for f in (a, b)]  # a base frame's IDE
    for pair in zip(*streams):
        if pair[0] != pair[1]:
            return pair.index(D)
    return None


def frame(ident, data=b"", *, extended=False, remote=False, fd=False, brs=False, length=None):
    return {"id": ident, "extended": extended, "remote": remote, "fd": fd, "brs": brs,
            "len": len(data) if length is None else length, "hex": data.hex()}


def every():
    """A few of each kind that are hard on stuffing, then some by chance (the same ones each time)."""
    chance = random.Random(11898)
    out = []
    for extended in (False, True):
        top = 0x1FFFFFFF if extended else 0x7FF
        for ident in (0, top, top // 3, 0x18DA01F1 & top, 0x078 & top):
            for n in (0, 1, 8):
                for octet in (0x00, 0xFF, 0x3C, 0xF8):
                    if n or not octet:
                        out.append(frame(ident, bytes([octet]) * n, extended=extended))
            for n in (0, 1, 8):
                out.append(frame(ident, extended=extended, remote=True, length=n))
        for brs in (False, True):
            for n in LENGTHS:
                for octet in (0x00, 0x1F):
                    out.append(frame(top // 5, bytes([octet]) * n, extended=extended, fd=True, brs=brs))
    for _ in range(200):
        extended, fd = chance.random() < 0.7, chance.random() < 0.6
        n = chance.choice(LENGTHS if fd else LENGTHS[:9])
        # few different octets, so that runs are frequent
        some = [0x00, 0xFF, 0x01, 0x80, 0xF0, chance.randrange(256)]
        out.append(frame(chance.randrange(1 << (29 if extended else 11)) & chance.choice([~0, 0x1F00F0F0, 0x7E0]),
                         bytes(chance.choice(some) for _ in range(n)), extended=extended, fd=fd,
                         brs=fd and chance.random() < 0.5))
    return out


def pairs():
    kinds = [frame(i, extended=e, remote=r, fd=f) for e, idents in ((False, (0, 0x123, 0x7FF)),
                                                                   (True, (0x123 << 18, (0x123 << 18) + 1, 0x1FFFFFFF)))
             for i in idents for r, f in ((False, False), (True, False), (False, True))]
    return [(a, b) for a in kinds for b in kinds]


def document():
    lines = ",\n".join("  " + json.dumps({**f, **count(f)}, separators=(",", ":")) for f in every())
    duels = ",\n".join("  " + json.dumps({"a": a, "b": b, "winner": winner(a, b)}, separators=(",", ":")) for a, b in pairs())
    return f'{{"frames": [\n{lines}\n], "duels": [\n{duels}\n]}}\n'


class Model(unittest.TestCase):
    def test_check_values(self):
        text = [b for octet in b"123456789" for b in bits(octet, 8)]
        self.assertEqual(crc15(text), 0x059E)       # CRC-15/CAN
        self.assertEqual(crc17(text, 0), 0x04F03)   # CRC-17/CAN-FD
        self.assertEqual(crc21(text, 0), 0x0ED841)  # CRC-21/CAN-FD

    def test_closed_formulas(self):
        """Unstuffed lengths are 47 + 8n and 67 + 8n bits; a run of n bits holds at most (n - 1) / 4 stuff bits."""
        for f in every():
            if f["fd"]:
                continue
            octets = 0 if f["remote"] else f["len"]
            bare = (67 if f["extended"] else 47) + 8 * octets
            reach = bare - 13 # all that is stuffed
            self.assertLessEqual(bare, count(f)["nominal"])
            self.assertLessEqual(count(f)["nominal"], bare + (reach - 1) // 4)
        # 29-bit ids, eight octets: 131 and what is stuffed
        quiet = frame(0x0AAAAAAA, b"\x55" * 8, extended=True)
        self.assertLessEqual(count(quiet)["nominal"], 131 + 3)
        # all dominant but for the recessive SRR and IDE
        self.assertEqual(stuffed([D] * 13, at_end=True)[0], [D] * 5 + [R] + [D] * 5 + [R] + [D] * 3)
        self.assertEqual(stuffed([D] * 5 + [R] * 4 + [D], at_end=True)[0], [D] * 5 + [R] * 5 + [D] + [D])

    def test_file(self):
        with open(FILE, encoding="utf-8") as f:
            self.assertEqual(f.read(), document())


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        with open(FILE, "w", encoding="utf-8") as out:
            out.write(document())
    else:
        tap.main()
