# SPDX-License-Identifier: Apache-2.0
"""S3 over RDMA between our own two ends, over Soft-RoCE in one machine: what goes by it and what does not,
what the endpoint refuses, and what happens when one side goes."""
import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import subprocess
import time
import urllib.request

import lab
from lab import MIB, RDMA_ADDRESS, call, long_test

PEER = lab.Peer("netstor, S3 over RDMA", "rdma", modules=("rdma_rxe", "rdma_ucm"), memory_mib=4096,
                limit_s=1800)
RDMA_PORT = 9001
VENDORS = "00007f0123456000:00800000:0000beef:0000:000123:1:00000000000000000000ffff0a000001"
OFFER = re.compile(r"netstor-rc-1;port=(\d+);session=([0-9a-f]{32});ticket=([0-9a-f]{32});seconds=\d+;"
                   r"bytes=\d+;host=([0-9.]+)")
# Each MiB begins with its number.
GIBIBYTE = """python3 -c 'import random, sys
block = random.Random(1).randbytes((1 << 20) - 8)
for i in range(1024): sys.stdout.buffer.write(i.to_bytes(8, "big") + block)'"""
KEYS = """
[default]
aws_access_key_id = NSTRWRITER
aws_secret_access_key = another-secret-with-letters
netstor_allow = rwl:*
[reader]
aws_access_key_id = NSTRREADER
aws_secret_access_key = a-secret-of-many-letters
netstor_allow = rl:things
"""


class S3Case(lab.Case):
    device = "rxe"

    def setUp(self):
        super().setUp()
        self.tool = lab.programs()[1]
        lab.need_rdma()
        self.addCleanup(lab.rdma_device(self.device))

    def endpoint(self, *options, rdma=True, **more):
        """netstord with the bucket `things` and a second key."""
        words = ["--s3-listen", f"{RDMA_ADDRESS}:0", "--bucket", "things", "--metrics-listen", "127.0.0.1:0",
                 "--s3-keys", self.keys(), *options]
        if rdma:
            words += ["--s3-listen-rdma", f"{RDMA_ADDRESS}:{RDMA_PORT}"]
        server = lab.Server(self.folder / "netstord", *words, **more).start()
        self.addCleanup(self._stop, server)
        self.port, self.metrics_port = server.ports[1], server.ports[-1]
        return server

    def keys(self):
        path = self.folder / "keys"
        path.touch(mode=0o600)
        path.write_text(KEYS)
        keys = configparser.RawConfigParser()
        keys.read(path)
        self.users = {name: (keys[name]["aws_access_key_id"], keys[name]["aws_secret_access_key"])
                      for name in keys.sections()}
        return path

    def words(self, *words, before=()):
        key_id, secret = self.users["default"]
        return [*before, "env", f"AWS_ENDPOINT_URL=http://{RDMA_ADDRESS}:{self.port}", "AWS_REGION=us-east-1",
                f"AWS_ACCESS_KEY_ID={key_id}", f"AWS_SECRET_ACCESS_KEY={secret}", self.tool, *map(str, words)]

    def copy(self, source, target, *options, **more):
        """What `netstor cp` says of itself."""
        answer = call(*self.words("cp", source, target, "--json", "--force", *options), **more)
        return json.loads(answer.out)["metrics"]

    def counted(self):
        """What the endpoint has counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics",
                                    timeout=lab.WAIT_S) as answer:
            text = answer.read().decode()
        found = re.findall(r'^netstor_s3_rdma_(\w+?)_total(?:{(?:direction|shard)="(\w+)"})? (\d+)$', text,
                           re.M)
        self.assertTrue(found, text)
        counts = {}
        for name, label, value in found:
            name = f"{name} {label}" if label.isalpha() else name
            counts[name] = counts.get(name, 0) + int(value)
        return counts


class Payload(S3Case):
    def test_both_ways(self):
        """an object in parts there and back: all payload by RDMA, none of it copied"""
        self.endpoint("--shards", "2")
        source, back = lab.random_file(self.folder / "source", 21 * MIB), self.folder / "back"
        for one, other in ((source, "s3://things/a"), ("s3://things/a", back)):
            told = self.copy(one, other, "--rdma", "required")
            self.assertEqual((told["rdma_bytes"], told["copied_bytes"]), (21 * MIB, 0), told)
        self.same(source, back)
        counts = self.counted()
        self.assertEqual((counts["bytes read"], counts["bytes write"]), (21 * MIB, 21 * MIB), counts)
        self.assertGreater(counts["sessions"], 0)
        self.assertEqual(counts["refused"], 0)

    def test_checksums(self):
        """checksums over the raw bytes: kept by PUT, compared by PUT and GET"""
        self.endpoint()
        source, back = lab.random_file(self.folder / "source", 3 * MIB), self.folder / "back"
        for name in ("CRC32C", "SHA256", "MD5"):
            told = self.copy(source, f"s3://things/{name}", "--checksum-algorithm", name)
            self.assertEqual(told["rdma_requests"], 1, told)
            self.assertEqual(self.copy(f"s3://things/{name}", back)["rdma_requests"], 1)
            self.same(source, back)

    def test_small_objects_go_by_http(self):
        """objects below the threshold, and --rdma never: HTTP"""
        self.endpoint()
        small = lab.random_file(self.folder / "small", 4096)
        large = lab.random_file(self.folder / "large", 2 * MIB)
        self.assertEqual(self.copy(small, "s3://things/small")["rdma_requests"], 0)
        self.assertEqual(self.copy(large, "s3://things/large", "--rdma", "never")["rdma_requests"], 0)
        back = self.folder / "back"
        self.assertEqual(self.copy("s3://things/large", back, "--rdma", "never")["rdma_requests"], 0)
        self.same(large, back)
        self.assertEqual(self.counted()["sessions"], 0)

    @long_test
    @lab.limited(900)
    def test_a_gibibyte(self):
        """1 GiB both ways, checksums equal, while a capture shows that HTTP carried no payload"""
        self.endpoint("--shards", "2")
        capture = self.folder / "capture"
        watch = lab.start("dumpcap", "-q", "-i", "lo", "-f", f"tcp port {self.port}", "-s", "96", "-w",
                          capture)
        self.addCleanup(watch.kill)
        lab.wait_for("dumpcap listens", capture.exists)
        there = " ".join(self.words("cp", "-", "s3://things/large", "--rdma", "required"))
        back = " ".join(self.words("cat", "s3://things/large", "--rdma", "required"))
        sums = call("bash", "-c", f"set -eo pipefail; {GIBIBYTE} | tee >(sha256sum >&2) | {there} >&2",
                    limit_s=400).err
        sums += call("bash", "-c", f"set -eo pipefail; {back} | sha256sum >&2", limit_s=400).err
        found = re.findall(r"[0-9a-f]{64}", sums)
        self.assertEqual(len(found), 2, sums)
        self.assertEqual(found[0], found[1])
        watch.terminate()
        lab.finish(watch)
        counts = self.counted()
        self.assertEqual((counts["bytes read"], counts["bytes write"]), (1 << 30, 1 << 30), counts)
        segments = call("tshark", "-n", "-r", capture, "-T", "fields", "-e", "tcp.len").out
        carried = sum(map(int, segments.split()))
        self.assertGreater(carried, 10_000)  # heads there are
        self.assertLess(carried, MIB)


class Fallback(S3Case):
    def test_endpoint_without_rdma(self):
        """an endpoint without RDMA: by HTTP, by itself, and asked once; required: an error that says so"""
        self.endpoint(rdma=False)
        source, back = lab.random_file(self.folder / "source", 21 * MIB), self.folder / "back"
        self.assertEqual(self.copy(source, "s3://things/a")["rdma_requests"], 0)
        self.assertEqual(self.copy("s3://things/a", back)["rdma_requests"], 0)
        self.same(source, back)
        answer = call(*self.words("cp", source, "s3://things/b", "--rdma", "required"), ok=False)
        self.assertIn("does not offer it", answer.err, answer)

    def test_memory_that_may_not_be_locked(self):
        """the client's limit of locked memory: by HTTP"""
        limited = ("setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", "prlimit",
                   "--memlock=1048576:1048576")
        source = lab.random_file(self.folder / "source", 9 * MIB)
        self.endpoint()
        answer = call(*self.words("cp", source, "s3://things/a", "--json", before=limited))
        self.assertEqual(json.loads(answer.out)["metrics"]["rdma_requests"], 0, answer)

    def test_endpoint_that_may_not_lock_memory(self):
        """the endpoint's limit of locked memory: sessions are rejected for resources, payload goes by HTTP"""
        limited = ("setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", "prlimit",
                   "--memlock=65536:65536")
        source = lab.random_file(self.folder / "source", 9 * MIB)
        server = self.endpoint(before=limited)
        self.assertEqual(self.copy(source, "s3://things/a")["rdma_requests"], 0)
        self.assertIn("locked memory", server.log())


class Killed(S3Case):
    def test_killed_in_the_middle(self):
        """the server is killed under a transfer: an error in bounded time, and back it serves again"""
        server = self.endpoint()
        os.truncate(lab.random_file(self.folder / "source", MIB), 200 * MIB)
        child = lab.start(*self.words("cp", self.folder / "source", "s3://things/a", "--rdma", "required"))
        lab.wait_for("bytes move", lambda: self.counted()["sessions"] > 0)
        time.sleep(0.5)
        server.kill()
        answer = lab.finish(child, 90)
        self.assertEqual(answer.code, 1, answer)
        self.assertRegex(answer.err, "refused|lost|closed|connect", answer)
        server.start()
        self.port = server.ports[1]
        source = lab.random_file(self.folder / "small", 2 * MIB)
        self.assertEqual(self.copy(source, "s3://things/b", "--rdma", "required")["rdma_requests"], 1)


class Wire:
    """One HTTP connection to the endpoint, and requests that are signed by hand."""

    def __init__(self, case, user="default"):
        self.case = case
        self.key_id, self.secret = case.users[user]
        self.connection = http.client.HTTPConnection(RDMA_ADDRESS, case.port, timeout=lab.WAIT_S)
        case.addCleanup(self.connection.close)

    def ask(self, method, path, query="", token=None, body=b"", **headers):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        fields = {"host": f"{RDMA_ADDRESS}:{self.case.port}", "x-amz-date": now,
                  "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
                  **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token is not None:
            fields["x-amz-rdma-token"] = token
        names = ";".join(sorted(fields))
        canonical = "\n".join([method, path, query and f"{query}=",
                               *[f"{name}:{fields[name]}" for name in sorted(fields)], "", names,
                               fields["x-amz-content-sha256"]])
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for word in (now[:8], "us-east-1", "s3", "aws4_request", text):
            key = hmac.digest(key, word.encode(), "sha256")
        fields["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, "
                                   f"SignedHeaders={names}, Signature={key.hex()}")
        self.connection.request(method, path + (f"?{query}=" if query else ""), body or None, fields)
        answer = self.connection.getresponse()
        answer.text = answer.read()
        answer.reply = answer.getheader("x-amz-rdma-reply")
        return answer

    def offer(self):
        """Port, session, ticket."""
        answer = self.ask("POST", "/", "netstor-rdma")
        told = OFFER.fullmatch(answer.getheader("x-netstor-rdma-session") or "")
        self.case.assertTrue(told, answer.text)
        self.case.assertEqual((answer.status, answer.text, told[4]), (200, b"", RDMA_ADDRESS))
        return int(told[1]), told[2], told[3]


class Refusals(S3Case):
    """A client by hand; what it shows is judged as docs/formats/s3-rdma.md says."""

    def setUp(self):
        super().setUp()
        self.endpoint("--shards", "2")
        self.wire = Wire(self)

    def take_up(self, port, session, ticket, magic="4e53533300010000"):
        """The other process, and its first words."""
        child = subprocess.Popen([os.environ["NETSTOR_S3_RDMA_CLIENT"], RDMA_ADDRESS, str(port),
                                  f"{magic}{session}{ticket}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 preexec_fn=lab.die_with_parent)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child, child.stdout.readline().decode().strip()

    def say(self, child, words):
        child.stdin.write(f"{words}\n".encode())
        child.stdin.flush()
        return child.stdout.readline().decode().strip()

    def connected(self):
        """A session that is taken up."""
        port, session, ticket = self.wire.offer()
        child, said = self.take_up(port, session, ticket)
        self.assertEqual(said, "connected")
        return child, session

    def token(self, session, opened, sequence=1, expires=3_600_000, more=0):
        address, key, length = (int(word, 16) for word in opened.split())
        return (f"netstor-rc-1:{session}:{sequence:016x}:{expires:016x}:{address:016x}:{length + more:016x}:"
                f"{key:08x}")

    def expect(self, answer, status):
        self.assertEqual((answer.status, answer.reply), (status, str(status)), answer.text)

    def untouched(self, child):
        self.assertEqual(self.say(child, "look"), "0 0")

    def put(self, size=MIB, key="/things/a"):
        answer = self.wire.ask("PUT", key, body=b"x" * size)
        self.assertEqual(answer.status, 200, answer.text)

    def test_by_hand(self):
        """PUT and GET by hand: what is told, and no byte outside the window"""
        child, session = self.connected()
        opened = self.say(child, "open read")
        answer = self.wire.ask("PUT", "/things/a", token=self.token(session, opened))
        self.expect(answer, 200)
        self.assertEqual(answer.getheader("etag"), '"%s"' % hashlib.md5(b"a" * MIB).hexdigest())
        self.put(key="/things/b")
        self.say(child, "shut")
        opened = self.say(child, "open write")
        answer = self.wire.ask("GET", "/things/b", token=self.token(session, opened, 2), range="bytes=0-999")
        self.expect(answer, 206)
        self.assertEqual((answer.getheader("x-amz-rdma-bytes-transferred"), answer.getheader("content-range"),
                          answer.getheader("content-length"), answer.text),
                         ("1000", f"bytes 0-999/{MIB}", "0", b""))
        self.assertEqual(self.say(child, "look"), "1000 0")
        answer = self.wire.ask("GET", "/things/b", token=self.token(session, opened, 3))
        self.expect(answer, 200)
        self.assertEqual(answer.getheader("x-amz-rdma-bytes-transferred"), str(MIB))
        self.assertEqual(self.say(child, "look"), f"{MIB} 0")

    def test_unknown_forms(self):
        """tokens of another form, the vendor's too: declined, nothing is stored"""
        child, session = self.connected()
        good = self.token(session, self.say(child, "open read"))
        for token in (VENDORS, good[:-1], good + "0", good.replace("rc-1", "rc-2"), good.upper(), "x"):
            self.expect(self.wire.ask("PUT", "/things/a", token=token), 501)
        self.assertEqual(self.wire.ask("GET", "/things/a").status, 404)
        self.expect(self.wire.ask("PUT", "/things/a", token=good), 200)

    def test_no_session(self):
        """no session, and one that is not taken up: declined"""
        opened = "0 0 100000"
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token("0" * 32, opened)), 501)
        _, session, _ = self.wire.offer()
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened)), 501)

    def test_another_connections_session(self):
        """the token of another connection's session: refused, and still good on its own"""
        child, session = self.connected()
        opened = self.say(child, "open read")
        other = Wire(self)
        port, session_of_other, ticket = other.offer()
        self.assertEqual(self.take_up(port, session_of_other, ticket)[1], "connected")
        self.expect(other.ask("PUT", "/things/a", token=self.token(session, opened)), 403)
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened)), 200)

    def test_another_key(self):
        """a request by another access key on the same connection: refused"""
        self.put()
        child, session = self.connected()
        opened = self.say(child, "open write")
        reader = Wire(self, "reader")
        reader.connection = self.wire.connection
        self.expect(reader.ask("GET", "/things/a", token=self.token(session, opened)), 403)
        self.untouched(child)

    def test_replayed(self):
        """a sequence number twice: refused"""
        self.put()
        child, session = self.connected()
        opened = self.say(child, "open write")
        token = self.token(session, opened, 7)
        self.expect(self.wire.ask("GET", "/things/a", token=token), 200)
        self.expect(self.wire.ask("GET", "/things/a", token=token), 403)
        self.expect(self.wire.ask("GET", "/things/a", token=self.token(session, opened, 6)), 403)

    def test_expired(self):
        """a token after its time: refused"""
        self.put()
        child, session = self.connected()
        opened = self.say(child, "open write")
        time.sleep(0.2)
        self.expect(self.wire.ask("GET", "/things/a", token=self.token(session, opened, expires=100)), 403)
        self.untouched(child)

    def test_with_a_body(self):
        """a token beside a body, beside a signed payload, or of no bytes: refused as invalid"""
        child, session = self.connected()
        opened = self.say(child, "open read")
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened), body=b"x"), 400)
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened, 2),
                                  x_amz_content_sha256=hashlib.sha256(b"").hexdigest()), 400)
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened, 3, more=-MIB)), 400)
        self.assertEqual(self.wire.ask("GET", "/things/a").status, 404)

    def test_less_memory_than_the_object(self):
        """a GET of more than the token's length: refused before a byte is written"""
        self.put(2 * MIB)
        child, session = self.connected()
        opened = self.say(child, "open write")
        self.expect(self.wire.ask("GET", "/things/a", token=self.token(session, opened)), 400)
        self.untouched(child)

    def test_key_that_is_no_more(self):
        """a window that has been closed: the transfer fails, the connection with it; HTTP goes on"""
        self.put()
        child, session = self.connected()
        opened = self.say(child, "open write")
        self.say(child, "shut")
        self.expect(self.wire.ask("GET", "/things/a", token=self.token(session, opened)), 500)
        self.untouched(child)
        lab.wait_for("the connection is lost", lambda: self.say(child, "lost") == "yes")
        self.expect(self.wire.ask("GET", "/things/a", token=self.token(session, opened, 2)), 501)
        self.assertEqual(len(self.wire.ask("GET", "/things/a").text), MIB)

    def test_put_of_memory_that_is_not_open(self):
        """a window for writing only: a PUT fails and stores nothing"""
        child, session = self.connected()
        opened = self.say(child, "open write")
        self.expect(self.wire.ask("PUT", "/things/a", token=self.token(session, opened)), 500)
        self.assertEqual(self.wire.ask("GET", "/things/a").status, 404)

    def test_client_gone(self):
        """a client that is gone between its request and the transfer: the endpoint serves on"""
        self.put()
        child, session = self.connected()
        opened = self.say(child, "open write")
        child.kill()
        child.wait()
        answer = self.wire.ask("GET", "/things/a", token=self.token(session, opened))
        self.assertIn(answer.status, (500, 501), answer.text)
        self.assertEqual(len(self.wire.ask("GET", "/things/a").text), MIB)

    def test_tickets(self):
        """a wrong ticket, a session that nobody has, a ticket used before, other words: rejected"""
        port, session, ticket = self.wire.offer()
        refused, wrong_version = "rejected 4e53533300010002", "rejected 4e53533300010001"
        self.assertTrue(self.take_up(port, session, "00" * 16)[1].startswith(refused))
        self.assertTrue(self.take_up(port, "ff" * 16, ticket)[1].startswith(refused))
        self.assertTrue(self.take_up(port, session, ticket, "4e53533300020000")[1].startswith(wrong_version))
        self.assertTrue(self.take_up(port, session, "")[1].startswith(refused))  # padded with zeros
        child, said = self.take_up(port, session, ticket)
        self.assertEqual(said, "connected")
        self.assertTrue(self.take_up(port, session, ticket)[1].startswith(refused))
        self.assertEqual(self.say(child, "lost"), "no")

    def test_ends_with_the_http_connection(self):
        """the HTTP connection's end ends the session, and so does another one in its place"""
        child, _ = self.connected()
        second, _ = self.connected()
        lab.wait_for("the first is lost", lambda: self.say(child, "lost") == "yes")
        self.assertEqual(self.say(second, "lost"), "no")
        self.wire.connection.close()
        lab.wait_for("the second is lost", lambda: self.say(second, "lost") == "yes")

    def test_nobody(self):
        """a session for nobody: denied"""
        self.wire.connection.request("POST", "/?netstor-rdma=")
        answer = self.wire.connection.getresponse()
        answer.read()
        self.assertEqual(answer.status, 403)
