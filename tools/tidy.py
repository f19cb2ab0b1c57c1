#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Style and layering as a test: who may include whom, and what every file has to look like.

usage: tidy.py [--root FOLDER] [FILE...]      without FILE: all that git tracks or would track

Prints one line a finding, "path:line: rule: what is wrong and what to do", and exits 1 if there was any. The
tables below are the whole policy; docs say why, DESIGN section 3 gives the ranks.
"""
import argparse
import pathlib
import re
import subprocess
import sys

# --- the tables -------------------------------------------------------------------------------------------

# A room is a folder; the longest match wins. A file may include its own room and any room of a lower rank.
RANK = {
    "include/netstor": 0,
    "lib": 0, "lib/base": 0,
    "lib/engine": 1,
    "lib/wire/nvme": 1, "lib/wire/fabrics": 1, "lib/wire/http": 1, "lib/wire/s3": 1,
    "lib/proto/nvme": 2, "lib/proto/http": 2, "lib/proto/tls": 2, "transports": 2,
    "transports/uring": 3, "transports/posix": 3, "transports/rdma": 3, "transports/nvmeof": 3,
    "transports/sim": 3,
    "lib/block": 4, "lib/object": 4,
    "server/store": 5, "server/net": 5, "server/nvmf": 6, "server/s3": 6,
    "server/control": 7, "server/sight": 7, "server": 8,
    "bindings": 9, "tools": 9, "examples": 9,
    "bench": 10, "tests": 10,
}
# Same rank, yet allowed: an NVMe-oF capsule holds an NVMe command, an S3 request is an HTTP one.
ALSO = {
    "lib/base": ["include/netstor"], "lib": ["include/netstor", "lib/base"],
    "lib/wire/fabrics": ["lib/wire/nvme"], "lib/wire/s3": ["lib/wire/http"],
}
# The list of drivers is the only file that sees them all; a link over a link needs a protocol below it.
FILE_RANK = {"transports/drivers.cc": 4, "transports/tls_link.h": 3, "transports/tls_link.cc": 3}
# Rooms that see everything.
FREE = ("bench", "tests")
# Lower in rank, yet closed: (who, what, why).
CLOSED = [
    (r"(?!transports/drivers\.cc$|transports/[^/]+/)", r"transports/[^/]+/",
     "only drivers.cc names a driver"),
    (r"server/", r"lib/(block|object)/", "the server answers, it does not ask"),
    (r"(bindings|tools|examples)/", r"(lib|transports|server)/", "only public headers here"),
    (r"(?!include/netstor/|lib/|transports/)", r"include/netstor/detail/", "detail/ is promised to nobody"),
    (r"lib/(base|wire|proto)/", r"include/netstor/(future|task|shard)\.h", "no futures below the engine"),
    (r"lib/proto/", r"lib/engine/", "a protocol is bytes and a passed-in clock"),
    (r"lib/engine/", r"lib/wire/", "engine and wire are strangers"),
]
# A third party has its room; (name, what an include of it looks like, who may).
THIRD_PARTY = [
    ("liburing", r"liburing|linux/io_uring\.h", r"transports/uring/"),
    ("verbs", r"(infiniband|rdma)/", r"transports/rdma/"),
    ("OpenSSL", r"openssl/",
     r"lib/proto/tls/|lib/proto/nvme/dhchap_crypto\.|lib/base/hash\.|tools/netstor/hash\."),
    ("pugixml", r"pugixml", r"lib/wire/s3/"),
    ("RocksDB", r"rocksdb/", r"server/store/"),
    ("gRPC and protobuf", r"(grpc|grpcpp|google/protobuf)/|.*\.pb\.h$",
     r"server/control/|tools/netstor/admin"),
    ("pybind11", r"pybind11/", r"bindings/"),
    ("Abseil", r"absl/", r"(lib|transports|server)/"),
    ("ISA-L", r"isa-l(\.h|/)", r"lib/base/|server/store/"),
    ("spdlog", r"spdlog/", r"lib/base/|server/|tools/"),
    ("CLI11", r"CLI/", r"server/netstord|tools/"),
    ("nlohmann-json", r"nlohmann/", r"server/|tools/|lib/object/"),
    ("GoogleTest", r"(gtest|gmock)/", r"$^"),
    ("Google Benchmark", r"benchmark/", r"$^"),
]
GETENV = r"tools/|server/netstord\.cc$|lib/object/credentials\.cc$|tests/"

COLUMNS_MAX = 110
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
# The ratchets: what is longer than it should be, and by how much; these numbers only ever go down.
FILE_LINES = {}
FUNCTION_LINES = {}  # "path:name": lines

# --- reading ----------------------------------------------------------------------------------------------

CPP = (".h", ".cc")
HASH = (".py", ".sh", ".cmake", ".in", ".yml", ".yaml")
HASH_NAMES = ("CMakeLists.txt", ".clang-format", ".clang-tidy", ".editorconfig")
PROSE = (".md", ".json", ".txt")

TOKEN = re.compile(
    r"//[^\n]*(?:\\\n[^\n]*)*|/\*.*?\*/"
    r'|\b(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\((?:.*?)\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]')


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments_and_strings(text):
    """The same text with comments blanked and literals emptied, line for line and column for column."""
    def replace(match):
        found = match.group(0)
        if found.startswith("/"):
            return blank(found)
        first = found.index('"') if '"' in found else found.index("'")
        return found[:first + 1].replace("R", "_") + blank(found[first + 1:-1]) + found[-1]
    return TOKEN.sub(replace, text)


def without_preprocessor(code):
    """Blanks directives and all branches but the first of each #if, so that braces balance."""
    lines, depth_off, stack, continued = [], 0, [], False
    for line in code.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        is_directive = continued or directive is not None
        if directive and not continued:
            word = directive.group(1)
            if word in ("if", "ifdef", "ifndef"):
                stack.append(False)
            elif word in ("else", "elif") and stack and not stack[-1]:
                stack[-1] = True
                depth_off += 1
            elif word == "endif" and stack:
                depth_off -= 1 if stack.pop() else 0
        continued = is_directive and line.rstrip().endswith("\\")
        lines.append("" if is_directive or depth_off > 0 else line)
    return "\n".join(lines)


def top_level(head):
    """What of a declaration's head stands outside of parentheses, brackets and template arguments."""
    head = re.sub(r"\boperator\s*(\(\s*\)|[^\s\w(]+)", "operator_", head)
    kept, depth = [], 0
    for at, letter in enumerate(head):
        if letter in "([":
            depth += 1
            kept.append(letter if depth == 1 else "")
        elif letter in ")]":
            depth -= 1
            kept.append(letter if depth == 0 else "")
        elif depth == 0:
            kept.append(letter)
    return "".join(kept)


SCOPE = re.compile(r"(^|[\s>\])])(namespace|class|struct|union|enum)\b|^\s*extern\s*\"")


def without_template(head):
    """The head without its leading template<...>, whose default arguments look like initialisers."""
    head = head.lstrip()
    while re.match(r"template\s*<", head):
        depth, at = 0, head.index("<")
        for at in range(at, len(head)):
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            if depth == 0:
                break
        head = head[at + 1:].lstrip()
    return head


def kind_of_brace(head):
    """'scope', 'function' or 'value' for the brace that follows `head` in a namespace or class."""
    outside = re.sub(r"\brequires\s*\(\)", "", without_template(top_level(head)))
    outside = re.sub(r"^\s*((public|private|protected)\s*:\s*)+", "", outside)
    # A macro on a line of its own in front of a declaration, such as one that silences a warning.
    outside = re.sub(r"^\s*[A-Z0-9_]+\s*\(\)\s*(?=[a-zA-Z])(?!const\b|noexcept\b)", "", outside)
    if re.match(r"\s*(inline\s+)?namespace\b", outside):
        return "scope"
    if "(" in outside:
        before = outside[:outside.index("(")]
        after = outside[outside.rindex(")") + 1:] if ")" in outside else ""
        starts_list = re.search(r"\)[^:]*[^:]:(?!:)|\):(?!:)", outside)
        if re.search(r"(?<![=!<>])=(?!=)", before):
            return "value"
        if starts_list and re.search(r"[\w>]\s*$", after):
            return "value"
        if re.match(r"\s*(class|struct|union|enum)\b", before):
            # An attribute, a list of bases, or the specialisation for a function's type.
            if re.search(r"\b(alignas|__attribute__)\s*$|[^:]:(?!:)", before) or "<" in before:
                return "scope"
        return "function"
    if SCOPE.search(outside):
        return "scope"
    return "value" if outside.strip() else "scope"


def functions(text):
    """Yields (name, first line, line count) of each function body; nothing from what does not balance."""
    code = without_preprocessor(without_comments_and_strings(text))
    stack, head, found, line = [], [], [], 1
    inside = 0
    for letter in code:
        if letter == "\n":
            line += 1
        if inside:
            inside += {"{": 1, "}": -1}.get(letter, 0)
            if not inside:
                name, first = stack.pop()
                found.append((name, first, line - first + 1))
                head = []
        elif letter == "{":
            before = "".join(head)
            kind = "value" if stack and stack[-1] == "value" else kind_of_brace(before)
            if kind == "function":
                stack.append((function_name(before), line))
                inside = 1
            else:
                stack.append(kind)
                if kind == "scope":
                    head = []
        elif letter == "}":
            if not stack:
                return []
            if stack.pop() == "scope":
                head = []
            else:
                head.append("$")  # a value in braces: what it initialises goes on
        elif letter == ";" and not (stack and stack[-1] == "value"):
            head = []
        elif not (stack and stack[-1] == "value"):
            head.append(letter)
    return found if not stack else []


def function_name(head):
    head = " ".join(head.split())
    match = re.match(r"(TEST\w*|TYPED_TEST\w*)\s*(\([^)]*\))", head)
    if match:
        return match.group(1) + match.group(2)
    outside = re.sub(r"\brequires\s*\(\)", "", without_template(top_level(head)))
    name = re.search(r"([\w:~]+)\s*\(", outside)
    spelt = re.search(r"[\w:]*\boperator\s*(\(\s*\)|[^\s\w(]+)", head)
    if name and spelt and name.group(1).endswith("operator_"):
        return spelt.group(0)
    return name.group(1) if name else outside[:40]


# --- the rules --------------------------------------------------------------------------------------------

def room_of(path):
    parts = path.split("/")[:-1]
    while parts:
        room = "/".join(parts)
        if room in RANK:
            return room
        parts.pop()
    return None


def included_path(bracket, name):
    """The path in this tree that an include means, or None for the system's and third parties'."""
    if name.startswith("netstor/"):
        return "include/" + name
    return name if bracket == '"' else None


def check_layer(path, target):
    if path.startswith(tuple(f"{room}/" for room in FREE)):
        return None
    here, there = room_of(path), room_of(target)
    if here is None:
        return f"{path} is in no room; give its folder a rank in tools/tidy.py"
    if there is None:
        return f"{target} is in no room; give its folder a rank in tools/tidy.py"
    # Within a room all may be included; the tool's and the bindings' own headers are a room of their own.
    if here == there and "/detail/" not in target:
        return None
    for who, what, why in CLOSED:
        if re.match(who, path) and re.match(what, target):
            return f"{target} is closed to {here}: {why}"
    rank = FILE_RANK.get(path, RANK[here])
    if here == there or there in ALSO.get(here, []) or RANK[there] < rank:
        return None
    return (f"{here} (rank {rank}) may not include {there} (rank {RANK[there]}): "
            "strictly downward, siblings never")


def check_third_party(path, name):
    if path.startswith(tuple(f"{room}/" for room in FREE)):
        return None
    for party, looks, who in THIRD_PARTY:
        if re.match(looks, name) and not re.match(who, path):
            return f"<{name}>: {party} has another room, see THIRD_PARTY in tools/tidy.py"
    return None


def check_includes(root, path, text):
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, name = match.groups()
        if bracket == '"' and name.startswith("netstor/"):
            yield number, "include", f'write <{name}>, public headers are in angle brackets'
            continue
        target = included_path(bracket, name)
        if target is not None and not name.endswith(".pb.h"):
            if bracket == '"' and not (root / name).exists():
                yield number, "include", f'"{name}" is no file; write the path from the repository\'s root'
                continue
            wrong = check_layer(path, target)
            if wrong:
                yield number, "layer", wrong
        else:
            wrong = check_third_party(path, name)
            if wrong:
                yield number, "third-party", wrong


def check_text(path, text, columns):
    lines = text.split("\n")
    if text and not text.endswith("\n"):
        yield len(lines), "newline", "the file has to end with a newline"
    if text.endswith("\n\n"):
        yield len(lines) - 1, "newline", "the file ends with an empty line"
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            yield number, "tab", "a tab; write spaces"
        if line != line.rstrip():
            yield number, "space", "white space at the end of the line"
        # What has no place to break, such as an address, may stand out.
        if columns and len(line) > COLUMNS_MAX and not re.match(r"^\W*\S+://\S+$", line):
            yield number, "columns", f"{len(line)} columns, {COLUMNS_MAX} are the limit"


def check_spdx(path, text):
    head = text.split("\n")[:4]
    if path.endswith(CPP):
        if head[0] != "// SPDX-License-Identifier: Apache-2.0":
            yield 1, "spdx", "the first line has to be // SPDX-License-Identifier: Apache-2.0"
    elif not any(line == "# SPDX-License-Identifier: Apache-2.0" for line in head):
        yield 1, "spdx", "# SPDX-License-Identifier: Apache-2.0 is missing from the first lines"


def check_length(path, text):
    count = text.count("\n")
    limit = FILE_LINES.get(path, FILE_LINES_MAX)
    if count > limit:
        yield 1, "file-length", f"{count} lines, {limit} are the limit: it wants a second idea"
    elif path in FILE_LINES and count <= FILE_LINES_MAX:
        yield 1, "file-length", "short enough now: take it out of FILE_LINES in tools/tidy.py"
    if not path.endswith(CPP):
        return
    for name, first, length in functions(text):
        limit = FUNCTION_LINES.get(f"{path}:{name}", FUNCTION_LINES_MAX)
        if length > limit:
            yield first, "function-length", f"{name} has {length} lines, {limit} are the limit"


def check_words(path, text):
    code = without_comments_and_strings(text)
    for number, line in enumerate(code.split("\n"), 1):
        if re.search(r"\b(secure_)?getenv\s*\(", line) and not re.match(GETENV, path):
            yield number, "getenv", "only tools/ and server/netstord.cc read the environment; pass an option"
        if re.search(r"(?<![\w.>])assert\s*\(", line) and re.match(r"(include|lib|transports|server)/", path):
            yield number, "assert", "assert() is off in a release; write NETSTOR_ASSERT"


def check_file(root, path):
    """Yields (line, rule, message) for one file, `path` relative to `root`."""
    raw = (root / path).read_bytes()
    name = path.rsplit("/", 1)[-1]
    is_script = raw.startswith(b"#!")
    is_code = path.endswith(CPP + HASH) or name in HASH_NAMES or is_script
    if not is_code and not path.endswith(PROSE) or "/corpus/" in path:
        return
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        yield 1, "utf-8", "the file is not UTF-8"
        return
    yield from check_text(path, text, columns=is_code)
    if not is_code:
        return
    yield from check_spdx(path, text)
    yield from check_length(path, text)
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "pragma-once", "#pragma once is missing"
    if path.endswith(CPP):
        yield from check_includes(root, path, text)
        yield from check_words(path, text)


def files_of(root):
    listing = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True)
    if done.returncode == 0:
        names = done.stdout.split("\0")
    else:
        # An unpacked archive: all but what a build leaves behind.
        names = [p.relative_to(root).as_posix() for p in root.rglob("*")]
        names = [n for n in names if not re.match(r"(build|out|\.git|\.cache)/|.*__pycache__/", n)]
    return sorted(n for n in names if n and (root / n).is_file() and not (root / n).is_symlink())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    root = options.root.resolve()
    files = options.files or files_of(root)
    findings = 0
    for path in files:
        for line, rule, message in check_file(root, path):
            findings += 1
            print(f"{path}:{line}: {rule}: {message}")
    print(f"tidy: {len(files)} files, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
