# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls methods on the system bus as whoever runs it: a JSON list of [path, interface, member, argument types] on stdin, for
each an empty string (it worked) or the error's D-Bus name, and the message, on stdout; last the same for taking the agent's name.

Arguments are made from their types alone, so that a new method needs no word here. They are of the right type and otherwise
useless: a call that is let through changes nothing.
"""
import json
import os
import sys

from gi.repository import Gio, GLib

NAME = "org.gangway.Gangway1"
USELESS = {
    "s": lambda: GLib.Variant("s", "\x01" * 201),
    "o": lambda: GLib.Variant("o", "/nowhere"),
    "h": lambda: GLib.Variant("h", 0),
    "t": lambda: GLib.Variant("t", 999),
    "u": lambda: GLib.Variant("u", 999),
    "t": lambda: GLib.Variant("t", 999),
    "b": lambda: GLib.Variant("b", True),
    "v": lambda: GLib.Variant("v", GLib.Variant("b", True)),
    "au": lambda: GLib.Variant("au", [999]),
    "as": lambda: GLib.Variant("as", ["\x01"]),
    "a{sv}": lambda: GLib.Variant("a{sv}", {"no-such-option": GLib.Variant("b", True)}),
}


def request_name(bus):
    try:
        bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", GLib.Variant("(su)", (NAME, 4)), None,
                      Gio.DBusCallFlags.NONE, -1, None)
    except GLib.Error as error:
        return Gio.dbus_error_get_remote_error(error), error.message
    return "", ""


def call(bus, path, interface, member, types):
    fds = Gio.UnixFDList.new_from_array([os.open("/dev/null", os.O_RDONLY)]) if "h" in types else None
    arguments = GLib.Variant.new_tuple(*(USELESS[t]() for t in types))
    try:
        bus.call_with_unix_fd_list_sync(NAME, path, interface, member, arguments, None, Gio.DBusCallFlags.NONE, 60000, fds, None)
    except GLib.Error as error:
        return Gio.dbus_error_get_remote_error(error) or f"local: {error.domain}", error.message
    return "", ""


def main():
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
    json.dump([call(bus, *c) for c in json.load(sys.stdin)] + [request_name(bus)], sys.stdout)


if __name__ == "__main__":
    main()
