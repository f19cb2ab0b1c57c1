# SPDX-License-Identifier: Apache-2.0
"""What pip calls to make a wheel or a source archive of this tree (PEP 517), on Python's own library alone.

    pip install .                                                    builds in build/wheel
    pip wheel . --config-settings build-dir=build/release            takes what is built there already

The wheel carries the library inside of the extension; of the system it wants only the shared libraries that
libnetstor itself links (liburing, OpenSSL, pugixml, ISA-L, Abseil where it is shared).
"""
import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bindings/python/netstor"
ENTRY_POINTS = "[fsspec.specs]\nnetstor+s3 = netstor.fs:NetstorFileSystem\n"


def _version():
    header = (ROOT / "include/netstor/version.h").read_text()
    numbers = re.findall(r"^#define NETSTOR_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.MULTILINE)
    return ".".join(numbers)


def _metadata():
    return (f"Metadata-Version: 2.1\nName: netstor\nVersion: {_version()}\n"
            "Summary: Remote volumes and buckets straight into numpy and torch memory\n"
            "License: Apache-2.0\nRequires-Python: >=3.9\nProvides-Extra: fsspec\n"
            "Requires-Dist: fsspec; extra == 'fsspec'\n")


def _tag():
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{python}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _build(settings):
    """The extension, built."""
    folder = ROOT / (settings or {}).get("build-dir", "build/wheel")
    if not (folder / "CMakeCache.txt").exists():
        off = [f"-DNETSTOR_BUILD_{what}=OFF" for what in ("TESTS", "BENCH", "SERVER", "TOOLS", "EXAMPLES")]
        subprocess.run(["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja",
                        "-DCMAKE_BUILD_TYPE=Release", "-DNETSTOR_PYTHON=ON", *off,
                        f"-DNETSTOR_PYTHON_EXECUTABLE={sys.executable}"], check=True)
    subprocess.run(["cmake", "--build", str(folder), "--target", "netstor_python"], check=True)
    name = "_netstor" + sysconfig.get_config_var("EXT_SUFFIX")
    built = folder / "bindings/python/netstor" / name
    if not built.exists():
        raise SystemExit(f"{built} was not built: CMake said why (python3-dev, pybind11-dev?)")
    return built


def _write(wheel, records, name, data, mode=0o644):
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(entry, data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    records.append(f"{name},sha256={digest},{len(data)}\n")


def _stripped(built):
    """Without what only a debugger reads, where there is a tool for it."""
    out = built.parent / (built.name + ".stripped")
    try:
        subprocess.run(["strip", "--strip-unneeded", "-o", str(out), str(built)], check=True)
        return out.read_bytes()
    except (OSError, subprocess.CalledProcessError):
        return built.read_bytes()
    finally:
        out.unlink(missing_ok=True)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """PEP 517's: what pip wants to know before anything is built; answers the folder's name."""
    info = pathlib.Path(metadata_directory) / f"netstor-{_version()}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(_metadata())
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return info.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """PEP 517's: answers the wheel's file name."""
    built = _build(config_settings)
    info = f"netstor-{_version()}.dist-info"
    name = f"netstor-{_version()}-{_tag()}.whl"
    records = []
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path in sorted(PACKAGE.iterdir()):
            if path.suffix in (".py", ".pyi") or path.name == "py.typed":
                _write(wheel, records, f"netstor/{path.name}", path.read_bytes())
        _write(wheel, records, f"netstor/{built.name}", _stripped(built), 0o755)
        _write(wheel, records, f"{info}/LICENSE", (ROOT / "LICENSE").read_bytes())
        _write(wheel, records, f"{info}/METADATA", _metadata().encode())
        _write(wheel, records, f"{info}/WHEEL", (f"Wheel-Version: 1.0\nGenerator: netstor\n"
                                                 f"Root-Is-Purelib: false\nTag: {_tag()}\n").encode())
        _write(wheel, records, f"{info}/entry_points.txt", ENTRY_POINTS.encode())
        records.append(f"{info}/RECORD,,\n")
        _write(wheel, [], f"{info}/RECORD", "".join(records).encode())
    return name


def build_sdist(sdist_directory, config_settings=None):
    """PEP 517's: an archive of what git tracks."""
    base = f"netstor-{_version()}"
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    target = pathlib.Path(sdist_directory) / f"{base}.tar.gz"
    with tarfile.open(target, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in filter(None, tracked.stdout.decode().split("\0")):
            if os.path.lexists(ROOT / path):
                archive.add(ROOT / path, f"{base}/{path}", recursive=False)
    return target.name
