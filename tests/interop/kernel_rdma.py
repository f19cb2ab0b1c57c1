# SPDX-License-Identifier: Apache-2.0
"""NVMe/RDMA over Soft-RoCE in one machine: netstor's initiator against nvmet-rdma, the kernel's initiator
against netstord, and netstor's two ends against each other."""
import json
import os
import time

import lab
from lab import MIB, NQN, RDMA_ADDRESS, call, long_test, nvme

PEER = lab.Peer("Linux, over RDMA", "rdma", modules=("rdma_rxe", "rdma_ucm", "nvmet-rdma", "nvme-rdma"))
SUBSYSTEM = "nqn.2026-01.io.netstor:kernel"


class RdmaCase(lab.Case):
    device = "rxe"

    def setUp(self):
        super().setUp()
        self.tool = lab.programs()[1]
        lab.need_rdma()
        self.addCleanup(lab.rdma_device(self.device))

    def disk(self, mib=64, block=512):
        device, folder = lab.ram_disk(mib, block)
        self.addCleanup(os.rmdir, folder)
        return device

    def target(self, **parameters):
        target = lab.KernelTarget(address=RDMA_ADDRESS, transport="rdma", **parameters)
        self.addCleanup(target.remove)
        return target

    def rdma_server(self, *volumes, **more):
        return self.server(*volumes, listen=RDMA_ADDRESS, transport="rdma", **more)

    def uri(self, server, name):
        return f"nvme+rdma://{RDMA_ADDRESS}:{server.port}/{NQN}:{name}"

    def kernel_disk(self, server, name, *options):
        return self.connect(server.port, f"{NQN}:{name}", *options, address=RDMA_ADDRESS, transport="rdma")

    def hammer(self, uri, **options):
        """A user of the volume who remembers, running; answered by finish()."""
        child = lab.start(os.environ["NETSTOR_HAMMER"], uri, *[f"{key}={value}" for key, value in
                                                               options.items()])
        os.set_blocking(child.stdout.fileno(), True)
        first = child.stdout.readline()
        if first != b"ready\n":
            self.fail(child.communicate(timeout=lab.WAIT_S)[1].decode())
        return child

    def finish(self, child, limit_s=90):
        answer = lab.finish(child, limit_s)
        self.assertEqual(answer.code, 0, answer)
        result = json.loads(answer.out.splitlines()[-1])
        self.assertEqual(result["wrong"], 0, answer)
        return result

    def round_trip(self, uri, device=None, size=3 * MIB):
        """A file to the volume, compared on the kernel's side, and back."""
        source, back = self.folder / "source", self.folder / "back"
        lab.random_file(source, size)
        call(self.tool, "cp", source, uri, "--verify", "--force")
        if device:
            call("blockdev", "--flushbufs", device)
            self.same(source, device, size)
        call(self.tool, "cp", uri, back, "--length", size, "--force")
        self.same(source, back)


class Machine(RdmaCase):
    def test_rping(self):
        """rping between two processes: the machine's RDMA works"""
        child = lab.start("rping", "-s", "-a", RDMA_ADDRESS, "-C", "5")
        time.sleep(1)
        call("rping", "-c", "-a", RDMA_ADDRESS, "-C", "5", limit_s=20)
        lab.finish(child, 20)


class OurInitiator(RdmaCase):
    def test_discovers(self):
        """netstor discover over RDMA"""
        target = self.target()
        target.subsystem(SUBSYSTEM, self.disk())
        listed = call(self.tool, "discover", target.uri, "--json").out
        self.assertIn(f"{target.uri}/{SUBSYSTEM}", listed)

    def test_describes_the_volume(self):
        """netstor info: size, block, serial of the kernel's namespace, and the card"""
        uri = self.target().subsystem(SUBSYSTEM, self.disk(64, 4096), attr_serial="SN1")
        about = json.loads(call(self.tool, "info", uri, "--json").out)
        self.assertEqual((about["size_bytes"], about["block_bytes"]), (64 * MIB, 4096))
        for words in ("SN1", "rxe0", "memory windows", "nvmeof over rdma"):
            self.assertIn(words, json.dumps(about))

    def test_data(self):
        """cp there and back, compared on the kernel's side"""
        disk = self.disk()
        self.round_trip(self.target().subsystem(SUBSYSTEM, disk), disk)

    def test_every_command(self):
        """read, write, FUA, flush, zeroes from memory that is registered: nothing is copied"""
        uri = self.target().subsystem(SUBSYSTEM, self.disk())
        result = self.finish(self.hammer(uri, seconds=3, registered=1))
        self.assertEqual(result["errors"], {}, result)
        for verb in ("read", "write", "write_fua", "flush", "write_zeroes"):
            self.assertGreater(result["done"][verb], 10, result)

    def test_memory_that_is_not_registered(self):
        """the same from memory that no card knows: it is copied, and right"""
        uri = self.target().subsystem(SUBSYSTEM, self.disk())
        result = self.finish(self.hammer(uri, seconds=3))
        self.assertEqual(result["errors"], {}, result)

    @long_test
    def test_several_queues(self):
        """one queue a shard, deep and shallow"""
        uri = self.target().subsystem(SUBSYSTEM, self.disk())
        for shards, depth in ((1, 1), (2, 64), (4, 8)):
            result = self.finish(self.hammer(uri, seconds=2, shards=shards, depth=depth, queue_depth=depth,
                                             registered=1))
            self.assertEqual((result["queues"], result["errors"]), (shards, {}), result)

    @long_test
    def test_limit_of_in_capsule_data(self):
        """in-capsule data of 4 KiB and of 16 KiB"""
        for number, size in enumerate((4096, 16384)):
            target = self.target(number=number + 1, port=4420 + number, param_inline_data_size=size)
            uri = target.subsystem(f"{SUBSYSTEM}{number}", self.disk())
            told = json.loads(call(self.tool, "info", uri, "--json").out)
            self.assertRegex(json.dumps(told), rf"in-capsule bytes\W+{size}\b")
            self.assertEqual(self.finish(self.hammer(uri, seconds=2, registered=1))["errors"], {})

    def test_refuses_as_told(self):
        """nobody listens; an unknown subsystem; an address without RDMA"""
        self.expects = [r"nvmet: connect request for invalid subsystem"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        for wrong, words in ((f"{uri}none", "no such subsystem"),
                             (f"nvme+rdma://{RDMA_ADDRESS}:4499/{SUBSYSTEM}", "refused"),
                             (f"nvme+rdma://127.0.0.1:4420/{SUBSYSTEM}", "")):
            answer = call(self.tool, "info", wrong, ok=False)
            self.assertEqual(answer.code, 1)
            self.assertIn(words, answer.err, answer)

    def test_target_removed_and_back(self):
        """the target goes under I/O and comes back: the volume recovers, nothing answered is lost"""
        self.expects = [r"nvmet_rdma:.*(failed|error)"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=6, reconnects=1, registered=1)
        time.sleep(1)
        target.hide(SUBSYSTEM)
        time.sleep(1)
        target.show(SUBSYSTEM)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1)
        self.assertLessEqual(set(result["errors"]), {"disconnected"}, result)

    @long_test
    def test_resized_under_load(self):
        """a namespace grows under I/O: the volume's size follows"""
        target = self.target()
        backing = self.folder / "backing"
        backing.touch()
        os.truncate(backing, 32 * MIB)
        uri = target.subsystem(SUBSYSTEM, backing)
        child = self.hammer(uri, seconds=4)
        time.sleep(1)
        os.truncate(backing, 48 * MIB)
        target.resized(SUBSYSTEM, 1)
        result = self.finish(child)
        self.assertEqual((result["size_bytes"], result["errors"]), (48 * MIB, {}))


class OurTarget(RdmaCase):
    def test_discover_lists_the_subsystems(self):
        """nvme discover -t rdma: every subsystem with its transport and address"""
        server = self.rdma_server("a=16MiB,store=memory")
        records = lab.discover(server.port, RDMA_ADDRESS, "rdma")["records"]
        self.assertEqual({record["subnqn"] for record in records},
                         {"nqn.2014-08.org.nvmexpress.discovery", f"{NQN}:a"})
        for record in records:
            self.assertEqual((record["trtype"], record["traddr"], record["trsvcid"]),
                             ("rdma", RDMA_ADDRESS, str(server.port)))

    def test_data_comes_back(self):
        """what is written past the page cache reads back, in memory and in a file"""
        server = self.rdma_server("a=64MiB,store=memory", "b=64MiB,block=512")
        for name in ("a", "b"):
            disk = self.kernel_disk(server, name).disk
            self.write_and_compare(disk, 2 * MIB, seed=len(name), at=3 * MIB)
            self.write_and_compare(disk, 64 * 1024, block=4096, at=4096)

    def test_fio_verifies(self):
        """fio: random reads and writes of mixed sizes, verified"""
        server = self.rdma_server("a=64MiB,store=memory")
        self.fio(self.kernel_disk(server, "a").disk, "--ioengine=libaio", "--rw=randrw", "--bsrange=4k-128k",
                 "--size=8M", "--iodepth=16", "--verify=crc32c")

    @long_test
    def test_queue_sizes(self):
        """--queue-size 16 and 128, -i 1 and 2"""
        server = self.rdma_server("a=64MiB,store=memory")
        for size, queues in ((16, 1), (128, 2)):
            controller = self.kernel_disk(server, "a", f"--queue-size={size}", "-i", str(queues))
            self.assertEqual(int(controller.get("queue_count")), queues + 1)
            self.fio(controller.disk, "--ioengine=libaio", "--rw=randrw", "--bs=4k", "--size=4M",
                     "--iodepth=64", "--verify=crc32c")
            controller.disconnect()

    @long_test
    def test_file_system(self):
        """ext4: files written, unmounted, mounted again and compared; fsck finds nothing"""
        server = self.rdma_server("a=96MiB,store=memory")
        disk = self.kernel_disk(server, "a").disk
        call("mkfs.ext4", "-q", disk)
        at = self.folder / "mounted"
        at.mkdir()
        source = lab.random_file(self.folder / "source", 8 * MIB)
        call("mount", disk, at)
        call("cp", source, at / "copy")
        call("umount", at)
        call("mount", disk, at)
        self.same(source, at / "copy")
        call("umount", at)
        call("fsck.ext4", "-f", "-n", disk)

    @long_test
    def test_killed_and_back(self):
        """the server is killed under fio and comes back: the kernel reconnects, the data verifies"""
        self.expects = [r"nvme", r"I/O error"]
        server = self.rdma_server("a=64MiB")
        controller = self.kernel_disk(server, "a", "--reconnect-delay=1", "--ctrl-loss-tmo=60",
                                      "--keep-alive-tmo=2")
        child = lab.start("fio", "--name=t", f"--filename={controller.disk}", "--direct=1", "--thread",
                          "--ioengine=libaio", "--rw=randwrite", "--bs=4k", "--size=8M", "--iodepth=8",
                          "--verify=crc32c", "--rate_iops=500")
        time.sleep(2)
        server.kill()
        time.sleep(1)
        server.start()
        answer = lab.finish(child, 120)
        self.assertEqual(answer.code, 0, answer)
        controller.wait_state("live")

    def test_refuses_unknown_subsystems(self):
        """connect to what is not there fails, and the server goes on"""
        self.expects = [r"failed", r"Connect"]
        server = self.rdma_server("a=16MiB,store=memory")
        nvme("connect", *lab.reach(server.port, RDMA_ADDRESS, "rdma"), "-n", f"{NQN}:none", ok=False)
        self.write_and_compare(self.kernel_disk(server, "a").disk, MIB)


class BothOurs(RdmaCase):
    def test_both_ours(self):
        """netstor and netstord: cp there and back; every command, registered memory and other"""
        server = self.rdma_server("a=64MiB,store=memory", "b=64MiB")
        for name in ("a", "b"):
            self.round_trip(self.uri(server, name))
            for registered in (0, 1):
                result = self.finish(self.hammer(self.uri(server, name), seconds=4, registered=registered))
                self.assertEqual(result["errors"], {}, result)
                for verb in ("read", "write", "compare", "verify"):
                    self.assertGreater(result["done"][verb], 0, result)

    def test_both_ours_killed_and_back(self):
        """the server is killed under load and comes back: the volume recovers"""
        server = self.rdma_server("a=64MiB")
        child = self.hammer(self.uri(server, "a"), seconds=6, reconnects=1, registered=1)
        time.sleep(1)
        server.kill()
        time.sleep(1)
        server.start()
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1)
        self.assertLessEqual(set(result["errors"]), {"disconnected"}, result)


class Conformance(RdmaCase):
    def test_conformance(self):
        """the driver contract, with netstord"""
        uri = self.uri(self.rdma_server("a=8MiB,store=memory"), "a")
        lab.check_conformance(self, "nvmerdma", uri)

    def test_conformance_of_message_links(self):
        """the contract of message links, with receives of their own and shared"""
        lab.check_message_links(self, RDMA_ADDRESS)
