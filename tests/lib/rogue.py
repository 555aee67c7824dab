# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile and independent peers of the agent: a plugin that speaks the bus socket by hand, and endpoints behind it whose DTLS is mbedTLS
(dtls-peer) and whose SMP is written here, from doc/protocol.md and with python3-cbor2, sharing nothing with the project's own code.

    plugin = Plugin(lab, "rogue"); endpoint = Endpoint(plugin, keys); endpoint.wait_up()

Everything runs on the default main context, so supervisor.wait() drives it.
"""
import base64
import hashlib
import os
import socket
import struct
import subprocess
import unittest

import cbor2
from gi.repository import Gio, GLib

import pki
from bus import NAME, ROOT
from lab import Lab
from supervisor import wait

HELLO, NODE_UP, NODE_DOWN, DATAGRAM, SCAN, STATS, LINK_NOW, NODE_INFO = range(1, 9)
UNKNOWN, ACTIVE, WARNING, PASSIVE, OFF = range(5)
OS, ENUM, LINK, IDENT, DATA = 0, 10, 0x5100, 0x5101, 0x5102
INFO, CSR, CERT_PUT, _CERT_GET, ANCHOR, OWN, NONCE, SIGN = range(8)
DESCRIBE, READ, WRITE, WATCH, REPORT, EVENT, COMMAND_STATUS = range(7)
SIGN_HEAD = b"\x20" * 64 + b"TLS 1.3, client CertificateVerify\0"


def message(kind, node=0, body=b""):
    return struct.pack("<BBHI", kind, 0, 0, node) + body


def hello(version=1, largest=2048, nodes=254):
    return message(HELLO, 0, struct.pack("<HHI", version, largest, nodes))


def link_now(state=ACTIVE, tx=0, rx=0, load=0xFFFF, round_trip=0, rate=0, culprit=0, share=0):
    return message(LINK_NOW, 0, struct.pack("<BBHHHHHII", state, 0, tx, rx, load, round_trip, share, rate, culprit))


def node_info(node, address, retries=0):
    return message(NODE_INFO, node, struct.pack("<HHIQ", address, 0, 0, retries))


def smp(op, group, command, seq, body, *, version=1, flags=0, length=None):
    """An SMP message; body: CBOR octets, or what cbor2 shall make them of."""
    octets = body if isinstance(body, bytes) else cbor2.dumps(body)
    return struct.pack(">BBHHBB", version << 3 | op, flags, len(octets) if length is None else length, group, seq,
                       command) + octets


class Plugin:
    """A bus of one's own. `gone` is set when the agent closes the socket."""

    def __init__(self, lab, name, greet=True, **options):
        self.lab, self.name, self.gone, self.nodes, self.last = lab, name, False, {}, 0
        self.connection = Gio.DBusConnection.new_for_address_sync(
            lab.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.connection.set_exit_on_close(False)
        self.received = []
        self.reads = True  # a plugin that hangs does not
        fd = self.attach({"name": GLib.Variant("s", name), "kind": GLib.Variant("s", "test"),
                          **{k: GLib.Variant("s", v) for k, v in options.items()}})
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(False)
        self._watch = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, fd, GLib.IOCondition.IN, self._ready)
        if greet:
            self.send(hello())

    def attach(self, options):
        """Returns the socket's descriptor."""
        _reply, fds = self.connection.call_with_unix_fd_list_sync(
            NAME, ROOT, f"{NAME}.Manager", "AttachBus", GLib.Variant("(a{sv})", (options,)), None,
            Gio.DBusCallFlags.NONE, 10000, None, None)
        return fds.steal_fds()[0]

    @property
    def path(self):
        return f"{ROOT}/bus/{self.name}"

    def send(self, packet):
        """One packet to the agent; FALSE where the agent does not take more now, or has closed the socket."""
        try:
            self.socket.send(packet)
            return True
        except (BlockingIOError, ConnectionError, BrokenPipeError):
            return False

    def push(self, packet):
        """The same, but waits until it is taken."""
        wait("room on the bus socket", lambda: self.gone or self.send(packet))

    def _ready(self, fd, condition):
        while self.reads:
            try:
                packet = self.socket.recv(65536)
            except BlockingIOError:
                return True
            except ConnectionError:
                packet = b""
            if not packet:
                self.gone = True
                self._watch = 0
                return False
            kind, _flags, _reserved, node = struct.unpack_from("<BBHI", packet)
            if kind == DATAGRAM and node in self.nodes:
                self.nodes[node](packet[8:])
            else:
                self.received.append(packet)
        self._watch = 0
        return False

    def node_up(self, take, mtu=512, rtt=20, hello_cbor=b""):
        """Announces a node; take(datagram) gets what the agent sends it."""
        self.last += 1
        self.nodes[self.last] = take
        self.push(message(NODE_UP, self.last, struct.pack("<HH", mtu, rtt) + hello_cbor))
        return self.last

    def node_down(self, node, reason=1):
        self.nodes.pop(node, None)
        self.push(message(NODE_DOWN, node, bytes([reason])))

    def datagram(self, node, octets):
        self.push(message(DATAGRAM, node, octets))

    def node_state(self, node):
        """What D-Bus shows of it."""
        return next((n[3] for n in self.lab.bus.get(self.path, "Bus", "Nodes") if n[0] == node), None)

    def close(self):
        if self._watch:
            GLib.source_remove(self._watch)
            self._watch = 0
        self.socket.close()
        if not self.connection.is_closed():
            self.connection.close_sync(None)


class Keys:
    """A key with its self-signed certificate, and the key id that the agent shall find."""

    def __init__(self, lab, name, algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), args=()):
        os.makedirs(lab.path("rogue"), exist_ok=True)
        self.name = name
        self.key, self.crt = lab.path("rogue", f"{name}.key"), lab.path("rogue", f"{name}.pem")
        pki.openssl("req", "-x509", "-newkey", *algorithm, "-nodes", "-days", "30", "-subj", f"/CN={name}", *args,
                    "-keyout", self.key, "-out", self.crt)
        self.spki = pki.openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")
        self.der = pki.openssl("x509", "-in", self.crt, "-outform", "DER")
        self.kid = hashlib.sha256(self.spki).digest()
        self.id = self.kid.hex()


class Client:
    """dtls-peer on a node. `up` is the binding once it is up, `failed` why not; records go to take_record."""

    def __init__(self, plugin, keys, *args, mtu=512, hello_cbor=b"", node=None):
        self.plugin, self.up, self.failed, self.closed, self.records = plugin, None, None, False, []
        self.sent, self.tamper = [], None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        self.line = ours
        argv = [plugin.lab.binary("tests", "lib", "dtls-peer"), "--fd", str(theirs.fileno()), *args]
        if keys is not None:
            argv += ["--cert", keys.crt, "--key", keys.key]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(theirs.fileno(),))
        theirs.close()
        os.set_blocking(self.process.stdout.fileno(), False)
        self._text = b""
        if node is None:
            self.node = plugin.node_up(self._down, mtu=mtu, hello_cbor=hello_cbor)
        else:
            self.node, plugin.nodes[node] = node, self._down
        self._watches = [GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, ours.fileno(), GLib.IOCondition.IN, self._up),
                         GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.process.stdout.fileno(),
                                               GLib.IOCondition.IN | GLib.IOCondition.HUP, self._said)]

    def _down(self, datagram):
        try:
            self.line.send(datagram)
        except OSError:  # full, or the peer has ended (ENOTCONN is no ConnectionError)
            pass

    def _up(self, fd, condition):
        try:
            datagram = self.line.recv(65536)
        except (BlockingIOError, ConnectionError):
            return True
        self.sent.append(datagram)
        for part in self.tamper(datagram) if self.tamper else (datagram,):
            self.plugin.datagram(self.node, part)
        return True

    def _said(self, fd, condition):
        data = os.read(fd, 65536)
        if not data:
            self._watches.pop()
            return False
        self._text += data
        while b"\n" in self._text:
            line, self._text = self._text.split(b"\n", 1)
            word, _space, rest = line.decode().partition(" ")
            if word == "up":
                self.up = bytes.fromhex(rest)
            elif word == "recv":
                self.take_record(bytes.fromhex(rest))
            elif word == "failed":
                self.failed = rest
            elif word == "closed":
                self.closed = True
        return True

    def take_record(self, record):
        self.records.append(record)

    def tell(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def send(self, record):
        self.tell(record.hex())

    def wait_up(self, timeout=20):
        wait("the handshake", lambda: self.up or self.failed, timeout)
        assert self.up, self.failed
        return self

    def close(self, down=True):
        for watch in self._watches:
            GLib.source_remove(watch)
        self._watches = []
        self.line.close()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        if down and not self.plugin.gone:
            self.plugin.node_down(self.node)


class Endpoint(Client):
    """An endpoint that does what the protocol asks, but for what a test changes: `answers[(group, command)]` takes (self, body) and
    returns the answer's body (a map, or CBOR octets), None for silence, or a Raw message; `info` and `hello` hold what it says of
    itself, `csr_of` makes its signing request."""

    def __init__(self, plugin, keys, *args, hello_differs=None, answers=None, hello_cbor=None, **kwargs):
        self.keys = keys
        self._tls = None
        self.owner, self.certificate, self.objects = None, None, {}
        self.generation, self.signatures, self.asked = 1, 0, []
        self.in_seq, self.in_answer, self.out_seq = None, None, 0
        self.answered = {}  # our request's seq -> its answer's body
        self.hello = {"v": 1, "uid": keys.kid[:8], "kid": keys.kid, "mfr": "Rogue", "mdl": "R1", "sn": keys.name[:24],
                      "fw": "1.0", "mtu": 512, "sec": 1, "st": 0}
        self.info_changes, self.drop = {}, ()
        self.answers = dict(answers or {})
        said = dict(self.hello, **(hello_differs or {}))
        self.points = [{"id": 1, "n": "temperature", "u": "Cel", "ty": 3, "a": 5, "lo": -40.0, "hi": 125.0},
                       {"id": 2, "n": "valve", "u": "%", "ty": 2, "a": 7, "lo": 0, "hi": 100}]
        super().__init__(plugin, keys, *args, hello_cbor=cbor2.dumps(said) if hello_cbor is None else hello_cbor, **kwargs)

    @property
    def tls(self):
        """K_tls, made when it is first asked for."""
        self._tls = self._tls or Keys(self.plugin.lab, self.keys.name + "-tls")
        return self._tls

    def info(self):
        whole = dict(self.hello, st=1 if self.owner else 0, rot="puf", up=120000, gen=self.generation,
                     slots=[{"s": 0, "gen": 0, "kid": self.keys.kid, "crt": False}], puf={"ok": True, "fix": 3, "max": 36})
        if self.owner:
            whole["own"] = self.owner
        if self.certificate:
            whole["slots"].append({"s": 1, "gen": self.generation, "kid": self.tls.kid, "crt": True})
        whole.update(self.info_changes)
        for key in self.drop:
            whole.pop(key, None)
        return whole

    def csr(self):
        """PKCS#10 with the session's binding, by openssl."""
        return make_csr(self.plugin.lab, self.tls, self.up)

    def take_record(self, record):
        super().take_record(record)
        first, _flags, _length, group, seq, command = struct.unpack_from(">BBHHBB", record)
        body = cbor2.loads(record[8:])
        if first & 1:
            self.answered[seq] = body
            return
        if seq == self.in_seq:
            if self.in_answer is not None:
                self.send(self.in_answer)
            return
        self.in_seq, self.in_answer = seq, None
        self.asked.append((group, command, body))
        made = self.answers[(group, command)](self, body) if (group, command) in self.answers else self._answer(
            group, command, body)
        if made is None:
            return
        self.in_answer = made.octets if isinstance(made, Raw) else smp((first & 7) + 1, group, command, seq, made)
        self.send(self.in_answer)

    def _answer(self, group, command, body):
        if group == OS and command == 0:
            return {"r": body.get("d", "")}
        if group == ENUM:
            return {"groups": [{"group": OS, "name": "os"}, {"group": IDENT, "name": "gw_ident"},
                               {"group": DATA, "name": "gw_data"}]}
        if group == IDENT:
            return self._ident(command, body)
        if group == DATA and command == DESCRIBE:
            return {"n": len(self.points), "rev": 1, "p": self.points}
        if group == DATA and command == WATCH:
            return {}
        return {"rc": 8}

    def _ident(self, command, body):
        if command == INFO:
            return self.info()
        if command == NONCE:
            return {"n": os.urandom(16)}
        if command in (ANCHOR, CERT_PUT):
            if body["off"] == 0:
                self.objects[command] = bytearray()
            octets = self.objects[command]
            octets += body["data"]
            if command == CERT_PUT:
                self.certificate = bytes(octets)
            return {"off": len(octets)}
        if command == OWN:
            spki = pki.openssl("pkey", "-pubin", "-outform", "DER", data=pki.openssl(
                "x509", "-inform", "DER", "-pubkey", "-noout", data=bytes(self.objects[ANCHOR])))
            self.owner = hashlib.sha256(spki).digest()
            return {"st": 1}
        if command == CSR:
            if body["off"] == 0:
                self.objects[CSR] = self.csr()
            whole = self.objects[CSR]
            return {"len": len(whole), "off": body["off"], "csr": whole[body["off"]:body["off"] + 300]}
        if command == SIGN:
            self.signatures += 1
            return {"sig": pki.openssl("dgst", "-sha256", "-sign", self.tls.key, data=SIGN_HEAD + body["th"])}
        return {"rc": 8}

    def ask(self, command, body, seq=None, **changes):
        """Our own request in gw_data; returns its seq."""
        if seq is None:
            seq, self.out_seq = self.out_seq, (self.out_seq + 1) % 256
        self.send(smp(2, changes.pop("group", DATA), command, seq, body, **changes))
        return seq

    def answer_to(self, seq, timeout=10):
        return wait(f"the answer to request {seq}", lambda: self.answered.pop(seq, None), timeout)

    def report(self, body, **changes):
        """Sends a report and returns the answer's body."""
        return self.answer_to(self.ask(REPORT, body, **changes))

    def surveyed(self):
        return any(group == IDENT and command == INFO for group, command, _ in self.asked)


class Raw:
    """A whole message in place of an answer."""

    def __init__(self, octets):
        self.octets = octets


def make_csr(lab, keys, binding, extra=(), password=None):
    config = lab.path("rogue", "csr.cnf")
    text = password if password is not None else base64.b64encode(binding).decode()
    with open(config, "w", encoding="utf-8") as f:
        f.write("[req]\nprompt=no\nstring_mask=utf8only\ndistinguished_name=dn\nattributes=at\n"
                + ("req_extensions=ex\n[ex]\n" + "\n".join(extra) + "\n" if extra else "")
                + "[dn]\nCN=anything\n[at]\n" + (f"challengePassword={text}\n" if text else ""))
    return pki.openssl("req", "-new", "-config", config, "-key", keys.key, "-sha256", "-outform", "DER")


def resources(pid):
    """(CPU seconds, resident octets, descriptors) of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return ((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), resident, len(os.listdir(f"/proc/{pid}/fd")))


class Arena(unittest.TestCase):
    """A lab with one honest endpoint, online and reporting, beside which every test does its worst. After each test the agent is the
    same process, has spent no more than `cpu` seconds and grown by no more than `memory` octets, and the bystander has kept its
    session and its flow; after the last one nothing of its reports is lost."""

    cpu, memory = 2.0, 4 << 20
    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=1, sim_args=("--rate", "10"))
        cls.plugins = 0
        try:
            cls.lab.start()
            cls.lab.wait_online()
            cls.lab.wait_flow(0)
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        failed = True
        try:
            cls.lab.control("stop all")
            acked, _delivered, lost = cls.lab.drained(timeout=10)
            assert acked > 0 and not lost, f"the bystander lost {len(lost)} of {acked}: {lost[:3]}"
            failed = False
        finally:
            cls.lab.close(failed=failed)

    def setUp(self):
        self.agent = self.lab.agent.pid
        self.bystander = self.lab.sim_status(0)
        self.peers = []
        self.before = resources(self.agent)
        self.log_at = len(self.lab.agent.text())

    def tearDown(self):
        after = resources(self.agent) if self.lab.agent.pid == self.agent else None
        for peer in reversed(self.peers):
            peer.close()
        self.assertEqual(self.lab.agent.pid, self.agent, "the agent is another process")
        now = self.lab.sim_status(0)
        self.assertEqual(now["handshakes"], self.bystander["handshakes"], "the bystander lost its session")
        self.assertEqual(self.lab.state_of(now["kid"]), "online")
        self.lab.wait_flow(0, more=1)
        if not self.lab.sanitized:
            print(f"# {after[0] - self.before[0]:.2f} s of CPU, {(after[1] - self.before[1]) >> 10} KiB more memory", flush=True)
            self.assertLess(after[0] - self.before[0], self.cpu, "seconds of CPU")
            self.assertLess(after[1] - self.before[1], self.memory, "octets of memory")

    def plugin(self, **options):
        type(self).plugins += 1
        plugin = Plugin(self.lab, f"rogue{self.plugins}", **options)
        self.peers.append(plugin)
        return plugin

    def keys(self, **kwargs):
        type(self).plugins += 1
        return Keys(self.lab, f"{type(self).__name__.lower()}-{self.plugins}", **kwargs)

    def client(self, plugin, keys, *args, **kwargs):
        client = Client(plugin, keys, *args, **kwargs)
        self.peers.append(client)
        return client

    def endpoint(self, plugin=None, keys=None, **kwargs):
        endpoint = Endpoint(plugin or self.plugin(), keys or self.keys(), **kwargs)
        self.peers.append(endpoint)
        return endpoint

    def enrolled(self, **kwargs):
        """A rogue that was taken on board as any other: it is in a manifest, claimed, and has its certificate."""
        keys = kwargs.pop("keys", None) or self.claimed_keys()
        endpoint = self.endpoint(keys=keys, **kwargs)
        self.lab.wait_online([keys.id], timeout=30)
        return endpoint

    def claimed_keys(self):
        keys = self.keys()
        path = self.lab.path("rogue", f"{keys.name}.csv")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"key_id,manufacturer,model,serial_number\n{keys.id},Rogue,R1,{keys.name[:24]}\n")
        done = self.lab.import_manifest(path)
        assert done[0], done
        done = self.lab.add_batch([keys.id], name=keys.name)
        assert done[0], done
        return keys

    def said(self):
        """What the agent wrote since the test began."""
        return self.lab.agent.text()[self.log_at:]

    def reason(self, key_id):
        return self.lab.bus.endpoints().get(key_id, {}).get("StateReason")

    def wait_reason(self, key_id, text, timeout=20):
        try:
            wait(f"the reason '{text}'", lambda: text in (self.reason(key_id) or ""), timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is '{self.reason(key_id)}'") from None

    def wait_node(self, plugin, node, text, timeout=20):
        try:
            wait(f"node state '{text}'", lambda: text in (plugin.node_state(node) or ""), timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is '{plugin.node_state(node)}'") from None
