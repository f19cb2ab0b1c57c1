#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What netstord keeps of what operators asked for: at kill -9, on a full disk, damaged; and who may ask."""
import ctypes
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import threading
import time

import admin_support
from admin_support import HOST, MIB, OPTIONS, OTHER, Case
from tool_support import NQN, call


class State(Case):
    def test_two_admins_at_once(self):
        server = self.start()
        answers = {}

        def work(name, size):
            answers[name, size] = server.admin("volume", "create", name, size, "--json").code
        threads = [threading.Thread(target=work, args=(f"v{i % 4}", size)) for i in range(4)
                   for size in ("8MiB", "16MiB")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for i in range(4):
            self.assertEqual(sorted([answers[f"v{i}", "8MiB"], answers[f"v{i}", "16MiB"]]), [0, 1])
        self.assertEqual(self.names(server), ["default", "v0", "v1", "v2", "v3"])

    def test_killed_at_any_point_it_keeps_what_it_answered(self):
        """A script of changes, cut off by kill -9: what was answered is there, the rest wholly or not."""
        choices = random.Random(7)
        done = {}

        def steps(server, round_number):
            name, host = f"r{round_number}", f"nqn.2026-01.com.example:h{round_number}"
            nqn = f"nqn.2026-01.com.example:s{round_number}"
            yield ("volume", name, 8), ("volume", "create", name, "8MiB")
            yield ("subsystem", nqn, ()), ("subsystem", "create", nqn, "--no-host")
            yield ("namespace", nqn, name), ("subsystem", "attach", nqn, name)
            yield ("subsystem", nqn, (host,)), ("host", "allow", nqn, host)
            yield ("volume", name, 16), ("volume", "resize", name, "16MiB")
            yield ("bucket", f"bucket-{name}", 1), ("bucket", "create", f"bucket-{name}")
            if round_number > 1:
                yield ("volume", f"r{round_number - 2}", None), ("volume", "delete", f"r{round_number - 2}")

        rounds = 10
        for number in range(rounds):
            server = self.start()
            self.check_state(server, done)
            delay = choices.uniform(0.01, 0.45)
            killer = threading.Timer(delay, server.child.kill)
            killer.start()
            for fact, words in steps(server, number):
                answer = server.admin(*words)
                kind, name, value = fact
                if answer.code == 0:
                    done[kind, name] = {value}
                else:
                    done[kind, name] = done.get((kind, name), {None}) | {value}
                    break
            killer.join()
            server.end("kill")
        self.check_state(self.start(), done)
        self.assertGreater(sum(len(values) == 1 for values in done.values()), rounds // 2)

    def check_state(self, server, done):
        volumes = {each["name"]: each for each in self.ok(server, "volume", "list")["volumes"]}
        subsystems = {each["nqn"]: each for each in self.ok(server, "subsystem", "list")["subsystems"]}
        buckets = {each["name"] for each in self.ok(server, "bucket", "list")["buckets"]}
        for (kind, name), values in done.items():
            if kind == "volume":
                now = volumes[name]["size_bytes"] // MIB if name in volumes else None
            elif kind == "subsystem":
                now = tuple(subsystems[name]["allowed_hosts"]) if name in subsystems else None
                self.assertFalse(name in subsystems and subsystems[name]["any_host"], name)
            elif kind == "bucket":
                now = 1 if name in buckets else None
            else:
                spaces = subsystems.get(name, {}).get("namespaces", [])
                now = spaces[0]["volume"] if spaces else None
                # With its volume a namespace goes.
                volume = next(iter(values - {None}))
                values = values | (done.get(("volume", volume), set()) & {None})
            self.assertIn(now, values, f"{kind} {name}")
            # What is served is one of them from now on.
            if kind != "namespace":
                values.intersection_update({now})
        # What removed volumes left is given back after the start.
        self.until_gone(server, ".*")

    def until_gone(self, server, pattern):
        limit = time.monotonic() + 30
        while list((server.state / "volumes").glob(pattern)):
            self.assertLess(time.monotonic(), limit, "something is half-done")
            time.sleep(0.02)

    def test_what_cannot_be_removed_holds_up_neither_other_volumes_nor_a_start(self):
        def without_override():
            # Root may write where modes forbid it; PR_CAPBSET_DROP of CAP_DAC_OVERRIDE. Others need none.
            ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)

        server = self.start(preexec_fn=without_override)
        self.ok(server, "volume", "create", "a", "8MiB")
        self.ok(server, "volume", "create", "b", "8MiB")
        (server.state / "volumes" / "a").chmod(0o500)
        self.refuse(server.admin("volume", "delete", "a"), 1, "is gone, but not its space", ".gone-")
        self.ok(server, "volume", "delete", "b")
        self.ok(server, "volume", "delete", "a")
        self.assertEqual(self.names(server), ["default"])
        left = list((server.state / "volumes").glob(".gone-*"))
        self.assertEqual(len(left), 1, left)
        server.end()
        server = self.start(preexec_fn=without_override)
        limit = time.monotonic() + 30
        while f"{left[0].name}" not in server.log.read_text():
            self.assertLess(time.monotonic(), limit, "the log does not name it")
            time.sleep(0.02)
        self.assertEqual(self.names(server), ["default"])
        server.end()
        left[0].chmod(0o700)
        self.until_gone(self.start(), ".gone-*")

    def test_a_state_that_is_too_new_damaged_or_missing_is_not_touched(self):
        server = self.start()
        self.ok(server, "host", "allow", f"{NQN}:default", HOST)
        server.end()
        control = server.state / "control"
        before = {path.name: path.read_bytes() for path in control.iterdir()}
        kept = self.folder / "kept"

        def refused(*words):
            done = subprocess.run(server.command, capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr.decode())

        shutil.move(control, kept)
        refused("control", "missing")
        self.assertFalse(control.exists())
        shutil.copytree(kept, control)
        for path in control.glob("*.log"):
            data = bytearray(path.read_bytes())
            if len(data) > 40:
                data[20] ^= 0xFF
                path.write_bytes(data)
        for path in control.glob("*.sst"):
            data = bytearray(path.read_bytes())
            data[len(data) // 4] ^= 0xFF
            path.write_bytes(data)
        damaged = {path.name: path.read_bytes() for path in control.iterdir()}
        refused("control")
        self.assertEqual({path.name: path.read_bytes() for path in control.iterdir()}, damaged)
        shutil.rmtree(control)
        shutil.copytree(kept, control)
        self.assertEqual({path.name: path.read_bytes() for path in control.iterdir()}, before)
        (server.state / "state.json").write_text('{"format": "netstord-state", "version": 3}')
        refused("newer netstord")
        (server.state / "state.json").write_text('{"format": "netstord-state", "version": 2}')
        server = self.start()
        self.refuse(self.tool("info", server.uri(f"{NQN}:default"), "--host-nqn", OTHER), 1)

    def test_a_second_server_and_another_owner(self):
        server = self.start()
        done = subprocess.run(server.command, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("in use by another netstord", done.stderr.decode())
        self.assertEqual(server.socket.stat().st_mode & 0o777, 0o600)
        self.ok(server, "server")
        server.end()
        if os.geteuid() != 0:
            self.skipTest("another owner: only root can make one")
        os.chown(server.state, 12345, 12345)
        done = subprocess.run(server.command, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("belongs to user 12345", done.stderr.decode())

    def test_a_full_disk_leaves_all_as_it_was(self):
        limit = 600 << 10  # the server starts, and what it keeps grows beyond it at some time
        server = self.start("--volume", "n=8MiB,store=null", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, limit)))
        self.refuse(server.admin("volume", "create", "v", "8MiB"), 1)
        self.assertEqual(self.names(server), ["n"])
        nqn = "nqn.2026-01.com.example:" + "x" * 190
        made = 0
        full = None
        long_hosts = [word for i in range(120) for word in ("--host", f"nqn.2026-01.com.example:{i:0190}")]
        for i in range(200):
            answer = server.admin("subsystem", "create", f"{nqn}{i}", *long_hosts)
            if answer.code != 0:
                full = answer
                break
            made += 1
        self.assertIsNotNone(full, "the limit was never met")
        self.assertGreater(made, 0)
        listed = len(self.ok(server, "subsystem", "list")["subsystems"])
        self.assertEqual(listed, made + 1)
        server.end("kill")
        server = self.start("--volume", "n=8MiB,store=null")
        self.assertIn(len(self.ok(server, "subsystem", "list")["subsystems"]), (listed, listed + 1))

    def test_requests_that_are_cut_off(self):
        server = self.start()
        for length in (0, 1, 9, 24, 30, 50):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(server.socket))
                raw.sendall((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(64)))[:length])
        command = [OPTIONS.tool, "admin", "stats", "--interval", "100", "--json", "--socket",
                   str(server.socket)]
        stats = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.assertEqual(json.loads(stats.stdout.readline())["volumes"], 1)
        stats.kill()
        stats.wait()
        stats.stdout.close()
        self.assertEqual(self.names(server), ["default"])

    def test_streams_that_end_say_why(self):
        server = self.start()
        command = [OPTIONS.tool, "admin", "stats", "--interval", "100", "--json", "--socket",
                   str(server.socket)]
        streams = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for _ in range(12)]
        for each in streams:
            self.addCleanup(each.communicate)
            self.addCleanup(each.kill)
        for each in streams:
            self.assertTrue(each.stdout.readline())
        said = self.refuse(server.admin("stats", "--count", "1"), 1, "12 streams")
        self.assertNotIn("disk", said)
        server.end("kill")
        said = streams[0].communicate(timeout=30)[1]
        self.assertIn("ended", said)
        self.assertNotIn("written", said)
        self.assertNotIn("no admin service answers", said)


class Tls(Case):
    def certificate(self, name, authority=None):
        """name.crt and name.key, signed by `authority` or by itself."""
        key, crt = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
               f"/CN={name}", "-keyout", key]
        if authority is None:
            self.run_quietly(*new, "-x509", "-days", "2", "-out", crt)
        else:
            request = self.folder / f"{name}.csr"
            extensions = self.file(f"{name}.ext", b"subjectAltName=IP:127.0.0.1\n")
            self.run_quietly(*new, "-new", "-out", request)
            self.run_quietly("openssl", "x509", "-req", "-in", request, "-days", "2", "-extfile", extensions,
                             "-CA", self.folder / f"{authority}.crt", "-CAkey",
                             self.folder / f"{authority}.key", "-CAcreateserial", "-out", crt)
        key.chmod(0o600)

    def run_quietly(self, *command):
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_operators_prove_who_they_are(self):
        if not shutil.which("openssl"):
            self.skipTest("openssl is not installed")
        for name in ("ca", "other-ca"):
            self.certificate(name)
        for name, authority in (("server", "ca"), ("operator", "ca"), ("stranger", "other-ca")):
            self.certificate(name, authority)
        at = self.folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        flags = ["--admin-listen", f"127.0.0.1:{port}", "--admin-cert", at / "server.crt",
                 "--admin-client-ca", at / "ca.crt"]
        with self.assertRaisesRegex(RuntimeError, "admin-key"):
            self.start(*flags)
        with self.assertRaisesRegex(RuntimeError, "ended with 2(.|\n)*admin-cert"):
            self.start(*flags, "--admin-key", at / "operator.key")
        server = self.start(*flags, "--admin-key", at / "server.key")

        def ask(name):
            return call(*anonymous, "--cert", at / f"{name}.crt", "--key", at / f"{name}.key", "--ca",
                        at / "ca.crt", "--timeout", "10")
        anonymous = [OPTIONS.tool, "admin", "volume", "list", "--server", f"127.0.0.1:{port}"]
        self.succeed(ask("operator"))
        self.refuse(ask("stranger"), 1)
        self.refuse(call(*anonymous), 2, "--cert")
        server.end()


if __name__ == "__main__":
    admin_support.run(__name__)
