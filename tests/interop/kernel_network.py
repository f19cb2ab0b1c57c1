# SPDX-License-Identifier: Apache-2.0
"""Both directions over a network that loses, delays, reorders, corrupts nothing and sometimes goes away: two
network namespaces with a virtual cable between them, and netem on both ends of it."""
import json
import os
import time

import lab
from lab import MIB, NQN, call, long_test, nvme

PEER = lab.Peer("Linux, over a poor network", "kernel",
                modules=("nvme-tcp", "nvmet-tcp", "veth", "sch_netem"), limit_s=1200)
NEAR, FAR = "10.77.0.1", "10.77.0.2"
FAR_SIDE = "far"
SUBSYSTEM = "nqn.2026-01.io.netstor:network"


class Network(lab.Case):
    def setUp(self):
        super().setUp()
        call("ip", "netns", "add", FAR_SIDE)
        self.addCleanup(call, "ip", "netns", "del", FAR_SIDE)
        call("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", FAR_SIDE)
        call("ip", "addr", "add", f"{NEAR}/24", "dev", "near")
        call("ip", "link", "set", "near", "up")
        self.far("ip", "addr", "add", f"{FAR}/24", "dev", "far")
        self.far("ip", "link", "set", "far", "up")
        self.far("ip", "link", "set", "lo", "up")

    def far(self, *words):
        return call("ip", "netns", "exec", FAR_SIDE, *words)

    def netem(self, *words):
        """The cable's manners, in both directions."""
        call("tc", "qdisc", "replace", "dev", "near", "root", "netem", *words)
        self.far("tc", "qdisc", "replace", "dev", "far", "root", "netem", *words)

    def cut(self, seconds):
        call("ip", "link", "set", "near", "down")
        time.sleep(seconds)
        call("ip", "link", "set", "near", "up")

    def silence(self, seconds):
        """Nothing arrives, and no side is told."""
        self.netem("loss", "100%")
        time.sleep(seconds)
        self.netem("loss", "0%")

    def netstord(self):
        return self.server("a=64MiB,store=memory", listen=NEAR)

    def hammer_from_far(self, uri, **options):
        child = lab.start("ip", "netns", "exec", FAR_SIDE, os.environ["NETSTOR_HAMMER"], uri,
                          *[f"{key}={value}" for key, value in options.items()])
        self.assertEqual(child.stdout.readline(), b"ready\n")
        return child

    def finish(self, child):
        answer = lab.finish(child, 120)
        self.assertEqual(answer.code, 0, answer)
        result = json.loads(answer.out.splitlines()[-1])
        self.assertEqual(result["wrong"], 0, answer)
        result["said"] = answer.err
        return result

    def kernel_target(self):
        target = lab.KernelTarget(address=NEAR)
        self.addCleanup(target.remove)
        device, folder = lab.ram_disk(64)
        self.addCleanup(os.rmdir, folder)
        return target.subsystem(SUBSYSTEM, device)

    def kernel_initiator(self, server, *options):
        """The kernel's controller, connected from the far side: its sockets live where nvme-cli ran."""
        answer = self.far("nvme", "connect", *lab.reach(server.port, NEAR), "-n", f"{NQN}:a", "-o", "json",
                          *options)
        controller = lab.Controller(json.loads(answer.out)["device"])
        self.addCleanup(lambda: controller.there() and controller.disconnect())
        controller.wait_state("live")
        return controller

    def _ours_to_the_kernel(self, *manners):
        uri = self.kernel_target()
        child = self.hammer_from_far(uri, seconds=6, data_digest=1)
        self.netem(*manners)
        result = self.finish(child)
        self.assertEqual(result["errors"], {}, result)
        self.assertGreater(result["done"]["read"], 5, result)

    def _kernel_to_ours(self, *manners):
        controller = self.kernel_initiator(self.netstord(), "--data-digest")
        self.netem(*manners)
        self.write_and_compare(controller.disk, 2 * MIB)
        self.fio(controller.disk, "--ioengine=libaio", "--rw=randwrite", "--bs=16k", "--iodepth=8",
                 "--size=2M", "--verify=crc32c", "--verify_fatal=1")

    def test_our_initiator_with_loss(self):
        """our initiator, nvmet, 2 % of the packets lost"""
        self._ours_to_the_kernel("loss", "2%", "delay", "1ms")

    @long_test
    def test_our_target_with_loss(self):
        """the kernel's initiator, netstord, 2 % of the packets lost"""
        self._kernel_to_ours("loss", "2%", "delay", "1ms")

    @long_test
    def test_our_initiator_with_delay_and_reordering(self):
        """our initiator, nvmet, 5 ms delay, a quarter reordered, some duplicated"""
        self._ours_to_the_kernel("delay", "5ms", "1ms", "reorder", "25%", "50%", "duplicate", "1%")

    @long_test
    def test_our_target_with_delay_and_reordering(self):
        """the kernel's initiator, netstord, 5 ms delay, a quarter reordered, some duplicated"""
        self._kernel_to_ours("delay", "5ms", "1ms", "reorder", "25%", "50%", "duplicate", "1%")

    @long_test
    def test_our_initiator_outlives_a_short_silence(self):
        """our initiator, nvmet, nothing arrives for two seconds: nothing fails"""
        uri = self.kernel_target()
        child = self.hammer_from_far(uri, seconds=8)
        time.sleep(1)
        self.silence(2)
        result = self.finish(child)
        self.assertEqual(result["errors"], {}, result)

    @long_test
    def test_our_initiator_outlives_a_long_cut(self):
        """our initiator, nvmet, the link down past the keep-alive time: it reconnects"""
        self.expects = [r"keep-alive timer.*expired", r"fatal error"]
        uri = self.kernel_target()
        child = self.hammer_from_far(uri, seconds=25, keep_alive_ms=2000, io_timeout_ms=3000)
        time.sleep(1)
        self.cut(8)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1, result)
        self.assertLessEqual(set(result["errors"]), {"disconnected", "timed out"}, result)

    @long_test
    def test_our_target_outlives_a_long_cut(self):
        """the kernel's initiator, netstord, the link down past the keep-alive time: the data is right"""
        self.expects = [r"nvme nvme\d+: ", r"timeout"]
        controller = self.kernel_initiator(self.netstord(), "--keep-alive-tmo=2", "--reconnect-delay=1",
                                           "--ctrl-loss-tmo=120")
        load = lab.start(*lab.FIO, f"--filename={controller.disk}",
                         "--ioengine=libaio", "--rw=randwrite", "--bs=16k", "--iodepth=8", "--size=16M",
                         "--loops=40", "--time_based", "--runtime=15", "--verify=crc32c", "--verify_fatal=1")
        time.sleep(1)
        self.cut(8)
        answer = lab.finish(load, 180)
        self.assertEqual(answer.code, 0, answer)
        controller.wait_state("live")
        nvme("disconnect", "-d", controller.name)
