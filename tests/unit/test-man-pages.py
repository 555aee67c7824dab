#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manual pages against the programs and parsers that they tell of: each option, verb, command and key stands in its page,
and nothing else does."""
import glob
import os
import re
import subprocess
import unittest

import tap

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ["GANGWAY_BUILD"]
PROGRAMS = {"gangwayd.8": "src/gangwayd/gangwayd", "gangwayctl.1": "src/gangwayctl/gangwayctl",
            "gangway-can.8": "plugins/can/gangway-can", "gangway-serial.8": "plugins/serial/gangway-serial",
            "gangway-sim.1": "src/simulator/gangway-sim"}
FILES = {"gangway.conf.5", "gangway.policy.5"}


def source(*parts):
    with open(os.path.join(SOURCE, *parts), encoding="utf-8") as f:
        return f.read()


def page(name):
    return source("doc", "man", name + ".scd")


def plain(line):
    """A line of scdoc without its marks."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_]", "", line))


def terms(name, section=None):
    """The defined terms of a page, or of one of its sections: the lines that an indented one follows."""
    text = page(name)
    if section:
        text = text.split(f"\n# {section}\n", 1)[1].split("\n# ", 1)[0]
    return [plain(m) for m in re.findall(r"^([^\s#;].*)\n\t", text, flags=re.M)]


def help_of(name, *args):
    done = subprocess.run([os.path.join(BUILD, PROGRAMS[name]), *args, "--help"], capture_output=True, text=True, timeout=120,
                          check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stdout


def glib_options(text):
    """Of a GOption --help: "-n, --endpoints=N"."""
    return {re.split(r"\s{2,}", line.strip())[0] for line in text.splitlines() if re.match(r"\s+-", line)}


def verbs():
    text = help_of("gangwayctl.1").split("\nOptions", 1)[0]
    return [re.split(r"\s{2,}", line.strip())[0] for line in text.splitlines() if line.startswith("  ")]


class Pages(unittest.TestCase):
    def test_all_are_installed(self):
        wanted = set(PROGRAMS) | FILES
        self.assertEqual({os.path.basename(p).removesuffix(".scd") for p in glob.glob(f"{SOURCE}/doc/man/*")}, wanted)
        for name in wanted:
            rendered = os.path.join(BUILD, "doc", name)
            with open(rendered, encoding="utf-8") as f:
                text = f.read()
            self.assertIn(f'.TH "{name[:-2]}" "{name[-1]}"', text)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
                self.assertIn(section, text, name)

    def test_references(self):
        """A page that is referred to is one of ours, or one that the base system has."""
        ours = {f"{name[:-2]}({name[-1]})" for name in set(PROGRAMS) | FILES}
        for name in set(PROGRAMS) | FILES:
            found = set(re.findall(r"\*([\w.\\-]+)\*(\(\d\))", page(name)))
            for program, number in found:
                self.assertIn(program.replace("\\", "") + number, ours | {"sd_notify(3)"}, name)


class Programs(unittest.TestCase):
    def test_glib_options(self):
        for name in ("gangwayd.8", "gangway-can.8", "gangway-serial.8", "gangway-sim.1"):
            text = help_of(name)
            self.assertEqual(set(terms(name, "OPTIONS")), glib_options(text), name)
            self.assertIn("[OPTION…]", text, "its own locale is not set")

    def test_simulator_commands(self):
        text = help_of("gangway-sim.1").split("Commands:\n", 1)[1]
        shown = {line.strip() for line in text.splitlines() if line.strip()}
        wanted = terms("gangway-sim.1", "COMMANDS")
        self.assertEqual(len(wanted), len(shown))
        for term in wanted:
            self.assertTrue(any(line == term or line.startswith(term + " ") for line in shown), term)

    def test_simulator_document(self):
        """doc/simulator.md has a table of the same commands."""
        table = source("doc", "simulator.md").split("## Commands", 1)[1]
        named = {w for row in re.findall(r"^\| (`.*?) \|", table, flags=re.M) for w in re.findall(r"`([a-z0-9-]+)", row)}
        self.assertLessEqual({t.split()[0] for t in terms("gangway-sim.1", "COMMANDS")}, named)

    def test_tool_options(self):
        text = help_of("gangwayctl.1").split("\nOptions", 1)[1].split("\n\n", 1)[0]
        shown = {re.split(r"\s{2,}", line.strip())[0] for line in text.splitlines() if re.match(r"\s+-", line)}
        self.assertEqual(set(terms("gangwayctl.1", "OPTIONS")), shown)

    def test_tool_verbs(self):
        """The usage line of each verb is the page's term, and a verb's paragraph speaks of no other option."""
        known = verbs()
        self.assertGreater(len(known), 20)
        sections = page("gangwayctl.1").split("\n# LOOK\n", 1)[1].split("\n# EXIT STATUS\n", 1)[0]
        usages = [plain(m) for m in re.findall(r"^(\*.*)\n\t", sections, flags=re.M)]
        shown = [help_of("gangwayctl.1", *verb.split()).splitlines()[0].removeprefix("usage: gangwayctl ") for verb in known]
        self.assertEqual(usages, shown)
        for block in re.split(r"\n(?=\*)", sections):
            lines = block.split("\n", 1)
            spoken = set(re.findall(r"\*(--[a-z-]+)", lines[1] if len(lines) > 1 else ""))
            self.assertLessEqual(spoken, set(re.findall(r"--[a-z-]+", plain(lines[0]))), lines[0])

    def test_tool_exit_status(self):
        codes = dict(re.findall(r"(\d) ((?:\w| )+)", help_of("gangwayctl.1").split("Exit status:", 1)[1].replace("\n", " ")))
        told = dict(re.findall(r"(\d): ((?:\w| )+)", page("gangwayctl.1").split("# EXIT STATUS", 1)[1].split("#")[0]
                               .replace("\n", " ")))
        self.assertEqual(told, codes)


class Keys(unittest.TestCase):
    def test_configuration(self):
        """Groups and keys of gangway.conf(5) and of the example are those of the parser; the defaults agree."""
        table = source("src", "gangwayd", "gw-config.c").split("} keys[] = {", 1)[1].split("};", 1)[0]
        parser = re.findall(r'\{ "(\w+)", "(\w+)"', table)
        self.assertGreater(len(parser), 4)
        told = [(group, term.split("=")[0]) for group in re.findall(r"^# \[(\w+)\]$", page("gangway.conf.5"), flags=re.M)
                for term in terms("gangway.conf.5", f"[{group}]")]
        self.assertEqual(sorted(told), sorted(parser))
        example, group = {}, None
        for line in source("data", "gangway.conf").splitlines():
            heading, setting = re.match(r"\[(\w+)\]", line), re.match(r"#(\w+)=(\S*)$", line)
            if heading:
                group = heading[1]
            elif setting:
                example[group, setting[1]] = setting[2]
        self.assertEqual(sorted(example), sorted(parser))
        for (group, key), value in example.items():
            section = page("gangway.conf.5").split(f"# [{group}]", 1)[1]
            text = section.split(f"*{key}*=", 1)[1].split("\n\n", 1)[0].replace("\n\t", " ")
            self.assertRegex(plain(text), rf"Default: {re.escape(value or 'none')}\.$", key)

    def test_policy(self):
        code = source("src", "gangwayd", "gw-policy.c")
        body = code.split("take_entry (", 1)[1].split("\n}\n", 1)[0]
        choices = re.search(r"choices\[\]\s*= \{(.*?)NULL", body, flags=re.S)[1]
        parser = set(re.findall(r'"(\w+)"', choices)) | set(re.findall(r'g_str_equal \(key, "(\w+)"\)', body))
        needed = set(re.findall(r'"(\w+)"', re.search(r"needed\[\]\s*= \{(.*?)\}", code, flags=re.S)[1]))
        self.assertEqual({t.split("=")[0] for t in terms("gangway.policy.5", "KEYS THAT MUST BE THERE")}, needed)
        self.assertEqual({t.split("=")[0] for t in terms("gangway.policy.5", "KEYS THAT MAY BE LEFT OUT")}, parser - needed)
        example = set(re.findall(r"^#?([A-Z]\w+)=", source("data", "policies.d", "example.policy"), flags=re.M))
        self.assertEqual(example, parser)
        # The words of each choice.
        lists = dict(re.findall(r'(\w+)\[\]\s*=\s*\{ ((?:"[^"]+", )+)NULL \}', code.split("take_choice (", 1)[1]))
        chosen = re.findall(r'\(key, "(\w+)"\) && [^\n]*choose \(c, key, value, (\w+)\)', code)
        self.assertEqual({key for key, _name in chosen}, set(re.findall(r'"(\w+)"', choices)))
        for key, name in chosen:
            term = next(t for t in terms("gangway.policy.5") if t.startswith(key + "="))
            self.assertEqual(term.split("=", 1)[1].split("|"), re.findall(r'"([^"]+)"', lists[name]), key)

    def test_placeholders(self):
        names = set(re.findall(r'"(\{\w+\})"', source("src", "gangwayd", "gw-policy.c").split("var_names", 1)[1].split(";")[0]))
        self.assertEqual(set(re.findall(r"\*(\{\w+\})\*", page("gangway.policy.5"))), names)


if __name__ == "__main__":
    tap.main()
