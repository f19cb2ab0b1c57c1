# SPDX-License-Identifier: Apache-2.0
"""One virtual machine that runs one command on the host's root file system.

QEMU boots the kernel with an initramfs of a busybox and five modules, which mounts the host's root over 9p
and a tmpfs above it: the guest sees all and changes nothing. Three virtual ports lead out: the command's
output, its errors, and what the guest tells of its progress ("started SECONDS", "exit STATUS", "fail
REASON").
"""
import ctypes
import dataclasses
import io
import lzma
import os
import pathlib
import re
import selectors
import shlex
import signal
import subprocess
import tempfile
import time

import kernels
import left_out

HERE = pathlib.Path(__file__).resolve().parent
BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console")
BOOT_SECONDS = 120
PROBE_SECONDS = 20
CONSOLE_LINES = 30
LAST_WORDS = re.compile(r"(?<=netstor-vm: fail ).*|Kernel panic.*|BUG:.*|Oops:.*|Out of memory.*")
# Predictable, quick under emulation, and an oops ends the machine instead of lingering.
APPEND = ("console=ttyS0 quiet panic=-1 oops=panic nokaslr mitigations=off no_timer_check tsc=reliable "
          "cryptomgr.notests random.trust_cpu=on net.ifnames=0")


@dataclasses.dataclass
class Settings:
    command: str                      # one shell command line
    kernel: str = kernels.DEFAULT
    modules: list = dataclasses.field(default_factory=list)
    cpus: int = 2
    memory_mib: int = 1024
    limit_s: float = 300
    directory: str = "/"
    environment: list = dataclasses.field(default_factory=list)   # NAME=VALUE
    shares: list = dataclasses.field(default_factory=list)        # folders, read and write
    forwards: list = dataclasses.field(default_factory=list)      # HOST:GUEST
    nvme_disks: list = dataclasses.field(default_factory=list)    # files
    append: str = ""
    qemu_arguments: list = dataclasses.field(default_factory=list)
    accelerator: str = "auto"         # auto, kvm, tcg
    console: str = ""                 # keep the console's output here
    cache: str = ""


@dataclasses.dataclass
class Outcome:
    status: int            # the command's, or 124 (took too long), or 125 (no guest, or it died)
    reason: str = ""       # why there is no status of the command's
    boot_s: float = 0
    total_s: float = 0
    accelerator: str = ""
    console_tail: str = ""


# ---- The initramfs.

def _cpio(files):
    """A "newc" archive of (name, mode, bytes)."""
    archive = io.BytesIO()
    for inode, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        archive.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
    return archive.getvalue()


def _initramfs(kernel, settings, busybox):
    files = [("busybox", 0o100755, pathlib.Path(busybox).read_bytes()),
             ("init", 0o100755, (HERE / "guest_init.sh").read_bytes()),
             ("guest_main.sh", 0o100644, (HERE / "guest_main.sh").read_bytes()),
             ("boot_modules", 0o040755, b"")]
    order = []
    for module in BOOT_MODULES:
        for path in kernels.files_of(kernel, module):
            name = path.name.removesuffix(".xz")
            if name in order:
                continue
            data = path.read_bytes()
            files.append((f"boot_modules/{name}", 0o100644,
                          lzma.decompress(data) if path.suffix == ".xz" else data))
            order.append(name)
    files.append(("boot_modules/order", 0o100644, "".join(f"{name}\n" for name in order).encode()))
    shares = "\n".join(f"share{at} {path}" for at, path in enumerate(settings.shares))
    values = {"kernel_release": kernel.release, "modules": " ".join(settings.modules), "shares": shares,
              "upper_percent": "60"}
    files.append(("settings", 0o100644,
                  "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items()).encode()))
    command = [f"cd {shlex.quote(settings.directory)} || exit 125"]
    command += [f"export {name}={shlex.quote(value)}" for name, _, value in
                (pair.partition("=") for pair in settings.environment)]
    files.append(("command", 0o100644, "\n".join([*command, settings.command, ""]).encode()))
    return _cpio(files)


# ---- QEMU's command line.

def _folder(tag, path, read_only):
    where = str(path).replace(",", ",,")
    mode = ",readonly=on" if read_only else ""
    return ["-fsdev", f"local,id={tag},path={where},security_model=none,multidevs=remap{mode}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def _arguments(kernel, settings, accelerator, initramfs, console, ports):
    kvm = accelerator == "kvm"
    words = [kernels.need("qemu-system-x86_64", "qemu-system-x86"),
             "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu", "host" if kvm else "max,la57=off",
             "-M", "q35", "-smp", str(settings.cpus), "-m", str(settings.memory_mib),
             "-nodefaults", "-display", "none", "-no-reboot",
             "-kernel", str(kernel.vmlinux), "-initrd", str(initramfs),
             "-append", f"{APPEND} {settings.append}".strip(), "-serial", f"file:{console}",
             "-device", "virtio-serial-pci"]
    for number, port in enumerate(ports, 1):
        words += ["-chardev", f"file,id=port{number},path=/proc/self/fd/{port}",
                  "-device", f"virtserialport,chardev=port{number},nr={number}"]
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, _, guest in
                       (pair.partition(":") for pair in settings.forwards))
    words += ["-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="]
    words += _folder("root", "/", True) + _folder("modules", kernel.modules, True)
    for at, path in enumerate(settings.shares):
        words += _folder(f"share{at}", path, False)
    for at, path in enumerate(settings.nvme_disks):
        where = os.path.abspath(path).replace(",", ",,")
        words += ["-drive", f"file={where},if=none,id=disk{at},format=raw,cache=unsafe",
                  "-device", f"nvme,serial=netstor{at},drive=disk{at}"]
    return words + settings.qemu_arguments


# ---- Running it.

def _die_with_us():
    """QEMU does not outlive this process, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class _Guest:
    """What comes out of the ports while QEMU runs, and the clock against which it runs."""

    def __init__(self, words, pipes, limits):
        self._boot_limit, self._limit = limits
        self.started_s = None
        self.status = None
        self.failure = ""
        self._half_line = b""
        ends = [write for _, write in pipes]
        self._begin = time.monotonic()
        self._qemu = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, pass_fds=ends, preexec_fn=_die_with_us,
                                      start_new_session=True)
        for end in ends:
            os.close(end)
        self._ports = [read for read, _ in pipes]

    def seconds(self):
        return time.monotonic() - self._begin

    def _late(self):
        if self.started_s is None and self.seconds() > self._boot_limit:
            return f"the guest did not come up within {self._boot_limit:g} s"
        if self.started_s is not None and self.seconds() - self.started_s > self._limit:
            return f"the command took longer than {self._limit:g} s"
        return ""

    def _told(self, data):
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").partition(" ")
            if word == "started":
                self.started_s = self.seconds()
            elif word == "exit":
                self.status = int(rest)
            elif word == "fail":
                self.failure = rest

    def run(self, sinks):
        """Copies until QEMU ends or is out of time; answers why it was ended, or nothing."""
        said = self._qemu.stdout.fileno()
        late = ""
        with selectors.DefaultSelector() as selector:
            for port, sink in zip([*self._ports, said], [*sinks, self._told, self._complain]):
                selector.register(port, selectors.EVENT_READ, sink)
            while selector.get_map() and not late:
                for key, _ in selector.select(0.25):
                    data = os.read(key.fd, 65536)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fd)
                late = self._late()
        return late

    complaint = b""

    def _complain(self, data):
        self.complaint += data

    def end(self, patience_s):
        try:
            self._qemu.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._qemu.kill()
            self._qemu.wait()
        self._qemu.stdout.close()
        for port in self._ports:
            os.close(port)
        return self._qemu.returncode


def _boot(kernel, settings, accelerator, sinks, boot_seconds=BOOT_SECONDS):
    busybox = kernels.need("busybox", "busybox-static")
    with tempfile.TemporaryDirectory(prefix="netstor-vm-") as scratch:
        initramfs, console = pathlib.Path(scratch) / "initramfs", pathlib.Path(scratch) / "console"
        initramfs.write_bytes(_initramfs(kernel, settings, busybox))
        console.touch()
        pipes = [os.pipe() for _ in range(3)]
        words = _arguments(kernel, settings, accelerator, initramfs, console, [write for _, write in pipes])
        guest = _Guest(words, pipes, (boot_seconds, settings.limit_s))
        late = "interrupted"
        try:
            late = guest.run(sinks)
        finally:
            code = guest.end(0 if late else 10)
        text = console.read_text(errors="replace")
        if settings.console:
            pathlib.Path(settings.console).write_text(text)
        outcome = Outcome(125, boot_s=guest.started_s or 0, total_s=guest.seconds(), accelerator=accelerator)
        if guest.status is not None:
            outcome.status = guest.status
            return outcome
        outcome.console_tail = "\n".join(text.strip().splitlines()[-CONSOLE_LINES:])
        if late and guest.started_s is not None:
            outcome.status = 124
        outcome.reason = late or guest.failure or _why_it_died(guest, code, text)
        return outcome


def _why_it_died(guest, code, console):
    last_words = LAST_WORDS.search(console)
    what = "the guest did not boot" if guest.started_s is None else "the guest died under the command"
    why = last_words.group(0) if last_words else guest.complaint.decode("utf-8", "replace").strip()
    return f"{what} (QEMU ended with {code}): {why or 'its console says nothing'}"


# ---- KVM where it really works.

def _kvm_verdict(kernel, cache):
    """"" when a guest comes up under KVM, else why not. Some nested hypervisors have /dev/kvm and run
    nothing, so that a guest is tried once for each start of this machine, and the verdict kept."""
    if not os.path.exists("/dev/kvm"):
        return "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm may not be opened by this user"
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = pathlib.Path(cache) / f"kvm-{kernel.name}"
    if known.exists():
        which, _, verdict = known.read_text().partition("\n")
        if which == boot_id:
            return verdict
    ignore = (lambda data: None)
    trial = Settings(command="true", kernel=kernel.name)
    tried = _boot(kernel, trial, "kvm", (ignore, ignore), PROBE_SECONDS)
    verdict = "" if tried.status == 0 else f"tried under KVM: {tried.reason.splitlines()[0]}"
    known.write_text(f"{boot_id}\n{verdict}")
    return verdict


def run(settings, out, err, say=lambda text: None):
    """Runs the command; `out` and `err` are called with its bytes. Raises kernels.Unavailable."""
    cache = settings.cache or kernels.cache_folder()
    kernels.need("qemu-system-x86_64", "qemu-system-x86")
    kernel = kernels.kernel(settings.kernel, cache, say)
    for module in settings.modules:
        left_out.provide(kernel, module, cache, say)
    accelerator, why = settings.accelerator, ""
    if accelerator == "auto":
        why = _kvm_verdict(kernel, cache)
        accelerator = "tcg" if why else "kvm"
    how = "KVM" if accelerator == "kvm" else "software emulation" + (f" ({why})" if why else "")
    say(f"Linux {kernel.release} under {how}")
    return _boot(kernel, settings, accelerator, (out, err))
