#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""boto3 under the load of bench/bucket_load: a thread for each request at once; large objects by its transfer
manager. Prints the same line of JSON."""
import argparse
import io
import json
import os
import pathlib
import re
import statistics
import threading
import time

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

LARGE = 8 << 20


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("endpoint", str), ("verb", str), ("size", int), ("depth", int), ("seconds", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    args = parser.parse_args()
    os.sched_setaffinity(0, {0})
    config = Config(signature_version="s3v4", max_pool_connections=args.depth * 10,
                    s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=args.endpoint, region_name="us-east-1", config=config,
                      aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="wJalrXUtnFEMI")
    key, body = f"o{args.size}", b"x" * args.size
    transfer = TransferConfig(max_concurrency=10)

    def once():
        if args.verb == "put" and args.size > LARGE:
            s3.upload_fileobj(io.BytesIO(body), "things", key, Config=transfer)
        elif args.verb == "put":
            s3.put_object(Bucket="things", Key=key, Body=body)
        elif args.size > LARGE:
            s3.download_fileobj("things", key, io.BytesIO(), Config=transfer)
        else:
            s3.get_object(Bucket="things", Key=key)["Body"].read()

    once()
    taken = []
    begin, before = time.monotonic(), time.process_time()
    end = begin + args.seconds

    def lane():
        while time.monotonic() < end:
            at = time.monotonic()
            once()
            taken.append(time.monotonic() - at)

    lanes = [threading.Thread(target=lane) for _ in range(args.depth)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    seconds, cpu = time.monotonic() - begin, time.process_time() - before
    gigabytes = len(taken) * args.size / 1e9
    status = pathlib.Path("/proc/self/status").read_text()  # getrusage's begins with what the parent had
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    taken.sort()
    print(json.dumps({"operations": len(taken), "per_second": len(taken) / seconds,
                      "p50_us": statistics.median(taken) * 1e6, "p99_us": taken[int(len(taken) * 0.99)] * 1e6,
                      "cpu_seconds": cpu, "gb_per_second": gigabytes / seconds, "cpu_per_gb": cpu / gigabytes,
                      "peak_mib": peak, "beyond_buffers_mib": peak - args.depth * args.size / 2**20}))


if __name__ == "__main__":
    main()
