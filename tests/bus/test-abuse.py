#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent against local callers who mean it no good: every method of every interface, by what its XML says of it."""
import glob
import os
import re
import resource
import select
import socket
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from gi.repository import Gio, GLib

import tap
from bus import NAME, ROOT, Client, error_name
from lab import SOURCE, Lab
from supervisor import wait

PROPERTIES = "org.freedesktop.DBus.Properties"
ERROR = f"{NAME}.Error."
MEGABYTE = 1 << 20
# The system bus takes messages of up to 32 MiB; the bus itself adds the sender to what a client makes.
BUS_LIMIT = 32 * MEGABYTE - 100
RSS_MARGIN = 1.05


def methods():
    """(interface, method, [in types]) of all the XML."""
    for path in sorted(glob.glob(os.path.join(SOURCE, "dbus", "*.xml"))):
        with open(path, encoding="utf-8") as f:
            root = ElementTree.fromstring(re.sub(r"<!DOCTYPE.*?>", "", f.read(), flags=re.S))
        for interface in root.iter("interface"):
            for method in interface.findall("method"):
                yield (interface.get("name").rsplit(".", 1)[1], method.get("name"),
                       [(a.get("name"), a.get("type")) for a in method.findall("arg") if a.get("direction") == "in"])


class Abuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=2, sim_args=["--rate", "10"])
        try:
            cls.lab.start()
            cls.ids = cls.lab.ids()
            cls.lab.wait_online()
            wait("the points", lambda: len(cls.lab.bus.of("Points")) == 2)
        except BaseException:
            cls.lab.close(failed=True)
            raise
        cls.pid = cls.lab.agent.pid

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tearDown(self):
        """Whatever it was: the same process answers, and a bystander goes on."""
        self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", self.ids[0])
        self.assertEqual(self.lab.agent.pid, self.pid, "the agent was restarted")
        self.lab.wait_flow(0, more=1)

    # Tools

    def path(self, interface):
        if interface in ("Audit", "Inventory", "Manager"):
            return ROOT
        if interface == "Job":
            return self.job_path()
        return sorted(self.lab.bus.of(interface))[0]

    def job_path(self):
        jobs = self.lab.bus.of("Job")
        if not jobs:
            self.lab.add_batch(["0" * 64], name="nonsense", options={"dry-run": GLib.Variant("b", True)})
            jobs = self.lab.bus.of("Job")
        return sorted(jobs)[0]

    def refused(self, *args, **kwargs):
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(*args, **kwargs)
        return error_name(caught.exception)

    def refused_as(self, name, *args, **kwargs):
        self.assertEqual(self.refused(*args, **kwargs), ERROR + name)

    def rss(self):
        with open(f"/proc/{self.lab.agent.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024

    def fds(self):
        return len(os.listdir(f"/proc/{self.lab.agent.pid}/fd"))

    def job(self, *args, **kwargs):
        return self.lab.bus.job(self.lab.bus.call(*args, **kwargs)[0])

    # Arguments

    def test_wrong_types(self):
        """Each argument of each method with each of a few wrong types: never reaches the agent's code, nothing happens."""
        for interface, method, args in methods():
            for signature in ("", "(i)", "(s)", "(aau)", "(a{sv}a{sv}a{sv}a{sv}a{sv})"):
                if signature.strip("()") == "".join(t for _n, t in args):
                    continue
                value = {"": None, "(i)": (-1,), "(s)": ("x",), "(aau)": ([[1]],)}.get(signature, ({},) * 5)
                got = self.refused(self.path(interface), interface, method, signature or None, *(value or ()))
                self.assertEqual(got, "org.freedesktop.DBus.Error.InvalidArgs", f"{interface}.{method}{signature}")

    def test_unknown_options_are_refused_by_name(self):
        good = {"s": "", "u": 4, "v": GLib.Variant("b", True), "h": 0, "au": []}
        tried = 0
        for interface, method, args in methods():
            if not any(t == "a{sv}" for _n, t in args):
                continue
            signature = "(" + "".join(t for _n, t in args) + ")"
            values = [{"no-such-key": GLib.Variant("s", "x")} if t == "a{sv}" else good[t] for _n, t in args]
            with open(self.lab.agent.log, "rb") as f, self.assertRaises(GLib.Error) as caught:
                self.lab.bus.call(self.path(interface), interface, method, signature, *values, fds=(f.fileno(),))
            self.assertEqual(error_name(caught.exception), ERROR + "Invalid", f"{interface}.{method}")
            self.assertIn("no-such-key", caught.exception.message)
            tried += 1
        self.assertGreaterEqual(tried, 9)

    def test_known_options_of_a_wrong_type(self):
        self.refused_as("Invalid", ROOT, "Manager", "AttachBus", "(a{sv})", {"name": GLib.Variant("u", 1)})
        self.refused_as("Invalid", self.path("Points"), "Points", "Write", "(uva{sv})", 4, GLib.Variant("d", 1.0),
                        {"ttl": GLib.Variant("s", "5")})
        with open(self.lab.agent.log, "rb") as f:
            self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "b", "lab", 0,
                            {"dry-run": GLib.Variant("s", "yes")}, fds=(f.fileno(),))

    def test_bounds_of_options_and_arguments(self):
        write = (self.path("Points"), "Points", "Write", "(uva{sv})", 4, GLib.Variant("d", 1.0))
        for ttl in (0, 60001, 0xffffffff):
            self.refused_as("Invalid", *write, {"ttl": GLib.Variant("u", ttl)})
        self.refused_as("Limit", self.path("Points"), "Points", "Read", "(au)", [1] * 65)
        self.refused_as("Limit", self.path("Points"), "Points", "Watch", "(au)", list(range(257)))
        self.refused_as("NotFound", self.path("Points"), "Points", "Read", "(au)", [0xffffffff])
        for reason in ("", "x" * 201, "line\nfeed"):
            for method in ("Quarantine", "Revoke", "Decommission"):
                self.refused_as("Invalid", self.path("Endpoint"), "Endpoint", method, "(s)", reason)
        for name in ("x" * 65, "tab\t"):
            self.refused_as("Invalid", self.path("Endpoint"), "Endpoint", "SetName", "(s)", name)
        for name in ("", "x" * 65, "../x", "a b", "ä"):
            with open(self.lab.agent.log, "rb") as f:
                self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", name, "lab", 0, {}, fds=(f.fileno(),))
        for identifier in ("", "abc", "0" * 63, "G" * 64, "A" * 64):
            self.refused_as("Invalid", ROOT, "Inventory", "Lookup", "(s)", identifier)
        self.refused_as("NotFound", ROOT, "Inventory", "Lookup", "(s)", "0" * 64)
        self.refused_as("NotFound", ROOT, "Inventory", "RemoveBatch", "(sa{sv})", "no such batch", {})
        self.refused_as("NotFound", self.path("Endpoint"), "Endpoint", "Onboard", "(sa{sv})", "no-such-policy", {})

    def test_attach_bus_names(self):
        for name in ("", "x" * 33, "a/b", "a b", "ü", ".."):
            self.refused_as("Invalid", ROOT, "Manager", "AttachBus", "(a{sv})", {
                "name": GLib.Variant("s", name), "kind": GLib.Variant("s", "serial")})
        self.refused_as("Invalid", ROOT, "Manager", "AttachBus", "(a{sv})", {"name": GLib.Variant("s", "x")})
        self.refused_as("Invalid", ROOT, "Manager", "AttachBus", "(a{sv})", {"kind": GLib.Variant("s", "x")})
        self.refused_as("Exists", ROOT, "Manager", "AttachBus", "(a{sv})", {
            "name": GLib.Variant("s", "ttyGW0"), "kind": GLib.Variant("s", "serial")})
        self.refused_as("Unsupported", ROOT, "Manager", "AttachBus", "(a{sv})", {
            "name": GLib.Variant("s", "new"), "kind": GLib.Variant("s", "serial"), "version": GLib.Variant("u", 2)})

    def test_a_bus_that_never_says_hello(self):
        """It takes no messages, its caller gets no second one, its name no second owner; it goes with its socket."""
        options = {"name": GLib.Variant("s", "mute"), "kind": GLib.Variant("s", "x")}
        other = Gio.DBusConnection.new_for_address_sync(
            self.lab.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        other.set_exit_on_close(False)

        def attach(**changes):
            reply, fds = other.call_with_unix_fd_list_sync(NAME, ROOT, f"{NAME}.Manager", "AttachBus", GLib.Variant(
                "(a{sv})", ({**options, **changes},)), None, 0, 5000, None, None)
            return reply.unpack()[0], fds.steal_fds()
        path, fds = attach()
        self.refused_as("Offline", path, "Bus", "Scan")
        self.refused_as("Exists", ROOT, "Manager", "AttachBus", "(a{sv})", options)
        with self.assertRaises(GLib.Error) as caught:
            attach(name=GLib.Variant("s", "second"))
        self.assertEqual(error_name(caught.exception), ERROR + "Limit")
        for fd in fds:
            os.close(fd)
        wait("the bus to be gone", lambda: path not in self.lab.bus.of("Bus"))
        self.assertEqual(attach()[0], path)
        other.close_sync(None)
        wait("the bus to go with its caller", lambda: path not in self.lab.bus.of("Bus"))

    # Descriptors

    def test_handles_that_came_with_nothing(self):
        with open(self.lab.agent.log, "rb") as f:
            for index in (-1, 1, 2, 0x7fffffff, -0x80000000):
                self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "handles", "lab", index, {},
                                fds=(f.fileno(),))
                self.refused_as("Invalid", ROOT, "Inventory", "ImportManifest", "(hha{sv})", index, 0, {}, fds=(f.fileno(),))
                self.refused_as("Invalid", ROOT, "Inventory", "ImportManifest", "(hha{sv})", 0, index, {}, fds=(f.fileno(),))
                self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "handles", "lab", 0,
                                {"report": GLib.Variant("h", index)}, fds=(f.fileno(),))
        self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "handles", "lab", 0, {})

    def test_descriptors_of_the_wrong_kind(self):
        before = self.fds()
        with tempfile.NamedTemporaryFile() as plain, select.epoll() as poll:
            kinds = {
                "a directory": os.open(self.lab.folder, os.O_RDONLY | os.O_DIRECTORY),
                "a path": os.open(plain.name, os.O_PATH),
                "for writing only": os.open(plain.name, os.O_WRONLY),
                "a device": os.open("/dev/zero", os.O_RDWR),
                "an epoll set": os.dup(poll.fileno()),
            }
            for what, fd in kinds.items():
                self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "kinds", "lab", 0, {}, fds=(fd,))
                self.refused_as("Invalid", ROOT, "Inventory", "ImportManifest", "(hha{sv})", 0, 0, {}, fds=(fd,))
                os.close(fd)
            reading = os.open(plain.name, os.O_RDONLY)
            self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "kinds", "lab", 0,
                            {"report": GLib.Variant("h", 0)}, fds=(reading,))
            os.close(reading)
        # Sixteen descriptors where one is meant: all are closed again.
        with open(self.lab.agent.log, "rb") as f:
            self.refused_as("Invalid", ROOT, "Inventory", "AddBatch", "(ssha{sv})", "kinds", "lab", 16, {},
                            fds=[f.fileno()] * 16)
        wait("all descriptors to be closed", lambda: self.fds() <= before)

    def test_descriptors_without_end(self):
        """Sixteen with each of thousands of calls that take none and want no answer: at its limit GLib would abort the agent."""
        pid, before = self.lab.agent.pid, self.fds()
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + 512, limits[1]))
        caller = Client(self.lab.address)
        with open(os.devnull, "rb") as f:
            for _ in range(3000):
                message = Gio.DBusMessage.new_method_call(NAME, ROOT, f"{NAME}.Manager", "Explain")
                message.set_body(GLib.Variant("(s)", (self.ids[0],)))
                message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(f.fileno()) for _ in range(16)]))
                message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
                caller.connection.send_message(message, Gio.DBusSendMessageFlags.NONE)
                caller.connection.flush_sync(None)
        caller.call(ROOT, "Manager", "Explain", "(s)", self.ids[0])
        caller.connection.close_sync(None)
        wait("all descriptors to be closed", lambda: self.fds() <= before)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    def test_a_closed_reader_of_the_report(self):
        reader, writer = os.pipe()
        os.close(reader)
        with tempfile.TemporaryFile() as ids:
            ids.write(b"nonsense\n" * 1000)
            ids.seek(0)
            ok, error, _message = self.job(ROOT, "Inventory", "AddBatch", "(ssha{sv})", "pipes", "lab", 0, {
                "report": GLib.Variant("h", 1)}, fds=(ids.fileno(), writer))
        os.close(writer)
        self.assertEqual((ok, error), (False, ERROR + "Invalid"))

    # Sizes

    def largest(self, path, interface, member, make):
        """The answer to the largest call that the bus lets through; make (text) gives its arguments."""
        if "." not in interface:
            interface = f"{NAME}.{interface}"
        message = Gio.DBusMessage.new_method_call(NAME, path or "/x", interface, member)
        message.set_body(make("x"))
        message.set_serial(2)
        text = "x" * (BUS_LIMIT - len(message.to_blob(Gio.DBusCapabilityFlags.NONE)))
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.connection.call_sync(NAME, path or "/" + text, interface, member, make(text if path else "x"), None,
                                              Gio.DBusCallFlags.NONE, 10000, None)
        self.assertEqual(error_name(caught.exception), ERROR + "Limit", f"{interface}.{member}")
        self.assertLess(len(caught.exception.message), 1000)

    def test_strings_up_to_the_limit_of_the_bus(self):
        """An answer that repeats them would be larger than the bus takes, and that is the end of whoever sends it."""
        true = GLib.Variant("b", True)
        self.largest(ROOT, "Manager", "Explain", lambda text: GLib.Variant("(s)", (text,)))
        self.largest(ROOT, "Inventory", "Lookup", lambda text: GLib.Variant("(s)", (text,)))
        self.largest(ROOT, "Inventory", "RemoveBatch", lambda text: GLib.Variant("(sa{sv})", (text, {})))
        self.largest(ROOT, "Inventory", "Approve", lambda text: GLib.Variant("(ssa{sv})", (self.ids[0], text, {})))
        self.largest(self.path("Policy"), "Policy", "Check", lambda text: GLib.Variant("(a{sv})", ({text: true},)))
        self.largest(self.path("Endpoint"), "Endpoint", "SetName", lambda text: GLib.Variant("(s)", (text,)))
        self.largest(self.path("Endpoint"), "Endpoint", "Revoke", lambda text: GLib.Variant("(s)", (text,)))
        self.largest(ROOT, PROPERTIES, "Get", lambda text: GLib.Variant("(ss)", (f"{NAME}.Manager", text)))
        self.largest(ROOT, PROPERTIES, "Get", lambda text: GLib.Variant("(ss)", (text, "Version")))
        self.largest(ROOT, PROPERTIES, "GetAll", lambda text: GLib.Variant("(s)", (text,)))
        self.largest(ROOT, PROPERTIES, "Set", lambda text: GLib.Variant("(ssv)", (f"{NAME}.Manager", text, true)))
        self.largest(None, "Manager", "Explain", lambda text: GLib.Variant("(s)", (text,)))

    def test_messages_repeat_little_of_what_was_said(self):
        """What is not refused for its length alone is named, but not repeated whole, nor with what a terminal obeys."""
        word = "\u00fc\x1b[2J" * 8000
        true = GLib.Variant("b", True)
        for path, interface, member, signature, args in (
                (ROOT, "Manager", "Explain", "(s)", (word,)), (ROOT, "Inventory", "Lookup", "(s)", (word,)),
                (ROOT, "Inventory", "RemoveBatch", "(sa{sv})", (word, {})), (ROOT, "Inventory", "Approve", "(ssa{sv})", (word, "", {})),
                (ROOT, "Inventory", "Approve", "(ssa{sv})", (self.ids[0], word, {})),
                (self.path("Endpoint"), "Endpoint", "Onboard", "(sa{sv})", (word, {})),
                (self.path("Policy"), "Policy", "Check", "(a{sv})", ({word: true},)),
                (ROOT, "Manager", "AttachBus", "(a{sv})", ({"name": GLib.Variant("a" * 31 + "s", []), "kind": true},))):
            with self.assertRaises(GLib.Error) as caught:
                self.lab.bus.call(path, interface, member, signature, *args)
            self.assertLess(len(caught.exception.message.encode()), 400, f"{interface}.{member}")
            self.assertNotIn("\x1b", caught.exception.message, f"{interface}.{member}")

    def test_arrays_up_to_the_limit_of_the_bus(self):
        points = self.path("Points")

        def octets(kind, text):
            return GLib.Variant.new_from_bytes(GLib.VariantType(kind), GLib.Bytes.new(text.encode() * (1 if kind == "ay" else 4)), True)
        for member in ("Read", "Watch"):
            many = octets("au", "x" * (7 * MEGABYTE))
            with self.assertRaises(GLib.Error) as caught:
                self.lab.bus.connection.call_sync(NAME, points, f"{NAME}.Points", member, GLib.Variant.new_tuple(many), None,
                                                  Gio.DBusCallFlags.NONE, 10000, None)
            self.assertEqual(error_name(caught.exception), ERROR + "Limit")
        self.largest(points, "Points", "Write", lambda text: GLib.Variant("(uva{sv})", (4, octets("ay", text), {})))
        self.refused_as("Limit", ROOT, "Manager", "AttachBus", "(a{sv})", {f"key-{i}": GLib.Variant("s", "x" * 100)
                                                                           for i in range(100000)})

    def test_deep_variants(self):
        value = GLib.Variant("b", True)
        for _ in range(60):
            value = GLib.Variant("v", value)
        self.refused_as("Invalid", self.path("Points"), "Points", "Write", "(uva{sv})", 4, value, {})

    # Objects and properties

    def test_foreign_object_paths(self):
        for path in ("/", "/org", "/org/freedesktop/DBus", f"{ROOT}/endpoint", f"{ROOT}/endpoint/_0000000000000000",
                     f"{ROOT}/job/4294967295", f"{ROOT}/bus/none", f"{ROOT}/policy/none"):
            for interface, method, args in (("Endpoint", "Identify", ()), ("Job", "Cancel", ()), ("Bus", "Scan", ())):
                self.assertIn(self.refused(path, interface, method, None, *args).rsplit(".", 1)[1],
                              ("UnknownMethod", "UnknownObject", "UnknownInterface"))
        mine = self.lab.bus.endpoints()[self.ids[0]]["path"]
        self.assertEqual(self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", mine)[0], "online")
        for path in (mine.replace(ROOT, "/org/example"), mine.replace("endpoint", "bus"), mine + "/x", "/" + mine,
                     f"{ROOT}/endpoint/{self.ids[0][:16]}"):
            self.refused_as("NotFound", ROOT, "Manager", "Explain", "(s)", path)
            self.refused_as("NotFound", ROOT, "Inventory", "Approve", "(ssa{sv})", path, "", {})

    def test_nothing_can_be_set(self):
        tried = 0
        for path, interfaces in list(self.lab.bus.objects.items()):
            for interface, properties in interfaces.items():
                for name in properties:
                    got = self.refused(path, PROPERTIES, "Set", "(ssv)", interface, name, GLib.Variant("s", "x"))
                    self.assertIn(got.rsplit(".", 1)[1], ("InvalidArgs", "PropertyReadOnly"), f"{interface}.{name}")
                    tried += 1
        self.assertGreater(tried, 60)
        self.assertNotEqual(self.lab.bus.get(ROOT, "Manager", "Version"), "x")

    def test_a_broken_configuration_is_refused(self):
        conf = self.lab.path("etc", "gangway.conf")
        with open(conf, encoding="utf-8") as f:
            good = f.read()
        try:
            with open(conf, "a", encoding="utf-8") as f:
                f.write("[Spool]\nMaxBytse=1\n")
            with self.assertRaises(GLib.Error) as caught:
                self.lab.bus.call(ROOT, "Manager", "Reload")
            self.assertEqual(error_name(caught.exception), ERROR + "Invalid")
            self.assertRegex(caught.exception.message, r"gangway\.conf:\d+: .*MaxBytse")
        finally:
            with open(conf, "w", encoding="utf-8") as f:
                f.write(good)
        self.lab.bus.call(ROOT, "Manager", "Reload")

    # Callers that vanish

    def caller(self, code, *fds):
        """A program that calls and goes at once; returns when it has gone."""
        script = f"""
import os, sys
from gi.repository import Gio, GLib
c = Gio.DBusConnection.new_for_address_sync({self.lab.address!r}, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
def call(path, interface, member, parameters, fds=(), wait=True):
    l = Gio.UnixFDList.new_from_array(list(fds))
    if wait:
        r, _ = c.call_with_unix_fd_list_sync({NAME!r}, path, {NAME!r} + "." + interface, member, parameters, None, 0, 5000, l, None)
        return r.unpack()
    c.call_with_unix_fd_list({NAME!r}, path, {NAME!r} + "." + interface, member, parameters, None, 0, 5000, l, None, None)
    c.flush_sync(None)
V = GLib.Variant
{code}
sys.stdout.flush()
os._exit(0)
"""
        return subprocess.run(["/usr/bin/python3", "-c", script], pass_fds=fds, capture_output=True, text=True, timeout=120,
                              check=True).stdout.strip()

    def test_a_caller_that_vanishes_in_mid_job(self):
        """It cannot hold up the inventory with a pipe that it never fills: its job ends when it leaves."""
        reader, writer = os.pipe()
        job = self.caller(f"print(call({ROOT!r}, 'Inventory', 'AddBatch', V('(ssha{{sv}})', ('slow', 'lab', 0, {{}})),"
                          f" [{reader}])[0])", reader)
        done = self.lab.bus.job(job, timeout=5)
        self.assertEqual(done[:2], (False, ERROR + "Cancelled"))
        os.close(writer)
        os.close(reader)
        ok, error, _m = self.lab.add_batch(["1" * 64], name="after")
        self.assertEqual((ok, error), (False, ERROR + "Invalid"))

    def test_a_caller_that_vanishes_before_its_answer(self):
        endpoint, points = self.path("Endpoint"), self.path("Points")
        for path, interface, member, parameters in (
                (endpoint, "Endpoint", "Identify", "None"), (points, "Points", "Read", "V('(au)', ([],))"),
                (points, "Points", "Write", "V('(uva{sv})', (4, V('d', 3.0), {}))"),
                (points, "Points", "Watch", "V('(au)', ([],))"), (endpoint, "Endpoint", "Renew", "V('(a{sv})', ({},))"),
                (ROOT, "Manager", "AttachBus", "V('(a{sv})', ({'name': V('s', 'brief'), 'kind': V('s', 'x')},))"),
                (ROOT, "Manager", "Reload", "None")):
            self.caller(f"call({path!r}, {interface!r}, {member!r}, {parameters}, wait=False)")
        wait("the brief bus to be gone", lambda: not any(p.endswith("/brief") for p in self.lab.bus.of("Bus")))
        self.lab.wait_online()

    def test_an_endpoints_job_outlives_its_caller(self):
        """`busctl call .. Renew` leaves at once, and means it."""
        before = self.lab.bus.endpoints()[self.ids[1]]
        job = self.caller(f"print(call({before['path']!r}, 'Endpoint', 'Renew', V('(a{{sv}})', ({{}},)))[0])")
        self.assertTrue(self.lab.bus.job(job)[0])
        wait("the new certificate", lambda: self.lab.bus.endpoints()[self.ids[1]]["CertificateFingerprint"]
             != before["CertificateFingerprint"])

    # Numbers

    def test_ten_thousand_calls(self):
        """From one caller, without waiting for answers; memory comes back, and another caller is answered meanwhile."""
        points, endpoint = self.path("Points"), self.path("Endpoint")
        calls = [(ROOT, "Manager", "Explain", "(s)", (self.ids[0],)), (ROOT, "Inventory", "Lookup", "(s)", (self.ids[0],)),
                 (points, "Points", "Watch", "(au)", ([1],)), (points, "Points", "Read", "(au)", ([99],)),
                 (endpoint, "Endpoint", "SetName", "(s)", ("x" * 65,)), (self.path("Policy"), "Policy", "Check", "(a{sv})", ({},)),
                 (ROOT, "Manager", "Explain", "(s)", ("nobody",)), (points, "Points", "Unwatch", None, ()),
                 (ROOT, "Inventory", "ListBatches", None, ()), (endpoint, "Endpoint", "Revoke", "(s)", ("",))]

        def flood(count):
            answers = []
            for i in range(count):
                path, interface, member, signature, args = calls[i % len(calls)]
                self.lab.bus.call_async(path, interface, member, signature, args, answers.append, timeout=120)
                # The bus refuses whoever has 128 answers outstanding.
                if i % 50 == 49:
                    wait("answers", lambda: len(answers) > i - 50, 60)
            wait("all answers", lambda: len(answers) == count, 60)
            return answers
        flood(2000)
        before, fds = self.rss(), self.fds()
        answers = flood(10000)
        refused = [a for a in answers if isinstance(a, GLib.Error)]
        self.assertEqual({error_name(e) for e in refused}, {ERROR + "NotFound", ERROR + "Invalid"})
        self.assertEqual(len(refused), 4000)
        if not self.lab.sanitized:
            self.assertLess(self.rss(), before * RSS_MARGIN)
        wait("what it opened to be closed", lambda: self.fds() <= fds)

    def test_reads_without_end(self):
        """Whoever may look may read, as often as he likes; what others want of the endpoint goes on all the same."""
        points, answers, reader = self.path("Points"), [], Client(self.lab.address)
        setpoint = next(p[0] for p in self.lab.bus.get(points, "Points", "Points") if p[1] == "setpoint")
        more = True

        def read():
            reader.call_async(points, "Points", "Read", "(au)", ([],), done)

        def done(answer):
            answers.append(answer)
            if more:
                read()
        for _ in range(100):
            read()
        wait("the first answers", lambda: len(answers) > 100)
        try:
            for n in range(20):
                written = []
                self.lab.bus.call_async(points, "Points", "Write", "(uva{sv})", (setpoint, GLib.Variant("d", 20.0 + n), {}),
                                        written.append)
                wait("the outcome", lambda w=written: w, 10)
                self.assertEqual(written, [(20.0 + n,)])
        finally:
            more = False
        self.assertEqual({error_name(a) for a in answers if isinstance(a, GLib.Error)}, {ERROR + "Busy"})
        self.assertGreater(sum(not isinstance(a, GLib.Error) for a in answers), 10)

    def test_three_hundred_jobs(self):
        """Ended jobs linger, but nobody is refused a job because of them."""
        for _ in range(300):
            ok, error, _m = self.lab.add_batch(["2" * 64], name="many", options={"dry-run": GLib.Variant("b", True)})
            self.assertEqual((ok, error), (True, ""))
        self.assertLessEqual(len(self.lab.bus.of("Job")), 256)

    def test_a_slow_reader_of_signals(self):
        """A client that subscribes to everything and reads nothing costs the agent no memory: the bus drops it."""
        reader = socket.socket(socket.AF_UNIX)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(self.lab.path("bus.socket"))
        reader.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        self.assertTrue(reader.recv(100).startswith(b"OK"))
        hello = Gio.DBusMessage.new_method_call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        match = Gio.DBusMessage.new_method_call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch")
        match.set_body(GLib.Variant("(s)", (f"type='signal',sender='{NAME}'",)))
        for serial, message in enumerate((hello, match), 1):
            message.set_serial(serial)
            reader.sendall(bytes(message.to_blob(Gio.DBusCapabilityFlags.NONE)))
        before = self.rss()
        endpoint = self.path("Endpoint")
        for i in range(500):
            self.lab.bus.call(endpoint, "Endpoint", "SetName", "(s)", f"name-{i}")
        self.lab.bus.call(endpoint, "Endpoint", "SetName", "(s)", "")
        if not self.lab.sanitized:
            self.assertLess(self.rss(), before * RSS_MARGIN)
        reader.close()

    def test_watchers_are_limited_and_forgotten(self):
        points = self.path("Points")
        self.lab.bus.call(points, "Points", "Unwatch")
        clients = []
        for _ in range(16):
            client = Gio.DBusConnection.new_for_address_sync(
                self.lab.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
                None, None)
            client.set_exit_on_close(False)
            clients.append(client)
            client.call_sync(NAME, points, f"{NAME}.Points", "Watch", GLib.Variant("(au)", ([],)), None, 0, 5000, None)
        self.refused_as("Limit", points, "Points", "Watch", "(au)", [])
        for client in clients:
            client.close_sync(None)
        def watch():
            try:
                self.lab.bus.call(points, "Points", "Watch", "(au)", [])
            except GLib.Error:
                return False
            return True
        wait("room for another watcher", watch)
        self.lab.bus.call(points, "Points", "Unwatch")


class Strangers(unittest.TestCase):
    """Another user of the machine on the same bus; only root can become one, so only root runs this."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=1)
        try:
            os.chmod(cls.lab.folder, 0o711)
            cls.lab.start()
            cls.ids = cls.lab.ids()
            cls.lab.wait_online()
            wait("the points", lambda: cls.lab.bus.of("Points"))
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def as_nobody(self, code):
        script = f"""
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from gi.repository import Gio, GLib
c = Gio.DBusConnection.new_for_address_sync({self.lab.address!r}, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
def call(destination, path, interface, member, parameters):
    try:
        r = c.call_sync(destination, path, interface, member, parameters, None, 0, 10000, None)
        print("ok", r.unpack())
    except GLib.Error as e:
        print(Gio.dbus_error_get_remote_error(e))
V = GLib.Variant
{code}
"""
        return subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True, timeout=60,
                              check=True).stdout.split("\n")[:-1]

    def test_another_user_cannot_own_the_name(self):
        got = self.as_nobody(f"call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'RequestName',"
                             f" V('(su)', ({NAME!r}, 7)))")
        self.assertEqual(got, ["org.freedesktop.DBus.Error.AccessDenied"])

    def test_another_user_can_call_nothing(self):
        """Every method, with arguments of the right types: AttachBus is stopped by the bus, all others by the agent."""
        values = {"s": "''", "t": "1", "u": "1", "v": "V('b', True)", "h": "0", "au": "[]", "a{sv}": "{}"}
        code, names = [], []
        for interface, method, args in methods():
            path = ROOT if interface in ("Audit", "Inventory", "Manager") else None
            if interface == "Job":
                self.lab.add_batch(self.ids, name="again", options={"dry-run": GLib.Variant("b", True)})
            path = path or sorted(self.lab.bus.of(interface))[0]
            signature = "(" + "".join(t for _n, t in args) + ")"
            listed = "".join(values[t] + ", " for _n, t in args)
            code.append(f"call({NAME!r}, {path!r}, '{NAME}.{interface}', {method!r}, V({signature!r}, ({listed})))")
            names.append(f"{interface}.{method}")
        got = dict(zip(names, self.as_nobody("\n".join(code))))
        self.assertEqual(got.pop("Manager.AttachBus"), "org.freedesktop.DBus.Error.AccessDenied")
        self.assertEqual(got, {name: ERROR + "NotAuthorized" for name in names if name != "Manager.AttachBus"})

    def test_another_user_may_look_but_not_set(self):
        got = self.as_nobody(f"call({NAME!r}, {ROOT!r}, {PROPERTIES!r}, 'Get', V('(ss)', ('{NAME}.Manager', 'ProtocolVersion')))\n"
                             f"call({NAME!r}, {ROOT!r}, {PROPERTIES!r}, 'Set', V('(ssv)', ('{NAME}.Manager', 'Version', V('s', 'x'))))")
        self.assertEqual(got, ["ok (1,)", "org.freedesktop.DBus.Error.InvalidArgs"])


if os.getuid() != 0:
    del Strangers

if __name__ == "__main__":
    tap.main()
