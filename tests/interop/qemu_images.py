# SPDX-License-Identifier: Apache-2.0
"""qemu-img, qemu-storage-daemon and nbdkit: real disk images to a volume and back, through the
kernel's device and through files."""
import shlex
import shutil

import lab
from lab import MIB, call, long_test

PEER = lab.Peer("QEMU's and nbdkit's images", "tools", modules=("nvme-tcp",))


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

    def need(self, program, package):
        if not shutil.which(program):
            self.skipTest(f"{program} is not installed (Debian: {package})")

    def export(self, name, image):
        """The image, served by qemu-storage-daemon over NBD; answers its URI."""
        where = self.folder / f"{name}.socket"
        child = lab.start("qemu-storage-daemon", "--blockdev", f"driver=file,node-name=file,filename={image}",
                          "--blockdev", "driver=qcow2,node-name=image,file=file",
                          "--nbd-server", f"addr.type=unix,addr.path={where}",
                          "--export", f"type=nbd,id=export,node-name=image,name={name},writable=on")
        self.addCleanup(lab.finish, child)
        self.addCleanup(child.terminate)
        lab.wait_for("qemu-storage-daemon listens", lambda: where.exists() or child.poll() is not None)
        self.assertIsNone(child.poll(), "qemu-storage-daemon ended")
        return child, f"nbd+unix:///{name}?socket={where}"

    def convert(self, source, sink):
        call("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, sink)

    def test_by_qemu_storage_daemon(self):
        """qemu-storage-daemon: a qcow2 image by NBD to the kernel's device, and from there into another"""
        self.need("qemu-storage-daemon", "qemu-system-common")
        raw, qcow2 = self.image()
        disk = self.volume(self.server("a=24MiB,block=512"), "a").disk
        self.convert(self.export("source", qcow2)[1], disk)
        call("blockdev", "--flushbufs", disk)
        self.same(raw, disk, 24 * MIB)
        back = self.folder / "back.qcow2"
        call("qemu-img", "create", "-q", "-f", "qcow2", back, "24M")
        child, uri = self.export("back", back)
        self.convert(disk, uri)
        child.terminate()
        lab.finish(child)
        self.assertIn("identical", call("qemu-img", "compare", "-f", "qcow2", "-F", "raw", back, raw).out)

    @long_test
    def test_by_nbdkit(self):
        """nbdkit: an image by NBD to the kernel's device, and from there into a file"""
        self.need("nbdkit", "nbdkit")
        raw, _ = self.image()
        disk = self.volume(self.server("a=24MiB,store=memory"), "a").disk
        back = self.folder / "back"
        back.touch()
        lab.os.truncate(back, 24 * MIB)
        for image, ends in ((raw, f'"$uri" {shlex.quote(disk)}'), (back, f'{shlex.quote(disk)} "$uri"')):
            call("nbdkit", "-U", "-", "file", image, "--run",
                 f"qemu-img convert -n -f raw -O raw {ends}")
        call("blockdev", "--flushbufs", disk)
        self.same(raw, disk, 24 * MIB)
        self.same(raw, back, 24 * MIB)
