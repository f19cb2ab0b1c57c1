#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tool's verbs on buckets, against a netstord of our own."""
import configparser
import contextlib
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import tool_support
from tool_support import NQN, READY_SECONDS, call

OPTIONS, REST = tool_support.arguments()
VERBS = ["ls", "cat", "rm", "sync", "mb", "rb", "presign", "cp", "stat", "bench"]
ODD_NAMES = ["plain", "two words", "a+b", "100%", "%41", "ümläut", "日本", "a&b=c", "x?y#z", "semi;colon",
             "'quote'", "tilde~", "deep/er/still", ".hidden", "star*", "[set]"]
MIB = 1 << 20
SERVER = None


def noise(size, seed=7):
    return random.Random(seed).randbytes(size)


class Server:
    """netstord with buckets; `environment` is what its clients need."""

    def __init__(self, stack):
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netstor-s3-")))
        ports = folder / "port"
        self.keys = folder / "state" / "s3-keys"
        log = folder / "netstord.log"
        with open(log, "wb") as output:
            child = subprocess.Popen(
                [OPTIONS.netstord, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--state",
                 str(folder / "state"), "--port-file", str(ports), "--volume", "v=32MiB,store=memory"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(child.wait, 60)
        stack.callback(child.terminate)
        limit = time.monotonic() + READY_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 2):
            if child.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"netstord did not become ready: {log.read_text()}")
            time.sleep(0.02)
        nvme, s3 = ports.read_text().split()
        self.volume = f"nvme+tcp://127.0.0.1:{nvme}/{NQN}:v"
        self.endpoint = f"http://127.0.0.1:{s3}"
        parsed = configparser.ConfigParser()
        parsed.read(self.keys)
        self.secret = parsed["default"]["aws_secret_access_key"]
        self.environment = {"AWS_SHARED_CREDENTIALS_FILE": str(self.keys), "AWS_CONFIG_FILE": "/dev/null",
                            "AWS_ENDPOINT_URL": self.endpoint, "AWS_PROFILE": "default",
                            "AWS_REGION": "us-east-1"}


def netstor(*words, env=None, **options):
    """Without what the machine's user has set for S3; nothing that is said may hold the secret."""
    kept = {name: "" for name in os.environ if name.startswith("AWS_")}
    answer = call(OPTIONS.tool, *words, env={**kept, **SERVER.environment, **(env or {})}, **options)
    if SERVER.secret in answer.out + answer.err:
        raise AssertionError("the secret was printed")
    return answer


def change_at_rest(piece):
    """One byte of what the server's data files have of `piece`, which is in one place alone."""
    places = []
    for path in SERVER.keys.parent.rglob("segments/*"):
        with open(path, "r+b") as file, contextlib.suppress(OSError):  # there is no more data behind
            end = 0
            while True:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
                at = os.pread(file.fileno(), end - begin, begin).find(piece)
                if at >= 0:
                    places.append((path, begin + at))
    if len(places) != 1:
        raise AssertionError(f"{len(places)} places in the data files have it")
    (path, at), = places
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), bytes([piece[0] ^ 1]), at)


class Case(tool_support.Case):
    """A test with a bucket of its own."""
    count = 0

    def setUp(self):
        super().setUp()
        Case.count += 1
        self.bucket = f"s3://bucket-{Case.count}"
        self.ok("mb", self.bucket)
        self.addCleanup(netstor, "rb", self.bucket, "--force")

    def ok(self, *words, **options):
        return self.succeed(netstor(*words, **options))

    def keys(self, prefix="/"):
        return [each["key"] for each in self.ok("ls", self.bucket + prefix, "-r", "--json").json["objects"]]

    def put(self, key, data=b"", **options):
        return self.ok("cp", "-", f"{self.bucket}/{key}", stdin=data, **options)

    def tree(self, files):
        root = self.folder / "tree"
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root

    @staticmethod
    def contents(root):
        return {path.relative_to(root).as_posix(): path.read_bytes()
                for path in root.rglob("*") if path.is_file()}


class Words(Case):
    def test_every_verb_has_help_with_examples(self):
        for verb in VERBS:
            with self.subTest(verb):
                out = self.ok(verb, "--help").out
                for word in ("Examples:", f"netstor {verb}", "--endpoint-url", "--region", "--profile",
                             "--no-sign-request", "--json"):
                    self.assertIn(word, out)

    def test_names_that_are_none_are_usage_errors(self):
        self.refuse(netstor("rm", self.bucket), 2, "KEY")
        self.refuse(netstor("cat", "file.txt"), 2, "s3://BUCKET")
        self.refuse(netstor("mb", f"{self.bucket}/key"), 2, self.bucket)
        self.refuse(netstor("cp", "-", f"{self.bucket}/"), 2, "name one")
        self.refuse(netstor("cp", "-r", "a", "b"), 2, "s3://")
        self.refuse(netstor("sync", "a", "b"), 2, "s3://")
        self.refuse(netstor("cp", "-r", self.bucket, self.bucket), 2, "onto itself")
        self.refuse(netstor("cp", f"{self.bucket}/a", f"{self.bucket}/"), 2, "onto itself")
        self.refuse(netstor("bench", self.bucket, "--rw", "randread"), 2, "get")


class Errors(Case):
    def test_no_such_bucket(self):
        self.refuse(netstor("ls", "s3://not-there"), 1, "NoSuchBucket", "netstor mb")
        source = self.tree({"a": b"1", "b": b"2"})
        self.refuse(netstor("cp", "-r", source, "s3://not-there"), 1, "NoSuchBucket", "netstor mb")
        self.refuse(netstor("cp", source / "a", "s3://not-there/"), 1, "NoSuchBucket", "netstor mb")

    def test_no_such_key(self):
        for words in (("cat", f"{self.bucket}/none"), ("stat", f"{self.bucket}/none"),
                      ("cp", f"{self.bucket}/none", self.folder / "x")):
            with self.subTest(words[0]):
                self.refuse(netstor(*words), 1, "404", "netstor ls")
        self.assertFalse((self.folder / "x").exists())
        self.refuse(netstor("ls", f"{self.bucket}/none"), 1, "nothing begins so")
        self.refuse(netstor("cp", "-r", f"{self.bucket}/none", self.folder), 1, "nothing lies below")

    def test_wrong_credentials(self):
        unknown = {"AWS_ACCESS_KEY_ID": "NOBODY", "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_PROFILE": ""}
        said = self.refuse(netstor("ls", self.bucket, env=unknown), 1, "InvalidAccessKeyId",
                           "AWS_ACCESS_KEY_ID")
        self.assertNotIn("hush", said)
        parsed = configparser.ConfigParser()
        parsed.read(SERVER.keys)
        wrong = {**unknown, "AWS_ACCESS_KEY_ID": parsed["default"]["aws_access_key_id"]}
        said = self.refuse(netstor("ls", self.bucket, env=wrong), 1, "SignatureDoesNotMatch",
                           "AWS_SECRET_ACCESS_KEY")
        self.assertNotIn("hush", said)
        none = {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
        self.refuse(netstor("ls", env=none), 1, "no credentials", "--no-sign-request")
        self.refuse(netstor("ls", "--profile", "unheard-of"), 1, "unheard-of", "--profile")
        self.refuse(netstor("ls", self.bucket, "--no-sign-request"), 1, "AccessDenied")

    def test_endpoint_absent(self):
        self.refuse(netstor("ls", "--endpoint-url", "http://127.0.0.1:1"), 1, "refused", "--endpoint-url")
        source = self.tree({str(i): b"" for i in range(50)})
        self.refuse(netstor("cp", "-r", source, self.bucket, "--endpoint-url", "http://127.0.0.1:1"), 1,
                    "refused")
        no_tls = SERVER.endpoint.replace("http:", "https:")
        self.refuse(netstor("ls", "--endpoint-url", no_tls), 1, "TLS", "http://HOST")

    def test_trace_tells_what_each_request_passed(self):
        source = self.folder / "traced"
        source.write_bytes(noise(3 * MIB))
        answer = self.ok("cp", source, f"{self.bucket}/traced", "--trace", "--rdma", "never")
        head, *points, last = answer.err.splitlines()
        self.assertRegex(head, rf"^trace 0\.1  PUT {self.bucket}/traced of 3 MiB at 0, "
                               r"http over (uring|posix)$")
        said = [re.sub(r": 127\.0\.0\.1:\d+$", "", line.split("  ")[-1]) for line in points]
        self.assertEqual(said, ["bucket: asked", "bucket: waits for a connection", "connection: new",
                                "connection: head sent", "connection: body sent", "connection: answered: 200",
                                "bucket: done"])
        self.assertEqual(last, "trace: 1 requests")
        got = self.ok("cat", f"{self.bucket}/traced", "--trace").err
        self.assertIn("connection: kept", got)
        self.assertIn("connection: body received", got)
        self.assertRegex(got, r"bucket: goes by http: .*RDMA")
        # A key that has no room leaves the reason its own.
        absent = "nothing-" + "é" * 400
        self.assertRegex(netstor("cat", f"{self.bucket}/{absent}", "--trace").err,
                         rf"trace 0\.1  HEAD {self.bucket}/nothing-é{{26}}…, http over [^~]* bucket: failed: "
                         r"[^H].*\(HTTP 404")

    def test_stat_says_by_what_payload_goes(self):
        self.put("stated", b"x")
        for uri in (f"{self.bucket}/stated", self.bucket):
            path = self.ok("stat", uri, "--json").json["path"]
            self.assertEqual((path["endpoint"], path["transport"]), (SERVER.endpoint, "http"))
            self.assertEqual((path["rdma_offered"], path["rdma"]), (False, False))
            # No device here, or netstord says no: which of both is the machine's to say.
            self.assertRegex(path["rdma_obstacle"], "no RDMA device|not offer")
            out = self.ok("stat", uri).out
            self.assertRegex(out, r"RDMA +not used: .*(no RDMA device|not offer)")
            never = self.ok("stat", uri, "--rdma", "never", "--json").json["path"]
            self.assertEqual(never["rdma_obstacle"], "it is not asked for")

    def test_rdma_that_is_required_and_not_there(self):
        # On 127.0.0.1 there never is any; without --rdma nobody misses it.
        source = self.folder / "large"
        source.write_bytes(bytes(2 << 20))
        self.refuse(netstor("cp", source, f"{self.bucket}/by-rdma", "--rdma", "required"), 1, "requires RDMA")
        self.refuse(netstor("stat", f"{self.bucket}/by-rdma"), 1, "404")
        self.ok("cp", source, f"{self.bucket}/by-rdma", "--rdma", "auto")
        self.refuse(netstor("cat", f"{self.bucket}/by-rdma", "--rdma", "required"), 1, "requires RDMA")
        self.ok("rm", f"{self.bucket}/by-rdma")

    def test_source_that_is_not_there(self):
        self.refuse(netstor("cp", self.folder / "none", f"{self.bucket}/x"), 1, "none")
        self.refuse(netstor("cp", "-r", self.folder / "none", self.bucket), 1, "folder")
        self.refuse(netstor("sync", self.folder / "none", self.bucket, "--delete"), 1, "folder")


class Buckets(Case):
    def test_made_listed_and_removed(self):
        self.ok("mb", "s3://one-more")
        self.assertIn("one-more", [each["name"] for each in self.ok("ls", "--json").json["buckets"]])
        self.assertIn("one-more", self.ok("ls").out)
        self.assertTrue(self.ok("stat", "s3://one-more", "--json").json["empty"])
        self.ok("cp", "-", "s3://one-more/x", stdin=b"x")
        self.refuse(netstor("rb", "s3://one-more"), 1, "BucketNotEmpty", "--force")
        self.ok("rb", "s3://one-more", "--force", "--dryrun")
        self.assertEqual(self.ok("cat", "s3://one-more/x").bytes, b"x")
        self.assertEqual(self.ok("rb", "s3://one-more", "--force", "--json").json["objects"], 1)
        self.assertNotIn("one-more", self.ok("ls").out)

    def test_options_say_who_is_asked(self):
        nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_PROFILE": ""}
        answer = self.ok("ls", self.bucket, "--endpoint-url", SERVER.endpoint, "--region", "us-east-1",
                         "--profile", "default", env=nowhere)
        self.assertEqual(answer.out, "")


class Objects(Case):
    def test_odd_names_there_and_back(self):
        for number, name in enumerate(ODD_NAMES):
            with self.subTest(name):
                data = noise(number * 100, seed=number)
                source = self.file("source", data)
                self.ok("cp", source, f"{self.bucket}/{name}")
                self.assertEqual(self.ok("cat", f"{self.bucket}/{name}").bytes, data)
                self.ok("cp", f"{self.bucket}/{name}", self.folder / "back", "--force")
                self.assertEqual((self.folder / "back").read_bytes(), data)
                facts = self.ok("stat", f"{self.bucket}/{name}", "--json").json
                self.assertEqual(facts["size_bytes"], len(data))
        self.assertEqual(self.keys(), sorted(ODD_NAMES, key=str.encode))
        for name in ODD_NAMES:
            self.ok("rm", f"{self.bucket}/{name}")
        self.assertEqual(self.keys(), [])

    def test_checksum_of_all_bytes_is_compared(self):
        source, back = self.file("source", noise(17 * MIB)), self.folder / "back"
        for name, compared in (("CRC64NVME", True), ("CRC32C", False)):  # the latter is of the parts
            self.ok("cp", source, f"{self.bucket}/{name}", "--checksum-algorithm", name)
            got = self.ok("cp", f"{self.bucket}/{name}", back, "--force", "--json").json
            self.assertEqual(got["checksum_compared"], compared, name)
            self.assertEqual(back.read_bytes(), source.read_bytes())
        short = self.ok("cp", f"{self.bucket}/CRC64NVME", back, "--force", "--length", "1MiB", "--json").json
        self.assertFalse(short["checksum_compared"])

    def test_bytes_that_changed_where_they_rest_are_refused(self):
        back = self.folder / "back"
        for name, size in (("one-piece", 100_000), ("several", 17 * MIB)):
            with self.subTest(name):
                # Of its own: what other tests removed may still lie in the data files.
                data, uri = noise(size, seed=f"at rest, {name}"), f"{self.bucket}/{name}/object"
                self.ok("cp", self.file("source", data), uri, "--checksum-algorithm", "CRC64NVME")
                change_at_rest(data[size // 2:size // 2 + 4096])
                said = (f"GET {uri}: ", "CRC64NVME")
                self.refuse(netstor("cp", uri, back), 1, *said)
                self.assertFalse(back.exists())
                back.write_bytes(b"older")
                self.refuse(netstor("cp", uri, back, "--force"), 1, *said, f"; {back} was left empty\n",
                            "hint: the bytes are wrong")
                self.assertEqual(back.read_bytes(), b"")
                back.unlink()
                folder = self.folder / name
                left = netstor("cp", "-r", f"{self.bucket}/{name}", folder)
                self.assertEqual(left.code, 1)
                for words in (*said, "1 file was left behind"):
                    self.assertIn(words, left.err)
                self.assertEqual([each for each in folder.rglob("*") if each.is_file()], [])
                self.put(f"{name}/other", b"older")
                self.refuse(netstor("cp", uri, f"{self.bucket}/{name}/other", "--verify"), 1, *said)
                self.assertEqual(self.ok("cat", f"{self.bucket}/{name}/other").bytes, b"older")

    def test_sizes_around_a_part(self):
        part = 8 * MIB
        for size in (0, 1, part - 1, part, part + 1, 3 * part + 12345):
            with self.subTest(size):
                data = noise(size, seed=size)
                source = self.file("source", data)
                sent = self.ok("cp", source, f"{self.bucket}/object", "--verify", "--json").json
                self.assertEqual(sent["bytes"], size)
                back = self.ok("cp", f"{self.bucket}/object", self.folder / "back", "--force", "--verify",
                               "--json").json
                self.assertEqual((self.folder / "back").read_bytes(), data)
                self.assertEqual(back["sha256"], sent["sha256"])
                self.put("stream", data)
                self.assertEqual(self.ok("cp", f"{self.bucket}/stream", "-").bytes, data)

    def test_checksums_are_kept_with_what_is_put(self):
        source = self.file("source", noise(100_000))
        for name in ("CRC64NVME", "crc32c", "SHA256"):
            self.ok("cp", source, f"{self.bucket}/{name}", "--checksum-algorithm", name)
            stat = self.ok("stat", f"{self.bucket}/{name}", "--json").json
            self.assertEqual(stat["checksum_algorithm"], name.upper())
        self.refuse(netstor("cp", source, f"{self.bucket}/x", "--checksum-algorithm", "CRC16"), 2, "CRC16")

    def test_cat_of_ranges_and_of_several(self):
        data = noise(3 * MIB)
        self.put("a", data)
        self.put("b", b"tail")
        self.assertEqual(self.ok("cat", f"{self.bucket}/a", f"{self.bucket}/b").bytes, data + b"tail")
        part = self.ok("cat", f"{self.bucket}/a", "--offset", MIB + 3, "--length", 70001)
        self.assertEqual(part.bytes, data[MIB + 3:MIB + 70004])
        self.refuse(netstor("cat", f"{self.bucket}/a", "--json"), 2, "-o FILE")

    def test_a_folder_takes_the_name_of_the_source(self):
        self.ok("cp", self.file("leaf.txt", b"leaf"), f"{self.bucket}/branch/")
        self.assertEqual(self.keys(), ["branch/leaf.txt"])
        self.assertEqual(self.ok("stat", f"{self.bucket}/branch/leaf.txt", "--json").json["content_type"],
                         "text/plain")
        (self.folder / "down").mkdir()
        self.ok("cp", f"{self.bucket}/branch/leaf.txt", self.folder / "down")
        self.assertEqual((self.folder / "down" / "leaf.txt").read_bytes(), b"leaf")
        self.refuse(netstor("cp", f"{self.bucket}/branch/leaf.txt", self.folder / "down"), 1, "--force")

    def test_copies_within_the_service(self):
        data = noise(9 * MIB)
        self.put("a +%é", data)
        done = self.ok("cp", f"{self.bucket}/a +%é", f"{self.bucket}/b/", "--json").json
        self.assertLess(done["metrics"]["read_bytes"] + done["metrics"]["write_bytes"], MIB)
        self.assertEqual(self.ok("cat", f"{self.bucket}/b/a +%é").bytes, data)

    def test_volume_to_object_and_back(self):
        data = noise(32 * MIB)
        self.ok("cp", self.file("image", data), SERVER.volume)
        self.ok("cp", SERVER.volume, f"{self.bucket}/image", "--verify")
        self.assertEqual(self.ok("cat", f"{self.bucket}/image").bytes, data)
        self.ok("cp", self.file("zero", bytes(32 * MIB)), SERVER.volume)
        self.ok("cp", f"{self.bucket}/image", SERVER.volume, "--verify")
        self.assertEqual(self.ok("read", SERVER.volume).bytes, data)

    def test_presigned_urls_work_for_anybody_and_end(self):
        url = self.ok("presign", f"{self.bucket}/odd +%é/", "--method", "put").out.strip()
        request = urllib.request.Request(url, data=b"by url", method="PUT")
        self.assertEqual(urllib.request.urlopen(request, timeout=30).status, 200)
        url = self.ok("presign", f"{self.bucket}/odd +%é/").out.strip()
        self.assertEqual(urllib.request.urlopen(url, timeout=30).read(), b"by url")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url.replace("odd", "other"), timeout=30)
        refused.exception.close()
        self.assertEqual(refused.exception.code, 403)
        self.refuse(netstor("presign", f"{self.bucket}/x", "--expires-in", "0"), 2, "--expires-in")


class Trees(Case):
    FILES = {**{f"{i % 7}/{i % 5}/file {i}": noise(i * 17, seed=i) for i in range(300)},
             **{f"odd/{name}": name.encode() for name in ODD_NAMES}, "empty": b"", "large": noise(20 * MIB)}

    def test_up_and_down_is_the_same(self):
        root = self.tree(self.FILES)
        done = self.ok("cp", "-r", root, f"{self.bucket}/up", "--json").json
        self.assertEqual(done["files"], len(self.FILES))
        self.assertEqual(done["bytes"], sum(map(len, self.FILES.values())))
        self.assertEqual(self.keys("/up/"), sorted((f"up/{name}" for name in self.FILES), key=str.encode))
        self.ok("cp", "-r", f"{self.bucket}/up", self.folder / "down")
        self.assertEqual(self.contents(self.folder / "down"), self.FILES)
        self.refuse(netstor("cp", "-r", f"{self.bucket}/up", self.folder / "down"), 1, "--force", "sync")
        self.ok("cp", "-r", f"{self.bucket}/up", f"{self.bucket}/copy/")
        self.ok("cp", "-r", f"{self.bucket}/copy", self.folder / "again")
        self.assertEqual(self.contents(self.folder / "again"), self.FILES)
        self.assertEqual(self.ok("rm", "-r", f"{self.bucket}/up", "--json").json["removed"], len(self.FILES))
        self.assertEqual(len(self.keys()), len(self.FILES))

    def test_a_real_tree_compares_equal(self):
        """The library's sources, or the folder NETSTOR_TREE."""
        sources = pathlib.Path(__file__).resolve().parents[2] / "lib"
        root = pathlib.Path(os.environ.get("NETSTOR_TREE", sources))
        before = self.contents(root)
        up = self.ok("cp", "-r", root, self.bucket, "--json", timeout=1000).json
        down = self.ok("cp", "-r", self.bucket, self.folder / "down", "--json", timeout=1000).json
        self.assertEqual((up["files"], down["files"]), (len(before), len(before)))
        self.assertTrue(self.contents(self.folder / "down") == before, "what came back differs")
        print(f"{up['files']} files, {up['bytes']} bytes: up in {up['seconds']:.1f} s, "
              f"down in {down['seconds']:.1f} s", file=sys.stderr)

    def test_a_prefix_ends_at_a_slash(self):
        for key in ("a/1", "ab/1", "a"):
            self.put(key)
        self.ok("rm", "-r", f"{self.bucket}/a")
        self.assertEqual(self.keys(), ["a", "ab/1"])

    def test_globs_count_in_their_order(self):
        root = self.tree({"a.txt": b"", "b.jpg": b"", "c/d.jpg": b"", "c/e.txt": b""})
        self.ok("cp", "-r", root, self.bucket, "--exclude", "*", "--include", "*.jpg")
        self.assertEqual(self.keys(), ["b.jpg", "c/d.jpg"])
        self.ok("cp", "-r", root, self.bucket, "--include", "*.txt", "--exclude", "c/*")
        self.assertEqual(self.keys(), ["a.txt", "b.jpg", "c/d.jpg"])
        self.ok("rm", "-r", self.bucket, "--exclude", "*", "--include", "c/*")
        self.assertEqual(self.keys(), ["a.txt", "b.jpg"])

    def test_dry_runs_do_nothing(self):
        root = self.tree({"a": b"1", "b/c": b"2"})
        out = self.ok("cp", "-r", root, self.bucket, "--dryrun").out
        self.assertIn(f"(dryrun) upload: {root}/b/c to {self.bucket}/b/c", out)
        self.ok("cp", root / "a", f"{self.bucket}/a", "--dryrun")
        self.ok("sync", root, self.bucket, "--dryrun")
        self.assertEqual(self.keys(), [])
        self.put("keep")
        self.ok("rm", "-r", self.bucket, "--dryrun")
        self.ok("rm", f"{self.bucket}/keep", "--dryrun")
        self.ok("sync", root, self.bucket, "--delete", "--dryrun")
        self.ok("cp", "-r", self.bucket, self.folder / "down", "--dryrun")
        self.assertEqual(self.keys(), ["keep"])
        self.assertFalse((self.folder / "down").exists())

    def test_keys_do_not_climb_out_of_the_folder(self):
        for key in ("in/../../escape", "in//double", "in/fine"):
            url = self.ok("presign", f"{self.bucket}/{key}", "--method", "put").out.strip()
            with urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT"), timeout=30):
                pass
        answer = netstor("cp", "-r", f"{self.bucket}/in", self.folder / "down")
        self.assertEqual(answer.code, 1)
        self.assertIn("2 files were left behind", answer.err)
        self.assertEqual(self.contents(self.folder), {"down/fine": b"x"})

    def test_listing_by_levels(self):
        for key in ("top", "a/1", "a/2", "b/c/3"):
            self.put(key, b"12345")
        top = self.ok("ls", self.bucket, "--json").json
        self.assertEqual((top["prefixes"], [each["key"] for each in top["objects"]]), (["a/", "b/"], ["top"]))
        self.assertRegex(self.ok("ls", self.bucket).out, r"PRE a/\n.*PRE b/\n.* 5 top\n")
        self.assertIn("4 objects, 20 bytes", self.ok("ls", self.bucket, "-r", "--summarize").out)


class Sync(Case):
    def sync(self, *words):
        done = self.ok("sync", *words, "--json").json
        return done["files"], done["removed"], done["unchanged"]

    def test_only_what_differs_and_the_second_time_nothing(self):
        root = self.tree({"same": b"same", "grown": b"1", "gone": b"x", "d/e": b""})
        past = time.time() - 3600
        for path in root.rglob("*"):
            os.utime(path, (past, past))
        self.assertEqual(self.sync(root, self.bucket), (4, 0, 0))
        self.assertEqual(self.sync(root, self.bucket), (0, 0, 4))
        (root / "grown").write_bytes(b"12")
        (root / "gone").unlink()
        self.assertEqual(self.sync(root, self.bucket), (1, 0, 2))
        self.assertEqual(self.sync(root, self.bucket, "--delete", "--exclude", "gone"), (0, 0, 3))
        self.assertEqual(self.sync(root, self.bucket, "--delete"), (0, 1, 3))
        self.assertEqual(self.keys(), ["d/e", "grown", "same"])

    def test_times_decide_unless_only_sizes_may(self):
        root = self.tree({"a": b"1"})
        past = time.time() - 3600
        os.utime(root / "a", (past, past))
        self.assertEqual(self.sync(root, self.bucket), (1, 0, 0))
        (root / "a").write_bytes(b"2")
        future = time.time() + 3600
        os.utime(root / "a", (future, future))
        self.assertEqual(self.sync(root, self.bucket, "--size-only"), (0, 0, 1))
        self.assertEqual(self.sync(root, self.bucket), (1, 0, 0))
        self.assertEqual(self.ok("cat", f"{self.bucket}/a").bytes, b"2")

    def test_down_and_again_and_with_removal(self):
        for key in ("a", "b/c", "b/d"):
            self.put(key, key.encode())
        down = self.folder / "down"
        self.assertEqual(self.sync(self.bucket, down), (3, 0, 0))
        self.assertEqual(self.sync(self.bucket, down), (0, 0, 3))
        self.assertEqual(self.sync(self.bucket, down, "--exact-timestamps"), (0, 0, 3))
        (down / "mine").write_bytes(b"")
        self.assertEqual(self.sync(self.bucket, down), (0, 0, 3))
        self.assertEqual(self.sync(self.bucket, down, "--delete"), (0, 1, 3))
        self.assertEqual(self.contents(down), {"a": b"a", "b/c": b"b/c", "b/d": b"b/d"})

    def test_between_buckets(self):
        self.put("x/a", b"1")
        self.put("y/old", b"1")
        self.assertEqual(self.sync(f"{self.bucket}/x", f"{self.bucket}/y", "--delete"), (1, 1, 0))
        self.assertEqual(self.sync(f"{self.bucket}/x", f"{self.bucket}/y", "--delete"), (0, 0, 1))
        self.assertEqual(self.keys(), ["x/a", "y/a"])


class Bench(Case):
    def test_gets_and_puts_are_counted_and_nothing_stays(self):
        self.put("mine")
        for rw, counted in (("get", "gets"), ("put", "puts")):
            with self.subTest(rw):
                done = self.ok("bench", self.bucket, "--rw", rw, "--size", "64KiB", "--parallel", "4",
                               "--seconds", "0.3", "--json").json
                self.assertEqual(done[counted], done["operations"])
                self.assertGreater(done["operations"], 0)
                self.assertEqual(done["latency"]["count"], done["operations"])
        self.assertIn("p99", self.ok("bench", self.bucket, "--seconds", "0.1").out)
        self.assertEqual(self.keys(), ["mine"])


if __name__ == "__main__":
    if not OPTIONS.netstord:
        print("SKIP: no netstord was built, and these tests need its S3 endpoint (--netstord PROGRAM)")
        sys.exit(77)
    with contextlib.ExitStack() as server_stack:
        SERVER = Server(server_stack)
        tool_support.run_tests(__name__, REST)
