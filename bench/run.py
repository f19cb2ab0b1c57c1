#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures netstor beside a limit and its peers, in one run, and prints the table of bench/README.md.

    python3 bench/run.py --build build/release            the table
    python3 bench/run.py --build build/release --json     what the table is made of
    … --only read --rounds 5 --seconds 2 --no-peers       a part of it, longer

Every case is run once a round, next to that round's floor (a bare TCP ping-pong of the same bytes on the
same two cores); the table shows the median over the rounds of rate / floor's rate, or, at depth 1, of
latency / floor's latency. Client on core 0, server on core 1, both polling without pause unless the case
says otherwise.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CLIENT_CPU, SERVER_CPU = 0, 1
KIB = 1024

# name, store, verb, block, depth, wait, further arguments of bench/load
CASES = [
    ("read 4K depth 1", "null", "randread", 4 * KIB, 1, "busy", []),
    ("read 4K depth 1", "memory", "randread", 4 * KIB, 1, "busy", []),
    ("read 4K depth 8", "null", "randread", 4 * KIB, 8, "busy", []),
    ("read 4K depth 32", "null", "randread", 4 * KIB, 32, "busy", []),
    ("read 4K depth 128", "null", "randread", 4 * KIB, 128, "busy", []),
    ("read 4K depth 8", "memory", "randread", 4 * KIB, 8, "busy", []),
    ("read 4K depth 32", "memory", "randread", 4 * KIB, 32, "busy", []),
    ("read 4K depth 128", "memory", "randread", 4 * KIB, 128, "busy", []),
    ("write 4K depth 32", "null", "randwrite", 4 * KIB, 32, "busy", []),
    ("write 4K depth 128", "null", "randwrite", 4 * KIB, 128, "busy", []),
    ("write 4K depth 32", "memory", "randwrite", 4 * KIB, 32, "busy", []),
    ("write 4K depth 128", "memory", "randwrite", 4 * KIB, 128, "busy", []),
    ("read 128K depth 8", "null", "read", 128 * KIB, 8, "busy", []),
    ("read 128K depth 8", "memory", "read", 128 * KIB, 8, "busy", []),
    ("read 4K depth 32, both digests", "null", "randread", 4 * KIB, 32, "busy", ["--digests", "on"]),
    ("read 4K depth 32, adaptive wait", "null", "randread", 4 * KIB, 32, "adaptive", []),
    ("read 4K depth 32, embedded", "null", "randread", 4 * KIB, 32, "embedded", []),
    ("read 4K depth 1, blocking wait", "null", "randread", 4 * KIB, 1, "block", []),
    ("read 4K depth 1, embedded", "null", "randread", 4 * KIB, 1, "embedded", []),
    ("read 4K depth 32, posix driver", "null", "randread", 4 * KIB, 32, "busy", ["--io-driver", "posix"]),
]


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def process(command, **options):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(condition, what, child, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        if child.poll() is not None:
            raise RuntimeError(f"{what} ended: {child.stderr.read().strip()}")
        time.sleep(0.02)
    raise RuntimeError(f"{what} was not ready after {seconds} s")


@contextlib.contextmanager
def netstord(build, folder, poll):
    """Serves one null and one memory volume; answers their URIs by store."""
    port_file = folder / f"port-{poll}"
    command = ["taskset", "-c", str(SERVER_CPU), build / "server" / "netstord", "--shards", "1",
               "--listen", "127.0.0.1:0", "--port-file", port_file, "--poll-budget-us", poll,
               "--state", folder / f"state-{poll}",
               "--volume", "null=1GiB,store=null", "--volume", "memory=256MiB,store=memory"]
    with process(list(map(str, command))) as child:
        wait_for(lambda: port_file.exists() and port_file.read_text().strip(), "netstord", child)
        port = int(port_file.read_text().split()[0])
        nqn = "nqn.2026-01.io.netstor"
        yield {store: f"nvme+tcp://127.0.0.1:{port}/{nqn}:{store}" for store in ("null", "memory")}, child


def limit(build, payload, wait, seconds):
    return run_json([build / "bench" / "limit", "--payload", str(payload), "--wait", wait,
                     "--seconds", str(seconds)])


def load(build, uri, case, seconds):
    _, _, verb, block, depth, wait, more = case
    return run_json([build / "bench" / "load", "--uri", uri, "--rw", verb, "--block", str(block), "--depth",
                     str(depth), "--wait", wait, "--seconds", str(seconds), *more])


@contextlib.contextmanager
def nbdkit():
    if not shutil.which("nbdkit"):
        yield None
        return
    port = 10900 + os.getpid() % 1000
    command = ["taskset", "-c", str(SERVER_CPU), "nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port),
               "memory", "1G"]
    with process(command) as child:
        time.sleep(0.5)
        yield f"nbd://127.0.0.1:{port}" if child.poll() is None else None


@contextlib.contextmanager
def tgt(folder):
    if not shutil.which("tgtd") or os.geteuid() != 0:
        yield None
        return
    port, control = 11900 + os.getpid() % 1000, str(1 + os.getpid() % 30000)
    disk = folder / "tgt.img"
    with open("/dev/shm/netstor-bench-tgt.img", "wb") as image:
        image.truncate(256 << 20)
        disk = image.name
    command = ["taskset", "-c", str(SERVER_CPU), "tgtd", "-f", "-C", control,
               "--iscsi", f"portal=127.0.0.1:{port}"]
    with process(command) as child:
        target = "iqn.2026-01.io.netstor:bench"
        try:
            time.sleep(0.5)
            for step in (["--mode", "target", "--op", "new", "--tid", "1", "-T", target],
                         ["--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "-b", disk],
                         ["--mode", "target", "--op", "bind", "--tid", "1", "-I", "ALL"]):
                subprocess.run(["tgtadm", "-C", control, "--lld", "iscsi", *step], check=True,
                               capture_output=True)
            yield f"iscsi://127.0.0.1:{port}/{target}/1"
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"tgt: skipped: {error}", file=sys.stderr)
            yield None
        finally:
            os.unlink(disk)


def peers(build, folder, depths, seconds, rows):
    for name, server, program in (("libnbd + nbdkit memory", nbdkit(), "peer_nbd"),
                                  ("libiscsi + tgt", tgt(folder), "peer_iscsi")):
        tool = build / "bench" / program
        with server as uri:
            if uri is None or not tool.exists():
                print(f"{name}: skipped: not installed (./dev bench installs it)", file=sys.stderr)
                continue
            for depth in depths:
                result = run_json([tool, "--uri", uri, "--depth", str(depth),
                                   "--seconds", str(seconds)])
                rows.setdefault((f"read 4K depth {depth}", name), []).append(result)


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()}


def measure(args, build, folder):
    floors, rows = [], {}
    with netstord(build, folder, "1000000") as (uris, _):
        for number in range(args.rounds):
            if sys.stderr.isatty():
                print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
            floor = {(payload, "busy"): limit(build, payload, "busy", args.seconds)
                     for payload in (4 * KIB, 128 * KIB)}
            floor[4 * KIB, "block"] = limit(build, 4 * KIB, "block", args.seconds)
            floors.append(floor)
            for case in CASES:
                if args.only and args.only not in case[0]:
                    continue
                rows.setdefault((case[0], case[1]), []).append(load(build, uris[case[1]], case, args.seconds))
    if not args.no_peers:
        for _ in range(args.rounds):
            peers(build, folder, (1, 8, 32, 128), args.seconds, rows)
    return floors, rows


def summarize(floors, rows):
    table = []
    for (name, what), results in rows.items():
        payload = 128 * KIB if "128K" in name else 4 * KIB
        wait = "block" if "blocking" in name else "busy"
        ratios = []
        for floor, result in zip(floors, results):
            base = floor[payload, wait]
            alone = "depth 1" in name and "depth 128" not in name
            ratios.append(result["p50_us"] / base["p50_us"] if alone
                          else result["per_second"] / base["per_second"])
        keys = ("per_second", "p50_us", "p99_us", "cpu_part", "copied_bytes", "allocations", "system_calls")
        middle = {key: statistics.median(r[key] for r in results) for key in keys if key in results[0]}
        operations = statistics.median(r["operations"] for r in results)
        if "system_calls" in middle:
            middle["system_calls_per_operation"] = middle.pop("system_calls") / max(operations, 1)
        table.append({"case": name, "over": what, "ratio": statistics.median(ratios), **middle})
    return table


def print_table(floors, table):
    base = {key: statistics.median(f[key]["per_second"] for f in floors) for key in floors[0]}
    half = {key: statistics.median(f[key]["p50_us"] for f in floors) for key in floors[0]}
    for (payload, wait), rate in base.items():
        print(f"floor, {payload // KIB} KiB, {wait}: {rate:,.0f}/s, p50 {half[payload, wait]:.1f} µs")
    print(f"\n{'case':<34}{'over':<24}{'to floor':>9}{'per second':>12}{'p50 µs':>9}{'p99 µs':>9}"
          f"{'calls/op':>9}")
    for row in table:
        calls = row.get("system_calls_per_operation")
        print(f"{row['case']:<34}{row['over']:<24}{row['ratio']:>9.2f}{row['per_second']:>12,.0f}"
              f"{row['p50_us']:>9.1f}{row['p99_us']:>9.1f}{'' if calls is None else f'{calls:.2f}':>9}")
    print("\nto floor: at depth 1 latency / floor's latency (less is better), "
          "else rate / floor's rate (more is better)")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--json", action="store_true", help="print what the table is made of")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each case in each round")
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench: needs two cores, one for each side")
    with tempfile.TemporaryDirectory(prefix="netstor-bench-") as folder:
        try:
            floors, rows = measure(args, args.build.resolve(), pathlib.Path(folder))
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            sys.exit(f"bench: {error}")
    table = summarize(floors, rows)
    if args.json:
        floor_rows = [{"payload": p, "wait": w, **f[p, w]} for f in floors for p, w in f]
        print(json.dumps({"machine": machine(), "floor": floor_rows, "table": table}, indent=2))
    else:
        print_table(floors, table)


if __name__ == "__main__":
    main()
