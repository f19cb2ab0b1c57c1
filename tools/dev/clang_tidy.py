#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over what changed since a base, or over all sources, a few at a time.

usage: clang_tidy.py --build FOLDER [--all | --base REF]

A changed header is looked at through the source of the same name, else through the first that includes it.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The compile commands are g++'s; clang does not know all of its switches.
ARGUMENTS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-sign-conversion",
             "--extra-arg=-Wno-error"]


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else None


def changed_since(base):
    if base is None:
        upstream = git("merge-base", "HEAD", "@{upstream}")
        base = upstream[0] if upstream else "HEAD~1"
    tracked = git("diff", "--name-only", "--diff-filter=d", base)
    if tracked is None:
        print(f"clang-tidy: no commit {base} to compare with; looking at all sources")
        return None
    print(f"clang-tidy: what changed since {base[:12]} (--all for everything)")
    return sorted(set(tracked) | set(git("ls-files", "--others", "--exclude-standard") or []))


def choose(known, changed):
    """The sources to look at: `known` are those that are compiled, relative to the root."""
    if changed is None:
        return sorted(known)
    chosen = {name for name in changed if name in known}
    for header in (name for name in changed if name.endswith(".h")):
        twin = header[:-2] + ".cc"
        if twin in known:
            chosen.add(twin)
            continue
        spelt = re.sub(r"^include/", "", header)
        include = re.compile(r'#include ["<]' + re.escape(spelt) + r'[">]')
        for source in sorted(known):
            if include.search((ROOT / source).read_text(errors="replace")):
                chosen.add(source)
                break
    return sorted(chosen)


def without_precompiled(commands, build):
    """A folder with the same compile commands less g++'s precompiled headers, which clang cannot read: the
    sources include what is in them themselves."""
    for command in commands:
        command["command"] = re.sub(r" -Winvalid-pch -include \S+/cmake_pch\.hxx", "", command["command"])
    folder = pathlib.Path(build) / "clang-tidy"
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(commands))
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--base")
    options = parser.parse_args()
    commands = json.loads((pathlib.Path(options.build) / "compile_commands.json").read_text())
    known = set()
    for command in commands:
        path = pathlib.Path(command["directory"], command["file"]).resolve()
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build") and path.exists():
            known.add(path.relative_to(ROOT).as_posix())
    folder = without_precompiled(commands, options.build)
    sources = choose(known, None if options.all else changed_since(options.base))

    def look(source):
        done = subprocess.run(["clang-tidy", "-p", str(folder), *ARGUMENTS, str(ROOT / source)],
                              capture_output=True, text=True)
        return source, done.returncode, done.stdout, done.stderr

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, code, out, err in pool.map(look, sources):
            if code != 0:
                failed += 1
                noise = re.compile(r"^(\d+ warnings? (and|gener|treated)|Suppressed|Use -header-filter)")
                rest = "\n".join(line for line in err.splitlines() if not noise.match(line))
                print(f"{out}{rest}\nclang-tidy: {source}: FAILED")
    print(f"clang-tidy: {len(sources)} sources, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
