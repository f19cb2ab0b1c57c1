#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples, and the README's, as they are written."""
import pathlib
import re
import subprocess
import sys
import unittest

import netstor
import support

EXAMPLES = support.ROOT / "examples/python"
SAMPLES = 20_000  # of the hundred thousand that the example takes by itself: slow machines test, too


def example(name, *arguments):
    done = subprocess.run([sys.executable, str(EXAMPLES / name), *map(str, arguments)], capture_output=True,
                          text=True, timeout=200)
    if done.returncode != 0:
        raise AssertionError(f"{name}: {done.stdout}{done.stderr}")
    return done.stdout


class Examples(support.Case):
    def test_all_are_run_and_short(self):
        names = sorted(path.name for path in EXAMPLES.glob("*.py"))
        here = pathlib.Path(__file__).read_text()
        for name in names:
            self.assertIn(f'"{name}"', here)
            self.assertLess(len((EXAMPLES / name).read_text().splitlines()), 80, name)

    @unittest.skipUnless(support.want("numpy"), "no numpy (Debian: python3-numpy)")
    def test_numpy(self):
        self.assertIn("64 objects, 8 MiB", example("01_parallel_download.py", self.bucket.uri))
        self.assertIn("8 layers are the same", example("03_checkpoint.py", self.bucket.uri))
        self.assertIn("block 99 holds 99", example("04_volume_as_array.py", support.SERVER.volume))

    def test_shuffled_samples(self):
        out = example("02_shuffled_samples.py", self.bucket.uri, SAMPLES)
        self.assertIn(f"epoch 1: {SAMPLES} samples", out)

    @unittest.skipUnless(support.want("pandas"), "no pandas (Debian: python3-pandas)")
    def test_pandas(self):
        self.assertIn("Edsger", example("05_pandas.py", self.bucket.uri))

    def test_readme(self):
        text = (support.ROOT / "README.md").read_text()
        block = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        self.assertIsNotNone(block, "README.md has no ```python block")
        with netstor.open_bucket("s3://samples") as bucket:
            bucket.create()
        out = support.python(block.group(1))
        self.assertIn("499500", out)


if __name__ == "__main__":
    support.main()
