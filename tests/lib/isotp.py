# SPDX-License-Identifier: LGPL-2.1-or-later
"""gw-isotp in a process (isotp-peer) beside an ISO-TP stack of other making, python3-scapy's, on one CAN link.

The link is an interface where there is one (a virtual one in a guest), else a socket pair that carries what SocketCAN
would: struct can_frame. Whatever goes over it from the peer is kept, for looking at afterwards."""
import os
import select
import socket
import struct
import subprocess
import time

# scapy looks at the network interfaces when it is loaded, which a test of frames has no need of
from scapy.config import conf

conf.contribs["CAN"] = {"swap-bytes": False, "remove-padding": True}
conf.contribs["ISOTP"] = {"use-can-isotp-kernel-module": False}
from scapy.contrib.isotp import ISOTPSoftSocket  # noqa: E402
from scapy.layers.can import CAN  # noqa: E402
from scapy.supersocket import SuperSocket  # noqa: E402

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


class Peer:
    """Our side."""

    def __init__(self, *options, interface=None, timeout=10, tx_id=PEER_TX, rx_id=PEER_RX):
        program = os.path.join(os.environ["GANGWAY_BUILD"], "tests", "lib", "isotp-peer")
        argv = [program, f"--timeout={timeout * 1000}", f"--tx-id={tx_id}", f"--rx-id={rx_id}", *options]
        if interface:
            argv.append(f"--can={interface}")
            self.link = open_interface(interface)
            passed = ()
        else:
            self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            argv.append(f"--socket={theirs.fileno()}")
            passed = (theirs.fileno(),)
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=passed)
        if not interface:
            theirs.close()
        self.buffer = b""

    def send(self, message):
        self.process.stdin.write(struct.pack(">I", len(message)) + message)
        self.process.stdin.flush()

    def recv(self, timeout=60):
        """The next message; b"" for a failure."""
        until = time.monotonic() + timeout
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">I", self.buffer[:4])[0]:
            left = until - time.monotonic()
            if left < 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError("nothing came from isotp-peer")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("isotp-peer ended")
            self.buffer += data
        end = 4 + struct.unpack(">I", self.buffer[:4])[0]
        message, self.buffer = self.buffer[4:end], self.buffer[end:]
        return message

    def close(self):
        """It ends by itself when there is nothing to do."""
        self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        self.link.close()
        return status


class Pair:
    """Our side and scapy's."""

    def __init__(self, *options, interface=None, padding=True, bs=0, stmin=0, timeout=10, lose=lambda data: False):
        self.peer = Peer(*options, interface=interface, timeout=timeout)
        self.frames = FrameSocket(self.peer.link, lose)
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
        return self.peer.close()


class Recorder:
    """Two of ours with a wire between them, and Wireshark's dissector on the wire."""

    def __init__(self, *options):
        self.peers = [Peer(*options), Peer(*options, tx_id=PEER_RX, rx_id=PEER_TX)]
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
                return self.peers[1].recv()
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
