#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds up the test cases of meson's JUnit reports (the arguments), names those that failed and prints the closing line of a
test run."""
import pathlib
import sys
import xml.etree.ElementTree as ET

passed = failed = skipped = 0
for report in map(pathlib.Path, sys.argv[1:]):
    build = report.parent.parent.name  # BUILD/meson-logs/REPORT
    for suite in ET.parse(report).getroot().iter("testsuite"):
        cases = list(suite.iter("testcase"))
        bad = [c.get("name") for c in cases if c.find("failure") is not None or c.find("error") is not None]
        skip = sum(1 for c in cases if c.find("skipped") is not None)
        if not bad and int(suite.get("failures", 0)) + int(suite.get("errors", 0)) > 0:
            bad.append("the program itself")  # although none of its cases failed: a crash or a leak at exit
            cases.append(None)
        for name in bad:
            print(f"failed in {build}: {suite.get('name')}: {name}")
        passed += len(cases) - len(bad) - skip
        failed += len(bad)
        skipped += skip
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or passed == 0 or skipped else 0)
