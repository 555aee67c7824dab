#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents are right: every command that they show stands in a table of documents.py, and those that can run in the
lab are run here as they stand there, with nothing but names and addresses of the lab put in."""
import glob
import os
import re
import shutil
import signal
import subprocess
import unittest

import documents
import tap
from bus import NAME, ROOT
from lab import ASAN, SOURCE, Lab
from supervisor import wait

BUILD = os.path.abspath(os.environ.get("GANGWAY_BUILD", os.path.join(SOURCE, "build")))
SANITIZED = not os.path.exists(os.path.join(BUILD, "src", "libgangway", "Gangway-1.0.typelib"))
PATIENCE = 600
PIN = "271828"
ran = set()


class Shell:
    """Runs commands of the documents in a folder; the lab's programs come first in PATH."""

    def __init__(self, lab, environment=None):
        self.lab = lab
        self.folder = lab.path("work")
        shims = lab.path("bin")
        os.makedirs(self.folder)
        os.makedirs(shims)
        for parts in (("src", "gangwayctl", "gangwayctl"), ("src", "simulator", "gangway-sim"),
                      ("plugins", "serial", "gangway-serial")):
            os.symlink(os.path.join(BUILD, *parts), os.path.join(shims, parts[-1]))
        os.symlink(BUILD, os.path.join(self.folder, "build"))
        for name in ("plugins", "tests"):
            os.symlink(os.path.join(SOURCE, name), os.path.join(self.folder, name))
        self.environment = {**os.environ, "PATH": f"{shims}:{os.environ['PATH']}", "GANGWAY_BUILD": BUILD,
                            "DBUS_SYSTEM_BUS_ADDRESS": lab.address, "ASAN_OPTIONS": ASAN, "SYSTEMD_LOG_LEVEL": "warning",
                            "SYSTEMD_PAGER": "", **(environment or {})}

    def words(self, command, changes):
        assert command in documents.LAB, command
        ran.add(command)
        for old, new in changes.items():
            assert old in command, f"{old} is not in: {command}"
            command = command.replace(old, new)
        return command

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def run(self, command, changes=None, status=0, cwd=None):
        done = subprocess.run(["bash", "-c", self.words(command, changes or {})], cwd=cwd or self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != status:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self, name, command, changes=None):
        return self.lab.supervisor.start(name, ["bash", "-c", "exec " + self.words(command, changes or {})],
                                         env={**self.environment, "PWD": self.folder})


class Building(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.shell = Shell(self.lab, {"DESTDIR": self.lab.path("root")})

    def test_build(self):
        self.shell.run("./run build", cwd=SOURCE)

    def test_demo(self):
        text = self.shell.run("./run demo --endpoints 8 --seconds 20", cwd=SOURCE)
        self.assertRegex(text, r"demo: endpoints=8 online=8 reports=\d+ delivered=\d+ lost=0\n")

    def test_install(self):
        """What is installed has the documents and the manual pages, and they are those of here."""
        self.shell.run("meson install -C build")
        for installed, source in (("share/doc/gangway/getting-started.md", os.path.join(SOURCE, "doc", "getting-started.md")),
                                  ("share/man/man8/gangwayd.8", os.path.join(BUILD, "doc", "gangwayd.8")),
                                  ("share/doc/gangway/examples/rack/rack-plugin.c",
                                   os.path.join(SOURCE, "plugins", "example", "rack-plugin.c"))):
            with open(self.lab.path("root", "usr", installed), "rb") as one, open(source, "rb") as other:
                self.assertEqual(one.read(), other.read(), installed)

    def test_links(self):
        """What the documents refer to is there."""
        for document, text in documents.texts(SOURCE).items():
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
                if "://" not in target:
                    path = os.path.join(SOURCE, os.path.dirname(document), target)
                    self.assertTrue(os.path.exists(path), f"{document} refers to {target}")
            for path in re.findall(r"`((?:src|tests|plugins|data|dbus|systemd|doc)/[\w./@-]+)`", text):
                self.assertTrue(glob.glob(os.path.join(SOURCE, path) + "*"), f"{document} speaks of {path}")


class GettingStarted(unittest.TestCase):
    """doc/getting-started.md from its second chapter on, in its order; and what can be asked afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(endpoints=2)
        try:
            cls.lab.start_bus()
            cls.lab.prepare()
            cls.lab.start_sim()
            cls.lab.start_agent()
            for n in range(2):
                cls.lab.start_plugin(n)
            cls.shell = Shell(cls.lab)
            cls.ids = cls.lab.ids()
            shutil.copy(os.path.join(cls.lab.ports, "chips.csv"), cls.shell.path("lot-7.csv"))
            with open(cls.shell.path("ids.txt"), "w", encoding="utf-8") as f:
                f.write("".join(f"{i}\n" for i in cls.ids[:1]))
            cls.onboard()
        except BaseException:
            cls.lab.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    @classmethod
    def onboard(cls):
        """Chapters 2 to 4 up to the plug."""
        run = cls.shell.run
        with open(os.path.join(SOURCE, "data", "policies.d", "example.policy"), encoding="utf-8") as f:
            policy = f.read()
        for old, new in (("broker.example.com:8883", f"localhost:{cls.lab.broker.port}"),
                         ("/etc/gangway/trust.d/broker.pem", cls.lab.authority.crt)):
            assert old in policy
            policy = policy.replace(old, new)
        with open(cls.lab.path("etc", "policies.d", "factory.policy"), "w", encoding="utf-8") as f:
            f.write(policy)
        run("gangwayctl reload")
        assert re.search(r"(?m)^factory .* yes$", run("gangwayctl policies"))
        shown = run("busctl get-property org.gangway.Gangway1 /org/gangway/Gangway1 org.gangway.Gangway1.Manager CaCertificate")
        assert "BEGIN CERTIFICATE" in shown, shown
        cls.lab.start_broker()

        run(next(c for c in documents.LAB if c.startswith("openssl req")))
        run(next(c for c in documents.LAB if c.startswith("openssl cms")))
        shutil.copy(cls.shell.path("vendor.pem"), cls.lab.path("etc", "trust.d", "manifest", "own.pem"))
        run("gangwayctl reload")
        run("gangwayctl inventory import lot-7.csv lot-7.csv.p7s")
        run("gangwayctl batch add line-3 ids.txt --policy factory --dry-run")
        assert not cls.lab.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Inventory", "BatchCount")[0]
        cls.monitor = cls.shell.start("monitor", "gangwayctl monitor")
        wait("the monitor", cls.monitor.text)
        run("gangwayctl batch add line-3 ids.txt --policy factory")
        cls.lab.wait_online(cls.ids[:1])

    def test_monitor(self):
        """It has seen the chip come on board, and ends at Ctrl-C."""
        wait("the news", lambda: "online" in self.monitor.text())
        self.assertEqual(self.monitor.stop(signal.SIGINT), 0, self.monitor.text())

    def test_reports(self):
        broker = self.lab.broker
        command = next(c for c in documents.LAB if c.startswith("mosquitto_sub"))
        shown = self.shell.start("reports", command, {
            "broker.example.com": "localhost", "8883": str(broker.port), "broker.pem": self.lab.authority.crt,
            "me.pem": broker.user[0], "me.key": broker.user[1]})
        wait("a report", lambda: f"gangway/{self.ids[0]}/telemetry [" in shown.text(), 20)
        shown.stop()

    def test_looking(self):
        run = self.shell.run
        self.assertIn(self.ids[0][:8], run("gangwayctl list"))
        self.assertIn(self.ids[0], run("gangwayctl list --json"))
        self.assertIn("online", run("gangwayctl explain ENDPOINT", {"ENDPOINT": self.ids[0][:8]}))
        self.assertIn("online", run("gangwayctl explain 9f3a", {"9f3a": self.ids[0][:8]}))
        self.assertIn("online", run(
            "busctl call org.gangway.Gangway1 /org/gangway/Gangway1 org.gangway.Gangway1.Manager Explain s 0123456789abcdef",
            {"0123456789abcdef": self.ids[0][:16]}))
        path = self.lab.bus.endpoints()[self.ids[0]]["path"]
        self.assertIn(path, run("busctl tree org.gangway.Gangway1"))
        self.assertIn(".State", run(
            "busctl introspect org.gangway.Gangway1 /org/gangway/Gangway1/endpoint/_0123456789abcdef",
            {"/org/gangway/Gangway1/endpoint/_0123456789abcdef": path}))

    def test_one_by_hand(self):
        """What explain's remedies say, for a chip that no batch claims and for one that a person put aside."""
        endpoint = {"ENDPOINT": self.ids[1][:8]}
        self.shell.run("gangwayctl onboard ENDPOINT --policy NAME", {**endpoint, "NAME": "factory"})
        self.lab.wait_online(self.ids[1:])
        self.lab.bus.call(self.lab.bus.endpoints()[self.ids[1]]["path"], "Endpoint", "Quarantine", "(s)", "to try it")
        self.lab.wait_state(self.ids[1], "quarantined")
        self.shell.run("gangwayctl approve ENDPOINT", endpoint)
        self.lab.wait_online(self.ids[1:])
        # A setpoint of the simulator's takes nothing below 5: the words are understood, the value is refused.
        refused = self.shell.run("gangwayctl write press-4 setpoint -- -5", {"press-4": self.ids[1][:8]}, status=1)
        self.assertIn("5", refused)


class Simulator(unittest.TestCase):
    def test_simulator(self):
        lab = Lab()
        self.addCleanup(lab.close)
        shell = Shell(lab)
        self.assertIn("--endpoints=N", shell.run("gangway-sim --help"))
        names = {"/tmp/bench.sock": lab.path("bench.sock"), "/tmp/bench": lab.path("bench")}
        sim = shell.start("bench", "gangway-sim --endpoints 8 --dir /tmp/bench --control /tmp/bench.sock", names)
        wait("the chips", lambda: os.path.exists(lab.path("bench", "chips.csv")) and os.path.exists(lab.path("bench.sock")), 30)
        # The same chips once more, on a CAN bus.
        names = {"/tmp/bench.sock": lab.path("can.sock"), "/tmp/bench": lab.path("bench-can")}
        can = shell.start("can", "gangway-sim --endpoints 8 --dir /tmp/bench --can slcan --can-rate 500000 --control /tmp/bench.sock",
                          names)
        wait("the bus", lambda: os.path.exists(lab.path("bench-can", "chips.csv")) and os.path.exists(lab.path("can.sock")), 30)
        # And on an RS-485 pair.
        names = {"/tmp/bench.sock": lab.path("pair.sock"), "/tmp/bench": lab.path("bench-pair")}
        pair = shell.start("pair", "gangway-sim --endpoints 16 --dir /tmp/bench --rs485 --control /tmp/bench.sock", names)
        wait("the pair", lambda: os.path.exists(lab.path("bench-pair", "chips.csv")) and os.path.exists(lab.path("pair.sock")), 30)
        with open(os.path.join(SOURCE, "doc", "simulator.md"), encoding="utf-8") as f:
            text = f.read()
        for name in re.findall(r"`/tmp/bench/([\w.]+)`", text):
            self.assertTrue(any(os.path.lexists(lab.path(folder, name)) for folder in ("bench", "bench-can", "bench-pair")), name)
        answer = shell.run("gangway-sim --ctl /tmp/bench.sock COMMAND..",
                           {"/tmp/bench.sock": lab.path("bench.sock"), "COMMAND..": "status 3"})
        self.assertIn('"ok":true', answer)
        self.assertEqual([s.stop(signal.SIGINT) for s in (sim, can, pair)], [0, 0, 0])


class Plugin(unittest.TestCase):
    def test_try_it(self):
        """The plugin is built and tried by the document's words alone."""
        lab = Lab()
        self.addCleanup(lab.close)
        shell = Shell(lab)
        with open(os.path.join(SOURCE, "doc", "writing-a-plugin.md"), encoding="utf-8") as f:
            script = next(block for block in documents.blocks(f.read())[0] if block[0] == "from lab import Lab")
        with open(shell.path("try-rack.py"), "w", encoding="utf-8") as f:
            f.write("\n".join(script) + "\n")
        export = shell.words(next(c for c in documents.LAB if c.startswith("export ")), {})
        if SANITIZED:  # its library wants the sanitizers' runtime in whatever uses it
            shell.environment["CFLAGS"] = "-fsanitize=address,undefined"
            shell.environment["ASAN_OPTIONS"] += ":detect_leaks=0"
        cc = next(c for c in documents.LAB if c.startswith("cc "))
        build = shell.words(cc, {"cc ": "cc $CFLAGS "})
        run = shell.words("PYTHONPATH=tests/lib /usr/bin/python3 try-rack.py", {})
        done = subprocess.run(["bash", "-ec", f"{export}\n{build}\n{run}"], cwd=shell.folder, env=shell.environment,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("warning", done.stderr)
        self.assertRegex(done.stdout, r"'[0-9a-f]{64}'.*'[0-9a-f]{64}'")
        if SANITIZED:  # whose runtime Python does not bring
            return
        with open(shell.path("try-rack.py"), "w", encoding="utf-8") as f:
            f.write("\n".join(script).replace('"./rack-plugin"', '"plugins/example/rack-plugin.py"') + "\n")
        done = subprocess.run(["bash", "-ec", f"{export}\n{run}"], cwd=shell.folder, env=shell.environment,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"'[0-9a-f]{64}'.*'[0-9a-f]{64}'")

    def test_unit(self):
        lab = Lab()
        self.addCleanup(lab.close)
        Shell(lab).run(next(c for c in documents.LAB if c.startswith("systemd-analyze")))

    def test_bytes(self):
        """The question that the document shows is the one that is sent."""
        with open(os.path.join(SOURCE, "doc", "writing-a-plugin.md"), encoding="utf-8") as f:
            shown = bytes.fromhex(re.search(r"(?m)^    ((?:[0-9A-F]{2} ?)+)$", f.read())[1])
        with open(os.path.join(SOURCE, "plugins", "example", "rack-plugin.c"), encoding="utf-8") as f:
            sent = re.search(r"hello\[\] = \{ (.*?) \}", f.read())[1]
        self.assertEqual(shown, bytes(int(word, 0) for word in sent.split(", ")))


class Token(unittest.TestCase):
    """doc/certificates.md: a key that is made in a token, and one that moves there from its file."""

    def lab(self):
        lab = Lab()
        self.addCleanup(lab.close)
        lab.start_bus()
        lab.prepare()
        os.mkdir(lab.path("tokens"), 0o700)
        with open(lab.path("softhsm2.conf"), "w", encoding="utf-8") as f:
            f.write(f"directories.tokendir = {lab.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
        # The agent inherits the first; p11tool asks for the second otherwise.
        words = {"SOFTHSM2_CONF": lab.path("softhsm2.conf"), "GNUTLS_PIN": PIN}
        os.environ.update(words)
        self.addCleanup(lambda: [os.environ.pop(word) for word in words])
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "gateway", "--pin", PIN, "--so-pin", "31415926"],
                       check=True, stdout=subprocess.DEVNULL)
        return lab, Shell(lab)

    def configure(self, lab):
        with open(os.path.join(SOURCE, "doc", "certificates.md"), encoding="utf-8") as f:
            lines = next(block for block in documents.blocks(f.read())[0] if block[0] == "[Authority]")
        with open(os.open(lab.path("ca-pin"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            f.write(PIN + "\n")
        with open(lab.path("etc", "gangway.conf"), "a", encoding="utf-8") as f:
            f.write("\n" + "\n".join(lines).replace("/etc/gangway/ca-pin", lab.path("ca-pin")) + "\n")

    def test_made_there(self):
        lab, shell = self.lab()
        shell.run(next(c for c in documents.LAB if "--generate-privkey" in c))
        self.configure(lab)
        lab.start_agent()
        self.assertIn("BEGIN CERTIFICATE", lab.bus.get(ROOT, "Manager", "CaCertificate"))
        self.assertFalse(os.path.exists(os.path.join(lab.state, "ca", "ca.key")))

    def test_moved_there(self):
        lab, shell = self.lab()
        lab.start_agent()
        before = lab.bus.get(ROOT, "Manager", "CaCertificate")
        lab.agent.stop()
        key = os.path.join(lab.state, "ca", "ca.key")
        shell.run(next(c for c in documents.LAB if "--load-privkey" in c), {"/var/lib/gangway/ca/ca.key": key})
        self.configure(lab)
        os.rename(key, lab.path("safe.key"))
        lab.agent.resume()
        lab.wait_agent()
        self.assertEqual(lab.bus.get(ROOT, "Manager", "CaCertificate"), before)
        self.assertFalse(os.path.exists(key))


class Whole(unittest.TestCase):
    """Runs last."""

    def test_every_command_is_in_one_table(self):
        shown, data = documents.extract(SOURCE)
        tables = [set(documents.LAB), set(documents.GUEST), set(documents.NOT_RUN)]
        self.assertEqual(sum(map(len, tables)), len(set.union(*tables)), "a command stands in two tables")
        unknown = {c: where for c, where in shown.items() if c not in set.union(*tables)}
        self.assertEqual(unknown, {}, "commands that no table of documents.py has: say there who runs them")
        self.assertEqual(set.union(*tables) - set(shown), set(), "commands that no document shows any more")
        self.assertEqual(set(documents.DATA) - data, set(), "blocks that no document has any more")

    def test_every_command_was_run(self):
        self.assertEqual(documents.LAB - ran, set())


if __name__ == "__main__":
    tap.main()
