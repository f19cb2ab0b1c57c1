#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the client and the endpoint of buckets beside their limits and peers, in one run.

    ./dev bench buckets                    the tables of bench/README.md
    ./dev bench buckets --json FILE        … and what they are made of
    … --only "get 4K" --rounds 5 --seconds 2 --no-peers

Client on core 0, server on core 1. The client is measured against servers that cost nearly nothing
(bench/canned; nginx with static files), right after its limit, a bare loop over sockets with the same
requests; the endpoint is measured by wrk and by that loop, right after nginx with the same files. Ratios are
medians over the rounds.
"""
import argparse
import configparser
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from run import KIB, machine, process, run_json, wait_for

MIB = KIB * KIB
SIZES = {"4K": 4 * KIB, "1M": MIB, "64M": 64 * MIB}
DEPTHS = (1, 8, 32)
MEASURES = ("limit", "nginx", "libcurl")  # what a row's ratio is to, the first that is there
PEER_CASES = {("4K", 32), ("64M", 8)}  # of those that are slow; once is enough for them
NGINX = """worker_processes 1; worker_cpu_affinity 10; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; default_type text/plain;
open_file_cache max=100; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl; root {root};
ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; }} }}
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def memory_mib(pid, what):
    found = re.search(rf"{what}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / KIB if found else 0  # one that has ended has none


@contextlib.contextmanager
def canned(build):
    with process([str(build / "bench/canned"), "--cpu", "1"]) as child:
        yield int(child.stdout.readline())


@contextlib.contextmanager
def nginx(folder):
    """Serves files of all sizes out of memory; answers its ports, plain and TLS."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        sys.exit("bench: nginx is not installed (./dev setup bench)")
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="netstor-bench-", dir="/dev/shm") as root:
        (pathlib.Path(root) / "things").mkdir()
        for size in SIZES.values():
            (pathlib.Path(root) / f"things/o{size}").write_bytes(b"x" * size)
        os.chmod(root, 0o755)
        os.chmod(folder, 0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                       check=True, capture_output=True)
        (folder / "nginx.conf").write_text(
            NGINX.format(folder=folder, root=root, port=ports[0], tls_port=ports[1]))
        with process([program, "-c", str(folder / "nginx.conf")]) as child:
            wait_for(lambda: answers(ports[0]), "nginx", child)
            yield ports


@contextlib.contextmanager
def netstord(build, folder):
    """The endpoint on core 1, with the files that nginx has; answers its port, its process and the query of a
    presigned URL of the smallest."""
    ports = folder / "ports"
    command = ["taskset", "-c", "1", build / "server/netstord", "--shards", "1", "--listen", "127.0.0.1:0",
               "--s3-listen", "127.0.0.1:0", "--port-file", ports, "--state", folder / "state",
               "--bucket", "things,anonymous=read", "--log-level", "warning"]
    with process(list(map(str, command))) as child:
        wait_for(lambda: ports.exists() and len(ports.read_text().split()) == 2, "netstord", child)
        port = int(ports.read_text().split()[1])
        keys = configparser.RawConfigParser()
        keys.read(folder / "state/s3-keys")
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env["AWS_ACCESS_KEY_ID"] = keys["default"]["aws_access_key_id"]
        env["AWS_SECRET_ACCESS_KEY"] = keys["default"]["aws_secret_access_key"]

        def tool(*words):
            return subprocess.run([build / "tools/netstor/netstor", *words, "--endpoint-url",
                                   f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True,
                                  env=env).stdout

        for size in SIZES.values():
            (folder / "object").write_bytes(b"x" * size)
            tool("cp", folder / "object", f"s3://things/o{size}")
        url = tool("presign", f"s3://things/o{4 * KIB}").strip()
        yield port, child.pid, url[url.index("?"):]


class Bench:
    def __init__(self, args, ports, folder, query):
        self.args, self.ports, self.folder, self.query = args, ports, folder, query
        self.bench = args.build / "bench"
        self.rows = {}  # (table, case, who): [result]

    def note(self, table, case, who, result):
        self.rows.setdefault((table, case, who), []).append(result)
        if sys.stderr.isatty():
            print(f"\r{table} {case}: {who} \033[K", end="", file=sys.stderr)

    def load(self, program, server, verb, size, depth, *more):
        port = self.ports[server]
        url = ("https" if server == "nginx-tls" else "http") + f"://127.0.0.1:{port}"
        at = {"bucket_limit": ["--port", str(port)], "bucket_load": ["--endpoint", url],
              "peer_curl": ["--url", url], "peer_boto3.py": ["--endpoint", url]}[program]
        if server == "nginx-tls":
            at += ["--ca-file", str(self.folder / "cert.pem")]
        path = [self.bench / program]
        if program.endswith(".py"):
            path = ["/usr/bin/python3", pathlib.Path(__file__).parent / program]
        return run_json([*path, *at, "--verb", verb, "--size", str(size), "--depth", str(depth), "--seconds",
                         str(self.args.seconds), *more])

    def wanted(self, case):
        return not self.args.only or self.args.only in case

    # ---- The client.

    def client(self):
        for server, verb in (("nginx", "get"), ("canned", "get"), ("canned", "put")):
            for name, size in SIZES.items():
                for depth in DEPTHS:
                    case = f"{verb} {name}, {depth} at once, {server}"
                    if self.wanted(case) and (server, verb, name) != ("canned", "get", "1M"):
                        self.client_case(case, server, verb, size, depth)
                        slow = (name, depth) in PEER_CASES and server == "canned"
                        if slow and not self.args.no_peers and ("client", case, "boto3") not in self.rows:
                            self.slow_peers(case, verb, size, depth)

    def client_case(self, case, server, verb, size, depth):
        self.note("client", case, "limit", self.load("bucket_limit", server, verb, size, depth))
        self.note("client", case, "netstor", self.load("bucket_load", server, verb, size, depth))
        if verb == "put":
            self.note("client", case, "netstor, payload not signed",
                      self.load("bucket_load", server, verb, size, depth, "--sign", "never"))
        if not self.args.no_peers and (self.bench / "peer_curl").exists():
            self.note("client", case, "libcurl", self.load("peer_curl", server, verb, size, depth))

    def slow_peers(self, case, verb, size, depth):
        try:
            self.note("client", case, "boto3", self.load("peer_boto3.py", "canned", verb, size, depth))
        except RuntimeError as error:
            print(f"boto3: skipped: {error}", file=sys.stderr)
        if shutil.which("rclone"):
            self.note("client", case, "rclone", self.rclone(verb, size, depth))

    def rclone(self, verb, size, depth):
        """Copies files between memory and the server; its start is part of the time."""
        count = 1000 if size < MIB else 32
        with tempfile.TemporaryDirectory(prefix="netstor-bench-", dir="/dev/shm") as folder:
            local = pathlib.Path(folder) / "local"
            local.mkdir()
            names = [f"{i}o{size}" for i in range(count)]
            (pathlib.Path(folder) / "names").write_text("\n".join(names))
            for name in names if verb == "put" else []:
                (local / name).write_bytes(b"x" * size)
            remote = (f":s3,provider=Other,env_auth=false,access_key_id=a,secret_access_key=b,"
                      f"endpoint='http://127.0.0.1:{self.ports['canned']}':things")
            ends = [str(local), remote] if verb == "put" else [remote, str(local)]
            begin = time.monotonic()
            child = subprocess.Popen(
                ["taskset", "-c", "0", "rclone", "copy", *ends, "--files-from-raw",
                 f"{folder}/names", "--no-traverse", "--no-check-dest", "--s3-no-head",
                 "--s3-no-check-bucket", "--ignore-checksum", "--transfers", str(depth),
                 "--retries=1", "--low-level-retries=1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")})
            peak = 0
            while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
                peak = max(peak, memory_mib(child.pid, "VmHWM"))
                time.sleep(0.005)
            child.returncode = os.waitstatus_to_exitcode(ended[1])
            seconds = time.monotonic() - begin
            if child.returncode != 0:
                raise RuntimeError(f"rclone: {child.stderr.read().decode()}")
            child.stderr.close()
        cpu, gigabytes = ended[2].ru_utime + ended[2].ru_stime, count * size / 1e9
        return {"operations": count, "per_second": count / seconds, "gb_per_second": gigabytes / seconds,
                "cpu_per_gb": cpu / gigabytes, "peak_mib": peak, "beyond_buffers_mib": peak}

    def tls(self):
        for name, depth in (("4K", 32), ("64M", 8)):
            case = f"get {name}, {depth} at once, TLS"
            if self.wanted(case) and not self.args.no_peers:
                for who, program in (("libcurl", "peer_curl"), ("netstor", "bucket_load")):
                    self.note("TLS", case, who,
                              self.load(program, "nginx-tls", "get", SIZES[name], depth))

    def queued(self):
        case = "get 4K, 10,000 at once over 32 connections"
        if self.wanted(case):
            self.note("client", case, "netstor", self.load("bucket_load", "canned", "get", 4 * KIB, 10_000,
                                                           "--connections", "32"))

    # ---- The endpoint.

    def wrk(self, server, size, depth, query=""):
        done = subprocess.run(["taskset", "-c", "0", "wrk", "-t1", f"-c{depth}", "--latency",
                               f"-d{max(1, round(self.args.seconds))}s",
                               f"http://127.0.0.1:{self.ports[server]}/things/o{size}{query}"],
                              capture_output=True, text=True, check=True, timeout=60).stdout
        if "Non-2xx" in done:
            raise RuntimeError(f"wrk: {done}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])
        return {"per_second": rate, "gb_per_second": rate * size / 1e9}

    def endpoint(self):
        for name, size in SIZES.items():
            for depth in DEPTHS:
                case = f"get {name}, {depth} at once"
                if not self.wanted("endpoint " + case):
                    continue
                for server in ("nginx", "netstord"):
                    if name == "4K" and shutil.which("wrk"):
                        self.note("endpoint, by wrk", case, server, self.wrk(server, size, depth))
                    self.note("endpoint, by the bare loop", case, server,
                              self.load("bucket_limit", server, "get", size, depth, "--signature", "off"))

                if name == "4K" and shutil.which("wrk"):
                    self.note("endpoint, by wrk", case, "netstord, presigned URL",
                              self.wrk("netstord", size, depth, self.query))

    def idle(self, pid):
        case = "1,000 idle connections"
        if not self.wanted("endpoint " + case):
            return

        before, peers = memory_mib(pid, "VmRSS"), []
        for _ in range(1000):
            peers.append(http.client.HTTPConnection("127.0.0.1", self.ports["netstord"]))
            peers[-1].request("GET", f"/things/o{4 * KIB}")
            assert len(peers[-1].getresponse().read()) == 4 * KIB
        more = memory_mib(pid, "VmRSS") - before
        self.note("endpoint, memory", case, "netstord", {"beyond_buffers_mib": more})
        for each in peers:
            each.close()


def summarize(rows):
    """The median of each figure, and of the ratio to whom the row is measured by."""
    table = []
    for (kind, case, who), results in rows.items():
        entry = {"table": kind, "case": case, "who": who}
        for key in {key for result in results for key in result} - {"io_driver"}:
            entry[key] = statistics.median(result[key] for result in results)
        by = next((rows[kind, case, one] for one in MEASURES if (kind, case, one) in rows), [])
        for key in ("per_second", "cpu_per_gb"):
            pairs = [(mine[key], his[key]) for mine, his in zip(results, by) if key in mine and key in his]
            if pairs:
                entry[key + "_ratio"] = statistics.median(mine / his for mine, his in pairs if his)
        table.append(entry)
    return table


def print_tables(table):
    columns = [("ratio", "per_second_ratio", "{:.2f}"), ("per second", "per_second", "{:,.0f}"),
               ("GB/s", "gb_per_second", "{:.2f}"), ("p50 µs", "p50_us", "{:,.0f}"),
               ("p99 µs", "p99_us", "{:,.0f}"), ("CPU s/GB", "cpu_per_gb", "{:.3f}"),
               ("CPU ratio", "cpu_per_gb_ratio", "{:.2f}"), ("MiB more", "beyond_buffers_mib", "{:.0f}"),
               ("calls", "system_calls_each", "{:.2f}"), ("new", "allocations_each", "{:.1f}")]
    for kind in dict.fromkeys(row["table"] for row in table):
        print(f"\n| {kind} | |" + "".join(f" {name} |" for name, _, _ in columns))
        print("|---|---|" + "---|" * len(columns))
        for row in (row for row in table if row["table"] == kind):
            cells = [text.format(row[key]) if key in row else "" for _, key, text in columns]
            print(f"| {row['case']} | {row['who']} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench buckets", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--json", type=pathlib.Path, help="write what the tables are made of there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each case in each round")
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    args.build = args.build.resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench: needs two cores, one for each side")
    with tempfile.TemporaryDirectory(prefix="netstor-bench-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        ports = {"canned": stack.enter_context(canned(args.build))}
        ports["nginx"], ports["nginx-tls"] = stack.enter_context(nginx(folder))
        ports["netstord"], pid, query = stack.enter_context(netstord(args.build, folder))
        bench = Bench(args, ports, folder, query)
        failure = None
        try:
            bench.idle(pid)
            bench.queued()
            for _ in range(args.rounds):
                bench.client()
                bench.tls()
                bench.endpoint()
        except (RuntimeError, OSError, subprocess.SubprocessError, KeyboardInterrupt) as error:
            failure = f"bench: {error}"
    table = summarize(bench.rows)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "table": table}, indent=2))
    print_tables(table)
    if failure:
        sys.exit(failure)


if __name__ == "__main__":
    main()
