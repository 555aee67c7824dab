# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts processes, restarts those that died as systemd would, and never leaves one behind.

Everything happens on GLib's default main context, so whoever waits with `wait()` also supervises. Each child is
held by a pidfd: no signal can reach a stranger who got its number. The kernel kills the children should we die
without a word (PR_SET_PDEATHSIG), and a session of their own keeps the terminal's Ctrl-C away from them: the order
of going is ours.
"""
import os
import shutil
import signal
import subprocess
import time

from gi.repository import GLib

# Time-outs are what a quiet machine needs at the most. A busy one gets so many times that: it makes a failure late, and no test slow.
PATIENCE = 6
TICK_MS = 50  # how often a waiting predicate that no event announces is looked at again


class Timeout(AssertionError):
    """A condition did not come true before its deadline."""


def wait(what, predicate, timeout=10.0):
    """Runs the main context until predicate() is true and returns its value; Timeout names `what` otherwise."""
    value = within(timeout * PATIENCE, predicate)
    if not value:
        raise Timeout(f"waited {timeout * PATIENCE:g} s for: {what}")
    return value


def within(seconds, predicate):
    """Runs the main context until predicate() is true, for so many seconds at the most, and returns its last value. For what must
    not come; what must come is waited for with wait()."""
    context = GLib.MainContext.default()
    deadline = time.monotonic() + seconds
    tick = GLib.timeout_add(TICK_MS, lambda: True)
    try:
        while True:
            while context.iteration(False):
                pass
            value = predicate()
            if value or time.monotonic() > deadline:
                return value
            context.iteration(True)
    finally:
        GLib.source_remove(tick)


def pause(seconds):
    """Lets the main context run for so long."""
    within(seconds, lambda: False)


def program(name):
    """Where a program is. Brokers are daemons to Debian, in a folder that is not on a user's PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if not found:
        raise RuntimeError(f"{name} is not installed: `./run build` tells what is missing")
    return found


class Process:
    """One supervised program. `exits` is the list of (pid, status, wanted) in order; status as in Popen.returncode."""

    def __init__(self, supervisor, name, argv, env, log, restart, needs, may_fail):
        self.supervisor, self.name, self.argv, self.env = supervisor, name, argv, env
        self.log, self.restart, self.needs, self.may_fail = log, restart, needs, may_fail
        self.exits, self.starts = [], 0
        self.popen = self.pidfd = None
        self.wanted = False  # the coming exit was asked for
        self.held = False  # stopped by the caller: no restart until resume()
        self._watch = self._timer = 0
        self._spawn()

    @property
    def pid(self):
        return self.popen.pid if self.popen else None

    @property
    def alive(self):
        return self.popen is not None

    def _spawn(self):
        # setpriv replaces itself by the program: same pid, and no Python between fork and exec.
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.argv], env=self.env,
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.pidfd = os.pidfd_open(self.popen.pid)
        self._watch = GLib.unix_fd_add_full(GLib.PRIORITY_HIGH, self.pidfd, GLib.IOCondition.IN, self._exited)
        self.starts += 1
        self.wanted = False

    def _exited(self, fd, condition):
        status = self.popen.wait()
        self.exits.append((self.popen.pid, status, self.wanted))
        os.close(self.pidfd)
        self.popen = self.pidfd = None
        self._watch = 0
        if self.restart and not self.held:
            self._timer = GLib.timeout_add(self.supervisor.restart_ms, self._again)
        return False

    def _again(self):
        # As with BindsTo= a device: while what it needs is away, it is not started.
        if self.needs and not os.path.exists(self.needs):
            return True
        self._timer = 0
        self._spawn()
        return False

    def kill(self, sig=signal.SIGKILL):
        """Sends a signal; the supervisor restarts what dies of it."""
        if self.alive:
            self.wanted = True
            signal.pidfd_send_signal(self.pidfd, sig)

    def stop(self, sig=signal.SIGTERM, timeout=10.0):
        """Ends it for good (until resume()) and returns its exit status; SIGKILL after the deadline."""
        self.held = True
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0
        if self.alive:
            self.kill(sig)
            try:
                wait(f"{self.name} to end", lambda: not self.alive, timeout)
            except Timeout:
                self.kill(signal.SIGKILL)
                wait(f"{self.name} to die", lambda: not self.alive, 5)
                self.exits[-1] = (self.exits[-1][0], self.exits[-1][1], False)
        return self.exits[-1][1] if self.exits else None

    def resume(self):
        self.held = False
        if not self.alive:
            self._spawn()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


class Supervisor:
    def __init__(self, folder, restart_ms=200):
        self.folder, self.restart_ms = folder, restart_ms
        self.processes = []
        os.makedirs(folder, exist_ok=True)

    def start(self, name, argv, *, env=None, restart=False, needs=None, may_fail=False):
        """Starts argv as `name`, its output in folder/NAME.log.

        `needs` is a path without which it is not restarted; `may_fail` says that an exit status is no crash.
        """
        process = Process(self, name, [program(argv[0]), *argv[1:]], {**os.environ, **(env or {})}, os.path.join(self.folder, name + ".log"),
                          restart, needs, may_fail)
        self.processes.append(process)
        return process

    def stop_all(self):
        """Ends everything, last started first, plugins of one kind together so that many cost no more than one."""
        for process in reversed(self.processes):
            process.held = True
            if process._timer:
                GLib.source_remove(process._timer)
                process._timer = 0
        for process in reversed(self.processes):
            process.stop()

    def crashes(self):
        """Exits nobody asked for that were failures: what a test must not overlook. Status 0 is not one."""
        return [f"{p.name}[{pid}] ended with {status}; see {p.log}" for p in self.processes
                for pid, status, wanted in p.exits if status != 0 and not p.may_fail and not (wanted and status in (-9, -15, -2))]
