"""Fail if a test ran nowhere: `python tests/check_skips.py .reports/*.xml`.

Each environment of `make test` and `make test-all` writes a JUnit report. A test that one of them
skips, because a package is missing, must pass in another one. What a machine lacks may be missing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

MACHINE = (  # parts of the reasons that no package can cure
    'no real photos at',
    'no Chromium here',
    'no npm here',
    'no Node.js here',
    'needs CUDA',
    'needs a GPU',
    'on accelerators only',
    'needs fork',  # the three below: other systems than Linux
    'limits the size of files',
    "is glibc's",
)


def read_report(path: Path) -> dict[str, str | None]:
    """Name of each test in a report -> why it was skipped, or None if it ran."""
    tests = {}
    for case in ElementTree.parse(path).iter('testcase'):
        skipped = case.find('skipped')
        name = f'{case.get("classname")}::{case.get("name")}'
        tests[name] = None if skipped is None else skipped.get('message', '')
    return tests


def never_run(reports: list[dict[str, str | None]]) -> dict[str, str]:
    """Name of each test that no report has run -> why the first one skipped it."""
    reasons: dict[str, str] = {}
    for report in reports:
        for name, reason in report.items():
            if reason is not None and not any(part in reason for part in MACHINE):
                reasons.setdefault(name, reason)
    ran = {name for report in reports for name, reason in report.items() if reason is None}
    # A module that is skipped as a whole has no class: '::tests.test_a'.
    ran |= {f'::{name.split("::")[0]}' for name in ran}
    return {name: reason for name, reason in reasons.items() if name not in ran}


def main(paths: list[str]) -> int:
    """Print the tests that never ran; the exit code is 1 if there are any."""
    reports = [read_report(Path(path)) for path in paths]
    missing = never_run(reports)
    for name, reason in missing.items():
        print(f'{name} never ran: {reason}')
    if missing:
        print(f'{len(missing)} tests were skipped in all of {", ".join(paths)}')
        return 1
    print(f'{len(set().union(*reports))} tests: each of them ran, or needs what this machine lacks')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
