# SPDX-License-Identifier: LGPL-2.1-or-later
"""Raw SocketCAN in Python's own words, for judges: nothing of the project is in here.

A frame is (id, data) with id as in <linux/can.h>: bit 31 says that it has 29 bits, bit 30 asks (RTR), bit 29 is an error frame.
"""
import os
import socket
import struct
import subprocess
import time

EFF = 0x80000000
RTR = 0x40000000
ERR = 0x20000000
FRAME = struct.Struct("=IB3x8s")
FD_FRAME = struct.Struct("=IBBxx64s")
FDF, BRS = 0x04, 0x01
# Octets that may wait in a socket: vcan has no speed of its own, and by default some three hundred frames fit.
QUEUE = 16 << 20
SO_RCVBUFFORCE = 33
LAST = 0x1FFFFFFF, b"the last"


class Link:
    """One interface, all its frames. `errors` also takes error frames; `own` also what this socket sends."""

    def __init__(self, name, fd=False, errors=False, own=False):
        self.name = name
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        if fd:
            self.socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        if errors:
            self.socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_ERR_FILTER, 0x1FFFFFFF)
        if own:
            self.socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_RECV_OWN_MSGS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE)
        self.socket.bind((name,))

    def fileno(self):
        return self.socket.fileno()

    def close(self):
        self.socket.close()

    def send(self, can_id, data=b"", fd=False, brs=False):
        """Sends a frame; raises OSError as the kernel says (ENOBUFS: the queue is full, ENETDOWN: the interface is down)."""
        if fd:
            self.socket.send(FD_FRAME.pack(can_id, len(data), FDF | (BRS if brs else 0), bytes(data)))
        else:
            self.socket.send(FRAME.pack(can_id, len(data), bytes(data)))

    def receive(self, timeout):
        """The next frame as (id, data), or None after `timeout` seconds."""
        self.socket.settimeout(max(timeout, 0) or 1e-6)
        try:
            raw = self.socket.recv(FD_FRAME.size)
        except (TimeoutError, BlockingIOError):
            return None
        if len(raw) == FD_FRAME.size:
            can_id, length, _, data = FD_FRAME.unpack(raw)
        else:
            can_id, length, data = FRAME.unpack(raw)
        return can_id, data[:length]

    def wait(self, wanted, timeout):
        """The first frame that `wanted` (a predicate of id and data) likes; None after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive(deadline - time.monotonic())
            if frame is None or wanted(*frame):
                return frame


def listeners(name):
    """How many sockets take everything from that interface."""
    with open("/proc/net/can/rcvlist_all", encoding="ascii") as f:
        return sum(line.split()[:1] == [name] for line in f)


class Recording:
    """All frames of an interface, recorded with can-utils' candump in its log format."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        before = listeners(name)
        with open(path, "wb") as out:
            self.process = subprocess.Popen(["candump", "-L", "-r", str(QUEUE), f"{name},0:0,#FFFFFFFF"], stdin=subprocess.DEVNULL, stdout=out)
        while listeners(name) == before:
            assert self.process.poll() is None, "candump does not run"
            time.sleep(0.001)

    def stop(self):
        """Ends it, when all is in there, and returns the recording's path. For that it sends a frame that nobody minds."""
        if self.process.returncode is not None:
            return self.path
        link = Link(self.name)
        link.send(EFF | LAST[0], LAST[1])
        link.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self._tail().endswith(b" %08X#%s\n" % (LAST[0], LAST[1].hex().upper().encode())):
            time.sleep(0.01)
        self.process.terminate()
        self.process.wait()
        with open(self.path, "rb+") as f:
            lines = f.read().splitlines(keepends=True)
            f.truncate(sum(map(len, lines[:-1])))
        return self.path

    def _tail(self):
        with open(self.path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - 64))
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
