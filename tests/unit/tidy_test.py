#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tools/tidy.py fires on a bad sample and stays silent on a good one."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import tidy  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HASH_SPDX = "# SPDX-License-Identifier: Apache-2.0\n"


def rules(path, text, *others):
    """The rules that fire for one file in a tree that holds it and `others`."""
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        for name in (path, *others):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("")
        (root / path).write_text(text)
        return sorted({rule for _, rule, _ in tidy.check_file(root, path)})


def include(path, what):
    target = what if what.startswith("<") else f'"{what}"'
    others = [] if what.startswith("<") else [what]
    text = SPDX + ("#pragma once\n" if path.endswith(".h") else "") + f"#include {target}\n"
    return rules(path, text, *others)


class Layers(unittest.TestCase):
    def test_allowed(self):
        for path, what in [
                ("lib/base/bytes.cc", "lib/base/bytes.h"), ("lib/base/bytes.h", "<netstor/result.h>"),
                ("lib/wire/nvme/sgl.cc", "lib/base/bytes.h"), ("lib/engine/shard.cc", "<netstor/shard.h>"),
                ("lib/wire/fabrics/pdu.h", "lib/wire/nvme/sgl.h"),
                ("lib/proto/nvme/a.h", "lib/wire/nvme/b.h"),
                ("transports/link.h", "lib/base/bytes.h"), ("transports/uring/link.cc", "transports/link.h"),
                ("transports/nvmeof/device.cc", "lib/proto/nvme/initiator.h"),
                ("transports/drivers.cc", "transports/uring/driver.h"),
                ("lib/block/volume.cc", "transports/device.h"), ("lib/block/volume.cc", "<netstor/task.h>"),
                ("lib/engine/loop.cc", "<netstor/detail/loop.h>"),
                ("server/netstord.cc", "server/nvmf/target.h"),
                ("server/nvmf/target.cc", "server/store/block_store.h"),
                ("tools/netstor/read.cc", "<netstor/uri.h>"),
                ("tools/netstor/read.cc", "tools/netstor/verbs.h"),
                ("tests/unit/a_test.cc", "lib/engine/loop.h"),
                ("bench/a.cc", "transports/uring/link.h"), ("include/netstor/a.h", "<netstor/detail/b.h>")]:
            with self.subTest(f"{path} includes {what}"):
                self.assertEqual(include(path, what), [])

    def test_forbidden(self):
        for path, what in [
                ("lib/base/bytes.h", "lib/engine/loop.h"), ("lib/base/bytes.h", "<netstor/future.h>"),
                ("include/netstor/a.h", "lib/base/bytes.h"), ("lib/engine/loop.h", "lib/wire/nvme/sgl.h"),
                ("lib/wire/nvme/sgl.h", "lib/engine/loop.h"),
                ("lib/wire/nvme/sgl.h", "lib/wire/fabrics/pdu.h"),
                ("lib/wire/http/a.h", "lib/wire/nvme/b.h"), ("lib/proto/nvme/a.h", "lib/engine/loop.h"),
                ("lib/proto/nvme/a.h", "<netstor/future.h>"), ("lib/proto/nvme/a.h", "lib/proto/http/b.h"),
                ("transports/link.h", "transports/uring/a.h"),
                ("transports/uring/a.cc", "transports/posix/b.h"),
                ("transports/uring/a.cc", "lib/block/b.h"), ("lib/block/a.cc", "transports/uring/b.h"),
                ("lib/block/a.cc", "lib/object/b.h"), ("server/nvmf/a.cc", "lib/block/b.h"),
                ("server/nvmf/a.cc", "transports/uring/b.h"), ("server/nvmf/a.cc", "server/s3/b.h"),
                ("server/store/a.cc", "server/nvmf/b.h"), ("server/nvmf/a.cc", "<netstor/detail/state.h>"),
                ("tools/netstor/a.cc", "lib/base/bytes.h"),
                ("tools/netstor/a.cc", "<netstor/detail/state.h>"),
                ("examples/01_read.cc", "server/nvmf/a.h"), ("examples/01_read.cc", "tools/netstor/a.h"),
                ("lib/new/a.cc", "bench/b.h"), ("elsewhere/a.cc", "lib/base/bytes.h")]:
            with self.subTest(f"{path} includes {what}"):
                self.assertEqual(include(path, what), ["layer"])

    def test_paths_are_from_the_root(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + '#include "a.h"\n', "lib/base/a.h"), ["include"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + '#include "netstor/uri.h"\n'), ["include"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + '// #include "a.h"\n'), [])


class ThirdParties(unittest.TestCase):
    def test_rooms(self):
        for header, inside, outside in [
                ("liburing.h", "transports/uring/a.cc", "transports/posix/a.cc"),
                ("infiniband/verbs.h", "transports/rdma/a.cc", "transports/uring/a.cc"),
                ("openssl/evp.h", "lib/proto/tls/a.cc", "server/a.cc"),
                ("openssl/sha.h", "tools/netstor/hash.cc", "tools/netstor/read.cc"),
                ("grpcpp/grpcpp.h", "server/control/a.cc", "server/nvmf/a.cc"),
                ("google/protobuf/message.h", "tools/netstor/admin_list.cc", "tools/netstor/list.cc"),
                ("pybind11/pybind11.h", "bindings/python/a.cc", "tools/netstor/a.cc"),
                ("absl/container/inlined_vector.h", "lib/base/a.h", "include/netstor/a.h"),
                ("isa-l.h", "lib/base/a.cc", "lib/proto/nvme/a.cc"),
                ("CLI/CLI.hpp", "tools/netstor/main.cc", "lib/base/a.cc"),
                ("gtest/gtest.h", "tests/unit/a_test.cc", "lib/base/a.cc")]:
            with self.subTest(header):
                self.assertEqual(include(inside, f"<{header}>"), [])
                self.assertEqual(include(outside, f"<{header}>"), ["third-party"])

    def test_the_system_is_for_all(self):
        self.assertEqual(include("include/netstor/a.h", "<vector>"), [])
        self.assertEqual(include("lib/base/a.cc", "<sys/uio.h>"), [])


class Text(unittest.TestCase):
    def test_spdx(self):
        self.assertEqual(rules("lib/base/a.cc", "int x;\n"), ["spdx"])
        self.assertEqual(rules("tools/a.py", "import os\n"), ["spdx"])
        self.assertEqual(rules("tools/a", "#!/bin/sh\necho\n"), ["spdx"])
        self.assertEqual(rules("tools/a", "#!/bin/sh\n" + HASH_SPDX), [])
        self.assertEqual(rules("lib/CMakeLists.txt", HASH_SPDX), [])
        self.assertEqual(rules("docs/a.md", "# Title\n"), [])

    def test_pragma_once(self):
        self.assertEqual(rules("lib/base/a.h", SPDX), ["pragma-once"])
        self.assertEqual(rules("lib/base/a.h", SPDX + "#pragma once\n"), [])

    def test_white_space(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + "\tint x;\n"), ["tab"])
        self.assertEqual(rules("docs/a.md", "word \n"), ["space"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "int x;"), ["newline"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "int x;\n\n"), ["newline"])

    def test_columns(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + "// " + "x " * 53 + "xx\n"), ["columns"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "// " + "x" * 107 + "\n"), [])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "//   https://example.org/" + "x" * 100 + "\n"), [])
        self.assertEqual(rules("docs/a.md", "x " * 80 + "x\n"), [])

    def test_file_length(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + "//\n" * 599), [])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "//\n" * 600), ["file-length"])

    def test_ratchet(self):
        tidy.FILE_LINES["lib/base/a.cc"] = 700
        try:
            self.assertEqual(rules("lib/base/a.cc", SPDX + "//\n" * 690), [])
            self.assertEqual(rules("lib/base/a.cc", SPDX + "//\n" * 700), ["file-length"])
            self.assertEqual(rules("lib/base/a.cc", SPDX + "//\n" * 10), ["file-length"])
        finally:
            tidy.FILE_LINES.clear()

    def test_corpus_and_binaries_are_left_alone(self):
        self.assertEqual(rules("tests/fuzz/corpus/a/x.txt", "\t \n\n"), [])
        self.assertEqual(rules("docs/picture.png", "\t"), [])


class Words(unittest.TestCase):
    def test_getenv(self):
        text = SPDX + 'const char* x = std::getenv("X");\n'
        for path in ("lib/base/a.cc", "transports/uring/a.cc", "server/nvmf/a.cc", "examples/a.cc"):
            self.assertEqual(rules(path, text), ["getenv"], path)
        for path in ("tools/netstor/a.cc", "server/netstord.cc", "tests/unit/a_test.cc"):
            self.assertEqual(rules(path, text), [], path)
        self.assertEqual(rules("lib/base/a.cc", SPDX + '// getenv("X")\nauto s = "getenv()";\n'), [])

    def test_assert(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + "void f() { assert(true); }\n"), ["assert"])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "static_assert(true);\n"), [])
        self.assertEqual(rules("lib/base/a.cc", SPDX + "void f() { NETSTOR_ASSERT(true); }\n"), [])


BODY = "  x();\n"


class Functions(unittest.TestCase):
    def lengths(self, text):
        return [(name, length) for name, _, length in tidy.functions(text)]

    def test_limit(self):
        self.assertEqual(rules("lib/base/a.cc", SPDX + "void f() {\n" + BODY * 68 + "}\n"), [])
        long = SPDX + "void f() {\n" + BODY * 69 + "}\n"
        self.assertEqual(rules("lib/base/a.cc", long), ["function-length"])

    def test_what_is_a_function(self):
        for text, expected in [
                ("void f() {\n}\n", [("f", 2)]),
                ("namespace a {\nclass B : public C {\n public:\n  B() {\n  }\n};\n}\n", [("B", 2)]),
                ("B::B(int a) : a_{a}, b_{1, 2} {\n}\n", [("B::B", 2)]),
                ("B::B(int a)\n    : C(a), b_(1) {\n}\n", [("B::B", 2)]),
                ("bool operator==(A a, B b) {\n}\n", [("operator==", 2)]),
                ("struct F {\n  int operator()(int x = 3) const noexcept {\n  }\n};\n", [("operator()", 2)]),
                ("template <class T = int>\n  requires(sizeof(T) > 1)\nA f(T t) -> A<T> {\n}\n", [("f", 2)]),
                ("TEST(Pdu, Rejects) {\n}\n", [("TEST(Pdu, Rejects)", 2)]),
                ("B::~B() {\n}\n", [("B::~B", 2)])]:
            with self.subTest(text):
                self.assertEqual(self.lengths(text), expected)

    def test_what_is_none(self):
        for text in [
                "constexpr int kTable[] = {\n" + "  f(1),\n" * 90 + "};\n",
                "const std::map<int, A> kMap{\n" + "  {1, A{2}},\n" * 90 + "};\n",
                "enum class A : int {\n" + "  b = f(1),\n" * 90 + "};\n",
                "struct alignas(64) A {\n" + "  int b{f(1)};\n" * 90 + "};\n",
                "class [[nodiscard]] A final : public B<int(*)()> {\n" + "  int c;\n" * 90 + "};\n",
                "namespace a::b {\n" + "int c();\n" * 90 + "}\n",
                "template <class R, class... A>\nclass F<R(A...)> {\n" + "  int c;\n" * 90 + "};\n",
                "namespace a MACRO(b) {\n" + "int c();\n" * 90 + "}\n",
                "MACRO(b)\nclass A {\n" + "  int c();\n" * 90 + "};\n",
                'extern "C" {\n' + "int c();\n" * 90 + "}\n",
                "template <typename T>\nconcept A = requires(T t) {\n" + "  { t.f() } -> B;\n" * 90 + "};\n"]:
            with self.subTest(text[:40]):
                self.assertEqual([length for _, length in self.lengths(text) if length > 70], [])

    def test_braces_in_text_do_not_count(self):
        text = ("void f() {\n  a(\"{\"); b('{'); c(R\"x({{{)x\"); d(1'000'000);  // {\n  /* { */\n}\n"
                "void g() {\n}\n")
        self.assertEqual(self.lengths(text), [("f", 4), ("g", 2)])

    def test_branches_of_the_preprocessor(self):
        text = "void f() {\n#if A\n  if (a) {\n#else\n  if (b) {\n#endif\n  }\n}\nvoid g() {\n}\n"
        self.assertEqual(self.lengths(text), [("f", 8), ("g", 2)])

    def test_what_does_not_balance_is_passed_over(self):
        self.assertEqual(self.lengths("void f() {\n" + BODY * 99), [])
        self.assertEqual(self.lengths("}\nvoid f() {\n}\n"), [])


if __name__ == "__main__":
    unittest.main()
