#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another user of the machine on the bus: may look, and nothing else.

Needs root to become another user, so it is only registered where the build was configured by root (as in CI).
"""
import json
import os
import subprocess
import unittest

import tap
from bus import NAME, ROOT
from lab import Lab

NOBODY = 65534

# Runs as the other user: calls what its standard input names, prints one answer a line.
CALLER = """
import json, sys
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
for line in sys.stdin:
    to, path, interface, member, signature, args = json.loads(line)
    args = eval(args, {"GLib": GLib})
    try:
        reply = bus.call_sync(to, path, interface, member, GLib.Variant(signature, args), None, 0, 5000, None)
        print(json.dumps(["ok", str(reply.unpack())[:200]]), flush=True)
    except GLib.Error as error:
        print(json.dumps(["error", Gio.dbus_error_get_remote_error(error)]), flush=True)
"""


class OtherUid(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=1)
        try:
            cls.lab.start()
            cls.lab.wait_online()
        except BaseException:
            cls.lab.close(failed=True)
            raise
        # The other user may reach the bus's socket, as on a real system, and see nothing else of the lab.
        os.chmod(cls.lab.folder, 0o711)
        os.chmod(cls.lab.path("bus.socket"), 0o666)
        cls.process = subprocess.Popen(["/usr/bin/python3", "-c", CALLER, cls.lab.address], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, user=NOBODY, group=NOBODY, extra_groups=[],
                                       env={"PATH": "/usr/bin:/bin", "HOME": "/"})

    @classmethod
    def tearDownClass(cls):
        cls.process.stdin.close()
        cls.process.stdout.close()
        cls.process.wait(10)
        cls.lab.close()

    def call(self, to, path, interface, member, signature, args):
        self.process.stdin.write(json.dumps([to, path, interface, member, signature, args]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def agent(self, path, interface, member, signature, args):
        return self.call(NAME, path, f"{NAME}.{interface}", member, signature, args)

    def test_it_is_another_user(self):
        uid = self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser",
                        "(s)", f"('{NAME}',)")
        self.assertEqual(uid, ["ok", f"({os.getuid()},)"])
        self.assertNotEqual(os.getuid(), NOBODY)

    def test_it_cannot_own_the_name(self):
        for name in (NAME, NAME + ".Sub", "org.gangway.Other"):
            answer = self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                               "(su)", f"('{name}', 3)")
            self.assertEqual(answer, ["error", "org.freedesktop.DBus.Error.AccessDenied"])

    def test_it_cannot_attach(self):
        answer = self.agent(ROOT, "Manager", "AttachBus", "(a{sv})",
                            "({'name': GLib.Variant('s', 'evil'), 'kind': GLib.Variant('s', 'serial')},)")
        self.assertEqual(answer, ["error", "org.freedesktop.DBus.Error.AccessDenied"])

    def test_it_may_look(self):
        self.assertEqual(self.call(NAME, ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)",
                                   f"('{NAME}.Manager', 'Version')")[0], "ok")

    def test_it_changes_nothing(self):
        """Every method that changes something, with arguments that would be good from the agent's own user."""
        endpoint = self.lab.bus.endpoints()[self.lab.ids()[0]]["path"]
        calls = [(ROOT, "Manager", "Reload", "()", "()"),
                 (ROOT, "Inventory", "RemoveBatch", "(sa{sv})", "('lab-batch', {})"),
                 (ROOT, "Inventory", "Approve", "(ssa{sv})", f"('{self.lab.ids()[0]}', '', {{}})"),
                 (endpoint, "Endpoint", "Onboard", "(sa{sv})", "('', {})"),
                 (endpoint, "Endpoint", "Renew", "(a{sv})", "({},)"),
                 (endpoint, "Endpoint", "Rekey", "(a{sv})", "({},)"),
                 (endpoint, "Endpoint", "Quarantine", "(s)", "('x',)"),
                 (endpoint, "Endpoint", "Revoke", "(s)", "('x',)"),
                 (endpoint, "Endpoint", "Decommission", "(s)", "('x',)"),
                 (endpoint, "Endpoint", "SetName", "(s)", "('evil',)"),
                 (endpoint, "Endpoint", "Identify", "()", "()"),
                 (endpoint, "Points", "Write", "(uva{sv})", "(4, GLib.Variant('d', 1.0), {})"),
                 (f"{ROOT}/bus/ttyGW0", "Bus", "Scan", "()", "()")]
        for path, interface, member, signature, args in calls:
            answer = self.agent(path, interface, member, signature, args)
            self.assertEqual(answer[0], "error", f"{interface}.{member}")
            self.assertIn(answer[1], (f"{NAME}.Error.NotAuthorized", "org.freedesktop.DBus.Error.AccessDenied"),
                          f"{interface}.{member}")
        self.assertEqual(self.lab.state_of(self.lab.ids()[0]), "online")

    def test_properties_cannot_be_set(self):
        answer = self.call(NAME, ROOT, "org.freedesktop.DBus.Properties", "Set", "(ssv)",
                           f"('{NAME}.Manager', 'GatewayId', GLib.Variant('s', 'x'))")
        self.assertEqual(answer[0], "error")


if __name__ == "__main__":
    tap.main()
