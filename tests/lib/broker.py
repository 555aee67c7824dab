# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mosquitto as a factory would run it (certificates required, identity as the user name, an ACL by pattern), and an
independent subscriber that tells what really arrived."""
import getpass
import json
import os
import socket
import subprocess

from supervisor import PATIENCE, Timeout, wait

SUBSCRIBER = "lab-subscriber"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """`authority` issues the server's certificate and the subscriber's; clients may also come from `client_ca` (PEM)."""

    def __init__(self, supervisor, folder, authority, port=None, saves=True):
        self.saves = saves
        self.supervisor, self.folder, self.authority = supervisor, folder, authority
        self.port = port or free_port()
        self.process = None
        self.log = os.path.join(folder, "mosquitto.log")
        os.makedirs(folder, exist_ok=True)
        self.server = authority.issue("lab-broker", "serverAuth", "DNS:localhost,IP:127.0.0.1")
        self.user = authority.issue(SUBSCRIBER, "clientAuth")

    def start(self, client_ca):
        with open(self.authority.crt, encoding="utf-8") as f:
            lab_ca = f.read()
        with open(os.path.join(self.folder, "clients.pem"), "w", encoding="utf-8") as f:
            f.write(client_ca.rstrip("\n") + "\n" + lab_ca)
        with open(os.path.join(self.folder, "acl"), "w", encoding="utf-8") as f:
            f.write(f"pattern readwrite gangway/%u/#\n\nuser {SUBSCRIBER}\ntopic readwrite gangway/#\n")
        os.chmod(os.path.join(self.folder, "acl"), 0o600)
        conf = os.path.join(self.folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"""per_listener_settings false
listener {self.port} 127.0.0.1
cafile {self.folder}/clients.pem
certfile {self.server[0]}
keyfile {self.server[1]}
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {self.folder}/acl
user {getpass.getuser()}
log_dest file {self.log}
log_type error
log_type warning
log_type notice
log_type information
connection_messages true
max_queued_messages 0
{self._persistence()}""")
        self.process = self.supervisor.start("mosquitto", ["mosquitto", "-c", conf], restart=True)
        self.wait_ready()

    def _persistence(self):
        """The subscriber must get what the broker has acknowledged, also across kill -9: no limit on what is in flight to
        it, and everything not yet delivered is saved at once. That writes the whole queue at every message: a
        benchmark, in which nobody kills the broker, does without."""
        if not self.saves:
            return "persistence false\n"
        return (f"max_inflight_messages 0\npersistence true\npersistence_location {self.folder}/\n"
                "autosave_on_changes true\nautosave_interval 1\n")

    def wait_ready(self, timeout=10.0):
        before = len(self.process.exits)
        wait("the broker to listen", lambda: self._listens() or len(self.process.exits) >= before + 3, timeout)
        if not self._listens():
            raise Timeout(f"the broker ends again and again; it says: {self.process.text()[-1500:]}")

    def _listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def lines(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def users(self):
        """The user names (certificate CNs) of all clients that ever connected, in order."""
        return [line.split("u'", 1)[1].split("'", 1)[0] for line in self.lines()
                if "New client connected" in line and "u'" in line]

    def publish(self, topic, payload, *options):
        """Publishes as the subscriber's identity, which may write everywhere below gangway/."""
        done = subprocess.run(["mosquitto_pub", "-V", "5", *self.client_args(), "-q", "1", "-t", topic, "-m", payload,
                               *options], capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
        if done.returncode != 0:
            raise AssertionError(f"mosquitto_pub: {done.stderr}")

    def client_args(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "--cafile", self.authority.crt,
                "--cert", self.user[0], "--key", self.user[1]]


class Subscriber:
    """mosquitto_sub with its own certificate on every endpoint's topics; reads what it printed, line by line.

    mosquitto_sub ends with its connection and is started again; its session outlives that and the broker's restarts
    (fixed client id, no clean session, QoS 1).
    """

    def __init__(self, supervisor, broker, topic="gangway/#"):
        self.process = supervisor.start(
            "subscriber", ["mosquitto_sub", *broker.client_args(), "-i", SUBSCRIBER, "-c", "-q", "1", "-t", topic,
                           "-F", "%t\t%p"], restart=True, may_fail=True)
        self.messages = []  # (topic, payload)
        self.deliveries = {}  # (endpoint, boot, sequence): times seen
        self.payloads = {}  # the same: first payload seen
        self.changed = []  # deliveries that came again with another payload, which QoS 1 does not allow
        self.offset = 0
        self.rest = b""

    def ready(self, broker, timeout=10.0):
        wait("the subscriber's connection", lambda: SUBSCRIBER in broker.users(), timeout)

    def read(self):
        """Takes in what was printed since; returns self, so that a predicate can go on with it."""
        with open(self.process.log, "rb") as f:
            f.seek(self.offset)
            data = self.rest + f.read()
            self.offset = f.tell()
        lines = data.split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            topic, tab, payload = line.partition(b"\t")
            if not tab:
                continue
            topic, payload = topic.decode(errors="replace"), payload.decode(errors="replace")
            self.messages.append((topic, payload))
            key = delivery_of(topic, payload)
            if key:
                self.deliveries[key] = self.deliveries.get(key, 0) + 1
                if self.payloads.setdefault(key, payload) != payload:
                    self.changed.append(key)
        return self

    def distinct(self):
        return len(self.read().deliveries)


def delivery_of(topic, payload):
    """(endpoint, boot, sequence) of a telemetry message, None for all else.

    The endpoint comes from the topic, which the broker's ACL ties to the certificate, and must be the base name's too;
    boot and sequence are the records _boot and _seq.
    """
    parts = topic.split("/")
    if len(parts) != 3 or parts[0] != "gangway" or parts[2] != "telemetry":
        return None
    try:
        pack = json.loads(payload)
        named = {record["n"]: record for record in pack}
        if pack[0]["bn"] != f"urn:gangway:{parts[1]}:":
            return None
        return parts[1], named["_boot"]["vs"], int(named["_seq"]["v"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
