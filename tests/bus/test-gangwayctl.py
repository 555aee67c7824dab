#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gangwayctl against a stand-in for the agent: every verb's call, its tables, its JSON, its errors and exit codes."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from gi.repository import GLib

import tap
from bus import NAME, ROOT
from fakeagent import FakeAgent, Refusal
from lab import Lab
from supervisor import wait

ID_A = "a1b2c3d4" + "00" * 28
ID_B = "a1b2c3d4" + "01" * 28
ID_C = "c0ffee00" + "02" * 28
POINTS = [(1, "temperature", "Cel", 5, {"type": GLib.Variant("s", "float")}),
          (2, "valve", "", 7, {"type": GLib.Variant("s", "bool")}),
          (4, "purge", "", 3, {"type": GLib.Variant("s", "bool"), "unsafe": GLib.Variant("b", True)}),
          (3, "setpoint", "Cel", 3, {"type": GLib.Variant("s", "int"), "low": GLib.Variant("x", -10),
                                     "high": GLib.Variant("x", 90)})]


class Ctl(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.lab.start_bus(client=False)
        self.agent = FakeAgent(self.lab.address)
        self.a = self.endpoint(ID_A, "press-4", State="online", Bus=f"{ROOT}/bus/ttyS1", Policy="factory")
        self.b = self.endpoint(ID_B, "oven-1", State="quarantined", StateReason="it is in no batch")
        self.c = self.endpoint(ID_C, "pump-2", State="offline")
        self.agent.add(self.a, Points={"Points": POINTS})
        self.agent.add("bus/ttyS1", Bus={"Name": "ttyS1", "Kind": "serial", "Device": "/dev/ttyS1", "State": "running"})

    def tearDown(self):
        if not self.agent.connection.is_closed():
            self.agent.connection.close_sync(None)
        self.lab.close()

    def endpoint(self, key_id, name, **more):
        return self.agent.add(f"endpoint/_{key_id[:16]}x", Endpoint={"Id": key_id, "Name": name, "SerialNumber": "SN-" + name,
                                                                    "Model": "T100", "RootOfTrust": "puf", **more})

    def start(self, *args, **kwargs):
        return subprocess.Popen([self.lab.binary("src", "gangwayctl", "gangwayctl"), "--bus", self.lab.address, *args],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "LC_ALL": "C.UTF-8"}, **kwargs)

    def run_ctl(self, *args, code=0):
        process = self.start(*args)
        wait("gangwayctl to end", lambda: process.poll() is not None, 20)
        out, err = process.communicate()
        self.assertEqual(process.returncode, code, f"{args}: {out}{err}")
        return out if code == 0 else err

    def last_call(self, method):
        found = [c for c in self.agent.calls if c[1] == method]
        self.assertTrue(found, f"{method} was not called: {self.agent.calls}")
        return found[-1]

    def with_job(self, **kwargs):
        def answer(_path, _args):
            self.agent.end_job(f"{ROOT}/job/7", **kwargs)
            return GLib.Variant("(o)", (f"{ROOT}/job/7",))
        return answer

    # Looking

    def test_list_is_a_table_with_unique_ids(self):
        self.agent.objects[self.a]["Endpoint"].update(Presence="online", LastSeen=1)
        self.agent.objects[self.c]["Endpoint"].update(Presence="absent", LastSeen=GLib.get_real_time() // 1000000 - 7200)
        out = self.run_ctl("list")
        lines = out.splitlines()
        self.assertTrue(lines[1].endswith("now") and lines[3].endswith("2 h ago"), out)
        self.assertTrue(lines[0].startswith("ID          NAME"), out)
        self.assertTrue(all(len(line) <= 80 for line in lines), out)
        ids = [line.split()[0] for line in lines[1:4]]
        self.assertEqual(sorted(ids), [ID_A[:10], ID_B[:10], ID_C[:10]])
        self.assertIn(f"1 needs you: gangwayctl explain {ID_B[:10]}", out)

    def test_list_for_programs(self):
        found = {e["Id"]: e for e in json.loads(self.run_ctl("list", "--json"))}
        self.assertEqual(found[ID_B]["StateReason"], "it is in no batch")
        self.assertEqual(found[ID_A]["Path"], self.a)

    def test_list_by_state(self):
        self.assertEqual([e["Id"] for e in json.loads(self.run_ctl("list", "--state", "offline", "--json"))], [ID_C])

    def test_a_name_cannot_steer_the_terminal(self):
        self.endpoint("dd" * 32, "evil\x1b[2J\u202etxt")
        out = self.run_ctl("list")
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\u202e", out)

    def test_a_hundred_endpoints_fit(self):
        for i in range(100):
            self.endpoint(f"{i:04x}" * 16, "a name that goes on and on and on " + str(i), Policy="a-long-policy-name",
                          Model="a long model name", State="decommissioned", Bus=f"{ROOT}/bus/a_long_bus_name_{i}")
        out = self.run_ctl("list")
        self.assertEqual(len(out.splitlines()), 106)
        self.assertTrue(all(len(line) <= 80 for line in out.splitlines()), out)
        self.assertIn("a long model name", self.run_ctl("list", "--wide"))

    def test_status(self):
        self.agent.objects[ROOT]["Manager"]["EndpointCounts"] = {"online": 1, "quarantined": 1}
        out = self.run_ctl("status")
        self.assertIn("1 online", out)
        self.assertIn("ttyS1", out)
        self.assertIn("gangwayctl inventory import", out)
        self.assertNotIn("taken before", out)
        self.agent.objects[ROOT]["Manager"].update(ReportsAcknowledged=3, ReportsDelivered=12)
        self.assertIn("since the agent's start 3 taken, 12 delivered, some of them taken before", self.run_ctl("status"))
        self.assertEqual(json.loads(self.run_ctl("status", "--json"))["Manager"]["GatewayId"], "0f" * 16)

    def test_bus(self):
        self.agent.add("bus/can0", Bus={
            "Name": "can0", "Kind": "can", "Device": "can0", "State": "running", "LinkState": "passive", "TxErrors": 130, "Load": 0.62,
            "RoundTrip": 140, "OctetsPerSecond": 26000, "Culprit": "node 9 takes 48.0 % of the bus\x1b[2J", "CulpritAddress": 9,
            "Nodes": [(4, "bb" * 32, "SN-10", "proved", 10, 7), (2, "aa" * 32, "SN-9", "proving", 9, 0), (1, "", "", "attached", 0, 0)]})
        out = self.run_ctl("bus", "can0")
        self.assertIn("passive, error counters 130 (transmit) and 0 (receive), 62 % loaded", out)
        self.assertIn("140 ms for a full datagram there and back, 25.4 KiB a second", out)
        self.assertNotIn("\x1b", out)
        rows = [line.split() for line in out.splitlines()[-3:]]
        self.assertEqual([row[0] for row in rows], ["-", "9", "10"])
        self.assertEqual(rows[2], ["10", "bb" * 5, "SN-10", "proved", "7"])
        self.assertNotIn("ttyS1", out)
        self.assertIn("ttyS1", self.run_ctl("bus"))
        self.assertEqual(json.loads(self.run_ctl("bus", "can0", "--json"))[0]["CulpritAddress"], 9)
        self.assertIn("gangwayctl status lists them", self.run_ctl("bus", "nowhere", code=5))
        status = self.run_ctl("status")
        self.assertIn("Bus can0: node 9 takes 48.0 % of the bus", status)
        self.assertNotIn("\x1b", status)
        self.agent.objects[f"{ROOT}/bus/can0"]["Bus"].update(LinkState="off")
        self.assertIn("Bus can0 is off after too many errors", self.run_ctl("status"))

    def test_show(self):
        out = self.run_ctl("show", "press-4")
        self.assertIn(ID_A, out)
        self.assertIn("-10 .. 90", out)
        shown = json.loads(self.run_ctl("show", ID_A[:10], "--json"))
        self.assertEqual(shown["Points"][3][4]["high"], 90)

    def test_explain(self):
        self.agent.answers["Manager.Explain"] = lambda _p, _a: GLib.Variant("(sssa{sv})", (
            "quarantined", "no batch claims it", "gangwayctl batch add", {"spooled": GLib.Variant("t", 3)}))
        out = self.run_ctl("explain", "oven-1")
        self.assertIn("no batch claims it", out)
        self.assertIn("spooled       3", out)
        self.assertEqual(json.loads(self.run_ctl("explain", "oven-1", "--json"))["Details"]["spooled"], 3)

    def test_explain_with_a_slip(self):
        def answer(_path, args):
            raise Refusal("NotFound", f"nothing is known of {args[0]}")
        self.agent.answers["Manager.Explain"] = answer
        self.assertIn("did you mean press-4", self.run_ctl("explain", "pres-4", code=5))

    def test_policies(self):
        self.agent.add("policy/factory", Policy={"Name": "factory", "Kind": "mosquitto", "Valid": False,
                                                 "Problems": ["factory.policy:3: BrokerUri is missing"]})
        out = self.run_ctl("policies")
        self.assertIn("factory.policy:3: BrokerUri is missing", out)
        self.agent.answers["Policy.Check"] = lambda _p, _a: GLib.Variant("(as)", (["line 4: bad"],))
        self.run_ctl("policies", "--check", code=1)
        self.agent.answers["Policy.Check"] = lambda _p, _a: GLib.Variant("(as)", ([],))
        self.assertIn("factory: good", self.run_ctl("policies", "--check"))

    def test_jobs(self):
        self.agent.add("job/9", Job={"Kind": "onboard", "State": "running", "Progress": 0.5, "Stage": "asking for a CSR"})
        self.agent.add("job/10", Job={"Kind": "renew", "State": "failed", "Progress": -1.0, "Error": ("x.Y", "no answer")})
        lines = self.run_ctl("jobs").splitlines()
        self.assertIn("50 %", lines[1])
        self.assertTrue(lines[2].lstrip().startswith("10"), lines)
        self.assertIn("no answer", lines[2])

    # Naming

    def test_an_endpoint_is_named_in_four_ways(self):
        for word in (ID_C, ID_C[:4].upper(), "pump-2", "SN-pump-2", self.c):
            self.run_ctl("identify", word)
            self.assertEqual(self.last_call("Identify")[0], self.c)
            self.agent.calls.clear()

    def test_several_fit(self):
        err = self.run_ctl("identify", ID_A[:8], code=2)
        self.assertIn("names 2 endpoints", err)
        self.assertIn("give more digits", err)

    def test_none_fits(self):
        self.assertIn("did you mean pump-2?", self.run_ctl("identify", "punp-2", code=5))
        self.assertIn("gangwayctl list", self.run_ctl("identify", "somethingelse", code=5))

    # Doing

    def test_verbs_without_results(self):
        for args, method, sent in ((("quarantine", "press-4", "smells", "odd"), "Quarantine", ("smells odd",)),
                                   (("revoke", "press-4", "stolen"), "Revoke", ("stolen",)),
                                   (("decommission", "press-4", "scrapped"), "Decommission", ("scrapped",)),
                                   (("rename", "press-4", "press 5"), "SetName", ("press 5",)),
                                   (("rename", "press-4"), "SetName", ("",))):
            self.run_ctl(*args)
            self.assertEqual(self.last_call(method)[2], sent)
        self.assertIn("is called 'press 6' from now on", self.run_ctl("rename", "press-4", "press 6"))

    def test_verbs_with_jobs(self):
        for verb, method in (("onboard", "Onboard"), ("renew", "Renew"), ("rekey", "Rekey")):
            self.agent.answers[f"Endpoint.{method}"] = self.with_job()
            self.run_ctl(verb, "press-4")
            self.assertEqual(self.last_call(method)[0], self.a)

    def test_a_failed_job(self):
        self.agent.answers["Endpoint.Onboard"] = self.with_job(success=False, error=f"{NAME}.Error.Unclaimed",
                                                               message="no batch claims this chip")
        err = self.run_ctl("onboard", "oven-1", "--policy", "factory", code=1)
        self.assertEqual(self.last_call("Onboard")[2], ("factory", {}))
        self.assertIn("no batch claims this chip", err)
        self.assertIn("next: ", err)

    def test_approve(self):
        self.run_ctl("approve", "oven-1", "-p", "factory")
        self.assertEqual(self.last_call("Approve")[2], (ID_B, "factory", {}))

    def test_import(self):
        seen = {}

        def answer(_path, args):
            for i, name in enumerate(("manifest", "signature")):
                seen[name] = os.pread(self.agent.fds[args[i]], 100, 0)
            os.write(self.agent.fds[args[2]["report"]], b"2: malformed\x1b\n")
            return self.with_job(result={"chips": GLib.Variant("t", 12), "signer": GLib.Variant("s", "CN=vendor")})(
                _path, args)
        self.agent.answers["Inventory.ImportManifest"] = answer
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "chips.csv")
            for name in (path, path + ".p7s"):
                with open(name, "w", encoding="utf-8") as f:
                    f.write(os.path.basename(name))
            process = self.start("inventory", "import", path, "--name", "lot 7")
            wait("gangwayctl to end", lambda: process.poll() is not None, 20)
            out, err = process.communicate()
        self.assertEqual((process.returncode, seen), (0, {"manifest": b"chips.csv", "signature": b"chips.csv.p7s"}))
        self.assertEqual(err, "2: malformed\ufffd\n")
        self.assertEqual(out, "12 chips, signer: CN=vendor\n")
        self.assertEqual(self.last_call("ImportManifest")[2][2]["name"], "lot 7")

    def test_import_of_a_missing_file(self):
        self.assertIn("No such file", self.run_ctl("inventory", "import", "/nonexistent/chips.csv", code=2))

    def test_batch(self):
        self.agent.answers["Inventory.AddBatch"] = self.with_job(result={"claimed": GLib.Variant("t", 1)})
        with tempfile.NamedTemporaryFile("w") as ids, tempfile.NamedTemporaryFile("w") as report:
            ids.write(ID_A + "\n")
            ids.flush()
            out = self.run_ctl("batch", "add", "lot-7", ids.name, "--policy", "factory", "--dry-run", "--adopt-for", "2h",
                               "--report", report.name)
        self.assertIn("1 claimed", out)
        self.assertIn("nothing was claimed", out)
        args = self.last_call("AddBatch")[2]
        self.assertEqual(args[:2], ("lot-7", "factory"))
        self.assertEqual((args[3]["dry-run"], args[3]["adopt-for"]), (True, 7200))
        self.agent.answers["Inventory.ListBatches"] = lambda _p, _a: GLib.Variant(
            "(a(ssttt))", ([("lot-7", "factory", 1, 1000000000, 0)],))
        self.assertIn("2001-09-09 01:46 UTC  -", self.run_ctl("batch", "list"))
        self.run_ctl("batch", "remove", "lot-7")
        self.assertEqual(self.last_call("RemoveBatch")[2], ("lot-7", {}))

    def test_a_dry_run_that_would_be_refused(self):
        """The job of a dry run ends well; who asked must be able to tell from the exit code all the same."""
        for claimed, code in ((3, 0), (1, 1)):
            self.agent.answers["Inventory.AddBatch"] = self.with_job(result={
                "lines": GLib.Variant("t", 3), "claimed": GLib.Variant("t", claimed), "dry-run": GLib.Variant("b", True)})
            with tempfile.NamedTemporaryFile("w") as ids:
                ids.write(ID_A + "\n")
                ids.flush()
                for more in ([], ["--json"]):
                    said = self.run_ctl("batch", "add", "lot-7", ids.name, "--policy", "factory", "--dry-run", *more, code=code)
        self.assertIn("2 of 3 key ids would be refused", said)

    def test_inventory(self):
        self.agent.answers["Inventory.Lookup"] = lambda _p, _a: GLib.Variant("(a{sv})", ({"model": GLib.Variant("s", "T1")},))
        self.assertEqual(json.loads(self.run_ctl("inventory", "lookup", ID_A, "--json")), {"model": "T1"})
        self.agent.answers["Inventory.ListManifests"] = lambda _p, _a: GLib.Variant(
            "(a(sstt))", ([("lot", "CN=vendor", 12, 1000000000)],))
        self.assertIn("CN=vendor", self.run_ctl("inventory", "show"))

    def test_read(self):
        now = GLib.get_real_time()
        self.agent.answers["Points.Read"] = lambda _p, _a: GLib.Variant("(a(utv))", (
            [(1, now, GLib.Variant("d", 21.3)), (2, now, GLib.Variant("b", True))],))
        out = self.run_ctl("read", "press-4", "temperature", "2")
        self.assertEqual(self.last_call("Read")[2], ([1, 2],))
        self.assertIn("21.3  Cel", out)
        values = json.loads(self.run_ctl("read", "press-4", "--json"))
        self.assertEqual([(v["Name"], v["Value"]) for v in values], [("temperature", 21.3), ("valve", True)])
        self.assertIn("did you mean temperature?", self.run_ctl("read", "press-4", "temprature", code=5))
        self.assertIn("are not known", self.run_ctl("read", "pump-2", code=5))

    def test_write(self):
        self.agent.answers["Points.Write"] = lambda _p, a: GLib.Variant("(v)", (GLib.Variant("x", a[1]),))
        self.assertEqual(self.run_ctl("write", "press-4", "setpoint", "--ttl", "100", "--", "-5"), "setpoint is now -5 Cel\n")
        self.assertEqual(self.last_call("Write")[2], (3, -5, {"ttl": 100}))
        self.assertIn("a whole number, not with '5.5'", self.run_ctl("write", "press-4", "setpoint", "5.5", code=2))
        self.assertIn("on or off", self.run_ctl("write", "press-4", "valve", "open", code=2))

    def test_write_of_an_unsafe_point(self):
        def answer(_path, args):
            if not args[2].get("force"):
                raise Refusal("NotAuthorized", "it is unsafe")
            return GLib.Variant("(v)", (GLib.Variant("b", args[1]),))
        self.agent.answers["Points.Write"] = answer
        self.assertIn("repeat with --force", self.run_ctl("write", "press-4", "purge", "on", code=1))
        self.assertEqual(self.run_ctl("write", "press-4", "purge", "on", "--force"), "purge is now true\n")

    def test_scan_cancel_reload(self):
        self.run_ctl("scan")
        self.assertEqual(self.last_call("Scan")[0], f"{ROOT}/bus/ttyS1")
        self.run_ctl("scan", "nothere", code=5)
        self.agent.add("job/3", Job={})
        self.run_ctl("cancel", "3")
        self.assertEqual(self.last_call("Cancel")[0], f"{ROOT}/job/3")
        self.run_ctl("cancel", "4", code=5)
        self.run_ctl("reload")
        self.last_call("Reload")
        for verb in (("scan",), ("cancel", "3"), ("reload",), ("batch", "remove", "b1"), ("approve", "press-4")):
            self.assertEqual(json.loads(self.run_ctl(*verb, "--json")), {}, verb)

    def test_monitor(self):
        process = self.start("monitor", "press-4", "--json")
        wait("its Watch", lambda: any(c[1] == "Watch" for c in self.agent.calls))
        self.agent.emit(self.a, "Points", "Changed", "(a(utv))", [(1, 0, GLib.Variant("d", 3.5))])
        self.agent.connection.emit_signal(None, self.b, "org.freedesktop.DBus.Properties", "PropertiesChanged", GLib.Variant(
            "(sa{sv}as)", (f"{NAME}.Endpoint", {"State": GLib.Variant("s", "online")}, [])))
        self.agent.connection.emit_signal(None, self.c, "org.freedesktop.DBus.Properties", "PropertiesChanged", GLib.Variant(
            "(sa{sv}as)", (f"{NAME}.Endpoint", {"StateReason": GLib.Variant("s", "its broker is away")}, [])))
        self.agent.connection.flush_sync(None)
        events = []
        while not events or events[-1]["Event"] != "why":
            events.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        wait("gangwayctl to end", lambda: process.poll() is not None)
        process.communicate()
        self.assertEqual(process.returncode, 0)
        told = [(e["Event"], e["Detail"]) for e in events]
        self.assertIn(("value", "temperature = 3.5 Cel"), told)
        self.assertIn(("state", "quarantined -> online"), told)
        self.assertEqual(told[-1], ("why", "its broker is away"))

    # Going wrong

    def test_no_agent(self):
        self.agent.connection.close_sync(None)
        err = self.run_ctl("list", code=3)
        self.assertIn("the agent is not running", err)
        self.assertIn("next: systemctl start gangwayd", err)

    def test_no_bus(self):
        process = subprocess.run([self.lab.binary("src", "gangwayctl", "gangwayctl"), "--bus", "unix:path=/nonexistent",
                                  "list"], capture_output=True, text=True, check=False)
        self.assertEqual(process.returncode, 3)
        self.assertIn("--bus ADDRESS", process.stderr)

    def test_the_agent_dies_while_it_works(self):
        def answer(_path, _args):
            GLib.timeout_add(50, lambda: self.agent.connection.close_sync(None) and False)
            return GLib.Variant("(o)", (f"{ROOT}/job/7",))
        self.agent.answers["Endpoint.Renew"] = answer
        self.assertIn("the agent stopped", self.run_ctl("renew", "press-4", code=1))

    def test_the_bus_goes_while_it_waits(self):
        self.agent.answers["Endpoint.Renew"] = lambda _path, _args: GLib.Variant("(o)", (f"{ROOT}/job/7",))
        waiting = [self.start("monitor", "press-4"), self.start("renew", "press-4")]
        wait("both to be at it", lambda: {"Watch", "Renew"} <= {c[1] for c in self.agent.calls})
        self.lab.daemon.stop()
        wait("them to end", lambda: all(p.poll() is not None for p in waiting))
        for process in waiting:
            self.assertIn("the message bus went away", process.communicate()[1])
            self.assertEqual(process.returncode, 3)

    def test_output_that_goes_nowhere(self):
        """Told, and not by a status of 0; what stands where standard output was must not be the bus."""
        for verb in (["list"], ["list", "--json"], ["monitor"], ["--help"]):
            for where in (">/dev/full", ">&-"):
                command = [self.lab.binary("src", "gangwayctl", "gangwayctl"), "--bus", self.lab.address, *verb]
                process = subprocess.Popen(["sh", "-c", f'exec "$@" {where}', "sh", *command], stderr=subprocess.PIPE, text=True)
                wait("gangwayctl to end", lambda p=process: p.poll() is not None)
                self.assertIn("cannot print all", process.communicate()[1], f"{verb} {where}")
                self.assertEqual(process.returncode, 1, f"{verb} {where}")

    def test_not_permitted(self):
        def answer(_path, _args):
            raise Refusal("NotAuthorized", "you may not")
        self.agent.answers["Endpoint.Revoke"] = answer
        self.assertIn("next: polkit", self.run_ctl("revoke", "press-4", "x", code=4))
        error = json.loads(self.run_ctl("revoke", "press-4", "x", "--json", code=4))
        self.assertEqual(error["error"], f"{NAME}.Error.NotAuthorized")

    def test_command_line(self):
        self.assertIn("usage: gangwayctl revoke", self.run_ctl("revoke", "press-4", code=2))
        self.assertEqual(json.loads(self.run_ctl("revoke", "press-4", "--json", code=2))["next"], "gangwayctl revoke --help")
        self.assertIn("did you mean list", self.run_ctl("lst", code=2))
        self.assertIn("batch list", self.run_ctl("batch", code=2))
        self.assertIn("Unknown option", self.run_ctl("list", "--nope", code=2))
        self.assertIn("word 2 is not UTF-8", self.run_ctl("rename", "press-4", b"\xff\xfe", code=2))
        self.assertFalse([c for c in self.agent.calls if c[1] == "SetName"])
        self.run_ctl(code=2)

    def test_help_of_every_verb(self):
        verbs = [line[2:20].strip() for line in self.run_ctl("--help").splitlines()
                 if line.startswith("  ") and not line.startswith("  --")]
        self.assertGreater(len(verbs), 25)
        for verb in verbs:
            out = self.run_ctl(*verb.split(), "--help")
            self.assertTrue(out.startswith(f"usage: gangwayctl {verb}"), out)


if __name__ == "__main__":
    tap.main()
