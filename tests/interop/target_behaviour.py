# SPDX-License-Identifier: Apache-2.0
"""How netstord behaves towards the Linux kernel's initiator where the kernel's own test suite (the nvme group
of blktests) looks: each test is named after what it checks, and names the test of that group that does, too.
"""
import json
import re
import time

import lab
from lab import MIB, NQN, call, long_test, nvme

PEER = lab.Peer("netstord, as blktests asks", "kernel", modules=("nvme-tcp",))


class Discovery(lab.Case):
    def test_lists_many_subsystems(self):
        """60 subsystems in one discovery log (nvme/002)"""
        server = self.server(*[f"v{at}=1MiB,store=null" for at in range(60)])
        records = lab.discover(server.port)["records"]
        self.assertEqual(len(records), 61)
        self.assertEqual({record["subnqn"] for record in records[1:]}, {f"{NQN}:v{at}" for at in range(60)})

    def test_generation_changes_only_with_the_list(self):
        """the generation counter stays while the list does, and changes with it (nvme/030)"""
        server = self.server("a=1MiB,store=null")
        first, again = (lab.discover(server.port)["genctr"] for _ in range(2))
        self.assertEqual(first, again)
        server.stop()
        server.options = (*server.options, "--volume", "b=1MiB,store=null")
        server.start()
        self.assertNotEqual(lab.discover(server.port)["genctr"], first)


class Commands(lab.Case):
    def setUp(self):
        super().setUp()
        self.server_ = self.server("a=64MiB,store=memory")
        self.controller = self.volume(self.server_, "a")
        self.disk = self.controller.disk
        self.char = f"/dev/{self.controller.name}"

    def refused(self, answer, status):
        """nvme-cli names the status in hexadecimal, with the bits for more and do-not-retry."""
        self.assertNotEqual(answer.code, 0, answer)
        said = [int(word, 16) & 0x7FF for word in re.findall(r"\(0x([0-9a-f]+)\)", answer.out + answer.err)]
        self.assertIn(status, said, answer)

    def test_beyond_the_end(self):
        """reads and writes beyond the last block are refused as out of range (nvme/018)"""
        self.expects = [r"I/O error|LBA Out of Range|I/O Cmd"]
        zeroes = self.folder / "zeroes"
        zeroes.write_bytes(bytes(8192))
        for start, blocks in ((16384, 1), (16383, 2), (1 << 40, 1), ((1 << 64) - 1, 2)):
            for verb, more in (("read", []), ("write", ["-d", zeroes])):
                where = ["-s", start, "-c", blocks - 1, "-z", blocks * 4096]
                self.refused(nvme(verb, self.disk, *where, *more, ok=None), 0x80)
        nvme("read", self.disk, "-s", 16383, "-c", 0, "-z", 4096)

    def test_passthrough(self):
        """nvme-cli's own read, write, compare, zeroes, verify, dsm, flush (nvme/019, 029)"""
        self.expects = [r"I/O Cmd|I/O error|compare|Compare"]
        data, other, back = (self.folder / name for name in ("data", "other", "back"))
        lab.random_file(data, 64 * 1024, 1)
        lab.random_file(other, 64 * 1024, 2)
        where = ["-s", 32, "-c", 15, "-z", 64 * 1024]
        nvme("write", self.disk, *where, "-d", data)
        nvme("read", self.disk, *where, "-d", back)
        self.same(data, back)
        nvme("compare", self.disk, *where, "-d", data)
        self.refused(nvme("compare", self.disk, *where, "-d", other, ok=None), 0x285)
        nvme("write", self.disk, *where, "-d", other, "-f")
        nvme("flush", self.disk)
        nvme("verify", self.disk, "-s", 32, "-c", 15)
        nvme("dsm", self.disk, "-d", "-s", 40, "-b", 4)
        nvme("write-zeroes", self.disk, "-s", 32, "-c", 15)
        nvme("read", self.disk, *where, "-d", back)
        self.assertEqual(back.read_bytes(), bytes(64 * 1024))

    def test_logs(self):
        """SMART, error, firmware, effects and changed-namespace logs (nvme/023, 025)"""
        smart = json.loads(nvme("smart-log", self.char, "-o", "json").out)
        self.assertEqual(smart["critical_warning"], 0)
        nvme("error-log", self.char, "-e", 1)
        nvme("fw-log", self.char)
        nvme("changed-ns-list-log", self.char)
        effects = nvme("get-log", self.char, "-i", 5, "-l", 4096).out
        # Admin commands 00h on, then I/O commands: 00h flush, 01h write, 02h read are there.
        self.assertRegex(effects, r"0400: 01 00 00 00 0[13] 00 00 00 01 00 00 00")

    def test_features_and_registers(self):
        """features and properties as a host may ask for them"""
        for feature in (7, 0xB, 0xF):
            nvme("get-feature", self.char, "-f", feature)
        self.refused(nvme("get-feature", self.char, "-f", 0x7E, ok=None), 0x2)
        # CAP, VS, CC, CSTS; others are refused. (nvme show-regs of 2.3 fails on every fabrics controller.)
        for offset, value in (("0x0", "[0-9a-f]+"), ("0x8", "[0-9a-f]+"), ("0x14", "460001"), ("0x1c", "1")):
            self.assertRegex(nvme("get-property", self.char, f"--offset={offset}").out, f"value: {value}")
        self.refused(nvme("get-property", self.char, "--offset=0x20", ok=None), 0x2)

    def test_what_it_does_not_have(self):
        """reservations, formats, namespace management: refused, and the connection stays (nvme/054)"""
        self.expects = [r"I/O Cmd|I/O error"]
        nvme("resv-report", self.disk, ok=False)
        nvme("format", self.disk, "-l", 0, "--force", ok=False)
        nvme("create-ns", self.char, "-s", 100, "-c", 100, ok=False)
        nvme("write-uncor", self.disk, "-s", 0, "-c", 0, ok=False)
        nvme("io-passthru", self.disk, "--opcode=0x7f", "--namespace-id=1", ok=False)
        nvme("admin-passthru", self.char, "--opcode=0x7f", ok=False)
        nvme("io-passthru", self.disk, "--opcode=2", "--namespace-id=9", "--data-len=4096", "--read",
             ok=False)
        self.assertEqual(self.controller.get("state"), "live")
        self.write_and_compare(self.disk, MIB)

    def test_rescan(self):
        """nvme ns-rescan (nvme/027)"""
        nvme("ns-rescan", self.char)
        self.write_and_compare(self.disk, MIB)

    def test_passthrough_by_io_uring(self):
        """fio's io_uring_cmd on the character device, with verification (nvme/049)"""
        number = re.fullmatch(r"/dev/nvme(\d+)n1", self.disk).group(1)
        device = f"/dev/ng{number}n1"
        answer = call("fio", "--name=t", "--ioengine=io_uring_cmd", "--cmd_type=nvme", f"--filename={device}",
                      "--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=4M", "--verify=crc32c", "--thread",
                      "--verify_fatal=1", limit_s=120)
        self.assertIn("err= 0", answer.out)


class Life(lab.Case):
    @long_test
    def test_connects_again_and_again(self):
        """ten connections one after another (nvme/031)"""
        server = self.server("a=16MiB,store=memory")
        for _ in range(10):
            self.volume(server, "a", "-i", "1").disconnect()
        self.no_leftovers()

    @long_test
    def test_disconnect_under_load(self):
        """nvme disconnect under load ends, and so does the load; the next one works (nvme/006, 008)"""
        self.expects = [r"I/O error|I/O Cmd|Buffer I/O|failed"]
        server = self.server("a=64MiB,store=memory")
        controller = self.volume(server, "a")
        load = lab.start(*lab.FIO, f"--filename={controller.disk}",
                         "--ioengine=libaio", "--rw=randrw", "--bs=16k", "--iodepth=32", "--size=32M",
                         "--time_based", "--runtime=60")
        time.sleep(2)
        controller.disconnect()
        lab.finish(load, 60)
        self.write_and_compare(self.volume(server, "a").disk, MIB)

    @long_test
    def test_two_paths(self):
        """two controllers of one volume are one disk; one goes under load, nothing fails (nvme/057)"""
        server = self.server("a=64MiB,store=memory", options=["--listen", "127.0.0.2:0"])
        first = self.volume(server, "a")
        second = self.connect(server.ports[1], f"{NQN}:a", address="127.0.0.2")
        self.assertEqual(first.disk, second.disk)
        load = lab.start(*lab.FIO, f"--filename={first.disk}",
                         "--ioengine=libaio", "--rw=randwrite", "--bs=16k", "--iodepth=16", "--size=16M",
                         "--loops=3", "--verify=crc32c", "--verify_fatal=1")
        time.sleep(1)
        first.disconnect()
        answer = lab.finish(load, 120)
        self.assertEqual(answer.code, 0, answer)

    def test_two_hosts(self):
        """two hosts at one volume: what one writes the other reads"""
        server = self.server("a=16MiB,store=memory")
        one = self.volume(server, "a")
        self.write_and_compare(one.disk, MIB)
        call(lab.programs()[1], "read", f"nvme+tcp://127.0.0.1:{server.port}/{NQN}:a", "--length", MIB, "-o",
             self.folder / "ours")
        self.same(self.folder / "source", self.folder / "ours")
        call(lab.programs()[1], "write", f"nvme+tcp://127.0.0.1:{server.port}/{NQN}:a", "-i",
             lab.random_file(self.folder / "new", MIB, 9))
        call("blockdev", "--flushbufs", one.disk)
        self.same(self.folder / "new", one.disk, MIB)

    @long_test
    def test_many_controllers(self):
        """sixteen volumes connected at once, all written and read (nvme/016)"""
        server = self.server(*[f"v{at}=8MiB,store=memory" for at in range(16)])
        controllers = [self.volume(server, f"v{at}", "-i", "1") for at in range(16)]
        for at, controller in enumerate(controllers):
            self.write_and_compare(controller.disk, MIB, seed=at)
        self.assertEqual(len(lab.controllers()), 16)
