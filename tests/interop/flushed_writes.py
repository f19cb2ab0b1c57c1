#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes numbered blocks to a disk, flushes, and only then notes the numbers down elsewhere; --check then
finds each noted number on the disk, or one written to its place later.

usage: flushed_writes.py DISK NOTES SECONDS
       flushed_writes.py --check DISK NOTES
"""
import mmap
import os
import random
import struct
import sys
import time

BLOCK, PLACES, BATCH = 4096, 4096, 16


def content(block, place, number):
    head = struct.pack("<QQ", place, number)
    block[:] = head * (BLOCK // len(head))


def write(disk, notes, seconds):
    block = mmap.mmap(-1, BLOCK)
    device = os.open(disk, os.O_WRONLY | os.O_DIRECT)
    order, number, end = random.Random(1), 0, time.monotonic() + seconds
    with open(notes, "w", encoding="ascii") as noted:
        while time.monotonic() < end:
            batch = []
            for place in order.sample(range(PLACES), BATCH):
                number += 1
                content(block, place, number)
                os.pwrite(device, block, place * BLOCK)
                batch.append(f"{place} {number}\n")
            os.fsync(device)
            noted.writelines(batch)
            noted.flush()


def check(disk, notes):
    newest = {}
    with open(notes, encoding="ascii") as noted:
        for line in noted:
            place, number = map(int, line.split())
            newest[place] = number
    block = mmap.mmap(-1, BLOCK)
    device = os.open(disk, os.O_RDONLY | os.O_DIRECT)
    lost = 0
    want = bytearray(BLOCK)
    for place, number in newest.items():
        os.preadv(device, [block], place * BLOCK)
        there, found = struct.unpack_from("<QQ", block)
        content(want, place, found)
        if there != place or found < number or block[:] != want:
            print(f"place {place}: {number} was flushed, {found} of {there} is there")
            lost += 1
    print(f"{len(newest)} flushed, {lost} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(check(sys.argv[2], sys.argv[3]))
    write(sys.argv[1], sys.argv[2], float(sys.argv[3]))
