#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The byte vectors against an independent CBOR decoder and frame decoder, and doc/protocol.md against the vectors
and against the numbers of gw-protocol.h, both ways: what one has and the other has not is a failure."""
import json
import os
import re
import struct
import sys
import unittest

import cbor2

ROOT = os.environ["GW_SOURCE_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests/lib"))
import tap  # noqa: E402


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


MESSAGES = json.loads(read("tests/vectors/messages.json"))
FRAMES = json.loads(read("tests/vectors/frames.json"))
CAN = json.loads(read("tests/vectors/can.json"))
DOC = read("doc/protocol.md")


def as_json(item):
    if isinstance(item, dict):
        return {str(k): as_json(v) for k, v in item.items()}
    if isinstance(item, list):
        return [as_json(v) for v in item]
    if isinstance(item, bytes):
        return "hex:" + item.hex()
    return item


def fcs(octets):
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


def section(title):
    return re.search(rf"^## \d+\. {title}\n(.*?)(?=^## |\Z)", DOC, re.M | re.S).group(1)


def numbers_of_header():
    text = read("src/common/gw-protocol.h")
    return dict(re.findall(r'^#define (GW_\w+) ("[^"]*"|\w+)', text, re.M))


def number(text):
    return text if text.startswith('"') else int(text.rstrip("u"), 0)


class Vectors(unittest.TestCase):
    def test_messages(self):
        """each message's header and body as an independent decoder reads them"""
        for v in MESSAGES:
            octets = bytes.fromhex(v["hex"])
            first, flags, length, group, seq, command = struct.unpack(">BBHHBB", octets[:8])
            self.assertEqual((first, flags, length), (8 | v["op"], 0, len(octets) - 8), v["name"])
            self.assertEqual((group, seq, command), (v["group"], v["seq"], v["command"]), v["name"])
            self.assertEqual(as_json(cbor2.loads(octets[8:])), v["body"], v["name"])

    def test_frames(self):
        """each frame by a second implementation of RFC 1662"""
        for v in FRAMES:
            octets = bytes.fromhex(v["hex"])
            self.assertEqual((octets[0], octets[-1]), (0x7E, 0x7E), v["name"])
            self.assertNotIn(0x7E, octets[1:-1], v["name"])
            inner = re.sub(rb"\x7d(.)", lambda m: bytes([m[1][0] ^ 0x20]), octets[1:-1], flags=re.S)
            self.assertEqual(fcs(inner), 0xF0B8, v["name"])
            self.assertEqual(inner[0], v["address"], v["name"])
            self.assertEqual(inner[1], 0x13 if v["poll"] else 0x03, v["name"])
            self.assertEqual(inner[2:-2].hex(), v["info"], v["name"])

    def test_can(self):
        """each CAN frame's fields where CiA 301, CiA 305 and ISO 15765-2 have them, and its SLCAN line"""
        for v in CAN:
            octets, can_id, means = bytes.fromhex(v["hex"]), int(v["id"], 16), v["means"]
            letter = "t" if len(v["id"]) == 3 else "T"
            self.assertEqual(v["slcan"], f"{letter}{v['id'].upper()}{len(octets)}{v['hex'].upper()}", v["name"])
            if "target" in means:
                self.assertEqual((can_id >> 16, can_id >> 8 & 255, can_id & 255), (0x18DA, means["target"], means["source"]))
            elif can_id > 0x700 and can_id < 0x780:
                self.assertEqual((can_id - 0x700, octets), (means["node_id"], bytes([means["state"]])), v["name"])
            elif can_id == 0:
                self.assertEqual(octets, bytes([means["command"], means["node_id"]]), v["name"])
            else:
                self.assertEqual(octets, self.lss(**means), v["name"])

    @staticmethod
    def lss(command, id_number=None, **fields):
        octets = bytes([command]) + (b"" if id_number is None else struct.pack("<I", id_number))
        return (octets + bytes(fields.values())).ljust(8, b"\0")

    def test_names(self):
        """no name twice"""
        names = [v["name"] for v in MESSAGES + FRAMES + CAN]
        self.assertEqual(len(names), len(set(names)))


class Document(unittest.TestCase):
    def test_vectors(self):
        """section 8 holds exactly the vectors"""
        block = re.search(r"```\n(.*?)```", section("Byte vectors"), re.S).group(1)
        found = {}
        for name, rest in re.findall(r"^(\S+)\n((?:  .*\n)+)", block, re.M):
            lines = [line[2:] for line in rest.splitlines()]
            hexes = [line for line in lines if re.fullmatch("[0-9a-f]+", line)]
            found[name] = ("".join(hexes), json.loads(" ".join(lines[len(hexes):])))
        want = {v["name"]: (v["hex"], v["body"]) for v in MESSAGES}
        want |= {v["name"]: (v["hex"], {k: v[k] for k in ("address", "poll", "info")}) for v in FRAMES}
        want |= {v["name"]: (v["hex"], {k: v[k] for k in ("id", "slcan", "means")}) for v in CAN}
        self.assertEqual(found, want)

    def test_numbers(self):
        """section 7 holds exactly the numbers of gw-protocol.h"""
        rows = re.findall(r'^\| (GW_\w+) \| ("[^"]*"|\w+) \|', section("Numbers"), re.M)
        self.assertEqual(len(rows), len(dict(rows)))
        found = {name: number(value) for name, value in rows}
        want = {name: number(value) for name, value in numbers_of_header().items()}
        self.assertEqual(found, want)

    def test_commands(self):
        """the command tables of section 4 agree with the numbers, and every command has a vector"""
        header = {name: number(value) for name, value in numbers_of_header().items()}
        groups = {"gw_link": "LINK", "gw_ident": "IDENT", "gw_data": "DATA"}
        with_vector = {(v["group"], v["command"]) for v in MESSAGES}
        ops = {(v["group"], v["command"]): v["op"] // 2 for v in MESSAGES}
        for name, prefix in groups.items():
            table = re.search(rf"^### {name}\n\n\|.*?\n\n", section("Our groups"), re.M | re.S).group(0)
            rows = re.findall(r"^\| (\d+) ([a-z ]+) \| ([RWE]) \|", table, re.M)
            self.assertEqual([int(n) for n, _, _ in rows], list(range(len(rows))))
            for n, command, kind in rows:
                key = f"GW_{prefix}_{command.upper().replace(' ', '_')}"
                self.assertEqual(header[key], int(n), key)
                self.assertIn((header[f"GW_SMP_GROUP_{prefix}"], int(n)), with_vector, key)
                self.assertEqual(ops[header[f"GW_SMP_GROUP_{prefix}"], int(n)], 0 if kind == "R" else 1, key)

    def test_errors(self):
        """the lists of group errors name each code once, in order"""
        for name, prefix in (("gw_ident", "IDENT"), ("gw_data", "DATA")):
            text = re.search(rf"^### {name}\n.*?Errors of the group: (.*?)\.\n", section("Our groups"), re.M | re.S)
            codes = [int(n) for n in re.findall(r"(\d+) ", text.group(1))]
            want = [number(v) for k, v in numbers_of_header().items() if k.startswith(f"GW_{prefix}_ERR_")]
            self.assertEqual(codes, want, name)


if __name__ == "__main__":
    tap.main()
