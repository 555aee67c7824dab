#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the chip to the broker: online in their own names, telemetry, commands, and what the owner can do about it."""
import json
import os
import signal
import subprocess
import unittest

from gi.repository import GLib

import tap
from bus import NAME, ROOT, error_name
from lab import Lab
from supervisor import wait

VALVE, SETPOINT, MODE, PURGE = 4, 6, 7, 8


class Onboarding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=4)
        try:
            cls.lab.start()
            cls.ids = cls.lab.ids()
            cls.lab.wait_online()
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def path(self, n):
        return self.lab.bus.endpoints()[self.ids[n]]["path"]

    def refused(self, *args, **kwargs):
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(*args, **kwargs)
        return error_name(caught.exception).removeprefix(f"{NAME}.Error.")

    def messages(self, kind, n):
        topic = f"gangway/{self.ids[n]}/{kind}"
        return [payload for t, payload in self.lab.subscriber.read().messages if t == topic]

    # Identity

    def test_the_broker_names_each_by_its_key_id(self):
        self.assertLessEqual(set(self.ids), set(self.lab.broker.users()))

    def test_certificates_are_as_specified(self):
        for e in self.lab.bus.endpoints().values():
            self.assertRegex(e["CertificateFingerprint"], "^[0-9a-f]{64}$")
            self.assertGreater(e["CertificateNotAfter"], GLib.get_real_time() // 1000000)
            self.assertGreaterEqual(e["KeyGeneration"], 1)
            self.assertTrue(e["Connected"])

    def test_the_ca_is_a_ca_and_its_key_is_private(self):
        ca = self.lab.bus.get(ROOT, "Manager", "CaCertificate")
        text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=ca, capture_output=True, text=True,
                              check=True).stdout
        self.assertIn("CA:TRUE", text)
        for folder, _dirs, files in os.walk(self.lab.state):
            self.assertEqual(os.stat(folder).st_mode & 0o077, 0, folder)
            for name in files:
                if not name.endswith(".crt"):
                    self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o077, 0, name)

    # Telemetry

    def test_reports_arrive_in_their_own_names(self):
        for n in range(4):
            self.lab.wait_flow(n)
        payload = json.loads(self.messages("telemetry", 0)[-1])
        self.assertEqual(payload[0]["bn"], f"urn:gangway:{self.ids[0]}:")
        named = {record["n"]: record for record in payload}
        self.assertRegex(named["_boot"]["vs"], "^[0-9a-f]{8}$")
        measured = [r for r in payload if not r["n"].startswith("_")]
        self.assertTrue(measured)
        now = GLib.get_real_time() / 1e6
        self.assertLess(abs(payload[0]["bt"] + measured[0].get("t", 0) - now), 60)

    def test_the_counters_agree(self):
        before = self.lab.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager",
                                   "ReportsAcknowledged")[0]
        wait("the counter to move", lambda: self.lab.bus.call(
            ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager", "ReportsAcknowledged")[0] > before)

    def reader(self, path, name):
        """Reads a counter; what is returned waits until the agent says that it is another, and tells by how much."""
        bus = self.lab.bus
        known = bus.objects[path][f"{NAME}.Endpoint"]
        known.pop(name, None)
        known[name] = before = bus.get(path, "Endpoint", name)

        def moved():
            now = before
            while now == before:  # all counters are told together, and a signal may have been under way
                wait(f"{name} to be invalidated", lambda: name not in known)
                known[name] = now = bus.get(path, "Endpoint", name)
            return now - before
        return moved

    def test_who_has_read_a_counter_hears_that_it_moved(self):
        path, broker = self.path(2), self.lab.broker.process
        # A broker that says nothing: reports are stored and not delivered, and no state changes.
        broker.kill(signal.SIGSTOP)
        try:
            self.assertGreater(self.reader(path, "ReportsAcknowledged")(), 0)
            self.assertGreater(self.reader(path, "ReportsAcknowledged")(), 0)
            self.lab.control("stop 2")
            wait("the last one", lambda: not self.lab.sim_status(2)["pending"])
            delivered = self.reader(path, "ReportsDelivered")
        finally:
            broker.kill(signal.SIGCONT)
        self.assertGreater(delivered(), 0)
        self.lab.control("rate 2 1")
        self.lab.wait_flow(2)

    def test_what_the_broker_misses_is_kept_for_it(self):
        self.lab.broker.process.stop()
        acked = self.lab.acked(1)
        wait("reports acknowledged without a broker", lambda: self.lab.acked(1) >= acked + 3, 20)
        self.lab.broker.process.resume()
        self.lab.broker.wait_ready()
        self.lab.wait_online()
        mine = {key for key in self.lab.acknowledged() if key[0] == self.ids[1]}
        wait("all of them", lambda: mine <= set(self.lab.subscriber.read().deliveries), 20)

    def test_online_again_after_the_agents_restart(self):
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        self.lab.wait_online()
        self.lab.wait_flow(0)

    def test_a_power_cycle_costs_nothing(self):
        self.lab.control("power-cycle 3")
        self.lab.wait_flow(3, timeout=40)

    # Points

    def test_read(self):
        values = {v[0]: v[2] for v in self.lab.bus.call(self.path(0), "Points", "Read", "(au)", [])[0]}
        shown = self.lab.sim_status(0)["points"]
        self.assertEqual(values[MODE], shown["mode"])
        self.assertEqual(self.refused(self.path(0), "Points", "Read", "(au)", [99]), "NotFound")

    def test_write_moves_the_actuator_once(self):
        result = self.lab.bus.call(self.path(0), "Points", "Write", "(uva{sv})", VALVE, GLib.Variant("d", 42.0), {})[0]
        self.assertEqual(result, 42)
        wait("the valve to get there", lambda: self.lab.sim_status(0)["points"]["valve"] == 42, 15)

    def test_limits_are_checked(self):
        write = (self.path(0), "Points", "Write", "(uva{sv})")
        self.assertEqual(self.refused(*write, VALVE, GLib.Variant("d", 101.0), {}), "Invalid")
        self.assertEqual(self.refused(*write, VALVE, GLib.Variant("s", "open"), {}), "Invalid")
        self.assertEqual(self.refused(*write, 1, GLib.Variant("d", 1.0), {}), "Unsupported")
        self.assertEqual(self.refused(*write, PURGE, GLib.Variant("b", True), {}), "NotAuthorized")
        self.assertEqual(self.refused(*write, 99, GLib.Variant("b", True), {}), "NotFound")
        self.assertEqual(self.refused(*write, VALVE, GLib.Variant("d", 1.0), {"nonsense": GLib.Variant("b", True)}),
                         "Invalid")

    def test_watch_tells_values(self):
        self.lab.bus.call(self.path(0), "Points", "Watch", "(au)", [])
        wait("Changed", lambda: any(s[2] == "Changed" and s[0] == self.path(0) for s in self.lab.bus.signals))
        self.lab.bus.call(self.path(0), "Points", "Unwatch")

    # Commands

    def test_a_command_by_mqtt(self):
        before = len(self.messages("reply", 2))
        self.lab.broker.publish(f"gangway/{self.ids[2]}/command", json.dumps(
            {"point": "mode", "value": "manual", "correlation": "c-1"}))
        wait("the reply", lambda: len(self.messages("reply", 2)) > before)
        reply = json.loads(self.messages("reply", 2)[-1])
        self.assertEqual((reply["status"], reply["correlation"]), ("done", "c-1"))
        self.assertEqual(self.lab.sim_status(2)["points"]["mode"], "manual")

    def test_a_command_with_mqtt5_properties(self):
        topic = f"gangway/{self.ids[2]}/answers"
        self.lab.broker.publish(f"gangway/{self.ids[2]}/command", json.dumps({"point": "valve", "value": 7}),
                                "-D", "publish", "response-topic", topic, "-D", "publish", "correlation-data", "x7")
        wait("the reply on its topic", lambda: self.messages("answers", 2))
        self.assertEqual(json.loads(self.messages("answers", 2)[-1])["status"], "done")

    def test_a_bad_command_is_answered(self):
        before = len(self.messages("reply", 2))
        for payload in ("{", '{"point": "valve", "value": 1000}', '{"point": "nothing", "value": 1}'):
            self.lab.broker.publish(f"gangway/{self.ids[2]}/command", payload)
        wait("three replies", lambda: len(self.messages("reply", 2)) >= before + 3)
        for payload in self.messages("reply", 2)[before:]:
            self.assertNotEqual(json.loads(payload)["status"], "done")

    def test_status_is_announced(self):
        self.assertTrue(self.messages("status", 0))

    # The tool on the real thing

    def test_gangwayctl(self):
        def ctl(*args):
            done = subprocess.run([self.lab.binary("src", "gangwayctl", "gangwayctl"), "--bus", self.lab.address, *args],
                                  capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, f"{args}: {done.stdout}{done.stderr}")
            return done.stdout
        self.assertEqual({e["Id"] for e in json.loads(ctl("list", "--json"))}, set(self.ids))
        self.assertRegex(ctl("status"), r"4 online|online")
        self.assertIn(self.ids[1], ctl("show", self.ids[1][:12]))
        self.assertIn("State   online", ctl("explain", self.ids[1][:12]))
        self.assertRegex(ctl("policies"), r"(?m)^lab .* yes$")
        self.assertIn("lab-batch", ctl("batch", "list"))
        self.assertIn("vendor-manifest-signer", ctl("inventory", "show"))
        self.assertIn(self.ids[1], ctl("inventory", "lookup", self.ids[1]))
        self.assertRegex(ctl("read", self.ids[1][:12], "temperature"), r"temperature +-?[0-9.]+ +Cel")
        self.assertIn("mode is now auto", ctl("write", self.ids[1][:12], "mode", "auto"))
        ctl("rename", self.ids[1][:12], "press-4")
        wait("the name", lambda: self.lab.bus.endpoints()[self.ids[1]]["Name"] == "press-4")
        ctl("identify", "press-4")
        wait("its blinking", lambda: self.lab.sim_status(1)["identified"] > 0)
        ctl("rename", "press-4")

    def test_introspection_reads_well(self):
        text = subprocess.run(["busctl", f"--address={self.lab.address}", "introspect", NAME, self.path(0)],
                              capture_output=True, text=True, check=True).stdout
        for word in ("Endpoint", "Points", ".Onboard", ".State", ".Write"):
            self.assertIn(word, text)
        tree = subprocess.run(["busctl", f"--address={self.lab.address}", "tree", "--list", NAME], capture_output=True,
                              text=True, check=True).stdout
        self.assertIn(self.path(3), tree)


class Lifecycle(unittest.TestCase):
    """What changes an endpoint's standing: a lab of its own, for it is not undone."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=3)
        try:
            cls.lab.start()
            cls.ids = cls.lab.ids()
            cls.lab.wait_online()
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def endpoint(self, n):
        return self.lab.bus.endpoints()[self.ids[n]]

    def test_renew_and_rekey(self):
        before = self.endpoint(0)
        job = self.lab.bus.call(before["path"], "Endpoint", "Renew", "(a{sv})", {})[0]
        self.assertTrue(self.lab.bus.job(job)[0])
        wait("a new certificate", lambda: self.endpoint(0)["CertificateFingerprint"] != before["CertificateFingerprint"])
        self.assertEqual(self.endpoint(0)["KeyGeneration"], before["KeyGeneration"])
        job = self.lab.bus.call(before["path"], "Endpoint", "Rekey", "(a{sv})", {})[0]
        self.assertTrue(self.lab.bus.job(job)[0])
        wait("a new key", lambda: self.endpoint(0)["KeyGeneration"] == before["KeyGeneration"] + 1)
        self.lab.wait_online([self.ids[0]])
        self.lab.wait_flow(0)

    def test_quarantine_and_approve(self):
        self.lab.bus.call(self.endpoint(1)["path"], "Endpoint", "Quarantine", "(s)", "smells odd")
        self.lab.wait_state(self.ids[1], "quarantined")
        self.assertIn("smells odd", self.endpoint(1)["StateReason"])
        self.assertFalse(self.endpoint(1)["Connected"])
        self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[1], "", {})
        self.lab.wait_online([self.ids[1]])

    def test_revoked_is_for_good(self):
        self.lab.bus.call(self.endpoint(2)["path"], "Endpoint", "Revoke", "(s)", "stolen")
        self.lab.wait_state(self.ids[2], "revoked")
        users = self.lab.broker.users().count(self.ids[2])
        self.lab.control("power-cycle 2")
        wait("its new session", lambda: self.lab.sim_status(2)["session"], 30)
        self.lab.wait_flow(0)
        self.lab.wait_state(self.ids[2], "revoked")
        self.assertEqual(self.lab.broker.users().count(self.ids[2]), users)
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(self.endpoint(2)["path"], "Endpoint", "Onboard", "(sa{sv})", "", {})
        self.assertEqual(error_name(caught.exception), f"{NAME}.Error.Revoked")


if __name__ == "__main__":
    tap.main()
