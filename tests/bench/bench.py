# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./run bench [NAME]`: measures, prints one JSON object a line, then a table of them.

A benchmark is a function here (a lab with the real parts) or a program bench-NAME that prints JSON lines itself.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import rs485  # noqa: E402
import scale  # noqa: E402
import yardstick  # noqa: E402
import canbus  # noqa: E402
from lab import Lab  # noqa: E402
from supervisor import pause, wait  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """In ticks of 10 ms with threads that have ended, or to the nanosecond without them: what is more."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        words = f.read().rsplit(")", 1)[1].split()
    fine = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as f:
            fine += int(f.read().split()[0])
    return max((int(words[11]) + int(words[12])) / TICKS, fine / 1e9)


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def onboard(args):
    """From the claim to all endpoints online: time, the agent's processor time and memory for each."""
    with Lab(endpoints=args.endpoints, build=args.build, sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start(claim=False)
        wait("all endpoints proven", lambda: sum(
            e["Presence"] == "proved" for e in lab.bus.endpoints().values()) == args.endpoints, 300)
        cpu, pss, begin = cpu_seconds(lab.agent.pid), pss_kib(lab.agent.pid), time.monotonic()
        lab.import_manifest()
        lab.add_batch(lab.ids())
        lab.wait_online(timeout=600)
        took = time.monotonic() - begin
        yield {"bench": "onboard", "endpoints": args.endpoints, "seconds": round(took, 2),
               "per_second": round(args.endpoints / took, 1),
               "agent_cpu_ms_each": round((cpu_seconds(lab.agent.pid) - cpu) * 1000 / args.endpoints, 2),
               "agent_pss_kib_each": round((pss_kib(lab.agent.pid) - pss) / args.endpoints, 1)}


def delivery(args):
    """Reports as fast as they are acknowledged: rate, the agent's processor time for each, what arrived."""
    with Lab(endpoints=args.endpoints, build=args.build, sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start()
        lab.wait_online(timeout=300)
        cost, begin = Cost(lab), time.monotonic()
        lab.control("rate all max")
        pause(args.seconds)
        lab.control("stop all")
        took = time.monotonic() - begin
        reports, delivered, lost = lab.drained(30)
        spent = cost.spent()
        yield {"bench": "delivery", "endpoints": args.endpoints, "seconds": round(took, 1), "reports": reports,
               "per_second": round(reports / took), "delivered": delivered, "lost": len(lost),
               "agent_cpu_us_each": round(spent["agent_cpu_s"] * 1e6 / max(1, reports), 1),
               "agent_pss_mib": round(pss_kib(lab.agent.pid) / 1024, 1), **spent}
        yield from yardstick.rates(lab)


class Cost:
    """Processor time of the agent, and apart from it of what shares the cores with it: broker, simulator, plugins."""

    def __init__(self, lab):
        self.lab = lab
        self.begin = self.now()

    def now(self):
        lab = self.lab
        groups = {"agent": [lab.agent], "broker": [lab.broker.process], "simulator": [lab.sim],
                  "plugins": list(lab.plugins.values())}
        return {name: sum(cpu_seconds(p.pid) for p in processes if p.alive) for name, processes in groups.items()}

    def spent(self):
        now = self.now()
        return {f"{name}_cpu_s": round(now[name] - self.begin[name], 2) for name in now}


def poweron(args):
    """Everything claimed beforehand, then all plugins start: from their start to all endpoints online."""
    with Lab(endpoints=args.endpoints, build=args.build, sim_args=["--rate", "0"], broker_saves=False) as lab:
        count, lab.endpoints = lab.endpoints, 0
        lab.start_bus()
        lab.prepare()
        lab.endpoints = count
        lab.start_sim()
        lab.start_agent()
        lab.start_broker()
        assert lab.import_manifest()[0] and lab.add_batch(lab.ids())[0]
        cost, begin = Cost(lab), time.monotonic()
        for n in range(count):
            lab.start_plugin(n)
        lab.wait_online(timeout=300)
        took = time.monotonic() - begin
        spent = cost.spent()
        yield {"bench": "poweron", "endpoints": count, "seconds": round(took, 2),
               "agent_cpu_ms_each": round(spent["agent_cpu_s"] * 1000 / count, 2), **spent}
        yield from memory(lab)
        yield from objects(lab)
        yield from broker_restart(lab)
        yield from agent_restart(lab)


def memory(lab):
    with open(f"/proc/{lab.agent.pid}/smaps_rollup", encoding="utf-8") as f:
        sizes = {line.split()[0]: int(line.split()[1]) for line in f if len(line.split()) == 3}
    yield {"bench": "memory", "endpoints": lab.endpoints, "pss_mib": round(sizes["Pss:"] / 1024, 1),
           "private_dirty_mib": round(sizes["Private_Dirty:"] / 1024, 1), "rss_mib": round(sizes["Rss:"] / 1024, 1)}


def objects(lab):
    times = []
    for _ in range(10):
        begin = time.monotonic()
        lab.bus.call("/org/gangway/Gangway1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        times.append((time.monotonic() - begin) * 1000)
    yield {"bench": "objects", "endpoints": lab.endpoints, "median_ms": round(sorted(times)[5], 1),
           "longest_ms": round(max(times), 1)}


def broker_restart(lab):
    lab.broker.process.kill()
    wait("the broker's restart", lambda: lab.broker.process.starts > 1 and lab.broker.process.alive, 10)
    lab.broker.wait_ready()
    begin = time.monotonic()
    wait("the loss to be seen", lambda: any(e["State"] != "online" for e in lab.bus.endpoints().values()), 10)
    lab.wait_online(timeout=120)
    yield {"bench": "broker-restart", "endpoints": lab.endpoints, "seconds_to_all_online": round(time.monotonic() - begin, 2)}


def agent_restart(lab):
    lab.agent.kill()
    wait("the agent to be away", lambda: not lab.bus.owner, 10)
    starts = lab.agent.starts
    wait("its restart", lambda: lab.agent.starts > starts or lab.agent.alive, 10)
    begin = time.monotonic()
    lab.wait_agent()
    ready = time.monotonic() - begin
    lab.wait_online(timeout=120)
    yield {"bench": "agent-restart", "endpoints": lab.endpoints, "seconds_to_ready": round(ready, 3),
           "seconds_to_all_online": round(time.monotonic() - begin, 2)}


def latency(args):
    """500 reports a second in all: from the reading at the endpoint to its arrival at a subscriber."""
    with Lab(endpoints=args.endpoints, build=args.build, sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start()
        lab.wait_online(timeout=300)
        watcher = lab.supervisor.start(
            "latency", ["mosquitto_sub", *lab.broker.client_args(), "-i", "latency", "-q", "0", "-t", "gangway/+/telemetry",
                        "-F", "%U\t%p"])
        pause(1)
        cost = Cost(lab)
        lab.control(f"rate all {500 / args.endpoints:g}")
        pause(args.seconds)
        lab.control("stop all")
        pause(1)
        spent, times = cost.spent(), []
        for line in watcher.text().splitlines():
            arrived, tab, payload = line.partition("\t")
            if not tab or not payload.startswith("[{"):
                continue
            records = json.loads(payload)
            times.append((float(arrived) - records[0]["bt"] - min(r.get("t", 0) for r in records)) * 1000)
        times.sort()
        yield {"bench": "latency", "endpoints": args.endpoints, "reports": len(times),
               "per_second": round(len(times) / args.seconds), "p50_ms": round(times[len(times) // 2], 1),
               "p99_ms": round(times[int(len(times) * 0.99)], 1), "longest_ms": round(times[-1], 1), **spent}
        yield from yardstick.latencies(lab, args.seconds)


def signatures(args):
    """Every endpoint signs two seconds late, and the broker has gone and come back: how soon calls on D-Bus are answered meanwhile."""
    with Lab(endpoints=args.endpoints, build=args.build) as lab:
        lab.start()
        lab.wait_online(timeout=300)
        lab.storm(lambda: False, 1)
        threads, most, times, starts = lab.agent_threads(), 0, [], lab.broker.process.starts
        lab.control("sign-delay all 2000")
        lab.broker.process.kill()
        wait("the broker's restart", lambda: lab.broker.process.starts > starts)
        lab.broker.wait_ready()
        begin = time.monotonic()
        online = lambda: sum(e.get("State") == "online" for e in lab.bus.of("Endpoint").values())
        wait("the connections' end", lambda: online() < lab.endpoints)
        while online() < lab.endpoints:
            times += lab.storm(lambda: online() == lab.endpoints, 0.25)
            most = max(most, lab.agent_threads())
        times.sort()
        yield {"bench": "signatures", "endpoints": args.endpoints, "late_s": 2, "seconds_to_all_online": round(time.monotonic() - begin, 1),
               "calls": len(times), "p50_ms": round(times[len(times) // 2], 1), "longest_ms": round(times[-1], 1),
               "threads_before": threads, "threads_at_most": most}


def yardsticks(args):
    """The yardsticks alone; delivery and latency have them in their own runs."""
    with Lab(endpoints=0, build=args.build, broker_saves=False) as lab:
        lab.start_bus()
        lab.prepare()
        lab.start_sim()
        lab.start_agent()
        lab.start_broker()
        yield from yardstick.rates(lab)
        yield from yardstick.latencies(lab, args.seconds)


def program(path):
    def run(_args):
        done = subprocess.run([path], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                yield json.loads(line)
    return run


def print_tables(results):
    """One table for each kind of result, for their keys differ."""
    kinds = {}
    for result in results:
        kinds.setdefault(tuple(result), []).append(result)
    for keys, rows in kinds.items():
        cells = [list(keys)] + [[str(row[k]) for k in keys] for row in rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(keys))]
        print()
        for row in cells:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("name", nargs="?", help="one benchmark; without it all of them")
    parser.add_argument("--endpoints", type=int, default=20, metavar="N")
    parser.add_argument("--seconds", type=float, default=10, metavar="S")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=scale.SIZES, metavar="FEW,MANY",
                        help="endpoints that scale compares (100,1000)")
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    benches = {"poweron": poweron, "onboard": onboard, "delivery": delivery, "latency": latency, "signatures": signatures,
               "scale": lambda args: scale.scale(args, pause, (broker_restart, agent_restart)),
               "can": lambda args: canbus.can(args, pause, cpu_seconds), "rs485": lambda args: rs485.rs485(args, pause)}
    alone = {"yardstick": yardsticks}
    for path in sorted(glob.glob(os.path.join(args.build, "tests", "bench", "bench-*"))):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            benches[os.path.basename(path).removeprefix("bench-")] = program(path)
    if args.name and args.name not in {**benches, **alone}:
        parser.error(f"there is no benchmark '{args.name}'; there are {', '.join(sorted({**benches, **alone}))}")
    results = []
    for name in [args.name] if args.name else benches:
        for result in {**benches, **alone}[name](args):
            print(json.dumps(result), flush=True)
            results.append(result)
    print_tables(results)


if __name__ == "__main__":
    main()
