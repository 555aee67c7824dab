# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that the documents show, and which test runs which.

A command is a line of an indented or fenced block, or a piece of code in the running text that begins with a program of
PROGRAMS and has an argument. Blocks that hold something else stand in DATA by their first words. Every command stands in
exactly one of the tables below, so that a new one makes test-documents.py fail until somebody has decided.
"""
import glob
import os
import re

PATTERNS = ("*.md", "doc/*.md", "doc/decisions/*.md", "doc/man/*.scd", "plugins/*/README.md", "data/*.md")
PROGRAMS = {"./run", "busctl", "gangway-serial", "gangway-sim", "gangwayctl", "gangwayd", "install", "journalctl", "meson",
            "mosquitto_pub", "mosquitto_sub", "openssl", "pkaction", "systemctl", "systemd-analyze", "udevadm"}

# Blocks that hold no commands: document, and how the block begins.
DATA = {
    ("README.md", "endpoints                 plugins"): "a picture",
    ("data/mosquitto-for-gangway.md", "listener 8883"): "Mosquitto's configuration, as tests/lib/broker.py writes it",
    ("data/mosquitto-for-gangway.md", "pattern readwrite"): "Mosquitto's access list, as tests/lib/broker.py writes it",
    ("doc/certificates.md", "[Authority]"): "configuration, which test-documents.py puts in force",
    ("doc/certificates.md", "[Service]"): "a unit's drop-in for SoftHSM",
    ("doc/protocol.md", ""): "byte vectors, which test-protocol-doc.py compares",
    ("doc/telemetry.md", "[{"): "a message",
    ("doc/telemetry.md", "{"): "a message",
    ("doc/writing-a-plugin.md", "08 00 00 01 51"): "octets, which test-example-plugin.py expects",
    ("doc/writing-a-plugin.md", "from lab import Lab"): "a script, which test-documents.py saves and runs",
    ("plugins/example/README.md", "rack-plugin DIR NAME"): "a usage line",
    ("plugins/can/README.md", "gangway-can --device can0|slcan:PATH ["): "a usage line",
    ("plugins/serial/README.md", "gangway-serial --device PATH ["): "a usage line",
}

# Run in the lab by tests/system/test-documents.py.
LAB = {
    "./run build",
    "./run demo --endpoints 8 --seconds 20",
    "meson install -C build",
    # doc/getting-started.md
    "gangwayctl reload",
    "gangwayctl policies",
    "busctl get-property org.gangway.Gangway1 /org/gangway/Gangway1 org.gangway.Gangway1.Manager CaCertificate",
    "gangwayctl inventory import lot-7.csv lot-7.csv.p7s",
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj \"/CN=my vendor\" "
    "-addext extendedKeyUsage=codeSigning -keyout vendor.key -out vendor.pem",
    "openssl cms -sign -binary -in lot-7.csv -signer vendor.pem -inkey vendor.key -outform DER -out lot-7.csv.p7s",
    "gangwayctl batch add line-3 ids.txt --policy factory --dry-run",
    "gangwayctl batch add line-3 ids.txt --policy factory",
    "gangwayctl monitor",
    "mosquitto_sub -h broker.example.com -p 8883 --cafile broker.pem --cert me.pem --key me.key -t 'gangway/+/telemetry' -v",
    "gangwayctl list",
    "gangwayctl list --json",
    "gangwayctl explain ENDPOINT",
    "gangwayctl explain 9f3a",
    "gangwayctl onboard ENDPOINT --policy NAME",
    "gangwayctl approve ENDPOINT",
    "gangwayctl write press-4 setpoint -- -5",
    "busctl tree org.gangway.Gangway1",
    "busctl introspect org.gangway.Gangway1 /org/gangway/Gangway1/endpoint/_0123456789abcdef",
    "busctl call org.gangway.Gangway1 /org/gangway/Gangway1 org.gangway.Gangway1.Manager Explain s 0123456789abcdef",
    # doc/simulator.md
    "gangway-sim --endpoints 8 --dir /tmp/bench --control /tmp/bench.sock",
    "gangway-sim --endpoints 16 --dir /tmp/bench --rs485 --control /tmp/bench.sock",
    "gangway-sim --endpoints 8 --dir /tmp/bench --can slcan --can-rate 500000 --control /tmp/bench.sock",
    "gangway-sim --ctl /tmp/bench.sock COMMAND..",
    "gangway-sim --help",
    # doc/certificates.md
    "p11tool --login --generate-privkey=ECDSA --curve=secp256r1 --label=owner-ca 'pkcs11:token=gateway'",
    "p11tool --login --write --load-privkey=/var/lib/gangway/ca/ca.key --label=owner-ca 'pkcs11:token=gateway'",
    # doc/writing-a-plugin.md
    "export PKG_CONFIG_PATH=$PWD/build/meson-uninstalled LD_LIBRARY_PATH=$PWD/build/src/libgangway "
    "GI_TYPELIB_PATH=$PWD/build/src/libgangway",
    "cc -Wall -o rack-plugin plugins/example/rack-plugin.c $(pkg-config --cflags --libs gangway-1)",
    "PYTHONPATH=tests/lib /usr/bin/python3 try-rack.py",
    "systemd-analyze security --offline=true --threshold=10 plugins/example/gangway-rack@.service",
}

# Run in a booted machine by tests/vm/test-documents.py, in this order.
GUEST = [
    "ldconfig; systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload; systemctl reload dbus",
    "journalctl --update-catalog",
    "systemctl enable --now gangwayd",
    "gangwayctl status",
    "systemctl start gangway-serial@ttyUSB0",
    "journalctl -u gangwayd",
    "journalctl -u gangwayd -x",
    "pkaction | grep gangway",
    "install -D rack-plugin /usr/local/libexec/gangway/rack-plugin",
    "install -m 644 plugins/example/gangway-rack@.service /etc/systemd/system",
    "install -m 644 plugins/example/71-gangway-rack.rules /etc/udev/rules.d",
    "systemctl daemon-reload",
    "udevadm control --reload",
    "systemctl list-units 'gangway-rack@*'",
    "journalctl -u 'gangway-rack@*'",
    "gangwayctl scan",
]

# Run by nobody, and why.
NOT_RUN = {
    "./run bench": "takes minutes and the machine for itself",
    "./run bench can": "takes minutes and the machine for itself",
    "./run bench isotp": "the test bench-isotp runs the program with fewer messages",
    "./run check": "runs the tests, this one among them",
    "./run check long": "runs the tests that take minutes",
    "./run fuzz NAME 600": "takes ten minutes; the corpora are run as tests",
    "./run vm": "boots the machines of the vm tests",
    "./run vm can": "as above",
    "./run demo --bus all --endpoints 24 --seconds 30": "test-demo.py runs it with fewer",
    "./run demo": "ends at Ctrl-C; test-demo.py interrupts it",
    "./run demo --bus can": "as above; test-can.py has what it shows",
    "./run demo --bus rs485": "as above; test-rs485.py has what it shows",
    "./run bench scale": "the test bench-scale runs it with fewer endpoints",
    "./run bench rs485": "takes minutes and the machine for itself",
    "./run bench signatures --endpoints 100": "takes the machine for itself; the test slow-signatures asks in the same way",
    "install -D -m 644 /usr/share/doc/gangway/examples/gangway-rs485.conf "
    "/etc/systemd/system/gangway-serial@ttyUSB0.service.d/rs485.conf": "needs systemd; test-installed-files.py holds the drop-in to the unit",
    "systemctl restart gangway-serial@ttyUSB0": "as above",
    "journalctl -u gangway-serial@ttyUSB0": "as above",
    "gangway-serial --rs485": "a piece of a command; test-rs485.py runs the whole",
    "gangway-serial --device": "a piece of a command; every system test runs the whole",
    "gangway-sim --slots": "a piece of a command; test-example-plugin.py runs the whole",
    "gangwayctl approve": "a piece of a command that stands there whole",
    "gangwayctl audit": "test-audit.py runs it",
    "gangwayctl audit --verify": "test-audit.py runs it",
    "gangwayctl bus": "test-gangwayctl.py and test-bad-lines.py run it",
    "gangwayctl batch add": "a piece of a command that stands there whole",
    "systemctl edit gangwayd": "opens an editor",
    "systemctl edit gangway-slcan@ttyACM0": "opens an editor",
    "systemctl start gangway-slcan@ttyACM0": "needs an adapter; test-gangway-can runs the plugin on one that the test plays",
    "networkctl reload": "needs systemd-networkd and a CAN controller; the CAN guest sets its interfaces up by ip",
    "networkctl status can0": "as above",
    "systemctl enable --now systemd-networkd": "as above",
    "systemctl start gangway-can@can0": "the CAN guest has it started by udev",
    "journalctl -u 'gangway-can@*'": "as above",
    "journalctl -u gangway-can@can0": "as above",
    "openssl cms -sign -binary -outform DER": "a piece of a command that doc/getting-started.md has whole",
}


def texts(source):
    """{document: text} of all documents below `source`."""
    found = {}
    for pattern in PATTERNS:
        for path in sorted(glob.glob(os.path.join(source, pattern))):
            with open(path, encoding="utf-8") as f:
                found[os.path.relpath(path, source)] = f.read()
    return found


def blocks(text):
    """The blocks of a document, each a list of lines without the indentation; and the text around them."""
    found, rest, lines, i = [], [], text.splitlines(), 0
    while i < len(lines):
        if lines[i].startswith("```"):
            end = next(j for j in range(i + 1, len(lines)) if lines[j].startswith("```"))
            found.append(lines[i + 1:end])
            i = end + 1
        elif lines[i].startswith("    ") and not (i and lines[i - 1]):
            end = i
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
            found.append([line.strip() for line in lines[i:end]])
            i = end
        else:
            rest.append(lines[i])
            i += 1
    return found, "\n".join(rest)


def commands_of(block):
    """The commands of a block: lines that end with a backslash go on, comments are left out."""
    joined = "\n".join(block).replace("\\\n", " ")
    lines = (re.sub(r"\s+#\s.*$", "", line).strip() for line in joined.splitlines())
    return [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith("#")]


def manual(text):
    """The commands of a manual page: indented lines by themselves, and bold ones in the text."""
    text = re.sub(r"\\(.)", r"\1", text)
    for line in re.findall(r"(?<=\n\n)\t+(.*)(?=\n\n|\n?$)", text) + re.findall(r"\*([^*]+)\*", text):
        line = re.sub(r"\s+", " ", line)
        if " " in line and line.split()[0] in PROGRAMS:
            yield line


def extract(source):
    """What the documents show: {command: the documents it stands in}, and the DATA entries that were met."""
    commands, met = {}, set()
    for document, text in texts(source).items():
        if document.endswith(".scd"):
            for command in manual(text):
                commands.setdefault(command, []).append(document)
            continue
        parts, rest = blocks(text)
        for block in parts:
            data = next((key for key in DATA if key[0] == document and block and block[0].startswith(key[1])), None)
            if data:
                met.add(data)
                continue
            for command in commands_of(block):
                commands.setdefault(command, []).append(document)
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", rest):
            code = re.sub(r"\s+", " ", code.strip())
            if " " in code and code.split()[0] in PROGRAMS:
                commands.setdefault(code, []).append(document)
    return commands, met
