# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole gateway in a temporary folder, every part unprivileged and the agent's surroundings real: a private bus under
the shipped policy, Mosquitto over mutual TLS, simulated endpoints on ptys, one plugin process a line, the agent.

    with Lab(endpoints=2) as lab:
        lab.start()
        lab.wait_online()

Each part can also be started alone. GANGWAY_BUILD names the build folder, GANGWAY_LAB_KEEP=1 keeps the lab's.
"""
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pki
from broker import Broker, Subscriber
from bus import NAME, ROOT, Client, write_config
from supervisor import PATIENCE, Supervisor, Timeout, pause, wait, within

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POLICY = "lab"
CAN = "ttyCAN0"
RS485 = "ttyRS0"
# What endpoints may hang on, and the kinds of wires behind each word, in the order in which the simulator takes them.
KINDS = {"serial": ("serial",), "can": ("can",), "rs485": ("rs485",), "all": ("can", "rs485", "serial")}
ASAN = "detect_leaks=1:abort_on_error=1"


def listens(path):
    """Whether somebody accepts on this socket: its file is there before its listener."""
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def split(endpoints, bus):
    """How many endpoints are on which kind of wire; the simulator takes the kinds in this order."""
    kinds = KINDS[bus]
    return {kind: (endpoints + len(kinds) - 1 - kinds.index(kind)) // len(kinds) if kind in kinds else 0
            for kind in KINDS["all"]}


class Lab:
    made = 0  # labs in this process so far: their logs are told apart by it

    def __init__(self, endpoints=1, build=None, sim_args=(), seed="lab", policy_lines=(), restart_ms=200, broker_saves=True,
                 bus="serial", can="slcan", can_rate=500000, can_data_rate=0, speed=115200):
        """bus: what the endpoints hang on: "serial" (a line each), "can" (one bus; its rates in bit/s, data rate 0: classic),
        "rs485" (one pair at `speed` bit/s), or "all": as even as it goes over all kinds. can: "slcan", the simulated adapter, or a network interface."""
        self.kind, self.can = bus, can
        self.can_rate, self.can_data_rate, self.speed = can_rate, can_data_rate, speed
        self.broker_saves = broker_saves
        self.build = os.path.abspath(build or os.environ.get("GANGWAY_BUILD", os.path.join(SOURCE, "build")))
        self.endpoints, self.sim_args, self.seed, self.policy_lines = endpoints, list(sim_args), seed, list(policy_lines)
        Lab.made += 1
        self.number = Lab.made
        self.folder = tempfile.mkdtemp(prefix="gangway-")
        self.supervisor = Supervisor(self.path("log"), restart_ms)
        self.address = f"unix:path={self.path('bus.socket')}"
        self.state = self.path("state")
        self.ports = self.path("sim")
        self.bus = self.broker = self.subscriber = self.agent = self.sim = self.daemon = None
        self.plugins = {}
        self.agent_env, self.authorize, self.bus_policy = {}, "own-uid", ""
        self.authority = self.vendor = None

    @property
    def sanitized(self):
        """Whether the build is slowed down by sanitizers: limits in milliseconds are not for it."""
        with open(os.path.join(self.build, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as f:
            return next(o["value"] for o in json.load(f) if o["name"] == "b_sanitize") != "none"

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def binary(self, *parts):
        return os.path.join(self.build, *parts)

    # The parts, in the order of their needs.

    def start_bus(self, client=True):
        """client=False for a test that plays the agent itself: it could not answer its own client."""
        conf = self.path("bus.conf")
        write_config(conf, self.address, self.binary("dbus", f"{NAME}.conf"), self.bus_policy)
        self.daemon = self.supervisor.start("dbus-daemon", ["dbus-daemon", "--nofork", "--nopidfile", "--config-file", conf],
                                             restart=True)
        wait("the private bus", lambda: listens(self.path("bus.socket")))
        if client:
            self.bus = Client(self.address)

    def prepare(self):
        """Keys, trust anchors, configuration: what an administrator would put in place."""
        for name in ("etc/policies.d", "etc/trust.d/manifest", "state", "run"):
            os.makedirs(self.path(name), mode=0o700)
        self.authority = pki.Authority(self.path("pki"), "lab-ca")
        vendor_ca = pki.Authority(self.path("pki"), "vendor-ca")
        self.vendor = vendor_ca.issue("vendor-manifest-signer", "codeSigning")
        shutil.copy(vendor_ca.crt, self.path("etc", "trust.d", "manifest", "vendor.pem"))
        self.broker = Broker(self.supervisor, self.path("broker"), self.authority, saves=self.broker_saves)
        self.write_policy(POLICY)
        with open(self.path("etc", "gangway.conf"), "w", encoding="utf-8") as f:
            f.write(f"[Trust]\nManifests={self.path('etc', 'trust.d', 'manifest')}\n\n"
                    f"[Policies]\nDirectories={self.path('etc', 'policies.d')}\n")

    def write_policy(self, name, **changes):
        keys = {"Kind": "mosquitto", "BrokerUri": f"mqtts://localhost:{self.broker.port}",
                "TrustAnchors": self.authority.crt, "Issuer": "local", "TelemetryTopic": "gangway/{id}/telemetry",
                "CommandTopic": "gangway/{id}/command", "ReplyTopic": "gangway/{id}/reply",
                "StatusTopic": "gangway/{id}/status", "Format": "senml-json", "FirstUse": "window"}
        keys.update(line.split("=", 1) for line in self.policy_lines)
        keys.update(changes)
        with open(self.path("etc", "policies.d", name + ".policy"), "w", encoding="utf-8") as f:
            f.write("[Policy]\n" + "".join(f"{k}={v}\n" for k, v in keys.items()))

    def start_agent(self):
        self.agent = self.supervisor.start(
            "gangwayd", [self.binary("src", "gangwayd", "gangwayd"), "--bus", self.address, "--state-dir", self.state,
                         "--config", self.path("etc", "gangway.conf"), "--authorize", self.authorize],
            env={"ASAN_OPTIONS": ASAN, "RUNTIME_DIRECTORY": self.path("run"), **self.agent_env}, restart=True)
        self.wait_agent()

    def wait_agent(self, timeout=20.0):
        before = len(self.agent.exits)
        wait("the agent on the bus", lambda: self.bus.owner or len(self.agent.exits) >= before + 3, timeout)
        if not self.bus.owner:
            raise Timeout(f"the agent ends again and again; it says: {self.agent.text()[-1500:]}")

    def start_broker(self):
        self.broker.start(self.bus.get(ROOT, "Manager", "CaCertificate"))
        self.subscriber = Subscriber(self.supervisor, self.broker)
        self.subscriber.ready(self.broker)

    def start_sim(self, restart=False):
        argv = [self.binary("src", "simulator", "gangway-sim"), "--endpoints", str(self.endpoints), "--dir", self.ports,
                "--seed", str(self.seed), "--control", self.path("sim.socket"), *self.wire_args(), *self.sim_args]
        self.sim = self.supervisor.start("gangway-sim", argv, env={"ASAN_OPTIONS": ASAN}, restart=restart)
        wait("the simulated chips", lambda: os.path.exists(os.path.join(self.ports, "chips.csv"))
             and os.path.exists(self.path("sim.socket")) or not self.sim.alive, 30)
        if not self.sim.alive:
            raise Timeout(f"the simulator ended: {self.sim.text()[-2000:]}")

    def port(self, n):
        return os.path.join(self.ports, f"ttyGW{n}")

    def start_plugin(self, n):
        name = f"ttyGW{n}"
        self.plugins[n] = self.supervisor.start(
            f"serial-{name}", [self.binary("plugins", "serial", "gangway-serial"), "--device", self.port(n), "--name", name,
                               "--bus", self.address], env={"ASAN_OPTIONS": ASAN}, restart=True, needs=self.port(n))

    @property
    def wires(self):
        return split(self.endpoints, self.kind)

    def wire_args(self):
        """The simulator's options for what its endpoints hang on."""
        args = []
        if self.wires["can"]:
            args += ["--can", self.can, "--can-rate", str(self.can_rate), "--can-data-rate", str(self.can_data_rate)]
            if self.wires["can"] < self.endpoints:
                args += ["--can-endpoints", str(self.wires["can"])]
        if self.wires["rs485"]:
            args += ["--rs485", "--speed", str(self.speed)]
            if self.wires["rs485"] < self.endpoints:
                args += ["--rs485-endpoints", str(self.wires["rs485"])]
        return args

    def start_can(self):
        """gangway-can at the simulated adapter, or at the interface; in `plugins` by its line's name."""
        name = self.can_name
        argv = [self.binary("plugins", "can", "gangway-can"), "--name", name, "--bus", self.address]
        if self.can == "slcan":
            line = os.path.join(self.ports, CAN)
            argv += ["--device", f"slcan:{line}", "--rate", str(self.can_rate)]
            if self.can_data_rate:
                argv += ["--data-rate", str(self.can_data_rate)]
        else:
            line = f"/sys/class/net/{self.can}"
            argv += ["--device", self.can]
        self.plugins[name] = self.supervisor.start(f"can-{name}", argv, env={"ASAN_OPTIONS": ASAN}, restart=True, needs=line)

    def start_rs485(self):
        """gangway-serial --rs485 at the simulated pair's adapter."""
        line = os.path.join(self.ports, RS485)
        self.plugins[RS485] = self.supervisor.start(
            f"serial-{RS485}", [self.binary("plugins", "serial", "gangway-serial"), "--rs485", "--device", line, "--name", RS485,
                                "--speed", str(self.speed), "--bus", self.address],
            env={"ASAN_OPTIONS": ASAN}, restart=True, needs=line)

    @property
    def can_name(self):
        return CAN if self.can == "slcan" else self.can

    def start_plugins(self):
        """One for each wire."""
        if self.wires["can"]:
            self.start_can()
        if self.wires["rs485"]:
            self.start_rs485()
        for n in range(self.endpoints - self.wires["serial"], self.endpoints):
            self.start_plugin(n)

    def line_of(self, n):
        """The name of what endpoint n was on at the start."""
        if n < self.wires["can"]:
            return self.can_name
        return RS485 if n < self.wires["can"] + self.wires["rs485"] else f"ttyGW{n}"

    def chips(self):
        """The simulated chips' rows of the manifest, in the order of their ports."""
        with open(os.path.join(self.ports, "chips.csv"), encoding="utf-8", newline="") as f:
            return list(csv.DictReader(f))

    def ids(self):
        return [row["key_id"] for row in self.chips()]

    def control(self, line, timeout=10.0):
        """One command to the simulator; returns its answer, which must say ok."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout * PATIENCE)
            s.connect(self.path("sim.socket"))
            s.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                data = s.recv(65536)
                if not data:
                    break
                answer += data
        result = json.loads(answer)
        if not result.get("ok", True) or "error" in result:
            raise AssertionError(f"simulator refused '{line}': {result}")
        return result

    def ctl(self, *args):
        """What gangwayctl prints."""
        return subprocess.run([self.binary("src", "gangwayctl", "gangwayctl"), "--bus", self.address, *args], check=True,
                              stdout=subprocess.PIPE, text=True, timeout=30 * PATIENCE).stdout

    # What the owner does.

    def import_manifest(self, path=None, signer=None):
        """Signs the simulator's chip list as its vendor would and imports it; returns the job's (success, error, message)."""
        path = path or os.path.join(self.ports, "chips.csv")
        signature = pki.sign_manifest(path, *(signer or self.vendor))
        with open(path, "rb") as manifest, open(signature, "rb") as sig:
            job = self.bus.call(ROOT, "Inventory", "ImportManifest", "(hha{sv})", 0, 1, {},
                                fds=(manifest.fileno(), sig.fileno()))[0]
        return self.bus.job(job)

    def add_batch(self, ids, name="lab-batch", policy=POLICY, options=None):
        path = self.path(f"{name}.ids")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(f"{i}\n" for i in ids))
        with open(path, "rb") as f:
            job = self.bus.call(ROOT, "Inventory", "AddBatch", "(ssha{sv})", name, policy, 0, options or {},
                                fds=(f.fileno(),))[0]
        return self.bus.job(job)

    def start(self, claim=True, plugins=True):
        """Everything, up to a claimed inventory; endpoints come online by themselves from here. plugins=False where the
        endpoints are on another bus than serial lines."""
        self.start_bus()
        self.prepare()
        self.start_sim()
        self.start_agent()
        self.start_broker()
        if claim:
            done = self.import_manifest()
            assert done[0], f"import: {done}"
            done = self.add_batch(self.ids())
            assert done[0], f"batch: {done}"
        if plugins:
            self.start_plugins()

    # Waiting and looking.

    def state_of(self, key_id):
        return self.bus.endpoints().get(key_id, {}).get("State")

    def wait_state(self, key_id, state, timeout=30.0):
        states = (state,) if isinstance(state, str) else state
        try:
            wait(f"{key_id[:16]} to be {'/'.join(states)}", lambda: self.state_of(key_id) in states, timeout)
        except Timeout as error:
            raise Timeout(f"{error}; it is {self.describe(key_id)}") from None

    def wait_online(self, ids=None, timeout=60.0):
        ids = ids or self.ids()

        def online():
            endpoints = self.bus.endpoints()
            return all(endpoints.get(i, {}).get("State") == "online" for i in ids)
        try:
            wait(f"{len(ids)} endpoints online", online, timeout)
        except Timeout as error:
            late = [self.describe(i) for i in ids if self.state_of(i) != "online"]
            raise Timeout(f"{error}; {len(late)} are not, the first: {late[:3]}") from None

    def describe(self, key_id):
        try:
            return (key_id[:16], *self.bus.call(ROOT, "Manager", "Explain", "(s)", key_id))
        except Exception as error:  # pylint: disable=broad-except
            return key_id[:16], self.bus.endpoints().get(key_id), str(error)

    def acknowledged(self):
        """Reports that endpoints saw acknowledged: the set of (endpoint, boot, sequence), by the simulator's own record."""
        return acknowledged(self.control("acknowledged", timeout=30))

    def sim_status(self, port=None):
        """The simulator's view of one port's endpoint, or of all."""
        found = self.control("status" if port is None else f"status {port}", timeout=30)["endpoints"]
        return found if port is None else found[0]

    def acked(self, n):
        return self.sim_status(n)["acked"]

    def agent_threads(self):
        return len(os.listdir(f"/proc/{self.agent.pid}/task"))

    def storm(self, over, seconds):
        """Calls the agent again and again, until over() or for a while; how long each answer took, in ms."""
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and not over():
            begin = time.monotonic()
            self.bus.call(ROOT, "org.freedesktop.DBus.Properties", "Get", "(ss)", f"{NAME}.Manager", "Version")
            times.append((time.monotonic() - begin) * 1000)
            pause(0.01)
        return times

    def wait_flow(self, n, more=2, timeout=20.0):
        """Waits until the endpoint on port n had `more` reports acknowledged and delivered in its own name."""
        key_id = self.sim_status(n)["kid"]

        def delivered():
            return sum(key[0] == key_id for key in self.subscriber.read().deliveries)
        acked, seen = self.acked(n), delivered()
        wait(f"reports of {key_id[:16]}", lambda: self.acked(n) >= acked + more and delivered() >= seen + more, timeout)

    def pending(self):
        """Reports that endpoints still hold."""
        return sum(e.get("pending", 0) for e in self.control("status", timeout=30)["endpoints"])

    def drained(self, timeout=5.0):
        """After production was stopped: waits until endpoints hold nothing, at most `timeout` (who is away keeps what it has), and
        all that was acknowledged to them has arrived. Returns (R, D, lost): counts, and the list of those of R that are not in D."""
        begun = time.monotonic()
        while True:
            pending = self.pending()
            acked = self.acknowledged()
            seen = self.subscriber.read().deliveries
            lost = [key for key in acked if key not in seen]
            if time.monotonic() > begun + (timeout * PATIENCE if lost else timeout if pending else 0):
                return len(acked), len(seen), lost
            before = len(seen)
            within(0.25, lambda: self.subscriber.distinct() > before)

    # The end.

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close(failed=kind is not None)

    def close(self, failed=False):
        """Ends everything; raises if a part crashed. The logs stay in BUILD/lab-logs/PROGRAM-N (or
        $GANGWAY_LAB_LOGS/PROGRAM-N) until the next run."""
        self.supervisor.stop_all()
        crashes = self.supervisor.crashes()
        kept = self.keep_logs()
        if failed or crashes:
            print(f"# logs kept in {kept}")
        if os.environ.get("GANGWAY_LAB_KEEP"):
            print(f"# lab kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        if crashes and not failed:
            raise AssertionError("; ".join(crashes))

    def keep_logs(self):
        logs = os.environ.get("GANGWAY_LAB_LOGS", os.path.join(self.build, "lab-logs"))
        keep = os.path.join(logs, f"{os.path.basename(sys.argv[0]).removesuffix('.py')}-{self.number}")
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(self.path("log"), keep)
        if os.path.exists(self.path("broker", "mosquitto.log")):
            shutil.copy(self.path("broker", "mosquitto.log"), os.path.join(keep, "broker.log"))
        return keep


def acknowledged(answer):
    """The simulator's answer to `acknowledged` as a set: {"endpoints":[{"kid":..,"boots":[{"bt":..,"q":[[from,to],..]}]}]}."""
    keys = set()
    for endpoint in answer["endpoints"]:
        for boot in endpoint["boots"]:
            for first, last in boot["q"]:
                keys.update((endpoint["kid"], boot["bt"], q) for q in range(first, last + 1))
    return keys
