#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input behind a sound DTLS session: SMP and CBOR, identity, reports and points of endpoints that lie, or are broken. Each is told by
the endpoint's StateReason, an SMP error or a D-Bus error; nothing of it touches the endpoint beside. See bad-input.md."""
import base64
import itertools
import os
import struct

import cbor2
from gi.repository import GLib

import tap
from bus import ROOT, error_name
from pki import openssl
from rogue import (ANCHOR, CERT_PUT, CSR, DATA, DESCRIBE, ENUM, EVENT, IDENT, INFO, OS, OWN, READ, REPORT, SIGN, WRITE, Arena,
                   Endpoint, make_csr, smp)
from supervisor import wait, within

ASKED = "it could not be asked what it is: "
DAMAGED = ASKED + "the endpoint's answer is damaged: "
INFO_DAMAGED = ASKED + "the endpoint's description of itself is damaged: "
NAMELESS = ASKED + "the endpoint does not name the groups gw_ident and gw_data: "
CONTRADICTS = "what it says of itself in the clear is not what it says inside the proven session"
REFUSED = "could not be enrolled: The endpoint's certificate request "
BUSY, INVALID, UNSUPPORTED = {"rc": 10}, {"rc": 3}, {"rc": 8}
BOOT = b"\1\2\3\4"


def fixed(group, command, body):
    """A rogue that always answers so."""
    return {"answers": {(group, command): lambda endpoint, request: body}}


def alternating(group, command, *bodies):
    """One that answers so in turn."""
    turns = itertools.cycle(bodies)
    return {"answers": {(group, command): lambda endpoint, request: next(turns)}}


def info(**changes):
    """One whose info differs; a value of None leaves the key out."""
    def answer(endpoint, request):
        whole = dict(endpoint.info(), **changes)
        return {key: value for key, value in whole.items() if value is not None}
    return {"answers": {(IDENT, INFO): answer}}


def report(q=1, boot=BOOT, records=None, **changes):
    body = {"bt": boot, "q": q, "up": 130000 + q, "s": records or [{0: "temperature", 2: 20.0 + q, 6: 0}]}
    body.update(changes)
    return {key: value for key, value in body.items() if value is not None}


class Requester(Endpoint):
    """One whose signing request is made by a function of it."""

    def __init__(self, plugin, keys, make):
        self.make = make
        super().__init__(plugin, keys)

    def csr(self):
        return self.make(self)


class Bad(Arena):
    def all_refused(self, cases):
        """cases: {name: (what the rogue does, the StateReason)}; all at once, each a chip of its own."""
        plugin, rogues = self.plugin(), {}
        for name, (kwargs, text) in cases.items():
            rogues[name] = (self.endpoint(plugin, **kwargs), text)
        for name, (rogue, text) in rogues.items():
            with self.subTest(name):
                self.wait_reason(rogue.keys.id, text)
                self.assertEqual(self.lab.state_of(rogue.keys.id), "quarantined")

    def silence(self, rogue, seconds=0.3):
        self.assertFalse(within(seconds, lambda: rogue.answered))

    def call(self, *call):
        """A method of the agent, while the rogues go on answering; its results, or the GLib.Error."""
        path, interface, member, signature, *args = call
        done = []
        self.lab.bus.call_async(path, interface, member, signature, tuple(args), done.append)
        return wait(f"{member}'s answer", lambda: done, 30)[0]

    def refused(self, *call):
        error = self.call(*call)
        self.assertIsInstance(error, GLib.Error)
        return error_name(error).rsplit(".", 1)[1]

    def delivered(self, keys):
        """{(boot, q)} of a rogue that the broker's subscriber has seen."""
        return {(boot, q) for kid, boot, q in self.lab.subscriber.read().deliveries if kid == keys.id}

    def path(self, keys):
        return self.lab.bus.endpoints()[keys.id]["path"]


class Smp(Bad):
    def test_answers_that_are_no_cbor_map(self):
        bomb = b"\xff" * 8
        self.all_refused({
            "nested": (fixed(IDENT, INFO, b"\xa1\x61x" + b"\x81" * 300 + b"\x00"), DAMAGED + "over a limit"),
            "nested, indefinite": (fixed(IDENT, INFO, b"\xa1\x61x" + b"\x9f" * 300), DAMAGED + "over a limit"),
            "never closed": (fixed(IDENT, INFO, b"\xbf\x61a\x00"), DAMAGED + "truncated"),
            "a map's length": (fixed(IDENT, INFO, b"\xbb" + bomb), DAMAGED + "truncated"),
            "an array's length": (fixed(IDENT, INFO, b"\xa1\x65slots\x9b" + bomb), DAMAGED + "truncated"),
            "a string's length": (fixed(IDENT, INFO, b"\xa1\x63uid\x5b" + bomb), DAMAGED + "truncated"),
            "nothing": (fixed(IDENT, INFO, b""), DAMAGED + "truncated"),
            "an array": (fixed(IDENT, INFO, b"\x80"), DAMAGED + "wrong type"),
            "two": (fixed(IDENT, INFO, b"\xa0\xa0"), DAMAGED + "malformed"),
            "reserved": (fixed(IDENT, INFO, b"\xa1\x61a\x1c"), DAMAGED + "malformed"),
            "huge": (fixed(IDENT, INFO, b"\xb8\x50" + b"".join(b"\x63%03d\x00" % n for n in range(80))),
                     INFO_DAMAGED + "a field is missing"),
            "rc of a type": (fixed(IDENT, INFO, {"rc": "no"}), DAMAGED + "wrong type"),
            "err of a type": (fixed(IDENT, INFO, {"err": 9}), DAMAGED + "wrong type"),
            "an rc": (fixed(IDENT, INFO, {"rc": 1}), ASKED + "the endpoint refused: unknown error (rc 1)"),
            "an error": (fixed(IDENT, INFO, {"err": {"group": IDENT, "rc": 9}}), ASKED + "the endpoint refused: error 9 of its group"),
        })

    def test_groups(self):
        self.all_refused({
            "none": (fixed(ENUM, 3, {"groups": []}), NAMELESS + "not found"),
            "a number": (fixed(ENUM, 3, {"groups": 7}), NAMELESS + "wrong type"),
            "nested": (fixed(ENUM, 3, b"\xa1\x66groups" + b"\x81" * 300), DAMAGED + "over a limit"),
            "too many": (fixed(ENUM, 3, {"groups": [{"group": n} for n in range(40)]}), NAMELESS + "over a limit"),
            "one of two": (fixed(ENUM, 3, {"groups": [{"group": IDENT, "name": "gw_ident"}]}), NAMELESS + "not found"),
            "a huge number": (fixed(ENUM, 3, {"groups": [{"group": 1 << 40, "name": "gw_ident"}]}), NAMELESS + ""),
        })

    def test_each_key_of_info_has_its_type(self):
        keys = ("v", "uid", "kid", "mfr", "mdl", "sn", "fw", "mtu", "sec", "st", "rot", "own", "up", "gen", "slots", "puf")
        text = ("mfr", "mdl", "sn", "fw", "rot")
        self.all_refused({key: (info(**{key: b"octets" if key in text else "text"}), INFO_DAMAGED + "wrong type") for key in keys})

    def test_each_key_of_info_is_needed(self):
        keys = ("v", "uid", "kid", "mfr", "mdl", "sn", "fw", "mtu", "sec", "st", "rot", "up", "gen", "slots")
        self.all_refused({key: (info(**{key: None}), INFO_DAMAGED + "a field is missing") for key in keys})

    def test_bounds_of_info(self):
        slot = {"s": 1, "gen": 1, "kid": bytes(32), "crt": True}
        self.all_refused({
            "long": (info(sn="x" * 25), INFO_DAMAGED + "over a limit"),
            "control characters": (info(sn="a\x1b[2Jb"), INFO_DAMAGED + "not clean text"),
            "NUL": (info(mfr="a\0b"), INFO_DAMAGED + "not clean text"),
            "key id": (info(kid=bytes(31)), INFO_DAMAGED),
            "uid": (info(uid=bytes(8)), INFO_DAMAGED + "out of range"),
            "mtu": (info(mtu=100), INFO_DAMAGED + "out of range"),
            "generation": (info(gen=(1 << 64) - 1), INFO_DAMAGED + "out of range"),
            "negative": (info(up=-1), INFO_DAMAGED + "wrong type"),
            "state": (info(st=3), INFO_DAMAGED + "out of range"),
            "slots": (info(slots=[slot] * 4), INFO_DAMAGED + "over a limit"),
            "a slot": (info(slots=[dict(slot, s=3)]), INFO_DAMAGED + "out of range"),
            "a slot's key": (info(slots=[dict(slot, kid=5)]), INFO_DAMAGED + "wrong type"),
        })

    def test_wrong_headers_are_no_answers(self):
        """Each is dropped, and the right one, which follows, is taken."""
        sent = []

        def wrong_then_right(endpoint, request):
            seq, body = endpoint.in_seq, endpoint.info()
            for octets in (smp(1, IDENT, INFO, (seq + 1) & 255, body), smp(1, IDENT, INFO, (seq - 1) & 255, body),
                           smp(1, IDENT, CSR, seq, body), smp(1, DATA, INFO, seq, body), smp(3, IDENT, INFO, seq, body),
                           smp(1, IDENT, INFO, seq, dict(body, sn="wrong"), version=0),
                           smp(1, IDENT, INFO, seq, dict(body, sn="wrong"), version=3),
                           smp(1, IDENT, INFO, seq, dict(body, sn="wrong"), length=5),
                           smp(1, IDENT, INFO, seq, dict(body, sn="wrong"), length=65535),
                           smp(1, IDENT, INFO, seq, body)[:7], b"\x09", os.urandom(200)):
                endpoint.send(octets)
                sent.append(octets)
            return body
        rogue = self.endpoint(answers={(IDENT, INFO): wrong_then_right})
        wait("the survey", lambda: self.lab.bus.endpoints().get(rogue.keys.id, {}).get("RootOfTrust") == "puf")
        self.assertEqual(self.lab.bus.endpoints()[rogue.keys.id]["SerialNumber"], rogue.keys.name[:24])
        self.assertEqual(len(sent), 12)

    def test_unknown_requests(self):
        rogue = self.endpoint()
        wait("the survey", rogue.surveyed)
        # Not admitted: its reports are put off unread.
        self.assertEqual(rogue.report(report()), BUSY)
        self.assertEqual(rogue.report(b"\x81" * 100), BUSY)
        for group, command in ((DATA, 99), (DATA, WRITE), (IDENT, SIGN), (IDENT, OWN), (OS, 5), (0x7777, 0)):
            self.assertEqual(rogue.answer_to(rogue.ask(command, {}, group=group)), UNSUPPORTED, (group, command))
        # Out of step: dropped; the one that is due is answered.
        due = rogue.out_seq
        for seq in (due + 1, due + 100, due - 2, 255):
            rogue.ask(REPORT, report(), seq=seq & 255)
        self.silence(rogue)
        self.assertEqual(rogue.report(report()), BUSY)
        # The last one again: the answer again.
        self.assertEqual(rogue.answer_to(rogue.ask(REPORT, report(), seq=due)), BUSY)

    def test_a_flood_of_nonsense(self):
        self.cpu = 3.0
        rogue = self.endpoint()
        wait("the survey", rogue.surveyed)
        nonsense = [os.urandom(400).hex() for _ in range(20)]
        for n in range(5000):
            rogue.tell(nonsense[n % 20])
        # What does not fit on the line is lost, so the question is asked until it is answered.
        wait("an answer", lambda: rogue.ask(REPORT, report(), seq=0) in rogue.answered, 30)
        self.assertEqual(rogue.answered[0], BUSY)


class Identity(Bad):
    def test_hello_that_differs_from_info(self):
        plugin, other = self.plugin(), os.urandom(32)
        for changes in ({"sn": "another"}, {"mfr": "Other"}, {"mdl": "R2"}, {"fw": "9.9"}, {"v": 2}, {"sec": 0},
                        {"kid": other, "uid": other[:8]}):
            with self.subTest(changes):
                keys = self.claimed_keys()
                rogue = self.endpoint(plugin, keys, hello_differs=changes)
                self.wait_reason(keys.id, CONTRADICTS)
                self.assertNotIn(keys.id, self.lab.broker.users())
                self.assertEqual(rogue.report(report()), BUSY)

    def test_info_of_another_key(self):
        keys, other = self.claimed_keys(), os.urandom(32)
        self.endpoint(keys=keys, hello_cbor=b"", **info(kid=other, uid=other[:8]))
        self.wait_reason(keys.id, CONTRADICTS)

    def test_an_unreadable_hello(self):
        """The hello is a hint: one that nobody can read hides nothing, and lets nobody in."""
        for octets in (b"", os.urandom(60), b"\xbf" * 400):
            rogue = self.endpoint(hello_cbor=octets)
            self.lab.wait_state(rogue.keys.id, "quarantined")

    def test_the_generation_fell(self):
        keys = self.claimed_keys()
        rogue = self.endpoint(keys=keys)
        rogue.generation = 7
        self.lab.wait_online([keys.id])
        tls = rogue.tls
        self.leave(rogue)
        again = self.endpoint(keys=keys)
        again._tls, again.generation, again.owner = tls, 6, rogue.owner
        self.wait_reason(keys.id, "its key generation fell from 7 to 6: its flash was rolled back, or it is a copy")
        self.assertEqual(again.report(report()), BUSY)
        self.assertFalse(self.lab.bus.endpoints()[keys.id]["Connected"])

    def leave(self, rogue):
        rogue.close()
        self.peers.remove(rogue)
        wait("its absence", lambda: self.lab.bus.endpoints()[rogue.keys.id]["Presence"] == "absent")

    def test_signing_requests(self):
        lab, plugin = self.lab, self.plugin()
        stale = os.urandom(32)
        p384 = self.keys(algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-384"))

        def broken(e):
            whole = make_csr(lab, e.tls, e.up)
            return whole[:-1] + bytes([whole[-1] ^ 1])

        cases = {
            "the identity key": (lambda e: make_csr(lab, e.keys, e.up), "asks for a certificate over the chip's identity key"),
            "not its own signature": (broken, "is not signed with its own key"),
            "another session": (lambda e: make_csr(lab, e.tls, stale), "was made in another session"),
            "no binding": (lambda e: make_csr(lab, e.tls, e.up, password=""), "is not bound to a session"),
            "half a binding": (lambda e: make_csr(lab, e.tls, e.up, password=base64.b64encode(e.up).decode()[:-4]),
                               "was made in another session"),
            "another curve": (lambda e: make_csr(lab, p384, e.up), "holds a key that is not an uncompressed P-256 point"),
            "noise": (lambda e: os.urandom(200), "is not a DER certificate request"),
            "octets behind it": (lambda e: make_csr(lab, e.tls, e.up) + b"\0", "is not a DER certificate request"),
        }
        for name, (make, text) in cases.items():
            with self.subTest(name):
                keys = self.claimed_keys()
                rogue = Requester(plugin, keys, make)
                self.peers.append(rogue)
                self.wait_reason(keys.id, REFUSED + text + "; it gets no certificate")
                self.assertIsNone(rogue.certificate)
                self.assertNotIn(keys.id, self.lab.broker.users())

    def test_a_signing_request_over_another_key_than_it_told(self):
        keys = self.claimed_keys()
        rogue = self.endpoint(keys=keys)
        self.lab.wait_online([keys.id])
        self.leave(rogue)
        again = Requester(self.plugin(), keys, lambda e: make_csr(self.lab, self.keys(), e.up))
        self.peers.append(again)
        again._tls, again.owner, again.certificate = rogue.tls, rogue.owner, rogue.certificate
        wait("its return", lambda: self.lab.state_of(keys.id) == "online")
        job = self.lab.bus.call(self.path(keys), "Endpoint", "Renew", "(a{sv})", {})[0]
        _done, error, text = self.lab.bus.job(job)
        self.assertTrue(error.endswith("NotTrusted"), error)
        self.assertIn("over another key than it says slot 1 holds", text)

    def test_nothing_but_the_key_is_taken_from_a_signing_request(self):
        keys = self.claimed_keys()
        extra = ("basicConstraints=critical,CA:TRUE", "subjectAltName=DNS:gateway.example", "extendedKeyUsage=serverAuth,codeSigning")
        rogue = Requester(self.plugin(), keys, lambda e: make_csr(self.lab, e.tls, e.up, extra=extra))
        self.peers.append(rogue)
        self.lab.wait_online([keys.id])
        text = openssl("x509", "-inform", "DER", "-noout", "-text", data=rogue.certificate).decode()
        self.assertIn(f"CN = {keys.id}", text)
        self.assertIn("CA:FALSE", text)
        self.assertIn("TLS Web Client Authentication\n", text)
        for foreign in ("CA:TRUE", "gateway.example", "Server Authentication", "Code Signing", "anything"):
            self.assertNotIn(foreign, text)

    def test_lies_while_it_is_taken(self):
        plugin = self.plugin()
        own, csr = "the endpoint's answer to taking ownership is damaged: ", "the endpoint's answer to the request for its certificate is damaged: "
        anchor = "the endpoint's answer to its owner's certificate is damaged: "
        cases = {
            "anchor beyond its end": (fixed(IDENT, ANCHOR, {"off": 5000}), anchor + "out of range"),
            "anchor of a type": (fixed(IDENT, ANCHOR, {"off": "x"}), anchor + "wrong type"),
            "anchor that never moves": (fixed(IDENT, ANCHOR, {"off": 0}), "the endpoint takes no more of its owner's certificate at octet 0"),
            "anchor that goes to and fro": (alternating(IDENT, ANCHOR, {"off": 7}, {"off": 0}), "the endpoint takes no more of its owner's"),
            "not owned after all": (fixed(IDENT, OWN, {"st": 0}), own + "not in this state"),
            "own of a type": (fixed(IDENT, OWN, {"st": "1"}), own + "wrong type"),
            "own refused": (fixed(IDENT, OWN, {"err": {"group": IDENT, "rc": 4}}), "the endpoint refused: error 4 of its group"),
            "own too late": (fixed(IDENT, OWN, {"rc": 11}),
                             "it has no owner and takes one within 10 minutes of its power-up only, which are over"),
            "csr too long": (fixed(IDENT, CSR, {"len": 4096, "off": 0, "csr": bytes(300)}), csr + "out of range"),
            "csr elsewhere": (fixed(IDENT, CSR, {"len": 400, "off": 100, "csr": bytes(100)}), csr + "out of range"),
            "csr of nothing": (fixed(IDENT, CSR, {"len": 400, "off": 0, "csr": b""}), csr),
            "csr of a type": (fixed(IDENT, CSR, {"len": 400, "off": 0, "csr": "text"}), csr + "wrong type"),
            "certificate to and fro": (alternating(IDENT, CERT_PUT, {"off": 7}, {"off": 0}), "the endpoint takes no more of its certificate"),
            "certificate never taken": (fixed(IDENT, CERT_PUT, {"off": 0}), "the endpoint takes no more of its certificate at octet 0"),
        }
        for name, (kwargs, text) in cases.items():
            with self.subTest(name):
                keys = self.claimed_keys()
                self.endpoint(plugin, keys, **kwargs)
                self.wait_reason(keys.id, "could not be enrolled: " + text)
                remedy = self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", keys.id)[2]
                self.assertEqual("power-cycle it" in remedy, "too late" in name, remedy)

    def test_another_owner(self):
        keys = self.claimed_keys()
        self.endpoint(keys=keys, **info(own=os.urandom(32), st=1))
        self.wait_reason(keys.id, "it belongs to another owner")

    def test_bad_signatures(self):
        plugin = self.plugin()
        # The broker's own refusal follows a signature that is none.
        for name, answer in {"noise": {"sig": os.urandom(70)}, "too long": {"sig": bytes(200)}, "of a type": {"sig": 7},
                             "refused": {"err": {"group": IDENT, "rc": 7}}}.items():
            with self.subTest(name):
                keys = self.claimed_keys()
                self.endpoint(plugin, keys, **fixed(IDENT, SIGN, answer))
                self.wait_reason(keys.id, "not connected to the broker: ")
                self.assertNotIn(keys.id, self.lab.broker.users())


class Reports(Bad):
    def test_repeated_skipped_reordered(self):
        rogue = self.enrolled()
        keys = rogue.keys
        self.assertEqual(rogue.report(report(1)), {"bt": BOOT, "q": 1})
        self.assertEqual(rogue.report(report(1)), {"bt": BOOT, "q": 1})  # under a new SMP number: answered, stored once
        again = rogue.ask(REPORT, report(2))
        self.assertEqual(rogue.answer_to(again), {"bt": BOOT, "q": 2})
        rogue.ask(REPORT, report(2), seq=again)  # under the same: the stored answer
        self.assertEqual(rogue.answer_to(again), {"bt": BOOT, "q": 2})
        self.assertEqual(rogue.report(report(10)), {"bt": BOOT, "q": 10})  # 3 to 9 were dropped by it
        self.assertEqual(rogue.report(report(5)), {"bt": BOOT, "q": 5})  # comes late: nothing new
        boot = b"\5\6\7\x08"
        self.assertEqual(rogue.report(report(1, boot)), {"bt": boot, "q": 1})
        expected = {(BOOT.hex(), 1), (BOOT.hex(), 2), (BOOT.hex(), 10), (boot.hex(), 1)}
        wait("its reports", lambda: self.delivered(keys) >= expected)
        self.assertEqual(self.delivered(keys), expected)
        wait("the count", lambda: self.lab.bus.get(self.path(keys), "Endpoint", "ReportsLost") == 7)

    def test_malformed(self):
        rogue = self.enrolled()
        value = {0: "temperature", 2: 1.0, 6: 0}
        bad = {
            "no map": b"\x80", "nested": b"\xa1\x61s" + b"\x81" * 200, "a map's length": b"\xbb" + b"\xff" * 8,
            "no boot": report(bt=None), "short boot": report(bt=b"\1"), "boot of a type": report(bt="boot"),
            "no number": report(q=1, s=None), "number of a type": dict(report(), q="1"), "negative": dict(report(), q=-1),
            "number 0": report(0), "no uptime": report(up=None), "uptime of a type": report(up=b"x"), "no list": report(s=7),
            "too many": report(records=[{2: n} for n in range(65)]),
            "no name": report(records=[{2: 1.0}]), "a long name": report(records=[dict(value, **{})] + [{0: "x" * 33, 2: 1}]),
            "a name's characters": report(records=[{0: "a\x1bb", 2: 1}]), "no value": report(records=[{0: "x"}]),
            "two values": report(records=[{0: "x", 2: 1, 3: "one"}]), "value of a type": report(records=[{0: "x", 2: "one"}]),
            "nested value": report(records=[{0: "x", 2: [1]}]), "base value": report(records=[{-5: 1, 0: "x", 2: 1}]),
            "must understand": report(records=[{"x_": 1, 0: "x", 2: 1}]),
            "in 10^300 s": report(records=[{0: "x", 2: 1, 6: 1e300}]), "before time": report(records=[{0: "x", 2: 1, 6: -1e300}]),
            "no time at all": report(records=[{0: "x", 2: 1, 6: float("nan")}]),
            "an endless one": report(records=[{0: "x", 2: 1, 6: float("inf")}]),
            "a sum of times": report(records=[{-3: 9e11, 0: "x", 2: 1, 6: 9e11}]),
            "no number as a value": report(records=[{0: "x", 2: float("nan")}]),
            "a long text": report(records=[{0: "x", 3: "y" * 200}]), "unclean text": report(records=[{0: "x", 3: "\x1b[2J"}]),
            "long octets": report(records=[{0: "x", 8: bytes(200)}]), "octets behind it": cbor2.dumps(report()) + b"\0",
        }
        for name, body in bad.items():
            with self.subTest(name):
                self.assertEqual(rogue.report(body), INVALID, name)
        for name, body in {"a level": {"bt": BOOT, "q": 1, "up": 1, "lv": 9, "c": 1}, "no code": {"bt": BOOT, "q": 1, "up": 1, "lv": 1},
                           "text": {"bt": BOOT, "q": 1, "up": 1, "lv": 1, "c": 1, "m": "x" * 200}}.items():
            with self.subTest("event: " + name):
                self.assertEqual(rogue.answer_to(rogue.ask(EVENT, body)), INVALID)
        self.assertEqual(rogue.report(report(1)), {"bt": BOOT, "q": 1})
        wait("the good one", lambda: self.delivered(rogue.keys) == {(BOOT.hex(), 1)})

    def test_absurd_numbers(self):
        """An endpoint may lie about its own count; it harms nobody else's, and its reports still come."""
        rogue = self.enrolled()
        top = (1 << 63) - 1
        for q in (top - 1, top):
            self.assertEqual(rogue.report(report(q, up=1)), {"bt": BOOT, "q": q})
        for q in (1 << 63, (1 << 64) - 1):
            self.assertEqual(rogue.report(report(q, up=1)), INVALID)
        boot = b"\7\7\7\7"
        self.assertEqual(rogue.report(report(3, boot)), {"bt": boot, "q": 3})
        wait("all", lambda: self.delivered(rogue.keys) == {(BOOT.hex(), top - 1), (BOOT.hex(), top), (boot.hex(), 3)})

    def test_times_relative_and_absurdly_old(self):
        rogue = self.enrolled()
        self.assertEqual(rogue.report(report(1, records=[{0: "temperature", 2: 1.0, 6: -9e11}])), {"bt": BOOT, "q": 1})
        self.assertEqual(rogue.report(report(2, records=[{-3: 9e11, 0: "temperature", 2: 1.0}])), {"bt": BOOT, "q": 2})
        wait("both", lambda: len(self.delivered(rogue.keys)) == 2)

    def test_ever_new_boots(self):
        rogue = self.enrolled()
        for n in range(200):
            boot = struct.pack(">I", n)
            self.assertEqual(rogue.report(report(1, boot)), {"bt": boot, "q": 1})
        wait("all of them", lambda: len(self.delivered(rogue.keys)) == 200)

    def test_the_largest_report(self):
        rogue = self.enrolled()
        records = [{-2: "t", 0: f"{n}", 2: n} for n in range(20)]
        self.assertEqual(rogue.report(report(1, records=records)), {"bt": BOOT, "q": 1})
        wait("it", lambda: self.delivered(rogue.keys))


class Points(Bad):
    VALVE, TEMPERATURE = 2, 1

    def write(self, rogue, point, value, options=None):
        return self.call(self.path(rogue.keys), "Points", "Write", "(uva{sv})", point, value, options or {})[0]

    def write_refused(self, rogue, point, value, options=None):
        return self.refused(self.path(rogue.keys), "Points", "Write", "(uva{sv})", point, value, options or {})

    def ready(self, **kwargs):
        rogue = self.enrolled(**kwargs)
        wait("its points", lambda: len(self.lab.bus.of("Points").get(self.path(rogue.keys), {}).get("Points", ())) == len(rogue.points))
        return rogue

    def test_writes_that_do_not_go_out(self):
        rogue = self.ready()
        v = GLib.Variant
        before = len(rogue.asked)
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("i", 101)), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("i", -1)), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("t", (1 << 64) - 1)), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("d", float("nan"))), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("d", float("inf"))), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("d", 1.5)), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("s", "open")), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("b", True)), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("av", [])), "Invalid")
        self.assertEqual(self.write_refused(rogue, self.TEMPERATURE, v("d", 1.0)), "Unsupported")
        self.assertEqual(self.write_refused(rogue, 99, v("d", 1.0)), "NotFound")
        self.assertEqual(self.write_refused(rogue, self.VALVE, v("i", 1), {"no-such": v("b", True)}), "Invalid")
        self.assertEqual([a for a in rogue.asked[before:] if a[:2] == (DATA, WRITE)], [])

    def test_what_the_endpoint_refuses(self):
        rogue = self.ready()
        for rc, name in ((2, "NotFound"), (3, "Invalid"), (4, "Invalid"), (5, "Unsupported"), (6, "Timeout"), (7, "BadState"),
                         (99, "Failed")):
            rogue.answers[(DATA, WRITE)] = lambda e, b, rc=rc: {"err": {"group": DATA, "rc": rc}}
            self.assertEqual(self.write_refused(rogue, self.VALVE, GLib.Variant("i", 5)), name, rc)

    def test_damaged_answers(self):
        rogue = self.ready()
        for body in ({}, {"v": 5}, {"v": 5, "up": "x"}, {"v": [1], "up": 1}, {"v": {}, "up": 1}):
            rogue.answers[(DATA, WRITE)] = lambda e, b, body=body: body
            self.assertEqual(self.write_refused(rogue, self.VALVE, GLib.Variant("i", 5)), "Failed", body)
        for body in ({}, {"s": 7}, {"s": []}, {"s": [{0: "temperature"}]}, {"s": [{0: "temperature", 3: "warm"}]},
                     {"s": [{0: "valve", 2: 5}]}, {"s": [{0: "temperature", 2: float("nan")}]}, b"\xbb" + b"\xff" * 8):
            rogue.answers[(DATA, READ)] = lambda e, b, body=body: body
            self.assertEqual(self.refused(self.path(rogue.keys), "Points", "Read", "(au)", [self.TEMPERATURE]), "Invalid", body)
        rogue.answers[(DATA, READ)] = lambda e, b: {"s": [{0: "temperature", 2: 20.5}]}
        value = self.call(self.path(rogue.keys), "Points", "Read", "(au)", [self.TEMPERATURE])[0][0]
        self.assertEqual((value[0], value[2]), (self.TEMPERATURE, 20.5))

    def test_bad_descriptions(self):
        good = {"id": 1, "n": "ok", "ty": 3, "a": 1}
        many = [dict(good, id=n, n=f"p{n}") for n in range(20)]
        for name, body in {
                "no list": {"n": 1, "rev": 1}, "not a list": {"n": 1, "rev": 1, "p": 1}, "a name": {"n": 1, "rev": 1, "p": [dict(good, n="a\x1bb")]},
                "a long name": {"n": 1, "rev": 1, "p": [dict(good, n="x" * 33)]}, "a type": {"n": 1, "rev": 1, "p": [dict(good, ty=6)]},
                "access": {"n": 1, "rev": 1, "p": [dict(good, a=8)]}, "limits": {"n": 1, "rev": 1, "p": [dict(good, lo=5, hi=1)]},
                "a step": {"n": 1, "rev": 1, "p": [dict(good, st=-1)]}, "too many": {"n": 300, "rev": 1, "p": many},
                "a unit": {"n": 1, "rev": 1, "p": [dict(good, u="x" * 40)]}}.items():
            with self.subTest(name):
                rogue = self.enrolled(**fixed(DATA, DESCRIBE, body))
                wait("the question", lambda r=rogue: any(a[:2] == (DATA, DESCRIBE) for a in r.asked))
                wait("its end", lambda r=rogue: f"endpoint {r.keys.id[:16]} does not describe its points: damaged" in self.said())
                self.assertEqual(self.lab.bus.of("Points").get(self.path(rogue.keys), {}).get("Points", []), [])
                rogue.close()
                self.peers.remove(rogue)

    def test_a_description_without_end(self):
        """It names 256 points and gives one at a time, the same for ever."""
        rogue = self.enrolled(**fixed(DATA, DESCRIBE, {"n": 256, "rev": 1, "p": [{"id": 1, "n": "again", "ty": 3, "a": 1}]}))
        asked = lambda: sum(a[:2] == (DATA, DESCRIBE) for a in rogue.asked)  # noqa: E731
        wait("some questions", lambda: asked() > 5)
        wait("the last", lambda: self.lab.bus.of("Points").get(self.path(rogue.keys), {}).get("Points") is not None
             or "twice" in self.said(), 20)
        self.assertLessEqual(asked(), 256)

    def test_the_time_to_live_goes_with_it(self):
        rogue = self.ready()
        rogue.answers[(DATA, WRITE)] = lambda e, b: {"v": b["v"], "up": 200000}
        self.write(rogue, self.VALVE, GLib.Variant("i", 50))
        body = next(a[2] for a in reversed(rogue.asked) if a[:2] == (DATA, WRITE))
        # 120 s of uptime at the survey, and at most a minute to live.
        self.assertGreater(body["by"], 120000)
        self.assertLess(body["by"], 120000 + 120000)


if __name__ == "__main__":
    tap.main()
