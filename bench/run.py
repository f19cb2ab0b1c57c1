#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures netstor beside a limit and its peers, in one run, and prints the table of bench/README.md.

    python3 bench/run.py --build build/release            the table
    python3 bench/run.py --build build/release --json     what the table is made of
    … --only read --rounds 5 --seconds 2 --no-peers       a part of it, longer

Every case is run once a round, right after its floor (a bare TCP ping-pong of the same bytes on the same
two cores, while the server is stopped); the table shows the median over the rounds of rate / floor's rate,
or, at depth 1, of latency / floor's latency. Client on core 0, server on core 1, both polling without pause
unless the case says otherwise.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SERVER_CPU = 1  # the client takes core 0 by itself
KIB = 1024
FLOOR_SECONDS = 0.5

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


@contextlib.contextmanager
def stopped(child):
    """A server that polls takes no core from what is measured without it."""
    child.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        child.send_signal(signal.SIGCONT)


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
                floor = limit(build, 4 * KIB, "busy", FLOOR_SECONDS)
                result = run_json([tool, "--uri", uri, "--depth", str(depth),
                                   "--seconds", str(seconds)])
                rows.setdefault((f"read 4K depth {depth}", name), []).append((floor, result))


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "tcp_congestion_control": congestion.read_text().strip() if congestion.exists() else "?"}


def measure(args, build, folder):
    """Pairs of floor and result, by case and by what it ran over."""
    rows = {}
    cases = [case for case in CASES if not args.only or args.only in case[0]]
    with netstord(build, folder, "1000000") as (uris, server):
        for number in range(args.rounds):
            for at, case in enumerate(cases):
                if sys.stderr.isatty():
                    print(f"\rround {number + 1} of {args.rounds}, case {at + 1} of {len(cases)} ",
                          end="", file=sys.stderr)
                with stopped(server):
                    floor = limit(build, case[3], "block" if case[5] == "block" else "busy", FLOOR_SECONDS)
                rows.setdefault(case[:2], []).append((floor, load(build, uris[case[1]], case, args.seconds)))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if not args.no_peers:
        for _ in range(args.rounds):
            peers(build, folder, (1, 8, 32, 128), args.seconds, rows)
    return rows


def summarize(rows):
    table = []
    for (name, what), pairs in rows.items():
        results = [result for _, result in pairs]
        key = "p50_us" if re.search(r"depth 1\b", name) else "per_second"
        ratios = [result[key] / floor[key] for floor, result in pairs]
        keys = ("per_second", "p50_us", "p99_us", "cpu_part", "copied_bytes", "allocations", "system_calls")
        middle = {key: statistics.median(r[key] for r in results) for key in keys if key in results[0]}
        operations = statistics.median(r["operations"] for r in results)
        if "system_calls" in middle:
            middle["system_calls_per_operation"] = middle.pop("system_calls") / max(operations, 1)
        table.append({"case": name, "over": what, "ratio": statistics.median(ratios),
                      "ratio_least": min(ratios), "ratio_most": max(ratios),
                      "floor_per_second": statistics.median(floor["per_second"] for floor, _ in pairs),
                      "floor_p50_us": statistics.median(floor["p50_us"] for floor, _ in pairs), **middle})
    return table


def print_table(table):
    print(f"{'case':<34}{'over':<24}{'to floor':>9}{'per second':>12}{'p50 µs':>9}{'p99 µs':>9}"
          f"{'calls/op':>9}{'floor p50':>10}{'floor/s':>9}")
    for row in table:
        calls = row.get("system_calls_per_operation")
        print(f"{row['case']:<34}{row['over']:<24}{row['ratio']:>9.2f}{row['per_second']:>12,.0f}"
              f"{row['p50_us']:>9.1f}{row['p99_us']:>9.1f}{'' if calls is None else f'{calls:.2f}':>9}"
              f"{row['floor_p50_us']:>10.1f}{row['floor_per_second']:>9,.0f}")
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
            rows = measure(args, args.build.resolve(), pathlib.Path(folder))
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            sys.exit(f"bench: {error}")
    table = summarize(rows)
    if args.json:
        print(json.dumps({"machine": machine(), "table": table}, indent=2))
    else:
        print_table(table)


if __name__ == "__main__":
    main()
