#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command-line tool as its users meet it: every verb, on files and on a server's volumes."""
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

import tool_support
from tool_support import NQN, call

OPTIONS, REST = tool_support.arguments()
VERBS = ["discover", "info", "stat", "read", "write", "cp", "bench", "ls", "cat", "rm", "sync", "mb", "rb",
         "presign", "top", "admin"]
MIB = 1 << 20


def netstor(*words, **options):
    return call(OPTIONS.tool, *words, **options)


def noise(size, seed=7):
    return random.Random(seed).randbytes(size)


class Words(tool_support.Case):
    """What can be asked without a volume."""

    def test_help_names_every_verb_and_the_exit_codes(self):
        out = self.succeed(netstor("--help")).out
        for word in (*VERBS, "Exit codes"):
            self.assertIn(word, out)

    def test_every_verb_has_help_with_examples_and_json(self):
        for verb in VERBS:
            with self.subTest(verb):
                out = self.succeed(netstor(verb, "--help")).out
                self.assertIn("Examples:", out)
                self.assertIn(f"netstor {verb}", out)
                self.assertIn("--json", out)

    def test_version(self):
        self.assertRegex(self.succeed(netstor("--version")).out, r"netstor \d+\.\d+\.\d+")

    def test_unknown_verb_is_a_usage_error_with_a_suggestion(self):
        self.refuse(netstor("bnech"), 2, "no such verb: bnech", "netstor bench")
        self.refuse(netstor("disc"), 2, "netstor discover")
        self.refuse(netstor("xyzzy"), 2, "netstor --help")

    def test_no_verb_unknown_option_and_bad_size_are_usage_errors(self):
        self.refuse(netstor(), 2)
        self.refuse(netstor("info", "--colour"), 2, "netstor info --help")
        self.refuse(netstor("read", "file:///x", "--length", "many"), 2, "many")
        self.refuse(netstor("info"), 2, "--capabilities")
        self.refuse(netstor("info", "disk.img"), 2, "file://")
        self.refuse(netstor("info", "nvme+tcp://localhost"), 2, "netstor discover")

    def test_capabilities_as_table_and_as_json(self):
        out = self.succeed(netstor("info", "--capabilities")).out
        self.assertIn("driver.posix", out)
        document = self.succeed(netstor("info", "--capabilities", "--json")).json
        names = {each["name"]: each for each in document["capabilities"]}
        self.assertTrue(names["driver.posix"]["available"])

    def test_no_escape_sequences_where_there_is_no_terminal(self):
        _, uri = self.volume_file("v", MIB)
        self.assertNotIn("\033", self.succeed(netstor("bench", uri, "--seconds", "0.1")).out)


class Errors(tool_support.Case):
    def test_connection_refused_asks_for_the_server(self):
        self.refuse(netstor("info", f"nvme+tcp://127.0.0.1:1/{NQN}:v"), 1, "netstord")
        self.refuse(netstor("discover", "nvme+tcp://127.0.0.1:1"), 1, "netstord")

    def test_a_file_that_is_not_there(self):
        self.refuse(netstor("info", f"file://{self.folder}/none"), 1, "truncate")
        self.refuse(netstor("cp", self.folder / "none", "file:///tmp/x"), 1, "none")

    def test_a_scheme_without_a_driver(self):
        self.refuse(netstor("info", "carrier+pigeon://loft/1"), 1, "--capabilities")

    def test_a_local_nvme_disk_that_is_not_there(self):
        known = {each["name"]: each["available"]
                 for each in netstor("info", "--capabilities", "--json").json["capabilities"]}
        hint = "ls /dev/ng" if known.get("driver.nvme") else "--capabilities"
        self.refuse(netstor("info", "nvme:///dev/ng99n99"), 1, hint)


class ReadAndWrite(tool_support.Case):
    def test_bytes_anywhere_come_back_and_their_neighbours_stay(self):
        before = noise(MIB)
        path = self.file("v", before)
        uri = f"file://{path}"
        for offset, size in ((0, 5), (3, 5), (510, 4), (512, 1024), (4095, 70001)):
            with self.subTest(offset=offset, size=size):
                data = noise(size, seed=offset)
                self.succeed(netstor("write", uri, "--offset", offset, stdin=data))
                before = before[:offset] + data + before[offset + size:]
                self.assertEqual(path.read_bytes(), before)
                back = self.succeed(netstor("read", uri, "--offset", offset, "--length", size))
                self.assertEqual(back.bytes, data)

    def test_write_from_a_file_with_fua_says_what_it_did(self):
        _, uri = self.volume_file("v", MIB)
        source = self.file("in", noise(1000))
        document = self.succeed(netstor("write", uri, "-i", source, "--fua", "--json")).json
        self.assertEqual(document["bytes"], 1000)
        self.assertIn("1,000", self.succeed(netstor("write", uri, "-i", source)).out)

    def test_read_to_a_file_refuses_one_that_is_there(self):
        _, uri = self.volume_file("v", MIB)
        target = self.folder / "out"
        document = self.succeed(netstor("read", uri, "--length", "4KiB", "-o", target, "--json")).json
        self.assertEqual((document["bytes"], target.stat().st_size), (4096, 4096))
        self.refuse(netstor("read", uri, "-o", target), 1, "--force")
        self.succeed(netstor("read", uri, "--force", "-o", target))
        self.assertEqual(target.stat().st_size, MIB)

    def test_beyond_the_end(self):
        _, uri = self.volume_file("v", MIB)
        self.refuse(netstor("read", uri, "--offset", "1MiB", "--length", "1"), 1, str(MIB))
        self.refuse(netstor("write", uri, "-i", self.file("in", noise(MIB + 1))), 1, str(MIB))

    def test_json_and_the_bytes_do_not_share_standard_output(self):
        _, uri = self.volume_file("v", MIB)
        self.refuse(netstor("read", uri, "--json"), 2, "-o FILE")

    def test_trace_tells_what_each_request_passed(self):
        _, uri = self.volume_file("v", 4 * MIB)
        self.assertEqual(self.succeed(netstor("read", uri, "--length", "4KiB")).err, "")
        answer = self.succeed(netstor("read", uri, "--length", "4KiB", "--driver", "posix", "--trace"))
        self.assertEqual(answer.bytes, bytes(4096))
        head, *points, last = answer.err.splitlines()
        self.assertRegex(head, r"^trace 0\.1  read of 4 KiB at 0, file over posix$")
        self.assertEqual([line.split("  ")[-1] for line in points],
                         ["volume: asked", "device: submitted", "device: answered", "volume: done"])
        self.assertEqual(last, "trace: 1 requests")
        split = self.succeed(netstor("read", uri, "--length", "4MiB", "--trace")).err
        self.assertGreater(split.count("device: answered"), 1)

    def test_read_only_files_may_be_read(self):
        path, uri = self.volume_file("v", MIB)
        path.chmod(0o400)
        self.assertEqual(self.succeed(netstor("read", uri)).bytes, bytes(MIB))
        if os.geteuid() != 0:
            self.assertFalse(self.succeed(netstor("info", uri, "--json")).json["writable"])


class CopyCase(tool_support.Case):
    def there_and_back(self, uri, data, *options):
        source = self.file("source", data)
        target = self.folder / "target"
        target.unlink(missing_ok=True)
        sent = self.succeed(netstor("cp", source, uri, "--verify", "--json", *options)).json
        self.assertEqual(sent["bytes"], len(data))
        self.assertEqual(sent["sha256"], hashlib.sha256(data).hexdigest())
        back = self.succeed(netstor("cp", uri, target, "--length", len(data), "--verify", "--json",
                                    *options)).json
        self.assertEqual(back["sha256"], sent["sha256"])
        self.assertEqual(target.read_bytes(), data)
        return sent


class Copies(CopyCase):
    def test_odd_lengths_in_odd_chunks(self):
        for size in (1, 511, 512, 513, 4096 * 3 + 1, MIB, 2 * MIB + 12345):
            with self.subTest(size=size):
                _, uri = self.volume_file("v", 4 * MIB)
                sent = self.there_and_back(uri, noise(size), "--block-size", "12KiB", "--depth", "5")
                self.assertEqual((size + sent["padded_bytes"]) % 512, 0)

    def test_default_chunks_and_what_is_said(self):
        _, uri = self.volume_file("v", 8 * MIB)
        self.there_and_back(uri, noise(5 * MIB + 1))
        out = self.succeed(netstor("cp", self.folder / "source", uri)).out
        self.assertIn("5,242,881 bytes", out)
        self.assertIn("--length 5242881", out)

    def test_the_padding_is_zeroes(self):
        path = self.file("v", noise(MIB))
        self.succeed(netstor("cp", self.file("source", b"abc"), f"file://{path}"))
        self.assertEqual(path.read_bytes()[:512], b"abc" + bytes(509))

    def test_volume_to_volume(self):
        source = self.file("a", noise(3 * MIB))
        target, uri = self.volume_file("b", 4 * MIB)
        self.succeed(netstor("cp", f"file://{source}", uri, "--verify"))
        self.assertEqual(target.read_bytes()[:3 * MIB], source.read_bytes())

    def test_sparse_sends_no_zeroes(self):
        data = noise(MIB) + bytes(6 * MIB) + noise(MIB, 8)
        path = self.file("v", noise(8 * MIB, 9))
        sent = self.there_and_back(f"file://{path}", data, "--sparse")
        self.assertGreaterEqual(sent["zero_bytes"], 5 * MIB)

    def test_standard_input(self):
        path, uri = self.volume_file("v", 4 * MIB)
        data = noise(3 * MIB + 5)
        self.succeed(netstor("cp", "-", uri, "--verify", stdin=data))
        self.assertEqual(path.read_bytes()[:len(data)], data)

    def test_too_small_is_refused_before_anything_is_written(self):
        path, uri = self.volume_file("v", MIB)
        self.refuse(netstor("cp", self.file("source", noise(MIB + 1)), uri), 1, "too small", "--length")
        self.assertEqual(path.read_bytes(), bytes(MIB))

    def test_refuses_to_overwrite_a_file(self):
        _, uri = self.volume_file("v", MIB)
        target = self.file("target", b"precious")
        self.refuse(netstor("cp", uri, target), 1, "--force")
        self.assertEqual(target.read_bytes(), b"precious")
        self.succeed(netstor("cp", uri, target, "--force"))
        self.assertEqual(target.read_bytes(), bytes(MIB))

    def test_length_beyond_the_source_and_the_same_place_twice(self):
        _, uri = self.volume_file("v", MIB)
        self.refuse(netstor("cp", uri, self.folder / "x", "--length", "2MiB"), 1, str(MIB))
        self.assertFalse((self.folder / "x").exists())
        self.refuse(netstor("cp", uri, uri), 2)

    def test_no_progress_bar_without_a_terminal(self):
        _, uri = self.volume_file("v", 8 * MIB)
        self.assertEqual(self.succeed(netstor("cp", self.file("s", noise(8 * MIB)), uri)).err, "")


class Measurements(tool_support.Case):
    def test_bench_prints_operations_percentiles_and_a_picture(self):
        _, uri = self.volume_file("v", MIB)
        out = self.succeed(netstor("bench", uri, "--seconds", "0.3")).out
        for word in ("IOPS", "p50", "p99", "p99.9", "max", "█"):
            self.assertIn(word, out)

    def test_bench_json_adds_up(self):
        _, uri = self.volume_file("v", MIB)
        for rw in ("read", "write", "randread", "randwrite", "mixed"):
            with self.subTest(rw):
                document = self.succeed(netstor("bench", uri, "--rw", rw, "--yes-destroy-data", "--json",
                                                "--seconds", "0.3", "--depth", "4", "--shards", "2")).json
                operations = document["operations"]
                latency = document["latency"]
                self.assertGreater(operations, 0)
                self.assertEqual(document["reads"] + document["writes"], operations)
                self.assertEqual(sum(bucket["count"] for bucket in latency["histogram"]), operations)
                keys = ("min_ns", "p50_ns", "p90_ns", "p99_ns", "p99.9_ns", "max_ns")
                marks = [latency[key] for key in keys]
                self.assertEqual(marks, sorted(marks))
                self.assertEqual("read" in rw, document["writes"] == 0)
                self.assertEqual("write" in rw, document["reads"] == 0)

    def test_bench_polls_as_asked(self):
        _, uri = self.volume_file("v", MIB)
        for poll in ("busy", "adaptive", "blocking"):
            with self.subTest(poll):
                document = self.succeed(netstor("bench", uri, "--seconds", "0.2", "--poll", poll,
                                                "--json")).json
                self.assertGreater(document["operations"], 0)
                if poll == "busy":
                    self.assertEqual(document["metrics"]["sleeps"], 0)

    def test_bench_refuses_to_destroy_unless_told(self):
        path = self.file("v", noise(MIB))
        self.refuse(netstor("bench", f"file://{path}", "--rw", "randwrite"), 2, "--yes-destroy-data")
        self.assertEqual(path.read_bytes(), noise(MIB))

    def test_bench_refuses_a_crooked_block(self):
        _, uri = self.volume_file("v", MIB)
        self.refuse(netstor("bench", uri, "--block-size", "1000"), 1, "multiple")

    def test_stat_samples_and_counts(self):
        _, uri = self.volume_file("v", MIB)
        out = self.succeed(netstor("stat", uri, "--seconds", "0.2")).out
        for word in ("p50", "operations", "system calls"):
            self.assertIn(word, out)
        document = self.succeed(netstor("stat", uri, "--seconds", "0.2", "--json")).json
        self.assertEqual(document["metrics"]["reads"], document["latency"]["count"])
        self.assertEqual(document["path"]["driver"], document["path"]["io_driver"])

    def test_info_of_a_file(self):
        _, uri = self.volume_file("v", MIB)
        self.assertIn("1 MiB", self.succeed(netstor("info", uri)).out)
        document = self.succeed(netstor("info", uri, "--json")).json
        self.assertEqual((document["size_bytes"], document["writable"]), (MIB, True))


@unittest.skipUnless(OPTIONS.netstord, "this build has no netstord")
class Remote(CopyCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        kept = contextlib.ExitStack()
        cls.addClassCleanup(kept.close)
        folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="netstor-test-"))
        volumes = ["a=64MiB,store=memory", "b=64MiB,store=file", "small=1MiB,store=memory"]
        cls.server = kept.enter_context(tool_support.netstord(OPTIONS.netstord, folder, volumes))

    def uri(self, name):
        return f"{self.server}/{NQN}:{name}"

    def test_discover_lists_the_volumes_and_their_uris_work(self):
        out = self.succeed(netstor("discover", self.server)).out
        self.assertIn(f"{NQN}:a", out)
        found = self.succeed(netstor("discover", self.server, "--json")).json["subsystems"]
        uris = {each["nqn"]: each["uri"] for each in found}
        info = self.succeed(netstor("info", uris[f"{NQN}:a"], "--json")).json
        self.assertEqual(info["size_bytes"], 64 * MIB)

    def test_odd_lengths_in_odd_chunks(self):
        for name in "ab":
            for size in (1, 4096, 4097, 2 * MIB + 12345):
                with self.subTest(volume=name, size=size):
                    sent = self.there_and_back(self.uri(name), noise(size), "--block-size", "12KiB",
                                               "--depth", "5")
                    self.assertEqual((size + sent["padded_bytes"]) % 512, 0)

    def test_default_chunks_and_what_is_said(self):
        sent = self.there_and_back(self.uri("a"), noise(20 * MIB + 1))
        self.assertEqual(sent["metrics"]["copied_bytes"], 0)
        self.there_and_back(self.uri("b"), noise(20 * MIB + 1), "--digests")

    def test_volume_to_volume(self):
        self.there_and_back(self.uri("a"), noise(9 * MIB))
        self.succeed(netstor("cp", self.uri("a"), self.uri("b"), "--verify"))
        back = self.succeed(netstor("read", self.uri("b"), "--length", 9 * MIB)).bytes
        self.assertEqual(back, noise(9 * MIB))

    def test_both_drivers(self):
        for driver in ("uring", "posix"):
            capability = {each["name"]: each["available"]
                          for each in netstor("info", "--capabilities", "--json").json["capabilities"]}
            if not capability.get(f"driver.{driver}"):
                continue
            with self.subTest(driver):
                self.there_and_back(self.uri("a"), noise(3 * MIB + 3), "--driver", driver)

    def test_too_small_is_refused_before_anything_is_written(self):
        self.refuse(netstor("cp", self.file("source", noise(MIB + 1)), self.uri("small")), 1, "too small")

    def test_bench_and_stat(self):
        document = self.succeed(netstor("bench", self.uri("a"), "--rw", "mixed", "--yes-destroy-data",
                                        "--json", "--shards", "2", "--depth", "8", "--seconds", "0.5")).json
        self.assertGreater(document["operations"], 0)
        self.assertEqual(document["metrics"]["errors"], 0)
        stat = self.succeed(netstor("stat", self.uri("b"), "--seconds", "0.2", "--json")).json
        self.assertGreater(stat["metrics"]["reads"], 0)
        self.assertEqual(stat["path"]["driver"], "nvmeof over tcp")
        self.assertTrue(stat["path"]["peer"].startswith("127.0.0.1:"))
        self.assertIn(f"nvmeof over tcp, peer {stat['path']['peer']}, carried by ",
                      self.succeed(netstor("stat", self.uri("b"), "--seconds", "0.2")).out)

    def test_a_volume_that_is_not_there(self):
        self.refuse(netstor("info", self.uri("none")), 1, "netstor discover")

    def test_progress_and_colour_on_a_terminal(self):
        script = f"{OPTIONS.tool} bench {self.uri('a')} --seconds 0.5"
        for extra, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
            seen = subprocess.run(["script", "-qec", script, "/dev/null"], capture_output=True, timeout=60,
                                  env={**os.environ, **extra}, check=False)
            self.assertEqual(b"\033[1m" in seen.stdout, coloured, seen.stdout)


@unittest.skipUnless(OPTIONS.netstord, "this build has no netstord")
class Recovery(tool_support.Case):
    """A server that goes away and comes back in the middle."""

    def written(self):
        """When the volume's file was, last."""
        files = [path.stat() for path in (self.folder / "state").rglob("*") if path.is_file()]
        return [each.st_mtime_ns for each in files if each.st_size >= 16 << 20]

    def survive(self, end, shards):
        volumes = ["v=16MiB,store=file"]
        with contextlib.ExitStack() as kept:
            first = tool_support.netstord(OPTIONS.netstord, self.folder, volumes, end=end)
            server = first.__enter__()
            port = int(server.rpartition(":")[2])
            fresh = self.written()
            words = [OPTIONS.tool, "bench", f"{server}/{NQN}:v", "--rw", "mixed", "--yes-destroy-data",
                     "--json", "--depth", "8", "--seconds", "3", "--shards", str(shards)]
            load = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                # The admin queue's connection, and one of each shard; and it has begun to write.
                limit = time.monotonic() + tool_support.READY_SECONDS
                while (tool_support.connections_to(port) < 1 + shards or self.written() == fresh) \
                        and time.monotonic() < limit:
                    time.sleep(0.01)
            finally:
                first.__exit__(None, None, None)
            kept.enter_context(tool_support.netstord(OPTIONS.netstord, self.folder, volumes, port=port))
            out, err = load.communicate(timeout=120)
        self.assertEqual(load.returncode, 0, err)
        metrics = json.loads(out)["metrics"]
        self.assertGreaterEqual(metrics["reconnects"], 1)
        self.assertEqual(metrics["errors"], 0)

    def test_a_server_that_is_stopped_and_started(self):
        self.survive("terminate", 1)

    def test_a_server_that_is_killed_and_started(self):
        self.survive("kill", 1)


if __name__ == "__main__":
    if not OPTIONS.tool:
        sys.exit("usage: tool_test.py --tool PROGRAM [--netstord PROGRAM] [unittest arguments]")
    tool_support.run_tests(__name__, REST)
