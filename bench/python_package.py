#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package beside boto3 and beside the C++ client, against one netstord of our own on loopback.

usage: PYTHONPATH=build/release/bindings/python python_package.py --build build/release [--seconds 3]

Prints the rows of the table in bench/README.md. Each loop runs for so many seconds, those that are
compared one after the other, three rounds; a figure is the median of its rounds.
"""
import argparse
import asyncio
import concurrent.futures
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import time

import boto3
import botocore.config
import numpy

import netstor
import netstor.torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/python"))
import support  # noqa: E402, the server

KIB, MIB = 1 << 10, 1 << 20
ROUNDS = 3


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Bench:
    def __init__(self, build, seconds):
        self.build, self.seconds = pathlib.Path(build), seconds
        self.bucket = netstor.open_bucket("s3://bench-python")
        self.bucket.create()
        config = botocore.config.Config(max_pool_connections=32, s3={"addressing_style": "path"})
        self.boto = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config)

    def timed(self, step, unit):
        """`step` for some seconds: (units a second, CPU seconds of this process a unit)."""
        step()
        begin, used, done = time.monotonic(), cpu(), 0
        while time.monotonic() - begin < self.seconds:
            done += unit * step()
        spent = time.monotonic() - begin
        return done / spent, (cpu() - used) / done

    def compare(self, unit, **steps):
        """The medians of each, in turn."""
        rounds = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                rounds[name].append(self.timed(step, unit))
        return {name: tuple(map(statistics.median, zip(*found))) for name, found in rounds.items()}

    def tool(self, size, parallel, seconds):
        """Bytes a second of the C++ client, by the tool's own measurement."""
        command = [str(self.build / "tools/netstor/netstor"), "bench", "s3://bench-python/tool",
                   "--rw", "get", "--size", str(size), "--parallel", str(parallel), "--objects", "1",
                   "--seconds", str(seconds), "--json", "--yes-destroy-data"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            sys.exit(f"{command}: {done.stderr}")
        return json.loads(done.stdout)

    def large(self):
        self.bucket.put("large", numpy.zeros(64 * MIB, "uint8"))
        target = numpy.empty(64 * MIB, "uint8")

        def ours():
            self.bucket.get("large", into=target)
            return 1

        def theirs():
            answer = self.boto.get_object(Bucket=self.bucket.name, Key="large")
            numpy.frombuffer(answer["Body"].read(), "uint8")
            return 1

        found = self.compare(64 * MIB, netstor=ours, boto3=theirs)
        cpp = statistics.median(self.tool_rate(64 * MIB, 1) for _ in range(ROUNDS))
        return found, cpp

    def tool_rate(self, size, parallel):
        return self.tool(size, parallel, self.seconds)["bytes_per_second"]

    def small(self):
        for i in range(64):
            self.bucket.put(f"small/{i}", os.urandom(16 * KIB))
        keys = [f"small/{i % 64}" for i in range(2048)]
        targets = [bytearray(16 * KIB) for _ in range(128)]
        loop = asyncio.new_event_loop()

        async def all_of_them():
            names = iter(keys)

            async def worker(target):
                for key in names:
                    await self.bucket.get_async(key, target)

            await asyncio.gather(*(worker(target) for target in targets))

        pool = concurrent.futures.ThreadPoolExecutor(16)

        def one(key):
            return len(self.boto.get_object(Bucket=self.bucket.name, Key=key)["Body"].read())

        def ours():
            loop.run_until_complete(all_of_them())
            return len(keys)

        def theirs():
            return len(list(pool.map(one, keys[:512])))

        return self.compare(1, netstor=ours, boto3=theirs)

    def training(self):
        size = 150 * KIB
        for i in range(256):
            self.bucket.put(f"train/{i:03}", os.urandom(size))
        data = netstor.torch.ObjectDataset(self.bucket, "train/",
                                           decode=lambda _, sample: numpy.asarray(sample))
        pool = concurrent.futures.ThreadPoolExecutor(16)
        rng = random.Random(1)

        def ours():
            return numpy.stack(data.__getitems__(rng.choices(range(256), k=64))).shape[0]

        def one(i):
            body = self.boto.get_object(Bucket=self.bucket.name, Key=data.keys[i])["Body"].read()
            return numpy.frombuffer(body, "uint8")

        def theirs():
            return numpy.stack(list(pool.map(one, rng.choices(range(256), k=64)))).shape[0]

        return self.compare(1, netstor=ours, boto3=theirs)

    def per_call(self):
        """Nanoseconds of a call that does nothing: what is left is Python, the binding, and the way to a
        shard and back."""
        path = pathlib.Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).with_name("scratch")
        path.write_bytes(bytes(MIB))
        volume, nothing = netstor.open_volume(f"file://{path}"), bytearray()
        loop = asyncio.new_event_loop()

        def synchronous():
            for _ in range(1000):
                volume.read_into(0, nothing)
            return 1000

        def many():
            async def calls():
                await asyncio.gather(*(volume.read_into_async(0, nothing) for _ in range(1000)))
            loop.run_until_complete(calls())
            return 1000

        def begun():
            for one in [volume._core.read_into(0, nothing) for _ in range(1000)]:
                one.wait()
            return 1000

        return {name: 1e9 / rate for name, (rate, _) in
                self.compare(1, one=synchronous, asyncio=many, together=begun).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", choices=["large", "small", "training", "per_call"])
    options = parser.parse_args()
    server = support.Server(str(pathlib.Path(options.build) / "server/netstord"))
    try:
        support.use(server)
        bench = Bench(options.build, options.seconds)
        for name in [options.only] if options.only else ["large", "small", "training", "per_call"]:
            found = getattr(bench, name)()
            if name == "large":
                found, cpp = found
                print(f"| 64 MiB GET into numpy, MiB/s | {found['netstor'][0] / MIB:,.0f} | "
                      f"{found['boto3'][0] / MIB:,.0f} | {cpp / MIB:,.0f} |")
            elif name == "per_call":
                print(f"| a call that does nothing, ns: one at a time, asyncio, begun together | "
                      f"{found['one']:,.0f}, {found['asyncio']:,.0f}, {found['together']:,.0f} | | |")
            else:
                size = 16 * KIB if name == "small" else 150 * KIB
                title = "16 KiB GETs a second" if name == "small" else "150 KiB samples a second, by 64"
                cells = [f"{found[who][0]:,.0f} ({found[who][1] / size * 1e9:.2f} CPU s/GB)"
                         for who in ("netstor", "boto3")]
                print(f"| {title} | {cells[0]} | {cells[1]} | |")
            sys.stdout.flush()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
