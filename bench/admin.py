#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the admin service move the p99 of reads? Reads alone and reads beside admin calls, in turns.

    python3 bench/admin.py --build build/release [--rate 1000] [--rounds 9] [--depth 1] [--json]

Each round reads twice from one netstord, alone and beside bench/admin_load, in an order that changes from
round to round. The ratio is p99 beside / p99 alone of the same round; its median over the rounds is asked to
stay below 1.1.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from run import process, run_json, wait_for

LEAD_IN = 0.2  # of the admin calls, before the reads begin and after they end


def read(args, uri):
    return run_json([args.build / "bench" / "load", "--uri", uri, "--rw", "randread", "--block", "4096",
                     "--depth", str(args.depth), "--wait", args.wait, "--seconds", str(args.seconds)])


def read_beside_calls(args, uri, socket):
    # The operators' side is not what is measured: it takes what is left of the cores.
    command = ["chrt", "--idle", "0", args.build / "bench" / "admin_load", socket, args.rate,
               args.seconds + 2 * LEAD_IN, args.calls]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as calls:
        try:
            calls.wait(LEAD_IN)
        except subprocess.TimeoutExpired:
            pass
        result = read(args, uri)
        said = calls.communicate(timeout=60)[0]
    found = re.match(r"([\d.]+) calls/s", said)
    if calls.returncode != 0 or not found:
        raise RuntimeError(f"admin_load: {said or calls.returncode}")
    return result, float(found[1])


def measure(args, folder):
    ports, state = folder / "port", folder / "state"
    command = [args.build / "server" / "netstord", "--shards", "1", "--listen", "127.0.0.1:0",
               "--state", state, "--port-file", ports, "--volume", "null=1GiB,store=null",
               "--poll-budget-us", args.poll_budget_us]
    rounds = []
    with process(list(map(str, command))) as server:
        wait_for(lambda: ports.exists() and ports.read_text().strip(), "netstord", server)
        uri = f"nvme+tcp://127.0.0.1:{ports.read_text().split()[0]}/nqn.2026-01.io.netstor:null"
        for number in range(args.rounds):
            if number % 2 == 0:
                alone = read(args, uri)
            beside, rate = read_beside_calls(args, uri, state / "admin.sock")
            if number % 2 == 1:
                alone = read(args, uri)
            rounds.append({"alone_p99_us": alone["p99_us"], "beside_p99_us": beside["p99_us"],
                           "alone_p50_us": alone["p50_us"], "beside_p50_us": beside["p50_us"],
                           "ratio": beside["p99_us"] / alone["p99_us"], "calls_per_second": rate})
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--rate", type=int, default=1000, help="admin calls a second")
    parser.add_argument("--calls", default="both", help="of what: volumes, subsystems or both")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of reads, twice a round")
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--wait", default="block", help="how the reader waits, as bench/load has it")
    parser.add_argument("--poll-budget-us", type=int, default=0, help="of netstord")
    parser.add_argument("--json", action="store_true", help="every round")
    args = parser.parse_args()
    args.build = args.build.resolve()
    with tempfile.TemporaryDirectory(prefix="netstor-bench-") as folder:
        try:
            rounds = measure(args, pathlib.Path(folder))
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            sys.exit(f"bench: {error}")
    middle = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    ratios = [each["ratio"] for each in rounds]
    if args.json:
        print(json.dumps({"cores": os.cpu_count(), "median": middle, "rounds": rounds}, indent=2))
        return
    print(f"p99 with / without {middle['calls_per_second']:.0f} admin calls a second: {middle['ratio']:.2f} "
          f"[{min(ratios):.2f}–{max(ratios):.2f}], {middle['beside_p99_us']:.1f} µs against "
          f"{middle['alone_p99_us']:.1f} µs (p50 {middle['beside_p50_us']:.1f} against "
          f"{middle['alone_p50_us']:.1f})")


if __name__ == "__main__":
    main()
