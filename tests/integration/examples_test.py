#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the examples: alone, on a file, and on a server's volume.

usage: examples_test.py --examples FOLDER [--netstord PROGRAM] NAME..."""
import pathlib
import tempfile
import unittest

import tool_support

OPTIONS, NAMES = tool_support.arguments("--examples")


class Examples(tool_support.Case):
    def run_all(self, *words):
        for name in NAMES:
            with self.subTest(name):
                program = pathlib.Path(OPTIONS.examples) / name
                answer = self.succeed(tool_support.call(program, *words))
                self.assertTrue(answer.out.strip(), "it says nothing")

    @unittest.skipIf(NAMES == ["readme_example"], "it wants to be told a volume")
    def test_alone(self):
        self.run_all()

    def test_on_a_file(self):
        _, uri = self.volume_file("v", 16 << 20)
        self.run_all(uri)

    def test_an_error_ends_in_words_and_a_failure(self):
        for name in NAMES:
            with self.subTest(name):
                program = pathlib.Path(OPTIONS.examples) / name
                answer = tool_support.call(program, f"file://{self.folder}/none")
                self.assertNotEqual(answer.code, 0)
                self.assertIn("none", answer.err)

    @unittest.skipUnless(OPTIONS.netstord, "this build has no netstord")
    def test_on_a_server(self):
        with tempfile.TemporaryDirectory(prefix="netstor-test-") as folder:
            volumes = ["v=16MiB,store=memory"]
            with tool_support.netstord(OPTIONS.netstord, folder, volumes) as server:
                self.run_all(f"{server}/{tool_support.NQN}:v")


if __name__ == "__main__":
    tool_support.run_tests(__name__, [])
