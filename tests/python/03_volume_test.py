#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every call of a volume, synchronously."""
import random
import tempfile
import unittest

import netstor
import support

KIB = 1 << 10


def noise(size, seed=7):
    return random.Random(seed).randbytes(size)


class Remote(unittest.TestCase):
    def setUp(self):
        self.volume = netstor.open_volume(support.SERVER.volume)
        self.addCleanup(self.volume.close)

    def test_what_is_written_is_read(self):
        for size in (4 * KIB, 64 * KIB, 3 << 20):
            data = noise(size)
            self.assertEqual(self.volume.write_from(8 * KIB, data, force_unit_access=True), size)
            into = bytearray(size)
            self.assertEqual(self.volume.read_into(8 * KIB, into), size)
            self.assertEqual(into, data)
            self.assertEqual(self.volume.read(8 * KIB, size), data)

    def test_scatter_lists(self):
        pieces = [noise(4 * KIB, 1), noise(8 * KIB, 2)]
        self.volume.write_from(0, pieces)
        into = [bytearray(8 * KIB), bytearray(4 * KIB)]
        self.volume.read_into(0, into)
        self.assertEqual(b"".join(into), b"".join(pieces))

    def test_the_other_calls(self):
        block = self.volume.block_bytes
        old, new = noise(block, 1), noise(block, 2)
        self.volume.write_from(0, old)
        self.volume.flush()
        self.volume.compare(0, old)
        with self.assertRaises(netstor.CompareFailed):
            self.volume.compare(0, new)
        self.volume.compare_and_write(0, old, new)
        with self.assertRaises(netstor.CompareFailed):
            self.volume.compare_and_write(0, old, old)
        self.volume.verify(0, block)
        self.volume.write_zeroes(0, block)
        self.assertEqual(self.volume.read(0, block), bytes(block))
        self.volume.trim(0, block)

    def test_what_it_is(self):
        self.assertEqual(self.volume.size, 64 << 20)
        self.assertTrue(self.volume.info.writable)
        self.assertEqual(self.volume.info.uri, self.volume.uri)
        self.assertIn(self.volume.uri.split("?")[0].split("/")[-1],
                      [one.nqn for one in netstor.discover(support.SERVER.discovery)])

    def test_who_asks_proves_who_they_are(self):
        nqn, key = "nqn.2014-08.org.nvmexpress:uuid:6a1c5b52-6c0e-4a43-9d7e-0f4b2c1f7a01", support.HOST_SECRET
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write(f"{nqn} {key}\n")
            keys.flush()
            server = support.Server(support.OPTIONS.netstord, ["--host-keys", keys.name])
            self.addCleanup(server.stop)
        with netstor.open_volume(server.volume, host_nqn=nqn, host_secret=key) as volume:
            self.assertEqual(volume.read(0, 4 * KIB), bytes(4 * KIB))
        for wrong in ({}, {"host_secret": support.OTHER_SECRET}):
            with self.assertRaises(netstor.PermissionDenied) as caught:
                netstor.open_volume(server.volume, host_nqn=nqn, **wrong)
            self.assertNotIn(support.OTHER_SECRET, str(caught.exception))
        with self.assertRaises(netstor.InvalidArgument):
            netstor.open_volume(server.volume, host_nqn=nqn, host_secret="DHHC-1:00:not-one:")

    def test_bad_calls(self):
        with self.assertRaisesRegex(netstor.InvalidArgument, "multiple|block|align"):
            self.volume.read(1, 4096)
        with self.assertRaises(netstor.OutOfRange):
            self.volume.read(1 << 40, 4096)
        with self.assertRaises(TypeError):
            self.volume.read(-1, 4096)
        with self.assertRaises(netstor.NotFound):
            netstor.open_volume(support.SERVER.volume + "-absent")
        with self.assertRaises(netstor.Disconnected):
            netstor.open_volume("nvme+tcp://127.0.0.1:1/nqn.2026-01.io.netstor:v", connect_timeout=2)
        self.volume.close()
        with self.assertRaises(netstor.Closed):
            self.volume.read(0, 4096)


class Local(unittest.TestCase):
    def test_file(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(1 << 20)
            with netstor.open_volume(f"file://{file.name}") as volume:
                data = noise(64 * KIB)
                volume.write_from(0, data)
                volume.flush()
                self.assertEqual(volume.read(0, 64 * KIB), data)


if __name__ == "__main__":
    support.main()
