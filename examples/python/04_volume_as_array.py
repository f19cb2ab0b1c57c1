#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A volume as an array of blocks, like memory-mapped memory: only what is touched is moved.

usage: 04_volume_as_array.py nvme+tcp://HOST/NQN | file:///PATH
"""
import sys

import numpy

import netstor


class Blocks:
    """volume[i] and volume[i:j] are arrays of whole blocks; assigning writes them."""

    def __init__(self, volume, dtype="uint8"):
        self.volume = volume
        self.dtype = numpy.dtype(dtype)
        self.columns = volume.block_bytes // self.dtype.itemsize

    def __len__(self):
        return self.volume.size // self.volume.block_bytes

    def _span(self, index):
        start, stop, _ = (index if isinstance(index, slice) else slice(index, index + 1)).indices(len(self))
        return start * self.volume.block_bytes, max(stop - start, 0)

    def __getitem__(self, index):
        offset, count = self._span(index)
        rows = numpy.empty((count, self.columns), self.dtype)
        if count:
            self.volume.read_into(offset, rows)
        return rows if isinstance(index, slice) else rows[0]

    def __setitem__(self, index, value):
        offset, count = self._span(index)
        rows = numpy.ascontiguousarray(numpy.broadcast_to(value, (count, self.columns)), self.dtype)
        self.volume.write_from(offset, rows)


with netstor.open_volume(sys.argv[1]) as volume:
    blocks = Blocks(volume, "int32")
    blocks[0:100] = numpy.arange(100)[:, None]
    blocks[7] = -1
    volume.flush()
    assert (blocks[0:7] == numpy.arange(7)[:, None]).all() and (blocks[7] == -1).all()
    print(f"{len(blocks)} blocks of {volume.block_bytes} bytes; block 99 holds {blocks[99][0]}")
