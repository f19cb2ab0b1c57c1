# SPDX-License-Identifier: Apache-2.0
"""One that breaks the rules of NVMe/RDMA once (rdma_stranger.cc), as a host and as a target. The connection
ends as the standard says; netstord serves the next, and has back what the connection held."""
import json
import os

import kernel_rdma
import lab
from lab import MIB, NQN, RDMA_ADDRESS, call, long_test

PEER = lab.Peer("One that breaks NVMe/RDMA", "rdma", modules=("rdma_rxe", "rdma_ucm"))
SUBSYSTEM = f"{NQN}:somebody"
# Neither root nor anybody else passes the limits then.
UNPRIVILEGED = ("setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", "prlimit")
HELD = ("qp", "mr", "cm_id", "cq")  # of the kernel's counts of what programs hold


def held():
    """What all programs here hold of the RDMA device."""
    return {what: count for what, count in json.loads(call("rdma", "-j", "resource", "show").out)[0].items()
            if what in HELD}


class BadHosts(kernel_rdma.RdmaCase):

    def stranger(self, case, said):
        server = self.rdma_server("a=16MiB,store=memory")
        call(self.tool, "info", self.uri(server, "a"))  # what is made once and kept is there now
        before = held()
        more = [server.child.pid] if case == "mute" else []
        answer = call(os.environ["NETSTOR_STRANGER"], "host", RDMA_ADDRESS, server.port, case, *more)
        self.assertEqual(answer.out.strip(), said, answer)
        lab.wait_for(f"the server holds no more than {before}", lambda: held() == before)
        call(self.tool, "info", self.uri(server, "a"))

    def test_private_data_of_another_format(self):
        """netstord: private data of another record format is rejected with 2"""
        self.stranger("format", "rejected 2")

    def test_queue_size_beyond_the_limit(self):
        """netstord: a queue size beyond the limit is rejected with 4"""
        self.stranger("queue", "rejected 4")

    def test_no_receives(self):
        """netstord: a host without receives is rejected with 5"""
        self.stranger("receives", "rejected 5")

    def test_short_capsule(self):
        """netstord: a capsule that is too short ends the connection"""
        self.stranger("capsule", "lost")

    def test_key_that_is_not_ours(self):
        """netstord: a key that nobody gave out ends the connection"""
        self.stranger("key", "lost")

    def test_length_beyond_the_registration(self):
        """netstord: a length beyond what is registered ends the connection"""
        self.stranger("range", "lost")

    def test_reach_for_memory(self):
        """netstord: a host that writes to memory that was never opened to it is disconnected"""
        self.stranger("reach", "lost")

    def test_host_not_ready(self):
        """netstord: a host that has no receive for the answer is given up (receiver not ready)"""
        self.stranger("unready", "lost")

    @long_test
    def test_host_mute(self):
        """netstord: a host whose card does not answer any more is given up (retries exceeded)"""
        self.stranger("mute", "lost")

    def test_host_gone(self):
        """netstord: a host that is gone between its command and the answer"""
        self.stranger("gone", "gone")

    def test_locked_memory_at_the_server(self):
        """netstord: registration refused by the limit of locked memory: hosts are rejected with 6"""
        server = lab.Server(self.folder / "netstord", "--volume", "a=16MiB,store=memory", listen=RDMA_ADDRESS,
                            transport="rdma", before=(*UNPRIVILEGED, "--memlock=65536:65536")).start()
        self.addCleanup(self._stop, server)
        answer = call(self.tool, "info", self.uri(server, "a"), ok=False)
        self.assertIn("no resources", answer.err, answer)
        self.assertIn("locked memory", server.log())


class BadTargets(kernel_rdma.RdmaCase):
    """An error that says so, in bounded time."""

    def stranger(self, case, words, timeout_s=10):
        child = lab.start(os.environ["NETSTOR_STRANGER"], "target", RDMA_ADDRESS, case)
        self.addCleanup(child.kill)
        os.set_blocking(child.stdout.fileno(), True)
        port = child.stdout.readline().decode().strip()
        answer = call(self.tool, "info", f"nvme+rdma://{RDMA_ADDRESS}:{port}/{SUBSYSTEM}", "--timeout",
                      timeout_s, limit_s=lab.WAIT_S + timeout_s, ok=False)
        self.assertRegex(answer.err, words, answer)

    def test_rejected(self):
        """netstor: a rejection's reason is told"""
        self.stranger("reject", "no resources")

    def test_no_answer(self):
        """netstor: a target that does not answer the connection manager: timed out when it was told to"""
        self.stranger("silent", "timed out", timeout_s=3)

    def test_nobody_there(self):
        """netstor: an address of the network that nobody has"""
        answer = call(self.tool, "info", f"nvme+rdma://10.0.2.77/{SUBSYSTEM}", ok=False)
        self.assertRegex(answer.err, "unreachable|no route|timed out", answer)

    def test_response_of_another_length(self):
        """netstor: a response of another length ends the connection"""
        self.stranger("length", "a response of another length")

    def test_response_to_nothing(self):
        """netstor: a response to a command that is not there"""
        self.stranger("unknown", "a response to no command")

    def test_end_of_another_key(self):
        """netstor: the end of a key that is not the command's ends the connection"""
        self.stranger("key", "window|broken off|closed|failed|refused")

    def test_target_gone(self):
        """netstor: a target that is gone before it answers"""
        self.stranger("gone", "closed|broken off|does not answer")

    def test_foreign_key(self):
        """netstor: a target that writes by a key that was not given out"""
        self.stranger("foreign", "broken off|closed")

    def test_direction(self):
        """netstor: a target that writes to what it was let in to read"""
        self.stranger("direction", "broken off|closed")

    def test_beyond_the_registration(self):
        """netstor: a target that reads beyond what is registered"""
        self.stranger("beyond", "broken off|closed")

    def test_target_not_ready(self):
        """netstor: a target that has no receive for the command: receiver not ready"""
        self.stranger("unready", "not ready to receive", timeout_s=30)

    @long_test
    def test_target_mute(self):
        """netstor: a target whose card does not answer: retries exceeded"""
        self.stranger("mute", "the other end does not answer", timeout_s=100)

    def test_locked_memory(self):
        """netstor: registration refused by the limit of locked memory"""
        server = self.rdma_server("a=16MiB,store=memory")
        limited = (*UNPRIVILEGED, "--memlock=16384:16384")
        answer = call(*limited, self.tool, "info", self.uri(server, "a"), ok=False)
        self.assertIn("locked memory", answer.err, answer)

    def test_locked_memory_for_data(self):
        """netstor: buffers that the limit of locked memory refuses are copied instead"""
        server = self.rdma_server("a=64MiB,store=memory")
        words = [self.tool, "bench", self.uri(server, "a"), "--rw", "read", "--block-size", "1MiB", "--depth",
                 "16", "--seconds", "1", "--json"]
        for before, copies in (([*UNPRIVILEGED, f"--memlock={12 * MIB}:{12 * MIB}"], True), ([], False)):
            metrics = json.loads(call(*before, *words).out)["metrics"]
            self.assertEqual((metrics["errors"], metrics["copied_bytes"] > 0), (0, copies), metrics)
