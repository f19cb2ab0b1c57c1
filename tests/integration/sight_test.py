#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a running netstord shows of itself: /metrics, /healthz, /readyz, its log; and who must not hold it."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import admin_support
import stuck_thread
import tls_keys
import tool_support
from tool_support import NQN, READY_SECONDS, call

OPTIONS, REST = tool_support.arguments()
MIB = 1 << 20

# The grammar of the text format 0.0.4.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
VALUE = r"(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})")
ONE_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


class Scrape:
    """What a scrape says; it fails where that breaks the format."""

    def __init__(self, text):
        self.types, self.samples, family = {}, {}, None
        if not text.endswith("\n"):
            raise AssertionError("the last line has no end")
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                if family in self.types:
                    raise AssertionError(f"{family} comes twice")
                continue
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                if name != family or kind not in ("counter", "gauge", "histogram"):
                    raise AssertionError(line)
                self.types[name] = kind
                continue
            match = SAMPLE.fullmatch(line)
            if not match:
                raise AssertionError(f"no sample: {line}")
            name, labels, value = match.groups()
            base = name
            if self.types[family] == "histogram":
                base = re.sub(r"_(bucket|sum|count)$", "", name)
            if base != family:
                raise AssertionError(f"{line} is in the family {family}")
            key = (name, tuple(sorted(ONE_LABEL.findall(labels or ""))))
            if key in self.samples:
                raise AssertionError(f"twice: {line}")
            self.samples[key] = float(value)

    def sum(self, name, **labels):
        """Of all samples with this name and these labels."""
        found = [value for (each, has), value in self.samples.items()
                 if each == name and all(dict(has).get(label) == wanted for label, wanted in labels.items())]
        return sum(found) if found else None


class Server:
    def __init__(self, stack, *options):
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netstor-sight-")))
        ports = self.folder / "port"
        self.log = self.folder / "netstord.log"
        with open(self.log, "wb") as output:
            self.child = subprocess.Popen(
                [OPTIONS.netstord, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0",
                 "--metrics-listen", "127.0.0.1:0", "--state", str(self.folder / "state"), "--port-file",
                 str(ports), "--volume", "v=32MiB", "--bucket", "photos,anonymous=read+list+write",
                 "--shards", "2", *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output)
        stack.callback(self.child.wait, 60)
        stack.callback(self.child.kill)
        limit = time.monotonic() + READY_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 3):
            if self.child.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"netstord did not become ready: {self.log.read_text()}")
            time.sleep(0.02)
        nvme, s3, self.port = map(int, ports.read_text().split())
        self.nvme_port = nvme
        self.volume = f"nvme+tcp://127.0.0.1:{nvme}/{NQN}:v"
        self.s3_port = s3
        self.bucket = f"http://127.0.0.1:{s3}/photos"

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def scrape(self):
        status, headers, text = self.get("/metrics")
        assert status == 200, text
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers
        return Scrape(text)

    def lines(self, word):
        return [line for line in self.log.read_text().splitlines() if word in line]


def request(method, url, body=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Sight(unittest.TestCase):
    def serve(self, *options):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        return Server(stack, *options)

    def eventually(self, good, what):
        limit = time.monotonic() + READY_SECONDS
        while not good():
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.02)

    def test_what_is_done_is_what_is_counted(self):
        server = self.serve()
        before = server.scrape()
        self.assertEqual(before.sum("netstor_volume_size_bytes", volume="v"), 32 * MIB)
        data = bytes(range(256)) * 4096
        self.assertEqual(call(OPTIONS.tool, "write", server.volume, stdin=data).code, 0)
        read = call(OPTIONS.tool, "read", server.volume, "--length", "1MiB")
        self.assertEqual(read.bytes, data)
        self.assertEqual(request("PUT", server.bucket + "/a", data)[0], 200)
        self.assertEqual(request("GET", server.bucket + "/a"), (200, data))
        self.assertEqual(request("GET", server.bucket + "/b")[0], 404)
        self.assertEqual(request("GET", server.bucket + "/a?X-Amz-Algorithm=AWS4-HMAC-SHA256")[0], 400)
        # An answer that has arrived may not have been told of yet.
        self.eventually(lambda: server.scrape().sum("netstor_s3_in_flight") == 0, "requests in flight")
        after = server.scrape()

        def grew(name, **labels):
            return (after.sum(name, **labels) or 0) - (before.sum(name, **labels) or 0)
        self.assertEqual(grew("netstor_nvme_bytes_total", direction="read"), len(data))
        self.assertEqual(grew("netstor_nvme_bytes_total", direction="write"), len(data))
        self.assertEqual(grew("netstor_volume_bytes_total", volume="v", direction="write"), len(data))
        for operation in ("read", "write", "admin"):
            with self.subTest(operation):
                count = grew("netstor_nvme_request_seconds_count", operation=operation)
                self.assertGreater(count, 0)
                self.assertEqual(count, grew("netstor_nvme_request_seconds_bucket", operation=operation,
                                             le="+Inf"))
        self.assertEqual(grew("netstor_s3_request_seconds_count", operation="PutObject"), 1)
        self.assertEqual(grew("netstor_s3_request_seconds_count", operation="GetObject"), 3)
        self.assertEqual(grew("netstor_s3_bytes_total", direction="write"), len(data))
        self.assertGreaterEqual(grew("netstor_s3_bytes_total", direction="read"), len(data))
        self.assertEqual(grew("netstor_s3_errors_total", code="NoSuchKey"), 1)
        self.assertEqual(grew("netstor_s3_authentications_failed_total"), 1)
        self.assertEqual(grew("netstor_bucket_requests_total", bucket="photos", direction="write"), 1)
        self.assertEqual(grew("netstor_bucket_errors_total", bucket="photos"), 2)
        self.assertEqual(grew("netstor_object_store_bytes"), len(data))
        self.assertGreaterEqual(after.sum("netstor_volume_used_bytes", volume="v"), len(data))
        self.assertEqual(after.sum("netstor_shard_up"), 2)
        self.assertGreater(grew("netstor_shard_seconds_total", state="busy"), 0)
        self.assertGreater(after.sum("netstor_shard_allocations_total"), 0)
        self.assertGreater(after.sum("netstor_copied_bytes_total"), 0)

    def test_what_an_operator_makes_is_seen(self):
        server = self.serve()

        def admin(*words):
            answer = call(OPTIONS.tool, "admin", *words, "--socket", server.folder / "state" / "admin.sock")
            if "was built without" in answer.err:
                self.skipTest("no admin service in this build")
            self.assertEqual(answer.code, 0, answer.err)
        admin("drain")
        self.assertEqual(server.get("/readyz")[::2], (503, "draining\n"))
        self.assertEqual(server.scrape().sum("netstor_ready"), 0)
        admin("resume")
        self.assertEqual(server.get("/readyz")[::2], (200, "ready\n"))
        admin("volume", "create", "late", "4MiB")
        admin("volume", "create", "elsewhere", "4MiB", "--detached")
        admin("subsystem", "create", NQN + ":both")
        admin("subsystem", "attach", NQN + ":both", "elsewhere")
        admin("subsystem", "attach", NQN + ":both", "late")
        for place, size in ((":late", 4096), (":both?ns=1", 8192), (":both?ns=2", 16384)):
            data = bytes(size)
            uri = server.volume.removesuffix(":v") + place
            self.assertEqual(call(OPTIONS.tool, "write", uri, stdin=data).code, 0)
        seen = server.scrape()
        for name, size in (("late", 4096 + 16384), ("elsewhere", 8192), ("v", 0)):
            with self.subTest(name):
                self.assertEqual(seen.sum("netstor_volume_bytes_total", volume=name, direction="write"), size)
        admin("volume", "rename", "late", "later")
        admin("volume", "delete", "elsewhere")
        seen = server.scrape()
        self.assertIsNone(seen.sum("netstor_volume_size_bytes", volume="elsewhere"))
        self.assertIsNone(seen.sum("netstor_volume_size_bytes", volume="late"))
        self.assertEqual(seen.sum("netstor_volume_size_bytes", volume="later"), 4 * MIB)
        top = call(OPTIONS.tool, "top", f"http://127.0.0.1:{server.port}", "--json", "--interval", "0.1").json
        self.assertEqual([each["name"] for each in top["volumes"]], ["later", "v"])

    def test_who_is_connected_is_listed(self):
        server = self.serve()
        host = "nqn.2026-01.org.example:seen"
        # It reads from an input that does not end yet.
        with subprocess.Popen([OPTIONS.tool, "write", server.volume, "--host-nqn", host],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as writing:
            try:
                self.eventually(lambda: f'host="{host}"' in server.get("/connections")[2], "the host")
                with socket.create_connection(("127.0.0.1", server.s3_port)) as client:
                    peer = "%s:%d" % client.getsockname()
                    self.eventually(lambda: peer in server.get("/connections")[2], "the client")
                self.eventually(lambda: peer not in server.get("/connections")[2], "the client's end")
                url = f"http://127.0.0.1:{server.port}"
                top = call(OPTIONS.tool, "top", url, "--json", "--interval", "0.1")
                self.assertEqual({(each["host"], each["subsystem"]) for each in top.json["connections"]},
                                 {(host, NQN + ":v")})
            finally:
                writing.stdin.close()

    def test_counters_only_grow(self):
        server = self.serve()
        before = server.scrape()
        call(OPTIONS.tool, "bench", server.volume, "--seconds", "0.2")
        after = server.scrape()
        for (name, labels), value in before.samples.items():
            kind = before.types.get(name) or before.types.get(re.sub(r"_(bucket|sum|count)$", "", name))
            if kind != "gauge":
                self.assertGreaterEqual(after.samples[name, labels], value, name)

    def test_promtool_finds_nothing_to_say(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("no promtool (Debian's prometheus)")
        server = self.serve()
        checked = subprocess.run([promtool, "check", "metrics"], input=server.get("/metrics")[2].encode(),
                                 capture_output=True, timeout=60, check=False)
        self.assertEqual((checked.returncode, checked.stderr, checked.stdout), (0, b"", b""))

    def test_the_dashboard_names_what_there_is(self):
        scrape = self.serve().scrape()
        labels = {}
        for name, has in scrape.samples:
            labels.setdefault(name, set()).update(label for label, _ in has)
        dashboard = pathlib.Path(__file__).resolve().parents[2] / "share" / "grafana" / "netstord.json"
        expressions = [target["expr"] for panel in json.loads(dashboard.read_text())["panels"]
                       for target in panel.get("targets", [])]
        self.assertGreater(len(expressions), 30)
        for expression in expressions:
            with self.subTest(expression):
                names = re.findall(r"\b(?:netstor|process)_[a-z0-9_]+", expression)
                self.assertTrue(names)
                for name in names:
                    family = name if name in scrape.types else re.sub(r"_(bucket|sum|count)$", "", name)
                    self.assertIn(family, scrape.types)
                    self.assertEqual(family != name, scrape.types[family] == "histogram")
                    known = labels.get(name)
                    used = {label for list_ in re.findall(r"by \(([a-z_, ]+)\)", expression)
                            for label in list_.split(", ")} - {"instance"}
                    if known is not None and used:
                        self.assertLessEqual(used, known)

    def test_refused_hosts_are_counted_by_reason(self):
        server = self.serve("--allow-host", "nqn.2020-01.org.example:welcome")
        self.assertEqual(call(OPTIONS.tool, "info", server.volume).code, 1)
        scrape = server.scrape()
        refused = scrape.sum("netstor_nvme_connects_refused_total")
        self.assertGreater(refused, 0)
        self.assertEqual(scrape.sum("netstor_warnings_total", kind="refused_host"), refused)

    def secret_file(self, text):
        file = tempfile.NamedTemporaryFile("w", prefix="netstor-sight-")  # mode 0600
        self.addCleanup(file.close)
        file.write(text + "\n")
        file.flush()
        return file.name

    def test_who_shows_no_credentials_is_counted_and_named(self):
        secret = admin_support.dhchap_secret(1)
        server = self.serve("--host-keys", self.secret_file(f"{admin_support.HOST} {secret}"), "--bucket",
                            "private")
        private = f"http://127.0.0.1:{server.s3_port}/private/a"
        self.assertEqual(request("GET", private)[0], 403)
        self.assertEqual(request("GET", server.bucket + "/none")[0], 404)
        stranger = {"AWS_ACCESS_KEY_ID": "STRANGERS0KEY", "AWS_SECRET_ACCESS_KEY": "strangers-secret-key"}
        self.assertEqual(call(OPTIONS.tool, "ls", "s3://private", "--endpoint-url",
                              f"http://127.0.0.1:{server.s3_port}", env=stranger).code, 1)
        self.assertEqual(call(OPTIONS.tool, "info", server.volume, "--host-nqn", admin_support.HOST).code, 1)
        wrong = self.secret_file(admin_support.dhchap_secret(2))
        self.assertEqual(call(OPTIONS.tool, "info", server.volume, "--host-nqn", admin_support.OTHER,
                              "--host-secret", wrong).code, 1)
        nvme = "netstor_nvme_authentications_failed_total"
        self.eventually(lambda: server.scrape().sum(nvme, reason="missing"), "no host without a secret")
        scrape = server.scrape()
        s3 = "netstor_s3_authentications_failed_total"
        self.assertEqual(scrape.sum(s3, code="missing"), 1)
        self.assertEqual(scrape.sum(s3, code="InvalidAccessKeyId"), 1)
        self.assertEqual(scrape.sum("netstor_warnings_total", kind="refused_client"), 2)
        self.assertEqual(scrape.sum("netstor_warnings_total", kind="refused_host"), scrape.sum(nvme))
        # Of each kind a line a second at most: the first ones are there, and no secret is.
        log = server.log.read_text()
        self.assertIn("GetObject of private was refused: it has no signature", log)
        self.assertIn(f"host {admin_support.HOST} did not begin to authenticate", log)
        for each in (secret, "strangers-secret-key", pathlib.Path(wrong).read_text().strip()):
            self.assertNotIn(each, log)

    def test_who_comes_with_a_wrong_key_is_named(self):
        secret = admin_support.dhchap_secret(1)
        server = self.serve("--host-keys", self.secret_file(f"{admin_support.HOST} {secret}"))
        stranger = {"AWS_ACCESS_KEY_ID": "STRANGERS0KEY", "AWS_SECRET_ACCESS_KEY": "strangers-secret-key"}
        call(OPTIONS.tool, "ls", "s3://photos", "--endpoint-url", f"http://127.0.0.1:{server.s3_port}",
             env=stranger)
        wrong = self.secret_file(admin_support.dhchap_secret(2))
        call(OPTIONS.tool, "info", server.volume, "--host-nqn", admin_support.OTHER, "--host-secret", wrong)
        log = server.log.read_text()
        self.assertIn("was refused: InvalidAccessKeyId, access key STRA..., which is nobody's", log)
        self.assertNotIn("STRANGERS0KEY", log)
        self.assertIn(f"host {admin_support.OTHER} did not authenticate to {NQN}:v", log)

    def test_hosts_without_tls_are_counted_where_it_has_to_be(self):
        key = tls_keys.interchange(b"k" * 32, 1)
        server = self.serve("--tls-keys", self.secret_file(f"{admin_support.HOST} {key}"))
        refused = "netstor_nvme_tls_refused_total"
        self.assertEqual(call(OPTIONS.tool, "info", server.volume, "--host-nqn", admin_support.HOST).code, 1)
        self.eventually(lambda: server.scrape().sum(refused, reason="missing"), "no host without TLS")
        self.assertIn("a host was not let in: it came without TLS", server.log.read_text())
        before = server.scrape().sum(refused, reason="missing")
        with socket.create_connection(("127.0.0.1", server.nvme_port)):
            pass
        self.eventually(lambda: server.scrape().sum(refused, reason="broken"), "no host that said nothing")
        self.assertEqual(server.scrape().sum(refused, reason="missing"), before)
        other = self.secret_file(tls_keys.interchange(b"o" * 32, 1))
        self.assertEqual(call(OPTIONS.tool, "info", server.volume, "--host-nqn", admin_support.HOST,
                              "--tls-key", other).code, 1)
        self.eventually(lambda: server.scrape().sum(refused, reason="key"), "no host with another key")

    def test_health_and_readiness(self):
        server = self.serve("--grace-s", "20")
        self.assertEqual(server.get("/healthz")[::2], (200, "alive\n"))
        self.assertEqual(server.get("/readyz")[::2], (200, "ready\n"))
        self.assertEqual(server.get("/nothing")[0], 404)
        self.assertEqual(request("POST", f"http://127.0.0.1:{server.port}/metrics", b"x")[0], 405)
        # A request that does not end holds the server while it stops.
        slow = socket.create_connection(("127.0.0.1", int(server.bucket.split(":")[2].split("/")[0])))
        self.addCleanup(slow.close)
        slow.sendall(b"PUT /photos/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun")
        self.eventually(lambda: server.scrape().sum("netstor_s3_in_flight") == 1, "the slow request")
        server.child.send_signal(signal.SIGTERM)
        self.eventually(lambda: server.get("/readyz")[::2] == (503, "stopping\n"), "stopping is said")
        self.assertEqual(server.get("/healthz")[0], 200)
        self.assertEqual(server.scrape().sum("netstor_ready"), 0)
        slow.close()
        self.assertEqual(server.child.wait(60), 0, server.log.read_text())

    def test_a_stuck_shard_is_named_and_harms_no_later_page(self):
        server = self.serve()
        with stuck_thread.stuck(self, server.child.pid, "netstor-1"):
            scrape = server.scrape()
            self.assertEqual([scrape.sum("netstor_shard_up", shard=shard) for shard in "01"], [1, 0])
            # The question before is not answered yet, but in part.
            self.assertEqual(server.get("/healthz")[::2], (503, "no answer within 2 s from shard 1\n"))
            self.assertEqual(server.get("/connections")[0], 200)
        self.eventually(lambda: server.scrape().sum("netstor_shard_up") == 2, "the shard answers again")
        self.assertEqual(server.get("/healthz")[0], 200)
        server.child.send_signal(signal.SIGTERM)
        self.assertEqual(server.child.wait(60), 0, server.log.read_text())

    def test_a_volume_whose_file_is_gone_is_not_ready(self):
        server = self.serve()
        data = next((server.folder / "state" / "volumes" / "v").glob("data*"))
        data.unlink()
        status, _, text = server.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("volume v", text)

    def test_who_sends_nothing_or_too_much_does_not_hold_it(self):
        server = self.serve()
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        for each in idle:
            self.addCleanup(each.close)
        # Those beyond the limit were closed; a client that comes when others went is served.
        for each in idle:
            each.close()
        self.eventually(lambda: self.served(server), "a page behind 200 idle connections")
        for junk in (b"\x00" * 4096, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                     b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as rude:
                rude.settimeout(30)
                with contextlib.suppress(ConnectionError):
                    rude.sendall(junk)
                    self.assertRegex(rude.recv(100), rb"HTTP/1.1 4\d\d ")
        self.assertTrue(self.served(server))
        self.assertIsNone(server.child.poll())

    def served(self, server):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return server.get("/metrics")[0] == 200
        return False

    def test_slow_requests_are_told_of_with_where_the_time_went(self):
        server = self.serve("--slow-ms", "1", "--log-format", "json")
        body = http.client.HTTPConnection("127.0.0.1", int(server.bucket.split(":")[2].split("/")[0]))
        self.addCleanup(body.close)
        body.putrequest("PUT", "/photos/late")
        body.putheader("Content-Length", "10")
        body.endheaders(b"01234")
        self.eventually(lambda: server.scrape().sum("netstor_s3_in_flight") == 1, "the slow request")
        time.sleep(0.02)
        body.send(b"56789")
        self.assertEqual(body.getresponse().status, 200)
        self.eventually(lambda: server.lines('"event":"slow"'), "a line about it")
        line = json.loads(server.lines('"event":"slow"')[0])
        self.assertEqual(line["level"], "warning")
        self.assertRegex(line["message"], r"^slow: PutObject of photos/late for .* took \d+ ms: \d+ ms "
                                          r"until its answer began, \d+ ms until its end; 10 bytes in")
        self.assertTrue(all(json.loads(each)["time"] for each in server.log.read_text().splitlines()))


if __name__ == "__main__":
    if not OPTIONS.netstord:
        print("SKIP: this build has no netstord")
        sys.exit(77)
    tool_support.run_tests("__main__", REST)
