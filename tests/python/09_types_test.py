#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The type stubs: they name what is there, and a type checker tells right programs from wrong ones."""
import ast
import inspect
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import netstor
import support

STUB = pathlib.Path(netstor.__file__).with_name("__init__.pyi")
MYPY = shutil.which("mypy", path="/usr/bin")

RIGHT = """
import asyncio
import netstor

def read(bucket: netstor.Bucket) -> int:
    count, info = bucket.get("k", bytearray(10), offset=3, timeout=1.5)
    memory = bucket.get("k", if_match="x")
    with bucket.open_writer("k", content_type="text/plain") as writer:
        writer.write(b"x")
    for one in bucket.list("prefix", page=10):
        count += one.size
    return count + info.size + memory.nbytes

async def read_async() -> None:
    async with await netstor.open_bucket_async("s3://bbb", credentials={"access_key_id": "a"}) as bucket:
        await asyncio.gather(*(bucket.get_async(f"{i}") for i in range(10)))
        async for info in bucket.list_async():
            print(info.key)

with netstor.open_volume("file:///x", read_only=True) as volume:
    data: netstor.Memory = volume.read(0, volume.block_bytes)
try:
    volume.write_from(0, [b"a", b"b"], force_unit_access=True)
except netstor.Error as error:
    print(error.code, error.request_id, error.effect == "unknown")
"""
WRONG = ["netstor.open_bucket(7)",
         "netstor.open_bucket('s3://bbb', endpont='x')",
         "netstor.open_volume('x').get('k')",
         "netstor.open_bucket('s3://bbb').get('k', b'read-only')",
         "netstor.open_bucket('s3://bbb').get('k', bytearray(3)).nbytes",
         "netstor.open_bucket('s3://bbb').put('k', 'text')",
         "netstor.open_bucket('s3://bbb').put('k', b'', checksum='crc16')",
         "netstor.open_bucket('s3://bbb').head('k').name"]


class Stubs(unittest.TestCase):
    def setUp(self):
        self.tree = ast.parse(STUB.read_text())

    def test_they_name_what_is_there(self):
        stubbed = {node.name: node for node in self.tree.body
                   if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))}
        for name in netstor.__all__:
            thing = getattr(netstor, name)
            if name == "__version__":
                continue
            self.assertIn(name, stubbed)
            if not inspect.isclass(thing) or issubclass(thing, netstor.Error):
                continue
            members = {node.name: node for node in stubbed[name].body
                       if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
            members.update((node.target.id, node) for node in stubbed[name].body
                           if isinstance(node, ast.AnnAssign))
            there = {member for member in dir(thing) if not member.startswith("_")}
            inherited = set(dir(__import__("io").RawIOBase))
            self.assertEqual(there - inherited, {member for member in members if not member.startswith("_")}
                             - inherited - {"info"} | ({"info"} & there), name)
            for member, node in members.items():
                if isinstance(node, ast.AnnAssign):
                    continue
                value = inspect.getattr_static(thing, member)
                self.assertEqual(isinstance(node, ast.AsyncFunctionDef), inspect.iscoroutinefunction(value),
                                 member)

    def test_what_is_public_is_the_same(self):
        lists = [ast.literal_eval(node.value) for node in self.tree.body
                 if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"]
        self.assertEqual(lists, [netstor.__all__])

    @unittest.skipUnless(MYPY, "no mypy (Debian: mypy)")
    def test_a_type_checker_tells_right_from_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "netstor").mkdir()
            for name in ("__init__.pyi", "py.typed"):
                shutil.copy(STUB.with_name(name), pathlib.Path(folder) / "netstor" / name)
            right = pathlib.Path(folder) / "right.py"
            right.write_text(RIGHT)
            wrong = pathlib.Path(folder) / "wrong.py"
            wrong.write_text("import netstor\n" + "".join(line + "\n" for line in WRONG))
            command = [MYPY, "--strict", "--cache-dir", os.devnull]
            done = subprocess.run([*command, "right.py", "netstor"], cwd=folder, capture_output=True,
                                  text=True, timeout=200)
            self.assertEqual(done.returncode, 0, done.stdout)
            done = subprocess.run([*command, "wrong.py"], cwd=folder, capture_output=True, text=True,
                                  timeout=200)
            lines = {int(line.split(":")[1]) - 2 for line in done.stdout.splitlines() if ": error:" in line}
            self.assertEqual(lines, set(range(len(WRONG))), done.stdout)


if __name__ == "__main__":
    if not MYPY:
        print("SKIP: no mypy (Debian: mypy)")
    support.main()
