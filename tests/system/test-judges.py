#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""DTLS clients that share nothing with the project, against the running agent: what proves its key is known by it and quarantined, and
what does not follow the rules is refused, by the text that the bus's Nodes show."""
import os
import socket
import subprocess
import unittest

from gi.repository import GLib

import tap
from rogue import ENUM, Arena
from supervisor import wait


class OpenSsl:
    """openssl s_client over UDP on the loopback, bridged to a node."""

    def __init__(self, plugin, *args, split=None):
        self.plugin, self.peer, self.split = plugin, None, split
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.setblocking(False)
        self.node = plugin.node_up(self._down)
        self._watch = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.udp.fileno(), GLib.IOCondition.IN, self._up)
        self.log = plugin.lab.path("log", f"openssl-{plugin.name}.log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.udp.getsockname()[1]}", *args],
                                            stdin=subprocess.PIPE, stdout=out, stderr=out)

    def _down(self, datagram):
        if self.peer:
            self.udp.sendto(datagram, self.peer)

    def _up(self, fd, condition):
        datagram, self.peer = self.udp.recvfrom(65536)
        self.plugin.datagram(self.node, datagram)
        return True

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def close(self):
        GLib.source_remove(self._watch)
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.udp.close()


class Judges(Arena):
    def openssl(self, plugin, *args):
        client = OpenSsl(plugin, *args)
        self.peers.append(client)
        return client

    def known(self, keys):
        """It is there under its key id, kept out, and for the reason that strangers are."""
        self.lab.wait_state(keys.id, "quarantined")
        self.assertIn("manifest", self.reason(keys.id))
        self.assertNotIn(keys.id, self.lab.broker.users())

    def refused(self, client, text, keys=None):
        """The node says why, and no endpoint came of it."""
        self.wait_node(client.plugin, client.node, text)
        if keys is not None:
            self.assertIsNone(self.lab.state_of(keys.id))

    # Those who follow the rules

    def test_openssl_proves_its_key(self):
        keys, plugin = self.keys(), self.plugin()
        client = self.openssl(plugin, "-dtls1_2", "-cert", keys.crt, "-key", keys.key)
        self.known(keys)
        self.wait_node(plugin, client.node, "proved")
        wait("what openssl saw", lambda: "ECDHE-ECDSA-AES128-GCM-SHA256" in client.text())
        self.assertIn("Extended master secret: yes", client.text())

    def test_openssl_with_small_datagrams(self):
        keys = self.keys()
        self.openssl(self.plugin(), "-dtls1_2", "-mtu", "256", "-cert", keys.crt, "-key", keys.key)
        self.known(keys)

    def test_mbedtls_proves_its_key(self):
        keys = self.keys()
        client = self.client(self.plugin(), keys).wait_up()
        self.known(keys)
        # The agent asks it what it is; nobody answers that, and the question is given up.
        wait("the agent's first question", lambda: client.records)
        self.assertEqual(client.records[0][4:6], ENUM.to_bytes(2, "big"))

    def test_fragments(self):
        keys = self.keys()
        client = self.client(self.plugin(), keys, "--mtu", "160").wait_up()
        self.assertGreater(len(client.sent), 3)
        self.known(keys)

    def test_a_hello_in_fragments(self):
        keys = self.keys()
        client = self.client(self.plugin(), keys)
        client.tamper = lambda d: split_hello(d) if d[0] == 22 and d[4] == 0 and d[13] == 1 else (d,)
        client.wait_up()
        self.known(keys)

    def test_every_datagram_twice_and_late(self):
        keys = self.keys()
        held = []

        def echo(datagram):
            held.append(datagram)
            return (datagram, *held[-3:])
        client = self.client(self.plugin(), keys)
        client.tamper = echo
        client.wait_up()
        self.known(keys)
        self.wait_node(client.plugin, client.node, "proved")

    # Certificates

    def test_no_certificate(self):
        client = self.client(self.plugin(), None)
        self.refused(client, "the DTLS handshake failed: No certificate was found")
        wait("the client's refusal", lambda: client.failed)

    def test_another_curve(self):
        keys = self.keys(algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-384"))
        self.refused(self.client(self.plugin(), keys), "the endpoint's key is not an uncompressed P-256 key", keys)

    def test_rsa(self):
        keys = self.keys(algorithm=("rsa:2048",))
        self.refused(self.client(self.plugin(), keys), "the DTLS handshake failed: The signature algorithm is not supported", keys)

    def test_ed25519(self):
        keys = self.keys(algorithm=("ed25519",))
        client = self.openssl(self.plugin(), "-dtls1_2", "-cert", keys.crt, "-key", keys.key)
        # It knows that the agent takes no such key, and shows none.
        self.refused(client, "the DTLS handshake failed: No certificate was found", keys)

    def test_malformed_certificates(self):
        keys, plugin = self.keys(), self.plugin()
        spki_at = keys.der.index(keys.spki)
        unreadable = "the DTLS handshake failed: Error in the certificate"
        broken = {
            "empty sequence": (b"\x30\x00", unreadable),
            "noise": (os.urandom(300), unreadable),
            "cut": (keys.der[:-20], unreadable),
            "cut in the key": (keys.der[:spki_at + 30], unreadable),
            "a length bomb": (b"\x30\x84\xff\xff\xff\xff" + keys.der[6:], unreadable),
            "not on the curve": (keys.der[:spki_at + 40] + bytes([keys.der[spki_at + 40] ^ 1]) + keys.der[spki_at + 41:],
                                 "the DTLS handshake failed: Public key signature verification has failed"),
            "nested": (b"\x30\x80" * 200, unreadable),
        }
        for name, (octets, text) in broken.items():
            with self.subTest(name):
                path = self.lab.path("rogue", "raw.der")
                with open(path, "wb") as f:
                    f.write(octets)
                self.refused(self.client(plugin, keys, "--raw-cert", path), text, keys)

    def test_somebody_elses_certificate(self):
        """A certificate without its key: what a copy of a public certificate is worth."""
        victim, keys, plugin = self.keys(), self.keys(), self.plugin()
        path = self.lab.path("rogue", "other.der")
        with open(path, "wb") as f:
            f.write(victim.der)
        client = self.client(plugin, keys, "--raw-cert", path)
        self.refused(client, "the DTLS handshake failed: Public key signature verification has failed", victim)

    def test_a_huge_certificate(self):
        """2 KiB are taken; a message of more than 8 KiB is not even gathered."""
        for size, text in ((3000, "octets, at most 2048 are taken"),
                           (15000, "the DTLS handshake failed: The handshake data size is too large")):
            # Extensions of octets that nobody asked for; in datagrams so large that all of them may wait (16), as what is more is dropped.
            keys = self.keys(args=("-addext", f"1.2.3.4=DER:04:82:{size >> 8:02x}:{size & 255:02x}" + ":00" * size))
            self.refused(self.client(self.plugin(), keys, "--mtu", "1900"), text, keys)

    # Versions, suites, extensions

    def test_no_extended_master_secret(self):
        keys = self.keys()
        client = self.client(self.plugin(), keys, "--no-ems")
        self.refused(client, "the endpoint did not use the extended master secret (RFC 7627): its library must enable it", keys)

    def test_dtls_1_0(self):
        keys = self.keys()
        client = self.openssl(self.plugin(), "-dtls1", "-cipher", "ALL:@SECLEVEL=0", "-cert", keys.crt, "-key", keys.key)
        self.refused(client, "the DTLS handshake failed: A packet with illegal or unsupported version was received", keys)

    def test_no_common_suite(self):
        keys = self.keys()
        self.refused(self.client(self.plugin(), keys, "--cbc"),
                     "the DTLS handshake failed: No supported cipher suites have been found", keys)

    def test_renegotiation(self):
        keys = self.keys()
        client = self.client(self.plugin(), keys, "--renegotiate").wait_up()
        self.known(keys)
        client.tell("renegotiate")
        wait("the refusal", lambda: client.failed or client.closed or len(client.records) > 1)
        self.known(keys)

    # Floods and what is thrown at a living session

    def test_a_flood_of_hellos(self):
        keys, plugin = self.keys(), self.plugin()
        client = self.client(plugin, keys).wait_up()
        self.known(keys)
        hello = next(d for d in client.sent if d[0] == 22 and d[13] == 1)
        for _ in range(5000):
            plugin.datagram(client.node, hello[:27] + os.urandom(32) + hello[59:])
        # The session is what it was: its questions go on coming.
        before = len(client.records)
        wait("the agent's next question", lambda: len(client.records) > before, 15)
        self.assertEqual(plugin.node_state(client.node), "proved")

    def test_a_flood_without_a_session_is_told(self):
        keys, plugin = self.keys(), self.plugin()
        client = self.client(plugin, keys).wait_up()
        hello = next(d for d in client.sent if d[0] == 22 and d[13] == 1)
        node = plugin.node_up(lambda datagram: None)
        for _ in range(1000):
            plugin.datagram(node, hello[:27] + os.urandom(32) + hello[59:])
        self.wait_node(plugin, node, "it opens handshakes faster than they are taken")

    def test_half_handshakes_everywhere(self):
        """Every node of a bus opens a handshake and falls silent: each costs what one handshake costs."""
        self.memory = 8 << 20
        keys, plugin = self.keys(), self.plugin()
        client = self.client(plugin, keys).wait_up()
        hello = next(d for d in client.sent if d[0] == 22 and d[13] == 1)
        for _ in range(200):
            node = plugin.node_up(lambda datagram: None)
            plugin.datagram(node, hello[:27] + os.urandom(32) + hello[59:])
        wait("the last one", lambda: plugin.node_state(node) == "proving")

    def test_replayed_session(self):
        """All that one session sent, again, on a node of its own: it proves nothing."""
        keys, plugin = self.keys(), self.plugin()
        client = self.client(plugin, keys).wait_up()
        self.known(keys)
        sent = list(client.sent)
        client.close()
        self.peers.remove(client)
        wait("its absence", lambda: self.lab.bus.endpoints()[keys.id]["Presence"] == "absent")
        answers = []
        node = plugin.node_up(answers.append)
        for datagram in sent:
            plugin.datagram(node, datagram)
        wait("the agent's flight", lambda: len(answers) > 1)
        self.wait_node(plugin, node, "the DTLS handshake failed: Public key signature verification has failed")
        self.assertEqual(self.lab.bus.endpoints()[keys.id]["Presence"], "absent")


def split_hello(datagram):
    """A ClientHello in two fragments with the same record number spent on each but the first."""
    body = datagram[25:]
    parts = []
    for n, (at, part) in enumerate(((0, body[:50]), (50, body[50:]))):
        parts.append(datagram[:10] + bytes([datagram[10] + n]) + (12 + len(part)).to_bytes(2, "big") + datagram[13:19]
                     + at.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part)
    return parts


if __name__ == "__main__":
    tap.main()
