#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A field bus in Python: endpoints that speak datagrams over UDP. Each peer address is a node; a peer that has said
nothing for a minute is gone. It shows everything a plugin does:

    udp-plugin.py --port 5684 [--name NAME] [--bus ADDRESS]
"""
import argparse
import socket
import sys

import gi

gi.require_version("Gangway", "1.0")
from gi.repository import Gangway, GLib  # noqa: E402

MTU = 1200
SILENT_S = 60
MOST_NODES = 64


class UdpBus:
    def __init__(self, args):
        self.loop = GLib.MainLoop()
        self.failed = False
        self.stats = Gangway.Stats()
        self.peers = {}  # address -> [node, time of the last datagram]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((args.host, args.port))
        GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.socket.fileno(), GLib.IOCondition.IN, self.on_readable)
        GLib.timeout_add_seconds(5, self.on_tick)
        self.bus = Gangway.Bus(name=args.name, kind="udp", device=f"{args.host}:{args.port}", plugin="udp-plugin 0.1",
                               bus_address=args.bus, sandbox=True)
        self.bus.connect("datagram", self.on_datagram)
        self.bus.connect("lost", self.on_lost)
        self.bus.attach_async(None, self.on_attached)

    def on_attached(self, bus, result):
        try:
            bus.attach_finish(result)
        except GLib.Error as error:
            self.on_lost(bus, error.message)

    def on_lost(self, _bus, why):
        print(f"udp-plugin: {why}", file=sys.stderr)
        self.failed = True
        self.loop.quit()

    def on_readable(self, _fd, _condition):
        data, address = self.socket.recvfrom(65535)
        self.stats.frames_in += 1
        self.stats.bytes_in += len(data)
        if address not in self.peers and len(self.peers) < MOST_NODES:
            self.peers[address] = [self.bus.node_up(MTU, 0, None), 0]
        if address in self.peers and 0 < len(data) <= MTU:
            node = self.peers[address][0]
            self.peers[address][1] = GLib.get_monotonic_time()
            try:
                node.send(GLib.Bytes.new(data))
            except GLib.Error:
                pass  # no agent, or a busy one: the library has counted it
        self.bus.set_stats(self.stats)
        return True

    def on_datagram(self, _bus, node, datagram):
        address = next(address for address, (known, _) in self.peers.items() if known is node)
        try:
            self.stats.bytes_out += self.socket.sendto(datagram.get_data(), address)
            self.stats.frames_out += 1
        except OSError:
            self.stats.dropped += 1
        self.bus.set_stats(self.stats)

    def on_tick(self):
        old = GLib.get_monotonic_time() - SILENT_S * 1000000
        for address in [a for a, (_, heard) in self.peers.items() if heard < old]:
            self.peers.pop(address)[0].down(Gangway.DownReason.SILENT)
        return True


def main():
    parser = argparse.ArgumentParser(description="UDP peers as a Gangway field bus")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5684)
    parser.add_argument("--name", default="udp")
    parser.add_argument("--bus", help="D-Bus address (the system bus)")
    udp = UdpBus(parser.parse_args())
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, 15, udp.loop.quit)
    udp.loop.run()
    return 1 if udp.failed else 0


if __name__ == "__main__":
    sys.exit(main())
