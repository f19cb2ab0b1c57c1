#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`pip install .` without a network, from what is built; the wheel, alone in an empty folder, works."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import zipfile

import support


def pip(*arguments):
    """pip, which may ask nobody and read no settings."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=support.ROOT, capture_output=True, text=True, timeout=200,
                          env=environment)
    if done.returncode != 0:
        raise AssertionError(f"pip {arguments}: {done.stdout}{done.stderr}")


class Wheel(unittest.TestCase):
    def test_installed_package_works(self):
        with tempfile.TemporaryDirectory() as folder:
            pip("wheel", ".", "--no-index", "--no-deps", "--wheel-dir", folder,
                "--config-settings", f"build-dir={support.OPTIONS.build}")
            wheels = list(pathlib.Path(folder).glob("netstor-*.whl"))
            self.assertEqual(len(wheels), 1)
            names = zipfile.ZipFile(wheels[0]).namelist()
            for name in ("netstor/__init__.py", "netstor/__init__.pyi", "netstor/py.typed", "netstor/fs.py"):
                self.assertIn(name, names)
            site = pathlib.Path(folder) / "site"
            pip("install", "--no-index", "--no-deps", "--target", str(site), str(wheels[0]))
            environment = {**os.environ, "PYTHONPATH": str(site)}

            def run(*arguments):
                done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True,
                                      text=True, timeout=60, env=environment)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                return done.stdout

            self.assertIn("netstor ", run("-m", "netstor"))
            out = run("-c", "import netstor; print(netstor.__file__)\n"
                            "with netstor.open_bucket('s3://wheel') as bucket:\n"
                            "    bucket.create(); bucket.put('k', b'1'); print(bytes(bucket.get('k')))")
            self.assertEqual(out.split(), [str(site / "netstor/__init__.py"), "b'1'"])
            if support.want("fsspec"):  # which learns of it from the package's own words
                out = run("-c", "import fsspec; print(fsspec.open('netstor+s3://wheel/k').open().read())")
                self.assertEqual(out.strip(), "b'1'")


if __name__ == "__main__":
    try:
        import pip as _  # noqa: F401
    except ImportError:
        support.skip("no pip (Debian: python3-pip)")
    support.main()
