# SPDX-License-Identifier: Apache-2.0
"""What the tests of the tool, of the demonstration and of the examples share: a server to talk to, a tool to
call, a scratch folder."""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

NQN = "nqn.2026-01.io.netstor"
READY_SECONDS = 60  # sanitizers and busy machines take their time


@contextlib.contextmanager
def netstord(program, folder, volumes, port=0, end="terminate", more=()):
    """A server with these volumes ("NAME=SIZE,store=memory"); answers "nvme+tcp://HOST:PORT". With
    end="kill" it is not asked in the end."""
    port_file = pathlib.Path(folder) / "port"
    port_file.unlink(missing_ok=True)
    log = pathlib.Path(folder) / "netstord.log"
    command = [program, "--listen", f"127.0.0.1:{port}", "--state", str(pathlib.Path(folder) / "state"),
               "--port-file", str(port_file), *more]
    for volume in volumes:
        command += ["--volume", volume]
    with open(log, "wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        limit = time.monotonic() + READY_SECONDS
        while not (port_file.exists() and port_file.read_text().strip()):
            if child.poll() is not None:
                raise RuntimeError(f"netstord ended with {child.returncode}: {log.read_text()}")
            if time.monotonic() > limit:
                raise RuntimeError(f"netstord was not ready after {READY_SECONDS} s: {log.read_text()}")
            time.sleep(0.02)
        yield f"nvme+tcp://127.0.0.1:{int(port_file.read_text().split()[0])}"
    finally:
        getattr(child, end)()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def openssl(*words, stderr=subprocess.DEVNULL, limit_s=60):
    """OpenSSL's program with pipes; it lives no longer than the block, nor than the limit."""
    child = subprocess.Popen(["openssl", *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=stderr)
    timer = threading.Timer(limit_s, child.kill)
    timer.start()
    try:
        yield child
    finally:
        timer.cancel()
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()


def connections_to(port):
    """How many established connections a port of this machine has."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def wait_until_listens(port):
    """Without connecting: some servers take one connection alone."""
    limit = time.monotonic() + READY_SECONDS
    while time.monotonic() < limit:
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listened on port {port} within {READY_SECONDS} s")


class Answer:
    def __init__(self, done):
        self.code = done.returncode
        self.bytes = done.stdout
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.out)


def call(program, *words, stdin=b"", timeout=120, env=None):
    done = subprocess.run([str(program), *map(str, words)], input=stdin, capture_output=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, check=False)
    return Answer(done)


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory(prefix="netstor-test-")
        self.addCleanup(kept.cleanup)
        self.folder = pathlib.Path(kept.name)

    def file(self, name, data=b""):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def volume_file(self, name, size):
        """A file:/// volume, all zeroes."""
        path = self.folder / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path, f"file://{path}"

    def succeed(self, answer):
        self.assertEqual(answer.code, 0, answer.err + answer.out)
        return answer

    def refuse(self, answer, code, *words):
        """It failed with this code and one line that says so; answers what was said."""
        self.assertEqual(answer.code, code, answer.err + answer.out)
        lines = answer.err.strip().splitlines()
        self.assertTrue(lines and lines[0].startswith("netstor: "), answer.err)
        self.assertLessEqual(len(lines), 2, answer.err)
        if len(lines) == 2:
            self.assertTrue(lines[1].startswith("hint: "), answer.err)
        for word in words:
            self.assertIn(word, answer.err)
        return answer.err


def arguments(*extra):
    parser = argparse.ArgumentParser()
    for name in ("--tool", "--netstord", *extra):
        parser.add_argument(name)
    return parser.parse_known_args()


def run_tests(module, rest):
    unittest.main(module=module, argv=["test", "-v", *rest])
