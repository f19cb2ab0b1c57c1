# SPDX-License-Identifier: Apache-2.0
"""Modules that Debian leaves out of its kernels: built from Debian's own source and headers of exactly that
kernel, once, and kept beside the kernel's others in the cache."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

import kernels

# {module: its folder in the source, and the option that Debian has switched off}
MODULES = {"siw": ("drivers/infiniband/sw/siw", "CONFIG_RDMA_SIW")}


def _version(kernel):
    """Debian's, "6.1.192-2": headers of another one may have another ABI."""
    found = re.search(rb"Linux version [^\n]* Debian (\S+) \(\d{4}-", kernel.vmlinux.read_bytes())
    if not found:
        raise kernels.Unavailable(f"{kernel.vmlinux} does not say which version of Debian's it is")
    return found.group(1).decode()


def _fetch(kernel, scratch):
    """Headers, kbuild and source of this kernel, unpacked under `scratch`; answers the headers' folder."""
    version, root = _version(kernel), scratch / "root"
    flavour = f"linux-headers-{kernel.release}"
    options = kernels.apt(scratch, kernels.KERNELS[kernel.name].lines)
    depends = kernels.run(["apt-cache", *options, "depends", f"{flavour}={version}"],
                          f"Debian has no {flavour} {version} any more")
    wanted = [flavour, *re.findall(r"Depends: (linux-(?:headers|kbuild)-\S+)", depends),
              f"linux-source-{kernel.name}"]
    debs = scratch / "debs"
    debs.mkdir()
    kernels.run(["apt-get", *options, "download", *[f"{name}={version}" for name in wanted]],
                f"headers and source of Linux {version} could not be fetched", cwd=debs, timeout=900)
    for deb in sorted(debs.glob("*.deb")):
        kernels.run([kernels.need("dpkg-deb", "dpkg"), "-x", str(deb), str(root)],
                    f"{deb.name} could not be unpacked")
    headers = root / "usr/src" / flavour
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{root}/usr/src/"))
    return headers


def _build(kernel, module, scratch):
    for program in ("tar", "gcc-12", "make"):
        kernels.need(program, program)  # before much is fetched
    headers = _fetch(kernel, scratch)
    inside, option = MODULES[module]
    top = f"linux-source-{kernel.name}"
    archive = headers.parent / f"{top}.tar.xz"
    kernels.run([kernels.need("tar", "tar"), "-xJf", str(archive), "-C", str(scratch), f"{top}/{inside}"],
                f"{top} could not be unpacked", timeout=900)
    folder = scratch / top / inside
    kernels.run([kernels.need("make", "make"), "-C", str(headers), f"M={folder}", f"{option}=m",
                 "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"],  # which wants pahole
                f"{module} could not be built", timeout=900)
    return folder / f"{module}.ko"


def provide(kernel, module, cache=None, say=lambda text: None):
    """The module is among the kernel's, built when it is one of those that can be; raises Unavailable, and
    NoModule for a name that nobody knows."""
    try:
        return kernels.files_of(kernel, module)
    except kernels.NoModule:
        if module not in MODULES:
            raise
    cache = pathlib.Path(cache or kernels.cache_folder())
    with open(cache / f"{kernel.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = kernel.modules / "updates" / f"{module}.ko"
        if not place.exists():
            say(f"building {module} for Linux {kernel.release} from Debian's source, once")
            scratch = cache / f"{kernel.name}-{module}.new"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                built = _build(kernel, module, scratch)
                place.parent.mkdir(exist_ok=True)
                kernels.run([kernels.need("strip", "binutils"), "-g", str(built)],
                            f"{module} could not be stripped")
                os.replace(built, place)
            except (OSError, subprocess.TimeoutExpired) as failure:
                raise kernels.Unavailable(f"{module} could not be built: {failure}") from failure
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        kernels.run([kernels.need("depmod", "kmod"), "-b", str(kernel.root), kernel.release], "depmod failed")
    return kernels.files_of(kernel, module)
