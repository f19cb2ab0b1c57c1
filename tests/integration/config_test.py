#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""netstord's configuration file, what a SIGHUP rereads of it, and what the service manager is told."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest
import urllib.request

import admin_support
import stuck_thread
import tls_keys
import tool_support
from tool_support import READY_SECONDS

OPTIONS, REST = tool_support.arguments()
NVME_NQN = "nqn.2026-01.io.netstor:v"
NOT_KEYS = {"help", "version", "config", "print-config"}


def netstord(*words):
    return subprocess.run([OPTIONS.netstord, *map(str, words)], capture_output=True, text=True, timeout=60,
                          check=False)


def connect_capsule(host, subsystem):
    """A Connect of the admin queue with its data (NVMe over Fabrics 1.1, section 3.3)."""
    command = bytearray(64)
    command[:5] = 0x7F, 0x40, 1, 0, 1
    struct.pack_into("<QI4B", command, 24, 0, 1024, 0, 0, 0, 1)  # its data is in the capsule
    struct.pack_into("<HHHBxI", command, 40, 0, 0, 31, 0, 30000)
    data = bytearray(1024)
    data[0:18] = b"h" * 16 + b"\xff\xff"
    data[256:256 + len(subsystem)] = subsystem.encode()
    data[512:512 + len(host)] = host.encode()
    return struct.pack("<BBBBI", 4, 0, 72, 72, 72 + 1024) + command + data


class Files(tool_support.Case):
    def config(self, text, name="netstord.conf"):
        return self.file(name, text.encode())

    def refused(self, text, *words):
        path = self.config(text)
        answer = netstord("--config", path, "--print-config")
        self.assertEqual(answer.returncode, 2, answer.stdout)
        for word in (*words, str(path)):
            self.assertIn(word, answer.stderr)

    def test_every_long_option_is_a_documented_key(self):
        text = netstord("--print-config").stdout
        options = set(re.findall(r"^  (?:-\w,)?--([a-z0-9-]+)", netstord("--help").stdout, re.MULTILINE))
        self.assertGreater(len(options), 20)
        blocks = text.split("\n\n")[1:]
        keys = {}
        for block in blocks:
            *comments, last = block.strip("\n").splitlines()
            name = re.fullmatch(r"#?([a-z0-9-]+) = .*", last)
            self.assertTrue(name, block)
            self.assertTrue(all(line.startswith("# ") for line in comments), block)
            self.assertTrue(any(line.startswith("# Takes: ") for line in comments), block)
            keys[name[1]] = block
        self.assertEqual(set(keys), options - NOT_KEYS)
        self.assertIn("[1 - 256]", keys["shards"])

    def test_what_is_printed_reads_back_as_the_same(self):
        flags = ["--volume", "a=2MiB,block=512", "--volume", "b=1GiB,store=null", "--shards", "3",
                 "--json", "--io-driver", "posix", "--listen", "[::1]:0", "--s3-keys", '/odd " \\ path ',
                 "--log-format", "json", "--bucket", "photos,anonymous=read+list"]
        first = netstord(*flags, "--print-config")
        self.assertEqual(first.returncode, 0, first.stderr)
        for line in ('volume = "a=2MiB,block=512"', 'volume = "b=1GiB,store=null"', "json = true",
                     'shards = "3"', 's3-keys = "/odd \\" \\\\ path "', 'io-driver = "posix"'):
            self.assertIn("\n" + line + "\n", first.stdout)
        again = netstord("--config", self.config(first.stdout), "--print-config")
        self.assertEqual((again.returncode, again.stdout), (0, first.stdout))

    def test_flags_win_over_the_file(self):
        path = self.config("shards = 2\nvolume = a=1GiB\nvolume=b=1GiB\n# grace-s = 5\ngrace-s=7\n")
        text = netstord("--config", path, "--volume", "c=2GiB", "--shards", "4", "--print-config").stdout
        values = re.findall(r"^(volume|shards|grace-s) = (.*)$", text, re.MULTILINE)
        self.assertEqual(sorted(values), [("grace-s", '"7"'), ("shards", '"4"'), ("volume", '"c=2GiB"')])

    def test_what_is_wrong_is_said_with_its_line(self):
        self.refused("\nlisten = 0.0.0.0\nshrads = 2\n", "line 3", "'shrads'", "did you mean 'shards'?")
        self.refused("xyzzy = 2\n", "line 1", "'xyzzy'", "--print-config")
        self.refused("[section]\n", "line 1", "KEY = VALUE")
        self.refused("shards = 2\nshards = 3\n", "line 2", "already")
        self.refused("json = yes\n", "line 1", "true or false")
        self.refused('state = "open\n', "line 1", "quote")
        self.refused("config = other\n", "line 1", "'config'")

    def test_values_are_judged_as_on_the_command_line(self):
        for text, word in (("shards = 999\n", "shards"), ("volume = a\n", "NAME=SIZE"),
                           ("listen = a:99999\n", "listen"), ("log-level = loud\n", "log-level")):
            with self.subTest(text):
                answer = netstord("--config", self.config(text), "--state", self.folder / "s")
                self.assertEqual(answer.returncode, 2, answer.stderr)
                self.assertIn(word, answer.stderr)
        self.assertEqual(netstord("--config", self.folder / "none").returncode, 2)


class Served(tool_support.Case):
    """A server that is told by a file, and tells a socket."""

    def serve(self, text, *options, **env):
        self.conf = self.folder / "netstord.conf"
        self.conf.write_text(text)
        self.log = self.folder / "log"
        path = self.folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(str(path))
        self.socket.settimeout(READY_SECONDS)
        ports = self.folder / "ports"
        with open(self.log, "wb") as output:
            self.child = subprocess.Popen(
                [OPTIONS.netstord, "--config", str(self.conf), "--state", str(self.folder / "state"),
                 "--listen", "127.0.0.1:0", "--port-file", str(ports), *map(str, options)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output,
                env={**os.environ, "NOTIFY_SOCKET": str(path), **env})
        self.addCleanup(self.child.wait, 60)
        self.addCleanup(self.child.kill)
        self.assertIn("READY=1", self.told())
        self.ports = list(map(int, ports.read_text().split()))

    def told(self):
        try:
            return self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            self.fail("nothing was told: " + self.log.read_text())

    def reload(self):
        """What the log says of it."""
        before = len(self.log.read_text())
        self.child.send_signal(signal.SIGHUP)
        told = self.told()
        self.assertIn("RELOADING=1", told)
        self.assertTrue(any(re.fullmatch(r"MONOTONIC_USEC=\d+", each) for each in told), told)
        self.assertIn("READY=1", self.told())
        return self.log.read_text()[before:]


class Running(Served):
    def test_the_service_manager_hears_of_start_reload_and_stop(self):
        self.serve("shards = 1\n")
        self.reload()
        self.child.send_signal(signal.SIGTERM)
        self.assertIn("STOPPING=1", self.told())
        self.assertEqual(self.child.wait(60), 0, self.log.read_text())

    def test_a_reload_takes_what_it_can_and_names_the_rest(self):
        self.serve("shards = 1\nlog-level = info\n", "--metrics-listen", "127.0.0.1:0")
        self.conf.write_text("shards = 2\nlog-level = info\nslow-ms = 5\nvolume = new=1MiB\n")
        said = self.reload()
        self.assertIn("needs a restart: shards, volume", said)
        self.assertNotIn("slow-ms", said)
        self.assertEqual(self.reloads()[:3], [0, 1, 0], "not all of it is in force")
        self.conf.write_text("shards = 1\nlog-level = error\n")
        self.assertEqual(self.reload(), "")
        self.assertEqual(self.reloads()[:3], [1, 1, 1])

    def test_a_shard_that_is_stuck_does_not_keep_it_from_signals(self):
        self.serve("shards = 2\n")
        with stuck_thread.stuck(self, self.child.pid, "netstor-1"):
            said = self.reload()
            self.assertIn("a shard does not answer", said)
            self.assertNotIn("reread log level", said)
            self.assertIn("nothing was changed", self.reload())
            self.child.send_signal(signal.SIGTERM)
            self.assertIn("STOPPING=1", self.told())
        self.assertEqual(self.child.wait(60), 0, self.log.read_text())
        self.assertIn("reread log level", self.log.read_text())

    def test_a_broken_file_changes_nothing(self):
        self.serve("shards = 1\nlog-level = warning\n")
        self.conf.write_text("shards = 1\nlog-level = info\nlog-levle = info\n")
        said = self.reload()
        self.assertIn("nothing was changed", said)
        self.assertIn("did you mean 'log-level'?", said)
        self.conf.unlink()
        self.assertIn("nothing was changed", self.reload())
        self.assertNotIn(" info: ", self.log.read_text())

    def reloads(self):
        """What /metrics says of them: in force, failed, whether the last one is, when it was."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[-1]}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(r"^netstor_reload\w*(?:{outcome=\"\w+\"})? (\S+)$", text, re.MULTILINE)
        return [float(each) for each in found]

    def test_reloads_are_counted_by_their_outcome(self):
        self.serve("shards = 2\n", "--metrics-listen", "127.0.0.1:0")
        self.assertEqual(self.reloads(), [0, 0, 1, 0])
        before = time.time()
        self.reload()
        *counts, when = self.reloads()
        self.assertEqual(counts, [1, 0, 1])
        self.assertTrue(before - 1 <= when <= time.time() + 1, when)
        self.conf.write_text("shrads = 2\n")
        self.reload()
        self.assertEqual(self.reloads()[:3], [1, 1, 0])
        self.conf.write_text("shards = 2\n")
        self.reload()
        self.assertEqual(self.reloads()[:3], [2, 1, 1])
        with stuck_thread.stuck(self, self.child.pid, "netstor-1"):
            self.reload()
            self.reload()
            self.assertEqual(self.reloads()[:3], [2, 2, 0])
        limit = time.monotonic() + READY_SECONDS
        while self.reloads()[0] != 3:
            self.assertLess(time.monotonic(), limit, "the one that waited for the shard never ended")
            time.sleep(0.02)
        # Nothing of the last one, which found the one before under way, is in force.
        self.assertEqual(self.reloads()[:3], [3, 2, 0])

    @unittest.skipIf(shutil.which("openssl") is None, "no openssl")
    def test_a_new_certificate_serves_connections_that_come(self):
        def certificate(name):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout",
                            str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")],
                           check=True, capture_output=True, timeout=60)
            return (self.folder / "cert.pem").read_text().strip()

        def served():
            return ssl.get_server_certificate(("127.0.0.1", self.ports[1])).strip()
        first = certificate("first")
        self.serve("s3-listen = 127.0.0.1:0\n", "--s3-cert", self.folder / "cert.pem", "--s3-key",
                   self.folder / "key.pem")
        self.assertEqual(served(), first)
        second = certificate("second")
        self.assertEqual(served(), first)
        self.reload()
        self.assertEqual(served(), second)
        (self.folder / "key.pem").write_text("broken")
        self.assertIn("nothing was changed", self.reload())
        self.assertEqual(served(), second)


class KeyFiles(Served):
    """Files of keys that are read again while others are served."""

    def secret(self, name, text):
        path = self.file(name, text.encode())
        path.chmod(0o600)
        return path

    def may(self, yes, *words, **env):
        answer = tool_support.call(OPTIONS.tool, *words, env=env)
        self.assertEqual(answer.code == 0, yes, answer.err + answer.out)
        return answer

    def volume(self):
        return f"nvme+tcp://127.0.0.1:{self.ports[0]}/nqn.2026-01.io.netstor:v"

    def test_a_host_without_its_line_is_shut_out(self):
        old, new = (admin_support.dhchap_secret(seed) for seed in (1, 2))
        keys = self.secret("hosts", f"{admin_support.HOST} {old}\n{admin_support.OTHER} {old}\n")
        self.serve("volume = v=1MiB,store=memory\n", "--host-keys", keys)
        files = {"old": self.secret("old", old), "new": self.secret("new", new)}

        def comes(yes, host, file):
            self.may(yes, "info", self.volume(), "--host-nqn", host, "--host-secret", files[file])
        comes(True, admin_support.HOST, "old")
        comes(True, admin_support.OTHER, "old")
        self.secret("hosts", f"{admin_support.HOST} {new}\n")
        self.assertIn("files of keys", self.reload())
        comes(False, admin_support.HOST, "old")
        comes(True, admin_support.HOST, "new")
        comes(False, admin_support.OTHER, "old")
        # Nothing of a file that is broken, that everybody may read or that names nobody: the door stays shut.
        for text, mode in ((f"{admin_support.OTHER} {old}\nbroken\n", 0o600), ("# nobody\n", 0o600),
                           (f"{admin_support.OTHER} {old}\n", 0o644)):
            self.secret("hosts", text).chmod(mode)
            self.assertIn("nothing was changed", self.reload())
            comes(False, admin_support.OTHER, "old")
            comes(True, admin_support.HOST, "new")

    def test_credentials_of_systemd_are_taken_as_it_hands_them_over(self):
        folder = self.folder / "credentials"
        folder.mkdir()
        secret = admin_support.dhchap_secret(1)
        keys = folder / "hosts"

        def line(mode):
            keys.unlink(missing_ok=True)
            keys.write_text(f"{admin_support.HOST} {secret}\n")
            keys.chmod(mode)
        line(0o440)
        refused = netstord("--host-keys", keys, "--state", self.folder / "state", "--listen", "127.0.0.1:0")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("chmod 600", refused.stderr)
        self.serve("volume = v=1MiB,store=memory\n", "--host-keys", keys, CREDENTIALS_DIRECTORY=str(folder))
        self.may(True, "info", self.volume(), "--host-nqn", admin_support.HOST, "--host-secret",
                 self.secret("secret", secret))
        self.assertIn("files of keys", self.reload())
        line(0o444)
        self.assertIn("chmod 600", self.reload())

    def test_keys_of_files_have_an_end(self):
        secret, key = admin_support.dhchap_secret(1), tls_keys.interchange(b"a" * 32, 1)
        past, future = "until=2001-01-01T00:00:00Z", "until=2099-01-01T00:00:00Z"
        hosts = self.secret("hosts", f"{admin_support.HOST} {secret} {future}\n")
        tls = self.secret("tls", f"{admin_support.HOST} {key} {future}\n")
        self.serve("volume = v=1MiB,store=memory\n", "--host-keys", hosts, "--tls-keys", tls)
        words = ("--host-nqn", admin_support.HOST, "--host-secret", self.secret("secret", secret),
                 "--tls-key", self.secret("key", key))
        self.may(True, "info", self.volume(), *words)
        for file, text in (("hosts", secret), ("tls", key)):
            before = (self.folder / file).read_text()
            self.secret(file, f"{admin_support.HOST} {past} {text}\n")
            self.assertIn("nothing was changed", self.reload())
            self.secret(file, f"{admin_support.HOST} {text} {past}\n")
            self.reload()
            self.may(False, "info", self.volume(), *words)
            self.secret(file, before)
            self.reload()
            self.may(True, "info", self.volume(), *words)

    def test_a_tls_key_that_was_taken_out_opens_nothing(self):
        keys = {name: tls_keys.interchange(name.encode() * 32, 1) for name in "ab"}
        files = {name: self.secret(name, key) for name, key in keys.items()}
        path = self.secret("tls", f"{admin_support.HOST} {keys['a']}\n{admin_support.OTHER} {keys['b']}\n")
        self.serve("volume = v=1MiB,store=memory\n", "--tls-keys", path)

        def comes(yes, host, name):
            self.may(yes, "info", self.volume(), "--host-nqn", host, "--tls-key", files[name])
        comes(True, admin_support.HOST, "a")
        self.secret("tls", f"{admin_support.OTHER} {keys['b']}\n")
        self.reload()
        comes(False, admin_support.HOST, "a")
        comes(True, admin_support.OTHER, "b")

    def connect(self, version, key, meanwhile):
        """The status of a Connect over TLS, with `meanwhile` between it and the handshake."""
        identity, psk = tls_keys.derive(key, 1, admin_support.HOST, NVME_NQN, version)
        with tool_support.openssl("s_client", "-quiet", "-tls1_3", "-connect", f"127.0.0.1:{self.ports[0]}",
                                  "-psk_identity", identity, "-psk", psk) as child:
            child.stdin.write(tls_keys.ICREQ)
            child.stdin.flush()
            self.assertEqual(child.stdout.read(128)[:1], b"\1", "no ICResp")
            meanwhile()
            child.stdin.write(connect_capsule(admin_support.HOST, NVME_NQN))
            child.stdin.flush()
            answer = child.stdout.read(24)
            self.assertEqual(answer[:1], b"\5", "no capsule")
            return struct.unpack_from("<H", answer, 22)[0] >> 1 & 0x7FF

    @unittest.skipIf(shutil.which("openssl") is None, "no openssl")
    def test_a_tls_key_has_to_hold_when_the_host_connects(self):
        first, second = b"a" * 32, b"b" * 32
        good, invalid_host = 0, 0x184

        def have(line, end=""):
            self.secret("tls", line + end + f"{admin_support.OTHER} {tls_keys.interchange(second, 1)}\n")
            if self.child is not None:
                self.reload()
        line = f"{admin_support.HOST} {tls_keys.interchange(first, 1)}"
        self.child = None
        have(line, "\n")
        self.serve("volume = v=1MiB,store=memory\n", "--tls-keys", self.folder / "tls")
        for version in (0, 1):
            with self.subTest(version=version):
                self.assertEqual(self.connect(version, first, lambda: have(line, "\n")), good)
                for name, meanwhile in (
                        ("removed", lambda: have("")),
                        ("expired", lambda: have(line, " until=2001-01-01T00:00:00Z\n")),
                        ("replaced", lambda: have(line.replace(tls_keys.interchange(first, 1),
                                                               tls_keys.interchange(second, 1)), "\n"))):
                    with self.subTest(name):
                        self.assertEqual(self.connect(version, first, meanwhile), invalid_host)
                    have(line, "\n")

    def test_an_access_key_that_was_taken_out_signs_nothing(self):
        def section(name):
            return (f"[{name}]\naws_access_key_id = NSTR{name}\naws_secret_access_key = {name * 20}\n"
                    "netstor_allow = rwl:*\n")
        clients = {name: self.secret(name, section(name)) for name in "ab"}
        path = self.secret("s3", section("a") + section("b"))
        self.serve("s3-listen = 127.0.0.1:0\nbucket = photos\n", "--s3-keys", path)

        def comes(yes, name):
            return self.may(yes, "ls", "s3://photos", "--endpoint-url", f"http://127.0.0.1:{self.ports[1]}",
                            AWS_SHARED_CREDENTIALS_FILE=str(clients[name]), AWS_PROFILE=name)
        comes(True, "a")
        comes(True, "b")
        self.secret("s3", section("b"))
        self.reload()
        self.assertIn("InvalidAccessKeyId", comes(False, "a").err)
        comes(True, "b")


class Unit(tool_support.Case):
    def test_systemd_understands_the_unit(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("no systemd-analyze")
        folder = pathlib.Path(OPTIONS.netstord).parent
        unit = self.file("netstord.service", re.sub(
            rb"^ExecStart=\S+", b"ExecStart=" + str(pathlib.Path(OPTIONS.netstord).resolve()).encode(),
            (folder / "netstord.service").read_bytes(), flags=re.MULTILINE))
        checked = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True,
                                 text=True, timeout=60, check=False)
        self.assertNotIn("netstord.service", checked.stderr)
        scored = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(scored.returncode, 0, scored.stdout + scored.stderr)


if __name__ == "__main__":
    if not OPTIONS.netstord:
        print("SKIP: this build has no netstord")
        sys.exit(77)
    tool_support.run_tests("__main__", REST)
