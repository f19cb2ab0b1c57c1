#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs a build to a temporary prefix, builds the small project beside this file against it, once with
find_package(netstor) and once with pkg-config, outside the tree, and runs both. Prints what failed."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(command, **more):
    print("+", " ".join(map(str, command)), flush=True)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
        sys.exit(f"FAILED: {command[0]} exited with {done.returncode}")
    return done.stdout


def with_cmake(options, prefix, project, build):
    run([options.cmake, "-S", project, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
         f"-DCMAKE_CXX_COMPILER={options.cxx}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={options.launcher}"])
    run([options.cmake, "--build", build])
    return run([build / "uses_netstor"])


def with_pkg_config(options, prefix, project, build):
    pc = next(prefix.rglob("netstor.pc"))
    environment = dict(os.environ, PKG_CONFIG_PATH=str(pc.parent))
    is_static = any(prefix.rglob("libnetstor.a"))
    query = ["pkg-config", *(["--static"] if is_static else []), "--cflags", "--libs", "netstor"]
    flags = run(query, env=environment).split()
    program = build / "uses_netstor_pc"
    build.mkdir(exist_ok=True)
    run([options.cxx, project / "main.cc", "-o", program, *flags])
    environment["LD_LIBRARY_PATH"] = str(pc.parent.parent)
    return run([program], env=environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--launcher", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netstor-install-") as scratch:
        root = pathlib.Path(scratch)
        prefix = root / "prefix"
        run([options.cmake, "--install", options.build, "--prefix", prefix])
        project = root / "project"
        shutil.copytree(HERE / "project", project)
        said = {"find_package": with_cmake(options, prefix, project, root / "build-cmake")}
        if shutil.which("pkg-config"):
            said["pkg-config"] = with_pkg_config(options, prefix, project, root / "build-pc")
        else:
            print("SKIP: pkg-config is not installed, only find_package was tried")
        for how, text in said.items():
            print(f"{how}: {text.strip()}")
            if not text.startswith("netstor "):
                sys.exit(f"FAILED: the program built with {how} did not print its version")
        for needed in ("LICENSE", "version.h", "netstorConfigVersion.cmake"):
            if not any(prefix.rglob(needed)):
                sys.exit(f"FAILED: {needed} was not installed")


if __name__ == "__main__":
    main()
