#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`netstor admin` against a running netstord: an operator's day, what is refused, who gets in."""
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time

import admin_support
from admin_support import HOST, MIB, OPTIONS, OTHER, Case, dhchap_secret
from tool_support import NQN


class Day(Case):
    """The operator's day: what was done in the morning is there in the evening."""

    def grow_under_io(self, server, uri):
        answers = []
        stop = threading.Event()

        def read():
            while not stop.is_set():
                answers.append(self.tool("read", uri, "--length", "64KiB", "-o", os.devnull, "--force").code)
        reader = threading.Thread(target=read)
        reader.start()
        command = [OPTIONS.tool, "bench", uri, "--seconds", "2", "--json"]
        bench = subprocess.Popen(command, stdout=subprocess.PIPE)
        for size in ("128MiB", "192MiB", "256MiB"):
            self.ok(server, "volume", "resize", "data", size)
        bench.communicate(timeout=60)
        stop.set()
        reader.join(60)
        self.assertEqual(bench.returncode, 0)
        self.assertEqual(set(answers), {0})

    def test_from_create_to_verify(self):
        server = self.start()
        volume = self.ok(server, "volume", "create", "data", "64MiB")
        uri = server.uri(f"{NQN}:data")
        written = random.Random(1).randbytes(MIB)
        self.succeed(self.tool("write", uri, "-i", self.file("in", written), "--fua"))
        self.grow_under_io(server, uri)
        self.assertEqual(self.succeed(self.tool("info", uri, "--json")).json["size_bytes"], 256 * MIB)

        # A subsystem that nobody may enter yet, then one host.
        db = "nqn.2026-01.com.example:db"
        self.ok(server, "subsystem", "create", db, "--no-host", "--serial", "S1")
        self.ok(server, "subsystem", "attach", db, "data", "--nsid", "7")
        self.refuse(self.tool("info", server.uri(db, 7), "--host-nqn", HOST), 1)
        self.ok(server, "host", "allow", db, HOST)
        self.succeed(self.tool("info", server.uri(db, 7), "--host-nqn", HOST))
        self.refuse(self.tool("info", server.uri(db, 7), "--host-nqn", OTHER), 1)
        # And the volume's own door is shut to others, too.
        self.ok(server, "host", "allow", f"{NQN}:data", HOST)
        self.refuse(self.tool("info", uri, "--host-nqn", OTHER), 1)

        # Keys: set, replaced, revoked.
        first = self.secret_file("first", dhchap_secret(1))
        second = self.secret_file("second", dhchap_secret(2))
        known = ("--host-nqn", HOST, "--host-secret")
        self.ok(server, "host", "set-key", HOST, "--secret", first)
        self.refuse(self.tool("info", uri, "--host-nqn", HOST), 1)
        self.succeed(self.tool("info", uri, *known, first))
        self.ok(server, "host", "set-key", HOST, "--secret", second)
        self.refuse(self.tool("info", uri, *known, first), 1)
        self.succeed(self.tool("info", uri, *known, second))

        # Buckets and their keys.
        self.ok(server, "bucket", "create", "photos")
        key_file = self.folder / "photos.key"
        key = self.ok(server, "key", "create", "album", "--rights", "rwl:photos", "--file", key_file)
        self.assertEqual(key_file.stat().st_mode & 0o777, 0o600)
        endpoint = ("--endpoint-url", f"http://127.0.0.1:{server.s3_port}")
        with_key = {"AWS_SHARED_CREDENTIALS_FILE": str(key_file), "AWS_PROFILE": "default"}
        self.succeed(self.tool("ls", "s3://photos", *endpoint, env=with_key))
        new_file = self.folder / "new.key"
        self.assertFalse(self.ok(server, "key", "rotate", key["id"], "--file", new_file)["unchanged"])
        again = self.succeed(server.admin("key", "rotate", key["id"], "--file", new_file))
        self.assertIn("as it was", again.err)
        self.refuse(self.tool("ls", "s3://photos", *endpoint, env=with_key), 1)
        with_new = {**with_key, "AWS_SHARED_CREDENTIALS_FILE": str(new_file)}
        self.succeed(self.tool("ls", "s3://photos", *endpoint, env=with_new))
        self.ok(server, "key", "disable", key["id"])
        self.refuse(self.tool("ls", "s3://photos", *endpoint, env=with_new), 1)
        self.ok(server, "key", "enable", key["id"])

        self.ok(server, "volume", "rename", "data", "archive")
        self.verify(server, uri, written, volume, db, second, key, with_new)

        # Drain: with nobody connected it is done at once, and nobody comes in any more.
        lines = self.succeed(server.admin("drain", "--json")).out.splitlines()
        self.assertTrue(json.loads(lines[-1])["done"])
        self.refuse(self.tool("info", uri, *known, second, "--timeout", "2"), 1)
        self.ok(server, "resume")
        self.succeed(self.tool("info", uri, *known, second))
        self.ok(server, "drain")
        self.ok(server, "shutdown")
        self.assertEqual(server.child.wait(30), 0)

        server = self.start()
        self.verify(server, server.uri(f"{NQN}:data"), written, volume, db, second, key, with_new)
        self.ok(server, "host", "revoke-key", HOST)
        self.refuse(self.tool("info", server.uri(f"{NQN}:data"), *known, second), 1)
        log = server.log.read_text() + key_file.read_text()
        self.assertNotIn(second.read_text().strip(), server.log.read_text())
        self.assertNotIn(new_file.read_text().split()[-1], log)

    def verify(self, server, uri, written, volume, db, secret, key, with_key):
        now = self.ok(server, "volume", "get", "archive")
        self.assertEqual((now["uuid"], now["nqn"]), (volume["uuid"], f"{NQN}:data"))
        self.assertEqual(now["size_bytes"], 256 * MIB)
        self.assertGreater(now["used_bytes"], 0)
        self.assertIn({"subsystem": db, "nsid": 7}, now["attachments"])
        known = ("--host-nqn", HOST, "--host-secret", secret)
        for place in (uri, server.uri(db, 7)):
            self.assertEqual(self.succeed(self.tool("read", place, "--length", MIB, *known)).bytes, written)
        self.refuse(self.tool("info", uri, "--host-nqn", OTHER, "--host-secret", secret), 1)
        keys = {each["id"]: each for each in self.ok(server, "key", "list")["keys"]}
        self.assertEqual((keys[key["id"]]["rights"], keys[key["id"]]["enabled"]), ("rwl:photos", True))
        self.assertNotIn("secret", json.dumps(self.ok(server, "key", "list")))
        self.succeed(self.tool("ls", "s3://photos", "--endpoint-url", f"http://127.0.0.1:{server.s3_port}",
                               env=with_key))


class Volumes(Case):
    def test_the_same_again_is_fine_and_otherwise_is_not(self):
        server = self.start()
        first = self.ok(server, "volume", "create", "v", "8MiB")
        self.assertEqual(self.ok(server, "volume", "create", "v", "8MiB")["uuid"], first["uuid"])
        self.refuse(server.admin("volume", "create", "v", "9MiB"), 1, "size_bytes", "8388608")
        self.refuse(server.admin("volume", "create", "w", "8MiB", "--nqn", f"{NQN}:v"), 1, "nqn")
        self.ok(server, "volume", "delete", "v")
        self.ok(server, "volume", "delete", "v")
        self.assertNotIn("v", self.names(server))
        self.assertNotEqual(self.ok(server, "volume", "create", "v", "9MiB")["uuid"], first["uuid"])

    def test_bad_names_and_sizes(self):
        server = self.start()
        for name in ("", ".v", "-v", "V", "a b", "a/b", "../v", "a\nb", "ü", "a" * 65, "a\x7f", "%2e"):
            with self.subTest(name):
                self.refuse(server.admin("volume", "create", "--", name, "8MiB"), 2)
        odd = subprocess.run([OPTIONS.tool, "admin", "volume", "create", b"a\xffb", "8MiB", "--socket",
                              str(server.socket)], capture_output=True, timeout=60, check=False)
        self.assertEqual(odd.returncode, 2, odd.stderr)
        for size in ("0", "1", str(8 * MIB + 1), "512KiB", "8EiB", "1e3", "18446744073709551615"):
            with self.subTest(size):
                self.refuse(server.admin("volume", "create", "v", size), 2)
        self.refuse(server.admin("volume", "create", "v", "--", "-8MiB"), 2)
        self.refuse(server.admin("volume", "create", "v", str(1 << 62)), 2, "size_bytes", "disk")
        self.refuse(server.admin("volume", "create", "v", "8MiB", "--block", "1024"), 2, "block_bytes")
        self.refuse(server.admin("volume", "resize", "none", "8MiB"), 1, "none")
        self.refuse(server.admin("volume", "resize", "default", "8MiB"), 2, "shrink")
        self.refuse(server.admin("volume", "rename", "default", "No"), 2, "new_name")
        self.assertEqual(self.names(server), ["default"])

    def test_one_in_use_stays_unless_forced(self):
        server = self.start()
        self.ok(server, "volume", "create", "v", "8MiB")
        held = subprocess.Popen([OPTIONS.tool, "bench", server.uri(f"{NQN}:v"), "--seconds", "60"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(held.kill)
        self.until(lambda: self.ok(server, "connection", "list")["connections"])
        self.refuse(server.admin("volume", "delete", "v"), 1, "in use", "--force")
        one = self.ok(server, "connection", "list")["connections"][0]
        self.assertTrue(one["subsystem"].endswith(":v"), one)
        self.ok(server, "volume", "delete", "v", "--force")
        self.until(lambda: not any(each["subsystem"].endswith(":v")
                                   for each in self.ok(server, "connection", "list")["connections"]))
        held.kill()
        held.wait()
        self.assertEqual(self.names(server), ["default"])

    def until(self, condition):
        limit = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), limit, "it did not happen")
            time.sleep(0.02)

    def test_stores_that_keep_their_size(self):
        server = self.start()
        self.ok(server, "volume", "create", "m", "8MiB", "--store", "memory")
        self.refuse(server.admin("volume", "resize", "m", "16MiB"), 1, "memory")
        self.ok(server, "volume", "create", "n", "8MiB", "--store", "null", "--block", "512")
        self.assertEqual(self.ok(server, "volume", "resize", "n", "16MiB")["size_bytes"], 16 * MIB)


class Access(Case):
    def test_an_empty_list_lets_nobody_in_and_survives(self):
        server = self.start()
        own = f"{NQN}:default"
        self.refuse(server.admin("host", "forbid", own, HOST), 1, "no list")
        self.ok(server, "host", "allow", own, HOST)
        self.ok(server, "host", "forbid", own, HOST)
        self.refuse(self.tool("info", server.uri(own), "--host-nqn", HOST), 1)
        server.end("kill")
        server = self.start()
        self.refuse(self.tool("info", server.uri(own), "--host-nqn", HOST), 1)
        self.ok(server, "host", "allow-any", own)
        self.succeed(self.tool("info", server.uri(own), "--host-nqn", HOST))

    def test_the_last_key_does_not_open_the_door_by_itself(self):
        server = self.start()
        own = f"{NQN}:default"
        secret = self.secret_file("secret", dhchap_secret(3))
        self.ok(server, "host", "set-key", HOST, "--secret", secret)
        self.ok(server, "host", "revoke-key", HOST)
        for host in (HOST, OTHER):
            self.refuse(self.tool("info", server.uri(own), "--host-nqn", host), 1)
        self.refuse(server.admin("host", "delete", HOST), 1, "last", "--force")
        self.ok(server, "host", "delete", HOST, "--force")
        self.succeed(self.tool("info", server.uri(own), "--host-nqn", OTHER))

    def test_a_deleted_subsystem_stays_away(self):
        server = self.start()
        own = f"{NQN}:default"
        self.ok(server, "subsystem", "delete", own)
        self.refuse(self.tool("info", server.uri(own)), 1)
        server.end("kill")
        server = self.start()
        self.assertEqual(self.ok(server, "subsystem", "list")["subsystems"], [])
        db = "nqn.2026-01.com.example:db"
        self.ok(server, "subsystem", "create", db, "--host", HOST)
        self.assertEqual(self.ok(server, "subsystem", "attach", db, "default")["namespaces"],
                         [{"nsid": 1, "volume": "default"}])
        self.refuse(server.admin("subsystem", "attach", db, "default", "--nsid", "65"), 2, "nsid")
        self.succeed(self.tool("info", server.uri(db), "--host-nqn", HOST))
        self.ok(server, "subsystem", "detach", db, "1")
        self.refuse(self.tool("info", server.uri(db), "--host-nqn", HOST), 1)

    def test_hints_name_the_secret_that_is_wrong(self):
        server = self.start()
        info = ("info", server.uri(f"{NQN}:default"), "--host-nqn", HOST)
        secret, own, wrong = (self.secret_file(name, dhchap_secret(name))
                              for name in ("secret", "own", "wrong"))
        self.ok(server, "host", "set-key", HOST, "--secret", secret, "--controller-secret", own)
        self.succeed(self.tool(*info, "--host-secret", secret, "--controller-secret", own))
        said = self.refuse(self.tool(*info), 1, "--host-secret is empty")
        self.assertNotIn("hint: ", said)
        self.refuse(self.tool(*info, "--host-secret", wrong), 1, "hint: has the server this --host-secret")
        self.refuse(self.tool(*info, "--host-secret", secret, "--controller-secret", wrong), 1,
                    "hint: is --controller-secret the one")

    def test_keys_that_are_over_open_nothing_until_they_are_renewed(self):
        server = self.start()
        own = f"{NQN}:default"
        secret = self.secret_file("secret", dhchap_secret(3))
        past, future = "2001-02-03T04:05:06Z", "2099-01-01T00:00:00Z"

        def host(code):
            answer = self.tool("info", server.uri(own), "--host-nqn", HOST, "--host-secret", secret)
            self.assertEqual(answer.code, code, answer.err)

        def list_objects(key):
            return self.tool("ls", "s3://photos", "--endpoint-url", f"http://127.0.0.1:{server.s3_port}",
                             env={"AWS_SHARED_CREDENTIALS_FILE": str(key), "AWS_PROFILE": "default"})
        self.ok(server, "host", "set-key", HOST, "--secret", secret, "--until", future)
        host(0)
        set_ = self.ok(server, "host", "set-key", HOST, "--secret", secret, "--until", past)
        self.assertEqual((set_["until_ms"], set_["expired"]), (981173106000, True))
        host(1)
        self.ok(server, "bucket", "create", "photos")
        old, new = self.folder / "old.key", self.folder / "new.key"
        made = self.ok(server, "key", "create", "album", "--rights", "rwl:photos", "--file", old, "--until",
                       past)
        self.refuse(list_objects(old), 1, "ExpiredToken")
        server.end("kill")
        server = self.start()
        host(1)
        self.refuse(list_objects(old), 1, "ExpiredToken")
        self.assertIn(past + " (over)", self.succeed(server.admin("key", "list")).out)
        self.ok(server, "key", "rotate", made["id"], "--file", new)
        self.refuse(list_objects(new), 1, "ExpiredToken")
        self.ok(server, "key", "rotate", made["id"], "--file", new, "--until", future)
        self.succeed(list_objects(new))
        self.refuse(list_objects(old), 1, "SignatureDoesNotMatch")
        self.ok(server, "host", "set-key", HOST, "--secret", secret)
        host(0)
        for until, word in (("tomorrow", "2026-12"), ("2027-02-31T00:00:00Z", "2026-12"),
                            ("2027-02-28T00:00:60Z", "2026-12"), ("2999-01-01T00:00:00Z", "2262")):
            never = server.admin("host", "set-key", HOST, "--secret", secret, "--until", until)
            self.refuse(never, 2, word)

    def test_a_key_of_the_file_is_changed_in_the_file_alone(self):
        file = self.folder / "state" / "s3-keys"
        server = self.start()
        self.ok(server, "bucket", "create", "photos")
        kept = self.folder / "kept.key"
        made = self.ok(server, "key", "create", "kept", "--rights", "r:photos", "--file", kept)
        server.end()
        # The file says the same id later.
        with open(file, "a", encoding="ascii") as text:
            text.write(f"[both]\naws_access_key_id = {made['id']}\n"
                       f"aws_secret_access_key = {'of-the-file' * 4}\nnetstor_allow = r:photos\n")
        server = self.start()
        new = self.folder / "new.key"
        for words in (("disable",), ("delete",), ("rotate", "--file", new), ("set-rights", "r:*")):
            with self.subTest(words):
                self.refuse(server.admin("key", words[0], made["id"], *words[1:]), 1, "keys file")

    def test_wrong_keys_are_named_and_not_repeated(self):
        server = self.start()
        bad = self.secret_file("bad", "DHHC-1:00:c2VjcmV0:")
        said = self.refuse(server.admin("host", "set-key", HOST, "--secret", bad), 2, "secret")
        self.assertNotIn("c2VjcmV0", said)
        open_file = self.file("open", b"DHHC-1:00:x:\n")
        open_file.chmod(0o644)
        self.refuse(server.admin("host", "set-key", HOST, "--secret", open_file), 1, "chmod")
        self.refuse(server.admin("host", "allow", f"{NQN}:default", "not an nqn"), 2, "host")
        self.refuse(server.admin("connection", "disconnect"), 2, "at least one")


class Listeners(Case):
    def test_one_more_address_now_and_after_the_next_start(self):
        server = self.start()
        added = self.ok(server, "listener", "add", "127.0.0.2", "--port", "0")
        uri = f"nvme+tcp://127.0.0.2:{added['port']}/{NQN}:default"
        self.succeed(self.tool("info", uri))
        self.assertEqual(self.ok(server, "listener", "add", "127.0.0.2", "--port", added["port"]), added)
        server.end("kill")
        server = self.start()
        self.succeed(self.tool("info", uri))
        self.ok(server, "listener", "remove", "127.0.0.2", "--port", added["port"])
        self.refuse(self.tool("info", uri), 1)
        self.assertEqual(len(self.ok(server, "listener", "list")["listeners"]), 1)

    def test_an_address_that_cannot_be_had(self):
        server = self.start()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.refuse(server.admin("listener", "add", "127.0.0.1", "--port", port), 1, "in use")
        self.refuse(server.admin("listener", "add", "0.0.0.0", "--port", "0"), 2, "advertise")
        self.refuse(server.admin("listener", "add", "127.0.0.1", "--port", "65536"), 2, "port")
        self.refuse(server.admin("listener", "add", "192.0.2.1"), 1)
        self.assertEqual(len(self.ok(server, "listener", "list")["listeners"]), 1)


class Statistics(Case):
    def look(self, server, count=1):
        lines = self.succeed(server.admin("stats", "--count", count, "--interval", 100, "--json")).out
        return [json.loads(line) for line in lines.splitlines()]

    def test_what_was_asked_for_and_what_was_refused(self):
        server = self.start()
        own = f"{NQN}:default"
        self.succeed(self.tool("write", server.uri(own), "-i", self.file("in", bytes(MIB))))
        self.ok(server, "host", "set-key", HOST, "--secret", self.secret_file("right", dhchap_secret(1)))
        wrong = self.secret_file("wrong", dhchap_secret(2))
        known = ("--host-nqn", HOST, "--host-secret", wrong)
        self.refuse(self.tool("info", server.uri(own), *known), 1)
        nobody = {"AWS_ACCESS_KEY_ID": "NOBODY" * 3, "AWS_SECRET_ACCESS_KEY": "secret" * 6}
        self.refuse(self.tool("ls", "s3://photos", "--endpoint-url", f"http://127.0.0.1:{server.s3_port}",
                              env=nobody), 1)
        now = self.look(server)[0]
        requests = {(each["protocol"], each["operation"]): each for each in now["requests"]}
        write = requests["nvme", "write"]
        self.assertGreater(write["count"], 0)
        self.assertGreaterEqual(write["p99_ns"], write["p50_ns"])
        self.assertGreaterEqual(write["p50_ns"], 1024)
        self.assertEqual(now["nvme_write_bytes"], MIB)
        self.assertEqual(requests["s3", "ListObjectsV2"]["count"], 1)
        self.assertNotIn(("nvme", "compare"), requests)
        errors = {(each["protocol"], each["status"]): each["count"] for each in now["errors"]}
        self.assertEqual(errors["s3", "InvalidAccessKeyId"], 1)
        refusals = {(each["protocol"], each["check"], each["reason"]): each["count"]
                    for each in now["refusals"]}
        self.assertEqual(refusals["s3", "authentication", "InvalidAccessKeyId"], 1)
        self.assertIn(("nvme", "authentication"), [each[:2] for each in refusals])

    def test_quantiles_are_of_what_came_since(self):
        server = self.start()
        self.succeed(self.tool("info", server.uri(f"{NQN}:default")))
        first, second = self.look(server, 2)
        admin = [next(each for each in look["requests"] if each["operation"] == "admin")
                 for look in (first, second)]
        self.assertGreater(admin[0]["p50_ns"], 0)
        self.assertEqual((admin[1]["count"], admin[1]["p50_ns"], admin[1]["p99_ns"]),
                         (admin[0]["count"], 0, 0))


class Words(Case):
    def test_groups_and_verbs_have_help_with_examples(self):
        for group in ("volume", "subsystem", "listener", "host", "bucket", "key", "connection"):
            out = self.succeed(self.tool("admin", group, "--help")).out
            verbs = re.findall(r"^  (\S+)  ", out.split("Subcommands:")[1], re.MULTILINE)
            self.assertIn("list", verbs)
            for verb in verbs:
                with self.subTest(group=group, verb=verb):
                    text = self.succeed(self.tool("admin", group, verb, "--help")).out
                    self.assertIn(f"netstor admin {group} {verb}", text)
                    self.assertIn("--json", text)

    def test_no_server_is_said_with_a_hint(self):
        said = self.refuse(self.tool("admin", "volume", "list", "--socket", self.folder / "none"), 1)
        self.assertIn("is netstord running?", said)

    def test_bash_completes_verbs_and_options(self):
        if not shutil.which("bash"):
            self.skipTest("bash is not installed")
        script = self.file("completion", self.succeed(self.tool("completion", "bash")).bytes)

        def complete(*words):
            quoted = " ".join(f"'{word}'" for word in words)
            text = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _netstor; "
                    'printf "%s\\n" "${COMPREPLY[@]}"')
            return subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60,
                                  check=True).stdout.split()
        self.assertIn("admin", complete("netstor", ""))
        self.assertEqual(complete("netstor", "dis"), ["discover"])
        self.assertEqual(complete("netstor", "admin", "vol"), ["volume"])
        self.assertIn("resize", complete("netstor", "admin", "volume", ""))
        self.assertIn("--overcommit", complete("netstor", "admin", "volume", "create", "x", "--o"))
        self.refuse(self.tool("completion", "tcsh"), 2)

    def test_zsh_and_fish_take_theirs(self):
        for shell, check in (("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
            script = self.file(shell, self.succeed(self.tool("completion", shell)).bytes)
            if not shutil.which(shell):
                continue
            with self.subTest(shell):
                done = subprocess.run([*check, str(script)], capture_output=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    admin_support.run(__name__)
