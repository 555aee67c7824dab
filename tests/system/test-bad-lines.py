#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input below the sessions: octets on a serial line that are no frames, or frames that lie, and plugins that break the rules of the bus
socket. Each is counted or told by name, and nothing of it touches the endpoint beside. See bad-input.md."""
import array
import os
import pty
import random
import socket
import struct
import tty

import cbor2
from gi.repository import GLib

import tap
from bus import error_name
from rogue import (DATAGRAM, HELLO, LINK, LINK_NOW, NODE_DOWN, NODE_INFO, NODE_UP, OFF, PASSIVE, SCAN, STATS, Arena, hello, link_now,
                   message, node_info, resources, smp)
from supervisor import wait

FLAG, ESCAPE = 0x7E, 0x7D


def fcs(octets):
    value = 0xFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0x8408 if value & 1 else value >> 1
    return value ^ 0xFFFF


def frame(info, address=0xFF, control=0x03, check=None, escape_all=False):
    octets = bytes([address, control]) + info
    octets += struct.pack("<H", fcs(octets) if check is None else check)
    out = bytearray([FLAG])
    for octet in octets:
        # 5E and 5D cannot be escaped: what would stand there is a flag or an escape.
        escape = octet in (FLAG, ESCAPE) or escape_all and octet not in (FLAG ^ 0x20, ESCAPE ^ 0x20)
        out += bytes([ESCAPE, octet ^ 0x20]) if escape else bytes([octet])
    return bytes(out + bytes([FLAG]))


def unframe(octets):
    """The contents of whole frames in octets, and what is left."""
    found, parts = [], octets.split(bytes([FLAG]))
    for part in parts[:-1]:
        plain, escaped = bytearray(), False
        for octet in part:
            if octet == ESCAPE:
                escaped = True
            else:
                plain.append(octet ^ 0x20 if escaped else octet)
                escaped = False
        if len(plain) >= 4:
            found.append(bytes(plain[2:-2]))
    return found, parts[-1]


class Line:
    """A serial line with gangway-serial on it; the test is the other end. `answer(question)` gives the hello to send, or None."""

    def __init__(self, lab, name):
        self.lab, self.name, self.answer, self.left, self.asked = lab, name, None, b"", 0
        self.master, slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        self.plugin = lab.supervisor.start(f"serial-{name}", [
            lab.binary("plugins", "serial", "gangway-serial"), "--device", os.ttyname(slave), "--name", name, "--bus", lab.address],
            env={"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"})
        self.slave = slave
        self._watch = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.master, GLib.IOCondition.IN, self._ready)
        wait("the bus", lambda: self.path in lab.bus.of("Bus"))
        os.close(slave)

    @property
    def path(self):
        return f"/org/gangway/Gangway1/bus/{self.name}"

    def _ready(self, fd, condition):
        try:
            infos, self.left = unframe(self.left + os.read(fd, 65536))
        except OSError:
            return True
        for info in infos:
            if info[0] == 0x08 and struct.unpack_from(">H", info, 4)[0] == LINK:
                self.asked += 1
                said = self.answer(cbor2.loads(info[8:]), info[6]) if self.answer else None
                if said is not None:
                    self.send(said)
        return True

    def send(self, octets):
        at = 0

        def more():
            nonlocal at
            try:
                while at < len(octets):
                    at += os.write(self.master, octets[at:at + 4096])
            except BlockingIOError:
                pass
            return at == len(octets)
        wait("the line to take it", more, 60)

    def count(self, name):
        return self.lab.bus.get(self.path, "Bus", name)

    def close(self):
        GLib.source_remove(self._watch)
        os.close(self.master)
        wait("the plugin's end", lambda: not self.plugin.alive)
        wait("the bus to go", lambda: self.path not in self.lab.bus.of("Bus"))


def said_hello(key_id, question, seq, **changes):
    """A frame with the answer to the plugin's question."""
    body = {"v": 1, "uid": key_id[:8], "kid": key_id, "mfr": "Rogue", "mdl": "R1", "sn": "1", "fw": "1", "mtu": 512, "sec": 1, "st": 0,
            "n": question["n"]}
    return frame(smp(1, LINK, 0, seq, dict(body, **changes)))


class Frames(Arena):
    cpu = 1.0  # of the agent: all of this is the plugin's to bear

    def setUp(self):
        super().setUp()
        type(self).plugins += 1
        self.line = Line(self.lab, f"line{self.plugins}")
        self.peers.append(self.line)
        self.kid = os.urandom(32)
        self.plugin_before = resources(self.line.plugin.pid)

    def tearDown(self):
        cpu, memory, descriptors = resources(self.line.plugin.pid)
        if not self.lab.sanitized:
            print(f"# {cpu - self.plugin_before[0]:.2f} s of the plugin's CPU, {(memory - self.plugin_before[1]) >> 10} KiB more memory",
                  flush=True)
            self.assertLess(cpu - self.plugin_before[0], 4.0, "the plugin's seconds")
            self.assertLess(memory - self.plugin_before[1], 2 << 20)
        self.assertLessEqual(descriptors, self.plugin_before[2] + 1)
        super().tearDown()

    def still_works(self):
        """After all that, a good answer brings the node up."""
        self.line.answer = lambda question, seq: said_hello(self.kid, question, seq)
        wait("the node", lambda: any(n[1] == self.kid.hex() for n in self.line.count("Nodes")))

    def errors(self, n):
        try:
            wait("the count", lambda: self.line.count("Errors") == n)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.line.count('Errors')}, not {n}") from None

    def test_garbage(self):
        self.line.send(random.Random(1).randbytes(1 << 18))  # some thousand flags, and so frames, are among it
        wait("its count", lambda: self.line.count("BytesIn") >= 1 << 18 and self.line.count("Errors") > 500)
        self.assertEqual(self.line.count("NodeCount"), 0)
        self.still_works()

    def test_truncated(self):
        self.line.send(b"".join(bytes([FLAG]) + b"\xff\x03\x01"[:n % 3 + 1] + bytes([FLAG]) for n in range(1000)))
        self.errors(1000)
        self.still_works()

    def test_oversize(self):
        self.line.send(frame(bytes(5000)) * 50)
        self.errors(50)
        # One that never ends is one error, however long.
        self.line.send(bytes([FLAG]) + bytes(300000) + bytes([FLAG]))
        self.errors(51)
        self.still_works()

    def test_a_flood_of_wrong_check_sequences(self):
        self.line.send(frame(b"\x16" + bytes(40), check=0x1234) * 5000)
        self.errors(5000)
        self.still_works()

    def test_wrong_control_and_address(self):
        self.line.send(frame(b"\x16" + bytes(40), control=0x7F) * 100)
        self.errors(100)
        self.still_works()

    def test_aborts(self):
        self.line.send((bytes([FLAG, 0xFF, 0x03, 1, 2, 3, ESCAPE, FLAG])) * 1000)
        self.errors(1000)
        self.still_works()

    def test_escape_storms(self):
        self.line.send(bytes([ESCAPE]) * 200000 + bytes([FLAG]))
        self.line.send(bytes([FLAG]) * 200000)
        wait("its count", lambda: self.line.count("BytesIn") >= 400000)
        # Every octet escaped, as none has to be, is the same frame.
        self.line.answer = lambda question, seq: frame(unframe(said_hello(self.kid, question, seq))[0][0], escape_all=True)
        wait("the node", lambda: any(n[1] == self.kid.hex() for n in self.line.count("Nodes")))

    def test_unasked_hellos(self):
        question = {"n": bytes(8)}
        self.line.send(b"".join(said_hello(os.urandom(32), question, n & 255) for n in range(2000)))
        wait("their count", lambda: self.line.count("Dropped") >= 2000)
        self.assertEqual(self.line.count("NodeCount"), 0)
        self.still_works()

    def test_endless_hellos_of_ever_new_chips(self):
        """To each question another chip answers: one node at a time, and no oftener than is asked."""
        known = set(self.lab.bus.endpoints())
        self.line.answer = lambda question, seq: said_hello(os.urandom(32), question, seq) * 3
        for _ in range(2):
            asked = self.line.asked
            # A handshake makes the plugin look again who is there.
            wait("a question", lambda a=asked: self.line.asked > a or self.line.send(frame(bytes([22]) + bytes(20))), 30)
            self.assertLessEqual(self.line.count("NodeCount"), 1)
        self.assertEqual(set(self.lab.bus.endpoints()), known)

    def test_hellos_that_lie(self):
        bad = ({"uid": bytes(8)}, {"mtu": 5}, {"sn": "x" * 25}, {"sn": "\x1b[2J"}, {"kid": bytes(31)}, {"n": bytes(8)}, {"st": 9})
        for changes in bad:
            asked, dropped = self.line.asked, self.line.count("Dropped")
            self.line.answer = lambda question, seq, c=changes: said_hello(self.kid, question, seq, **c)
            wait(f"the refusal of {changes}", lambda a=asked, d=dropped: self.line.asked > a and self.line.count("Dropped") > d)
            self.assertEqual(self.line.count("NodeCount"), 0, changes)
        self.still_works()

    def test_datagrams_of_no_kind(self):
        self.still_works()
        dropped = self.line.count("Dropped")
        self.line.send(b"".join(frame(bytes([n]) + bytes(30)) for n in (0, 1, 2, 3, 7, 12, 64, 128, 255)))
        wait("their count", lambda: self.line.count("Dropped") >= dropped + 9)
        # DTLS of nobody goes up, and is nobody's there.
        self.line.send(frame(bytes([23, 254, 253, 0, 1]) + os.urandom(60)) * 500)
        self.assertEqual([n[3] for n in self.line.count("Nodes")], ["attached"])


class Plugins(Arena):
    def thrown_out(self, packets, text, greet=True):
        plugin = self.plugin(greet=greet)
        at = len(self.lab.agent.text())
        for packet in packets:
            plugin.send(packet)
        wait("the end of its socket", lambda: plugin.gone)
        wait("the end of its bus", lambda: plugin.path not in self.lab.bus.of("Bus"))
        said = self.lab.agent.text()[at:]
        self.assertIn(f"bus {plugin.name} is closed: the plugin of bus {plugin.name} {text}", said)

    def test_messages_that_break_the_rules(self):
        broke = "broke the protocol of the bus socket: "
        up = message(NODE_UP, 1, struct.pack("<HH", 512, 20))
        cases = {
            "a second hello": ((hello(),), broke + "hello comes first, and once"),
            "a short header": ((b"\2\0\0",), broke + "truncated"),
            "type 0": ((message(0, 1),), broke + "wrong type"),
            "an unknown type": ((message(9, 1),), broke + "wrong type"),
            "what the agent sends": ((message(SCAN),), broke + "denied"),
            "flags": ((struct.pack("<BBHI", NODE_UP, 1, 0, 1) + bytes(4),), broke + "malformed"),
            "reserved": ((struct.pack("<BBHI", NODE_UP, 0, 1, 1) + bytes(4),), broke + "malformed"),
            "node 0": ((message(NODE_UP, 0, struct.pack("<HH", 512, 20)),), broke + "out of range"),
            "a node's short body": ((message(NODE_UP, 1, b"\0\2"),), broke + "truncated"),
            "a small mtu": ((message(NODE_UP, 1, struct.pack("<HH", 100, 20)),), broke + "out of range"),
            "a long hello": ((message(NODE_UP, 1, struct.pack("<HH", 512, 20) + bytes(513)),), broke + "over a limit"),
            "statistics of a node": ((message(STATS, 1, bytes(64)),), broke + "out of range"),
            "short statistics": ((message(STATS, 0, bytes(63)),), broke + "truncated"),
            "long statistics": ((message(STATS, 0, bytes(65)),), broke + "malformed"),
            "a node again": ((up, up), "announced node 1: numbers must rise, and 254 nodes are the most"),
            "a lower number": ((message(NODE_UP, 9, struct.pack("<HH", 512, 20)), up), "announced node 1: numbers must rise"),
            "too many nodes": ([message(NODE_UP, n, struct.pack("<HH", 512, 20)) for n in range(1, 256)],
                               "announced node 255: numbers must rise, and 254 nodes are the most"),
            "a datagram of no node": ((message(DATAGRAM, 7, b"\x16"),), "speaks of node 7, which is not up"),
            "no node down": ((message(NODE_DOWN, 7, b"\1"),), "speaks of node 7, which is not up"),
            "down, then more": ((up, message(NODE_DOWN, 1, b"\1"), message(DATAGRAM, 1, b"\x16")), "speaks of node 1, which is not up"),
            "a reason": ((up, message(NODE_DOWN, 1, b"\x09")), broke + "out of range"),
            "an empty datagram": ((up, message(DATAGRAM, 1)), broke + "out of range"),
            "a long datagram": ((up, message(DATAGRAM, 1, b"\x16" * 2049)), broke + "over a limit"),
            "a link of a node": ((message(LINK_NOW, 1, bytes(20)),), broke + "out of range"),
            "a link's state": ((link_now(state=255),), broke + "out of range"),
            "a load of 1001 permille": ((link_now(load=1001),), broke + "out of range"),
            "a share of 1001 permille": ((link_now(culprit=1, share=1001),), broke + "out of range"),
            "a short link": ((message(LINK_NOW, 0, bytes(19)),), broke + "truncated"),
            "a long link": ((message(LINK_NOW, 0, bytes(21)),), broke + "malformed"),
            "more of no node": ((node_info(7, 1),), "speaks of node 7, which is not up"),
            "more of node 0": ((node_info(0, 1),), broke + "out of range"),
            "down, then more of it": ((up, message(NODE_DOWN, 1, b"\1"), node_info(1, 1)), "speaks of node 1, which is not up"),
            "a node's reserved octets": ((up, message(NODE_INFO, 1, b"\1\0\1" + bytes(13))), broke + "malformed"),
            "a very long one": ((up, message(DATAGRAM, 1, b"\x16" * 60000)), broke + "over a limit"),
        }
        for name, (packets, text) in cases.items():
            with self.subTest(name):
                self.thrown_out(packets, text)

    def test_hellos_that_lie(self):
        broke = "broke the protocol of the bus socket: "
        for name, packet, text in (("none at first", message(STATS, 0, bytes(64)), "hello comes first, and once"),
                                   ("version", hello(version=2), "not supported"), ("datagrams", hello(largest=100), "out of range"),
                                   ("nodes", hello(nodes=0), "out of range"), ("short", message(HELLO, 0, b"\1\0\0"), "truncated"),
                                   ("long", hello() + b"\0", "malformed")):
            with self.subTest(name):
                self.thrown_out((packet,), broke + text, greet=False)

    def test_one_that_agreed_on_less(self):
        """The smaller of the two limits holds."""
        self.thrown_out((hello(largest=512), message(NODE_UP, 1, struct.pack("<HH", 2048, 20)), message(DATAGRAM, 1, b"\x16" * 513)),
                        "broke the protocol of the bus socket: over a limit", greet=False)

    def test_what_is_told_of_the_link(self):
        plugin = self.plugin()

        def shown(name):
            return self.lab.bus.get(plugin.path, "Bus", name)
        # One that tells nothing of its link, as a serial line's does not.
        self.assertEqual((shown("LinkState"), shown("Load"), shown("RoundTrip"), shown("CulpritAddress"), shown("Culprit")),
                         ("unknown", -1.0, 0, 0, ""))
        said = cbor2.dumps({"v": 1, "uid": bytes(8), "kid": bytes(32), "mfr": "a", "mdl": "b", "sn": "SN-9", "fw": "d", "mtu": 512,
                            "sec": 1, "st": 0})
        node = plugin.node_up(lambda datagram: None, hello_cbor=said)
        other = plugin.node_up(lambda datagram: None)
        plugin.push(node_info(node, 9, 3))
        plugin.push(link_now(PASSIVE, tx=128, rx=7, load=875, round_trip=310, rate=26000, culprit=9, share=512))
        wait("the link", lambda: shown("LinkState") == "passive")
        self.assertEqual((shown("TxErrors"), shown("RxErrors"), shown("Load"), shown("RoundTrip"), shown("OctetsPerSecond")),
                         (128, 7, 0.875, 310, 26000))
        self.assertEqual(shown("CulpritAddress"), 9)
        self.assertEqual(shown("Culprit"), "node 9, which says that its serial number is SN-9, takes 51.2 % of the bus")
        self.assertEqual(sorted(n[4:] for n in shown("Nodes")), [(0, 0), (9, 3)])
        self.assertIn(f"bus {plugin.name}: node 9, which says that its serial number is SN-9, takes 51.2 % of it", self.said())
        out = self.lab.ctl("status") + self.lab.ctl("bus", plugin.name)
        self.assertIn("88 %", out)
        self.assertIn("takes 51.2 % of the bus", out)
        self.assertIn("error counters 128 (transmit) and 7 (receive)", out)
        plugin.push(link_now(OFF, tx=255, culprit=4711, share=300))
        wait("bus-off", lambda: shown("LinkState") == "off")
        self.assertEqual(shown("Culprit"), "node 4711 takes 30.0 % of the bus")
        self.assertIn("has met too many errors (transmit 255, receive 0)", self.said())
        for culprit, frames in ((0x80000100, "100"), (0xC0000000 | 0x18DAF1FE, "18daf1fe")):
            plugin.push(link_now(OFF, culprit=culprit, share=700))
            wait("frames of nobody's", lambda: shown("Culprit") == "somebody who is no endpoint and sends frames of id "
                 f"{frames} takes 70.0 % of the bus")
            self.assertEqual(shown("CulpritAddress"), 0)
        plugin.push(link_now())
        wait("its end", lambda: shown("LinkState") == "active" and shown("Culprit") == "")
        self.assertIn(f"bus {plugin.name} carries frames again", self.said())
        plugin.push(node_info(node, 11, 4))
        wait("its other address", lambda: sorted(n[4:] for n in shown("Nodes")) == [(0, 0), (11, 4)])
        plugin.node_down(other)
        wait("the one that is left", lambda: [n[4:] for n in shown("Nodes")] == [(11, 4)] and shown("NodeCount") == 1)
        self.assertFalse(plugin.gone)

    def test_a_link_that_flutters(self):
        """Off and on, another culprit each time, in every message: few lines in the journal, one signal a second on D-Bus."""
        plugin, changes = self.plugin(), []
        wait("the bus", lambda: plugin.path in self.lab.bus.of("Bus"))
        watch = self.lab.bus.connection.signal_subscribe(
            "org.gangway.Gangway1", "org.freedesktop.DBus.Properties", "PropertiesChanged", plugin.path, None, 0,
            lambda *args: changes.append(args))
        begun = GLib.get_monotonic_time()
        for n in range(4000):
            plugin.push(link_now(OFF if n % 2 else PASSIVE, culprit=n + 1, share=500, load=n % 1001))
        plugin.push(link_now(rate=1))
        wait("the last one", lambda: self.lab.bus.get(plugin.path, "Bus", "OctetsPerSecond") == 1)
        seconds = (GLib.get_monotonic_time() - begun) / 1e6
        self.lab.bus.connection.signal_unsubscribe(watch)
        lines = [line for line in self.said().splitlines() if plugin.name in line]
        print(f"# {len(lines)} lines, {len(changes)} signals in {seconds:.1f} s")
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(len(changes), 2 * (seconds + 2))
        self.assertTrue(any("once a day from now on" in line for line in lines))

    def test_silence(self):
        plugin = self.plugin(greet=False)
        wait("its end", lambda: plugin.gone, 15)
        self.assertIn(f"the plugin of bus {plugin.name} did not say hello on its socket", self.said())

    def test_descriptors_that_nobody_asked_for(self):
        plugin = self.plugin()
        before = resources(self.agent)[2]
        for _ in range(200):
            plugin.socket.sendmsg([message(STATS, 0, bytes(64))],
                                  [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 20))])
        plugin.push(message(STATS, 0, struct.pack("<QQ", 7, 0) + bytes(48)))
        wait("the last one", lambda: self.lab.bus.get(plugin.path, "Bus", "FramesIn") == 7)
        wait("their being closed", lambda: resources(self.agent)[2] <= before)

    def test_an_empty_packet(self):
        plugin = self.plugin()
        plugin.send(b"")
        wait("its end", lambda: plugin.gone)
        self.assertIn(f"the plugin of bus {plugin.name} has left", self.said())

    def test_floods(self):
        """A plugin sends as fast as it can, for two seconds: it is read no faster than any line could speak."""
        self.cpu = 2.0
        plugin = self.plugin()
        node = plugin.node_up(lambda datagram: None)
        packet = message(DATAGRAM, node, bytes([23, 254, 253, 0, 1]) + bytes(300))
        sent, begun = 0, GLib.get_monotonic_time()
        while GLib.get_monotonic_time() < begun + 2000000:
            while plugin.send(packet):
                sent += 1
            wait("the others' turn", lambda: True)
        seconds = (GLib.get_monotonic_time() - begun) / 1e6
        print(f"# {sent} packets taken in {seconds:.1f} s, {resources(self.agent)[0] - self.before[0]:.2f} s of CPU")
        wait("the bus", lambda: plugin.node_state(node) == "attached")
        self.assertFalse(plugin.gone)
        self.assertLess(sent, 40000 * seconds + 20000)  # 4,000 in 100 ms, and what the socket holds

    def test_nodes_that_come_and_go(self):
        plugin, known = self.plugin(), self.lab.sim_status(0)["kid"]
        said = cbor2.dumps({"v": 1, "uid": bytes.fromhex(known)[:8], "kid": bytes.fromhex(known), "mfr": "a", "mdl": "b", "sn": "c",
                            "fw": "d", "mtu": 512, "sec": 1, "st": 0})
        for _ in range(5000):
            plugin.node_down(plugin.node_up(lambda datagram: None, hello_cbor=said))
        wait("its nodes", lambda: self.lab.bus.get(plugin.path, "Bus", "NodeCount") == 0)

    def test_one_that_hangs(self):
        """It takes nothing any more: what is for it is dropped and counted, and the rest of the world goes on."""
        plugin = self.plugin()
        plugin.reads = False
        nodes = [plugin.node_up(lambda datagram: None, mtu=2048) for _ in range(254)]
        for _ in range(3):
            for node in nodes:
                plugin.datagram(node, client_hello())
        wait("what was dropped", lambda: self.lab.bus.get(plugin.path, "Bus", "Dropped") > 0)
        self.memory = 12 << 20  # 254 handshakes
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(plugin.path, "Bus", "Scan")
        self.assertTrue(error_name(caught.exception).endswith("Offline"))

    def test_one_that_dies(self):
        for _ in range(20):
            plugin = self.plugin()
            for _ in range(20):
                plugin.datagram(plugin.node_up(lambda datagram: None), client_hello())
            self.peers.remove(plugin)
            plugin.close()
        wait("its buses to go", lambda: not any("rogue" in path for path in self.lab.bus.of("Bus")))
        wait("their descriptors to be closed", lambda: resources(self.agent)[2] <= self.before[2])

    def test_one_that_leaves_d_bus_and_keeps_its_socket(self):
        plugin = self.plugin()
        plugin.connection.close_sync(None)
        wait("the end of its socket", lambda: plugin.gone)
        wait("the end of its bus", lambda: plugin.path not in self.lab.bus.of("Bus"))

    def test_what_is_not_its_own(self):
        plugin = self.plugin()

        def refused(**options):
            with self.assertRaises(GLib.Error) as caught:
                plugin.attach({k: v if isinstance(v, GLib.Variant) else GLib.Variant("s", v) for k, v in options.items()})
            return error_name(caught.exception).rsplit(".", 1)[1]
        self.assertEqual(refused(name="ttyGW0", kind="serial"), "Exists")
        self.assertEqual(refused(name="second", kind="serial"), "Limit")
        for name in ("", "../x", "a/b", "x" * 33, "\u00e4", "a b"):
            self.assertEqual(refused(name=name, kind="serial"), "Invalid", name)
        self.assertEqual(refused(name="free"), "Invalid")
        self.assertEqual(refused(name="free", kind="a\x1b[2Jb"), "Invalid")
        self.assertEqual(refused(name="free", kind="x", device="y" * 129), "Invalid")
        self.assertEqual(refused(name="free", kind="x", colour="blue"), "Invalid")
        self.assertEqual(refused(name=GLib.Variant("u", 1), kind="x"), "Invalid")
        self.assertEqual(refused(name="free", kind="x", version=GLib.Variant("u", 2)), "Unsupported")


def client_hello():
    """The smallest one that the agent answers; its random is new."""
    body = (b"\xfe\xfd" + os.urandom(32) + b"\0" + b"\0" + b"\0\2\xc0\x2b" + b"\1\0"
            + extensions((0x17, b""), (0x0d, b"\0\2\4\3"), (0x0a, b"\0\2\0\x17"), (0x0b, b"\1\0")))
    head = b"\1" + len(body).to_bytes(3, "big") + b"\0\0" + b"\0\0\0" + len(body).to_bytes(3, "big")
    return b"\x16\xfe\xfd" + bytes(8) + (len(head) + len(body)).to_bytes(2, "big") + head + body


def extensions(*items):
    octets = b"".join(struct.pack(">HH", kind, len(data)) + data for kind, data in items)
    return struct.pack(">H", len(octets)) + octets


if __name__ == "__main__":
    tap.main()
