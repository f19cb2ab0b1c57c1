# SPDX-License-Identifier: Apache-2.0
"""What the tests of `netstor admin` share: a server with an admin socket, and how it is asked."""
import base64
import pathlib
import random
import subprocess
import sys
import time
import zlib

import tool_support
from tool_support import call

OPTIONS, REST = tool_support.arguments()
MIB = 1 << 20
HOST = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"
OTHER = "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555"


def admin_built():
    answer = call(OPTIONS.tool, "admin", "volume", "list", "--socket", "/nonexistent")
    return "was built without" not in answer.err


def dhchap_secret(seed):
    """As `nvme gen-dhchap-key` prints one: 32 bytes and their CRC-32."""
    raw = random.Random(seed).randbytes(32)
    return "DHHC-1:00:" + base64.b64encode(raw + zlib.crc32(raw).to_bytes(4, "little")).decode() + ":"


class Server:
    """netstord with an admin socket, on a state folder of the test."""

    def __init__(self, folder, *flags, preexec_fn=None):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.socket = self.state / "admin.sock"
        self.log = self.folder / "netstord.log"
        ports = self.folder / "ports"
        ports.unlink(missing_ok=True)
        self.command = [OPTIONS.netstord, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--state",
                        str(self.state), "--port-file", str(ports), "--shards", "2", *map(str, flags)]
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=subprocess.STDOUT, preexec_fn=preexec_fn)
        limit = time.monotonic() + tool_support.READY_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 2):
            if self.child.poll() is not None:
                raise RuntimeError(f"netstord ended with {self.child.returncode}: {self.log.read_text()}")
            if time.monotonic() > limit:
                self.end("kill")
                raise RuntimeError(f"netstord was not ready: {self.log.read_text()}")
            time.sleep(0.01)
        self.port, self.s3_port = map(int, ports.read_text().split())

    def end(self, how="terminate"):
        if self.child.poll() is None:
            getattr(self.child, how)()
        try:
            return self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise

    def admin(self, *words, **options):
        return call(OPTIONS.tool, "admin", *words, "--socket", self.socket, **options)

    def uri(self, nqn, nsid=None):
        return f"nvme+tcp://127.0.0.1:{self.port}/{nqn}" + (f"?ns={nsid}" if nsid else "")


class Case(tool_support.Case):
    def start(self, *flags, **options):
        server = Server(self.folder, *flags, **options)
        self.addCleanup(server.end, "kill")
        return server

    def ok(self, server, *words):
        return self.succeed(server.admin(*words, "--json")).json

    def tool(self, *words, **options):
        return call(OPTIONS.tool, *words, **options)

    def secret_file(self, name, text):
        path = self.file(name, (text + "\n").encode())
        path.chmod(0o600)
        return path

    def names(self, server):
        return [each["name"] for each in self.ok(server, "volume", "list")["volumes"]]


def run(module):
    if not OPTIONS.netstord or not admin_built():
        print("SKIP: this build has no netstord, or no admin service")
        sys.exit(77)
    tool_support.run_tests(module, REST)
