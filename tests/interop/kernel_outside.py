# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel's initiator in the virtual machine against netstord on the host, across QEMU's network."""
import os

import lab
from lab import MIB, NQN, long_test

PEER = lab.Peer("Linux initiator, from outside", "kernel", modules=("nvme-tcp",), host_server=True)


class Outside(lab.Case):
    def setUp(self):
        super().setUp()
        self.address, _, port = os.environ["NETSTOR_OUTSIDE"].partition(":")
        self.port = int(port)

    def outside(self, name, *options):
        return self.connect(self.port, f"{NQN}:{name}", *options, address=self.address)

    def test_discovers(self):
        """nvme discover across the network"""
        names = {record["subnqn"] for record in lab.discover(self.port, self.address)["records"]}
        self.assertLessEqual({f"{NQN}:outside", f"{NQN}:file"}, names)

    def test_data(self):
        """data there and back, with and without digests"""
        for options in ((), ("--hdr-digest", "--data-digest")):
            for name in ("outside", "file"):
                controller = self.outside(name, *options)
                self.write_and_compare(controller.disk, MIB, at=MIB)
                controller.disconnect()

    @long_test
    def test_fio(self):
        """fio --verify=crc32c across the network, and a reset in the middle"""
        controller = self.outside("file")
        load = lab.start(*lab.FIO, f"--filename={controller.disk}",
                         "--ioengine=libaio", "--rw=randwrite", "--bs=32k", "--iodepth=8", "--size=32M",
                         "--verify=crc32c", "--verify_fatal=1")
        lab.nvme("reset", f"/dev/{controller.name}")
        answer = lab.finish(load, 180)
        self.assertEqual(answer.code, 0, answer)
