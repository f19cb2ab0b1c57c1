#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs peers' tests one after another and writes each verdict down at once, so that nothing said is lost when
a machine dies under the next one. Called by tests/interop/run, in the virtual machine or on the host.

The report has a line of JSON for each test: peer, test, state (begun, passed, failed, skipped), why, seconds.
"""
import argparse
import importlib
import json
import os
import pathlib
import signal
import sys
import time
import traceback
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
TEST_SECONDS = 240


class OutOfTime(Exception):
    pass


class Report(unittest.TestResult):
    def __init__(self, peer, file):
        super().__init__()
        self._peer, self._file = peer, file
        self._begin, self._state, self._why = 0, "", ""

    def _write(self, test, **more):
        line = {"peer": self._peer, "test": test._testMethodName, **more}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def startTest(self, test):
        super().startTest(test)
        self._begin, self._state, self._why = time.monotonic(), "passed", ""
        self._write(test, state="begun")
        print(f"  {self._peer}: {test.shortDescription()} ...", end=" ", flush=True)
        limit_s = getattr(getattr(test, test._testMethodName), "limit_s", TEST_SECONDS)

        def late(*_):
            raise OutOfTime(f"took longer than {limit_s} s")
        signal.signal(signal.SIGALRM, late)
        signal.alarm(limit_s)

    def stopTest(self, test):
        signal.alarm(0)
        seconds = round(time.monotonic() - self._begin, 1)
        self._write(test, state=self._state, why=self._why.strip(), seconds=seconds)
        last = self._why.strip().splitlines()
        print(self._state.upper() if self._state == "failed" else self._state, f"({seconds} s)",
              last[-1] if self._state == "skipped" else "", flush=True)
        if self._state == "failed":
            print(self._why, flush=True)
        super().stopTest(test)

    def _fail(self, error):
        _, value, trace = error
        self._state = "failed"
        here = [frame for frame in traceback.extract_tb(trace) if "/interop/" in frame.filename]
        where = " > ".join(f"{pathlib.Path(frame.filename).name}:{frame.lineno}" for frame in here)
        self._why += f"{where}: {type(value).__name__}: {value}\n"

    def addError(self, test, err):
        self._fail(err)

    def addFailure(self, test, err):
        self._fail(err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._fail(err)

    def addSkip(self, test, reason):
        if self._state == "failed":
            self._why += f"then skipped: {reason}\n"
        else:
            self._state, self._why = "skipped", reason


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", required=True)
    parser.add_argument("tests", nargs="+", metavar="PEER.TEST")
    chosen = parser.parse_args()

    failed = False
    with open(chosen.report, "a", encoding="utf-8") as file:
        for word in chosen.tests:
            peer, _, method = word.partition(".")
            module = importlib.import_module(peer)
            for case in vars(module).values():
                if isinstance(case, type) and issubclass(case, unittest.TestCase) and \
                        case.__module__ == peer and method in vars(case):
                    report = Report(peer, file)
                    unittest.TestSuite([case(method)]).run(report)
                    failed = failed or report._state == "failed"
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
