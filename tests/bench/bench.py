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

from lab import Lab  # noqa: E402
from supervisor import Timeout, wait  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def pause(seconds):
    try:
        wait("the time to pass", lambda: False, seconds)
    except Timeout:
        pass


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
        cpu, begin = cpu_seconds(lab.agent.pid), time.monotonic()
        lab.control("rate all max")
        pause(args.seconds)
        lab.control("stop all")
        took = time.monotonic() - begin
        reports, delivered, lost = lab.drained(30)
        yield {"bench": "delivery", "endpoints": args.endpoints, "seconds": round(took, 1), "reports": reports,
               "per_second": round(reports / took), "delivered": delivered, "lost": len(lost),
               "agent_cpu_us_each": round((cpu_seconds(lab.agent.pid) - cpu) * 1e6 / max(1, reports), 1),
               "agent_pss_mib": round(pss_kib(lab.agent.pid) / 1024, 1)}


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
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    benches = {"onboard": onboard, "delivery": delivery}
    for path in sorted(glob.glob(os.path.join(args.build, "tests", "bench", "bench-*"))):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            benches[os.path.basename(path).removeprefix("bench-")] = program(path)
    if args.name and args.name not in benches:
        parser.error(f"there is no benchmark '{args.name}'; there are {', '.join(sorted(benches))}")
    results = []
    for name in [args.name] if args.name else benches:
        for result in benches[name](args):
            print(json.dumps(result), flush=True)
            results.append(result)
    print_tables(results)


if __name__ == "__main__":
    main()
