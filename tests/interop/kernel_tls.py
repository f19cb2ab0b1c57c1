# SPDX-License-Identifier: Apache-2.0
"""NVMe/TCP over TLS between netstor and the Linux kernel, both directions. The kernel leaves the handshake to
a program, tlshd, which Debian 12 does not have: Debian 13's lives in a folder of its own, with its libraries.
It takes keys from the kernel's keyring .nvme, where they are put as the specification derives them, and once
as that Debian's own `nvme` does."""
import json
import os
import pathlib
import re
import subprocess
import sys

import lab
from lab import MIB, NQN, call, long_test, nvme

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from tls_keys import derive, interchange  # noqa: E402

PACKAGES = ("ktls-utils nvme-cli keyutils libatomic1 libblkid1 libc6 libffi8 libglib2.0-0t64 libgmp10 "
            "libgnutls30t64 libhogweed6t64 libidn2-0 libjson-c5 libkeyutils1 libmount1 libnettle8t64 "
            "libnl-3-200 libnl-genl-3-200 libnvme1t64 libp11-kit0 libpcre2-8-0 libselinux1 libssl3t64 "
            "libtasn1-6 libunistring5 libzstd1 zlib1g").split()
PEER = lab.Peer("Linux over TLS", "tls", modules=("nvme-tcp", "nvmet-tcp", "tls"),
                programs={"name": "debian13-tls", "lines": ["http://deb.debian.org/debian trixie main"],
                          "packages": PACKAGES})
SUBSYSTEM = "nqn.2026-01.io.netstor:encrypted"
HOST = lab.HOST_NQN
KEY = bytes(range(32))


def inside(*words, **more):
    """A program of the folder's, with the folder as its world."""
    return call("chroot", os.environ["NETSTOR_PROGRAMS"], *words, **more)


class Tls(lab.Case):
    expects = (r"failed to connect|TLS handshake failed|queue \d+: (TLS|failed)|ctrl \d+",)

    def setUp(self):
        super().setUp()
        known = re.split(r"[,\s]", pathlib.Path("/dev/nvme-fabrics").read_text())
        if "tls" not in known:
            self.skipTest("this kernel is built without NVME_TCP_TLS (Debian has it from 6.12 on)")
        if "NETSTOR_PROGRAMS" not in os.environ:
            self.skipTest(os.environ["NETSTOR_NO_PROGRAMS"])
        lab.write_text("/sys/module/nvme_tcp/parameters/tls_handshake_timeout", 60)
        world = pathlib.Path(os.environ["NETSTOR_PROGRAMS"])
        for name in ("proc", "sys", "dev"):
            (world / name).mkdir(exist_ok=True)
            call("mount", "--rbind", f"/{name}", world / name)
            self.addCleanup(call, "umount", "-l", world / name)
        (world / "etc/tlshd.conf").write_text("[debug]\nloglevel=1\ntls=0\nnl=0\n[authenticate]\n")
        self.daemon_log = self.folder / "tlshd.log"
        with open(self.daemon_log, "wb") as log:
            daemon = subprocess.Popen(["chroot", str(world), "/usr/sbin/tlshd", "-s"],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                      preexec_fn=lab.die_with_parent)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        self.addCleanup(self.forget_keys)

    def add_key(self, identity, key_hex):
        """Into the kernel's keyring, for hosts and targets both."""
        words = ["chroot", os.environ["NETSTOR_PROGRAMS"], "/usr/bin/keyctl", "padd", "psk", identity,
                 "%:.nvme"]
        done = subprocess.run(words, input=bytes.fromhex(key_hex), capture_output=True, check=False,
                              timeout=60)
        if done.returncode != 0:
            raise lab.Failed(f"{words}: {done.stderr}")

    def forget_keys(self):
        inside("/usr/bin/keyctl", "clear", "%:.nvme", ok=None)

    def key_file(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def said(self):
        return self.daemon_log.read_text(errors="replace")


class Initiator(Tls):
    """The kernel's host, and netstord with keys."""

    def encrypted(self, number=1, *words, key=KEY, more=()):
        keys = self.key_file("tls-keys", " ".join([HOST, interchange(key, number), *words]))
        return self.server("a=16MiB,store=memory", options=["--tls-keys", keys, *more])

    def connect(self, port, nqn, *options, **more):
        # Debian 12's nvme does not know of TLS.
        # What is loaded for the first handshake takes an emulated machine longer than a keep alive.
        answer = inside("/usr/sbin/nvme", "connect", *lab.reach(port, "127.0.0.1"), "-n", nqn, "-o", "json",
                        "-k", "60", "--tls", *options, limit_s=90, **more)
        if answer.code != 0:
            return None
        controller = lab.Controller(json.loads(answer.out)["device"])
        self.addCleanup(lambda: controller.there() and controller.disconnect())
        controller.wait_state("live")
        return controller

    def round_trip(self, server, *options):
        try:
            controller = self.connect(server.port, f"{NQN}:a", *options)
        except lab.Failed as why:
            raise lab.Failed(f"{why}\ntlshd: {self.said()}\nnetstord: {server.log()[-1500:]}") from why
        self.write_and_compare(controller.disk, MIB)
        controller.disconnect()

    def test_connects_by_both_identities(self):
        """the kernel's host connects over TLS by the newer and the older identity, and reads what it wrote"""
        for version in (1, 0):
            with self.subTest(version=version):
                self.add_key(*derive(KEY, 1, HOST, f"{NQN}:a", version))
                server = self.encrypted()
                self.round_trip(server, "-i", "2")
                server.stop()
                self.forget_keys()

    def test_connects_by_what_its_own_tools_derive(self):
        """a key that Debian 13's nvme put into the keyring"""
        key = inside("/usr/sbin/nvme", "gen-tls-key", "--hmac=1", f"--hostnqn={HOST}", f"--subsysnqn={NQN}:a",
                     "--insert").out.split()[0]
        keys = self.key_file("tls-keys", f"{HOST} {key} old-libnvme")
        self.round_trip(self.server("a=16MiB,store=memory", options=["--tls-keys", keys]))

    def test_is_kept_out(self):
        """a wrong key, and a host without TLS"""
        self.add_key(*derive(bytes(32), 1, HOST, f"{NQN}:a", 0))
        server = self.encrypted()
        self.connect(server.port, f"{NQN}:a", ok=False)
        self.assertIn("was not let in", server.log(), self.said())
        nvme("connect", *lab.reach(server.port, "127.0.0.1"), "-n", f"{NQN}:a", ok=False, limit_s=90)
        self.no_leftovers()

    @long_test
    def test_authenticates_inside(self):
        """DH-HMAC-CHAP inside of TLS"""
        secret = nvme("gen-dhchap-key", "--hmac=1", f"--nqn={HOST}").out.strip()
        self.add_key(*derive(KEY, 1, HOST, f"{NQN}:a", 0))
        server = self.encrypted(more=["--host-keys", self.key_file("host-keys", f"{HOST} {secret}")])
        self.round_trip(server, f"--dhchap-secret={secret}")


class Target(Tls):
    """netstor's host, and the kernel's target with keys."""

    def setUp(self):
        super().setUp()
        self.tool = lab.programs()[1]

    def encrypted(self):
        target = lab.KernelTarget(addr_treq="required", addr_tsas="tls1.3")
        self.addCleanup(target.remove)
        device, folder = lab.ram_disk()
        self.addCleanup(os.rmdir, folder)
        return target.subsystem(SUBSYSTEM, device)

    def round_trip(self, uri, key_text):
        source, back = self.folder / "source", self.folder / "back"
        lab.random_file(source, MIB)
        options = ["--force", "--host-nqn", HOST, "--tls-key", self.key_file("key", key_text)]
        for words in (["cp", source, uri], ["cp", uri, back, "--length", MIB]):
            answer = call(self.tool, *words, *options, ok=None)
            if answer.code != 0:
                raise lab.Failed(f"{answer}\ntlshd: {self.said()}")
        self.same(source, back)

    def test_lets_in_by_both_identities(self):
        """netstor connects over TLS by the newer and the older identity"""
        uri = self.encrypted()
        for version in (1, 0):
            with self.subTest(version=version):
                self.add_key(*derive(KEY, 1, HOST, SUBSYSTEM, version))
                self.round_trip(uri, interchange(KEY, 1))
                self.forget_keys()

    def test_lets_in_by_what_its_own_tools_derive(self):
        """the target's key by Debian 13's nvme"""
        uri = self.encrypted()
        key = inside("/usr/sbin/nvme", "gen-tls-key", "--hmac=1", f"--hostnqn={HOST}",
                     f"--subsysnqn={SUBSYSTEM}", "--insert").out.split()[0]
        self.round_trip(uri, key)

    def test_keeps_out(self):
        """a wrong key, and none: an error that says so"""
        uri = self.encrypted()
        self.add_key(*derive(KEY, 1, HOST, SUBSYSTEM, 0))
        wrong = self.key_file("wrong", interchange(bytes(32), 1))
        answer = call(self.tool, "info", uri, "--host-nqn", HOST, "--tls-key", wrong, ok=False)
        self.assertIn("TLS", answer.err)
        answer = call(self.tool, "info", uri, "--host-nqn", HOST, "--timeout", "10", ok=False)
        self.assertNotEqual(answer.err, "")
