#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVMe/TCP over TLS against OpenSSL's own programs, which know keys and nothing of NVMe: s_client brings an
ICReq to netstord, s_server hears the one of netstor."""
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import unittest

import tool_support as support
from tls_keys import ICREQ, derive, interchange
from tool_support import NQN, Case, call

HOST = "nqn.2026-01.org.example:host"
SUBSYSTEM = f"{NQN}:a"
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
PROGRAMS = None  # set by main


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class OpenSsl(Case):
    KEY = bytes(range(32))

    def secret(self, name, text):
        path = self.file(name, text.encode())
        path.chmod(0o600)
        return path

    def client(self, port, identity, key, said=ICREQ):
        """What a server answers to `said`, by s_client."""
        words = ["s_client", "-quiet", "-tls1_3", "-connect", f"127.0.0.1:{port}"]
        if identity is not None:
            words += ["-psk_identity", identity, "-psk", key]
        with support.openssl(*words, stderr=subprocess.PIPE) as child:
            answer = b""
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(said)
                child.stdin.flush()
                answer = os.read(child.stdout.fileno(), 128)
            if answer:
                child.kill()  # it would wait for the server, which waits for a Connect
            child.wait()
            return answer, child.stderr.read().decode("utf-8", "replace")

    def serve(self, *more):
        keys = self.secret("tls-keys", f"{HOST} {interchange(self.KEY, 1)}\n")
        return support.netstord(PROGRAMS.netstord, self.folder, ["a=1MiB,store=memory"],
                                more=["--tls-keys", str(keys), *more])

    def test_client_is_let_in_by_both_identities(self):
        with self.serve() as uri:
            port = int(uri.rpartition(":")[2])
            for version in (0, 1):
                for subsystem in (SUBSYSTEM, DISCOVERY):
                    identity, key = derive(self.KEY, 1, HOST, subsystem, version)
                    answer, error = self.client(port, identity, key)
                    self.assertEqual(answer[:1], b"\1", f"no ICResp: {error}")

    def test_client_is_kept_out(self):
        with self.serve() as uri:
            port = int(uri.rpartition(":")[2])
            identity, key = derive(self.KEY, 1, HOST, SUBSYSTEM)
            wrong = derive(bytes(32), 1, HOST, SUBSYSTEM)[1]
            alerts = set()
            for name, tried in ((identity, wrong), (identity.replace("host ", "other "), key),
                                (identity.replace(":a ", ":b "), key), ("Client_identity", key)):
                answer, error = self.client(port, name, tried)
                self.assertEqual(answer, b"")
                alerts.update(line.split(":")[5] for line in error.splitlines() if "alert" in line)
            self.assertEqual(len(alerts), 1, alerts)
            answer, error = self.client(port, None, None)
            self.assertEqual(answer, b"", "let in without a key")
            self.assertIn("handshake failure", error)

    def test_server_hears_the_host(self):
        for number, suite in ((1, "TLS_AES_128_GCM_SHA256"), (2, "TLS_AES_256_GCM_SHA384")):
            with self.subTest(suite=suite):
                self.hears(number, suite)

    def hears(self, number, suite):
        secret = bytes(range(32 if number == 1 else 48))
        identity, key = derive(secret, number, HOST, SUBSYSTEM)
        port = free_port()
        words = ["s_server", "-quiet", "-tls1_3", "-nocert", "-naccept", "1", "-accept",
                 f"127.0.0.1:{port}", "-psk_identity", identity, "-ciphersuites", suite]
        if number == 1:
            words += ["-psk", key]
        else:
            # -psk is for SHA-256 alone; a session says its cipher.
            words += ["-psk_session", str(self.session(key))]
        with support.openssl(*words, stderr=subprocess.STDOUT) as child:
            support.wait_until_listens(port)
            key_file = self.secret(f"key{number}", interchange(secret, number))
            answer = []
            host = threading.Thread(target=lambda: answer.append(call(
                PROGRAMS.tool, "info", f"nvme+tcp://127.0.0.1:{port}/{SUBSYSTEM}", "--host-nqn", HOST,
                "--tls-key", key_file, "--timeout", "30")))
            host.start()
            heard = b""
            while ICREQ[:8] not in heard:
                part = os.read(child.stdout.fileno(), 4096)
                if not part:
                    break
                heard += part
            child.kill()
            host.join()
            self.assertIn(ICREQ[:8], heard, answer[0].err)
            self.assertNotIn("NVMeTLSkey", answer[0].err + answer[0].out)

    def session(self, key):
        """A session with this key in it, in the form of OpenSSL's files (SSL_SESSION_ASN1)."""
        def tlv(tag, value):
            size = len(value)
            return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x81, size])) + value
        body = tlv(2, b"\1") + tlv(2, b"\3\4") + tlv(4, b"\x13\x02")
        body += tlv(4, b"") + tlv(4, bytes.fromhex(key)) + tlv(0xA4, tlv(4, b""))
        text = base64.encodebytes(tlv(0x30, body)).decode()
        return self.file("session", f"-----BEGIN SSL SESSION PARAMETERS-----\n{text}"
                                    "-----END SSL SESSION PARAMETERS-----\n".encode())


if __name__ == "__main__":
    PROGRAMS, rest = support.arguments()
    if shutil.which("openssl") is None:
        print("SKIP: no openssl (Debian: openssl)")
        sys.exit(77)
    unittest.main(argv=["test", "-v", *rest])
