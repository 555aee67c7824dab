#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every event of the daemon has an entry in the message catalog, and every entry an event."""
import os
import re
import sys
import unittest

ROOT = os.environ["GW_SOURCE_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import tap  # noqa: E402


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as f:
        return f.read()


class Catalog(unittest.TestCase):
    def setUp(self):
        self.code = re.findall(r'\[(GW_EVENT_\w+)\] = \{ "([a-z-]+)", "([0-9a-f]{32})", "([0-7])" \}',
                               read("src", "gangwayd", "gw-event.c"))
        self.declared = re.findall(r"^  (GW_EVENT_\w+),$", read("src", "gangwayd", "gw-event.h"), re.M)
        self.entries = re.split(r"^-- ", read("systemd", "gangway.catalog"), flags=re.M)[1:]

    def test_every_event_is_defined(self):
        self.assertTrue(self.declared)
        self.assertEqual(self.declared, [event for event, *_ in self.code])
        self.assertIn(f"#define GW_EVENT_COUNT {len(self.declared)}\n", read("src", "gangwayd", "gw-event.h"))

    def test_names_follow_the_constants(self):
        for event, name, _id, _priority in self.code:
            self.assertEqual(event, "GW_EVENT_" + name.upper().replace("-", "_"))

    def test_ids_are_the_catalogs(self):
        ids = [message_id for _event, _name, message_id, _priority in self.code]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertEqual(sorted(ids), sorted(entry.split("\n", 1)[0] for entry in self.entries))

    def test_entries_say_something(self):
        for entry in self.entries:
            self.assertRegex(entry, r"^[0-9a-f]{32}\nSubject: .+\nDefined-By: gangwayd\n\n.{30,}")

    def test_every_event_is_used(self):
        folder = os.path.join(ROOT, "src", "gangwayd")
        used = "".join(read("src", "gangwayd", name) for name in os.listdir(folder)
                       if name.endswith(".c") and name != "gw-event.c")
        for event in self.declared:
            self.assertIn(event, used)


if __name__ == "__main__":
    tap.main()
