# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a wake-up and an endpoint cost the agent, with 100 endpoints and with 1,000.

The endpoints are real ones of the simulator on the datagram sockets of a rack, up to 250 a bus; one process carries a bus,
so that a thousand plugin processes do not share the two cores with what is measured. Five figures, each at both sizes, and
all of the agent's own CPU time:

onboard   an endpoint: claimed beforehand, from the start of the plugins to the last one online
idle      an endpoint and second: nobody reports, keep-alives only
same-rate a report, TOTAL a second in all: the same work spread over ten times the endpoints
each-rate a report, one a second and endpoint: ten times the work
objects   an endpoint of GetManagedObjects, and the call's wall time as busctl sees it
"""
import os
import subprocess
import time

from lab import Lab

SLOTS = 250
SIZES = (100, 1000)
TOTAL = 1000  # reports a second


class Wide(Lab):
    """A lab whose endpoints are on a few buses of a rack each."""

    def __init__(self, endpoints, build):
        super().__init__(endpoints=endpoints, build=build, sim_args=["--slots", "--rate", "0"], broker_saves=False)

    def start_racks(self):
        for n, first in enumerate(range(0, self.endpoints, SLOTS)):
            self.plugins[n] = self.supervisor.start(
                f"rack-{n}", [self.binary("tests", "bench", "wide-rack"), self.ports, f"rack{n}", str(first),
                              str(min(SLOTS, self.endpoints - first))],
                env={"DBUS_SYSTEM_BUS_ADDRESS": self.address}, restart=True)


class Meter:
    """CPU time, to the nanosecond, and wake-ups (each is one voluntary switch) of the agent since it was made."""

    def __init__(self, pid):
        self.pid, self.begin = pid, time.monotonic()
        self.cpu0, self.wakes0 = self.now()

    def now(self):
        cpu = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="utf-8") as f:
                cpu += int(f.read().split()[0])
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as f:
            wakes = next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt"))
        return cpu / 1e3, wakes

    def read(self):
        """(CPU in us, wake-ups, seconds)."""
        cpu, wakes = self.now()
        return cpu - self.cpu0, wakes - self.wakes0, time.monotonic() - self.begin


def sizes_of(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return {line.split()[0]: int(line.split()[1]) for line in f if len(line.split()) == 3}


def busctl(lab):
    """Wall time of the whole command, of a Ping the same, both as medians in ms, and the agent's CPU of a call, in us."""
    env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": lab.address}
    calls = {"one": ["org.freedesktop.DBus.Peer", "Ping"], "all": ["org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]}
    best = {}
    for name, method in calls.items():
        meter, times = Meter(lab.agent.pid), []
        for _ in range(10):
            begin = time.monotonic()
            subprocess.run(["busctl", "--system", "--quiet", "--timeout=60", "call", "org.gangway.Gangway1", "/org/gangway/Gangway1",
                            *method], env=env, check=True)
            times.append((time.monotonic() - begin) * 1000)
        best[name] = sorted(times)[5]
    return best["all"], best["one"], meter.read()[0] / len(times)


def acked(lab):
    return sum(e["acked"] for e in lab.sim_status())


def reports(lab, pause, rate, seconds):
    lab.control(f"rate all {rate:g}")
    pause(min(3, seconds))
    before, meter = acked(lab), Meter(lab.agent.pid)
    pause(seconds)
    cpu, wakes, took = meter.read()
    n = acked(lab) - before
    lab.control("stop all")
    pause(min(3, seconds))
    return {"reports_per_second": round(n / took), "cpu_us": round(cpu / max(1, n), 1), "wakeups_per_second": round(wakes / took),
            "cpu_us_a_wakeup": round(cpu / max(1, wakes), 1), "cpu_share": round(cpu / took / 1e6, 3)}


def one_size(endpoints, args, pause, restarts):
    with Wide(endpoints, args.build) as lab:
        lab.start_bus()
        lab.prepare()
        lab.start_sim()
        lab.start_agent()
        lab.start_broker()
        assert lab.import_manifest()[0] and lab.add_batch(lab.ids())[0]
        meter = Meter(lab.agent.pid)
        lab.start_racks()
        lab.wait_online(timeout=300)
        cpu, wakes, took = meter.read()
        yield "onboard", {"seconds": round(took, 1), "cpu_us": round(cpu / endpoints, 1), "wakeups_per_second": round(wakes / took),
                          "cpu_us_a_wakeup": round(cpu / wakes, 1)}
        pause(min(5, args.seconds))
        meter = Meter(lab.agent.pid)
        pause(args.seconds)
        cpu, wakes, took = meter.read()
        yield "idle", {"cpu_us": round(cpu / took / endpoints, 1), "wakeups_per_second": round(wakes / took),
                       "cpu_us_a_wakeup": round(cpu / wakes, 1)}
        yield "same-rate", reports(lab, pause, TOTAL / endpoints, args.seconds)
        yield "each-rate", reports(lab, pause, 1, args.seconds)
        sizes = sizes_of(lab.agent.pid)
        yield "memory", {"pss_mib": round(sizes["Pss:"] / 1024, 1), "private_dirty_mib": round(sizes["Private_Dirty:"] / 1024, 1)}
        whole, ping, cpu = busctl(lab)
        yield "objects", {"busctl_ms": round(whole, 1), "busctl_ping_ms": round(ping, 1), "cpu_us": round(cpu / endpoints, 1)}
        for restart in restarts:
            for figures in restart(lab):
                yield figures.pop("bench"), figures


def scale(args, pause, restarts):
    by_name = {}
    for endpoints in args.sizes:
        for name, figures in one_size(endpoints, args, pause, restarts):
            by_name.setdefault(name, []).append(figures.get("cpu_us"))
            yield {"bench": f"scale-{name}", "endpoints": endpoints, **figures}
    for name, (few, many) in by_name.items():
        if few:
            yield {"bench": "scale-ratio", "what": name, "cpu_us_few": few, "cpu_us_many": many, "ratio": round(many / few, 2)}
