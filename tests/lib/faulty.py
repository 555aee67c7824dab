# SPDX-License-Identifier: LGPL-2.1-or-later
"""A broker that is not what it should be: TLS by Python's ssl, as much MQTT as it takes, and one fault, chosen by name.

Each client has a thread of its own; all of them see `stopping`. What a test asks afterwards: `connections` (times of each accept),
`published` (payloads of acknowledged publishes), `replies` (payloads on the reply topic).
"""
import datetime
import os
import socket
import ssl
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14


def certificate(folder, stem, issuer=None, name="localhost", days=(-1, 30), usage=ExtendedKeyUsageOID.SERVER_AUTH):
    """(certificate, key) files; issuer: (certificate, key) files of a CA, None: signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, issued_by = key, subject
    if issuer:
        with open(issuer[0], "rb") as f:
            issued_by = x509.load_pem_x509_certificate(f.read()).subject
        with open(issuer[1], "rb") as f:
            signer = serialization.load_pem_private_key(f.read(), None)
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issued_by).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0])).not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(signer, hashes.SHA256()))
    paths = os.path.join(folder, stem + ".pem"), os.path.join(folder, stem + ".key")
    with open(paths[0], "wb") as f:
        f.write(made.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


class Gone(Exception):
    pass


class Faulty:
    def __init__(self, chain, client_ca, fault, limit=None, commands=()):
        self.fault, self.limit, self.commands = fault, limit, commands
        self.connections, self.published, self.replies, self.errors = [], [], [], []
        self.stopping = False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*chain)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(cadata=client_ca)
        if fault == "old-tls":
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self):
        self.stopping = True
        self.listener.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def _listen(self):
        while not self.stopping:
            try:
                connection, _peer = self.listener.accept()
            except OSError:
                return
            self.connections.append(time.monotonic())
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw):
        try:
            if self.fault == "closes":
                raw.close()
            elif self.fault == "silent":
                self._hold()
            elif self.fault == "plain":
                raw.recv(1)
                raw.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                self._hold()
            elif self.fault == "half-flight":
                self._half_flight(raw)
            else:
                with self.context.wrap_socket(raw, server_side=True) as tls:
                    Session(self, tls).run()
        except (OSError, Gone) as error:
            self.errors.append(str(error))

    def _hold(self):
        while not self.stopping:
            time.sleep(0.1)

    def _half_flight(self, raw):
        """A real handshake, of which only the first `limit` octets are let out."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while not outgoing.pending:
            incoming.write(raw.recv(4096))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
        raw.sendall(outgoing.read()[:self.limit])
        self._hold()


class Session:
    """One client inside TLS."""

    def __init__(self, server, tls):
        self.server, self.tls, self.v5 = server, tls, True
        self.lock = threading.Lock()

    def exactly(self, n):
        data = b""
        while len(data) < n:
            got = self.tls.recv(n - len(data))
            if not got:
                raise Gone("closed by the client")
            data += got
        return data

    def read(self):
        """(type, flags, body) of the next packet."""
        first, = self.exactly(1)
        length = shift = 0
        while True:
            octet, = self.exactly(1)
            length |= (octet & 0x7f) << shift
            shift += 7
            if not octet & 0x80:
                break
        return first >> 4, first & 15, self.exactly(length)

    def send(self, kind, body, flags=0):
        length, head = len(body), b""
        while True:
            head += bytes([(length & 0x7f) | (0x80 if length > 0x7f else 0)])
            length >>= 7
            if not length:
                break
        with self.lock:
            self.tls.sendall(bytes([kind << 4 | flags]) + head + body)

    def publish(self, topic, payload, properties=b"", retain=False):
        topic = topic.encode()
        body = struct.pack(">H", len(topic)) + topic
        if self.v5:
            body += bytes([len(properties)]) + properties
        self.send(PUBLISH, body + payload, flags=1 if retain else 0)

    def run(self):
        fault = self.server.fault
        kind, _flags, body = self.read()
        if kind != CONNECT:
            raise Gone("no CONNECT first")
        self.v5 = body[6] == 5
        if fault == "no-connack":
            self.server._hold()
        if fault == "drops-at-connect":
            return
        if fault == "garbage":
            self.tls.sendall(os.urandom(4096))
            self.server._hold()
        if fault.startswith("refuses-connect"):
            reason = int(fault.rsplit("-", 1)[1])
            self.send(CONNACK, bytes([0, reason]) + (b"\0" if self.v5 else b""))
            return
        if fault == "second-connack":
            self.send(CONNACK, b"\0\0" + (b"\0" if self.v5 else b""))
        self.send(CONNACK, b"\0\0" + (b"\0" if self.v5 else b""))
        if fault == "says-goodbye":
            self.send(DISCONNECT, b"\x8b\0")
            self.server._hold()
        if fault == "huge-packet":
            self.tls.sendall(b"\x30\xff\xff\xff\x7f" + b"\0" * 100000)
            self.server._hold()
        while not self.server.stopping:
            self.answer(*self.read())

    def answer(self, kind, flags, body):
        fault = self.server.fault
        if kind == SUBSCRIBE:
            if fault != "no-suback":
                self.send(SUBACK, body[:2] + (b"\0" if self.v5 else b"") + (b"\x87" if fault == "refuses-subscribe" else b"\1"))
            for topic, payload, properties, retain in self.server.commands:
                self.publish(topic, payload, properties, retain)
            if fault == "floods":
                topic = body[5:5 + struct.unpack(">H", body[3:5])[0]] if self.v5 else body[4:]
                for i in range(self.server.limit):
                    self.publish(topic.decode(), b'{"point":"valve","read":true,"correlation":"%d"}' % i)
        elif kind == PINGREQ:
            self.send(PINGRESP, b"")
        elif kind == PUBLISH:
            self.take(flags, body)

    def take(self, flags, body):
        fault = self.server.fault
        if fault == "drops-in-publish":
            raise Gone("on purpose")
        length = struct.unpack(">H", body[:2])[0]
        topic, rest = body[2:2 + length].decode(), body[2 + length:]
        mid, rest = rest[:2], rest[2:]
        if self.v5:
            rest = rest[1 + rest[0]:]  # properties of less than 128 octets
        status = topic.endswith("/status")
        if fault == "no-puback" and not status:
            return
        if fault == "refuses-publish" and not status:
            self.send(PUBACK, mid + b"\x87")
            return
        (self.replies if topic.endswith("/reply") else self.published).append(rest)
        self.send(PUBACK, mid)

    @property
    def replies(self):
        return self.server.replies

    @property
    def published(self):
        return self.server.published
