#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""No endpoint's private key is on the gateway: not in its state folder, not in what a core dump would hold.

The simulator tells the keys, so that they can be looked for in every form they could have.
"""
import base64
import os
import subprocess
import unittest

import tap
from lab import Lab


def forms(scalar):
    """The ways in which 32 octets could lie about."""
    raw = bytes.fromhex(scalar)
    return {raw, raw[::-1], scalar.encode(), scalar.upper().encode(), base64.b64encode(raw).rstrip(b"="),
            base64.urlsafe_b64encode(raw).rstrip(b"=")}


def core_image(pid):
    """Every page that a core dump of the process would hold, region by region (those marked as not to be dumped and those
    without any memory are left out, as the kernel does)."""
    region, rss, dump = None, 0, True
    regions = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                region = [int(x, 16) for x in words[0].split("-")] + [words[1]]
            elif words[0] == "Rss:":
                rss = int(words[1])
            elif words[0] == "VmFlags:":
                dump = "dd" not in words
                if rss and dump and region[2].startswith("r"):
                    regions.append(region[:2])
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end in regions:
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except OSError:
                continue


def state_files(folder):
    for path, _dirs, files in os.walk(folder):
        for name in files:
            with open(os.path.join(path, name), "rb") as f:
                yield name, f.read()


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=3, sim_args=[])
        cls.lab.sim_args = ["--reveal-keys", cls.lab.path("keys")]
        try:
            cls.lab.start()
            cls.ids = cls.lab.ids()
            cls.lab.wait_online()
            for n in range(3):
                cls.lab.wait_flow(n)
        except BaseException:
            cls.lab.close(failed=True)
            raise
        with open(cls.lab.path("keys"), encoding="utf-8") as f:
            cls.scalars = {(kid[:16], name): scalar for kid, name, scalar in (line.split() for line in f)}

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def test_the_keys_are_known(self):
        self.assertGreaterEqual(len(self.scalars), 2 * len(self.ids))
        self.assertTrue(all(len(s) == 64 for s in self.scalars.values()))

    def test_the_state_folder_holds_none(self):
        files = list(state_files(self.lab.state))
        everything = b"".join(content for _name, content in files)
        self.assertTrue(any(bytes.fromhex(i) in everything or i.encode() in everything for i in self.ids),
                        "the search finds what is there")
        for key, scalar in self.scalars.items():
            for form in forms(scalar):
                for name, content in files:
                    self.assertNotIn(form, content, f"{key} in {name}")

    def test_a_core_dump_of_the_agent_holds_none(self):
        if self.lab.sanitized:  # terabytes of shadow memory; the next test reads what matters
            return
        path = self.lab.path("core")
        subprocess.run(["gcore", "-o", path, str(self.lab.agent.pid)], capture_output=True, check=True, timeout=60)
        with open(f"{path}.{self.lab.agent.pid}", "rb") as f:
            core = f.read()
        self.assertTrue(core.startswith(b"\x7fELF"))
        self.assertIn(self.ids[0].encode(), core, "the search finds what is there")
        for key, scalar in self.scalars.items():
            for form in forms(scalar):
                self.assertNotIn(form, core, str(key))

    def test_the_agents_memory_holds_none(self):
        found_ids = set()
        for chunk in core_image(self.lab.agent.pid):
            found_ids |= {i for i in self.ids if bytes.fromhex(i) in chunk or i.encode() in chunk}
            for key, scalar in self.scalars.items():
                for form in forms(scalar):
                    self.assertNotIn(form, chunk, f"{key} in the agent's memory")
        self.assertEqual(found_ids, set(self.ids), "the search finds what is there")

    def test_the_plugins_memory_holds_none(self):
        for chunk in core_image(self.lab.plugins[0].pid):
            for key, scalar in self.scalars.items():
                for form in forms(scalar):
                    self.assertNotIn(form, chunk, f"{key} in a plugin's memory")


if __name__ == "__main__":
    tap.main()
