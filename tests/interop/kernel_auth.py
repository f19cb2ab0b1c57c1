# SPDX-License-Identifier: Apache-2.0
"""In-band authentication (DH-HMAC-CHAP) between netstor and the Linux kernel, both directions."""
import os
import pathlib

import lab
from lab import MIB, NQN, call, long_test, nvme

PEER = lab.Peer("Linux authentication", "auth", modules=("nvme-tcp", "nvmet-tcp"))
SUBSYSTEM = "nqn.2026-01.io.netstor:guarded"
HOST = lab.HOST_NQN


def secret(hash_id=1, size=32, nqn=HOST):
    """A new one, from the kernel's own tools; hash_id 0: used as it is."""
    return nvme("gen-dhchap-key", f"--hmac={hash_id}", f"--key-length={size}", f"--nqn={nqn}").out.strip()


class Initiator(lab.Case):
    """The kernel's host, and netstord with keys."""
    address, transport = "127.0.0.1", "tcp"
    expects = (r"authentication failed|authentication setup failed|failed to connect queue",)

    def setUp(self):
        super().setUp()
        # /dev/nvme-fabrics names dhchap_secret in kernels, too, that then refuse it.
        if "nvme_auth_negotiate" not in pathlib.Path("/proc/kallsyms").read_text():
            self.skipTest("this kernel is built without NVME_AUTH (Debian has it from 6.12 on)")

    def guarded(self, *secrets):
        keys = self.folder / "host-keys"
        keys.write_text(f"{HOST} {' '.join(secrets)}\n")
        keys.chmod(0o600)
        return self.server("a=16MiB,store=memory", options=["--host-keys", str(keys)], listen=self.address,
                           transport=self.transport)

    def reach(self, server):
        return [*lab.reach(server.port, self.address, self.transport), "-n", f"{NQN}:a"]

    def kernel_volume(self, server, *options):
        return self.connect(server.port, f"{NQN}:a", *options, address=self.address, transport=self.transport)

    def let_in(self, hash_id, size):
        key = secret(hash_id, size)
        server = self.guarded(key)
        controller = self.kernel_volume(server, f"--dhchap-secret={key}", "-i", "2")
        self.write_and_compare(controller.disk, MIB, seed=hash_id)
        controller.disconnect()
        server.stop()  # the next one has the same state

    def test_is_let_in(self):
        """the kernel proves who it is, on every queue, and reads what it wrote"""
        self.let_in(1, 32)

    @long_test
    def test_is_let_in_by_each_secret(self):
        """secrets used as they are, and bound by each hash"""
        for hash_id, size in ((0, 32), (2, 48), (3, 64)):
            with self.subTest(hash=hash_id):
                self.let_in(hash_id, size)

    def test_examines_the_server(self):
        """mutual: the kernel believes the right subsystem, and no other"""
        key, own = secret(), secret(nqn=f"{NQN}:a")
        server = self.guarded(key, own)
        controller = self.kernel_volume(server, f"--dhchap-secret={key}", f"--dhchap-ctrl-secret={own}")
        self.write_and_compare(controller.disk, MIB)
        controller.disconnect()
        nvme("connect", *self.reach(server), f"--dhchap-secret={key}",
             f"--dhchap-ctrl-secret={secret(nqn=f'{NQN}:a')}", ok=False)

    def test_is_kept_out(self):
        """a wrong secret, and none"""
        server = self.guarded(secret())
        words = ["connect", *self.reach(server)]
        nvme(*words, f"--dhchap-secret={secret()}", ok=False)
        nvme(*words, ok=False)
        self.assertIn("did not authenticate", server.log())
        self.no_leftovers()


class Target(lab.Case):
    """netstor's host, and the kernel's target with keys."""
    address, transport = "127.0.0.1", "tcp"
    expects = (r"ctrl \d+ (qid \d+|fatal error)",)

    def setUp(self):
        super().setUp()
        self.tool = lab.programs()[1]
        self.host = lab.NVMET / "hosts" / HOST
        self.host.mkdir(exist_ok=True)
        self.addCleanup(self.host.rmdir)
        if not (self.host / "dhchap_key").exists():
            self.skipTest("this kernel is built without NVME_TARGET_AUTH (Debian has it from 6.12 on)")

    def guarded(self, **attributes):
        for name, value in attributes.items():
            lab.write_text(self.host / name, value)
        target = lab.KernelTarget(address=self.address, transport=self.transport)
        self.addCleanup(target.remove)
        device, folder = lab.ram_disk()
        self.addCleanup(os.rmdir, folder)
        uri = target.subsystem(SUBSYSTEM, device, attr_allow_any_host=0)
        target.allow(SUBSYSTEM, HOST)
        return target, uri

    def key_file(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def round_trip(self, uri, *options):
        source, back = self.folder / "source", self.folder / "back"
        lab.random_file(source, MIB)
        call(self.tool, "cp", source, uri, "--force", "--host-nqn", HOST, *options)
        call(self.tool, "cp", uri, back, "--length", MIB, "--force", "--host-nqn", HOST, *options)
        self.same(source, back)

    def lets_in(self, group, hash_id):
        key = secret(hash_id, {1: 32, 2: 48, 3: 64}[hash_id])
        hash_name = {1: "sha256", 2: "sha384", 3: "sha512"}[hash_id]
        target, uri = self.guarded(dhchap_key=key, dhchap_hash=f"hmac({hash_name})", dhchap_dhgroup=group)
        self.round_trip(uri, "--host-secret", self.key_file("key", key))
        # The next of its kind takes the same port.
        target.remove()
        self._cleanups = [entry for entry in self._cleanups if entry[0] != target.remove]

    def test_lets_in(self):
        """without a group and with one"""
        self.lets_in("null", 1)
        self.lets_in("ffdhe2048", 3)

    @long_test
    def test_lets_in_by_all_means(self):
        """each hash with the groups null, ffdhe2048, ffdhe4096, ffdhe8192"""
        for group in ("null", "ffdhe2048", "ffdhe4096", "ffdhe8192"):
            for hash_id in (1, 2, 3):
                with self.subTest(group=group, hash=hash_id):
                    self.lets_in(group, hash_id)

    def test_proves_itself(self):
        """mutual: the kernel's target is believed by its own secret alone"""
        key, own = secret(), secret(nqn=SUBSYSTEM)
        _, uri = self.guarded(dhchap_key=key, dhchap_ctrl_key=own, dhchap_dhgroup="ffdhe2048")
        files = ["--host-secret", self.key_file("key", key), "--controller-secret"]
        self.round_trip(uri, *files, self.key_file("own", own))
        answer = call(self.tool, "info", uri, "--host-nqn", HOST, *files,
                      self.key_file("other", secret(nqn=SUBSYSTEM)), ok=False)
        self.assertIn("the controller was not believed", answer.err)

    def test_keeps_out(self):
        """a wrong secret, and none: permission denied, with what to do"""
        _, uri = self.guarded(dhchap_key=secret())
        wrong = self.key_file("wrong", secret())
        answer = call(self.tool, "info", uri, "--host-nqn", HOST, "--host-secret", wrong, ok=False)
        # nvmet breaks off right behind its refusal, which then may not have left.
        self.assertRegex(answer.err, "authentication: (the controller refused host|no verdict on host)")
        self.assertIn("has the server this --host-secret", answer.err)
        answer = call(self.tool, "info", uri, "--host-nqn", HOST, ok=False)
        self.assertIn("--host-secret is empty", answer.err)
