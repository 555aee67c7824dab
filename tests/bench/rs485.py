# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sixteen stations on an RS-485 pair at 115,200 bit/s that takes its true time.

cold      claimed beforehand; from the start of the plugin to the first and the last one online, beside what the octets on the
          wire alone take
reports   one a second and station: latency from the reading to a subscriber, what was lost, how much of the wire is in use
new       one more station, plugged in again and again: until it has its number, and until it is online
"""
import os
import time

from broker import delivery_of
from lab import Lab
from supervisor import wait

STATIONS = 16
SPEED = 115200
ROUNDS = 5
REPORT_SECONDS = 30


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def pair(lab):
    return lab.control("rs485")["rs485"]


def rs485(args, pause):
    with Lab(endpoints=STATIONS + 1, build=args.build, bus="rs485", speed=SPEED, sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start(plugins=False)
        lab.control(f"unplug {STATIONS}")
        yield cold(lab)
        yield reports(lab, max(args.seconds, REPORT_SECONDS), pause)
        yield from new(lab)


def cold(lab):
    ids = lab.ids()[:STATIONS]
    wire, begin = pair(lab)["octets"], time.monotonic()
    lab.start_plugins()
    wait("the first one online", lambda: any(lab.state_of(i) == "online" for i in ids), 60)
    first = time.monotonic() - begin
    lab.wait_online(ids, timeout=180)
    took = time.monotonic() - begin
    octets = pair(lab)["octets"] - wire
    return {"bench": "rs485-cold", "stations": STATIONS, "first_online_s": round(first, 2), "all_online_s": round(took, 2),
            "octets_on_the_wire": octets, "wire_s": round(octets * 10 / SPEED, 2)}


def reports(lab, seconds, pause):
    plugin = next(iter(lab.plugins.values()))
    watcher = lab.supervisor.start(
        "latency", ["mosquitto_sub", *lab.broker.client_args(), "-i", "latency", "-q", "0", "-t", "gangway/+/telemetry",
                    "-F", "%U\t%t\t%p"])
    pause(1)
    lab.control("rate all 1")
    pause(3)  # until all have begun
    before = pair(lab)
    cpu, sim_cpu, begin = cpu_seconds(plugin), cpu_seconds(lab.sim), time.monotonic()
    pause(seconds)
    took, after = time.monotonic() - begin, pair(lab)
    cpu, sim_cpu = cpu_seconds(plugin) - cpu, cpu_seconds(lab.sim) - sim_cpu
    lab.control("stop all")
    acked, _delivered, lost = lab.drained(20)
    pause(0.5)
    times = sorted(latencies(watcher.text(), made(lab)))
    assert len(times) == acked, f"{acked} reports acknowledged, the times of {len(times)} known"
    return {"bench": "rs485-reports", "stations": STATIONS, "seconds": round(took, 1), "reports": acked, "lost": len(lost),
            "p50_ms": round(times[len(times) // 2]), "p99_ms": round(times[int(len(times) * 0.99)]),
            "longest_ms": round(times[-1]), "wire_in_use_percent": round(after["busy"] * 100, 1),
            "damaged_octets": after["damaged"] - before["damaged"], "plugin_cpu_percent": round(cpu * 100 / took, 1),
            "simulator_cpu_percent": round(sim_cpu * 100 / took, 1)}


def made(lab):
    """When each report was made: {(endpoint, boot, sequence): seconds since 1970}."""
    times = {}
    for endpoint in lab.control("produced", timeout=30)["endpoints"]:
        for boot in endpoint["boots"]:
            for n, usec in enumerate(boot["usec"]):
                times[endpoint["kid"], boot["bt"], boot["first"] + n] = usec / 1e6
    return times


def latencies(text, times):
    for line in text.splitlines():
        arrived, _tab, message = line.partition("\t")
        topic, tab, payload = message.partition("\t")
        key = delivery_of(topic, payload) if tab else None
        if key:
            yield (float(arrived) - times[key]) * 1000


def new(lab):
    """While the others report once a second."""
    key_id = lab.ids()[STATIONS]
    lab.control("rate all 1")
    found, online = [], []
    for _ in range(ROUNDS):
        begin = time.monotonic()
        lab.control(f"replug {STATIONS}")
        wait("its number", lambda: lab.sim_status(STATIONS)["line"]["station"] != 0, 60)
        found.append(time.monotonic() - begin)
        lab.wait_state(key_id, "online", 60)
        online.append(time.monotonic() - begin)
        lab.control(f"unplug {STATIONS}")
        wait("its loss to be seen", lambda: lab.state_of(key_id) != "online", 60)
    lab.control("stop all")
    yield {"bench": "rs485-new", "stations": STATIONS, "rounds": ROUNDS, "numbered_median_s": round(sorted(found)[ROUNDS // 2], 2),
           "numbered_longest_s": round(max(found), 2), "online_median_s": round(sorted(online)[ROUNDS // 2], 2),
           "online_longest_s": round(max(online), 2)}
