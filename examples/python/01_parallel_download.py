#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parallel download: many objects into the rows of one numpy array, all in flight from one thread.

usage: 01_parallel_download.py s3://BUCKET
"""
import asyncio
import sys

import numpy

import netstor

ROWS, COLUMNS = 64, 32_768


async def main(uri):
    async with await netstor.open_bucket_async(uri) as bucket:
        for i in range(ROWS):
            await bucket.put_async(f"rows/{i:03}", numpy.full(COLUMNS, i, dtype="float32"))

        table = numpy.asarray(netstor.empty((ROWS, COLUMNS), "float32"))
        keys = [info.key async for info in bucket.list_async("rows/")]
        await asyncio.gather(*(bucket.get_async(key, into=table[i]) for i, key in enumerate(keys)))

    assert (table == numpy.arange(ROWS)[:, None]).all()
    print(f"{len(keys)} objects, {table.nbytes >> 20} MiB, sum {table.sum():.0f}")


asyncio.run(main(sys.argv[1]))
