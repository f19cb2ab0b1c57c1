# SPDX-License-Identifier: Apache-2.0
"""NVMe/RDMA over iWARP: soft-iWARP (siw), which Debian's kernels leave out and tests/vm/left_out.py builds. A
card without memory windows, whose writes complete when they have left: S3 over RDMA is not offered on it."""
import os
import resource

import kernel_rdma
import lab
import s3_rdma
from lab import MIB, RDMA_ADDRESS, call, long_test

PEER = lab.Peer("iWARP", "rdma", modules=("siw", "rdma_ucm", "nvmet-rdma", "nvme-rdma"))


def setUpModule():
    """siw holds root, too, to the limit of locked memory, by which each registration is judged alone."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Links(kernel_rdma.RdmaCase):
    device = "siw"

    def test_contract_of_message_links(self):
        """the contract of message links, but that what is open for writing cannot be read: siw never looks"""
        lab.check_message_links(self, RDMA_ADDRESS, without="RefuseToReadWhatIsOpenForWriting")


class Initiator(kernel_rdma.OurInitiator):
    device = "siw"

    def test_initiator_describes_the_card(self):
        """netstor info: an iWARP card without memory windows"""
        uri = self.target().subsystem(kernel_rdma.SUBSYSTEM, self.disk())
        about = call(self.tool, "info", uri, "--json").out
        for words in ("siw0, iWARP", "no memory windows"):
            self.assertIn(words, about)

    test_data = kernel_rdma.OurInitiator.test_data
    test_every_command = kernel_rdma.OurInitiator.test_every_command
    test_memory_that_is_not_registered = kernel_rdma.OurInitiator.test_memory_that_is_not_registered
    test_several_queues = kernel_rdma.OurInitiator.test_several_queues


class Target(kernel_rdma.OurTarget):
    device = "siw"

    @long_test
    def test_first_command_of_kernel_hosts(self):
        """each of 30 hosts of the kernel's has its Connect answered, though siw overlooks some of them"""
        server = self.rdma_server("a=16MiB,store=memory")
        for _ in range(30):
            self.assertEqual(len(lab.discover(server.port, RDMA_ADDRESS, "rdma")["records"]), 2)

    test_discover_lists_the_subsystems = kernel_rdma.OurTarget.test_discover_lists_the_subsystems
    test_data_comes_back = kernel_rdma.OurTarget.test_data_comes_back
    test_fio_verifies = kernel_rdma.OurTarget.test_fio_verifies
    test_queue_sizes = kernel_rdma.OurTarget.test_queue_sizes
    test_file_system = kernel_rdma.OurTarget.test_file_system
    test_killed_and_back = kernel_rdma.OurTarget.test_killed_and_back


class BothOurs(kernel_rdma.BothOurs):
    device = "siw"

    def test_first_command(self):
        """each of 300 hosts has its Connect answered, though siw overlooks some of them"""
        server = self.rdma_server("a=16MiB,store=memory")
        said = call(os.environ["NETSTOR_STRANGER"], "host", RDMA_ADDRESS, server.port, "again", 300).out
        self.assertRegex(said, r"^(answered \d+\n){300}$")

    test_both_ours = kernel_rdma.BothOurs.test_both_ours
    test_both_ours_killed_and_back = kernel_rdma.BothOurs.test_both_ours_killed_and_back


class Conformance(kernel_rdma.Conformance):
    device = "siw"
    test_conformance = kernel_rdma.Conformance.test_conformance


class Buckets(s3_rdma.S3Case):
    device = "siw"

    def test_buckets_go_by_http(self):
        """S3: netstord offers no RDMA there, and says so; cp goes by HTTP, or fails where told not to"""
        server = self.endpoint()
        self.assertIn("an iWARP device does not tell when", server.log())
        source, back = lab.random_file(self.folder / "source", 5 * MIB), self.folder / "back"
        for one, other in ((source, "s3://things/a"), ("s3://things/a", back)):
            self.assertEqual(self.copy(one, other)["rdma_bytes"], 0)
        self.same(source, back)
        words = self.words("cp", "s3://things/a", back, "--force", "--rdma", "required")
        answer = call(*words, ok=False)
        self.assertIn("RDMA", answer.err, answer)
