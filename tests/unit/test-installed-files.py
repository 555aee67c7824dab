#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units, polkit and example files against what they must agree with."""
import glob
import os
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ET

import tap

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ["GANGWAY_BUILD"]
PLUGINS = ("gangway-can@", "gangway-serial@", "gangway-slcan@")
EXPOSURE_MAX = {"gangwayd.service": 20, **{f"{plugin}.service": 10 for plugin in PLUGINS}}  # of systemd-analyze security, in tenths


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


class Units(unittest.TestCase):
    def folder(self):
        """The units with programs that exist here in place of those to be installed."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name in EXPOSURE_MAX:
            text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", read(BUILD, "systemd", name), flags=re.M)
            with open(os.path.join(folder.name, name), "w", encoding="utf-8") as f:
                f.write(text)
        return folder.name

    def check(self, *args):
        done = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False,
                              env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_units_are_well_formed(self):
        folder = self.folder()
        for name in ("gangwayd.service", *(f"{plugin}ttyS1.service" for plugin in PLUGINS)):
            text = self.check("verify", "--man=no", "--recursive-errors=no", os.path.join(folder, name))
            self.assertNotRegex(text, r"gangway\S*\.service:\d+:")

    def test_the_drop_in_for_rs485(self):
        """It sets what the unit passes on, to options that the program has."""
        name, value = re.search(r'^Environment="(\w+)=(.*)"$', read(SOURCE, "systemd", "gangway-rs485.conf"), flags=re.M).groups()
        unit = read(BUILD, "systemd", "gangway-serial@.service")
        self.assertIn(f'Environment="{name}="', unit)
        self.assertRegex(unit, rf"(?m)^ExecStart=.* \${name}$")
        shown = subprocess.run([os.path.join(BUILD, "plugins", "serial", "gangway-serial"), "--help"], capture_output=True, text=True,
                               check=True).stdout
        for option in value.split():
            self.assertIn(option, shown)

    def test_units_are_sandboxed(self):
        folder = self.folder()
        for name, most in EXPOSURE_MAX.items():
            self.check("security", "--offline=true", f"--threshold={most}", os.path.join(folder, name))

    def test_core_dumps_are_empty(self):
        """By the limit, and by the filter where dumps go to a program and the limit does not count."""
        for name in EXPOSURE_MAX:
            text = read(BUILD, "systemd", name)
            for line in ("LimitCORE=0", "CoredumpFilter=0"):
                self.assertRegex(text, rf"(?m)^{line}$", name)

    def test_every_protection_has_a_reason(self):
        """A comment stands above each line of the sandbox."""
        for name in EXPOSURE_MAX:
            lines = read(BUILD, "systemd", name).split("# The sandbox: ")[1].split("[Install]")[0].strip().splitlines()[1:]
            self.assertGreater(len(lines), 50)
            for before, line in zip(lines, lines[1:]):
                self.assertTrue(line.startswith("#") or before.startswith("#"), line)


class Polkit(unittest.TestCase):
    def setUp(self):
        root = ET.parse(os.path.join(BUILD, "data", "org.gangway.gangway1.policy")).getroot()
        self.actions = {a.get("id"): {d.tag: d.text for d in a.find("defaults")} for a in root.iter("action")}
        self.owners = {(a.get("id"), n.text) for a in root.iter("action") for n in a.iter("annotate")
                       if n.get("key") == "org.freedesktop.policykit.owner"}

    def test_the_agent_owns_its_actions(self):
        """Else polkit tells nothing to it, who is not root."""
        self.assertEqual(self.owners, {(action, "unix-user:gangway") for action in self.actions})

    def test_actions_are_those_of_the_interfaces(self):
        used = set()
        for path in glob.glob(os.path.join(SOURCE, "dbus", "*.xml")):
            for method in ET.parse(path).getroot().iter("method"):
                names = [a.get("value") for a in method.iter("annotation")
                         if a.get("name") == "org.gangway.Gangway1.Action"]
                self.assertEqual(len(names), 1, f"{path}: {method.get('name')} needs exactly one action")
                used.add(names[0])
        self.assertEqual(used, set(self.actions))

    def test_only_looking_is_free(self):
        for action, defaults in self.actions.items():
            free = {"allow_any", "allow_inactive", "allow_active"} == {k for k, v in defaults.items() if v == "yes"}
            self.assertEqual(free, action.endswith(".view"), action)
            if not free:
                self.assertNotIn("yes", defaults.values(), action)
                self.assertNotEqual(defaults["allow_any"], "auth_admin_keep", action)

    def test_the_rule_grants_one_action_to_one_user(self):
        text = re.sub(r"//.*", "", read(BUILD, "data", "org.gangway.gangway1.rules"))
        self.assertEqual(re.findall(r"org\.gangway\.gangway1\.[a-z-]+", text), ["org.gangway.gangway1.attach-bus"])
        self.assertEqual(text.count("polkit.Result.YES"), 1)
        self.assertIn('subject.user == "gangway-bus"', text)
        self.assertNotIn("@", text)


class Run(unittest.TestCase):
    """What `./run --help` names is what there is."""

    @classmethod
    def setUpClass(cls):
        cls.text = subprocess.run([os.path.join(SOURCE, "run"), "--help"], capture_output=True, text=True, check=True).stdout

    def test_verbs(self):
        self.assertEqual(set(re.findall(r"\./run (\w+)", self.text)),
                         set(re.findall(r"(?m)^  (\w+)\) ", read(SOURCE, "run").rpartition("case ")[2])))

    def test_wires_of_the_demo(self):
        kinds = re.search(r"(?m)^KINDS = \{(.*)\}$", read(SOURCE, "tests", "lib", "lab.py"))[1]
        self.assertEqual(re.search(r"--bus ([\w|]+)", self.text)[1].split("|"), re.findall(r'"(\w+)": \(', kinds))

    def test_suites(self):
        found = {suite for path in glob.glob(os.path.join(SOURCE, "tests", "*", "meson.build"))
                 for suite in re.findall(r"suite: '(\w+)'", read(path))}
        self.assertEqual(set(re.search(r"one suite: ([\w\s;]+), which", self.text)[1].replace(";", "").split()), found)

    def test_guests(self):
        found = {re.match(r"(?:test|uml)-(\w+)\.py", name)[1] for name in os.listdir(os.path.join(SOURCE, "tests", "vm"))
                 if re.match(r"(?:test|uml)-\w+\.py", name)}
        self.assertEqual(set(re.search(r"\(([a-z ]+); none: all", self.text)[1].split()), found)


class Udev(unittest.TestCase):
    def test_no_port_is_taken_by_itself(self):
        lines = [line for line in read(SOURCE, "data", "70-gangway.rules").splitlines()
                 if line and not line.startswith("#")]
        guard = lines.index('ENV{ID_GANGWAY}!="1|slcan", GOTO="gangway_end"')
        self.assertLess(guard, next(i for i, line in enumerate(lines) if "SYSTEMD_WANTS" in line))
        for line in read(SOURCE, "data", "gangway-ports.rules.example").splitlines():
            self.assertTrue(not line or line.startswith("#"), line)


if __name__ == "__main__":
    tap.main()
