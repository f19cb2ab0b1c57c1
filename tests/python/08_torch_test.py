#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Datasets over objects and tar shards, in worker processes too, and checkpoints."""
import io
import tarfile
import unittest

import netstor
import netstor.torch
import support

torch = support.want("torch")  # without it: no workers, no checkpoints


def number(_key, data):
    return int(bytes(data))


def number_of_sample(sample):
    return int(sample["txt"])


class Filled(support.Case):
    def setUp(self):
        super().setUp()
        for i in range(60):
            self.bucket.put(f"s/{i:03}", str(i).encode())
        for shard in range(6):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                for i in range(shard * 10, shard * 10 + 10):
                    for extension, data in (("txt", str(i).encode()), ("bin.raw", bytes([i]) * 3)):
                        member = tarfile.TarInfo(f"d/{i:03}.{extension}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
            self.bucket.put(f"t/{shard}.tar", out.getvalue())
        self.numbers = list(range(60))


class Datasets(Filled):
    def test_map_style(self):
        data = netstor.torch.ObjectDataset(self.bucket, "s/", decode=number)
        self.assertEqual((len(data), data[7], data[-1]), (60, 7, 59))
        self.assertEqual(data.__getitems__([5, 3, 59]), [5, 3, 59])
        with self.assertRaises(IndexError):
            data[60]
        self.assertEqual(netstor.torch.ObjectDataset(self.bucket, keys=["s/004"])[0], b"4")

    def test_stream(self):
        stream = netstor.torch.ObjectStream(self.bucket, "s/", decode=number, ahead=7)
        self.assertEqual(list(stream), self.numbers)
        mixed = netstor.torch.ObjectStream(self.bucket, "s/", decode=number, shuffle=True, seed=3)
        first, again = list(mixed), list(mixed)
        mixed.set_epoch(1)
        second = list(mixed)
        self.assertEqual((first, sorted(first), sorted(second)), (again, self.numbers, self.numbers))
        self.assertNotIn(first, (self.numbers, second))

    def test_ranks_share_without_overlap(self):
        for shuffle in (False, True):
            shares = [list(netstor.torch.ObjectStream(self.bucket, "s/", decode=number, shuffle=shuffle,
                                                      rank=rank, world=3)) for rank in range(3)]
            self.assertEqual([len(one) for one in shares], [20, 20, 20])
            self.assertEqual(sorted(sum(shares, [])), self.numbers)
        with self.assertRaises(ValueError):
            netstor.torch.ObjectStream(self.bucket, "s/", rank=3, world=3)

    def test_tar(self):
        samples = list(netstor.torch.TarStream(self.bucket, "t/"))
        self.assertEqual(samples[7], {"__key__": "d/007", "txt": b"7", "bin.raw": b"\7\7\7"})
        self.assertEqual([number_of_sample(one) for one in samples], self.numbers)
        mixed = list(netstor.torch.TarStream(self.bucket, "t/", decode=number_of_sample, shuffle=True,
                                             mix=15))
        self.assertEqual(sorted(mixed), self.numbers)
        self.assertNotEqual(mixed, self.numbers)

    def test_sample_that_was_replaced(self):
        data = netstor.torch.ObjectDataset(self.bucket, "s/", decode=number)
        self.bucket.put("s/007", b"123456")
        self.bucket.put("s/058", b"1")
        self.assertEqual((data[7], data[58], data.__getitems__([7, 6])), (123456, 1, [123456, 6]))

    def test_samples_larger_than_the_memory_limit(self):
        large = bytes(range(256)) * (5 << 12)  # 5 MiB
        self.bucket.put("s/large", large)
        with netstor.open_bucket(self.bucket.uri, memory_limit_bytes=1 << 20) as small:
            for dataset in (netstor.torch.ObjectDataset(small, keys=["s/large", "s/003"]),
                            netstor.torch.ObjectStream(small, keys=["s/large", "s/003"])):
                self.assertEqual([bytes(one) for one in dataset], [large, b"3"])

    def test_sample_that_is_gone(self):
        data = netstor.torch.ObjectDataset(self.bucket, keys=["s/001", "gone"])
        with self.assertRaises(netstor.NotFound):
            data[1]


@unittest.skipUnless(torch, "no torch (Debian: python3-torch)")
class Torch(Filled):
    def test_workers(self):
        for method in ("fork", "spawn"):
            for dataset in (netstor.torch.ObjectDataset(self.bucket, "s/", decode=number),
                            netstor.torch.ObjectStream(self.bucket, "s/", decode=number),
                            netstor.torch.TarStream(self.bucket, "t/", decode=number_of_sample)):
                loader = torch.utils.data.DataLoader(dataset, batch_size=8, num_workers=2,
                                                     multiprocessing_context=method)
                got = sorted(int(one) for batch in loader for one in batch)
                self.assertEqual(got, self.numbers, (method, dataset))

    def test_checkpoint(self):
        state = {"weights": torch.randn(1000, 700), "step": 7}
        info = netstor.torch.save(state, self.bucket, "c.pt")
        self.assertEqual(info.size, self.bucket.head("c.pt").size)
        again = netstor.torch.load(self.bucket, "c.pt")
        self.assertTrue(torch.equal(again["weights"], state["weights"]))
        self.assertEqual(again["step"], 7)
        with netstor.open_bucket(self.bucket.uri, memory_limit_bytes=1 << 20) as small:
            self.assertTrue(torch.equal(netstor.torch.load(small, "c.pt")["weights"], state["weights"]))

        class Broken:
            def __reduce__(self):
                raise RuntimeError("cannot be saved")

        with self.assertRaises(RuntimeError):
            netstor.torch.save({"a": torch.zeros(10), "b": Broken()}, self.bucket, "broken.pt")
        self.assertEqual([one.key for one in self.bucket.list("broken")], [])


if __name__ == "__main__":
    support.main()
