#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent and polkit, which is played here: who is asked what, and that a person who never answers holds up nobody else.
The real polkit is asked in tests/vm/test-authorize.py."""
import re
import threading
import unittest

from gi.repository import Gio, GLib

import tap
from bus import NAME, ROOT, error_name
from lab import Lab
from supervisor import wait

POLKIT = "org.freedesktop.PolicyKit1"
INTERFACE = f"{POLKIT}.Authority"
XML = f"""<node><interface name="{INTERFACE}">
  <method name="CheckAuthorization">
    <arg type="(sa{{sv}})" direction="in"/><arg type="s" direction="in"/><arg type="a{{ss}}" direction="in"/>
    <arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="(bba{{ss}})" direction="out"/>
  </method>
</interface></node>"""
POLICY = f"""<policy context="default"><allow own="{POLKIT}"/><allow send_destination="{POLKIT}"/></policy>"""
NO, YES, CHALLENGE = (False, False, {}), (True, False, {}), (False, True, {})
# As gw-bouncer.c has them.
QUESTIONS_PER_USER_MAX = 2
CALLS = 40


class Polkit(threading.Thread):
    """Says yes to `allowed` actions; for all others somebody would have to be asked, who does not answer by himself."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.allowed, self.questions, self.context = address, {"view"}, [], GLib.MainContext.new()
        self.ready = threading.Event()

    def run(self):
        self.context.push_thread_default()
        self.connection = Gio.DBusConnection.new_for_address_sync(
            self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.connection.set_exit_on_close(False)
        self.connection.register_object(f"/{POLKIT.replace('.', '/')}/Authority", Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0],
                                        self.called, None, None)
        self.connection.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", GLib.Variant("(su)", (POLKIT, 4)),
                                  None, 0, -1, None)
        self.ready.set()
        GLib.MainLoop.new(self.context, False).run()

    def called(self, _connection, _sender, _path, _interface, _method, parameters, invocation):
        _subject, action, _details, flags, _cancel = parameters.unpack()
        if action.rpartition(".")[2] in self.allowed:
            self.answer(invocation, YES)
        elif flags & 1:
            self.questions.append(invocation)
        else:
            self.answer(invocation, CHALLENGE)

    @staticmethod
    def answer(invocation, result):
        invocation.return_value(GLib.Variant("((bba{ss}))", (result,)))


class Questions(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(endpoints=1)
        self.addCleanup(self.lab.close)
        self.lab.authorize, self.lab.bus_policy = "polkit", POLICY
        self.lab.agent_env = {"DBUS_SYSTEM_BUS_ADDRESS": self.lab.address}
        self.lab.start_bus()
        self.polkit = Polkit(self.lab.address)
        self.polkit.start()
        self.assertTrue(self.polkit.ready.wait(20))
        self.lab.prepare()
        self.lab.start_agent()

    def ask(self, answers):
        """A call of somebody who is ready to be asked."""
        message = Gio.DBusMessage.new_method_call(NAME, ROOT, f"{NAME}.Manager", "Reload")
        message.set_flags(Gio.DBusMessageFlags.ALLOW_INTERACTIVE_AUTHORIZATION)

        def done(connection, result):
            reply = connection.send_message_with_reply_finish(result)
            answers.append((reply.get_error_name(), reply.get_body().unpack() if reply.get_body() else ()))
        self.lab.bus.connection.send_message_with_reply(message, Gio.DBusSendMessageFlags.NONE, GLib.MAXINT32, None, done)

    def threads(self):
        with open(f"/proc/{self.lab.agent.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"Threads:\s+(\d+)", f.read()).group(1))

    def test_who_never_answers_holds_up_nobody(self):
        answers = []
        for _ in range(CALLS):
            self.ask(answers)
        wait("all but the questions that are open", lambda: len(answers) == CALLS - QUESTIONS_PER_USER_MAX, 20)
        self.assertEqual(len(self.polkit.questions), QUESTIONS_PER_USER_MAX)
        self.assertEqual({error for error, _m in answers}, {f"{NAME}.Error.NotAuthorized"})
        self.assertIn("answer or cancel those first", answers[0][1][0])
        # Who needs no question gets on: for looking, and for what he is allowed to.
        self.assertEqual(self.lab.bus.call(ROOT, "Manager", "Explain", "(s)", "0" * 64)[0], "unknown")
        self.polkit.allowed.add("configure")
        self.ask(answers)
        wait("the one who may", lambda: len(answers) == CALLS - QUESTIONS_PER_USER_MAX + 1)
        self.assertEqual(answers[-1], (None, ()))
        # GLib makes more threads the longer calls wait on a busy machine; but those that nobody holds end.
        wait("threads to end", lambda: self.threads() < 24, 60)

    def test_answers_count(self):
        answers = []
        for verdict, error in ((NO, f"{NAME}.Error.NotAuthorized"), (YES, None), (NO, f"{NAME}.Error.NotAuthorized"), (YES, None)):
            self.ask(answers)
            wait("the question", lambda: self.polkit.questions)
            self.polkit.answer(self.polkit.questions.pop(), verdict)
            wait("the answer", lambda: answers)
            self.assertEqual(answers.pop()[0], error)

    def test_who_cannot_be_asked_is_refused_at_once(self):
        with self.assertRaises(GLib.Error) as caught:
            self.lab.bus.call(ROOT, "Manager", "Reload")
        self.assertEqual(error_name(caught.exception), f"{NAME}.Error.NotAuthorized")
        self.assertEqual(self.polkit.questions, [])


if __name__ == "__main__":
    tap.main()
