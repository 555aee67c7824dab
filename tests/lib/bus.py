# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus with the system bus's own denials, and a client that keeps a picture of the agent's objects.

The configuration is made from the dbus-daemon's installed system.conf: the sections that make it a service of the
machine (user, fork, activation, includes) are taken out, its policies stay word for word, and the shipped policy
follows with nothing but its user names replaced.
"""
import getpass
import os
import re

from gi.repository import Gio, GLib

from supervisor import PATIENCE, wait

NAME = "org.gangway.Gangway1"
ROOT = "/org/gangway/Gangway1"
SYSTEM_CONF = "/usr/share/dbus-1/system.conf"
_MACHINE_SECTIONS = ("user", "pidfile", "servicehelper", "servicedir", "listen", "include", "includedir")
_MACHINE_FLAGS = ("fork", "syslog", "standard_system_servicedirs", "keep_umask")


def policy_text(shipped, user):
    """The policies of the shipped .conf with every user that it names replaced by `user`."""
    text = re.sub(r"<!--.*?-->", "", shipped, flags=re.S)
    text = re.sub(r'user="(?!root")[^"]*"', f'user="{user}"', text)
    return "\n".join(re.findall(r"<policy\b.*?</policy>", text, flags=re.S))


def write_config(path, address, shipped_policy, more=""):
    """more: policies for what a test plays beside the agent."""
    with open(SYSTEM_CONF, encoding="utf-8") as f:
        text = re.sub(r"<!--.*?-->", "", f.read(), flags=re.S)
    for tag in _MACHINE_SECTIONS:
        text = re.sub(rf"<{tag}\b[^>]*>.*?</{tag}>", "", text, flags=re.S)
    for tag in _MACHINE_FLAGS:
        text = re.sub(rf"<{tag}\s*/>", "", text)
    with open(shipped_policy, encoding="utf-8") as f:
        shipped = f.read()
    text = text.replace("</busconfig>", f"<listen>{address}</listen>\n"
                        f"{policy_text(shipped, getpass.getuser())}\n{more}\n</busconfig>")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


class Client:
    """A connection to the bus and a live copy of the agent's objects: objects[path][interface][property].

    The copy follows InterfacesAdded, InterfacesRemoved and PropertiesChanged, and is read anew whenever the name
    gets an owner; `completed` maps a job's path to its (success, error, message).
    """

    def __init__(self, address):
        self.address = address
        self.connection = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.connection.set_exit_on_close(False)
        self.objects, self.completed, self.signals = {}, {}, []
        self.owner = None
        self.connection.signal_subscribe(NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, self._signal)
        self.connection.signal_subscribe("org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", None, NAME,
                                         Gio.DBusSignalFlags.NONE, self._owner_changed)
        try:
            self.owner = self.call_bus("GetNameOwner", "(s)", NAME)[0]
        except GLib.Error:
            self.owner = None
        if self.owner:
            self.refresh()

    def call_bus(self, member, signature, *args):
        return self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member,
                                         GLib.Variant(signature, args), None, Gio.DBusCallFlags.NONE, 5000 * PATIENCE,
                                         None).unpack()

    def refresh(self):
        try:
            self.objects = self.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
            self._root()
        except GLib.Error:
            self.objects = {}

    def _root(self):
        # The Manager sits on the ObjectManager's own path, which GetManagedObjects may leave out.
        if ROOT not in self.objects:
            self.objects[ROOT] = {}
            for interface in ("Manager", "Inventory"):
                self.objects[ROOT][f"{NAME}.{interface}"] = self.call(
                    ROOT, "org.freedesktop.DBus.Properties", "GetAll", "(s)", f"{NAME}.{interface}")[0]

    def _owner_changed(self, _c, _s, _p, _i, _m, parameters):
        self.owner = parameters.unpack()[2] or None
        self.objects, self.completed = {}, {}  # another agent counts its jobs from 1 again
        if self.owner:
            self.refresh()

    def _signal(self, _c, _sender, path, interface, member, parameters):
        args = parameters.unpack()
        if member == "InterfacesAdded":
            self.objects.setdefault(args[0], {}).update(args[1])
        elif member == "InterfacesRemoved":
            for name in args[1]:
                self.objects.get(args[0], {}).pop(name, None)
            if not self.objects.get(args[0]):
                self.objects.pop(args[0], None)
        elif member == "PropertiesChanged" and interface == "org.freedesktop.DBus.Properties":
            known = self.objects.setdefault(path, {}).setdefault(args[0], {})
            known.update(args[1])
            for name in args[2]:
                known.pop(name, None)
        elif member == "Completed":
            self.completed[path] = args
        else:
            self.signals.append((path, interface, member, args))

    def call(self, path, interface, member, signature=None, *args, fds=(), timeout=10.0, destination=NAME):
        """Calls a method of the agent and returns its unpacked results; interface may leave out the bus name."""
        if "." not in interface:
            interface = f"{NAME}.{interface}"
        # The list owns its descriptors and closes them.
        passed = Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds]) if fds else None
        reply, _fds = self.connection.call_with_unix_fd_list_sync(
            destination, path, interface, member, GLib.Variant(signature, args) if signature else None, None,
            Gio.DBusCallFlags.NONE, int(timeout * PATIENCE * 1000), passed, None)
        return reply.unpack()

    def call_async(self, path, interface, member, signature, args, done, timeout=30.0):
        """Calls without waiting: done (result or GLib.Error) runs on the main context."""
        def ready(connection, result):
            try:
                done(connection.call_finish(result).unpack())
            except GLib.Error as error:
                done(error)
        self.connection.call(NAME, path, f"{NAME}.{interface}" if "." not in interface else interface, member,
                             GLib.Variant(signature, args) if signature else None, None, Gio.DBusCallFlags.NONE,
                             int(timeout * PATIENCE * 1000), None, ready)

    def get(self, path, interface, name):
        """A property, from the copy or, where it was invalidated, from the agent."""
        known = self.objects.get(path, {}).get(f"{NAME}.{interface}", {})
        if name in known:
            return known[name]
        return self.call(path, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.{interface}", name)[0]

    def of(self, interface):
        """{path: properties} of all objects with that interface."""
        key = f"{NAME}.{interface}"
        return {path: ifaces[key] for path, ifaces in self.objects.items() if key in ifaces}

    def endpoints(self):
        """{key id: properties}."""
        return {p.get("Id"): dict(p, path=path) for path, p in self.of("Endpoint").items()}

    def job(self, path, timeout=30.0):
        """Waits for a job and returns (success, error, message)."""
        return wait(f"job {path} to complete", lambda: self.completed.get(path), timeout)


def error_name(error):
    """The D-Bus name of a GLib.Error that a call raised."""
    return Gio.dbus_error_get_remote_error(error)
