# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the unittest cases of the calling program and speaks TAP, which meson counts case by case.

A failing case prints its traceback as comment lines. Nothing is caught that unittest would not catch; an error in
setUpClass fails by the name of the class, so that a broken lab can never look like a pass.
"""
import sys
import unittest


class _Result(unittest.TestResult):
    def __init__(self, stream):
        super().__init__()
        self.stream = stream
        self.number = 0
        self.bad = 0

    def _line(self, ok, test, note=""):
        self.number += 1
        self.bad += not ok
        name = getattr(test, "_testMethodName", None)
        name = f"{type(test).__name__}.{name}" if name else str(test)
        self.stream.write(f"{'ok' if ok else 'not ok'} {self.number} {name.replace('#', '')}{note}\n")
        self.stream.flush()

    def _fail(self, test, err):
        for line in self._exc_info_to_string(err, test).splitlines():
            self.stream.write(f"# {line}\n")
        self._line(False, test)

    def startTest(self, test):
        super().startTest(test)
        self.stream.write(f"# {test._testMethodName}: {test.shortDescription() or ''}\n")
        self.stream.flush()

    def addSuccess(self, test):
        self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, f" # SKIP {reason}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)

    def addExpectedFailure(self, test, err):
        self._line(False, test, " (expected failures are not used here)")


class Story(unittest.TestCase):
    """Cases that build on each other, in the order of their names: after the first that fails, the others fail at once."""

    broken = None  # the case that failed

    def run(self, result=None):
        before = result.bad
        super().run(result)
        if result.bad > before and not self.broken:
            type(self).broken = self._testMethodName

    def setUp(self):
        if self.broken:
            self.fail(f"{self.broken} has failed, which this builds on")


def main():
    """Runs every case of __main__, or those whose name contains the first argument. Never returns."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    if len(sys.argv) > 1:
        wanted = unittest.TestSuite()
        for group in suite:
            wanted.addTests(t for t in group if sys.argv[1] in t.id())
        suite = wanted
    result = _Result(sys.stdout)
    print("TAP version 13")
    suite.run(result)
    print(f"1..{result.number}")
    sys.stdout.flush()
    sys.exit(1 if result.bad or result.number == 0 else 0)
