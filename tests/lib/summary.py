#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds up the test cases of meson's JUnit reports (the arguments) and prints the closing line of a test run."""
import sys
import xml.etree.ElementTree as ET

passed = failed = skipped = 0
for report in sys.argv[1:]:
    for suite in ET.parse(report).getroot().iter("testsuite"):
        cases = list(suite.iter("testcase"))
        bad = sum(1 for c in cases if c.find("failure") is not None or c.find("error") is not None)
        skip = sum(1 for c in cases if c.find("skipped") is not None)
        if bad == 0 and int(suite.get("failures", 0)) + int(suite.get("errors", 0)) > 0:
            bad = 1  # the program failed although none of its cases did: a crash or a leak at exit
            cases.append(None)
        passed += len(cases) - bad - skip
        failed += bad
        skipped += skip
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or passed == 0 or skipped else 0)
