# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our ISO-TP (isotp_peer.py) beside a stack of other making, python3-scapy's, on one CAN link.

The link is an interface where there is one (a virtual one in a guest), else a socket pair that carries what SocketCAN
would: struct can_frame. Whatever goes over it from the peer is kept, for looking at afterwards."""
import select
import socket
import struct
import subprocess

# scapy looks at the network interfaces when it is loaded, which a test of frames has no need of
from scapy.config import conf

conf.contribs["CAN"] = {"swap-bytes": False, "remove-padding": True}
conf.contribs["ISOTP"] = {"use-can-isotp-kernel-module": False}
from scapy.contrib.isotp import ISOTPSoftSocket  # noqa: E402
from scapy.layers.can import CAN  # noqa: E402
from scapy.supersocket import SuperSocket  # noqa: E402

from isotp_peer import Ours  # noqa: E402

PEER_TX, PEER_RX = 0x18DA01F1, 0x18DAF101
EXTENDED = 0x80000000
FRAME = struct.Struct("=IB3x8s")


class FrameSocket(SuperSocket):
    """A socket of struct can_frame records, as scapy's ISO-TP wants one. Waits when the link is full, as a driver's queue
    would make it wait; `lose` may swallow a frame on its way in."""

    desc = "CAN frames over a socket"
    nonblocking_socket = True

    def __init__(self, sock, lose=lambda data: False):
        # pylint: disable=super-init-not-called
        self.ins = self.outs = sock
        self.closed = False
        self.lose = lose
        self.heard = []

    def send(self, x):
        data = bytes(x.data)
        self.ins.send(FRAME.pack(x.identifier | EXTENDED, len(data), data.ljust(8, b"\0")))

    def recv(self, x=None):
        ident, length, data = FRAME.unpack(self.ins.recv(72)[:FRAME.size])
        data = data[:length]
        if not ident & EXTENDED or ident & ~EXTENDED != PEER_TX:
            return None # not for us, or our own
        if self.lose(data):
            return None
        self.heard.append(data)
        return CAN(identifier=ident & ~EXTENDED, flags="extended", length=length, data=data)

    @staticmethod
    def select(sockets, remain=None):
        return select.select(sockets, [], [], remain)[0]


def open_interface(name):
    sock = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    sock.bind((name,))
    return sock


class Pair:
    """Our side and scapy's."""

    def __init__(self, *options, interface=None, padding=True, bs=0, stmin=0, timeout=10, lose=lambda data: False):
        self.peer = Ours(interface, PEER_TX, PEER_RX, *options, timeout=timeout)
        self.link = open_interface(interface) if interface else self.peer.link
        self.frames = FrameSocket(self.link, lose)
        self.scapy = ISOTPSoftSocket(self.frames, tx_id=PEER_RX, rx_id=PEER_TX, bs=bs, stmin=stmin, padding=padding)
        self.scapy.impl.cf_timeout = self.scapy.impl.fc_timeout = timeout
        self.scapy.impl.rx_tx_poll_rate = 0.0005

    def scapy_recv(self, timeout=60):
        got = self.scapy.sniff(count=1, timeout=timeout)
        return bytes(got[0].data) if got else None

    def scapy_send(self, message):
        self.scapy.send(message)

    def close(self):
        self.scapy.close()
        status = self.peer.close()
        self.link.close()
        return status


class Recorder:
    """Two of ours with a wire between them, and Wireshark's dissector on the wire."""

    def __init__(self, *options):
        self.peers = [Ours(None, *ids, *options) for ids in ((PEER_TX, PEER_RX), (PEER_RX, PEER_TX))]
        self.links = {self.peers[0].link: self.peers[1].link, self.peers[1].link: self.peers[0].link}
        self.frames = []

    def carry(self, message, timeout=60):
        """From the first to the second; what came."""
        self.peers[0].send(message)
        output = self.peers[1].process.stdout
        while True:
            ready = select.select([*self.links, output], [], [], timeout)[0]
            if not ready:
                raise TimeoutError("nothing on the wire")
            if output in ready:
                return self.peers[1].receive(timeout)
            for link in ready:
                self.frames.append(link.recv(72))
                self.links[link].send(self.frames[-1])

    def close(self):
        return [peer.close() for peer in self.peers]

    def pcap(self):
        """The frames as LINKTYPE_CAN_SOCKETCAN: as struct can_frame, but with the id in network order and FD said in the flags."""
        out = [struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 227)]
        for number, data in enumerate(self.frames):
            ident, length, flags = struct.unpack("=IBB", data[:6])
            data = struct.pack(">IBBxx", ident, length, flags | 4 if len(data) == 72 else 0) + data[8:]
            out.append(struct.pack("=IIII", number, 0, len(data), len(data)) + data)
        return b"".join(out)

    def dissected(self):
        """The messages as tshark puts them together."""
        done = subprocess.run(["tshark", "-r", "-", "-o", f"iso15765.can.extended_ids:{PEER_TX},{PEER_RX}", "-Y",
                               "iso15765.message_type == 0 || iso15765.reassembled.length", "-T", "fields", "-e", "data.data"],
                              input=self.pcap(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return [bytes.fromhex(line) for line in done.stdout.decode().splitlines()]
