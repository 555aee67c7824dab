#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The PUF and key vectors of doc/protocol.md, computed a second time from its text alone.

An independent implementation in Python: code, helper data, HKDF, scalar, public key, key id. Run with the path of
doc/protocol.md it compares (TAP); without, it prints the values.
"""
import hashlib
import hmac
import re
import struct
import sys
import zlib

G_OCTAL = "215713331471510151261250277442142024165471"  # generator of BCH(255,131,18)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def bits_of(data):
    return [data[i // 8] >> (i % 8) & 1 for i in range(8 * len(data))]


def octets_of(bits):
    out = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        out[i // 8] |= bit << (i % 8)
    return bytes(out)


def encode(message):
    generator = int(G_OCTAL, 8)
    value = sum(bit << (124 + i) for i, bit in enumerate(message))
    rest = value
    for at in range(254, 123, -1):
        if rest >> at & 1:
            rest ^= generator << (at - 124)
    value ^= rest
    return [value >> i & 1 for i in range(255)]


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(k, point):
    result = None
    while k:
        if k & 1:
            result = add(result, point)
        point = add(point, point)
        k >>= 1
    return result


def expand(prk, info, length):
    out = block = b""
    count = 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
        count += 1
    return out[:length]


def key_id(scalar):
    x, y = multiply(scalar, G)
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
    return hashlib.sha256(spki + x.to_bytes(32, "big") + y.to_bytes(32, "big")).hexdigest()


def scalar_of(prk, info):
    return int.from_bytes(expand(prk, info, 48), "big") % (N - 1) + 1


def compute():
    region = b"".join(hashlib.sha256(b"gangway cells" + bytes([i])).digest() for i in range(256))
    cells = region[:319]
    drawn = [hashlib.sha256(b"gangway message" + bytes([b])).digest()[:17] for b in range(2)]
    messages = [bits_of(m)[:131] for m in drawn]
    codewords = [encode(m) for m in messages]
    offsets = bits_of(cells)[:2550]
    for r in range(5):
        for b in range(2):
            for i in range(255):
                offsets[510 * r + 255 * b + i] ^= codewords[b][i]
    ones = sum(bits_of(region)) * 10000 // (8 * len(region))
    helper = b"GWPH" + bytes([1, 2, 5, 18]) + struct.pack(">HH", ones, 0) + octets_of(offsets) + b"\0"
    helper += struct.pack(">I", zlib.crc32(helper))
    prk = hmac.new(hashlib.sha256(helper).digest(), octets_of(messages[0] + messages[1]), hashlib.sha256).digest()
    scalar_id = scalar_of(prk, b"gangway puf v1 id")
    tls = [scalar_of(prk, b"gangway puf v1 tls" + struct.pack(">I", g)) for g in (1, 2)]
    return {
        "cells, first 8": cells[:8].hex(),
        "codeword of block 0": octets_of(codewords[0]).hex(),
        "bias": str(ones),
        "helper, SHA-256": hashlib.sha256(helper).hexdigest(),
        "helper, last 8": helper[-8:].hex(),
        "PRK": prk.hex(),
        "K_id scalar": f"{scalar_id:064x}",
        "key id": key_id(scalar_id),
        "K_tls 1 scalar": f"{tls[0]:064x}",
        "K_tls 1 key id": key_id(tls[0]),
        "K_tls 2 key id": key_id(tls[1]),
        "K_enc": expand(prk, b"gangway puf v1 enc", 32).hex(),
        "K_store": expand(prk, b"gangway puf v1 store", 32).hex(),
        "check value": expand(prk, b"gangway puf v1 check", 16).hex(),
    }


def main():
    values = compute()
    if len(sys.argv) < 2:
        for name, value in values.items():
            print(f"| {name} | `{value}` |")
        return 0
    text = open(sys.argv[1], encoding="utf-8").read()
    failed = 0
    print(f"1..{len(values)}")
    for number, (name, value) in enumerate(values.items(), 1):
        found = re.search(rf"^\| {re.escape(name)} \| `([0-9a-f]+)` \|$", text, re.M)
        good = found and found.group(1) == value
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
