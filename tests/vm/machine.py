# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest as a gateway: its units, its users, its serial ports, and a site around it (broker, policy, vendor).

Nothing here stands in for anything: the agent is the installed unit on the system bus, ports are USB devices that the
kernel finds (g_serial on dummy_hcd), with simulated endpoints at their far end.
"""
import json
import os
import shutil
import socket
import subprocess
import time

import pki
from broker import Broker, Subscriber
from bus import NAME, ROOT, Client
from supervisor import Supervisor, wait

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
SITE = "/run/site"
POLICY = "site"
AGENT = "gangwayd.service"
VENDOR_ID = "0x1d50"
# Emulated processors, perhaps on a busy machine: what takes a second on hardware.
PATIENCE = 60.0


def run(*argv, check=True):
    """Runs a program and returns its output; raises with what it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def show(unit, *names):
    """Properties of a unit: one value, or a dict of several."""
    lines = run("systemctl", "show", unit, *(f"-p{name}" for name in names)).splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values[names[0]] if len(names) == 1 else values


def wait_unit(unit, state, timeout=PATIENCE):
    wait(f"{unit} to be {state}", lambda: show(unit, "ActiveState") == state, timeout)


def journal(*args):
    return run("journalctl", "--no-pager", "-o", "cat", *args)


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def drop_in(unit, text):
    folder = f"/run/systemd/system/{unit}.d"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "test.conf"), "w", encoding="utf-8") as f:
        f.write(text)
    run("systemctl", "daemon-reload")


def as_user(user, *argv, data=""):
    """Runs a program as that user, with its groups; returns (status, output, errors)."""
    done = subprocess.run(["runuser", "-u", user, "--", *argv], input=data, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Site:
    """The agent, a broker that it onboards to, and endpoints on USB serial ports."""

    def __init__(self, endpoints):
        self.endpoints = endpoints
        os.makedirs(SITE, exist_ok=True)
        self.supervisor = Supervisor(f"{SITE}/log")
        self.authority = pki.Authority(f"{SITE}/pki", "site-ca")
        self.vendor = pki.Authority(f"{SITE}/pki", "vendor-ca")
        self.signer = self.vendor.issue("vendor-manifest-signer", "codeSigning")
        self.broker = Broker(self.supervisor, f"{SITE}/broker", self.authority)
        self.subscriber = self.bus = self.sim = None

    def configure(self):
        """What an administrator puts in place, by the examples that are shipped."""
        shutil.copy(self.authority.crt, "/etc/gangway/trust.d/broker.pem")
        shutil.copy(self.vendor.crt, "/etc/gangway/trust.d/manifest/vendor.pem")
        with open("/usr/share/doc/gangway/examples/example.policy", encoding="utf-8") as f:
            policy = f.read().replace("broker.example.com:8883", f"localhost:{self.broker.port}")
        path = f"/etc/gangway/policies.d/{POLICY}.policy"
        with open(path, "w", encoding="utf-8") as f:
            f.write(policy)
        shutil.chown(path, "root", "gangway")
        os.chmod(path, 0o640)
        with open("/usr/share/doc/gangway/examples/gangway-ports.rules.example", encoding="utf-8") as f:
            rules = [line.lstrip("#") for line in f if 'ENV{ID_USB_VENDOR_ID}=="0403"' in line]
        assert len(rules) == 1, rules
        with open("/etc/udev/rules.d/65-gangway-ports.rules", "w", encoding="utf-8") as f:
            f.write(rules[0].replace("0403", VENDOR_ID[2:]))
        run("udevadm", "control", "--reload")

    def start(self):
        self.configure()
        run("systemctl", "start", AGENT)
        self.bus = Client(SYSTEM_BUS)
        self.broker.start(self.bus.get(ROOT, "Manager", "CaCertificate"))
        self.subscriber = Subscriber(self.supervisor, self.broker)
        self.subscriber.ready(self.broker, PATIENCE)
        self.start_sim()
        self.claim()

    def start_sim(self):
        devices = [arg for n in range(self.endpoints) for arg in ("--device", f"/dev/ttyGS{n}")]
        self.sim = self.supervisor.start("gangway-sim", [
            "gangway-sim", "--endpoints", str(self.endpoints), "--dir", f"{SITE}/sim", "--control", f"{SITE}/sim.socket",
            *devices])
        wait("the simulated chips", lambda: os.path.exists(f"{SITE}/sim/chips.csv") and os.path.exists(f"{SITE}/sim.socket"),
             PATIENCE)

    def claim(self):
        chips = f"{SITE}/sim/chips.csv"
        run("gangwayctl", "inventory", "import", chips, pki.sign_manifest(chips, *self.signer))
        with open(f"{SITE}/ids", "w", encoding="utf-8") as f:
            f.write("".join(f"{i}\n" for i in self.ids()))
        run("gangwayctl", "batch", "add", "lot-1", f"{SITE}/ids", "--policy", POLICY)

    def ids(self):
        with open(f"{SITE}/sim/chips.csv", encoding="utf-8") as f:
            return [line.split(",")[0] for line in f.read().splitlines()[1:]]

    def ports(self):
        return [f"ttyACM{n}" for n in range(self.endpoints)]

    def plug(self, vendor=VENDOR_ID):
        run("modprobe", "dummy_hcd")
        run("modprobe", "g_serial", f"idVendor={vendor}", "idProduct=0x6018", "iManufacturer=Acme", "iProduct=Meter",
            "iSerialNumber=GW01", f"n_ports={self.endpoints}")

    def unplug(self):
        run("modprobe", "-r", "g_serial")

    def state_of(self, key_id):
        return self.bus.endpoints().get(key_id, {}).get("State")

    def wait_state(self, state, timeout=3 * PATIENCE):
        wait(f"all endpoints to be {state}", lambda: all(self.state_of(i) == state for i in self.ids()), timeout)

    def control(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(f"{SITE}/sim.socket")
            s.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                data = s.recv(65536)
                assert data, f"the simulator says nothing to '{line}'"
                answer += data
        answer = json.loads(answer)
        assert answer["ok"], answer
        return answer

    def wait_flow(self, more=2, timeout=PATIENCE):
        """Waits until each endpoint had `more` reports acknowledged, and as many more have arrived in its own name."""
        def figures():
            seen = self.subscriber.read().deliveries
            return [(e["acked"], sum(key[0] == e["kid"] for key in seen)) for e in self.control("status")["endpoints"]]
        before = figures()
        wait("reports to flow", lambda: all(a >= a0 + more and d >= d0 + more
                                            for (a0, d0), (a, d) in zip(before, figures())), timeout)

    def lost(self, timeout=PATIENCE):
        """Stops reporting; what was acknowledged to endpoints and has not arrived by then."""
        from lab import acknowledged
        self.control("stop all")
        deadline = time.monotonic() + timeout
        while True:
            acked = acknowledged(self.control("acknowledged"))
            missing = [key for key in acked if key not in self.subscriber.read().deliveries]
            if not missing or time.monotonic() > deadline:
                return len(acked), missing
            time.sleep(0.2)

    def close(self):
        self.supervisor.stop_all()
        shutil.copytree(f"{SITE}/log", "/share/log", dirs_exist_ok=True)
        if os.path.exists(self.broker.log):
            shutil.copy(self.broker.log, "/share/log/broker.log")
