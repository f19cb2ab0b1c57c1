# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels, fetched and unpacked into a cache of ours.

Packages come with apt from a private list of sources and are checked against Debian's keys; the machine's own
sources, lists and installed packages stay as they are, and nobody has to be root. A kernel in the cache is

    CACHE/NAME-ARCH/vmlinux      uncompressed ELF: no boot loader, no decompression in a slow machine
    CACHE/NAME-ARCH/root/        the package, unpacked, with modules.dep made
    CACHE/NAME-ARCH/release      what uname -r will say
"""
import collections
import fcntl
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"

Source = collections.namedtuple("Source", "lines about")
Kernel = collections.namedtuple("Kernel", "name release vmlinux modules root")

KERNELS = {
    "6.1": Source([f"{MIRROR} bookworm main", f"{SECURITY} bookworm-security main"], "Debian 12's own"),
    "6.12": Source([f"{MIRROR} bookworm-backports main"], "Debian 12's backports"),
}
DEFAULT = "6.1"


class Unavailable(Exception):
    """The laboratory cannot be had here; the text says why and what would help."""


class NoModule(Unavailable):
    """This kernel has no such module: the name is wrong, or the kernel is another one than was thought."""


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "netstor" / "vm"


def need(program, package):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Unavailable(f"{program} is not installed (Debian: {package})")
    return path


def run(words, what, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **more)
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(f"{what}: " + (" / ".join(said[-3:]) or f"exit status {done.returncode}"))
    return done.stdout.decode("utf-8", "replace")


def apt(folder, lines):
    """The options of an apt that lives in `folder` and knows these sources alone; its lists are fetched."""
    need("apt-get", "apt")
    if not os.path.exists(KEYRING):
        raise Unavailable(f"{KEYRING} is missing (Debian: debian-archive-keyring)")
    home = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial", "etc"):
        (home / part).mkdir(parents=True)
    (home / "status").write_text("")
    (home / "sources.list").write_text(
        "".join(f"deb [arch=amd64 signed-by={KEYRING}] {line}\n" for line in lines))
    # When apt is run by root it fetches as another user, who has to reach these folders.
    options = []
    for key, value in {"Dir::Etc::sourcelist": home / "sources.list", "Dir::Etc::sourceparts": "-",
                       "Dir::State::lists": home / "lists", "Dir::State::status": home / "status",
                       "Dir::Cache": home / "cache", "APT::Architecture": "amd64",
                       "APT::Sandbox::User": "", "Acquire::Languages": "none",
                       "Acquire::Retries": "3"}.items():
        options += ["-o", f"{key}={value}"]
    run(["apt-get", *options, "update"], "the package lists could not be fetched", timeout=300)
    return options


def fetch_programs(name, lines, packages, cache=None, say=lambda text: None):
    """A folder with these packages unpacked, as the root of a program's world; raises Unavailable."""
    folder = pathlib.Path(cache or cache_folder()) / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        say(f"fetching {', '.join(packages[:2])} and what they need, once")
        scratch = folder.with_name(f"{name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        debs = scratch / "debs"
        debs.mkdir(parents=True)
        try:
            options = apt(scratch, lines)
            run(["apt-get", *options, "download", *packages], f"{packages[0]} could not be fetched",
                cwd=debs, timeout=900)
            for deb in sorted(debs.glob("*.deb")):
                run([need("dpkg-deb", "dpkg"), "-x", str(deb), str(scratch / "root")],
                    f"{deb.name} could not be unpacked")
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Unavailable(f"{packages[0]} could not be had: {failure}") from failure
        # Which Debian's base-files would do.
        for link in ("bin", "lib", "lib64", "sbin"):
            (scratch / "root" / link).symlink_to(f"usr/{link}")
        (scratch / "root").rename(folder)
        shutil.rmtree(scratch)
        return folder


def _download(name, folder):
    """Leaves the kernel's .deb in `folder` and answers its path."""
    options = apt(folder, KERNELS[name].lines)
    depends = run(["apt-cache", *options, "depends", "linux-image-amd64"], "apt-cache failed")
    found = re.search(r"Depends: (linux-image-[0-9]\S*-amd64)\s", depends)
    if not found:
        raise Unavailable(f"no linux-image-amd64 among the packages of {'; '.join(KERNELS[name].lines)}")
    run(["apt-get", *options, "download", found.group(1)], f"{found.group(1)} could not be fetched",
        cwd=folder, timeout=900)
    return next(folder.glob("linux-image-*.deb"))


def _uncompressed(vmlinuz):
    """The ELF file inside of a bzImage ("Documentation/arch/x86/boot.rst": setup_sects, payload_offset)."""
    data = vmlinuz.read_bytes()
    begin = (data[0x1F1] + 1) * 512 + struct.unpack_from("<I", data, 0x248)[0]
    payload = data[begin:begin + struct.unpack_from("<I", data, 0x24C)[0]]
    if payload[:6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor().decompress(payload)
    else:
        zstd = need("zstd", "zstd")
        # The last four bytes are the size, which is no part of the frame.
        elf = subprocess.run([zstd, "-dcq"], input=payload[:-4], stdout=subprocess.PIPE, check=False).stdout
    if elf[:4] != b"\x7fELF":
        raise Unavailable(f"{vmlinuz.name}: its payload is neither xz nor zstd")
    return elf


def _prepare(name, folder, say):
    scratch = folder.with_name(folder.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    say(f"fetching Linux {name} ({KERNELS[name].about}), once")
    package = _download(name, scratch)
    root = scratch / "root"
    run([need("dpkg-deb", "dpkg"), "-x", str(package), str(root)], f"{package.name} could not be unpacked")
    release = next((root / "lib/modules").iterdir()).name
    run([need("depmod", "kmod"), "-b", str(root), release], "depmod failed")
    (scratch / "vmlinux").write_bytes(_uncompressed(next((root / "boot").glob("vmlinuz-*"))))
    package.unlink()
    shutil.rmtree(scratch / "apt")
    (scratch / "release").write_text(release)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


def kernel(name, cache=None, say=lambda text: None):
    """The kernel of this name, fetched when it is not there; raises Unavailable."""
    if name not in KERNELS:
        raise Unavailable(f"no kernel {name}; there are {', '.join(KERNELS)}")
    cache = pathlib.Path(cache or cache_folder())
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-amd64"
    with open(cache / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "release").exists():
            try:
                _prepare(name, folder, say)
            except (OSError, subprocess.TimeoutExpired) as failure:
                raise Unavailable(f"Linux {name} could not be had: {failure}") from failure
    release = (folder / "release").read_text()
    return Kernel(name, release, folder / "vmlinux", folder / "root/lib/modules" / release, folder / "root")


def files_of(kernel_, module):
    """The files to insert for a module, what it depends on first; nothing for one that is built in."""
    modprobe = need("modprobe", "kmod")
    try:
        shown = run([modprobe, "-d", str(kernel_.root), "-S", kernel_.release, "--show-depends", module],
                    f"no module {module} in Linux {kernel_.release}")
    except Unavailable as why:
        raise NoModule(str(why)) from None
    return [pathlib.Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod ")]
