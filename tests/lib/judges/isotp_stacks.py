# SPDX-License-Identifier: LGPL-2.1-or-later
"""ISO-TP as others have written it, behind one face: send(octets), receive(timeout), close(). 29-bit ids.

Scapy is scapy's ISOTPSoftSocket (classic CAN only), Kernel is Linux's can-isotp (classic and FD; messages up to 8,200 octets).
"""
import socket
import struct
import time

EFF = 0x80000000
SOL_CAN_ISOTP = 106
OPTS, RECV_FC, LL_OPTS = 1, 2, 5
TX_PADDING, RX_PADDING, CHECK_PAD_LEN, CHECK_PAD_DATA, WAIT_TX_DONE = 0x004, 0x008, 0x010, 0x020, 0x400
CAN_MTU, CANFD_MTU, BRS = 16, 72, 1
KERNEL_MAX = 8200


def lengths(most):
    """Every length around which something changes: single frames classic and FD, the last frame's fill, the sequence number's
    wrap, 12-bit and 32-bit first frames; up to `most`."""
    found = set(range(1, 80)) | {6 + 7 * 15 + n for n in range(-1, 9)} | {6 + 7 * 16 + n for n in range(-1, 3)}
    found |= {62 + 63 * n + d for n in (1, 15, 16, 17) for d in (-1, 0, 1)}
    found |= {255, 256, 511, 512, 513, 1000, 2047, 2048, 4093, 4094, 4095, 4096, 4097, 5000, KERNEL_MAX, 16000, 70000}
    return sorted(n for n in found if n <= most)


def message(length):
    """Octets that show any that is lost, doubled or displaced."""
    return bytes((i * 7 + i // 251 + length) & 0xFF for i in range(length))


class Kernel:
    def __init__(self, name, tx_id, rx_id, tx_dl=8, brs=False, pad=None, strict=True, block_size=0, st_min=0):
        """pad: octet, None for none; strict: what comes must be padded the same, else it is no frame to it."""
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
        flags = WAIT_TX_DONE
        if pad is not None:
            flags |= TX_PADDING | RX_PADDING | ((CHECK_PAD_LEN | CHECK_PAD_DATA) if strict else 0)
        self.socket.setsockopt(SOL_CAN_ISOTP, OPTS, struct.pack("=IIBBBB", flags, 0, 0, pad or 0, pad or 0, 0))
        self.socket.setsockopt(SOL_CAN_ISOTP, RECV_FC, struct.pack("=BBB", block_size, st_min, 0))
        if tx_dl > 8:
            self.socket.setsockopt(SOL_CAN_ISOTP, LL_OPTS, struct.pack("=BBB", CANFD_MTU, tx_dl, BRS if brs else 0))
        self.socket.bind((name, rx_id | EFF, tx_id | EFF))

    def send(self, octets):
        self.socket.send(octets)

    def receive(self, timeout):
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(KERNEL_MAX)
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


class Scapy:
    def __init__(self, name, tx_id, rx_id, padding=False, block_size=0, st_min=0, timeout=1):
        # Not above: it takes a second to load.
        from scapy.contrib.cansocket_native import NativeCANSocket
        from scapy.contrib.isotp import ISOTPSoftSocket
        filters = [{"can_id": rx_id | EFF, "can_mask": EFF | 0x1FFFFFFF}]
        self.socket = ISOTPSoftSocket(NativeCANSocket(name, can_filters=filters), tx_id=tx_id, rx_id=rx_id, padding=padding,
                                      bs=block_size, stmin=st_min)
        self.socket.impl.fc_timeout = self.socket.impl.cf_timeout = timeout

    def send(self, octets):
        from scapy.contrib.isotp import ISOTP
        self.socket.send(ISOTP(data=octets))

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            got = self.socket.select([self.socket], max(0, deadline - time.monotonic()))
            if got:
                packet = self.socket.recv()
                return bytes(packet.data) if packet is not None else None
        return None

    def close(self):
        self.socket.close()
