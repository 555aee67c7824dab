#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces as they are written down: every member documented, with its arguments and since when; every method under an
action that polkit knows; every interface let through by the bus policy; nothing writable."""
import glob
import os
import re
import unittest
from xml.etree import ElementTree

import tap
from bus import NAME
from lab import SOURCE

ACTION = f"{NAME}.Action"


def interfaces():
    """(file name, text, interface element) of each XML."""
    for path in sorted(glob.glob(os.path.join(SOURCE, "dbus", "*.xml"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for interface in ElementTree.fromstring(re.sub(r"<!DOCTYPE.*?>", "", text, flags=re.S)).iter("interface"):
            yield os.path.basename(path), text, interface


def comment_before(text, tag, name):
    """The comment that ends right before <tag name="...">; "" if there is none."""
    found = re.search(rf'<!--((?:(?!-->).)*)-->\s*<{tag} name="{re.escape(name)}"', text, flags=re.S)
    return found.group(1) if found else ""


class Interfaces(unittest.TestCase):
    def test_every_member_is_documented(self):
        """Name first, each argument by @name, words on what it does, and Since."""
        missing = []
        for file, text, interface in interfaces():
            for tag in ("method", "signal", "property"):
                for member in interface.findall(tag):
                    name, comment = member.get("name"), comment_before(text, tag, member.get("name"))
                    wanted = [f"{name}:"] + [f"@{arg.get('name')}:" for arg in member.findall("arg")] + ["Since: "]
                    missing += [f"{file}: {tag} {name}: {word}" for word in wanted if word not in comment]
                    words = re.sub(r"Since: \S+|@?\w+:", "", comment).strip()
                    if len(words) < 6:
                        missing.append(f"{file}: {tag} {name}: says nothing")
            comment = comment_before(text, "interface", interface.get("name"))
            missing += [f"{file}: {word}" for word in ("Since: ", "@short_description:") if word not in comment]
        self.assertEqual(missing, [])

    def test_every_method_has_an_action_that_polkit_knows(self):
        with open(os.path.join(SOURCE, "data", "org.gangway.gangway1.policy.in"), encoding="utf-8") as f:
            known = set(re.findall(r'<action id="([^"]+)"', f.read()))
        used, without = set(), []
        for file, _text, interface in interfaces():
            for method in interface.findall("method"):
                actions = [a.get("value") for a in method.findall("annotation") if a.get("name") == ACTION]
                if len(actions) != 1 or actions[0] not in known:
                    without.append((file, method.get("name"), actions))
                used.update(actions)
        self.assertEqual(without, [])
        self.assertEqual(known - used, set(), "an action that nothing asks for")

    def test_nothing_is_writable(self):
        """Properties.Set passes no authorisation in GDBus."""
        self.assertEqual({p.get("access") for _f, _t, i in interfaces() for p in i.findall("property")}, {"read"})

    def test_the_bus_policy_names_every_interface_and_no_other(self):
        with open(os.path.join(SOURCE, "dbus", f"{NAME}.conf.in"), encoding="utf-8") as f:
            allowed = set(re.findall(r'send_interface="([^"]+)"', re.sub("<!--.*?-->", "", f.read(), flags=re.S)))
        written = {interface.get("name") for _f, _t, interface in interfaces()}
        self.assertEqual(allowed - written, {f"org.freedesktop.DBus.{n}" for n in
                                             ("Introspectable", "Peer", "ObjectManager", "Properties")})
        self.assertEqual(written - allowed, set())

    def test_error_names_in_the_documents_exist(self):
        """Who reads "Errors: Offline" can match on it."""
        with open(os.path.join(SOURCE, "src", "gangwayd", "gw-error.c"), encoding="utf-8") as f:
            known = set(re.findall(r'GW_ERROR_DBUS_PREFIX "(\w+)"', f.read()))
        self.assertGreater(len(known), 10)
        for file, text, _interface in interfaces():
            for sentence in re.findall(r"Errors: (.*?)(?:Since:|-->)", text, flags=re.S):
                for name in re.findall(r"\b([A-Z]\w+)\b(?=\s*(?:\(|,|;|\.|$))", re.sub(r"\([^)]*\)", "()", sentence)):
                    self.assertIn(name, known | {"Errors", "Renew"}, f"{file}: {sentence}")


if __name__ == "__main__":
    tap.main()
