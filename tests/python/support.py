# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: a netstord with volumes and buckets, the environment that its
clients need, scratch buckets, and children that end in time."""
import argparse
import configparser
import importlib
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

READY_SECONDS = 60
NQN = "nqn.2026-01.io.netstor"
# DH-HMAC-CHAP, as `nvme gen-dhchap-key` makes them.
HOST_SECRET = "DHHC-1:00:bmV0c3Rvci1weXRob24tdGVzdHMtaG9zdC1zZWNyZXRZfNLU:"
OTHER_SECRET = "DHHC-1:00:bmV0c3Rvci1weXRob24tdGVzdHMtb3RoZXItc2VjcmXYXibn:"
ROOT = pathlib.Path(__file__).resolve().parents[2]
_numbers = itertools.count()


class Server:
    """netstord with an S3 endpoint and one volume; `environment` is what its clients need."""

    def __init__(self, program, options=()):
        self._scratch = tempfile.TemporaryDirectory(prefix="netstor-python-")
        folder = pathlib.Path(self._scratch.name)
        ports, self._log = folder / "port", folder / "netstord.log"
        with open(self._log, "wb") as output:
            self.child = subprocess.Popen(
                [program, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--state",
                 str(folder / "state"), "--port-file", str(ports), "--volume", "v=64MiB,store=memory",
                 *options], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        limit = time.monotonic() + READY_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 2):
            if self.child.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"netstord did not become ready: {self._log.read_text()}")
            time.sleep(0.02)
        nvme, s3 = ports.read_text().split()
        self.volume = f"nvme+tcp://127.0.0.1:{nvme}/{NQN}:v"
        self.discovery = f"nvme+tcp://127.0.0.1:{nvme}"
        self.endpoint = f"http://127.0.0.1:{s3}"
        self.environment = {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "state" / "s3-keys"),
                            "AWS_CONFIG_FILE": "/dev/null", "AWS_ENDPOINT_URL": self.endpoint,
                            "AWS_PROFILE": "default", "AWS_REGION": "us-east-1"}
        keys = configparser.ConfigParser()
        keys.read(self.environment["AWS_SHARED_CREDENTIALS_FILE"])
        self.credentials = {"access_key_id": keys["default"]["aws_access_key_id"],
                            "secret_access_key": keys["default"]["aws_secret_access_key"]}

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self._scratch.cleanup()


def use(server):
    """From now on this process and its children talk to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(server.environment)


OPTIONS, REST = None, []
SERVER = None


def setUpModule():  # noqa: N802, unittest's name
    global SERVER
    SERVER = Server(OPTIONS.netstord)
    use(SERVER)


def tearDownModule():  # noqa: N802
    SERVER.stop()


def new_bucket(**options):
    """A bucket of a test's own, empty."""
    import netstor
    bucket = netstor.open_bucket(f"s3://bucket-{os.getpid()}-{next(_numbers)}", **options)
    bucket.create()
    return bucket


class Case(unittest.TestCase):
    """A test with a bucket of its own."""

    def setUp(self):
        self.bucket = new_bucket()
        self.addCleanup(self.bucket.close)


def python(code, *arguments, timeout=60, expect=0):
    """Runs a program of its own, with a hard time limit that fails loudly; answers what it printed."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode != expect:
        raise AssertionError(f"it ended with {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}")
    return done.stdout


def want(name):
    """The module; without it None, and the skip of what needs it is printed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"SKIP: no {name} (Debian: python3-{name})", flush=True)
        return None


def skip(reason):
    """Ends this test program: it cannot run here."""
    print(f"SKIP: {reason}")
    sys.exit(77)


def main():
    """Runs the tests of the program that calls it."""
    global OPTIONS, REST
    parser = argparse.ArgumentParser()
    parser.add_argument("--netstord")
    parser.add_argument("--tool")
    parser.add_argument("--build")
    OPTIONS, REST = parser.parse_known_args()
    module = sys.modules["__main__"]
    module.setUpModule, module.tearDownModule = setUpModule, tearDownModule
    unittest.main(module=module, argv=["test", "-v", *REST])


if "--netstord" in sys.argv:
    OPTIONS = argparse.Namespace(netstord=sys.argv[sys.argv.index("--netstord") + 1])
