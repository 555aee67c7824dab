# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Wireshark makes of a bus recorded with `candump -L`: its CANopen (LSS, NMT, heartbeat) and ISO 15765 dissectors."""
import os
import subprocess
import tempfile


def _tshark(recording, dissector, fields, keep):
    """Lines of tab-separated fields of the frames whose id `keep` accepts, as that dissector reads them."""
    with tempfile.NamedTemporaryFile("w", suffix=".log", delete=False) as kept, open(recording, encoding="ascii") as f:
        kept.writelines(line for line in f if keep(int(line.split()[2].split("#")[0], 16)))
    try:
        options = [option for field in fields for option in ("-e", field)]
        done = subprocess.run(["tshark", "-n", "-r", kept.name, "-d", f"can.subdissector,{dissector}", "-T", "fields", *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    finally:
        os.unlink(kept.name)
    return [dict(zip(fields, line.split("\t"))) for line in done.stdout.splitlines()]


def canopen(recording):
    """(info, malformed): the dissector's words on each frame of a base id, and those that it calls malformed or has doubts on."""
    rows = _tshark(recording, "canopen", ["_ws.col.Info", "_ws.malformed", "_ws.expert.message"], lambda can_id: can_id < 0x800)
    return [row["_ws.col.Info"] for row in rows], _bad(rows)


def isotp(recording, ids):
    """(messages, malformed): the reassembled messages per id (of `ids`, 29 bits) in order, and what is wrong with any frame."""
    fields = ["can.id", "iso15765.message_type", "iso15765.reassembled.length", "data.data", "iso15765.message_type.bad",
              "iso15765.fragment.error", "iso15765.fragment.overlap", "iso15765.fragment.multiple_tails",
              "iso15765.fragment.too_long_fragment", "_ws.malformed", "_ws.expert.message"]
    messages, bad = {can_id: [] for can_id in ids}, []
    for can_id in ids:
        # Its reassembly knows of one conversation only: each direction by itself.
        rows = _tshark(recording, "iso15765", fields, lambda seen, wanted=can_id: seen == wanted)
        bad += _bad(rows) + [row for row in rows if any(row[name] for name in fields[4:9])]
        for row in rows:
            if int(row["iso15765.message_type"], 0) == 0 or row["iso15765.reassembled.length"]:
                messages[can_id].append(bytes.fromhex(row["data.data"].replace(":", "")))
    return messages, bad


def _bad(rows):
    return [row for row in rows if row["_ws.malformed"] or row["_ws.expert.message"]]
