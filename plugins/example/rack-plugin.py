#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A field bus that nobody has: rack-plugin.py DIR NAME. rack-plugin.c is the same, with more comments."""
import contextlib
import os
import socket
import sys
import gi
gi.require_version("Gangway", "1.0")
from gi.repository import Gangway, GLib  # noqa: E402
MTU, QUIET_S, SILENT_S, HELLO = 512, 12, 18, bytes([8, 0, 0, 1, 0x51, 0, 0, 0, 0xa0])
folder, name = sys.argv[1:]
stats, nodes = Gangway.Stats(), {}  # socket -> the node that is up
quiet = {f"{folder}/slot-{n}": 0 for n in range(16)}  # socket -> seconds since a word came
wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
bus = Gangway.Bus(name=name, kind="rack", device=folder, plugin="rack-plugin.py 1", sandbox=True)


def put(slot, data):
    try:
        stats.bytes_out += wire.sendto(data, slot)
    except OSError as error:
        stats.dropped += slot in nodes
        if slot in nodes and not isinstance(error, BlockingIOError):
            nodes.pop(slot).down(Gangway.DownReason.GONE)


def on_readable(_fd, _condition):
    data, slot = wire.recvfrom(MTU + 1)
    stats.bytes_in += len(data)
    if slot in quiet and 0 < len(data) <= MTU:
        quiet[slot], answer = 0, data[0] == 9 and data[4:8] == HELLO[4:8]
        if answer and slot not in nodes:
            nodes[slot] = bus.node_up(MTU, 0, GLib.Bytes.new(data[8:]))
        elif slot in nodes and not answer:
            with contextlib.suppress(GLib.Error):  # not taken: dropped, and counted
                nodes[slot].send(GLib.Bytes.new(data))
    return True


def on_second():
    for slot in quiet:
        quiet[slot] += 1
        if slot in nodes and quiet[slot] > SILENT_S:
            nodes.pop(slot).down(Gangway.DownReason.SILENT)
        if slot not in nodes or quiet[slot] > QUIET_S:
            put(slot, HELLO)
    bus.set_stats(stats)
    return True


sys.excepthook = lambda *why: (sys.__excepthook__(*why), os._exit(1))  # a supervisor starts us again
os.path.exists(f"{folder}/gateway") and os.unlink(f"{folder}/gateway")  # what an earlier run has left
wire.bind(f"{folder}/gateway")
bus.connect("datagram", lambda _bus, node, data: [put(s, data.get_data()) for s, n in [*nodes.items()] if n is node])
bus.connect("lost", lambda _bus, why: sys.exit(why))
bus.attach_async(None, lambda _bus, result: bus.attach_finish(result))
GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, wire.fileno(), GLib.IOCondition.IN, on_readable)
GLib.timeout_add_seconds(1, on_second)
GLib.MainLoop().run()
