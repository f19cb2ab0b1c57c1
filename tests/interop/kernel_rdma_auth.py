# SPDX-License-Identifier: Apache-2.0
"""kernel_auth.py over RDMA: DH-HMAC-CHAP between netstor and the Linux kernel, both directions."""
import kernel_auth
import lab

PEER = lab.Peer("Linux authentication, over RDMA", "rdma",
                modules=("rdma_rxe", "rdma_ucm", "nvmet-rdma", "nvme-rdma"))


class Initiator(kernel_auth.Initiator):
    address, transport = lab.RDMA_ADDRESS, "rdma"

    def setUp(self):
        super().setUp()
        self.addCleanup(lab.rdma_device())

    def test_host_is_let_in(self):
        """the kernel proves who it is, on every queue, and reads what it wrote"""
        super().test_is_let_in()

    def test_host_examines_the_server(self):
        """mutual: the kernel believes the right subsystem, and no other"""
        super().test_examines_the_server()

    def test_host_is_kept_out(self):
        """the kernel with a wrong secret, and with none"""
        super().test_is_kept_out()


class Target(kernel_auth.Target):
    address, transport = lab.RDMA_ADDRESS, "rdma"

    def setUp(self):
        super().setUp()
        self.addCleanup(lab.rdma_device())

    def test_target_lets_in(self):
        """the kernel's target lets netstor in: without a group and with one"""
        super().test_lets_in()

    def test_target_proves_itself(self):
        """mutual: the kernel's target is believed by its own secret alone"""
        super().test_proves_itself()

    def test_target_keeps_out(self):
        """netstor with a wrong secret, and with none: permission denied, with what to do"""
        super().test_keeps_out()
