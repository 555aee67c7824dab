# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others make of the same job on the same machine in the same run: to the lab's broker, over mutual TLS, QoS 1, in
messages of a report's length.

mosquitto_pub -l  one client that keeps nothing: what the broker and TLS alone allow
mosquitto bridge  a local Mosquitto that takes plain MQTT and passes it on, as gateways are often built: QoS 1 both ways, a
                  session that stays (cleansession false). Twice: as Debian's configuration has it, where the store is
                  written every 30 minutes and what it acknowledged in between dies with the power; and with
                  autosave_on_changes, which writes the whole store at every change and is the nearest it comes to the
                  agent's spool (a record is synced before it is acknowledged).

Neither proves anything about who sends, signs anything, or has a connection for each sender.
"""
import getpass
import os
import subprocess
import time

from broker import free_port
from supervisor import pause, wait

LINE = 400  # octets: about a report's SenML
MESSAGES = 50000
MESSAGES_SAVED = 2000  # with autosave_on_changes
RATE = 500  # a second, for the latency
TICKS = os.sysconf("SC_CLK_TCK")
SAVES = {"unsaved": "", "autosave": "autosave_on_changes true\nautosave_interval 1\n"}


class Bridge:
    def __init__(self, lab, saves):
        self.lab, self.port = lab, free_port()
        folder = lab.path(f"bridge-{saves}-{self.port}")
        os.makedirs(folder)
        conf = os.path.join(folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"""listener {self.port} 127.0.0.1
allow_anonymous true
user {getpass.getuser()}
persistence true
persistence_location {folder}/
{SAVES[saves]}max_queued_messages 0
log_type error
log_dest file {folder}/log
connection upstream
address 127.0.0.1:{lab.broker.port}
bridge_cafile {lab.authority.crt}
bridge_certfile {lab.broker.user[0]}
bridge_keyfile {lab.broker.user[1]}
remote_clientid yardstick-{saves}
cleansession false
try_private false
notifications false
topic gangway/bridged/# out 1
""")
        self.process = lab.supervisor.start(f"bridge-{saves}", ["mosquitto", "-c", conf])
        wait("the bridge", lambda: self.process.alive and listens(self.port))

    def args(self):
        return ["-h", "127.0.0.1", "-p", str(self.port)]


def listens(port):
    done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-t", "local", "-n"], capture_output=True, check=False)
    return done.returncode == 0


def cpu_of(process):
    if not process.alive:
        return 0
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


def watch(lab, topic, layout):
    """A subscriber of its own at the lab's broker."""
    name = f"yardstick-{topic.replace('/', '-')}-{len(lab.supervisor.processes)}"
    process = lab.supervisor.start(name, ["mosquitto_sub", *lab.broker.client_args(), "-i", name, "-q", "1", "-t", topic, "-F", layout])
    wait("its connection", lambda: any(f"as {name} " in line for line in lab.broker.lines()))
    pause(0.5)  # its subscription
    return process


def count(process):
    with open(process.log, "rb") as f:
        return f.read().count(b"\n")


def send(argv, lines):
    """mosquitto_pub -l; (its CPU, how long it ran)."""
    before, begin = os.times(), time.monotonic()
    subprocess.run(["mosquitto_pub", *argv, "-q", "1", "-l"], input="".join(lines), text=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, time.monotonic() - begin


def rate(lab, what, argv, messages, bridge=None):
    topic = f"gangway/bridged/{what.split(',', maxsplit=1)[0].replace(' ', '-')}"
    seen = watch(lab, topic, "%t")
    processes = {"broker": lab.broker.process, "subscriber": seen, **({"bridge": bridge.process} if bridge else {})}
    before, begin = {name: cpu_of(p) for name, p in processes.items()}, time.monotonic()
    sender, _ = send([*argv, "-t", topic], ["x" * LINE + "\n"] * messages)
    wait("all of it to arrive", lambda: count(seen) >= messages, 120)
    took = time.monotonic() - begin
    spent = {f"{name}_cpu_s": round(cpu_of(p) - before[name], 2) for name, p in processes.items()}
    yield {"bench": "yardstick", "what": what, "messages": messages, "per_second": round(messages / took),
           "sender_cpu_s": round(sender, 2), "bridge_cpu_s": 0.0, **spent}
    seen.stop()


def rates(lab):
    """After the lab's own subscriber has done its work: it would be a second receiver."""
    lab.subscriber.process.stop()
    yield from rate(lab, "mosquitto_pub -l", lab.broker.client_args(), MESSAGES)
    for saves, messages in (("unsaved", MESSAGES), ("autosave", MESSAGES_SAVED)):
        bridge = Bridge(lab, saves)
        yield from rate(lab, f"mosquitto bridge {saves}", bridge.args(), messages, bridge)
        bridge.process.stop()


def latency(lab, what, argv, seconds, bridge=None):
    topic = f"gangway/bridged/{what.replace(' ', '-')}-latency"
    seen = watch(lab, topic, "%U\t%p")
    sender = subprocess.Popen(["mosquitto_pub", *argv, "-q", "1", "-l", "-t", topic], stdin=subprocess.PIPE, text=True)
    processes = {"broker": lab.broker.process, **({"bridge": bridge.process} if bridge else {})}
    before = {name: cpu_of(p) for name, p in processes.items()}
    begin, n = time.monotonic(), int(seconds * RATE)
    for i in range(n):
        time.sleep(max(0, begin + i / RATE - time.monotonic()))
        sender.stdin.write(f"{time.time():.6f}".ljust(LINE) + "\n")
        sender.stdin.flush()
    sender.stdin.close()
    sender.wait()
    wait("all of it to arrive", lambda: count(seen) >= n, 60)
    pairs = [line.split("\t") for line in seen.text().splitlines()]
    times = sorted((float(arrived) - float(sent)) * 1000 for arrived, sent in pairs)
    yield {"bench": "yardstick-latency", "what": what, "messages": n, "p50_ms": round(times[n // 2], 1),
           "p99_ms": round(times[int(n * 0.99)], 1), "longest_ms": round(times[-1], 1), "bridge_cpu_s": 0.0,
           **{f"{name}_cpu_s": round(cpu_of(p) - before[name], 2) for name, p in processes.items()}}
    seen.stop()


def latencies(lab, seconds):
    lab.subscriber.process.stop()
    yield from latency(lab, "mosquitto_pub -l", lab.broker.client_args(), seconds)
    for saves in SAVES:
        bridge = Bridge(lab, saves)
        yield from latency(lab, f"mosquitto bridge {saves}", bridge.args(), seconds, bridge)
        bridge.process.stop()
