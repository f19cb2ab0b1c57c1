# SPDX-License-Identifier: Apache-2.0
"""A local NVMe disk, emulated by QEMU, used by the library as file:///dev/nvme0n1."""
import json
import os

import lab
from lab import MIB, call, long_test

PEER = lab.Peer("NVMe disk of QEMU's", "disk", modules=("nvme",), nvme_disk_mib=256)


class Disk(lab.Case):
    def setUp(self):
        super().setUp()
        self.disk = lab.wait_for("the emulated disk is there", self._emulated)

    @staticmethod
    def _emulated():
        for name in sorted(os.listdir("/sys/class/nvme")):
            controller = lab.Controller(name)
            if controller.get("serial").startswith("netstor0") and controller.get("transport") == "pcie":
                return next(iter(controller.namespaces().values()), None)
        return None

    def test_is_described(self):
        """netstor info: size and block"""
        about = json.loads(call(lab.programs()[1], "info", f"file://{self.disk}", "--json").out)
        self.assertEqual((about["size_bytes"], about["block_bytes"]), (256 * MIB, 512))

    def _copied(self, driver):
        source, back = self.folder / "source", self.folder / "back"
        lab.random_file(source, 8 * MIB, seed=len(driver))
        tool = lab.programs()[1]
        call(tool, "cp", source, f"file://{self.disk}", "--verify", "--driver", driver)
        self.same(source, self.disk, 8 * MIB)
        call(tool, "cp", f"file://{self.disk}", back, "--length", 8 * MIB, "--driver", driver)
        self.same(source, back)

    def _hammered(self, driver):
        answer = call(os.environ["NETSTOR_HAMMER"], f"file://{self.disk}", "seconds=3", f"driver={driver}")
        result = json.loads(answer.out.splitlines()[-1])
        self.assertEqual((result["wrong"], result["errors"]), (0, {}), answer)
        for verb in ("read", "write", "write_fua", "flush"):
            self.assertGreater(result["done"][verb], 20, result)

    @long_test
    def test_copies_by_uring(self):
        """cp there and back on io_uring"""
        self._copied("uring")

    def test_copies_by_posix(self):
        """cp there and back on threads"""
        self._copied("posix")

    def test_hammered_by_uring(self):
        """all verbs at random on io_uring"""
        self._hammered("uring")

    @long_test
    def test_hammered_by_posix(self):
        """all verbs at random on threads"""
        self._hammered("posix")
