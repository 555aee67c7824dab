#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may call what, on the real system bus with the shipped policy and polkit with the shipped actions: every method of every
interface, by its annotation in the installed XML, times four kinds of user."""
import glob
import json
import shutil
import unittest
import xml.etree.ElementTree as ET

import machine
import tap
from bus import NAME, ROOT
from machine import PATIENCE, Site, as_user, run
from supervisor import wait

ROOT_USER, OPERATOR, PLAIN, PLUGIN = "root", "olga", "paul", "gangway-bus"
USERS = {"root": ROOT_USER, "operator": OPERATOR, "plain": PLAIN, "plugin": PLUGIN}
# The whole decision; an action that is not here fails the test.
ALLOWED = {
    "view": {"root", "operator", "plain", "plugin"},
    "onboard": {"root", "operator"},
    "operate": {"root", "operator"},
    "lifecycle": {"root", "operator"},
    "inventory": {"root"},
    "configure": {"root"},
    "attach-bus": {"plugin"},
}
REFUSED = {f"{NAME}.Error.NotAuthorized", "org.freedesktop.DBus.Error.AccessDenied"}
RULES = "/usr/share/doc/gangway/examples/gangway-operators.rules.example"

# Standard interfaces, and one that the bus policy does not name.
LOOKS = [(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", []),
         (ROOT, "org.freedesktop.DBus.Introspectable", "Introspect", []),
         (ROOT, "org.freedesktop.DBus.Peer", "Ping", [])]
UNNAMED = (ROOT, f"{NAME}.Debug", "Dump", [])


def methods():
    """(interface, method, argument types, action) of all installed interfaces."""
    found = []
    for path in sorted(glob.glob(f"/usr/share/dbus-1/interfaces/{NAME}.*.xml")):
        for interface in ET.parse(path).getroot().iter("interface"):
            for method in interface.iter("method"):
                actions = [a.get("value") for a in method.iter("annotation") if a.get("name") == f"{NAME}.Action"]
                types = [a.get("type") for a in method.iter("arg") if a.get("direction") == "in"]
                found.append((interface.get("name"), method.get("name"), types, actions[0]))
    return found


METHODS = methods()
ACTIONS = {m[:2]: m[3] for m in METHODS}
# A job is its starter's, and of those who are allowed what started it: here root's batch.
ACTIONS[(f"{NAME}.Job", "Cancel")] = ACTIONS[(f"{NAME}.Inventory", "AddBatch")]


def call_all(user, calls):
    status, output, errors = as_user(user, "/usr/bin/python3", "/share/caller.py", data=json.dumps(calls))
    assert status == 0, f"the caller as {user} failed: {errors}"
    return json.loads(output)


class Matrix(unittest.TestCase):
    """One case a method and user, made below."""

    @classmethod
    def setUpClass(cls):
        run("groupadd", "--system", "gangway-operator")
        run("useradd", "-M", "-G", "gangway-operator", OPERATOR)
        run("useradd", "-M", PLAIN)
        shutil.copy(RULES, "/etc/polkit-1/rules.d/50-gangway-operators.rules")
        cls.site = Site(1)
        cls.outcomes = {}
        try:
            cls.site.start()
            cls.site.plug()
            cls.site.wait_state("online")
            wait("its points", lambda: cls.site.bus.of("Points"), PATIENCE)
            for kind, user in USERS.items():
                calls = cls.calls()
                cls.outcomes[kind] = dict(zip([tuple(c[1:3]) for c in calls] + ["name"], call_all(user, calls)))
        except BaseException:
            cls.site.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    @classmethod
    def calls(cls):
        """A live object for each interface; the job is fresh, for jobs do not stay."""
        run("gangwayctl", "batch", "add", "lot-2", f"{machine.SITE}/ids", "--policy", machine.POLICY, "--dry-run",
            check=False)  # they are claimed already: it says so, and that was a job
        bus = cls.site.bus
        bus.refresh()
        paths = {f"{NAME}.{i}": sorted(bus.of(i))[-1] for i in ("Bus", "Endpoint", "Points", "Policy", "Job")}
        return [(paths.get(interface, ROOT), interface, method, types)
                for interface, method, types, _action in METHODS] + [*LOOKS, UNNAMED]

    def check(self, kind, interface, method, action):
        error, message = self.outcomes[kind][(interface, method)]
        if kind in ALLOWED[action]:
            self.assertNotIn(error, REFUSED, message)
            # Let through: done, or refused by the method itself for its useless arguments.
            self.assertTrue(error == "" or error.startswith(f"{NAME}.Error."), f"{error}: {message}")
        else:
            self.assertIn(error, REFUSED, message)

    def test_methods_are_found(self):
        self.assertGreaterEqual(len(METHODS), 25)
        self.assertEqual({m[3].rpartition(".")[2] for m in METHODS}, set(ALLOWED))

    def test_everybody_may_look(self):
        for kind, outcomes in self.outcomes.items():
            self.assertEqual([outcomes[look[1:3]][0] for look in LOOKS], [""] * len(LOOKS), kind)

    def test_unnamed_interfaces_do_not_pass_the_bus(self):
        for kind, outcomes in self.outcomes.items():
            self.assertEqual(outcomes[UNNAMED[1:3]][0], "org.freedesktop.DBus.Error.AccessDenied", kind)

    def test_properties_are_not_written(self):
        """Properties.Set passes no authorisation in GDBus: nothing may be writable, not even for root."""
        for path in glob.glob(f"/usr/share/dbus-1/interfaces/{NAME}.*.xml"):
            for prop in ET.parse(path).getroot().iter("property"):
                self.assertEqual(prop.get("access"), "read", f"{path}: {prop.get('name')}")
        with self.assertRaises(AssertionError):
            run("busctl", "set-property", NAME, ROOT, f"{NAME}.Manager", "Version", "s", "9")
        self.assertNotEqual(self.site.bus.get(ROOT, "Manager", "Version"), "9")

    def test_nobody_else_takes_the_name(self):
        for kind, outcomes in self.outcomes.items():
            self.assertEqual(outcomes["name"][0], "org.freedesktop.DBus.Error.AccessDenied", kind)
        # The agent's own user may, and only waits in line.
        self.assertEqual(call_all("gangway", [])[-1], ["", ""])

    def test_a_refusal_says_what_is_needed(self):
        status, output, errors = as_user(PLAIN, "gangwayctl", "reload")
        self.assertNotEqual(status, 0)
        self.assertIn("org.gangway.gangway1.configure", output + errors)

    def test_nothing_was_changed(self):
        """The matrix' calls were let through and yet did nothing: the endpoint is what it was."""
        self.assertEqual({e["State"] for e in self.site.bus.endpoints().values()}, {"online"})
        self.assertIn("lot-1", run("gangwayctl", "batch", "list"))


def add_case(kind, interface, method, action):
    def case(self):
        self.check(kind, interface, method, action.rpartition(".")[2])
    short = interface.rpartition(".")[2]
    case.__doc__ = f"{short}.{method} ({action}) as {kind}"
    setattr(Matrix, f"test_call_{short}_{method}_{kind}", case)


for (_interface, _method), _action in ACTIONS.items():
    for _kind in USERS:
        add_case(_kind, _interface, _method, _action)

if __name__ == "__main__":
    tap.main()
