# SPDX-License-Identifier: Apache-2.0
"""netstor's initiator on the host against the Linux kernel's target in the virtual machine, across QEMU's
network."""
import json
import os

import lab
from kernel_target import SUBSYSTEM, TargetCase
from lab import MIB, OnHost, call, long_test

PEER = lab.Peer("Linux target, from outside", "kernel", modules=("nvmet-tcp",), host_hands=True)


class Inside(TargetCase):
    def setUp(self):
        super().setUp()
        self.reach = f"nvme+tcp://127.0.0.1:{os.environ['NETSTOR_INSIDE']}"
        self.uri = f"{self.reach}/{SUBSYSTEM}"
        self.backing = self.disk()
        self.inner = self.target(address="10.0.2.15")
        self.inner.subsystem(SUBSYSTEM, self.backing)

    def on_host(self, *words):
        return OnHost(*words).finish()

    def test_found_from_outside(self):
        """netstor discover and info on the host"""
        self.assertIn(f'"{SUBSYSTEM}"', self.on_host(self.tool, "discover", self.reach, "--json").out)
        about = json.loads(self.on_host(self.tool, "info", self.uri, "--json").out)
        self.assertEqual((about["size_bytes"], about["block_bytes"]), (64 * MIB, 512))

    def test_data_from_outside(self):
        """cp there and back, with and without digests, compared on the kernel's side"""
        source, back = OnHost.folder() / "source", OnHost.folder() / "back"
        for seed, options in enumerate(((), ("--digests",))):
            lab.random_file(source, 3 * MIB, seed)
            self.on_host(self.tool, "cp", source, self.uri, "--verify", *options)
            call("blockdev", "--flushbufs", self.backing)
            self.same(source, self.backing, 3 * MIB)
            self.on_host(self.tool, "cp", self.uri, back, "--length", 3 * MIB, "--force", *options)
            self.same(source, back)

    def _judge(self, answer):
        result = json.loads(answer.out.splitlines()[-1])
        self.assertEqual(result["wrong"], 0, answer)
        return result

    @long_test
    def test_load_from_outside(self):
        """everything at random from four shards, with digests"""
        answer = self.on_host(os.environ["NETSTOR_HAMMER"], self.uri, "seconds=5", "shards=4",
                              "header_digest=1", "data_digest=1")
        result = self._judge(answer)
        self.assertEqual(result["errors"], {}, answer)
        self.assertGreater(result["done"]["read"], 50, answer)

    @long_test
    def test_target_gone_and_back_from_outside(self):
        """the target goes under I/O and comes back"""
        load = OnHost(os.environ["NETSTOR_HAMMER"], self.uri, "seconds=5", "reconnects=1")
        lab.wait_for("the host has connected", lambda: int(call("ss", "-Htn", "state", "established", "sport",
                                                                "=", ":4420").out.count("\n")) >= 3)
        lab.time.sleep(1)
        self.inner.hide(SUBSYSTEM)
        lab.time.sleep(1)
        self.inner.show(SUBSYSTEM)
        answer = load.finish(90)
        result = self._judge(answer)
        self.assertGreaterEqual(result["reconnects"], 1, answer)
        self.assertLessEqual(set(result["errors"]), {"disconnected"}, answer)
