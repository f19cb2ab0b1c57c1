#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what ctest and GoogleTest left in one or more result folders and says it in words.

usage: summary.py PRESET=FOLDER...

FOLDER holds ctest.xml (ctest --output-junit) and one NAME.xml for each GoogleTest program. A program counts
by its test cases, any other test as one. Every skip is printed with its reason. The last line is the sum.
"""
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

Case = collections.namedtuple("Case", "program name state reason")
SKIP_LINE = re.compile(r"^SKIP: (.*)$", re.MULTILINE)


def words(text):
    """A GoogleTest message in one line, without the place in the source that opens it."""
    lines = [line.strip() for line in (text or "").strip().splitlines()]
    if lines and re.match(r"^\S+:\d+$|^\S+\.(cc|h|cpp)\b", lines[0]):
        lines = lines[1:]
    return " ".join(line for line in lines if line) or "no reason given"


def gtest_cases(program, path):
    cases = []
    for case in xml.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        failure, skipped = case.find("failure"), case.find("skipped")
        if case.get("status") == "notrun":
            cases.append(Case(program, name, "skipped", "disabled in the source"))
        elif failure is not None:
            cases.append(Case(program, name, "failed", words(failure.get("message"))))
        elif skipped is not None or case.get("result") == "skipped":
            message = skipped.get("message") if skipped is not None else ""
            cases.append(Case(program, name, "skipped", words(message)))
        else:
            cases.append(Case(program, name, "passed", ""))
    return cases


def whole_test(test, output):
    """A test that is not a GoogleTest program, or one that died before it could write its cases."""
    name, status = test.get("name"), test.get("status")
    said = SKIP_LINE.findall(output)
    if test.find("skipped") is not None or status in ("notrun", "disabled"):
        reason = "; ".join(said)
        message = test.find("skipped")
        if not reason and message is not None:
            reason = message.get("message") or ""
        # A program that is missing was not skipped: it failed to be built.
        if status == "notrun" and re.search(r"unable to find|could not find", reason + output, re.IGNORECASE):
            return [Case(name, "", "failed", "its program is missing")]
        return [Case(name, "", "skipped", reason or "no reason given")]
    if status == "fail" or test.find("failure") is not None:
        failure = test.find("failure")
        reason = words(failure.get("message")) if failure is not None else "failed"
        return [Case(name, "", "failed", reason if reason != "no reason given" else "failed, see above")]
    return [Case(name, "", "passed", "")] + [Case(name, "in part", "skipped", reason) for reason in said]


def read(folder):
    report = folder / "ctest.xml"
    if not report.exists():
        return [Case("ctest", "", "failed", "ctest left no report")]
    cases = []
    for test in xml.parse(report).getroot().iter("testcase"):
        name = test.get("name")
        output = test.findtext("system-out") or ""
        own = folder / f"{name}.xml"
        whole = whole_test(test, output)
        try:
            mine = gtest_cases(name, own) if own.exists() else []
        except xml.ParseError:
            mine = []
        if not mine:
            cases += whole
            continue
        cases += mine
        # All cases passed and yet the program failed: a sanitizer's finding at exit, a crash on the way out.
        if whole[0].state == "failed" and not any(case.state == "failed" for case in mine):
            cases.append(whole[0]._replace(reason="failed after its last case, see its output above"))
    return cases


def count(cases):
    states = collections.Counter(case.state for case in cases)
    return f"{states['passed']} passed, {states['failed']} failed, {states['skipped']} skipped"


def main(arguments):
    by_preset = {}
    for argument in arguments:
        preset, _, folder = argument.partition("=")
        by_preset[preset] = read(pathlib.Path(folder))
    every = [case for cases in by_preset.values() for case in cases]
    print()
    for state, title in (("skipped", "Skipped, and why:"), ("failed", "FAILED:")):
        groups = collections.OrderedDict()
        for preset, cases in by_preset.items():
            for case in cases:
                if case.state == state:
                    what = f"{case.program} {case.name}".strip()
                    groups.setdefault((what, case.reason), []).append(preset)
        if groups:
            print(title)
            for (what, reason), presets in groups.items():
                print(f"  {what} [{' '.join(presets)}]\n      {reason}")
    for preset, cases in by_preset.items():
        print(f"{preset}: {count(cases)}")
    print(f"netstor: {count(every)}")
    return 1 if any(case.state == "failed" for case in every) or not every else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
