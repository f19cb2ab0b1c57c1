#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each public header alone, with g++ and with clang++ when it is there, warnings as errors.

usage: check.py [HEADER...]      without arguments: all of include/netstor
Exits 1 at any failure, 77 when no compiler was found. A compiler that is missing is named.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
         "-Wno-sign-conversion", "-Wno-interference-size", "-x", "c++", f"-I{ROOT / 'include'}"]
CLANG_EXTRA = ["-Wno-unknown-warning-option"]


def compile_alone(compiler, header):
    name = header.relative_to(ROOT / "include").as_posix()
    # Twice: a header that cannot be included again is not one.
    source = f"#include <{name}>\n#include <{name}>\n"
    extra = CLANG_EXTRA if "clang" in compiler else []
    done = subprocess.run([compiler, *FLAGS, *extra, "-"], input=source, capture_output=True, text=True)
    return compiler, name, done.returncode, done.stderr


def main(arguments):
    headers = [pathlib.Path(a).resolve() for a in arguments]
    headers = headers or sorted((ROOT / "include" / "netstor").rglob("*.h"))
    compilers = []
    for compiler in ("g++", "clang++"):
        if shutil.which(compiler):
            compilers.append(compiler)
        else:
            print(f"SKIP: {compiler} is not installed, headers are not checked with it")
    if not compilers:
        return 77
    jobs = [(compiler, header) for header in headers for compiler in compilers]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for compiler, name, code, text in pool.map(lambda job: compile_alone(*job), jobs):
            if code != 0:
                failed += 1
                print(f"FAILED: <{name}> does not compile alone with {compiler}\n{text}")
    compiled_by = " and ".join(compilers)
    print(f"{len(headers)} public headers with {compiled_by}: {len(jobs) - failed} of {len(jobs)} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
