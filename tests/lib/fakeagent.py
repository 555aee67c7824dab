# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands in for the agent on a private bus, with the objects and answers that a test gives it: for what the real one
does not do on demand, such as errors, odd names and a hundred endpoints."""
import glob
import os

from gi.repository import Gio, GLib

from bus import NAME, ROOT
from lab import SOURCE


def interfaces():
    found = {}
    for path in glob.glob(os.path.join(SOURCE, "dbus", "*.xml")):
        with open(path, encoding="utf-8") as f:
            for info in Gio.DBusNodeInfo.new_for_xml(f.read()).interfaces:
                found[info.name] = info
    return found


OBJECT_MANAGER = """<node><interface name="org.freedesktop.DBus.ObjectManager"><method name="GetManagedObjects">
<arg name="objects" type="a{oa{sa{sv}}}" direction="out"/></method></interface></node>"""

DEFAULTS = {"s": "", "o": "/", "u": 0, "t": 0, "b": False, "d": 0.0, "a{su}": {}, "a{sv}": {},
            "(buu)": (False, 0, 0), "(ss)": ("", "")}


class FakeAgent:
    """objects[path][interface without prefix] = {property: value}; answers["Interface.Method"] = function of (path, args)
    that returns a GLib.Variant of the results or raises Refusal; calls is the list of (path, method, args)."""

    def __init__(self, address):
        self.connection = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.infos = interfaces()
        self.objects, self.answers, self.calls, self.fds = {}, {}, [], []
        manager = Gio.DBusNodeInfo.new_for_xml(OBJECT_MANAGER).interfaces[0]
        self.connection.register_object(ROOT, manager, self._managed, None, None)
        self.add(ROOT, Manager={"Version": "0.1.0", "GatewayId": "0f" * 16, "ClockValid": True}, Inventory={})
        self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                  GLib.Variant("(su)", (NAME, 4)), None, 0, -1, None)

    def add(self, path, **ifaces):
        if not path.startswith("/"):
            path = f"{ROOT}/{path}"
        for name, values in ifaces.items():
            info = self.infos[f"{NAME}.{name}"]
            known = {p.name: values.get(p.name, DEFAULTS.get(p.signature, [])) for p in info.properties}
            again = name in self.objects.get(path, {})
            self.objects.setdefault(path, {})[name] = known
            if again:
                continue
            self.connection.register_object(path, info, self._called, self._get, None)
        return path

    def _variant(self, interface, name, value):
        info = self.infos[f"{NAME}.{interface}"].lookup_property(name)
        return GLib.Variant(info.signature, value)

    def _get(self, _connection, _sender, path, interface, name):
        short = interface.rsplit(".", 1)[1]
        return self._variant(short, name, self.objects[path][short][name])

    def _managed(self, _connection, _sender, _path, _interface, _method, _parameters, invocation):
        out = {path: {f"{NAME}.{i}": {n: self._variant(i, n, v) for n, v in known.items()} for i, known in ifaces.items()}
               for path, ifaces in self.objects.items() if path != ROOT}
        invocation.return_value(GLib.Variant("(a{oa{sa{sv}}})", (out,)))

    def _called(self, _connection, _sender, path, interface, method, parameters, invocation):
        args = parameters.unpack()
        fds = invocation.get_message().get_unix_fd_list()
        self.fds = [fds.get(i) for i in range(fds.get_length())] if fds else []
        self.calls.append((path, method, args))
        answer = self.answers.get(f"{interface.rsplit('.', 1)[1]}.{method}")
        try:
            invocation.return_value(answer(path, args) if answer else None)
        except Refusal as refusal:
            invocation.return_dbus_error(f"{NAME}.Error.{refusal.name}", refusal.message)
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def emit(self, path, interface, member, signature, *args):
        self.connection.emit_signal(None, path, f"{NAME}.{interface}", member, GLib.Variant(signature, args))

    def end_job(self, path, success=True, error="", message="", result=None):
        """A job that ends at once, even before its caller knows its path."""
        state = "done" if success else "failed"
        self.add(path, Job={"State": state, "Error": (error, message), "Result": result or {}, "Kind": "test"})
        self.emit(path, "Job", "Completed", "(bss)", success, error, message)


class Refusal(Exception):
    def __init__(self, name, message):
        super().__init__(message)
        self.name, self.message = name, message
