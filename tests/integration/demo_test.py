#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a small file works, a missing one is named, and nothing is left behind."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import tool_support

OPTIONS, REST = tool_support.arguments()
SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/dev/demo.sh"


class Demo(tool_support.Case):
    def command(self, *words):
        return ["bash", str(SCRIPT), "--tool", OPTIONS.tool, "--netstord", OPTIONS.netstord, *map(str, words)]

    def environment(self):
        scratch = self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        return {**os.environ, "TMPDIR": str(scratch)}

    def run_demo(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, timeout=200, env=self.environment(),
                              stdin=subprocess.DEVNULL, check=False)
        return tool_support.Answer(done)

    def assert_nothing_left(self):
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.assertNotIn(str(self.folder), entry.read_bytes().decode("utf-8", "replace"))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass  # it ended while we looked, or is not ours

    def test_a_small_file_goes_there_and_back(self):
        file = self.file("small", os.urandom(12345))
        answer = self.succeed(self.run_demo("--seconds", "0.3", file))
        for word in ("volume    nvme+tcp://", "bucket    s3://demo/", "same      yes, both", "put p50",
                     "p99.9", "█"):
            self.assertIn(word, answer.out)
        for word in ("  there  ", "  back  ", "12,345 bytes", "0 bytes were copied"):
            self.assertGreaterEqual(answer.out.count(word), 2, answer.out)
        self.assert_nothing_left()

    def test_without_the_file_it_fails_and_says_so(self):
        answer = self.run_demo(self.folder / "none")
        self.assertEqual(answer.code, 2)
        self.assertIn("none: no such file", answer.err)
        self.assertEqual(answer.out, "")
        self.assert_nothing_left()

    def test_a_server_that_does_not_start_is_a_failure(self):
        answer = self.run_demo("--netstord", "/bin/false", self.file("small", b"x"))
        self.assertEqual(answer.code, 1)
        self.assertIn("did not start", answer.err)
        self.assert_nothing_left()

    def test_a_signal_in_the_middle_stops_everything(self):
        file = self.file("small", os.urandom(12345))
        child = subprocess.Popen(self.command("--seconds", "60", file), env=self.environment(),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while not list((self.folder / "tmp").glob("*/bench")) and time.monotonic() < end:
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=60)
        self.assertEqual((child.returncode, out), (143, b""))
        self.assert_nothing_left()


if __name__ == "__main__":
    if not OPTIONS.netstord:
        print("SKIP: this build has no netstord")
        sys.exit(77)
    tool_support.run_tests(__name__, REST)
