#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first C++ block of a Markdown file, as a file of its own: extract.py README.md OUT.cc"""
import pathlib
import re
import sys


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    text = source.read_text(encoding="utf-8")
    block = re.search(r"^```cpp\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    if block is None:
        sys.exit(f"{source}: no ```cpp block")
    target.parent.mkdir(parents=True, exist_ok=True)
    # No #line: g++ takes what comes from another file for a header, and warns of what may stand in a program.
    target.write_text(f"// From {source.name}.\n{block.group(1)}", encoding="utf-8")


if __name__ == "__main__":
    main()
