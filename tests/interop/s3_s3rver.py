# SPDX-License-Identifier: Apache-2.0
"""Our client against s3rver, an S3 server for tests in JavaScript, from npm."""
import os
import pathlib
import subprocess

import s3_lab

PEER = s3_lab.peer("s3rver (npm)")
VERSION = "s3rver@3.7.1"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "netstor/npm"


class S3rver(s3_lab.ServiceCase):
    key_id = secret = "S3RVER"

    def setUp(self):
        super().setUp()
        npm = self.need("npm", "npm")
        program = CACHE / "node_modules/.bin/s3rver"
        if not program.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            try:
                done = subprocess.run(
                    [npm, "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", VERSION],
                    capture_output=True, text=True, timeout=150, check=False)
            except subprocess.TimeoutExpired:
                self.skipTest("npm's registry does not answer")
            if done.returncode != 0:
                self.skipTest(f"npm could not install {VERSION}: {done.stderr.strip().splitlines()[-1]}")
        port = s3_lab.free_port()
        child = self.enterContext(s3_lab.running(
            [program, "-d", self.folder / "data", "-a", "127.0.0.1", "-p", port,
             "--configure-bucket", "things"], self.folder / "log"))
        s3_lab.wait_for(lambda: s3_lab.answers(port), "s3rver", child)
        self.endpoint = f"http://127.0.0.1:{port}"

    def test_trees_and_listing(self):
        """upload (multipart too), listing, download, sync, copy, delete"""
        self.trees_and_listing("s3://things")

    def test_buckets(self):
        """make, list and remove buckets"""
        self.netstor("mb", "s3://made-here")
        self.assertIn("made-here", self.netstor("ls"))
        self.netstor("rb", "s3://made-here")
        self.assertNotIn("made-here", self.netstor("ls"))
