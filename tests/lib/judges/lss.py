# SPDX-License-Identifier: LGPL-2.1-or-later
"""CiA 305 layer setting services written from the standard, as a judge: nothing of the project is in here.

Slave is what any CANopen device's LSS slave does, not only the part that our nodes need: switch state global and selective,
configure and inquire node id, inquire identity, identify (non-configured) remote slave, fastscan; boot-up message, heartbeat and
NMT of CiA 301 around it. Master is the classic full fastscan: all four numbers, bit by bit, whatever the vendor.

Neither knows of the other but through frames (id, data).
"""
import struct
import time

MASTER_ID = 0x7E5  # from the master, to slaves
SLAVE_ID = 0x7E4
UNCONFIGURED = 0xFF
TRIES = 5  # of what failed, each with twice the patience of the last

SWITCH_GLOBAL = 0x04
CONFIGURE_NODE_ID = 0x11
STORE = 0x17
SWITCH_SELECTIVE = (0x40, 0x41, 0x42, 0x43)
SWITCHED = 0x44
IDENTIFY_UNCONFIGURED = 0x4C
IDENTIFIED = 0x4F
IDENTIFIED_UNCONFIGURED = 0x50
FASTSCAN = 0x51
INQUIRE = (0x5A, 0x5B, 0x5C, 0x5D)
INQUIRE_NODE_ID = 0x5E

HEARTBEAT = 0x700
OPERATIONAL, PRE_OPERATIONAL, STOPPED = 0x05, 0x7F, 0x04


def u32(data):
    return struct.unpack_from("<I", data, 1)[0]


class Slave:
    """A CANopen node that has no number. `identity` is (vendor, product, revision, serial)."""

    def __init__(self, identity, heartbeat=1.0):
        self.identity, self.heartbeat = tuple(identity), heartbeat
        self.log = []  # what was done to it: ("number", n), ("reset",), ("store",)
        self._restart(None)

    def _restart(self, number):
        """Power-up, or NMT reset communication: takes the pending number, if one was configured."""
        self.number = number if number is not None else UNCONFIGURED
        self.pending = self.number
        self.configuring = False
        self.scan_at = None  # the part of the identity that fastscan is at
        self.selected = 0  # how much of a selective switch has matched
        self.state = PRE_OPERATIONAL
        self.due = None  # when the next heartbeat is

    def boot(self, now):
        """With a number: the boot-up message, and heartbeats from now on."""
        if self.number == UNCONFIGURED:
            return []
        self.due = now + self.heartbeat
        return [(HEARTBEAT + self.number, b"\0")]

    def tick(self, now):
        if self.due is None or now < self.due:
            return []
        self.due = now + self.heartbeat
        return [(HEARTBEAT + self.number, bytes([self.state]))]

    def take(self, can_id, data, now):
        """Returns the frames that it sends upon this one."""
        if can_id == 0 and len(data) == 2:
            return self._nmt(data[0], data[1], now)
        if can_id != MASTER_ID or len(data) != 8:
            return []
        command = data[0]
        if command == SWITCH_GLOBAL:
            return self._switch(data[1], now)
        if command in SWITCH_SELECTIVE:
            return self._select(SWITCH_SELECTIVE.index(command), u32(data))
        if command == IDENTIFY_UNCONFIGURED:
            return self._answer(IDENTIFIED_UNCONFIGURED) if self.number == self.pending == UNCONFIGURED else []
        if command == FASTSCAN:
            return self._scan(u32(data), data[5], data[6], data[7])
        return self._configure(command, data) if self.configuring else []

    def _answer(self, command, *more):
        return [(SLAVE_ID, bytes([command, *more]).ljust(8, b"\0"))]

    def _switch(self, mode, now):
        was, self.configuring = self.configuring, mode == 1
        self.selected = 0
        if was and mode == 0 and self.number == UNCONFIGURED and self.pending != UNCONFIGURED:
            self._restart(self.pending)
            self.log.append(("number", self.number))
            return self.boot(now)
        return []

    def _select(self, part, value):
        if part != self.selected or value != self.identity[part]:
            self.selected = 0
            return []
        self.selected += 1
        if self.selected < 4:
            return []
        self.selected, self.configuring = 0, True
        return self._answer(SWITCHED)

    def _scan(self, value, bit_check, part, then):
        if self.configuring or self.number != UNCONFIGURED or self.pending != UNCONFIGURED:
            return []
        if bit_check == 0x80:
            self.scan_at = 0
            return self._answer(IDENTIFIED)
        if bit_check > 31 or part > 3 or then > 3 or part != self.scan_at:
            return []
        if (value ^ self.identity[part]) >> bit_check:
            return []
        if bit_check == 0:
            if then < part:
                self.configuring, self.scan_at = True, None
            else:
                self.scan_at = then
        return self._answer(IDENTIFIED)

    def _configure(self, command, data):
        if command == CONFIGURE_NODE_ID:
            if not (1 <= data[1] <= 127 or data[1] == UNCONFIGURED):
                return self._answer(CONFIGURE_NODE_ID, 1)
            self.pending = data[1]
            return self._answer(CONFIGURE_NODE_ID, 0)
        if command == STORE:
            self.log.append(("store",))
            return self._answer(STORE, 1)  # not supported: nothing is kept
        if command in INQUIRE:
            return self._answer(command, *struct.pack("<I", self.identity[INQUIRE.index(command)]))
        if command == INQUIRE_NODE_ID:
            return self._answer(INQUIRE_NODE_ID, self.number)
        return []

    def _nmt(self, command, node, now):
        if self.number == UNCONFIGURED or node not in (0, self.number):
            return []
        if command in (0x81, 0x82):
            self.log.append(("reset",))
            self._restart(None)
            return []
        self.state = {0x01: OPERATIONAL, 0x02: STOPPED, 0x80: PRE_OPERATIONAL}.get(command, self.state)
        return []


class Master:
    """Blocking, over a link with send(id, data) and receive(timeout) -> (id, data) or None. `patience` is how long silence
    must last to mean no."""

    def __init__(self, link, patience=0.05):
        self.link, self.patience = link, patience
        self.requests = 0

    def ask(self, command, *more, wanted=None, patience=None):
        """Sends a request and waits for the answer of that command (or for `wanted`); returns its data, or None."""
        patience = patience or self.patience
        self.link.send(MASTER_ID, bytes([command, *more]).ljust(8, b"\0"))
        self.requests += 1
        wanted = command if wanted is None else wanted
        frame = self.link.wait(lambda can_id, data: can_id == SLAVE_ID and data[0] == wanted, patience)
        if frame is None:
            return None
        # What others answered to the same must not be taken for the answer to the next.
        self.let_pass(self.patience / 10)
        return frame[1]

    def let_pass(self, patience):
        """Takes what still comes, until it has been silent for so long."""
        while self.link.wait(lambda can_id, data: can_id == SLAVE_ID, patience):
            pass

    def scan(self, value, bit_check, part, then, patience):
        return self.ask(FASTSCAN, *struct.pack("<I", value), bit_check, part, then, wanted=IDENTIFIED, patience=patience) is not None

    def find(self):
        """The identity of one node without a number, which is in configuration state then; None if there is none. Silence that was
        none, but somebody late on a busy machine, shows when the whole number is asked: then that number is searched again."""
        waits = [self.patience * 2 ** n for n in range(TRIES)]
        if not any(self.scan(0, 0x80, 0, 0, patience) for patience in waits):
            return None
        identity = []
        for part in range(4):
            for patience in waits:
                value = 0
                for bit in reversed(range(32)):
                    if not self.scan(value, bit, part, part, patience):
                        value |= 1 << bit
                self.let_pass(patience)
                if self.scan(value, 0, part, (part + 1) % 4, patience):
                    break
            else:
                return None
            identity.append(value)
        return tuple(identity)

    def number(self, node):
        """Gives the node that was found its number and lets it start. False: it does not take it."""
        answer = self.ask(CONFIGURE_NODE_ID, node, patience=60)  # silence means nothing here
        self.link.send(MASTER_ID, bytes([SWITCH_GLOBAL]).ljust(8, b"\0"))
        return answer is not None and answer[1] == 0

    def number_all(self, first=1, most=127):
        """{node: identity} of all that could be found, numbered from `first` on."""
        done = {}
        while len(done) < most:
            identity = self.find()
            if identity is None:
                return done
            node = first + len(done)
            if not self.number(node):
                raise AssertionError(f"{identity} does not take {node}")
            done[node] = identity
        return done


def serve(link, slaves, stop, now=time.monotonic):
    """Lets slaves live on a link until stop() says so, at most 50 ms late."""
    while not stop():
        frame = link.receive(0.01)
        for slave in slaves:
            for answer in (slave.take(*frame, now()) if frame else []) + slave.tick(now()):
                link.send(*answer)
