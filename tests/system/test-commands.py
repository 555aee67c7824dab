#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands from MQTT, over both versions of it: every one is answered, refusals by name, and nothing is done twice or too late."""
import json
import os
import subprocess
import unittest

import tap
from lab import Lab
from supervisor import wait, within

PROPERTY = ("-D", "publish")


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=2, sim_args=["--rate", "2"])
        try:
            cls.lab.start(claim=False)
            cls.ids = cls.lab.ids()
            cls.lab.write_policy("old", MqttVersion="3.1.1")
            cls.lab.bus.call("/org/gangway/Gangway1", "Manager", "Reload")
            assert cls.lab.import_manifest()[0]
            assert cls.lab.add_batch(cls.ids[:1], name="new")[0]
            assert cls.lab.add_batch(cls.ids[1:], name="old", policy="old")[0]
            cls.lab.wait_online()
            wait("the points", lambda: len(cls.lab.bus.of("Points")) == 2)
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def answers(self, n, kind="reply"):
        topic = f"gangway/{self.ids[n]}/{kind}"
        return [json.loads(p) for t, p in self.lab.subscriber.read().messages if t == topic]

    def send(self, n, payload, *options):
        if not isinstance(payload, (str, bytes)):
            payload = json.dumps(payload)
        self.lab.broker.publish(f"gangway/{self.ids[n]}/command", payload, *options)

    def ask(self, n, payload, *options, kind="reply"):
        before = len(self.answers(n, kind))
        self.send(n, payload, *options)
        wait(f"an answer to {str(payload)[:100]}", lambda: len(self.answers(n, kind)) > before)
        self.assertEqual(len(self.answers(n, kind)), before + 1)
        return self.answers(n, kind)[-1]

    def test_what_is_done(self):
        for n in (0, 1):
            self.assertEqual(self.ask(n, {"point": "valve", "value": 12.5, "correlation": "a"}),
                             {"correlation": "a", "point": "valve", "id": 4, "status": "done", "value": 12.5})
            self.assertEqual(self.ask(n, {"id": 7, "value": "eco"}), {"point": "mode", "id": 7, "status": "done", "value": "eco"})
            self.assertEqual(self.ask(n, {"id": 7, "read": True})["value"], "eco")
            self.assertEqual(self.ask(n, {"point": "heater", "value": False})["value"], False)
            wait("the valve's travel", lambda n=n: self.lab.sim_status(n)["points"]["valve"] == 12.5)

    def test_every_refusal_is_answered(self):
        refusals = [
            ("{", "Invalid"), ("[]", "Invalid"), ("null", "Invalid"), ("\"valve\"", "Invalid"), ("x" * 5000, "Limit"),
            ("[" * 4000, "Invalid"), ('{"point":"valve","value":1,"value":2}', "Invalid"),
            ({"point": "valve"}, "Invalid"), ({"value": 1}, "Invalid"), ({"point": "valve", "id": 4, "value": 1}, "Invalid"),
            ({"point": "valve", "value": 1, "read": True}, "Invalid"), ({"point": "valve", "value": 1, "colour": "red"}, "Invalid"),
            ({"point": "valve", "value": [1]}, "Invalid"), ({"point": "valve", "value": None}, "Invalid"),
            ({"point": "valve", "value": 1, "ttl": 0}, "Invalid"), ({"point": "valve", "value": 1, "ttl": 1e9}, "Invalid"),
            ({"point": "valve", "value": 100.5}, "Invalid"), ({"point": "valve", "value": -1}, "Invalid"),
            ({"point": "valve", "value": "open"}, "Invalid"), ({"point": "valve", "value": True}, "Invalid"),
            ('{"point":"valve","value":1e999}', "Invalid"), ({"point": "mode", "value": "a\x07b"}, "Invalid"),
            ({"point": "temperature", "value": 1}, "Unsupported"), ({"point": "nothing", "value": 1}, "NotFound"),
            ({"id": 99, "read": True}, "NotFound"), ({"point": "purge", "value": True}, "NotAuthorized"),
        ]
        for n in (0, 1):
            before = self.lab.sim_status(n)["points"]
            for payload, error in refusals:
                answer = self.ask(n, payload)
                self.assertEqual((answer["status"], answer["error"]), ("refused", error), f"{str(payload)[:80]}: {answer}")
                self.assertTrue(answer["message"])
            after = self.lab.sim_status(n)["points"]
            for point in ("valve", "mode", "purge"):
                self.assertEqual(after[point], before[point], point)

    def test_what_is_not_text(self):
        """Octets that are no UTF-8, and an empty payload."""
        path = self.lab.path("octets")
        with open(path, "wb") as f:
            f.write(b"\xff\xfe{\x00}" + os.urandom(100))
        for n, extra in ((0, ["-f", path]), (1, ["-f", path]), (0, ["-n"]), (1, ["-n"])):
            before = len(self.answers(n))
            subprocess.run(["mosquitto_pub", "-V", "5", *self.lab.broker.client_args(), "-q", "1", "-t",
                            f"gangway/{self.ids[n]}/command", *extra], check=True, timeout=120)
            wait("the refusal", lambda n=n, before=before: len(self.answers(n)) > before)
            self.assertEqual(self.answers(n)[-1]["error"], "Invalid")

    def test_properties_of_mqtt_5(self):
        topic = f"gangway/{self.ids[0]}/elsewhere"
        answer = self.ask(0, {"point": "valve", "value": 3}, *PROPERTY, "response-topic", topic, *PROPERTY, "correlation-data",
                          "x-1", kind="elsewhere")
        self.assertEqual(answer["status"], "done")
        # To a topic of the broker's own it is not sent: it goes where the policy says.
        for bad in ("$SYS/x", "$share/a/b"):
            self.assertEqual(self.ask(0, {"point": "valve", "value": 3}, *PROPERTY, "response-topic", bad)["status"], "done")
        # Over 3.1.1 the same stands in the payload.
        topic = f"gangway/{self.ids[1]}/elsewhere"
        answer = self.ask(1, {"point": "valve", "value": 3, "response": topic, "correlation": "y-1"}, kind="elsewhere")
        self.assertEqual((answer["status"], answer["correlation"]), ("done", "y-1"))

    def test_an_answer_is_no_command(self):
        """One that asks for its answer on its own command topic gets one more, on the policy's, and that is the end."""
        before = len(self.answers(0))
        self.send(0, {"id": 4, "read": True}, *PROPERTY, "response-topic", f"gangway/{self.ids[0]}/command")
        wait("the refusal of the answer", lambda: len(self.answers(0)) > before)
        self.assertEqual(self.ask(0, {"id": 4, "read": True})["status"], "done")
        self.assertEqual(len(self.answers(0)), before + 2)

    def test_retained_ones_are_ignored(self):
        """Nobody knows how old they are."""
        topic = f"gangway/{self.ids[1]}/command"
        self.ask(1, {"id": 4, "value": 5})
        self.ask(1, {"id": 4, "value": 77}, "-r")  # taken as it is published, and kept by the broker
        self.ask(1, {"id": 4, "value": 5})
        before = len(self.answers(1))
        self.lab.control("unplug 1")
        wait("it to be gone", lambda: self.lab.bus.endpoints()[self.ids[1]]["Presence"] == "absent")
        self.lab.control("replug 1")
        self.lab.wait_online([self.ids[1]])
        self.lab.agent.kill()
        wait("the agent to be away", lambda: not self.lab.bus.owner)
        self.lab.wait_agent()
        self.lab.wait_online()
        self.lab.wait_flow(1)
        self.assertEqual(len(self.answers(1)), before)
        self.assertEqual(self.lab.sim_status(1)["points"]["valve"], 5)
        subprocess.run(["mosquitto_pub", *self.lab.broker.client_args(), "-q", "1", "-t", topic, "-r", "-n"], check=True, timeout=120)

    def test_too_late(self):
        """A device that hangs past a command's time does not act on it when it comes to."""
        self.ask(0, {"id": 4, "value": 5})
        self.lab.control("hang 0")
        before = len(self.answers(0))
        self.send(0, {"id": 4, "value": 66, "ttl": 0.2, "correlation": "late"})
        self.send(0, {"id": 4, "value": 67, "ttl": 0.2, "correlation": "later"})
        wait("it to be queued at the endpoint", lambda: self.lab.sim_status(0)["kid"] == self.ids[0])
        self.assertFalse(within(1, lambda: len(self.answers(0)) > before))
        self.lab.control("resume 0")
        wait("both answers", lambda: len(self.answers(0)) >= before + 2, 30)
        self.assertEqual({(a["correlation"], a["status"]) for a in self.answers(0)[before:]},
                         {("late", "expired"), ("later", "expired")})
        self.assertEqual(self.lab.sim_status(0)["points"]["valve"], 5)

    def test_too_many(self):
        """More than sixteen under way: those beyond are told that it is busy; none is forgotten."""
        self.lab.control("hang 0")
        before = len(self.answers(0))
        for i in range(24):
            self.send(0, {"id": 4, "value": i, "ttl": 30, "correlation": str(i)})
        wait("the refusals", lambda: len(self.answers(0)) >= before + 8)
        self.assertEqual({(a["status"], a["error"]) for a in self.answers(0)[before:]}, {("refused", "Busy")})
        self.lab.control("resume 0")
        wait("all answers", lambda: len(self.answers(0)) >= before + 24, 30)
        done = [a for a in self.answers(0)[before:] if a["status"] == "done"]
        self.assertEqual(len(done), 16)
        self.assertEqual(len({a["correlation"] for a in self.answers(0)[before:]}), 24)

    def test_answers_under_full_load(self):
        """Telemetry that fills the window leaves room for answers."""
        self.lab.control("rate 0 max")
        try:
            for i in range(20):
                self.assertEqual(self.ask(0, {"id": 4, "value": i, "correlation": str(i)})["correlation"], str(i))
        finally:
            self.lab.control("rate 0 2")


if __name__ == "__main__":
    tap.main()
