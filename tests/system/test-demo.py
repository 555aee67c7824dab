#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo as a person runs it: a table soon, its closing line, its exit status, and nothing left behind."""
import os
import re
import signal
import subprocess
import unittest

import demo
import supervisor
import tap

BUILD = os.environ["GANGWAY_BUILD"]
DEMO = os.path.join(os.path.dirname(supervisor.__file__), "demo.py")
LAST = re.compile(r"demo: endpoints=(\d+) online=(\d+) reports=(\d+) delivered=(\d+) lost=(\d+)\n$")


def children(pid):
    """{pid: program} of a process's children."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as f:
                comm, rest = f.read().split("(", 1)[1].rsplit(")", 1)
        except (OSError, IndexError):
            continue
        if int(rest.split()[1]) == pid:
            found[int(name)] = comm
    return found


class Demo(unittest.TestCase):
    def start(self, *args):
        process = subprocess.Popen(["/usr/bin/python3", DEMO, "--build", BUILD, *args], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def finish(self, process, head=""):
        out = head + process.communicate(timeout=600)[0]
        match = LAST.search(out)
        self.assertIsNotNone(match, out)
        return out, [int(n) for n in match.groups()]

    def until(self, process, text):
        seen = ""
        while not re.search(text, seen):
            line = process.stdout.readline()
            self.assertTrue(line, seen)
            seen += line
        return seen

    def simulate(self, head, *command):
        """Sends the simulator a command, by what the demo told of it."""
        ctl = re.search(r"^Pull a plug: (\S+) --ctl (\S+)", head, re.M)
        subprocess.run([os.path.join(BUILD, "src", "simulator", "gangway-sim"), "--ctl", ctl.group(2), *command],
                       check=True, stdout=subprocess.DEVNULL)

    def test_all_online_and_nothing_lost(self):
        process = self.start("--endpoints", "3")
        head = self.until(process, "LINE ")
        folder = re.search(r"^Folder: (\S+)", head, re.M).group(1)
        self.assertIn("busctl --address=", head)
        self.assertIn("gangwayctl --bus=", head)
        offspring = children(process.pid)
        self.assertGreaterEqual(len(offspring), 3 + 5)
        head += self.until(process, "3 of 3 online, [1-9]")
        process.send_signal(signal.SIGINT)
        out, (endpoints, online, reports, delivered, lost) = self.finish(process, head)
        self.assertEqual((process.returncode, endpoints, online, lost), (0, 3, 3, 0), out)
        self.assertGreater(reports, 0)
        self.assertGreaterEqual(delivered, reports)
        self.assertFalse(os.path.exists(folder))
        self.assertEqual([pid for pid in offspring if os.path.exists(f"/proc/{pid}")], [])

    def test_interrupted_it_ends_in_good_order(self):
        process = self.start("--endpoints", "2")
        head = self.until(process, "2 of 2 online")
        process.send_signal(signal.SIGINT)
        out, (_endpoints, online, _reports, _delivered, lost) = self.finish(process, head)
        self.assertEqual((process.returncode, online, lost), (0, 2, 0), out)

    def test_what_is_killed_comes_back(self):
        process = self.start("--endpoints", "2")
        head = self.until(process, "2 of 2 online")
        for program in ("gangwayd", "mosquitto", "gangway-serial"):
            victim = next(pid for pid, comm in children(process.pid).items() if comm == program)
            os.kill(victim, signal.SIGKILL)
            head += self.until(process, "2 of 2 online")
        head += self.until(process, "2 of 2 online")  # the last line may be older than the last kill
        process.send_signal(signal.SIGINT)
        out, (_endpoints, online, _reports, _delivered, lost) = self.finish(process, head)
        self.assertEqual((process.returncode, online, lost), (0, 2, 0), out)

    def test_what_is_plugged_in_later_is_seen(self):
        process = self.start("--endpoints", "1")
        head = self.until(process, "1 of 1 online")
        self.simulate(head, "foreign")
        self.simulate(head, "clone", "0")
        head += self.until(process, "0 of 1 online")
        process.send_signal(signal.SIGINT)
        out = self.finish(process, head)[0]
        self.assertRegex(out, r"ttyGW1 .* quarantined .* not in a trusted manifest")
        self.assertRegex(out, r"cloned .* on bus ttyGW0 and on bus ttyGW2")

    def test_every_kind_of_wire(self):
        process = self.start("--endpoints", "4", "--bus", "all")
        head = self.until(process, "4 of 4 online")
        process.send_signal(signal.SIGINT)
        out, (_endpoints, online, _reports, _delivered, lost) = self.finish(process, head)
        self.assertEqual((process.returncode, online, lost), (0, 4, 0), out)
        self.assertRegex(out, r"\nttyCAN0:1 .* online")
        self.assertRegex(out, r"\nttyGW3 .* online")
        self.assertRegex(out, r"\nttyCAN0 \(a CAN bus\): \d nodes found, link active")

    def test_it_fails_when_not_all_are_online(self):
        process = self.start("--endpoints", "2")
        head = self.until(process, "LINE ")
        self.simulate(head, "unplug", "1")
        head += self.until(process, "1 of 2 online")
        process.send_signal(signal.SIGINT)
        out, (_endpoints, online, _reports, _delivered, _lost) = self.finish(process, head)
        self.assertEqual((process.returncode, online), (1, 1), out)

    def test_many_ends_are_counted(self):
        self.assertEqual(demo.count_ends([1] * 5925 + [-9]), "1 (5925 times), -9")
        self.assertEqual(demo.count_ends([]), "")

    def test_it_ends_when_its_time_is_over(self):
        process = self.start("--endpoints", "1", "--seconds", "3")
        out, (_endpoints, online, _reports, _delivered, lost) = self.finish(process)
        self.assertEqual((process.returncode, lost), (0 if online == 1 else 1, 0), out)


if __name__ == "__main__":
    tap.main()
