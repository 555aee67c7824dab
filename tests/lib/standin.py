# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands in for the agent at the other end of a plugin's bus socket: nothing is proven, every datagram is counted or answered as
the caller likes. For what is to be measured of a plugin and its wire alone.

    with Lab(bus="can") as lab:
        agent = StandIn(lab.address)     # after lab.start_bus (client=False)
        lab.start_plugins()
        wait("a node", lambda: agent.nodes)
        agent.send(1, b"...")
"""
import os
import socket
import struct

from gi.repository import Gio, GLib

from bus import NAME, ROOT

HELLO, NODE_UP, NODE_DOWN, DATAGRAM = range(1, 5)
XML = f"""<node><interface name="{NAME}.Manager"><method name="AttachBus"><arg type="a{{sv}}" direction="in"/>
<arg type="o" direction="out"/><arg type="h" direction="out"/></method></interface></node>"""
READ_MAX = 256  # packets at once, so that the main context gets its turn


class StandIn:
    """nodes: {node: its hello's octets}; octets and datagrams: what has come; links: bodies of the link messages."""

    def __init__(self, address):
        self.nodes, self.links = {}, []
        self.octets = self.datagrams = 0
        self.socket = self.source = None
        self.connection = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.connection.register_object(ROOT, Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], self._called, None, None)
        self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                  GLib.Variant("(su)", (NAME, 4)), None, 0, -1, None)

    def _called(self, _connection, _sender, _path, _interface, _method, parameters, invocation):
        name = parameters.unpack()[0]["name"]
        self.close()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        self.source = GLib.io_add_watch(self.socket.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self._ready)
        fds = Gio.UnixFDList.new()
        fds.append(theirs.fileno())
        theirs.close()
        invocation.return_value_with_unix_fd_list(GLib.Variant("(oh)", (f"{ROOT}/bus/{name}", 0)), fds)
        self.socket.send(struct.pack("<BBHIHHI", HELLO, 0, 0, 0, 1, 2048, 254))

    def _ready(self, _fd, _condition):
        for _ in range(READ_MAX):
            try:
                packet = self.socket.recv(65536)
            except BlockingIOError:
                return True
            if not packet:
                self.source = None
                return False
            self._take(packet)
        return True

    def _take(self, packet):
        kind, _flags, _reserved, node = struct.unpack_from("<BBHI", packet)
        if kind == NODE_UP:
            self.nodes[node] = packet[12:]
        elif kind == NODE_DOWN:
            self.nodes.pop(node, None)
        elif kind == DATAGRAM:
            self.datagrams += 1
            self.octets += len(packet) - 8

    def send(self, node, datagram):
        """False: the plugin does not keep up."""
        try:
            self.socket.send(struct.pack("<BBHI", DATAGRAM, 0, 0, node) + datagram)
        except BlockingIOError:
            return False
        return True

    def leave(self):
        """Gives the name back, for the agent itself."""
        self.close()
        self.connection.close_sync(None)

    def close(self):
        if self.source:
            GLib.source_remove(self.source)
        if self.socket:
            self.socket.close()
        self.socket = self.source = None
        self.nodes.clear()


def filler(octets):
    """A datagram that nobody can make anything of: to an endpoint a DTLS record of no session."""
    return b"\x17" + os.urandom(octets - 1)
