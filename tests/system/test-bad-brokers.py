#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brokers that are not what they should be, each with an endpoint and a policy of its own, all at once; beside them a good
broker whose endpoint must not notice."""
import json
import os
import re
import time
import unittest

from cryptography.x509.oid import ExtendedKeyUsageOID

import tap
from bus import NAME, ROOT
from faulty import Faulty, certificate
from lab import Lab
from supervisor import Timeout, wait

NOT_MQTT = "Broker localhost sent what is no MQTT packet for a client, or one of over 65536 octets"
WITHOUT_A_WORD = "Broker localhost closed the connection without a word"
UNKNOWN_ISSUER = ("The certificate of broker localhost is not accepted: none of the policy's trust anchors has issued it; "
                  "correct TrustAnchors or the broker")
# What StateReason says after "not connected to the broker: "; PORT and DATE stand for what differs.
FAULTS = {
    "wrong-name": "The certificate of broker localhost is not accepted: it is for elsewhere.example; correct the policy's BrokerUri "
                  "or the broker's certificate",
    "expired": "The certificate of broker localhost is not accepted: it or its issuer has expired (the certificate at DATE); renew "
               "it, or check the gateway's clock",
    "not-yet-valid": "The certificate of broker localhost is not accepted: it is not valid yet; check the gateway's clock",
    "foreign": UNKNOWN_ISSUER,
    "self-signed": UNKNOWN_ISSUER,
    "wrong-purpose": "The certificate of broker localhost is not accepted: it is not meant for TLS servers (extended key usage)",
    "old-tls": "Broker localhost does not speak TLS 1.3, and endpoints sign for no other; enable TLS 1.3 at the broker",
    "closes": WITHOUT_A_WORD,
    "plain": "TLS with broker localhost failed: An unexpected TLS packet was received.",
    "garbage": NOT_MQTT,
    "huge-packet": NOT_MQTT,
    "second-connack": NOT_MQTT,
    "refuses-connect-135": "The broker refuses the MQTT connection: Not authorized",
    "refuses-connect-133": "The broker refuses the MQTT connection: Client Identifier not valid",
    "refuses-connect-5": "The broker refuses the MQTT connection: Connection Refused: not authorised.",
    "drops-at-connect": WITHOUT_A_WORD,
    "says-goodbye": "The broker ended the MQTT connection: Server shutting down",
    "drops-in-publish": WITHOUT_A_WORD,
    "silent": "Broker localhost port PORT does not answer (TLS handshake)",
    "half-flight": "Broker localhost port PORT does not answer (TLS handshake)",
    "no-connack": "Broker localhost does not answer to MQTT",
}
# These are connected, and it says so, but reports stay here.
UNWILLING = {
    "refuses-publish": "Broker localhost refuses the publish: Not authorized (reason 0x87)",
    "no-puback": "the broker has acknowledged nothing for 30 s",
}
# These get their reports, whatever else.
HARMLESS = ("no-suback", "refuses-subscribe", "floods")
# Once these have shown their fault they are mended: all that was acknowledged to the endpoint must arrive.
MENDED = ("drops-in-publish", "refuses-publish", "no-puback")
FLOOD = 5000
RSS_MORE = 16 << 20


class BadBrokers(unittest.TestCase):
    hurried = set()  # asked to try at once

    @classmethod
    def setUpClass(cls):
        cls.names = [*FAULTS, *UNWILLING, *HARMLESS]
        cls.lab = Lab(endpoints=len(cls.names) + 1, sim_args=["--rate", "2"])
        cls.brokers, cls.reasons = {}, {name: set() for name in cls.names}
        try:
            cls.lab.start(claim=False)
            cls.ids = cls.lab.ids()
            assert cls.lab.import_manifest()[0]
            assert cls.lab.add_batch(cls.ids[:1])[0]
            cls.lab.wait_online(cls.ids[:1])
            cls.rss = cls.resident()
            cls.cpu = cls.used()
            cls.started = time.monotonic()
            for n, name in enumerate(cls.names, 1):
                cls.begin(n, name)
            cls.lab.bus.call(ROOT, "Manager", "Reload")
            for n, name in enumerate(cls.names, 1):
                assert cls.lab.add_batch([cls.ids[n]], name=f"batch-{name}", policy=f"bad-{name}")[0]
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        for broker in cls.brokers.values():
            broker.stop()
        cls.lab.close()

    @classmethod
    def begin(cls, n, name):
        folder, lab_ca = cls.lab.path("pki"), (cls.lab.authority.crt, cls.lab.authority.key)
        chain = {
            "wrong-name": lambda: certificate(folder, name, lab_ca, name="elsewhere.example"),
            "expired": lambda: certificate(folder, name, lab_ca, days=(-30, -1)),
            "not-yet-valid": lambda: certificate(folder, name, lab_ca, days=(1, 30)),
            "foreign": lambda: certificate(folder, name, certificate(folder, "other-ca", name="other ca")),
            "self-signed": lambda: certificate(folder, name),
            "wrong-purpose": lambda: certificate(folder, name, lab_ca, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        }.get(name, lambda: certificate(folder, name, lab_ca))()
        broker = Faulty(chain, cls.lab.bus.get(ROOT, "Manager", "CaCertificate"), name,
                        limit={"half-flight": 200, "floods": FLOOD}.get(name))
        cls.brokers[name] = broker
        cls.lab.write_policy(f"bad-{name}", BrokerUri=f"mqtts://localhost:{broker.port}",
                             MqttVersion="3.1.1" if name == "refuses-connect-5" else "5")

    @classmethod
    def resident(cls):
        with open(f"/proc/{cls.lab.agent.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024

    @classmethod
    def used(cls):
        with open(f"/proc/{cls.lab.agent.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def endpoint(self, name):
        return self.lab.bus.endpoints()[self.id_of(name)]

    @classmethod
    def id_of(cls, name):
        return cls.ids[1 + cls.names.index(name)]

    def sample(self):
        for name in self.names:
            reason = self.lab.bus.endpoints().get(self.id_of(name), {}).get("StateReason")
            if reason:
                reason = re.sub(r"port \d+", "port PORT", reason)
                self.reasons[name].add(re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", "DATE", reason))
            if name in MENDED and self.expected(name) in self.reasons[name]:
                self.brokers[name].fault = "none"

    @staticmethod
    def expected(name):
        return UNWILLING.get(name) or "not connected to the broker: " + FAULTS[name]

    def test_1_each_says_why(self):
        """The exact reason, and no other on the way to it."""
        bad = [*FAULTS, *UNWILLING]

        def all_said():
            self.sample()
            return all(self.expected(name) in self.reasons[name] for name in bad)
        try:
            wait("every reason", all_said, 60)
        except Timeout:
            pass
        self.maxDiff = None
        self.assertEqual({name: self.reasons[name] for name in bad}, {name: {self.expected(name)} for name in bad})

    def test_1_onboard_says_so_too(self):
        """Asked to come on board at a bad broker, it tries at once, and the job ends with the reason; nobody waits for good."""
        for name in ("foreign", "refuses-connect-135"):
            self.hurried.add(name)
            tries = len(self.brokers[name].connections)
            job = self.lab.bus.call(self.endpoint(name)["path"], "Endpoint", "Onboard", "(sa{sv})", "", {})[0]
            ok, error, message = self.lab.bus.job(job, timeout=5)
            self.assertEqual((ok, error), (False, f"{NAME}.Error.Offline"))
            self.assertIn(self.expected(name), message)
            self.assertGreater(len(self.brokers[name].connections), tries)

    def test_2_trying_again_is_bounded(self):
        """Waits double from half a second on, or a second; each is tried again, and cheaply."""
        wait("second tries", lambda: all(len(self.brokers[name].connections) > 1 for name in FAULTS), 60)
        elapsed = time.monotonic() - self.started
        for name in FAULTS:
            # When a try was seen here may be later than it was made, but no earlier.
            tries = [at - self.started for at in self.brokers[name].connections]
            if name not in (*MENDED, *self.hurried):
                for n, at in enumerate(tries):
                    self.assertGreater(at, 0.5 * (2 ** n - 1), f"{name}: {tries}")
        if not self.lab.sanitized:
            self.assertLess(self.used() - self.cpu, elapsed * 0.5)
            self.assertLess(self.resident() - self.rss, RSS_MORE)

    def test_3_harmless_ones_get_their_reports(self):
        for name in HARMLESS:
            wait(f"reports at {name}", lambda name=name: any(b"temperature" in p for p in self.brokers[name].published), 10)
            self.assertEqual(self.endpoint(name)["State"], "online", name)
        # A flood of commands is answered as far as the broker takes answers; the rest costs nothing.
        replies = self.brokers["floods"].replies
        wait("answers", lambda: len(replies) >= 32, 20)
        self.assertLessEqual(len(replies), FLOOD)
        for reply in list(replies):
            self.assertIn(json.loads(reply)["status"], ("done", "refused"))
        said = self.lab.agent.text().count("more answers to commands than the broker takes")
        self.assertLess(said, FLOOD / 50)

    def test_4_nothing_acknowledged_is_lost(self):
        """What the endpoints had acknowledged while their broker was bad has arrived since it was mended."""
        acked = self.lab.acknowledged()
        for name in MENDED:
            mine = {key for key in acked if key[0] == self.id_of(name)}
            self.assertGreater(len(mine), 10, name)

            def missing(name=name, mine=mine):
                return mine - {self.key(name, p) for p in list(self.brokers[name].published)}
            wait(f"all reports of {name}", lambda missing=missing: not missing(), 40)
            wait(f"{name} to be well", lambda name=name: self.endpoint(name)["StateReason"] == "", 10)

    def key(self, name, payload):
        try:
            named = {record["n"]: record for record in json.loads(payload)}
            return self.id_of(name), named["_boot"]["vs"], int(named["_seq"]["v"])
        except (ValueError, KeyError, TypeError):
            return None

    def test_5_the_bystander_did_not_notice(self):
        self.lab.control("stop 0")
        wait("its last report", lambda: self.lab.sim_status(0)["pending"] == 0)
        mine = {key for key in self.lab.acknowledged() if key[0] == self.ids[0]}
        self.assertGreater(len(mine), 20)
        wait("its reports", lambda: mine <= set(self.lab.subscriber.read().deliveries))
        self.assertEqual(self.lab.broker.users().count(self.ids[0]), 1)
        self.assertEqual(self.lab.agent.starts, 1)


if __name__ == "__main__":
    tap.main()
