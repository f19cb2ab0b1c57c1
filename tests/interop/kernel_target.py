# SPDX-License-Identifier: Apache-2.0
"""netstor's initiator against the Linux kernel's NVMe/TCP target (nvmet), in the same machine."""
import json
import os
import signal
import time

import lab
from lab import MIB, call, long_test

PEER = lab.Peer("Linux target", "kernel", modules=("nvmet-tcp",))
SUBSYSTEM = "nqn.2026-01.io.netstor:kernel"


class TargetCase(lab.Case):
    def setUp(self):
        super().setUp()
        self.tool = lab.programs()[1]

    def target(self, **parameters):
        target = lab.KernelTarget(**parameters)
        self.addCleanup(target.remove)
        return target

    def disk(self, mib=64, block=512):
        device, folder = lab.ram_disk(mib, block)
        self.addCleanup(os.rmdir, folder)
        return device

    def file(self, name="backing", mib=64):
        path = self.folder / name
        path.touch()
        os.truncate(path, mib * MIB)
        return path

    def hammer(self, uri, **options):
        """A user of the volume who remembers, running; answered by finish()."""
        child = lab.start(os.environ["NETSTOR_HAMMER"], uri, *[f"{key}={value}" for key, value in
                                                               options.items()])
        os.set_blocking(child.stdout.fileno(), True)
        self.assertEqual(child.stdout.readline(), b"ready\n", child.poll() and child.stderr.read())
        return child

    def finish(self, child, limit_s=90):
        answer = lab.finish(child, limit_s)
        self.assertEqual(answer.code, 0, answer)
        result = json.loads(answer.out.splitlines()[-1])
        self.assertEqual(result["wrong"], 0, answer)
        result["said"] = answer.err
        return result

    def round_trip(self, uri, device, *options, size=3 * MIB):
        """A file to the volume, compared on the kernel's side, and back."""
        source, back = self.folder / "source", self.folder / "back"
        lab.random_file(source, size)
        call(self.tool, "cp", source, uri, "--verify", "--force", *options)
        if str(device).startswith("/dev/"):
            call("blockdev", "--flushbufs", device)
        self.same(source, device, size)
        call(self.tool, "cp", uri, back, "--length", size, "--force", *options)
        self.same(source, back)


class Basics(TargetCase):
    def test_discovers(self):
        """netstor discover: what nvmet shows, and not what it hides"""
        target = self.target()
        disk = self.disk()
        target.subsystem(SUBSYSTEM, disk)
        target.subsystem(f"{SUBSYSTEM}2", disk, show=False)
        listed = json.loads(call(self.tool, "discover", target.uri, "--json").out)
        self.assertIn(f'"{SUBSYSTEM}"', json.dumps(listed))
        self.assertNotIn(f'"{SUBSYSTEM}2"', json.dumps(listed))

    def test_describes_the_volume(self):
        """netstor info: size, block, serial, model of the kernel's namespace, 512 and 4096"""
        target = self.target()
        for nsid, (mib, block) in enumerate(((64, 512), (32, 4096))):
            uri = target.subsystem(f"{SUBSYSTEM}{nsid}", self.disk(mib, block), attr_serial=f"SN{nsid}",
                                   attr_model="kernel target")
            about = json.loads(call(self.tool, "info", uri, "--json").out)
            self.assertEqual((about["size_bytes"], about["block_bytes"]), (mib * MIB, block))
            self.assertIn(f"SN{nsid}", json.dumps(about))
            self.assertIn("kernel target", json.dumps(about))

    def test_refuses_as_told(self):
        """an unknown subsystem, an unknown namespace, a host that is not allowed"""
        self.expects = [r"nvmet: connect (request for invalid subsystem|by host .* not allowed)"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        closed = target.subsystem(f"{SUBSYSTEM}-closed", self.disk(), attr_allow_any_host=0)
        for wrong, words in ((f"{uri}none", "no such subsystem"), (f"{uri}?ns=7", "namespace"),
                             (closed, "let this host's NQN in")):
            answer = call(self.tool, "info", wrong, ok=False)
            self.assertEqual(answer.code, 1)
            self.assertIn(words, answer.err, answer)
        target.allow(f"{SUBSYSTEM}-closed", lab.HOST_NQN)
        call(self.tool, "info", closed, "--host-nqn", lab.HOST_NQN)

    def test_data(self):
        """cp there and back, compared on the kernel's side"""
        disk = self.disk()
        self.round_trip(self.target().subsystem(SUBSYSTEM, disk), disk)

    def test_zeroes_that_the_store_cannot(self):
        """cp --sparse to a file on tmpfs, where nvmet offers Write Zeroes and refuses: zeroes are sent"""
        backing, source = self.file(mib=16), self.folder / "source"
        source.write_bytes(bytes(3 * MIB) + b"end of the zeroes" + bytes(MIB))
        with open(backing, "r+b") as file:
            file.write(b"\xff" * (5 * MIB))
        uri = self.target().subsystem(SUBSYSTEM, backing)
        call(self.tool, "cp", source, uri, "--sparse", "--verify")
        self.same(source, backing, source.stat().st_size)

    @long_test
    def test_data_on_every_store(self):
        """cp there and back, compared on the kernel's side; disks of 512 and 4096, a file; uring and posix"""
        target = self.target()
        for number, device in enumerate((self.disk(64, 512), self.disk(64, 4096), self.file())):
            uri = target.subsystem(f"{SUBSYSTEM}{number}", device)
            for driver in ("uring", "posix"):
                self.round_trip(uri, device, "--driver", driver)

    def test_digests(self):
        """header and data digests"""
        target = self.target()
        disk = self.disk()
        uri = target.subsystem(SUBSYSTEM, disk)
        self.round_trip(uri, disk, "--digests")
        for options in ({"header_digest": 1}, {"data_digest": 1}):
            result = self.finish(self.hammer(uri, seconds=2, **options))
            self.assertGreater(result["done"]["read"], 50)

    def test_every_command(self):
        """read, write, FUA, flush, zeroes, compare, compare-and-write, verify, as far as nvmet has them"""
        target = self.target()
        for number, device in enumerate((self.disk(64, 512), self.disk(64, 4096), self.file())):
            result = self.finish(self.hammer(target.subsystem(f"{SUBSYSTEM}{number}", device), seconds=2))
            self.assertEqual(result["errors"], {}, result)
            # On tmpfs the kernel offers Write Zeroes and then cannot.
            zeroes = ("write_zeroes",) if str(device).startswith("/dev/") else ()
            for verb in ("read", "write", "write_fua", "flush", *zeroes):
                self.assertGreater(result["done"][verb], 20, (device, result))

    @long_test
    def test_several_queues(self):
        """one queue a shard, deep and shallow; fewer than asked for where nvmet allows no more"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        for shards, depth in ((1, 1), (2, 64), (4, 8)):
            result = self.finish(self.hammer(uri, seconds=2, shards=shards, depth=depth, queue_depth=depth))
            self.assertEqual((result["queues"], result["errors"]), (shards, {}), result)

    @long_test
    def test_limit_of_in_capsule_data(self):
        """in-capsule data of 4, 8 and 64 KiB"""
        for number, size in enumerate((4096, 8192, 65536)):
            target = self.target(number=number + 1, port=4420 + number, param_inline_data_size=size)
            uri = target.subsystem(f"{SUBSYSTEM}{number}", self.disk())
            told = json.loads(call(self.tool, "info", uri, "--json").out)
            self.assertRegex(json.dumps(told), rf"in-capsule bytes\W+{size}\b")
            self.assertEqual(self.finish(self.hammer(uri, seconds=2))["errors"], {})

    @long_test
    def test_limit_of_queues(self):
        """attr_qid_max: more shards than queues is an error that says so"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk(), attr_qid_max=1)
        self.assertEqual(self.finish(self.hammer(uri, seconds=1, shards=1))["errors"], {})
        answer = call(os.environ["NETSTOR_HAMMER"], uri, "shards=3", "seconds=1", ok=False)
        self.assertIn("queue", answer.err)


class Changes(TargetCase):
    def test_resized_under_load(self):
        """a namespace grows under I/O: the volume's size follows"""
        target = self.target()
        backing = self.file(mib=32)
        uri = target.subsystem(SUBSYSTEM, backing)
        child = self.hammer(uri, seconds=4)
        time.sleep(1)
        os.truncate(backing, 48 * MIB)
        target.resized(SUBSYSTEM, 1)
        result = self.finish(child)
        self.assertEqual((result["size_bytes"], result["errors"]), (48 * MIB, {}))

    @long_test
    def test_added_under_load(self):
        """a second namespace appears under I/O and can be opened"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=4)
        time.sleep(1)
        other = self.disk()
        target.add_namespace(SUBSYSTEM, 2, other)
        self.round_trip(f"{uri}?ns=2", other, size=2 * MIB)
        self.assertEqual(self.finish(child)["errors"], {})

    def test_removed_under_load(self):
        """a namespace is removed under I/O: not found, quickly, and nothing hangs"""
        self.expects = [r"nvmet_tcp: failed cmd"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=4, path_loss_ms=1000)
        time.sleep(1)
        target.remove_namespace(SUBSYSTEM, 1)
        result = self.finish(child)
        self.assertTrue(result["errors"], result)
        self.assertLessEqual(set(result["errors"]), {"not found", "disconnected"}, result)

    def test_switched_off_and_on_under_load(self):
        """a namespace is switched off under I/O and on again: the volume waits for it"""
        self.expects = [r"nvmet_tcp: failed cmd"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=5, reconnects=1)
        time.sleep(1)
        target.enable_namespace(SUBSYSTEM, 1, False)
        time.sleep(1)
        target.enable_namespace(SUBSYSTEM, 1, True)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1)
        self.assertLessEqual(set(result["errors"]), {"not found", "disconnected"}, result)

    def test_target_removed_and_back(self):
        """the target goes under I/O and comes back: the volume recovers, nothing answered is lost"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=5, reconnects=1)
        time.sleep(1)
        target.hide(SUBSYSTEM)
        time.sleep(1)
        target.show(SUBSYSTEM)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1)
        self.assertLessEqual(set(result["errors"]), {"disconnected"}, result)

    @long_test
    def test_keep_alive_expires(self):
        """an initiator that stands still past its keep-alive time is dropped, and recovers"""
        self.expects = [r"keep-alive timer.*expired", r"fatal error"]
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=8, keep_alive_ms=1000, reconnects=1)
        time.sleep(1)
        os.kill(child.pid, signal.SIGSTOP)
        lab.wait_for("nvmet drops the controller",
                     lambda: any("expired" in line for line in self.log()))
        os.kill(child.pid, signal.SIGCONT)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1, result)

    @long_test
    def test_idle_keeps_alive(self):
        """a keep-alive time of one second and no I/O for four: the session stays"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk())
        child = self.hammer(uri, seconds=4, keep_alive_ms=1000, depth=0)
        result = self.finish(child)
        self.assertEqual(result["reconnects"], 0)
        self.assertNotIn("expired", "\n".join(self.log()))

    @long_test
    def test_long_load(self):
        """half a minute of everything, with digests, four shards"""
        target = self.target()
        uri = target.subsystem(SUBSYSTEM, self.disk(256))
        result = self.finish(self.hammer(uri, seconds=30, shards=4, depth=16, data_digest=1, header_digest=1))
        self.assertEqual(result["errors"], {})

    @long_test
    def test_port_removed_and_back(self):
        """all connections cut, the address gone for a while"""
        target = self.target()
        disk = self.disk()
        uri = target.subsystem(SUBSYSTEM, disk)
        child = self.hammer(uri, seconds=8, reconnects=1)
        time.sleep(1)
        target.remove()
        time.sleep(3)
        lab.KernelTarget.__init__(target)
        target.subsystem(SUBSYSTEM, disk)
        result = self.finish(child)
        self.assertGreaterEqual(result["reconnects"], 1)
        self.assertLessEqual(set(result["errors"]), {"disconnected"}, result)
