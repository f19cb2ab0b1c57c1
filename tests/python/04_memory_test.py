#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose memory it is: destinations and sources without a copy, results that others wrap, refusals."""
import array
import ctypes
import gc
import unittest

import netstor
import support

numpy = support.want("numpy")
torch = support.want("torch")


class Lent(support.Case):
    def setUp(self):
        super().setUp()
        self.bucket.put("k", bytes(range(240)))

    def test_any_writable_buffer_is_filled(self):
        targets = [bytearray(240), memoryview(bytearray(240)), array.array("d", [0] * 30),
                   (ctypes.c_char * 240)(), netstor.empty(240), netstor.empty((10, 6), "float32")]
        for target in targets:
            self.assertEqual(self.bucket.get("k", target)[0], 240)
            self.assertEqual(memoryview(target).cast("B").tobytes(), bytes(range(240)))

    def test_any_readable_buffer_is_stored(self):
        for source in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), array.array("I", [0x64636261])):
            self.bucket.put("s", source)
            self.assertEqual(self.bucket.get("s"), b"abcd")

    def test_memory_that_will_not_do(self):
        for target, words in ((b"x" * 240, "read-only"), (memoryview(bytearray(240))[::2], "gaps"),
                              ("text", "memory is expected"), (7, "memory is expected")):
            with self.assertRaisesRegex(netstor.InvalidArgument, words):
                self.bucket.get("k", target)
        with self.assertRaisesRegex(netstor.InvalidArgument, "^data: "):
            self.bucket.put("s", "text")

    def test_lent_memory_is_held_only_while_it_is_lent(self):
        target = bytearray(240)
        self.bucket.get("k", target)
        target.extend(b"more")  # BufferError, were it still exported
        with self.assertRaises(netstor.NotFound):
            self.bucket.get("nothing", target)
        target.extend(b"more")


class Own(support.Case):
    def test_result_is_a_buffer(self):
        self.bucket.put("k", b"0123456789")
        got = self.bucket.get("k")
        self.assertEqual((len(got), got[3], bytes(got[2:4]), got.nbytes, got.shape, got.dtype),
                         (10, ord("3"), b"23", 10, (10,), "uint8"))
        self.assertEqual((got.tobytes(), got == b"0123456789", got != b"012"), (b"0123456789", True, True))
        view = memoryview(got)
        del got
        gc.collect()
        self.assertEqual(bytes(view), b"0123456789")

    def test_empty(self):
        memory = netstor.empty((3, 4), "int16")
        self.assertEqual((memory.shape, memory.dtype, memory.nbytes, memory.registered),
                         ((3, 4), "int16", 24, True))
        self.assertEqual(memoryview(memory).format, "h")
        self.assertEqual(bytes(memory), bytes(24))
        self.assertEqual(netstor.empty(0).nbytes, 0)
        with self.assertRaisesRegex(netstor.InvalidArgument, "float32"):
            netstor.empty(3, "object")
        with self.assertRaisesRegex(netstor.InvalidArgument, "negative"):
            netstor.empty(-1)
        with self.assertRaisesRegex(netstor.InvalidArgument, "too large"):
            netstor.empty((1 << 40, 1 << 40))

    def test_registered_memory_is_given_back(self):
        for _ in range(200):
            netstor.empty(1 << 20)


@unittest.skipUnless(numpy, "no numpy (Debian: python3-numpy)")
class Numpy(support.Case):
    def test_both_ways(self):
        source = numpy.arange(1000, dtype="int64").reshape(10, 100)
        self.bucket.put("k", source)
        target = numpy.zeros_like(source)
        self.bucket.get("k", target)
        self.assertTrue((source == target).all())
        row = numpy.zeros(100, dtype="int64")
        self.bucket.get("k", row, offset=3 * 800)
        self.assertTrue((row == source[3]).all())

    def test_wrapping_is_no_copy(self):
        memory = netstor.empty((3, 4), numpy.float32)
        wrapped = numpy.asarray(memory)
        self.assertEqual((wrapped.dtype, wrapped.shape), (numpy.dtype("float32"), (3, 4)))
        wrapped[1, 2] = 5
        self.assertEqual(numpy.asarray(memory)[1, 2], 5)
        other = numpy.from_dlpack(memory)
        self.assertEqual((other.shape, other[1, 2], other.ctypes.data), ((3, 4), 5, wrapped.ctypes.data))
        del memory, wrapped
        gc.collect()
        self.assertEqual(other[1, 2], 5)

    def test_types(self):
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
                     "float32", "float64", "complex64", "complex128"):
            for given in (name, numpy.dtype(name), getattr(numpy, name)):
                self.assertEqual(numpy.asarray(netstor.empty(5, given)).dtype, numpy.dtype(name))
            self.assertEqual(numpy.from_dlpack(netstor.empty(5, name)).dtype, numpy.dtype(name))

    def test_arrays_that_will_not_do(self):
        self.bucket.put("k", bytes(80))
        fixed = numpy.zeros(10)
        fixed.flags.writeable = False
        for target, words in ((fixed, "read-only"), (numpy.zeros(20)[::2], "gaps"),
                              (numpy.zeros((4, 5)).T, "gaps"), (numpy.array([None] * 10), "objects")):
            with self.assertRaisesRegex(netstor.InvalidArgument, words):
                self.bucket.get("k", target)


class DlpackOnly:
    """An array that speaks DLPack and nothing else, as torch's do."""

    def __init__(self, array_, device=(1, 0)):
        self.array, self.device = array_, device

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.device


@unittest.skipUnless(numpy, "no numpy (Debian: python3-numpy)")
class Dlpack(support.Case):
    def test_destination_and_source(self):
        source = numpy.arange(50, dtype="float32")
        self.bucket.put("k", DlpackOnly(source))
        target = numpy.zeros(50, dtype="float32")
        self.assertEqual(self.bucket.get("k", DlpackOnly(target))[0], 200)
        self.assertTrue((source == target).all())

    def test_gaps_and_devices_are_refused(self):
        with self.assertRaisesRegex(netstor.InvalidArgument, "gaps"):
            self.bucket.put("k", DlpackOnly(numpy.zeros(10)[::2]))
        with self.assertRaisesRegex(netstor.InvalidArgument, "cpu"):
            self.bucket.put("k", DlpackOnly(numpy.zeros(10), device=(2, 0)))


@unittest.skipUnless(torch, "no torch (Debian: python3-torch)")
class Torch(support.Case):
    def test_tensors(self):
        source = torch.arange(100, dtype=torch.float32)
        self.bucket.put("k", source)
        target = torch.zeros(100)
        self.bucket.get("k", target)
        self.assertTrue(torch.equal(source, target))
        wrapped = torch.frombuffer(self.bucket.get("k"), dtype=torch.float32)
        self.assertTrue(torch.equal(source, wrapped))
        memory = netstor.empty((5, 20), torch.float32)
        self.bucket.get("k", memory)
        self.assertTrue(torch.equal(torch.from_dlpack(memory), source.reshape(5, 20)))


if __name__ == "__main__":
    support.main()
