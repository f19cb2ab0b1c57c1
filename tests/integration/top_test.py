#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""netstor top: its tables, its JSON, and its screen in a terminal of the test's own."""
import contextlib
import fcntl
import http.server
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest

import tool_support
from tool_support import READY_SECONDS, call

OPTIONS, REST = tool_support.arguments()


def scrape(looks):
    """Two shards, two volumes, a bucket; everything grows with each look."""
    n = looks * 1000
    lines = ['netstor_build_info{version="9.8.7",io_driver="uring"} 1', "netstor_ready 1",
             f"process_start_time_seconds {time.time() - 7300}", f"process_cpu_seconds_total {looks * 0.5}",
             "process_resident_memory_bytes 104857600", "netstor_state_free_bytes 1073741824",
             f'netstor_warnings_total{{kind="store"}} {looks}',
             f'netstor_nvme_tls_refused_total{{reason="missing"}} {looks * 5}',
             'netstor_s3_authentications_failed_total{code="ExpiredToken"} 3',
             'netstor_reloads_total{outcome="failed"} 1', "netstor_reload_last_good 0"]
    for shard in (0, 1):
        lines += [f'netstor_shard_up{{shard="{shard}"}} {1 - (shard and looks > 100)}',
                  f'netstor_nvme_connections{{shard="{shard}"}} 3',
                  f'netstor_nvme_in_flight{{shard="{shard}"}} 7']
        lines += [f'netstor_shard_seconds_total{{shard="{shard}",state="{state}"}} {looks * share}'
                  for state, share in (("busy", 0.05), ("polling", 0.03), ("sleeping", 0.02))]
    for volume in ('plain', 'odd \\"name\\" \\\\ and a very long one'):
        lines += [f'netstor_volume_size_bytes{{volume="{volume}"}} 1073741824',
                  f'netstor_volume_used_bytes{{volume="{volume}"}} 4096',
                  f'netstor_volume_requests_total{{volume="{volume}",direction="read"}} {n}',
                  f'netstor_volume_bytes_total{{volume="{volume}",direction="read"}} {n * 4096}']
    lines.append(f'netstor_bucket_requests_total{{bucket="photos",direction="write"}} {n}')
    for bound, share in (("1.024e-06", 0), ("0.000131072", 0.6), ("0.001048576", 0.995), ("+Inf", 1)):
        lines.append(f'netstor_nvme_request_seconds_bucket{{operation="read",le="{bound}"}} {n * share}')
    lines.append(f'netstor_nvme_request_seconds_count{{operation="read"}} {n}')
    return "\n".join(lines) + "\n"


HOST, OTHER = (f"nqn.2014-08.org.nvmexpress:uuid:{digit * 8}-0000-0000-0000-000000000000" for digit in "12")
# A host with two queues, another from the same machine, and a client of buckets.
CONNECTIONS = "".join(
    f'netstor_nvme_connection{{shard="0",id="0-{number}",peer="10.0.0.5:{4000 + number}",host="{host}",'
    f'subsystem="nqn.2026-01.io.netstor:plain",queue="{queue}"}} 1\n'
    for number, (host, queue) in enumerate(((HOST, 0), (HOST, 1), (OTHER, 0)))
) + 'netstor_s3_connection{shard="1",peer="[fd00::7]:51000"} 1\n'


class Service(http.server.BaseHTTPRequestHandler):
    looks = 0

    def do_GET(self):
        Service.looks += 1
        body = (CONNECTIONS if self.path == "/connections" else scrape(Service.looks)).encode()
        self.send_response(200 if self.path in ("/metrics", "/connections") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Top(tool_support.Case):
    def setUp(self):
        super().setUp()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def test_json_has_rates(self):
        view = self.succeed(call(OPTIONS.tool, "top", self.url, "--json", "--interval", "0.2")).json
        self.assertEqual((view["version"], view["ready"], len(view["shards"])), ("9.8.7", True, 2))
        self.assertEqual([each["name"] for each in view["volumes"]],
                         ['odd "name" \\ and a very long one', "plain"])
        plain = view["volumes"][1]
        self.assertAlmostEqual(plain["read_bytes_per_s"] / plain["reads_per_s"], 4096)
        self.assertGreater(plain["reads_per_s"], 0)
        self.assertLessEqual(plain["reads_per_s"], 1000 / 0.2 * 1.01)
        read = view["operations"][0]
        self.assertEqual((read["operation"], read["p50_s"], read["p99_s"]),
                         ("read", 0.000131072, 0.001048576))
        self.assertEqual(view["shards"][0]["in_flight"], 7)
        refusals = {(each["check"], each["reason"]): each for each in view["refusals"]}
        self.assertGreater(refusals["nvme tls", "missing"]["per_s"], 0)
        expired = refusals["s3 authentication", "ExpiredToken"]
        self.assertEqual((expired["per_s"], expired["total"]), (0, 3))
        self.assertEqual(view["refused"], sum(each["total"] for each in view["refusals"]))
        self.assertTrue(view["reload_failed"])
        self.assertEqual([(each["peer"], each["host"], each["connections"]) for each in view["connections"]],
                         [("10.0.0.5", HOST, 2), ("10.0.0.5", OTHER, 1), ("[fd00::7]", "", 1)])

    def test_tables(self):
        out = self.succeed(call(OPTIONS.tool, "top", self.url, "--once", "--interval", "0.1")).out
        for word in ("netstord 9.8.7", "ready", "2 h 1 min", "VOLUME", "plain", "BUCKET", "photos",
                     "nvme read", "≤ 131 µs", "SHARD", "the last reload failed", "nvme tls",
                     "FROM", "10.0.0.5", HOST[-20:]):
            self.assertIn(word, out)
        self.assertNotIn("\033", out)
        self.assertNotIn("ExpiredToken", out)  # none now
        self.assertLessEqual(max(len(line) for line in out.splitlines()), 80, out)

    def test_what_it_cannot_read_is_said(self):
        self.refuse(call(OPTIONS.tool, "top", "127.0.0.1:9420", "--once"), 2, "http://")
        self.refuse(call(OPTIONS.tool, "top", "http://127.0.0.1:1", "--once"), 1, "--metrics-listen")
        self.refuse(call(OPTIONS.tool, "top", self.url + "/nothing", "--once"), 1, "404")
        self.refuse(call(OPTIONS.tool, "top", self.url), 2, "--once")

    # ---- In a terminal.

    def open(self, rows=24, columns=80):
        self.ours, theirs = pty.openpty()
        self.addCleanup(os.close, self.ours)
        self.addCleanup(os.close, theirs)
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.child = subprocess.Popen([OPTIONS.tool, "top", self.url, "--interval", "0.2"], stdin=theirs,
                                      stdout=theirs, stderr=theirs, start_new_session=True,
                                      env={**os.environ, "TERM": "xterm"})
        self.addCleanup(self.child.wait, 30)
        self.addCleanup(lambda: self.child.poll() is None and self.child.kill())
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, good):
        limit = time.monotonic() + READY_SECONDS
        while not good(self.seen):
            self.assertLess(time.monotonic(), limit, self.seen[-2000:])
            if select.select([self.ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.ours, 65536)

    def frames(self):
        """Complete screens, as lists of lines without escape sequences."""
        parts = self.seen.split(b"\033[H")[1:-1]
        plain = [re.sub(rb"\033\[[0-9;?]*[A-Za-z]|\r", b"", part).decode() for part in parts]
        return [each.split("\n") for each in plain]

    def ended(self, status):
        self.until(lambda seen: self.child.poll() is not None and seen.endswith(b"\033[?1049l"))
        self.assertEqual(self.child.returncode, status)
        self.assertIn(b"\033[?25h", self.seen)
        self.assertEqual(termios.tcgetattr(self.theirs)[3], self.before[3])

    def test_the_screen_fits_and_follows_the_terminal(self):
        self.open(24, 80)
        self.until(lambda seen: seen.count(b"SHARD") >= 2)
        for frame in self.frames():
            self.assertLessEqual(len(frame), 25)
            self.assertLessEqual(max(map(len, frame)), 80, frame)
        self.resize(10, 40)
        os.kill(self.child.pid, signal.SIGWINCH)
        at = len(self.seen)
        self.until(lambda seen: seen[at:].count(b"\033[H") >= 4)
        frame = self.frames()[-1]
        self.assertLessEqual(len(frame), 10)
        self.assertLessEqual(max(map(len, frame)), 40, frame)
        os.write(self.ours, b"q")
        self.ended(0)

    def test_signals_give_the_terminal_back(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.open()
                self.until(lambda seen: b"\033[?1049h" in seen and b"SHARD" in seen)
                self.child.send_signal(number)
                self.ended(0)

    def test_a_server_that_goes_is_waited_for(self):
        self.open()
        self.until(lambda seen: b"SHARD" in seen)
        self.addCleanup(setattr, Service, "do_GET", Service.do_GET)
        Service.do_GET = lambda handler: handler.send_error(500)
        self.until(lambda seen: b"trying again" in seen)
        self.child.send_signal(signal.SIGINT)
        self.ended(0)


if __name__ == "__main__":
    if not OPTIONS.tool:
        print("SKIP: this build has no netstor tool")
        sys.exit(77)
    tool_support.run_tests("__main__", REST)
