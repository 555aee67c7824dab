# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./run bench can`: gangway-can at a simulated SLCAN adapter, on a bus that keeps the time of a real one.

The bounds come from the frames that were really sent: the simulator counts their bits, stuff bits included.
"""
import time

from gi.repository import GLib

from lab import CAN, Lab
from standin import StandIn, filler
from supervisor import wait

DATAGRAM = 1024  # octets: the largest mtu of an endpoint
TICK_MS = 2
NODES = 32
NEWCOMERS = 3
OTHERS = 7
# What a node may do, how it ends, and the share of the bus that it leaves.
MISDEEDS = (("babble {} isotp 0.5", "babble {} off", 0.5), ("babble {} heartbeat 0.5", "babble {} off", 0.5),
            ("babble {} high 0.5", "babble {} off", 0.5), ("flood {} 512", "flood {} off", 0.5),
            ("stall {} 2", "stall {} off", 1), ("stall {} wait", "stall {} off", 1), ("liar {} on", "liar {} off", 1))


def isotp(args, pause, cpu_seconds):
    """One node, one direction, nothing else: octets a second against (payload of a full frame) / (its bits)."""
    for name, data_rate in (("classic 500k", 0), ("FD 500k/2M", 2000000)):
        with Lab(endpoints=1, build=args.build, bus="can", can_data_rate=data_rate, sim_args=["--rate", "0", "--mtu", str(DATAGRAM)]) as lab:
            lab.start_bus(client=False)
            lab.start_sim()
            agent = StandIn(lab.address)
            lab.start_plugins()
            wait("the node", lambda: agent.nodes, 30)
            node, = agent.nodes
            pause(2)  # its ClientHellos are over
            for direction in ("up", "down"):
                yield {"bench": "can-isotp", "link": name, "direction": direction,
                       **saturate(lab, agent, node, direction, data_rate, args.seconds, pause, cpu_seconds)}
            agent.close()


def saturate(lab, agent, node, direction, data_rate, seconds, pause, cpu_seconds):
    before, come, cpu, sim_cpu, begin = bus(lab), counted(lab, direction), 0, 0, time.monotonic()
    cpu, sim_cpu = cpu_seconds(lab.plugins[CAN].pid), cpu_seconds(lab.sim.pid)
    if direction == "up":
        lab.control(f"flood 0 {DATAGRAM}")
        pause(seconds)
    else:
        feed(agent, node, data_rate, seconds, pause)
    took = time.monotonic() - begin
    payload = counted(lab, direction) - come
    plugin = cpu_seconds(lab.plugins[CAN].pid) - cpu
    simulator = cpu_seconds(lab.sim.pid) - sim_cpu
    after = bus(lab)
    if direction == "up":
        lab.control("flood 0 off")
    frames, nsec = after["full_frames"] - before["full_frames"], after["full_ns"] - before["full_ns"]
    bound = frames * (63 if data_rate else 7) / (nsec / 1e9)
    return {"seconds": round(took, 1), "octets_per_second": round(payload / took), "bound": round(bound),
            "share": round(payload / took / bound, 3), "bus_in_use": round((after["busy_ns"] - before["busy_ns"]) / 1e9 / took, 3),
            "plugin_cpu_percent": round(plugin / took * 100, 1), "simulator_cpu_percent": round(simulator / took * 100, 1)}


def feed(agent, node, data_rate, seconds, pause):
    """More than the wire takes: the plugin's queue is never empty, and what it drops does not count."""
    datagram, rate = filler(DATAGRAM), 200000 if data_rate else 40000
    begin, sent = time.monotonic(), 0

    def more():
        nonlocal sent
        while sent * DATAGRAM < (time.monotonic() - begin) * rate and agent.send(node, datagram):
            sent += 1
        return True
    source = GLib.timeout_add(TICK_MS, more)
    pause(seconds)
    GLib.source_remove(source)


def counted(lab, direction):
    """By what the node was told: its messages were taken, those of the other side have come."""
    line = lab.sim_status(0)["line"]
    return line["isotp"]["messages_out"] * DATAGRAM if direction == "up" else line["octets_in"]


def bus(lab):
    return lab.control("can")["can"]


class Watch:
    """When what came about, on the way of all nodes from power to online."""

    def __init__(self, lab, cpu_seconds):
        self.lab, self.cpu_seconds, self.begin, self.bits = lab, cpu_seconds, time.monotonic(), bus(lab)
        self.first_online = self.all_numbered = None
        self.cpu = cpu_seconds(lab.plugins[CAN].pid) if CAN in lab.plugins else 0

    def look(self):
        now = time.monotonic() - self.begin
        online = sum(e["State"] == "online" for e in self.lab.bus.endpoints().values())
        if online and not self.first_online:
            self.first_online = now
        if not self.all_numbered and bus(self.lab)["numbered"] >= self.lab.endpoints:
            self.all_numbered = now
        return online == self.lab.endpoints

    def run(self, timeout=300):
        wait("all to be online", self.look, timeout)
        took, after = time.monotonic() - self.begin, bus(self.lab)
        bits = (after["busy_ns"] - self.bits["busy_ns"]) / 1e9
        return {"endpoints": self.lab.endpoints, "first_online_s": round(self.first_online, 2),
                "all_numbered_s": round(self.all_numbered, 2), "all_online_s": round(took, 2), "bits_on_wire_s": round(bits, 2),
                "ratio": round(took / bits, 2), "frames": after["frames"] - self.bits["frames"],
                "handshakes_failed": sum(e["handshakes_failed"] for e in self.lab.sim_status()),
                "plugin_cpu_s": round(self.cpu_seconds(self.lab.plugins[CAN].pid) - self.cpu, 2)}


def online(args, pause, cpu_seconds):
    """All nodes from power-up, unknown, to online; again with the numbers that they have; then a newcomer among them."""
    with Lab(endpoints=NODES + 1, build=args.build, bus="can", sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start(plugins=False)
        lab.control(f"power {NODES} off")
        lab.endpoints = NODES
        ids = lab.ids()
        lab.start_can()
        lab.control("power-cycle all")
        lab.control(f"power {NODES} off")
        yield {"bench": "can-online", "begin": "power-up, new", **Watch(lab, cpu_seconds).run()}
        pause(6)  # an endpoint begins no more often than every 5 s
        lab.plugins[CAN].stop()
        lab.agent.kill()
        wait("the agent to be away", lambda: not lab.bus.owner, 10)
        lab.wait_agent()
        lab.plugins[CAN].resume()
        yield {"bench": "can-online", "begin": "numbered, known", **Watch(lab, cpu_seconds).run()}
        lab.control("start all")
        lab.control("rate all 1")
        for _ in range(NEWCOMERS):
            pause(5)
            yield newcomer(lab, ids[NODES])


def numbered_new(args, pause, cpu_seconds):
    """Chips that the agent has never seen, but that have their numbers already: what proving and enrolling them takes."""
    with Lab(endpoints=NODES, build=args.build, bus="can", sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start(plugins=False)
        lab.agent.stop()
        wait("the agent to be away", lambda: not lab.bus.owner, 10)
        agent = StandIn(lab.address)
        lab.start_can()
        wait("all to be numbered", lambda: bus(lab)["numbered"] == NODES and len(agent.nodes) == NODES, 120)
        pause(6)
        agent.leave()
        lab.agent.resume()
        lab.wait_agent()
        yield {"bench": "can-online", "begin": "numbered, new", **Watch(lab, cpu_seconds).run()}


def newcomer(lab, key_id):
    lab.control(f"power {NODES} off")
    wait("it to be missed", lambda: lab.bus.endpoints().get(key_id, {}).get("Presence", "absent") == "absent", 60)
    begin = time.monotonic()
    lab.control(f"power {NODES} on")
    wait("it to be numbered", lambda: lab.sim_status(NODES)["line"]["node"], 30)
    numbered = time.monotonic() - begin
    lab.wait_online([key_id], 60)
    return {"bench": "can-newcomer", "endpoints": NODES, "numbered_s": round(numbered, 2),
            "online_s": round(time.monotonic() - begin, 2)}


def fairness(args, pause):
    """What the others deliver beside a node that misbehaves, against what they would have of the bus that it leaves."""
    with Lab(endpoints=OTHERS + 1, build=args.build, bus="can", sim_args=["--rate", "0"], broker_saves=False) as lab:
        lab.start()
        lab.wait_online(timeout=120)
        pause(6)
        bad = next(e["port"] for e in lab.sim_status() if e["line"]["node"] == 1)  # wins against all the others
        lab.control("rate all max")
        lab.control(f"rate {bad} 0")
        healthy = flow(lab, bad, args.seconds, pause)
        yield {"bench": "can-fairness", "nodes": OTHERS, "beside": "a silent node", "others_per_second": round(healthy, 1),
               "of_what_is_left": 1.0}
        for command, undo, left in MISDEEDS:
            lab.control(command.format(bad))
            rate = flow(lab, bad, args.seconds, pause)
            lab.control(undo.format(bad))
            yield {"bench": "can-fairness", "nodes": OTHERS, "beside": command.format("").replace("  ", " "),
                   "others_per_second": round(rate, 1), "of_what_is_left": round(rate / healthy / left, 2)}
            lab.control(f"rate {bad} 0")
            pause(3)


def flow(lab, bad, seconds, pause):
    """Reports a second that the others had acknowledged, once it has begun."""
    pause(1.5)
    before, begin = others(lab, bad), time.monotonic()
    pause(seconds)
    return (others(lab, bad) - before) / (time.monotonic() - begin)


def others(lab, bad):
    return sum(e["acked"] for e in lab.sim_status() if e["port"] != bad)


def can(args, pause, cpu_seconds):
    yield from isotp(args, pause, cpu_seconds)
    yield from numbered_new(args, pause, cpu_seconds)
    yield from online(args, pause, cpu_seconds)
    yield from fairness(args, pause)
