# SPDX-License-Identifier: Apache-2.0
"""What netstor does on iWARP: soft-iWARP (siw), which Debian's kernels leave out and tests/vm/left_out.py
builds. A card without memory windows, whose peers are shown keys: S3 over RDMA is not offered on it."""
import resource

import kernel_rdma
import lab
import s3_rdma
from lab import MIB, RDMA_ADDRESS, call

PEER = lab.Peer("iWARP", "rdma", modules=("siw", "rdma_ucm", "nvmet-rdma"))


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


class Buckets(s3_rdma.S3Case):
    device = "siw"

    def test_buckets_go_by_http(self):
        """S3: netstord offers no RDMA there, and says so; cp goes by HTTP, or fails where told not to"""
        server = self.endpoint()
        self.assertIn("an iWARP device shows its peers keys", server.log())
        source, back = lab.random_file(self.folder / "source", 5 * MIB), self.folder / "back"
        for one, other in ((source, "s3://things/a"), ("s3://things/a", back)):
            self.assertEqual(self.copy(one, other)["rdma_bytes"], 0)
        self.same(source, back)
        words = self.words("cp", "s3://things/a", back, "--force", "--rdma", "required")
        answer = call(*words, ok=False)
        self.assertIn("RDMA", answer.err, answer)
