# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./run demo`: a gateway at work on private, unprivileged parts, with a live table.

Simulated chips are plugged into serial lines, or hang on a CAN bus or an RS-485 pair that keeps the time of a real one; each is proven, onboarded and
publishing to a real Mosquitto in its own name, without a hand being lifted. Everything is supervised, so any of it may be killed. At the end production stops and what
was acknowledged to the endpoints is compared with what an independent subscriber saw.
"""
import argparse
import os
import re
import shutil
import signal
import sys
import textwrap
import time
from collections import Counter

from gi.repository import GLib

from bus import NAME, Client
from lab import KINDS, Lab, acknowledged
from supervisor import within

REFRESH_S = 0.5
PLAIN_S = 5.0
DRAIN_S = 5.0
WIDE = 115  # columns from which on a reason has room beside its endpoint
SHARED = {"can": "a CAN bus", "rs485": "an RS-485 pair"}  # kinds of buses that several endpoints share


class Screen:
    """A table redrawn in place on a terminal; on anything else, a line now and then."""

    def __init__(self, out=sys.stdout):
        self.out, self.tty = out, out.isatty()
        self.drawn = 0
        self.last_plain = 0.0

    def say(self, text=""):
        self.clear()
        self.out.write(text + "\n")
        self.out.flush()

    def clear(self):
        if self.drawn:
            self.out.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def draw(self, lines):
        size = shutil.get_terminal_size()
        self.clear()
        if len(lines) > size.lines - 2:
            keep = max(2, size.lines - 4)
            lines = lines[:keep] + [f"... and {len(lines) - keep - 1} more", lines[-1]]
        self.out.write("".join(line[:size.columns - 1] + "\n" for line in lines))
        self.out.flush()
        self.drawn = len(lines)


class Demo:
    def __init__(self, args):
        self.args = args
        self.lab = Lab(endpoints=args.endpoints, build=args.build, bus=args.bus)
        self.screen = Screen()
        self.began = time.monotonic()
        self.stopping = 0  # Ctrl-C's so far
        self.acked = set()
        self.objects = {}
        self.chips = []
        self.loads = {}  # path of a bus: its load now, its highest
        self.lines = {}  # key id -> the line it was last seen on

    # Setting up

    def start(self):
        lab = self.lab
        lab.start_bus()
        lab.prepare()
        lab.start_sim(restart=True)
        lab.start_agent()
        lab.start_broker()
        self.chips = lab.chips()
        lab.start_plugins()
        for what, done in (("the manifest's import", lab.import_manifest()), ("the batch", lab.add_batch(lab.ids()))):
            if not done[0]:
                raise RuntimeError(f"{what} failed: {done[2]}")

    def tell_how_to_reach(self):
        address = self.lab.address
        ctl = os.path.relpath(self.lab.binary("src", "gangwayctl", "gangwayctl"))
        sim = os.path.relpath(self.lab.binary("src", "simulator", "gangway-sim"))
        self.screen.say(f"""Gangway demo: {self.args.endpoints} simulated endpoints, broker mqtts://localhost:{self.lab.broker.port}.

{self.picture()}

From another terminal:
  busctl --address={address} tree {NAME}
  {ctl} --bus={address} list
  or once: export DBUS_SYSTEM_BUS_ADDRESS={address}
Kill what you like (pids: {', '.join(f'{p.name} {p.pid}' for p in self.core())}); it comes back within a second.
Pull a plug: {sim} --ctl {self.lab.path('sim.socket')} unplug 0
  (and: replug 0, power-cycle 0, foreign, clone 0, lie 0 cbor ...; --help names all)
Folder: {self.lab.folder}
""")

    def picture(self):
        """A line for each kind of wire: who hangs on it, what it is, who serves it."""
        lab, wires = self.lab, self.lab.wires
        first = lab.endpoints - wires["serial"]
        rows = [row for row in (
            (wires["can"], "nodes", f"on one CAN bus, {lab.can_rate // 1000} kbit/s", lab.line_of(0), "gangway-can"),
            (wires["rs485"], "stations", f"on one RS-485 pair, {lab.speed} bit/s", lab.line_of(wires["can"]), "gangway-serial"),
            (wires["serial"], "chips", "on a serial line each", f"ttyGW{first}..{lab.endpoints - 1}",
             f"{wires['serial']} x gangway-serial")) if row[0]]
        lines = [f"{n:>4} {who:<9}{what:<35}{line:<13}{plugin:<19}" for n, who, what, line, plugin in rows]
        lines[len(lines) // 2] += f" - gangwayd - {len(lab.chips())} MQTT clients - Mosquitto"
        return "\n".join(line.rstrip() for line in lines)

    def core(self):
        lab = self.lab
        return [p for p in (lab.agent, lab.broker.process, lab.sim, *list(lab.plugins.values())[:1]) if p]

    # The table

    def refresh(self):
        """Reads everything anew; whatever is being restarted just now keeps what was known of it."""
        lab = self.lab
        self.plug_in()
        if lab.bus.connection.is_closed():
            try:
                lab.bus = Client(lab.address)
            except GLib.Error:
                return
        if lab.bus.owner:
            lab.bus.refresh()
            if lab.bus.objects:
                self.objects = lab.bus.objects
            self.read_loads()
        else:
            self.objects = {}
        try:
            self.acked |= acknowledged(lab.control("acknowledged", timeout=5))
        except (OSError, ValueError, AssertionError):
            pass
        lab.subscriber.read()

    def plug_in(self):
        """A line that appeared (of a foreign chip, a clone, a move) gets its plugin, as udev and systemd would see to."""
        for name in os.listdir(self.lab.ports):
            match = re.fullmatch(r"ttyGW(\d+)", name)
            if match and int(match.group(1)) not in self.lab.plugins:
                self.lab.start_plugin(int(match.group(1)))

    def endpoints(self):
        key = f"{NAME}.Endpoint"
        return {o[key]["Id"]: o[key] for o in self.objects.values() if key in o}

    def online(self):
        known = self.endpoints()
        return sum(known.get(chip["key_id"], {}).get("State") == "online" for chip in self.chips)

    def counts(self):
        acked, seen = {}, {}
        for endpoint, _boot, _q in self.acked:
            acked[endpoint] = acked.get(endpoint, 0) + 1
        for endpoint, _boot, _q in self.lab.subscriber.deliveries:
            seen[endpoint] = seen.get(endpoint, 0) + 1
        return acked, seen

    def line_of(self, key_id, endpoint, default):
        """The line and, where several share it, the number on it: ttyCAN0:5."""
        bus, address = endpoint.get("Bus", ""), endpoint.get("Address", 0)
        if bus.count("/") > 1:
            self.lines[key_id] = bus.rsplit("/", 1)[1] + (f":{address}" if address else "")
        return self.lines.get(key_id, default)

    def shared_buses(self):
        key = f"{NAME}.Bus"
        return [(path, o[key]) for path, o in sorted(self.objects.items()) if key in o and o[key]["Kind"] in SHARED]

    def read_loads(self):
        """Loads are told on being asked only."""
        for path, _bus in self.shared_buses():
            try:
                load = self.lab.bus.get(path, "Bus", "Load")
            except GLib.Error:
                continue
            self.loads[path] = load, max(load, self.loads.get(path, (0, -1))[1])

    def shared_lines(self):
        """A line for each bus that several endpoints share: how it stands."""
        lines = []
        for path, bus in self.shared_buses():
            load, most = self.loads.get(path, (-1, -1))
            lines.append(f"{bus['Name']} ({SHARED[bus['Kind']]}): {bus['NodeCount']} nodes found, link {bus['LinkState']}"
                         + (f", {load:.0%} of its bit rate in use, at most {most:.0%} so far" if most >= 0 else ""))
        return lines

    def table(self, columns=WIDE):
        """The chips of the manifest and whatever else was plugged in; on a narrow screen the reasons stand below."""
        known = self.endpoints()
        acked, seen = self.counts()
        rows = [(chip["key_id"], chip["serial_number"], self.lab.line_of(n)) for n, chip in enumerate(self.chips)]
        ours = {row[0] for row in rows}
        rows += [(key_id, e.get("SerialNumber", ""), "?") for key_id, e in known.items() if key_id not in ours]
        wide = columns >= WIDE
        lines = [f"{'LINE':<11} {'ENDPOINT':<17} {'SERIAL NO.':<14} {'STATE':<11} {'ACKED':>6} {'ARRIVED':>7}"
                 + ("  WHY" if wide else "")]
        below = {}  # why: lines
        for key_id, serial, default in rows:
            e = known.get(key_id, {})
            line, why = self.line_of(key_id, e, default), e.get("StateReason", "")
            lines.append(f"{line:<11} {key_id[:16]:<17} {serial:<14} {e.get('State', '-'):<11} {acked.get(key_id, 0):>6} "
                         f"{seen.get(key_id, 0):>7}" + (f"  {why}" if wide and why else ""))
            if why and not wide:
                below.setdefault(why, []).append(line)
        for why, where in below.items():
            lines += textwrap.wrap(f"{', '.join(where)}: {why}", columns - 1, subsequent_indent="  ")
        return lines + self.shared_lines() + [self.summary()]

    def summary(self):
        agent = "" if self.objects else "; the agent is away"
        return (f"{time.monotonic() - self.began:5.0f} s: {self.online()} of {self.args.endpoints} online, "
                f"{len(self.acked)} reports acknowledged, {len(self.lab.subscriber.deliveries)} arrived{agent}")

    def show(self, force=False):
        self.refresh()
        if self.screen.tty:
            self.screen.draw(self.table(shutil.get_terminal_size().columns))
        elif force:
            self.screen.say("\n".join(self.table()))
        elif time.monotonic() - self.screen.last_plain >= PLAIN_S:
            self.screen.last_plain = time.monotonic()
            self.screen.say(self.summary())

    # The whole

    def pause(self, seconds):
        within(seconds, lambda: self.stopping)

    def interrupted(self, *_args):
        self.stopping += 1
        if self.stopping > 1:
            raise KeyboardInterrupt

    def run(self):
        self.start()
        self.tell_how_to_reach()
        self.show(force=True)
        end = time.monotonic() + self.args.seconds if self.args.seconds else None
        while not self.stopping and (end is None or time.monotonic() < end):
            self.pause(min(REFRESH_S, max(0.01, end - time.monotonic())) if end else REFRESH_S)
            self.show()
        self.refresh()
        online = self.online()
        self.stopping = max(self.stopping, 1)
        lost, delivered = self.drain()
        self.show(force=True)
        self.screen.drawn = 0
        return online, len(self.acked), delivered, lost

    def drain(self):
        """Production stops; then all that was acknowledged has DRAIN_S to arrive."""
        try:
            self.lab.control("stop all")
            self.lab.drained(DRAIN_S)
        except (OSError, ValueError, AssertionError) as error:
            self.screen.say(f"demo: the simulator does not answer: {error}")
        self.refresh()
        seen = self.lab.subscriber.deliveries
        return sum(key not in seen for key in self.acked), len(seen)


def count_ends(statuses):
    """Each status once: a plugin whose line somebody else has ends every second."""
    return ", ".join(f"{status}" + (f" ({n} times)" if n > 1 else "") for status, n in Counter(statuses).items())


def main():
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--endpoints", type=int, default=4, metavar="N", help="number of endpoints (default 4)")
    parser.add_argument("--seconds", type=float, default=0, metavar="S", help="end after S seconds (default: at Ctrl-C)")
    parser.add_argument("--bus", choices=KINDS, default="serial",
                        help="what they hang on: a line each (default), one CAN bus, one RS-485 pair, or as even as it goes over all kinds")
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.endpoints < 1:
        parser.error("--endpoints must be at least 1")
    demo = Demo(args)
    signal.signal(signal.SIGINT, demo.interrupted)
    signal.signal(signal.SIGTERM, demo.interrupted)
    failed = True
    try:
        online, reports, delivered, lost = demo.run()
        failed = online != args.endpoints or lost > 0
    except KeyboardInterrupt:
        demo.screen.say("demo: interrupted")
        return 130
    except (AssertionError, RuntimeError, GLib.Error) as error:
        demo.screen.say(f"demo: {error}")
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Whoever watches may kill what he likes, so an exit is worth a line and not a failure.
        for process in demo.lab.supervisor.processes:
            ends = count_ends(status for _pid, status, wanted in process.exits if status and not wanted)
            if ends and not process.may_fail:
                demo.screen.say(f"demo: {process.name} ended with {ends} and was started again")
        try:
            demo.lab.close(failed=failed)
        except AssertionError:
            pass
    print(f"demo: endpoints={args.endpoints} online={online} reports={reports} delivered={delivered} lost={lost}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
