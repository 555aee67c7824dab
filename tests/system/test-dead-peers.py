#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints that die in the middle of a conversation, one at each request, all at once and beside an honest one. Each is found dead by
name, nobody waits for it, and it gets in again when it comes back. See bad-input.md."""
import sys

import tap
from rogue import ANCHOR, CERT_PUT, CSR, DATA, DESCRIBE, IDENT, INFO, OWN, SIGN, Arena, Endpoint
from supervisor import wait

# Five tries, of which the last waits longest.
REQUEST_S, SIGN_S = 45, 90
UNANSWERED = {"info": (IDENT, INFO), "anchor": (IDENT, ANCHOR), "own": (IDENT, OWN), "csr": (IDENT, CSR),
              "certificate": (IDENT, CERT_PUT), "describe": (DATA, DESCRIBE)}


class Mortal(Endpoint):
    """Answers until it is asked `last`, and never again."""

    def __init__(self, plugin, keys, last, **kwargs):
        self.last, self.dead = last, False
        super().__init__(plugin, keys, **kwargs)

    def _answer(self, group, command, body):
        self.dead = self.dead or (group, command) == self.last
        return None if self.dead else super()._answer(group, command, body)


class Dead(Arena):
    cpu, memory = 6.0, 16 << 20  # eight of them are taken on board, twice

    def seen(self, keys):
        shown = self.lab.bus.endpoints()[keys.id]
        return shown["Presence"], shown["State"]

    def test_in_every_state(self):
        plugin = self.plugin()
        keys = {name: self.claimed_keys() for name in (*UNANSWERED, "sign")}
        rogues = {name: Mortal(plugin, keys[name], UNANSWERED.get(name, (IDENT, SIGN))) for name in keys}
        self.peers += rogues.values()
        for name, (group, command) in UNANSWERED.items():
            words = f"the endpoint did not answer 5 tries of request {group:#06x}/{command}"
            wait(f"the one that died at {name} to be found dead", lambda r=rogues[name], w=words: plugin.node_state(r.node) == w, REQUEST_S)
            wait(f"{name} to be seen as it is", lambda n=name: self.seen(keys[n]) == ("attached", "offline" if n == "describe" else "verified"))
        wait("the signature to be missed", lambda: "did not sign for broker localhost in time"
             in self.lab.bus.endpoints()[keys["sign"].id]["StateReason"], SIGN_S)
        # Nobody is locked out: the same chips, alive again, are taken on board like any other.
        for rogue in rogues.values():
            rogue.close()
        for name in rogues:
            self.peers.append(Endpoint(plugin, keys[name], hello_differs={"st": 1} if rogues[name].owner else None))
            self.peers[-1].owner = rogues[name].owner
        self.lab.wait_online([k.id for k in keys.values()], timeout=60)


if __name__ == "__main__":
    sys.exit(tap.main())
