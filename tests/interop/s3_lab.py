# SPDX-License-Identifier: Apache-2.0
"""What the peers that speak S3 share: netstord with buckets, our tool against others' services, trees.

None of it needs a virtual machine or to be root.
"""
import configparser
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import lab

MIB = 1 << 20


def peer(title):
    return lab.Peer(title, "s3", where="host")


def some_bytes(size, seed):
    return random.Random(seed).randbytes(size)


def content(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*") if path.is_file()}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, what, process=None, seconds=lab.WAIT_S):
    end = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise lab.Failed(f"{what} ended with {process.returncode}")
        if time.monotonic() > end:
            raise lab.Failed(f"{what}: not within {seconds} s")
        time.sleep(0.05)


@contextlib.contextmanager
def running(command, log, **more):
    """A program that ends with the block."""
    with open(log, "ab") as output:
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, preexec_fn=lab.die_with_parent, **more)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory(prefix="netstor-s3-")
        self.addCleanup(kept.cleanup)
        self.folder = pathlib.Path(kept.name)

    def need(self, program, package):
        """Its path; else the test is skipped."""
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path is None:
            self.skipTest(f"{program} is not installed (Debian: {package})")
        return path

    def call(self, *words, env=None, check=True, seconds=120):
        done = subprocess.run([str(word) for word in words], env=env, timeout=seconds, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def tree(self):
        """Files of many sizes, one of them for a multipart upload."""
        root = self.folder / "up"
        for i, (name, size) in enumerate([("empty", 0), ("one", 1), ("a/4k", 4096), ("a/b/c", 70_000),
                                          ("with blank", 10), ("ümlaut+plus", 11), ("big", 20 * MIB)]):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(some_bytes(size, i))
        return root

    def same_trees(self, one, other):
        self.assertEqual(content(one), content(other))


class EndpointCase(Case):
    """Others' clients: netstord with the bucket `things`."""

    def setUp(self):
        super().setUp()
        ports, self.keys_file = self.folder / "ports", self.folder / "state/s3-keys"
        log = self.folder / "netstord.log"
        child = self.enterContext(running(
            [os.environ["NETSTOR_NETSTORD"], "--state", self.folder / "state", "--listen", "127.0.0.1:0",
             "--s3-listen", "127.0.0.1:0", "--bucket", "things", "--shards", "2", "--port-file", ports], log))
        wait_for(lambda: ports.exists() and len(ports.read_text().split()) == 2, "netstord", child)
        self.url = f"http://127.0.0.1:{ports.read_text().split()[1]}"
        keys = configparser.RawConfigParser()
        keys.read(self.keys_file)
        self.key_id = keys["default"]["aws_access_key_id"]
        self.secret = keys["default"]["aws_secret_access_key"]
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "AWS_REGION": "us-east-1",
                    "AWS_SHARED_CREDENTIALS_FILE": str(self.keys_file), "AWS_EC2_METADATA_DISABLED": "true"}


class ServiceCase(Case):
    """Our tool against another's service, of which a test says where and who."""
    endpoint = key_id = secret = None
    more = {}

    def netstor(self, *words, check=True):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env = {**kept, "HOME": str(self.folder), "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1",
               "AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret, **self.more}
        return self.call(os.environ["NETSTOR_TOOL"], *words, env=env, check=check)

    def keys(self, place):
        return [each["key"] for each in json.loads(self.netstor("ls", "-r", place, "--json"))["objects"]]

    def trees_and_listing(self, bucket):
        """Upload, listing, download, sync, copy within the service, delete: what every service has."""
        up, down = self.tree(), self.folder / "down"
        names = sorted(content(up), key=str.encode)
        self.netstor("cp", "-r", up, f"{bucket}/tree")
        self.assertEqual(self.keys(f"{bucket}/tree/"), [f"tree/{name}" for name in names])
        self.netstor("cp", "-r", f"{bucket}/tree", down)
        self.same_trees(up, down)
        self.assertIn("copied 0 files", self.netstor("sync", up, f"{bucket}/tree"))
        self.netstor("cp", f"{bucket}/tree/big", f"{bucket}/copied")
        self.netstor("cp", f"{bucket}/copied", self.folder / "copied")
        self.assertEqual((self.folder / "copied").read_bytes(), (up / "big").read_bytes())
        self.netstor("rm", "-r", f"{bucket}/tree")
        self.assertEqual(self.keys(f"{bucket}/"), ["copied"])
        self.netstor("rm", f"{bucket}/copied")
