# SPDX-License-Identifier: Apache-2.0
"""qemu-img: real disk images to a volume and back, through the kernel's device and through files."""
import shutil

import lab
from lab import MIB, call, long_test

PEER = lab.Peer("qemu-img", "tools", modules=("nvme-tcp",))


class Images(lab.Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("qemu-img"):
            self.skipTest("qemu-img is not installed (Debian: qemu-utils)")
        self.tool = lab.programs()[1]

    def image(self):
        """A qcow2 image with a file system and a hole, and the same as raw bytes."""
        raw, qcow2 = self.folder / "raw", self.folder / "image.qcow2"
        raw.touch()
        lab.os.truncate(raw, 24 * MIB)
        call("mkfs.ext4", "-q", "-d", lab.pathlib.Path(__file__).parent, raw)
        call("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, qcow2)
        return raw, qcow2

    @long_test
    def test_to_the_kernels_device_and_back(self):
        """qcow2 to the kernel's device and back, byte for byte"""
        raw, qcow2 = self.image()
        server = self.server("a=24MiB,block=512")
        disk = self.volume(server, "a").disk
        call("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", "-t", "none", qcow2, disk)
        call("blockdev", "--flushbufs", disk)
        self.same(raw, disk, 24 * MIB)
        back = self.folder / "back.qcow2"
        call("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-T", "none", disk, back)
        compared = call("qemu-img", "compare", qcow2, back)
        self.assertIn("identical", compared.out)
        # And our own reader sees the same bytes.
        copied = self.folder / "copied"
        call(self.tool, "cp", f"nvme+tcp://127.0.0.1:{server.port}/{lab.NQN}:a", copied)
        self.same(raw, copied)

    @long_test
    def test_from_our_copy_to_the_kernels_device(self):
        """netstor cp of a raw image; the kernel's device boots its file system"""
        raw, _ = self.image()
        server = self.server("a=24MiB,store=memory")
        call(self.tool, "cp", raw, f"nvme+tcp://127.0.0.1:{server.port}/{lab.NQN}:a", "--sparse", "--verify")
        disk = self.volume(server, "a").disk
        self.same(raw, disk, 24 * MIB)
        call("fsck.ext4", "-fn", disk)
