# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel's NVMe/TCP initiator, driven by nvme-cli, against netstord in the same machine."""
import json
import pathlib
import re
import time

import lab
from lab import MIB, NQN, call, long_test, nvme

HERE = pathlib.Path(__file__).resolve().parent
PEER = lab.Peer("Linux initiator", "kernel", modules=("nvme-tcp",))


class Discovery(lab.Case):
    def test_discover_lists_the_subsystems(self):
        """nvme discover: every subsystem with its address"""
        server = self.server("a=16MiB,store=memory", "b=16MiB,store=memory")
        records = lab.discover(server.port)["records"]
        self.assertEqual([record["subnqn"] for record in records],
                         ["nqn.2014-08.org.nvmexpress.discovery", f"{NQN}:a", f"{NQN}:b"])
        for record in records:
            self.assertEqual((record["trtype"], record["adrfam"], record["traddr"], record["trsvcid"]),
                             ("tcp", "ipv4", "127.0.0.1", str(server.port)))

    def test_connect_all_follows_discovery(self):
        """nvme connect-all: one controller for each subsystem"""
        server = self.server("a=16MiB,store=memory", "b=16MiB,store=memory")
        nvme("connect-all", *lab.reach(server.port, "127.0.0.1"))
        self.addCleanup(nvme, "disconnect-all")
        subsystems = json.loads(nvme("list-subsys", "-o", "json").out)
        names = {entry["NQN"] for host in subsystems for entry in host["Subsystems"] if NQN in entry["NQN"]}
        self.assertEqual(names, {f"{NQN}:a", f"{NQN}:b"})

    def test_refuses_unknown_subsystems_and_hosts(self):
        """connect to what is not there, or by a host not allowed, fails with the kernel knowing why"""
        self.expects = [r"failed", r"Connect .*Invalid|Connect for subsystem"]
        server = self.server("a=16MiB,store=memory", options=["--allow-host", f"{lab.HOST_NQN}x"])
        nvme("connect", *lab.reach(server.port, "127.0.0.1"), "-n", f"{NQN}:a", ok=False)
        self.assertRegex("\n".join(self.log()), r"is not allowed|does not allow host")
        nvme("connect", *lab.reach(server.port, "127.0.0.1"), "-n", f"{NQN}:none", ok=False)
        self.no_leftovers()

    @long_test
    def test_keeps_a_discovery_controller(self):
        """a persistent discovery controller lives past its keep-alive time"""
        server = self.server("a=16MiB,store=memory")
        nvme("discover", *lab.reach(server.port, "127.0.0.1"), "-p", "-k", "2")
        controller = next(iter(lab.controllers()))
        self.addCleanup(controller.disconnect)
        time.sleep(5)
        self.assertEqual(controller.get("state"), "live")


class Connection(lab.Case):
    def test_describes_itself(self):
        """id-ctrl, id-ns, ns-descs, list-ns, list-subsys agree with the volume"""
        server = self.server("a=64MiB,store=memory", "b=32MiB,store=memory,block=512")
        for name, blocks, shift in (("a", 16384, 12), ("b", 65536, 9)):
            controller = self.volume(server, name)
            about = json.loads(nvme("id-ctrl", f"/dev/{controller.name}", "-o", "json").out)
            self.assertEqual((about["mn"].strip(), about["subnqn"]), ("netstor", f"{NQN}:{name}"))
            space = json.loads(nvme("id-ns", controller.disk, "-o", "json").out)
            self.assertEqual((space["nsze"], space["lbafs"][0]["ds"]), (blocks, shift))
            self.assertIn("1", nvme("list-ns", f"/dev/{controller.name}").out)
            descriptors = nvme("ns-descs", controller.disk).out
            self.assertIn(space["nguid"], descriptors.replace("-", ""))
            paths = json.loads(nvme("list-subsys", "-o", "json").out)
            self.assertIn(f"{NQN}:{name}", str(paths))

    def test_data_comes_back(self):
        """what is written past the page cache reads back, blocks of 512 and of 4096"""
        server = self.server("a=64MiB,store=memory", "b=64MiB,block=512")
        for name in ("a", "b"):
            self.write_and_compare(self.volume(server, name).disk, 2 * MIB, seed=len(name), at=3 * MIB)

    def _digests(self, *options):
        server = self.server("a=64MiB,store=memory", "b=64MiB")
        for name in ("a", "b"):
            controller = self.volume(server, name, *options)
            self.write_and_compare(controller.disk, 2 * MIB)
            self.write_and_compare(controller.disk, 64 * 1024, block=4096, at=4096)

    @long_test
    def test_header_digest(self):
        """header digests"""
        self._digests("--hdr-digest")

    @long_test
    def test_data_digest(self):
        """data digests"""
        self._digests("--data-digest")

    def test_both_digests(self):
        """header and data digests"""
        self._digests("--hdr-digest", "--data-digest")

    @long_test
    def test_queue_counts(self):
        """-i 1, -i 2, and poll and write queues"""
        server = self.server("a=64MiB,store=memory")
        for options, queues in ((["-i", "1"], 1), (["-i", "2"], 2),
                                (["-i", "2", "--nr-write-queues=1", "--nr-poll-queues=1"], 4)):
            controller = self.volume(server, "a", *options)
            self.assertEqual(int(controller.get("queue_count")), queues + 1, options)
            self.write_and_compare(controller.disk, MIB)
            if queues == 4:
                self.fio(controller.disk, "--ioengine=pvsync2", "--hipri", "--rw=randread", "--bs=4k",
                         "--size=2M")
            controller.disconnect()

    @long_test
    def test_queue_sizes(self):
        """--queue-size 16 and 1024"""
        server = self.server("a=64MiB,store=memory")
        for size in (16, 1024):
            controller = self.volume(server, "a", f"--queue-size={size}")
            self.assertEqual(int(controller.get("sqsize")), size - 1)
            self.fio(controller.disk, "--ioengine=libaio", "--rw=randrw", "--bs=4k", "--size=4M",
                     "--iodepth=256", "--verify=crc32c")
            controller.disconnect()

    @long_test
    def test_keep_alive(self):
        """a keep-alive time of two seconds, and nothing to do for five"""
        server = self.server("a=16MiB,store=memory")
        controller = self.volume(server, "a", "--keep-alive-tmo=2")
        time.sleep(5)
        self.assertEqual(controller.get("state"), "live")
        self.write_and_compare(controller.disk, MIB)

    def test_reset_under_load(self):
        """nvme reset with I/O under way"""
        server = self.server("a=64MiB,store=memory")
        controller = self.volume(server, "a")
        load = lab.start(*lab.FIO, f"--filename={controller.disk}",
                         "--ioengine=libaio", "--rw=randrw", "--bs=16k", "--iodepth=16", "--size=16M",
                         "--verify=crc32c", "--loops=4")
        for _ in range(3):
            time.sleep(0.5)
            nvme("reset", f"/dev/{controller.name}")
            controller.wait_state("live")
        answer = lab.finish(load, 120)
        self.assertEqual(answer.code, 0, answer)

    def test_reconnects_to_a_restarted_server(self):
        """--reconnect-delay: the controller comes back after netstord did"""
        self.expects = [r"timeout|failed|Failed|error"]
        server = self.server("a=64MiB")
        controller = self.volume(server, "a", "--reconnect-delay=1", "--ctrl-loss-tmo=60")
        self.write_and_compare(controller.disk, MIB)
        server.kill()
        controller.wait_state("connecting")
        server.start()
        controller.wait_state("live")
        self.same(self.folder / "source", controller.disk, MIB)

    @long_test
    def test_gives_up_a_server_that_stays_away(self):
        """--ctrl-loss-tmo: the controller goes when netstord stays away"""
        self.expects = [r"failed|Failed|error|timeout"]
        server = self.server("a=16MiB,store=memory")
        controller = self.volume(server, "a", "--reconnect-delay=1", "--ctrl-loss-tmo=3")
        server.kill()
        lab.wait_for("the controller is gone", lambda: not controller.there())


class Data(lab.Case):
    @long_test
    def test_fio_verifies_random_writes(self):
        """fio --verify=crc32c: random writes of 512 bytes to 256 KiB"""
        server = self.server("a=64MiB,block=512", "b=64MiB,store=memory")
        for name, least in (("a", 512), ("b", 4096)):
            disk = self.volume(server, name).disk
            self.fio(disk, "--ioengine=libaio", "--rw=randwrite", f"--bsrange={least}-256k", "--size=32M",
                     f"--blockalign={least}", "--iodepth=16", "--verify=crc32c", "--verify_fatal=1")

    def test_zeroes_and_discards(self):
        """Write Zeroes and Dataset Management from the block layer"""
        server = self.server("a=64MiB,store=memory", "b=64MiB")
        for name in ("a", "b"):
            disk = self.volume(server, name).disk
            self.write_and_compare(disk, 4 * MIB)
            call("blkdiscard", "-z", "-o", MIB, "-l", MIB, disk)
            call("blkdiscard", "-o", 2 * MIB, "-l", MIB, disk)
            with open(disk, "rb") as device, open(self.folder / "source", "rb") as source:
                data, want = device.read(4 * MIB), source.read()
            self.assertEqual(data[MIB:2 * MIB], bytes(MIB))
            self.assertEqual(data[:MIB] + data[3 * MIB:], want[:MIB] + want[3 * MIB:])

    def _tree(self, make, check, *mount):
        server = self.server("fs=512MiB")
        controller = self.volume(server, "fs")
        call(*make, controller.disk)
        place = self.folder / "mounted"
        place.mkdir()
        call("mount", *mount, controller.disk, place)
        self.addCleanup(call, "umount", "-l", place, ok=None)
        call("cp", "-r", HERE.parent.parent / "docs", place / "tree", limit_s=120)
        lab.random_file(place / "large", 12 * MIB, 7)
        call("sync")
        call("umount", place)
        controller.disconnect()
        controller = self.volume(server, "fs")
        call(*check, controller.disk)
        call("mount", *mount, controller.disk, place)
        call("diff", "-r", HERE.parent.parent / "docs", place / "tree", limit_s=120)
        lab.random_file(self.folder / "large", 12 * MIB, 7)
        self.same(self.folder / "large", place / "large")
        call("umount", place)

    def test_ext4(self):
        """mkfs.ext4, a tree of files, reconnect, fsck, compare"""
        self._tree(["mkfs.ext4", "-q"], ["fsck.ext4", "-fn"])

    @long_test
    def test_xfs(self):
        """mkfs.xfs, a tree of files, reconnect, xfs_repair -n, compare"""
        self._tree(["mkfs.xfs", "-q"], ["xfs_repair", "-n"])

    @long_test
    def test_killed_under_load(self):
        """netstord killed with -9 five times under load: nothing that was flushed is lost"""
        self.expects = [r"timeout|failed|Failed|error"]
        call("modprobe", "brd", "rd_nr=1", f"rd_size={256 * 1024}")
        call("mkfs.ext4", "-q", "/dev/ram0")
        state = self.folder / "netstord"
        state.mkdir()
        call("mount", "/dev/ram0", state)
        server = self.server("a=128MiB")
        controller = self.volume(server, "a", "--reconnect-delay=1", "--ctrl-loss-tmo=120")
        writes = HERE / "flushed_writes.py"
        writer = lab.start("python3", writes, controller.disk, self.folder / "flushed", 30)
        for _ in range(5):
            time.sleep(2)
            server.kill()
            controller.wait_state("connecting")
            server.start()
            controller.wait_state("live")
        answer = lab.finish(writer, 120)
        self.assertEqual(answer.code, 0, answer)
        server.kill()
        server.start()
        controller.wait_state("live")
        answer = call("python3", writes, "--check", controller.disk, self.folder / "flushed")
        count = int(re.search(r"(\d+) flushed", answer.out).group(1))
        self.assertGreater(count, 20, answer)
        controller.disconnect()
        server.stop()
        call("umount", "-l", state)
