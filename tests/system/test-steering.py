#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people decide about endpoints, and what becomes of it: over restarts, reloads, cancelled jobs and full disks."""
import os
import shutil
import unittest

from gi.repository import GLib

import tap
from broker import Broker
from bus import NAME, ROOT, error_name
from lab import Lab
from supervisor import wait, within

ERROR = f"{NAME}.Error."
OPTIONS = "(a{sv})"


class Steering(unittest.TestCase):
    endpoints, claim = 2, True

    def setUp(self):
        self.lab = Lab(endpoints=self.endpoints, sim_args=["--rate", "5"])
        try:
            self.lab.start(claim=self.claim)
            self.ids = self.lab.ids()
            if self.claim:
                self.lab.wait_online()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def tearDown(self):
        self.lab.close()

    def endpoint(self, n):
        return self.lab.bus.endpoints()[self.ids[n]]

    def call(self, n, member, signature=None, *args):
        return self.lab.bus.call(self.endpoint(n)["path"], "Endpoint", member, signature, *args)

    def refused(self, name, path, interface, member, signature=None, *args):
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(path, interface, member, signature, *args)
        self.assertEqual(error_name(caught.exception), ERROR + name)

    def refused_by(self, n, name, member, signature, *args):
        self.refused(name, self.endpoint(n)["path"], "Endpoint", member, signature, *args)

    def explain(self, who):
        return self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", who)

    def done(self, n, member, *args):
        return self.lab.bus.job(self.call(n, member, *args)[0])

    def restart(self):
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()

    def stays(self, what, predicate, seconds=2.0):
        self.assertFalse(within(seconds, lambda: not predicate()), what)

    def shows(self, n, **properties):
        wait(f"{properties}", lambda: self.ids[n] in self.lab.bus.endpoints()
             and all(self.endpoint(n)[k] == v for k, v in properties.items()), 15)


class Credentials(Steering):
    def test_rekey_again_and_again(self):
        """Slot and generation move on each time, and a restart or a reboot finds the newest without another certificate."""
        generation = self.endpoint(0)["KeyGeneration"]
        seen = {self.endpoint(0)["CertificateFingerprint"]}
        for step in (1, 2, 3):
            self.assertEqual(self.done(0, "Rekey", OPTIONS, {}), (True, "", ""))
            self.shows(0, KeyGeneration=generation + step, State="online")
            seen.add(self.endpoint(0)["CertificateFingerprint"])
        self.assertEqual(len(seen), 4)
        newest = self.endpoint(0)["CertificateFingerprint"]
        self.restart()
        self.shows(0, State="online", KeyGeneration=generation + 3, CertificateFingerprint=newest)
        self.lab.control("power-cycle 0")
        self.lab.wait_flow(0, timeout=40)
        self.shows(0, State="online", KeyGeneration=generation + 3, CertificateFingerprint=newest)

    def test_renew_is_refused_in_the_call_itself(self):
        self.call(0, "Quarantine", "(s)", "a look at it")
        for member in ("Renew", "Rekey"):
            self.refused_by(0, "BadState", member, OPTIONS, {})
        self.lab.control("unplug 1")
        self.shows(1, Presence="absent")
        for member in ("Renew", "Rekey"):
            self.refused_by(1, "Offline", member, OPTIONS, {})
        self.refused_by(1, "Offline", "Identify", None)
        self.assertEqual([j["Kind"] for j in self.lab.bus.of("Job").values() if j["Kind"] in ("renew", "rekey")], [])

    def test_cancel(self):
        """A job whose endpoint does not answer can be cancelled; the endpoint then goes on as before."""
        before = self.endpoint(0)["CertificateFingerprint"]
        self.lab.control("hang 0")
        job = self.call(0, "Renew", OPTIONS, {})[0]
        self.refused_by(0, "Busy", "Renew", OPTIONS, {})
        self.refused_by(0, "Busy", "Onboard", "(sa{sv})", "", {})
        self.lab.bus.call(job, "Job", "Cancel")
        self.assertEqual(self.lab.bus.job(job)[:2], (False, ERROR + "Cancelled"))
        self.refused("BadState", job, "Job", "Cancel")
        self.assertEqual(self.lab.bus.get(job, "Job", "State"), "cancelled")
        self.lab.control("resume 0")
        self.lab.wait_flow(0, timeout=40)
        self.assertTrue(self.done(0, "Renew", OPTIONS, {})[0])
        self.assertNotEqual(self.endpoint(0)["CertificateFingerprint"], before)
        self.shows(0, State="online", StateReason="")

    def test_a_job_ends_with_its_endpoint(self):
        self.lab.control("hang 0")
        job = self.call(0, "Rekey", OPTIONS, {})[0]
        self.lab.control("unplug 0")
        self.assertEqual(self.lab.bus.job(job)[:2], (False, ERROR + "Offline"))

    def test_a_factory_reset_is_not_undone_by_renewal(self):
        """Without an owner it is onboarding's to decide, not a certificate's: FirstUse=never takes nobody."""
        self.lab.write_policy("lab", FirstUse="never")
        self.lab.bus.call(ROOT, "Manager", "Reload")
        self.lab.control("factory-reset 0")
        self.lab.control("power-cycle 0")
        wait("its new session", lambda: "owner" in self.endpoint(0)["StateReason"], 30)
        self.refused_by(0, "NotTrusted", "Renew", OPTIONS, {})
        self.assertFalse(self.endpoint(0)["Connected"])
        self.lab.write_policy("lab")
        self.lab.bus.call(ROOT, "Manager", "Reload")
        self.lab.wait_online()


class Decisions(Steering):
    def test_quarantine_and_revocation_outlive_a_restart(self):
        self.call(0, "Quarantine", "(s)", "smells odd")
        self.call(1, "Revoke", "(s)", "stolen")
        self.shows(1, CertificateFingerprint="", CertificateNotAfter=0, KeyGeneration=0, State="revoked")
        users = len(self.lab.broker.users())
        self.restart()
        self.shows(0, State="quarantined", StateReason="smells odd")
        self.shows(1, State="revoked", StateReason="stolen")
        wait("their proofs", lambda: all(self.endpoint(n)["Presence"] == "proved" for n in (0, 1)), 30)
        self.assertEqual(self.explain(self.ids[0])[:3], ("quarantined", "smells odd", "`gangwayctl approve` lets it in again"))
        self.assertEqual(self.explain(self.ids[1])[:3], ("revoked", "stolen", "revoking is for good; replace the device"))
        self.refused("Revoked", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[1], "lab", {})
        self.refused_by(1, "Revoked", "Onboard", "(sa{sv})", "", {})
        self.refused_by(1, "BadState", "Quarantine", "(s)", "again")
        self.refused_by(0, "BadState", "Onboard", "(sa{sv})", "lab", {})
        self.assertEqual(len(self.lab.broker.users()), users)
        self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "", {})
        self.shows(0, State="online", StateReason="")
        self.lab.wait_flow(0)

    def test_decommission_withdraws_the_claim(self):
        self.call(0, "Decommission", "(s)", "scrapped")
        self.shows(0, State="decommissioned", Policy="", Batch="", CertificateFingerprint="", Connected=False)
        chip = self.lab.bus.call(ROOT, "Inventory", "Lookup", "(s)", self.ids[0])[0]
        self.assertNotIn("batch", chip)
        self.assertNotIn("policy", chip)
        self.refused("BadState", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "lab", {})
        self.assertNotIn("policy", self.lab.bus.call(ROOT, "Inventory", "Lookup", "(s)", self.ids[0])[0])
        self.restart()
        self.shows(0, State="decommissioned", StateReason="scrapped")

    def test_a_withdrawn_batch(self):
        """Who is enrolled stays; the claim is gone, and can be made anew with the same policy."""
        self.lab.bus.call(ROOT, "Inventory", "RemoveBatch", "(sa{sv})", "lab-batch", {})
        self.shows(0, Batch="", Policy="lab", State="online")
        self.lab.wait_flow(0)
        self.restart()
        self.lab.wait_online()
        self.shows(0, Batch="", Policy="lab")
        self.refused_by(0, "Unclaimed", "Onboard", "(sa{sv})", "", {})
        self.refused("Unclaimed", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "", {})
        self.assertEqual(self.done(0, "Onboard", "(sa{sv})", "lab", {}), (True, "", ""))
        self.assertEqual(self.lab.bus.call(ROOT, "Inventory", "Lookup", "(s)", self.ids[0])[0]["policy"], "lab")
        # The other one, quarantined meanwhile, is not claimed by anybody's memory of it.
        self.call(1, "Quarantine", "(s)", "a look at it")
        self.refused("Unclaimed", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[1], "", {})
        self.assertTrue(self.lab.add_batch([self.ids[1]], name="second")[0])
        self.stays("the quarantine", lambda: self.lab.state_of(self.ids[1]) == "quarantined", 1)
        self.lab.bus.call(ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[1], "", {})
        self.shows(1, State="online", Batch="second")

    def test_names(self):
        self.call(0, "SetName", "(s)", "press/4")
        self.shows(0, Name="press/4")
        self.assertEqual(self.explain("press/4")[3]["key-id"], self.ids[0])
        self.refused_by(1, "Exists", "SetName", "(s)", "press/4")
        self.refused_by(1, "Exists", "SetName", "(s)", self.endpoint(0)["Name"])
        self.call(1, "SetName", "(s)", "_odd")
        self.assertEqual(self.explain("_odd")[3]["key-id"], self.ids[1])
        self.restart()
        self.shows(0, Name="press/4")
        # Another's key id as a name does not stand in the way of that other.
        self.call(1, "SetName", "(s)", self.ids[0])
        self.assertEqual(self.explain(self.ids[0])[3]["key-id"], self.ids[0])
        self.call(0, "SetName", "(s)", "")
        self.shows(0, Name=self.endpoint(0)["SerialNumber"])

    def test_what_was_answered_is_kept(self):
        """kill -9 right behind the last of some answers: that decision is on the disk, too."""
        for i in range(4):
            path = self.endpoint(0)["path"]
            for n in range(20):
                self.lab.bus.call(path, "Endpoint", "SetName", "(s)", f"press-{i}-{n}")
            self.restart()
            wait("the endpoint", lambda: self.ids[0] in self.lab.bus.endpoints())
            self.assertEqual(self.endpoint(0)["Name"], f"press-{i}-19")

    def test_words_on_a_foreign_chip_are_kept(self):
        port = self.lab.control("foreign")["port"]
        self.lab.start_plugin(port)
        self.ids.append(self.lab.sim_status(port)["kid"])
        self.shows(2, State="quarantined")
        self.call(2, "Revoke", "(s)", "a forgery")
        self.restart()
        self.shows(2, State="revoked", StateReason="a forgery")

    def test_absent_is_told_as_absent(self):
        """Nothing of the last session's troubles is told of an endpoint that is not there."""
        self.lab.broker.process.stop()
        wait("the loss", lambda: "not connected to the broker" in self.endpoint(0)["StateReason"])
        self.lab.control("unplug 0")
        self.shows(0, Presence="absent", StateReason="")
        self.assertEqual(self.explain(self.ids[0])[1], "it is on no bus")
        self.lab.broker.process.resume()


class Waiting(Steering):
    claim = False

    def test_a_batch_lets_in_who_waits(self):
        for n in (0, 1):
            wait("a proof", lambda n=n: self.lab.state_of(self.ids[n]) == "quarantined", 20)
        self.assertIn("manifest", self.explain(self.ids[0])[1])
        self.assertEqual(self.lab.bus.get(ROOT, "Inventory", "ChipCount"), 0)
        self.refused_by(0, "NotTrusted", "Onboard", "(sa{sv})", "lab", {})
        self.refused("NotTrusted", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[0], "lab", {})
        self.assertTrue(self.lab.import_manifest()[0])
        wait("the other reason", lambda: "claimed by no batch" in self.endpoint(0)["StateReason"])
        self.shows(0, SerialNumber=self.lab.chips()[0]["serial_number"], State="quarantined")
        self.refused_by(0, "Unclaimed", "Onboard", "(sa{sv})", "", {})
        self.assertEqual(self.lab.broker.users().count(self.ids[0]), 0)
        self.assertTrue(self.lab.add_batch([self.ids[0]], options={"dry-run": GLib.Variant("b", True)})[0])
        self.stays("the quarantine after a dry run", lambda: self.lab.state_of(self.ids[0]) == "quarantined", 1)
        self.assertTrue(self.lab.add_batch([self.ids[0]])[0])
        self.shows(0, State="online", StateReason="", Batch="lab-batch", Policy="lab")
        self.shows(1, State="quarantined")
        job = self.call(1, "Onboard", "(sa{sv})", "lab", {})[0]
        self.lab.bus.call(job, "Job", "Cancel")
        self.assertEqual(self.lab.bus.job(job)[:2], (False, ERROR + "Cancelled"))
        # It is claimed now, or not yet; asked again it comes on board.
        self.assertEqual(self.done(1, "Onboard", "(sa{sv})", "lab", {}), (True, "", ""))
        self.shows(1, State="online", StateReason="", Batch="")
        self.lab.wait_flow(1)


class Policies(Steering):
    """Two policies with a broker each; whatever happens to one costs the other nothing."""
    claim = False

    def setUp(self):
        super().setUp()
        try:
            self.second = Broker(self.lab.supervisor, self.lab.path("second"), self.lab.authority)
            self.second.start(self.lab.bus.get(ROOT, "Manager", "CaCertificate"))
            self.lab.write_policy("other")
            self.reload()
            self.assertTrue(self.lab.import_manifest()[0])
            self.assertTrue(self.lab.add_batch([self.ids[0]], name="a")[0])
            self.assertTrue(self.lab.add_batch([self.ids[1]], name="b", policy="other")[0])
            self.lab.wait_online()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def reload(self):
        self.lab.bus.call(ROOT, "Manager", "Reload")

    def path(self, name):
        return os.path.join(self.lab.path("etc", "policies.d"), name + ".policy")

    def connections(self, n):
        return self.lab.broker.users().count(self.ids[n])

    def test_changes_apply_to_who_is_online(self):
        bystander = self.connections(0)
        self.assertEqual(self.lab.bus.get(f"{ROOT}/policy/other", "Policy", "EndpointCount"), 1)
        # Another topic.
        self.lab.write_policy("other", TelemetryTopic="gangway/{id}/moved")
        self.reload()
        topic = f"gangway/{self.ids[1]}/moved"
        wait("reports on the new topic", lambda: any(t == topic for t, _p in self.lab.subscriber.read().messages))
        # Another broker.
        self.lab.write_policy("other", BrokerUri=f"mqtts://localhost:{self.second.port}")
        self.reload()
        wait("the other broker", lambda: self.ids[1] in self.second.users())
        self.shows(1, State="online")
        # Nothing that concerns a connection.
        count = self.second.users().count(self.ids[1])
        self.lab.write_policy("other", BrokerUri=f"mqtts://localhost:{self.second.port}", FirstUse="never")
        self.reload()
        self.stays("the connection", lambda: self.endpoint(1)["Connected"] and self.second.users().count(self.ids[1]) == count, 1)
        self.assertEqual(self.lab.bus.get(f"{ROOT}/policy/other", "Policy", "FirstUse"), "never")
        # The bystander was not touched.
        self.assertEqual(self.connections(0), bystander)
        self.lab.wait_flow(0)

    def test_removed_and_broken(self):
        bystander = self.connections(0)
        with open(self.path("other"), "a", encoding="utf-8") as f:
            f.write("Colour=blue\n")
        self.reload()
        self.shows(1, Connected=False)
        self.assertIn("not valid", self.endpoint(1)["StateReason"])
        self.assertIn("Colour", self.endpoint(1)["StateReason"])
        self.assertFalse(self.lab.bus.get(f"{ROOT}/policy/other", "Policy", "Valid"))
        self.refused("Invalid", ROOT, "Inventory", "Approve", "(ssa{sv})", self.ids[1], "other", {})
        self.assertEqual(self.done(1, "Onboard", "(sa{sv})", "", {})[:2], (False, ERROR + "Invalid"))
        os.unlink(self.path("other"))
        self.reload()
        wait("the policy's object to go", lambda: f"{ROOT}/policy/other" not in self.lab.bus.of("Policy"))
        wait("the reason", lambda: "not there" in self.endpoint(1)["StateReason"])
        self.assertEqual(self.done(1, "Onboard", "(sa{sv})", "", {})[:2], (False, ERROR + "NotFound"))
        self.restart()
        self.lab.wait_online([self.ids[0]])
        wait("its proof", lambda: self.endpoint(1)["Presence"] == "proved", 30)
        self.assertIn("not there", self.endpoint(1)["StateReason"])
        self.lab.write_policy("other")
        self.reload()
        self.shows(1, State="online", StateReason="")
        self.lab.wait_flow(1)
        self.assertEqual(self.connections(0), bystander + 1, "once for the restart")


class Full(Steering):
    """A spool that is full."""
    endpoints = 1

    def setUp(self):
        self.lab = Lab(endpoints=1, sim_args=["--rate", "20"])
        try:
            self.lab.start_bus()
            self.lab.prepare()
            with open(self.lab.path("etc", "gangway.conf"), "a", encoding="utf-8") as f:
                f.write("\n[Spool]\nMaxBytes=64K\nMaxBytesPerEndpoint=16K\n")
            self.lab.start_sim()
            self.lab.start_agent()
            self.lab.start_broker()
            self.assertTrue(self.lab.import_manifest()[0])
            self.ids = self.lab.ids()
            self.assertTrue(self.lab.add_batch(self.ids)[0])
            self.lab.start_plugin(0)
            self.lab.wait_online()
        except BaseException:
            self.lab.close(failed=True)
            raise

    def test_the_endpoint_keeps_what_does_not_fit(self):
        self.lab.wait_flow(0)
        self.lab.broker.process.stop()
        wait("a standstill", lambda: self.lab.pending() > 20, 40)
        acked = self.lab.acked(0)
        self.stays("no more acknowledgements", lambda: self.lab.acked(0) <= acked + 2, 2)
        # More room takes more, from the Reload on.
        conf = self.lab.path("etc", "gangway.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read().replace("64K", "256K").replace("16K", "64K")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        self.lab.bus.call(ROOT, "Manager", "Reload")
        wait("acknowledgements again", lambda: self.lab.acked(0) > acked + 10)
        self.lab.broker.process.resume()
        self.lab.broker.wait_ready()
        self.lab.wait_online()
        self.lab.control("stop all")
        _r, _d, lost = self.lab.drained(30)
        self.assertEqual(lost, [])
        self.assertEqual(self.lab.pending(), 0)

    def explain(self):
        return self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", self.ids[0])[1]

    def test_a_spool_that_is_removed(self):
        """Nothing is acknowledged that is written to a file without a name, and explain does not say that all is well."""
        self.lab.wait_flow(0)
        shutil.rmtree(self.lab.path("state", "spool"))
        wait("the trouble", lambda: "reports cannot be stored and are not acknowledged: " in self.explain(), 20)
        acked = self.lab.acked(0)
        self.stays("no more acknowledgements", lambda: self.lab.acked(0) == acked, 2)
        self.lab.agent.kill()
        self.lab.wait_agent()
        self.lab.wait_online(timeout=60)
        wait("acknowledgements again", lambda: self.lab.acked(0) > acked + 10)
        self.assertIn("it is connected to its broker", self.explain())
        self.lab.control("stop all")
        _r, _d, lost = self.lab.drained(30)
        self.assertEqual(lost, [])


if __name__ == "__main__":
    tap.main()
