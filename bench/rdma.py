#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVMe and S3 over RDMA against what the card itself does: perftest and netstor in turns, on one machine.

    ./dev bench rdma                       by software emulation, in a virtual machine (bench/README.md says
    ./dev bench rdma --kernel 6.12         what that can tell)
    ./dev bench rdma --address 10.0.0.1 --device mlx5_0 --gid-index 3
                                           with a card; the address is its own

Ratios are of the two that were measured in the same round; the table has their medians. Payload that was
copied in user space is a failure.
"""
import argparse
import configparser
import contextlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

from run import KIB, process, run_json, wait_for

HERE = pathlib.Path(__file__).resolve().parent
WAIT_S = 60
MIB = KIB * KIB
GUEST = "10.0.2.15"
# What an idle shard does, by netstor's word, and for how long netstord looks for work.
BUDGET_US = {"busy": 1_000_000, "adaptive": 20}
LATENCY = "min max typical average".split()
BANDWIDTH = "peak average".split()


def options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--address", help="of the RDMA device's network interface; without: in a virtual machine")
    add("--device", help="its name (ibv_devices)")
    add("--gid-index", default="1", help="for perftest (default: 1)")
    add("--kernel", default="6.1", help="of the virtual machine (default: 6.1)")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=2, help="of each of netstor's cases (default: 2)")
    add("--iterations", type=int, default=1000,
        help="of each of perftest's, fewer of what is large (default: 1000)")
    add("--build", default="build/release", type=pathlib.Path)
    add("--json", action="store_true")
    chosen = parser.parse_args()
    if (chosen.address is None) != (chosen.device is None):
        parser.error("--address and --device go together")
    return chosen


class Failed(Exception):
    pass


def in_machine(chosen):
    """The same program in a virtual machine with a software device; answers its exit status."""
    again = ["bench/rdma.py", "--address", GUEST, "--device", "rxe0", "--rounds", chosen.rounds, "--seconds",
             chosen.seconds, "--iterations", chosen.iterations, "--build", chosen.build,
             *(["--json"] if chosen.json else [])]
    make = ("rdma link add rxe0 type rxe netdev eth0 && "
            "for i in $(seq 50); do rdma link show | grep -q ACTIVE && break; sleep 0.1; done && ")
    limit = 60 + chosen.rounds * 60
    return subprocess.run([HERE.parent / "tests/vm/run", "--kernel", chosen.kernel, "--limit", str(limit),
                           "-m", "rdma_rxe", "-m", "rdma_ucm", "--",
                           make + " ".join(map(str, again))], check=False, cwd=HERE.parent).returncode


def perftest(chosen, program, size, columns):
    """The line of figures for this size, as the columns' names to numbers."""
    iterations = max(128, chosen.iterations * min(size, 128 * KIB) // size)
    words = list(map(str, [program, "-d", chosen.device, "-x", chosen.gid_index, "-F", "-s", size, "-n",
                           iterations]))
    end = time.monotonic() + WAIT_S
    with process(words) as server:
        while True:  # until the server listens
            done = subprocess.run([*words, chosen.address], capture_output=True, text=True, timeout=WAIT_S,
                                  check=False)
            for line in done.stdout.splitlines():
                if re.match(rf"\s*{size}\s+\d", line):
                    return dict(zip(columns, map(float, line.split()[2:])))
            if server.poll() is not None or time.monotonic() > end:
                raise Failed(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
            time.sleep(0.2)


class Servers:
    """netstord with a volume, and a bucket where this build has S3 over RDMA."""

    def __init__(self, chosen, folder, poll):
        self.chosen, self.poll = chosen, poll
        program, self.tool = chosen.build / "server/netstord", chosen.build / "tools/netstor/netstor"
        self.buckets = all(option in subprocess.run([*words, "--help"], capture_output=True, text=True,
                                                    check=False).stdout
                           for words, option in (([program], "--s3-listen-rdma"),
                                                 ([self.tool, "bench"], "--rdma ")))
        self.ports = folder / "ports"
        self.state = folder / "state"
        self.words = [program, "--state", self.state, "--port-file", self.ports, "--shards", 1, "--log-level",
                      "warning", "--poll-budget-us", BUDGET_US[poll], "--listen-rdma", f"{chosen.address}:0",
                      "--volume", "bench=128MiB,store=memory"]
        if self.buckets:
            self.words += ["--s3-listen", f"{chosen.address}:0", "--s3-listen-rdma", f"{chosen.address}:0",
                           "--bucket", "bench"]

    @contextlib.contextmanager
    def running(self):
        with process(list(map(str, self.words))) as child:
            wait_for(lambda: self.ports.exists() and self.ports.read_text().strip(), "netstord", child,
                     WAIT_S)
            yield self.ports.read_text().split()

    def load(self, uri, *words, env=None):
        command = [self.tool, "bench", uri, "--seconds", self.chosen.seconds, "--poll", self.poll, "--json",
                   *words]
        done = run_json(["env", *(env or []), *map(str, command)])
        copied = done["metrics"]["copied_bytes"]
        if copied:
            raise Failed(f"{uri}: {copied} bytes of payload were copied")
        return done

    def read(self, ports, *words):
        uri = f"nvme+rdma://{self.chosen.address}:{ports[0]}/nqn.2026-01.io.netstor:bench"
        return self.load(uri, "--rw", "randread", *words)

    def get(self, ports, *words):
        keys = configparser.RawConfigParser()
        keys.read(self.state / "s3-keys")
        done = self.load("s3://bench", "--rw", "get", "--rdma", "required", "--endpoint-url",
                         f"http://{self.chosen.address}:{ports[1]}", *words,
                         env=[f"AWS_{name.upper()}={keys['default'][f'aws_{name}']}"
                              for name in ("access_key_id", "secret_access_key")])
        if not done["metrics"]["rdma_requests"]:
            raise Failed("no object came by RDMA")
        return done


def latency_us(done):
    return done["latency"]["p50_ns"] / 1000


def rate(done):
    return done["bytes_per_second"] / MIB


def measure(chosen, folder):
    """{(case, unit, of, poll): [(netstor's, the limit's)]}: a round is perftest and netstor by turns."""
    rows = {}

    def add(case, unit, of, poll, ours, limit):
        rows.setdefault((case, unit, of, poll), []).append((ours, limit))

    for number in range(chosen.rounds):
        read = perftest(chosen, "ib_read_lat", 4 * KIB, LATENCY)["typical"]
        send = perftest(chosen, "ib_send_lat", 64, LATENCY)["typical"]  # half of a round trip
        write = {size: perftest(chosen, "ib_write_bw", size, BANDWIDTH)["average"]
                 for size in (128 * KIB, MIB)}
        for poll in BUDGET_US:
            servers = Servers(chosen, folder / f"{poll}{number}", poll)
            servers.ports.parent.mkdir()
            with servers.running() as ports:
                add("read 4 KiB, depth 1", "µs", "ib_read_lat + a round trip of ib_send_lat", poll,
                    latency_us(servers.read(ports, "--block-size", "4KiB", "--depth", 1)), read + 2 * send)
                add("read 128 KiB, depth 8", "MiB/s", "ib_write_bw", poll,
                    rate(servers.read(ports, "--block-size", "128KiB", "--depth", 8)), write[128 * KIB])
                if servers.buckets:
                    add("get 1 MiB, 8 at once", "MiB/s", "ib_write_bw", poll,
                        rate(servers.get(ports, "--size", "1MiB", "--parallel", 8)), write[MIB])
    return rows


def summary(rows):
    for (case, unit, of, poll), pairs in rows.items():
        ratios = [ours / limit for ours, limit in pairs]
        yield {"case": case, "unit": unit, "of": of, "poll": poll,
               "netstor": statistics.median(ours for ours, _ in pairs),
               "limit": statistics.median(limit for _, limit in pairs),
               "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
               "copied_bytes": 0}


def main():
    chosen = options()
    if chosen.address is None:
        return in_machine(chosen)
    try:
        with tempfile.TemporaryDirectory(prefix="netstor-bench-") as folder:
            table = list(summary(measure(chosen, pathlib.Path(folder))))
    except (Failed, OSError, RuntimeError, subprocess.TimeoutExpired) as why:
        print(f"bench/rdma.py: {why}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps({"device": chosen.device, "cores": os.cpu_count(), "kernel": platform.release(),
                          "rows": table}, indent=1))
        return 0
    print("| case | waiting | netstor | limit | ratio | of |\n|---|---|---|---|---|---|")
    for row in table:
        print(f"| {row['case']} | {row['poll']} | {row['netstor']:.1f} {row['unit']} | {row['limit']:.1f} "
              f"| {row['ratio']:.2f} [{row['least']:.2f}–{row['most']:.2f}] | {row['of']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
