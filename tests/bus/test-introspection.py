#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libgangway through introspection: the example plugin in Python as a process between an agent that the test plays and
UDP peers that it plays too; and what the GIR tells of the library."""
import os
import socket
import struct
import unittest
from xml.etree import ElementTree

from gi.repository import Gio, GLib

import tap
from bus import NAME, ROOT
from lab import SOURCE, Lab
from supervisor import wait

HELLO, NODE_UP, NODE_DOWN, DATAGRAM, SCAN, STATS = range(1, 7)
GI = "{http://www.gtk.org/introspection/core/1.0}"


class Agent:
    """Answers AttachBus with a socket that has said HELLO, keeps what comes."""

    def __init__(self, address):
        self.connection = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        with open(os.path.join(SOURCE, "dbus", f"{NAME}.Manager.xml"), encoding="utf-8") as f:
            info = Gio.DBusNodeInfo.new_for_xml(f.read()).interfaces[0]
        self.connection.register_object(ROOT, info, self._called, None, None)
        self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                  GLib.Variant("(su)", (NAME, 4)), None, 0, -1, None)
        self.socket = self.options = None
        self.messages = []

    def _called(self, _connection, _sender, _path, _interface, _method, parameters, invocation):
        self.options = parameters.unpack()[0]
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.send(HELLO, 0, struct.pack("<HHI", 1, 2048, 254))
        fds = Gio.UnixFDList.new_from_array([theirs.detach()])
        invocation.return_value_with_unix_fd_list(GLib.Variant("(oh)", (f"{ROOT}/bus/udp", 0)), fds)

    def send(self, kind, node, body=b""):
        self.socket.send(struct.pack("<BBHI", kind, 0, 0, node) + body)

    def next(self, kind):
        """(node, body) of the next message of that kind; those before it are forgotten."""
        def look():
            try:
                packet = self.socket.recv(4096)
            except (BlockingIOError, AttributeError):
                return None
            got, flags, reserved, node = struct.unpack("<BBHI", packet[:8])
            assert (flags, reserved) == (0, 0)
            return (node, packet[8:]) if got == kind else None
        return wait(f"message {kind}", look)

    def die(self):
        self.connection.close_sync(None)
        self.socket.close()


class Introspection(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.lab.start_bus(client=False)
        self.agent = Agent(self.lab.address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        folder = self.lab.binary("src", "libgangway")
        self.plugin = self.lab.supervisor.start(
            "udp-plugin", ["/usr/bin/python3", os.path.join(SOURCE, "src/libgangway/examples/udp-plugin.py"), "--port",
                           str(self.address[1]), "--bus", self.lab.address],
            env={"GI_TYPELIB_PATH": folder, "LD_LIBRARY_PATH": folder})

    def tearDown(self):
        self.lab.close()

    def peer(self):
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        peer.connect(self.address)
        self.addCleanup(peer.close)
        return peer

    def test_example(self):
        """Two peers become two nodes; datagrams go both ways; the agent's restart announces both anew."""
        self.agent.next(HELLO)
        self.assertEqual(self.agent.options, {"name": "udp", "kind": "udp", "device": f"127.0.0.1:{self.address[1]}",
                                              "plugin": "udp-plugin 0.1", "version": 1})
        first, second = self.peer(), self.peer()
        first.send(b"\x16first")
        node, body = self.agent.next(NODE_UP)
        self.assertEqual((node, body), (1, struct.pack("<HH", 1200, 0)))
        self.assertEqual(self.agent.next(DATAGRAM), (1, b"\x16first"))
        second.send(b"\x16second")
        self.assertEqual(self.agent.next(NODE_UP)[0], 2)
        self.agent.send(DATAGRAM, 2, b"\x17to the second")
        self.assertEqual(second.recv(100), b"\x17to the second")

        self.agent.die()
        self.agent = Agent(self.lab.address)
        self.assertEqual(self.agent.next(NODE_UP)[0], 1)
        self.assertEqual(self.agent.next(NODE_UP)[0], 2)
        counters = struct.unpack("<8Q", self.agent.next(STATS)[1])
        self.assertEqual(counters[:4], (2, 1, 13, 14))
        self.agent.send(DATAGRAM, 1, b"\x17again")
        self.assertEqual(first.recv(100), b"\x17again")
        with open(f"/proc/{self.plugin.pid}/status", encoding="utf-8") as f:
            self.assertIn("\nSeccomp:\t2\n", f.read())

    def test_gir(self):
        """Nothing public is without a word on it, and nothing of the inside shows."""
        root = ElementTree.parse(self.lab.binary("src", "libgangway", "Gangway-1.0.gir")).getroot()
        namespace = root.find(f"{GI}namespace")
        silent = []
        for element in namespace.iter():
            tag = element.tag.replace(GI, "")
            name = element.get("name") or element.get("{http://www.gtk.org/introspection/glib/1.0}name")
            if tag in ("class", "method", "function", "constructor", "property", "signal", "enumeration", "constant"):
                skip = name.endswith(("_quark", "quark")) or element.get("introspectable") == "0"
                if element.find(f"{GI}doc") is None and not skip:
                    silent.append(f"{tag} {name}")
        self.assertEqual(silent, [])
        self.assertEqual({c.get("name") for c in namespace.findall(f"{GI}class")}, {"Bus", "Node"})


if __name__ == "__main__":
    tap.main()
