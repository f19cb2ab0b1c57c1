#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shuffle-read small objects, the way a training loop does: every epoch all of them, in another order.

usage: 02_shuffled_samples.py s3://BUCKET [HOW MANY, 100000]
"""
import asyncio
import sys
import time

import netstor
import netstor.torch  # needs no torch


async def fill(bucket, count):
    names = iter(range(count))

    async def some():
        for i in names:
            await bucket.put_async(f"samples/{i:06}", i.to_bytes(8, "little") * 16)

    await asyncio.gather(*(some() for _ in range(256)))


def main(uri, count=100_000):
    with netstor.open_bucket(uri) as bucket:
        asyncio.run(fill(bucket, count))
        stream = netstor.torch.ObjectStream(bucket, "samples/", shuffle=True, seed=1, ahead=256,
                                            decode=lambda key, data: int.from_bytes(data[:8], "little"))
        for epoch in range(2):
            stream.set_epoch(epoch)
            begin = time.monotonic()
            seen = list(stream)
            assert len(seen) == count and set(seen) == set(range(count)) and seen != sorted(seen)
            print(f"epoch {epoch}: {count} samples, {count / (time.monotonic() - begin):,.0f} a second, "
                  f"first {seen[:3]}")


main(sys.argv[1], *map(int, sys.argv[2:]))
