#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVMe/RDMA against what the card itself does: perftest and netstor in turns, on one machine, as ratios.

With a card: bench/rdma.py --address 10.0.0.1 --device mlx5_0 [--gid-index 3]; --address is the card's own.
Without one, in a virtual machine, by software emulation (bench/README.md says what that can tell):

  ./dev vm --limit 300 -m rdma_rxe -m rdma_ucm -- 'rdma link add rxe0 type rxe netdev eth0 &&
      bench/rdma.py --address 10.0.2.15 --device rxe0 --gid-index 1'
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

WAIT_S = 60


def options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--address", required=True, help="of the RDMA device's network interface")
    add("--device", required=True, help="its name (ibv_devices)")
    add("--gid-index", default="1", help="for perftest (default: 1)")
    add("--seconds", type=float, default=4, help="of each of netstor's cases (default: 4)")
    add("--iterations", type=int, default=1000, help="of each of perftest's (default: 1000)")
    add("--build", default="build/release", type=pathlib.Path)
    add("--json", action="store_true")
    return parser.parse_args()


class Failed(Exception):
    pass


def perftest(chosen, program, size, columns):
    """The last line of figures, as the columns' names to numbers."""
    words = [program, "-d", chosen.device, "-x", chosen.gid_index, "-F", "-s", str(size),
             "-n", str(chosen.iterations)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        done = subprocess.run([*words, chosen.address], capture_output=True, text=True, timeout=WAIT_S,
                              check=False)
        lines = [line.split() for line in done.stdout.splitlines() if re.match(rf"\s*{size}\s+\d", line)]
        if not lines:
            raise Failed(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return dict(zip(columns, map(float, lines[-1])))
    finally:
        server.kill()
        server.wait()


LATENCY = ("bytes", "iterations", "min", "max", "typical", "average")
BANDWIDTH = ("bytes", "iterations", "peak", "average", "messages")


def netstor(chosen, uri, *words):
    done = subprocess.run([chosen.build / "tools/netstor/netstor", "bench", uri, "--seconds",
                           str(chosen.seconds), "--poll", "busy", "--json", *words],
                          capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode:
        raise Failed(f"netstor bench {uri}: {done.stderr}")
    return json.loads(done.stdout)


def measure(chosen, folder):
    port_file = pathlib.Path(folder) / "port"
    server = subprocess.Popen(
        [chosen.build / "server/netstord", "--state", f"{folder}/state", "--port-file", port_file,
         "--listen-rdma", f"{chosen.address}:0", "--volume", "bench=128MiB,store=memory", "--shards", "1"],
        stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + WAIT_S
        while not (port_file.exists() and port_file.read_text().strip()):
            if server.poll() is not None or time.monotonic() > end:
                raise Failed("netstord did not start")
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        uri = f"nvme+rdma://{chosen.address}:{port}/nqn.2026-01.io.netstor:bench"
        small = netstor(chosen, uri, "--rw", "randread", "--block-size", "4KiB", "--depth", "1")
        large = netstor(chosen, uri, "--rw", "randread", "--block-size", "128KiB", "--depth", "8")
    finally:
        server.terminate()
        server.wait()
    read = perftest(chosen, "ib_read_lat", 4096, LATENCY)["typical"]
    send = perftest(chosen, "ib_send_lat", 64, LATENCY)["typical"]
    write = perftest(chosen, "ib_write_bw", 131072, BANDWIDTH)["average"]  # MiB a second
    latency = small["latency"]["p50_ns"] / 1000
    rate = large["iops"] * 131072 / (1 << 20)
    # ib_send_lat tells half of a round trip.
    return [{"case": "read 4 KiB depth 1, µs", "netstor": latency, "limit": read + 2 * send,
             "ratio": latency / (read + 2 * send), "of": "ib_read_lat + a round trip of ib_send_lat",
             "copied_bytes": small["metrics"]["copied_bytes"]},
            {"case": "read 128 KiB depth 8, MiB/s", "netstor": rate, "limit": write, "ratio": rate / write,
             "of": "ib_write_bw", "copied_bytes": large["metrics"]["copied_bytes"]}]


def main():
    chosen = options()
    try:
        with tempfile.TemporaryDirectory(prefix="netstor-bench-") as folder:
            rows = measure(chosen, folder)
    except (Failed, OSError, subprocess.TimeoutExpired) as why:
        print(f"bench/rdma.py: {why}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| case | netstor | limit | ratio | of | copied |\n|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['case']} | {row['netstor']:.1f} | {row['limit']:.1f} | {row['ratio']:.2f} "
              f"| {row['of']} | {row['copied_bytes']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
