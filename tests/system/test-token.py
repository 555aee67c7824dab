#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The owner CA's key in SoftHSM: endpoints are taken, the token goes and comes back, and nothing else stops."""
import os
import subprocess
import unittest

import tap
from bus import ROOT
from lab import Lab
from supervisor import wait

PIN = "271828"
URI = "pkcs11:token=gateway;object=owner-ca"


class TokenLab(Lab):
    """A lab whose agent has its key in a token. The agent inherits SOFTHSM2_CONF from the test."""

    def prepare(self):
        super().prepare()
        os.mkdir(self.path("tokens"), 0o700)
        with open(self.path("softhsm2.conf"), "w", encoding="utf-8") as f:
            f.write(f"directories.tokendir = {self.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = self.path("softhsm2.conf")
        os.environ["GNUTLS_PIN"] = PIN  # p11tool's
        for command in (
                ["softhsm2-util", "--init-token", "--free", "--label", "gateway", "--pin", PIN, "--so-pin", "31415926"],
                ["p11tool", "--login", "--generate-privkey=ECDSA", "--curve=secp256r1", "--label=owner-ca",
                 f"--outfile={self.path('public.pem')}", "pkcs11:token=gateway"]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with open(os.open(self.path("pin"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            f.write(PIN + "\n")
        with open(self.path("etc", "gangway.conf"), "a", encoding="utf-8") as f:
            f.write(f"\n[Authority]\nKey={URI}\nPinFile={self.path('pin')}\n")

    def take_token_away(self):
        os.rename(self.path("tokens"), self.path("tokens.away"))

    def bring_token_back(self):
        os.rename(self.path("tokens.away"), self.path("tokens"))


class Token(unittest.TestCase):
    def test_away_and_back(self):
        with TokenLab(endpoints=3) as lab:
            lab.start(claim=False)
            first, second, third = lab.ids()
            self.assertTrue(lab.import_manifest()[0])
            self.assertTrue(lab.add_batch([first], "one")[0])
            lab.wait_online([first])
            self.assertFalse(os.path.exists(os.path.join(lab.state, "ca", "ca.key")))
            self.assertEqual(len(lab.agent.exits), 0)

            # Away: one that is claimed now waits, and says why; the first goes on.
            lab.take_token_away()
            self.assertTrue(lab.add_batch([second], "two")[0])
            wait("the second to be refused", lambda: "the token is not there" in self.reason(lab, second), 30)
            self.assertNotEqual(lab.state_of(second), "online")
            lab.wait_flow(0)
            self.assertEqual(lab.state_of(first), "online")

            # Back: the second is taken by itself.
            lab.bring_token_back()
            lab.wait_online([first, second])
            lab.wait_flow(1)
            self.assertEqual(len(lab.agent.exits), 0, "the agent was not restarted")
            said = lab.agent.text()
            self.assertEqual(said.count("cannot be used: the token is not there"), 1 + said.count("could not be enrolled"))
            self.assertEqual(said.count("can be used again"), 1)

            # A start without the token: who has a certificate comes online, who has none waits.
            lab.take_token_away()
            lab.agent.kill()
            wait("another agent", lambda: len(lab.agent.exits) == 1 and lab.agent.alive, 20)
            lab.wait_agent()
            lab.wait_online([first, second])
            self.assertTrue(lab.add_batch([third], "three")[0])
            wait("the third to be refused", lambda: "the token is not there" in self.reason(lab, third), 30)
            lab.bring_token_back()
            lab.wait_online()
            self.assertEqual(lab.drained(10)[2], [])
            for name in os.listdir(lab.path("log")):
                with open(lab.path("log", name), encoding="utf-8", errors="replace") as f:
                    self.assertNotIn(PIN, f.read(), name)

    @staticmethod
    def reason(lab, key_id):
        return lab.bus.call(ROOT, "Manager", "Explain", "(s)", key_id)[1]


class Refusals(unittest.TestCase):
    def test_an_open_pin_file_stops_the_start(self):
        with TokenLab(endpoints=1) as lab:
            lab.start_bus()
            lab.prepare()
            os.chmod(lab.path("pin"), 0o644)
            done = self.run_agent(lab)
            self.assertEqual(done.returncode, 1)
            self.assertIn("can be read or written by others (mode 0644)", done.stderr)
            self.assertNotIn(PIN, done.stderr)

    def test_a_key_file_and_a_token_do_not_go_together(self):
        with TokenLab(endpoints=1) as lab:
            lab.start_bus()
            lab.prepare()
            os.makedirs(os.path.join(lab.state, "ca"), mode=0o700)
            with open(os.path.join(lab.state, "ca", "ca.key"), "w", encoding="utf-8") as f:
                f.write("a key")
            done = self.run_agent(lab)
            self.assertEqual(done.returncode, 1)
            self.assertIn("endpoints are pinned to it", done.stderr)

    @staticmethod
    def run_agent(lab):
        return subprocess.run([lab.binary("src", "gangwayd", "gangwayd"), "--bus", lab.address, "--state-dir", lab.state, "--config",
                               lab.path("etc", "gangway.conf"), "--authorize", "own-uid"], timeout=60, check=False,
                              capture_output=True, text=True)


if __name__ == "__main__":
    tap.main()
