#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package loads, says what it can do, and documents everything that it shows."""
import inspect
import re
import subprocess
import sys
import unittest

import netstor
import support


class Import(unittest.TestCase):
    def test_version_is_the_librarys(self):
        header = (support.ROOT / "include/netstor/version.h").read_text()
        numbers = re.findall(r"^#define NETSTOR_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.MULTILINE)
        self.assertEqual(netstor.__version__, ".".join(numbers))

    def test_importing_starts_nothing(self):
        out = support.python("import netstor, os; print(len(os.listdir('/proc/self/task')))")
        self.assertEqual(out.strip(), "1")

    def test_capabilities_are_printed(self):
        done = subprocess.run([sys.executable, "-m", "netstor"], capture_output=True, text=True, timeout=60,
                              check=True)
        self.assertIn(f"netstor {netstor.__version__}", done.stdout)
        self.assertRegex(done.stdout, r"driver\.(uring|posix) +(yes|no)")

    def test_all_names_are_there_and_documented(self):
        missing = []
        for name in netstor.__all__:
            thing = getattr(netstor, name)
            if name != "__version__" and not inspect.getdoc(thing):
                missing.append(name)
            if not inspect.isclass(thing):
                continue
            for member, value in vars(thing).items():
                if member.startswith("_") or not (callable(value) or isinstance(value, property)):
                    continue
                if not inspect.getdoc(value):
                    missing.append(f"{name}.{member}")
        self.assertEqual(missing, [])

    def test_every_call_has_a_twin(self):
        # Of streams, and what asks nobody.
        exempt = {"tell", "readable", "writable", "readinto", "write", "abort", "close", "read", "check"}
        for owner in (netstor.Bucket, netstor.Volume, netstor.Upload):
            for name, value in vars(owner).items():
                if name.startswith("_") or not inspect.isfunction(value) or name in exempt:
                    continue
                base = name.removesuffix("_async")
                self.assertTrue(hasattr(owner, base) and hasattr(owner, base + "_async"), f"{owner}.{name}")


if __name__ == "__main__":
    support.main()
