# SPDX-License-Identifier: Apache-2.0
"""What the peers share: the server, the kernel's initiator and its target, a way to call programs that hang,
and a test case that also reads what the kernel had to say.

All of it runs as root in the virtual machine, but for what a peer with where="host" uses.
"""
import ctypes
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import unittest
import uuid

HOST_ID = "6a1c5b52-6c0e-4a43-9d7e-0f4b2c1f7a01"
HOST_NQN = f"nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}"
NQN = "nqn.2026-01.io.netstor"
WAIT_S = 60          # for what takes a moment; emulation is slow, and a machine may be busy
MIB = 1 << 20
FIO = ("fio", "--name=t", "--direct=1", "--thread", "--allow_file_create=0")
# What the kernel logs when it and a peer disagree; nothing of it may follow from what we did.
COMPLAINTS = re.compile(r"BUG:|WARNING:|Oops|blocked for more than|general protection"
                        r"|nvme.*(digest error|bad |invalid |malformed|unexpected|unsupported pdu|not capable"
                        r"|identifiers changed|duplicate|failed to|wrong|mismatch|timeout|I/O Error|ignoring)"
                        r"|nvmet.*(digest error|bad |unexpected|malformed|wrong|failed)", re.IGNORECASE)


@dataclasses.dataclass
class Peer:
    """How a file of tests is run; each has one of these as PEER."""
    title: str
    group: str                    # kernel, disk, auth, tls, tools or s3
    modules: tuple = ()
    where: str = "guest"          # or host: no virtual machine
    memory_mib: int = 1536        # of the machine
    nvme_disks_mib: tuple = ()    # emulated disks of these sizes; serial numbers netstor0, netstor1, …
    append: str = ""              # for the kernel's command line
    host_server: bool = False     # netstord runs on the host; NETSTOR_OUTSIDE has its address
    # kernels.fetch_programs()'s arguments; the folder is in NETSTOR_PROGRAMS.
    programs: dict = dataclasses.field(default_factory=dict)
    host_hands: bool = False      # OnHost runs our programs there; 127.0.0.1:NETSTOR_INSIDE is port 4420 here
    limit_s: int = 900


def long_test(test):
    """Left out of the quick selection."""
    test.long = True
    return test


def limited(seconds):
    """May take so long."""
    def mark(test):
        test.limit_s = seconds
        return test
    return mark


class Answer:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def __str__(self):
        return f"{' '.join(self.words)}: exit status {self.code}\n{self.out[-2000:]}{self.err[-2000:]}"


class Failed(AssertionError):
    pass


def die_with_parent():
    """For a child that must not be left over, however this process ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start(*words, **more):
    return subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True, **more)


def finish(child, limit_s=WAIT_S):
    """The answer of a started program. One that hangs in the kernel cannot be waited for, not even after a
    kill; it is left to the end of the machine."""
    try:
        out, err = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise Failed(f"{' '.join(child.args)}: no end after {limit_s} s") from None
    out, err = (text.decode("utf-8", "replace") for text in (out, err))
    return Answer(child.args, child.returncode, out, err)


def check_conformance(case, driver, uri):
    """The driver contract's tests (tests/conformance) hold for this disk, all of them."""
    _conformance(case, "device_test", 18, "--gtest_filter=*_disk0",
                 NETSTOR_CONFORMANCE_DISKS=f"{driver}={uri}")


def check_message_links(case, address, without="none"):
    """And those of message links, for the RDMA device of this address, but for one."""
    for program, least in (("message_link_test", 40), ("message_end_test", 30)):
        _conformance(case, program, least, f"--gtest_filter=-*.{without}/*", NETSTOR_CONFORMANCE_RDMA=address)


def _conformance(case, program, least, *options, **more):
    answer = finish(start(pathlib.Path(os.environ["NETSTOR_CONFORMANCE"]) / program, *options,
                          env={**os.environ, **more}), 120)
    case.assertEqual(answer.code, 0, answer)
    passed = re.search(r"\[  PASSED  \] (\d+) tests", answer.out)
    case.assertTrue(passed and int(passed[1]) >= least, answer)


def call(*words, limit_s=WAIT_S, ok=True):
    """Runs a program to its end; ok: a failure is a failure of the test (None: either)."""
    answer = finish(start(*words), limit_s)
    if ok is not None and (answer.code == 0) != ok:
        raise Failed(str(answer))
    return answer


def wait_for(what, so, limit_s=WAIT_S):
    """Until so() is true; answers what it answered."""
    end = time.monotonic() + limit_s
    while True:
        answer = so()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"{what}: not so after {limit_s} s")
        time.sleep(0.05)


def write_text(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def read_text(path):
    return pathlib.Path(path).read_text().strip()


def random_file(path, size, seed=1):
    pathlib.Path(path).write_bytes(random.Random(seed).randbytes(size))
    return path


def programs():
    """netstord and the tool, as tests/interop/run was told."""
    return os.environ["NETSTOR_NETSTORD"], os.environ["NETSTOR_TOOL"]


class OnHost:
    """One of our programs, run by tests/interop/run on the host, beside the machine. What both see is in
    folder()."""
    _count = 0

    @staticmethod
    def folder():
        return pathlib.Path(os.environ["NETSTOR_HANDS"])

    def __init__(self, *words):
        OnHost._count += 1
        self.words = list(map(str, words))
        self._answer = self.folder() / f"answer{OnHost._count}"
        draft = self.folder() / f"draft{OnHost._count}"
        draft.write_text(json.dumps(self.words))
        draft.rename(self.folder() / f"ask{OnHost._count}")

    def finish(self, limit_s=WAIT_S, ok=True):
        wait_for(f"the host has run {' '.join(self.words)}", self._answer.exists, limit_s)
        answer = Answer(self.words, *json.loads(self._answer.read_text()))
        if ok is not None and (answer.code == 0) != ok:
            raise Failed(str(answer))
        return answer


# ---- Our server.

class Server:
    """netstord in this machine, with the options that a test gives; `transport` is tcp or rdma."""

    def __init__(self, folder, *options, port=0, listen="127.0.0.1", transport="tcp",
                 before=()):
        self.folder = pathlib.Path(folder)
        self.before = before
        self.flag = "--listen" if transport == "tcp" else "--listen-rdma"
        self.options, self.port, self.listen, self.ports = options, port, listen, []
        self.child = None
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self):
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.child = subprocess.Popen(
                [*self.before, programs()[0], "--state", str(self.folder / "state"),
                 "--port-file", str(port_file), self.flag, f"{self.listen}:{self.port}", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        wait_for("netstord is ready", lambda: self._ready(port_file))
        self.ports = [int(word) for word in port_file.read_text().split()]
        self.port = self.ports[0]
        return self

    def _ready(self, port_file):
        if self.child.poll() is not None:
            raise Failed(f"netstord ended with {self.child.returncode}: {self.log()}")
        return port_file.exists() and port_file.read_text().strip()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        if self.child is None or self.child.poll() is not None:
            return self.child and self.child.returncode
        self.child.terminate()
        try:
            return self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("netstord did not stop within 30 s") from None


# ---- The kernel's initiator, by nvme-cli.

def nvme(*words, **more):
    return call("nvme", *words, **more)


def reach(port, address, transport="tcp"):
    return ["-t", transport, "-a", address, "-s", port, f"--hostnqn={HOST_NQN}", f"--hostid={HOST_ID}"]


def discover(port, address="127.0.0.1", transport="tcp"):
    return json.loads(nvme("discover", *reach(port, address, transport), "-o", "json").out)


class Controller:
    """A connection of the kernel's."""

    def __init__(self, name):
        self.name = name
        self.sysfs = pathlib.Path("/sys/class/nvme") / name

    def get(self, attribute):
        return read_text(self.sysfs / attribute)

    def set(self, attribute, value):
        write_text(self.sysfs / attribute, value)

    def there(self):
        return self.sysfs.exists()

    def wait_state(self, state, limit_s=WAIT_S):
        wait_for(f"{self.name} is {state}", lambda: self.there() and self.get("state") == state, limit_s)

    def namespaces(self):
        """{nsid: device}; behind native multipath the path nvme0c1n1 belongs to the disk nvme0n1."""
        found = {}
        for path in self.sysfs.glob("nvme*n*"):
            match = re.fullmatch(r"nvme(\d+)(?:c\d+)?n(\d+)", path.name)
            if match:
                device = f"/dev/nvme{match.group(1)}n{match.group(2)}"
                if pathlib.Path(device).is_block_device():
                    found[int(match.group(2))] = device
        return found

    @property
    def disk(self):
        return wait_for(f"{self.name} has a namespace", lambda: next(iter(self.namespaces().values()), None))

    def disconnect(self):
        disks = set(self.namespaces().values())
        nvme("disconnect", "-d", self.name)
        wait_for(f"{self.name} is gone", lambda: not self.there())
        # The disk goes a moment later, and who opens it in between has one that fails, or makes a file.
        wait_for(f"{' '.join(disks)} are gone", lambda: all(
            not os.path.exists(disk) or disk in disks_of(controllers()) for disk in disks))


def disks_of(every):
    return {disk for controller in every for disk in controller.namespaces().values()}


def controllers():
    """All over fabrics; an emulated disk may be there, too."""
    every = [Controller(path.name) for path in pathlib.Path("/sys/class/nvme").iterdir()]
    return [controller for controller in every if controller.get("transport") in ("tcp", "rdma")]


def connect(port, nqn, *options, address="127.0.0.1", transport="tcp"):
    answer = nvme("connect", *reach(port, address, transport), "-n", nqn, "-o", "json", *options)
    controller = Controller(json.loads(answer.out)["device"])
    controller.wait_state("live")
    return controller


# ---- The kernel's target, by configfs.

NVMET = pathlib.Path("/sys/kernel/config/nvmet")


class KernelTarget:
    """A port of nvmet's and its subsystems; undone by remove()."""

    def __init__(self, port=4420, address="127.0.0.1", number=1, transport="tcp", **parameters):
        self.port, self.address, self.transport = port, address, transport
        self.folder = NVMET / "ports" / str(number)
        self.folder.mkdir()
        for name, value in {"addr_trtype": transport, "addr_adrfam": "ipv4", "addr_traddr": address,
                            "addr_trsvcid": port, **parameters}.items():
            write_text(self.folder / name, value)
        self.subsystems = []

    @property
    def uri(self):
        return f"nvme+{self.transport}://{self.address}:{self.port}"

    def subsystem(self, nqn, *devices, show=True, **attributes):
        folder = NVMET / "subsystems" / nqn
        folder.mkdir()
        self.subsystems.append(folder)
        for name, value in {"attr_allow_any_host": 1, **attributes}.items():
            write_text(folder / name, value)
        for nsid, device in enumerate(devices, 1):
            self.add_namespace(nqn, nsid, device)
        if show:
            self.show(nqn)
        return f"{self.uri}/{nqn}"

    def add_namespace(self, nqn, nsid, device):
        folder = NVMET / "subsystems" / nqn / "namespaces" / str(nsid)
        folder.mkdir()
        write_text(folder / "device_path", device)
        # One that is made anew is the same volume only by its name.
        write_text(folder / "device_uuid", uuid.uuid5(uuid.UUID(HOST_ID), f"{nqn} {nsid}"))
        if not str(device).startswith("/dev/"):
            write_text(folder / "buffered_io", 1)
        write_text(folder / "enable", 1)

    def enable_namespace(self, nqn, nsid, on):
        write_text(NVMET / "subsystems" / nqn / "namespaces" / str(nsid) / "enable", int(on))

    def resized(self, nqn, nsid):
        write_text(NVMET / "subsystems" / nqn / "namespaces" / str(nsid) / "revalidate_size", 1)

    def remove_namespace(self, nqn, nsid):
        folder = NVMET / "subsystems" / nqn / "namespaces" / str(nsid)
        write_text(folder / "enable", 0)
        folder.rmdir()

    def show(self, nqn):
        os.symlink(NVMET / "subsystems" / nqn, self.folder / "subsystems" / nqn)

    def hide(self, nqn):
        """Ends its controllers' connections."""
        (self.folder / "subsystems" / nqn).unlink()

    def allow(self, nqn, host):
        (NVMET / "hosts" / host).mkdir(exist_ok=True)
        os.symlink(NVMET / "hosts" / host, NVMET / "subsystems" / nqn / "allowed_hosts" / host)

    def remove(self):
        for link in (self.folder / "subsystems").iterdir():
            link.unlink()
        for folder in self.subsystems:
            for host in (folder / "allowed_hosts").iterdir():
                host.unlink()
            for namespace in (folder / "namespaces").iterdir():
                write_text(namespace / "enable", 0)
                namespace.rmdir()
            folder.rmdir()
        self.folder.rmdir()


# ---- RDMA: a software device on the machine's own network. The connection manager knows no 127.0.0.1.

RDMA_ADDRESS = "10.0.2.15"


def need_rdma():
    """Skips a test of a build without."""
    told = call(programs()[1], "info", "--capabilities").out
    without = re.search(r"driver\.rdma +no +(not in this build.*)", told)
    if without:
        raise unittest.SkipTest(without[1])


def rdma_device(kind="rxe"):
    """RoCE (rxe) or iWARP (siw) on eth0; undone by its answer."""
    call("rdma", "link", "add", f"{kind}0", "type", kind, "netdev", "eth0")
    wait_for("the RDMA device is active", lambda: "ACTIVE" in call("rdma", "link", "show").out)
    return lambda: call("rdma", "link", "delete", f"{kind}0", ok=None)


def ram_disk(mib=64, block=512):
    """A null_blk disk that remembers what is written to it."""
    call("modprobe", "null_blk", "nr_devices=0")
    root = pathlib.Path("/sys/kernel/config/nullb")
    number = next(at for at in range(100) if not (root / f"test{at}").exists())
    folder = root / f"test{number}"
    folder.mkdir()
    for name, value in {"size": mib, "blocksize": block, "memory_backed": 1, "discard": 1,
                        "power": 1}.items():
        write_text(folder / name, value)
    return f"/dev/{folder.name}", folder


# ---- A test.

def kernel_log():
    return call("dmesg").out.splitlines()


class Case(unittest.TestCase):
    """A folder in memory, and a look at the kernel's log in the end: `expects` are patterns of what this test
    makes the kernel complain of."""
    expects = ()

    def setUp(self):
        self.folder = pathlib.Path("/run/interop") / self._testMethodName
        self.folder.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.expects = list(type(self).expects)
        write_text("/dev/kmsg", f"interop: {self._testMethodName}\n")
        self.addCleanup(self._read_kernel_log)
        self.addCleanup(self._no_files_among_devices)

    @staticmethod
    def _no_files_among_devices():
        """What is written to a disk that has just gone makes a file of its name instead."""
        files = [path for path in pathlib.Path("/dev").glob("nvme*") if path.is_file()]
        for path in files:
            path.unlink()
        if files:
            raise Failed(f"{' '.join(map(str, files))}: not devices, but files")

    def log(self):
        lines = kernel_log()
        begins = [at for at, line in enumerate(lines) if line.endswith(f"interop: {self._testMethodName}")]
        return lines[begins[-1] + 1:] if begins else lines

    def _read_kernel_log(self):
        log = self.log()
        bad = [line for line in log if COMPLAINTS.search(line) and
               not any(re.search(pattern, line) for pattern in self.expects)]
        if bad:
            raise Failed("\n".join([f"the kernel complains, {len(bad)} times:", *bad[:8], "its last words:",
                                    *log[-16:]]))

    def server(self, *volumes, options=(), **more):
        words = [word for volume in volumes for word in ("--volume", volume)]
        server = Server(self.folder / "netstord", *words, *options, **more).start()
        self.addCleanup(self._stop, server)
        return server

    def _stop(self, server):
        status = server.stop()
        if status != 0 and status != -signal.SIGKILL:
            raise Failed(f"netstord ended with {status}:\n{server.log()[-3000:]}")

    def connect(self, port, nqn, *options, **more):
        controller = connect(port, nqn, *options, **more)
        self.addCleanup(lambda: controller.there() and controller.disconnect())
        return controller

    def volume(self, server, name, *options):
        """The kernel's controller for one of the server's volumes."""
        return self.connect(server.port, f"{NQN}:{name}", *options)

    def same(self, left, right, size=None):
        """Compares files or devices."""
        limit = ["-n", size] if size else []
        call("cmp", *limit, left, right)

    def write_and_compare(self, disk, size=4 * MIB, seed=1, at=0, block=128 * 1024):
        """Bytes to the disk past the page cache, and back."""
        source, back = self.folder / "source", self.folder / "back"
        random_file(source, size, seed)
        call("dd", f"if={source}", f"of={disk}", f"bs={block}", f"seek={at // block}", "oflag=direct",
             "conv=notrunc,nocreat")
        call("dd", f"if={disk}", f"of={back}", f"bs={block}", f"skip={at // block}", f"count={size // block}",
             "iflag=direct")
        self.same(source, back)

    def fio(self, disk, *options, limit_s=120):
        answer = call(*FIO, f"--filename={disk}", "--output-format=json", "--group_reporting", *options,
                      limit_s=limit_s)
        jobs = json.loads(answer.out[answer.out.index("{"):])["jobs"]
        self.assertEqual(sum(job["error"] for job in jobs), 0, answer)
        return jobs[0]

    def no_leftovers(self):
        self.assertEqual([controller.name for controller in controllers()], [])
