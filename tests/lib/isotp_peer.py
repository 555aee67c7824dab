# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our ISO-TP (isotp-peer.c) on a CAN link, with the face of the judges in judges/isotp_stacks.py."""
import os
import select
import socket
import struct
import subprocess
import time


class Ours:
    """On the interface `name`; None: on a socket pair, whose other end is `link`, that carries what SocketCAN would."""

    def __init__(self, name, tx_id, rx_id, *options, timeout=60):
        program = os.environ.get("ISOTP_PEER") or os.path.join(os.environ["GANGWAY_BUILD"], "tests", "lib", "isotp-peer")
        argv = [program, f"--tx-id={tx_id}", f"--rx-id={rx_id}", f"--timeout={timeout * 1000}", *options]
        self.link, passed = None, []
        if name is None:
            self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            passed = [theirs]
            argv.append(f"--socket={theirs.fileno()}")
        else:
            argv.append(f"--can={name}")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[s.fileno() for s in passed])
        for sock in passed:
            sock.close()
        self.data = b""

    def send(self, octets):
        self.process.stdin.write(struct.pack(">I", len(octets)) + octets)
        self.process.stdin.flush()

    def receive(self, timeout):
        """The next message; None after `timeout` seconds. Raises if one was not received, or not sent, whole: stderr says why."""
        deadline = time.monotonic() + timeout
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack_from(">I", self.data)[0]:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise OSError("isotp-peer has ended")
            self.data += more
        end = 4 + struct.unpack_from(">I", self.data)[0]
        message, self.data = self.data[4:end], self.data[end:]
        if not message:
            raise OSError("isotp-peer has failed")
        return message

    def close(self):
        """Ends it, if it has not been, once all is sent. Its exit code."""
        if self.process.returncode is None:
            self.process.stdin.close()
            self.process.wait(60)
            self.process.stdout.close()
            if self.link:
                self.link.close()
        return self.process.returncode
