#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab itself: what the other system tests lean on must hold before they mean anything."""
import os
import signal
import subprocess
import unittest

from gi.repository import GLib

import bus
import pki
import tap
from lab import Lab
from supervisor import Supervisor, program, wait, within


class Supervision(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.supervisor = self.lab.supervisor

    def tearDown(self):
        self.lab.close()

    def test_restarts_what_died(self):
        p = self.supervisor.start("sleeper", ["sleep", "1000"], restart=True)
        first = p.pid
        p.kill(signal.SIGKILL)
        wait("a new process", lambda: p.alive and p.pid != first, 1.0)
        self.assertEqual(p.exits, [(first, -9, True)])

    def test_stop_is_for_good_until_resume(self):
        p = self.supervisor.start("sleeper", ["sleep", "1000"], restart=True)
        self.assertEqual(p.stop(), -15)
        self.assertFalse(within(0.5, lambda: p.alive))
        p.resume()
        self.assertTrue(p.alive)

    def test_waits_for_what_it_needs(self):
        needs = self.lab.path("device")
        p = self.supervisor.start("short", ["true"], restart=True, needs=needs)
        wait("its end", lambda: p.exits)
        self.assertFalse(within(0.5, lambda: p.starts > 1))
        with open(needs, "w", encoding="utf-8"):
            pass
        wait("a restart with its device", lambda: p.starts > 1, 1.0)

    def test_notices_a_crash(self):
        p = self.supervisor.start("crasher", ["sh", "-c", "kill -SEGV $$"])
        wait("its end", lambda: p.exits)
        self.assertEqual(len(self.supervisor.crashes()), 1)
        p.exits.clear()

    def test_finds_daemons_for_a_user(self):
        before = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        os.environ["PATH"] = "/usr/bin:/bin"
        self.assertEqual(program("mosquitto"), "/usr/sbin/mosquitto")
        with self.assertRaisesRegex(RuntimeError, "no-such-program is not installed"):
            self.supervisor.start("x", ["no-such-program"])

    def test_leaves_no_child_when_killed(self):
        code = ("import sys; sys.path[:0] = sys.argv[1:2]\nfrom supervisor import Supervisor, wait\n"
                "p = Supervisor(sys.argv[2]).start('s', ['sleep', '1000'])\nprint(p.pid, flush=True)\n"
                "wait('nothing', lambda: False, 1000)\n")
        parent = subprocess.Popen(["/usr/bin/python3", "-c", code, os.path.dirname(bus.__file__), self.lab.path("log")],
                                  stdout=subprocess.PIPE, text=True)
        child = os.pidfd_open(int(parent.stdout.readline()))
        # The child is setpriv for a moment; only sleep has the death signal set for sure.
        wait("the child to be sleep", lambda: any("sleep" in open(f"/proc/{pid}/comm", encoding="utf-8").read()
                                                  for pid in [pid_of(child)] if pid))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        wait("the child to die with it", lambda: pid_of(child) is None, 5)
        os.close(child)


def pid_of(pidfd):
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as f:
        pid = next(int(line.split()[1]) for line in f if line.startswith("Pid:"))
    if pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return None if f.read().rsplit(")", 1)[1].split()[0] == "Z" else pid
    except FileNotFoundError:
        return None


class Bus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.start_bus()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def own(self, name):
        return self.lab.bus.call_bus("RequestName", "(su)", name, 4)[0]

    def test_own_user_may_own_the_name(self):
        self.assertEqual(self.own(bus.NAME), 1)
        self.lab.bus.call_bus("ReleaseName", "(s)", bus.NAME)

    def test_no_other_name_can_be_owned(self):
        with self.assertRaises(GLib.Error) as caught:
            self.own("org.example.Other")
        self.assertEqual(bus.error_name(caught.exception), "org.freedesktop.DBus.Error.AccessDenied")

    def test_calls_to_others_are_denied(self):
        own = self.lab.bus.connection.get_unique_name()
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call("/", "org.example.Iface", "Call", destination=own)
        self.assertEqual(bus.error_name(caught.exception), "org.freedesktop.DBus.Error.AccessDenied")

    def test_only_user_names_are_replaced(self):
        with open(self.lab.binary("dbus", f"{bus.NAME}.conf"), encoding="utf-8") as f:
            shipped = f.read()
        text = bus.policy_text(shipped, "somebody")
        self.assertIn('<policy user="somebody">', text)
        self.assertNotIn("gangway\"", text)
        for word in ("<allow ", "<deny ", "<policy "):
            self.assertEqual(text.count(word), shipped.count(word))


class RealBroker(unittest.TestCase):
    """The broker refuses what a factory's would, and the subscriber sees the rest."""
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.prepare()
        cls.local_ca = pki.Authority(cls.lab.path("local"), "local-ca")
        with open(cls.local_ca.crt, encoding="utf-8") as f:
            cls.lab.broker.start(f.read())
        from broker import Subscriber
        cls.lab.subscriber = Subscriber(cls.lab.supervisor, cls.lab.broker)
        cls.lab.subscriber.ready(cls.lab.broker)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def publish(self, topic, message, certificate=None, qos=1):
        args = ["mosquitto_pub", "-V", "5", "-h", "localhost", "-p", str(self.lab.broker.port), "--cafile",
                self.lab.authority.crt, "-t", topic, "-m", message, "-q", str(qos)]
        if certificate:
            args += ["--cert", certificate[0], "--key", certificate[1]]
        return subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)

    def test_identity_is_the_common_name(self):
        one = self.local_ca.issue("aa" * 32, "clientAuth")
        self.assertEqual(self.publish(f"gangway/{'aa' * 32}/telemetry", "hello", one).returncode, 0)
        wait("the message", lambda: (f"gangway/{'aa' * 32}/telemetry", "hello") in self.lab.subscriber.read().messages)
        self.assertIn("aa" * 32, self.lab.broker.users())

    def test_no_certificate_no_entry(self):
        self.assertNotEqual(self.publish("gangway/x/telemetry", "m").returncode, 0)

    def test_foreign_ca_no_entry(self):
        stranger = pki.Authority(self.lab.path("stranger"), "stranger-ca").issue("bb" * 32, "clientAuth")
        self.assertNotEqual(self.publish(f"gangway/{'bb' * 32}/telemetry", "m", stranger).returncode, 0)
        self.assertNotIn("bb" * 32, self.lab.broker.users())

    def test_nobody_speaks_in_anothers_name(self):
        one = self.local_ca.issue("cc" * 32, "clientAuth")
        self.publish(f"gangway/{'dd' * 32}/telemetry", "forged", one)
        self.publish(f"gangway/{'cc' * 32}/telemetry", "own", one)
        wait("the permitted message", lambda: (f"gangway/{'cc' * 32}/telemetry", "own")
             in self.lab.subscriber.read().messages)
        self.assertNotIn("forged", [payload for _topic, payload in self.lab.subscriber.messages])

    def test_subscriber_outlives_the_broker(self):
        one = self.local_ca.issue("ee" * 32, "clientAuth")
        self.lab.broker.process.kill()
        wait("the broker's restart", lambda: self.lab.broker.process.starts > 1 and self.lab.broker.process.alive, 5)
        self.lab.broker.wait_ready()
        self.assertEqual(self.publish(f"gangway/{'ee' * 32}/telemetry", "after", one).returncode, 0)
        wait("the message", lambda: (f"gangway/{'ee' * 32}/telemetry", "after") in self.lab.subscriber.read().messages)


if __name__ == "__main__":
    tap.main()
