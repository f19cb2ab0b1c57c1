#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The file system: fsspec's contract, its own abstract suite where it is installed, pandas and numpy."""
import errno
import importlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import support

try:
    import fsspec
except ImportError:
    support.skip("no fsspec (Debian: python3-fsspec)")
pandas = support.want("pandas")

import netstor
import netstor.fs

netstor.fs.register()
MIB = 1 << 20


class Case(support.Case):
    def setUp(self):
        super().setUp()
        self.fs = fsspec.filesystem("netstor+s3")
        self.root = self.bucket.name


class Files(Case):
    def tree(self):
        self.fs.pipe({f"{self.root}/{name}": name.encode() for name in ("a", "d/b", "d/c", "d/e/f", "d2/g")})

    def names(self, found):
        return [one.removeprefix(self.root).lstrip("/") for one in found]

    def test_looking(self):
        self.tree()
        self.assertEqual(self.names(self.fs.ls(self.root, detail=False)), ["a", "d", "d2"])
        self.assertEqual(self.names(self.fs.ls(f"netstor+s3://{self.root}/d/", detail=False)),
                         ["d/b", "d/c", "d/e"])
        self.assertEqual(self.names(self.fs.find(f"{self.root}/d")), ["d/b", "d/c", "d/e/f"])
        self.assertEqual(self.names(self.fs.find(f"{self.root}/d", maxdepth=1)), ["d/b", "d/c"])
        self.assertEqual(self.names(self.fs.find(self.root, withdirs=True)),
                         ["", "a", "d", "d/b", "d/c", "d/e", "d/e/f", "d2", "d2/g"])
        self.assertEqual(self.names(self.fs.glob(f"{self.root}/d*/*")), ["d/b", "d/c", "d/e", "d2/g"])
        self.assertEqual(self.names(self.fs.glob(f"{self.root}/**/f")), ["d/e/f"])
        self.assertEqual([(self.names([at])[0], sorted(files)) for at, _, files in self.fs.walk(self.root)],
                         [("", ["a"]), ("d", ["b", "c"]), ("d/e", ["f"]), ("d2", ["g"])])
        self.assertEqual(self.fs.du(self.root), 16)
        info = self.fs.info(f"{self.root}/d/b")
        self.assertEqual((info["type"], info["size"], info["name"]), ("file", 3, f"{self.root}/d/b"))
        self.assertEqual(self.fs.info(f"{self.root}/d")["type"], "directory")
        self.assertTrue(self.fs.isdir(f"{self.root}/d") and self.fs.isfile(f"{self.root}/a"))
        self.assertFalse(self.fs.exists(f"{self.root}/nothing") or self.fs.exists("no-such-bucket/x"))
        for missing in (self.fs.info, self.fs.ls, self.fs.cat_file):
            with self.assertRaises(FileNotFoundError):
                missing(f"{self.root}/nothing")
        self.assertIn(self.root, self.fs.ls("", detail=False))
        self.assertEqual(self.fs.modified(f"{self.root}/a"), self.bucket.head("a").modified)

    def test_cat(self):
        self.tree()
        self.assertEqual(self.fs.cat(f"{self.root}/a"), b"a")
        self.assertEqual(self.fs.cat([f"{self.root}/a", f"{self.root}/d/b"]),
                         {f"{self.root}/a": b"a", f"{self.root}/d/b": b"d/b"})
        self.assertEqual(sorted(self.names(self.fs.cat(f"{self.root}/d", recursive=True))),
                         ["d/b", "d/c", "d/e/f"])
        for start, end in ((None, None), (1, 2), (0, 0), (1, None), (None, 2), (-2, None), (None, -1),
                           (-3, -1), (2, 9)):
            self.assertEqual(self.fs.cat_file(f"{self.root}/d/b", start, end), b"d/b"[start:end])
        with self.assertRaises(FileNotFoundError):
            self.fs.cat([f"{self.root}/a", f"{self.root}/nothing"])
        self.assertEqual(len(self.fs.cat([f"{self.root}/a", f"{self.root}/nothing"], on_error="omit")), 1)

    def test_cat_ranges(self):
        data = os.urandom(MIB)
        self.fs.pipe({f"{self.root}/x": data, f"{self.root}/y": data[::-1]})
        paths = [f"{self.root}/x", f"{self.root}/y", f"{self.root}/x", f"{self.root}/x", f"{self.root}/y"]
        starts, ends = [0, 5, 100, 700_000, -4], [10, 10, 100, 800_000, None]
        got = self.fs.cat_ranges(paths, starts, ends)
        sources = {paths[0]: data, paths[1]: data[::-1]}
        self.assertEqual(got, [sources[path][start:end] for path, start, end in zip(paths, starts, ends)])
        got = self.fs.cat_ranges([paths[0], f"{self.root}/nothing"], [MIB - 2, 0], [MIB + 5, 1])
        self.assertEqual(got[0], data[-2:])
        self.assertIsInstance(got[1], FileNotFoundError)

    def test_copies_up_and_down(self):
        with tempfile.TemporaryDirectory() as folder:
            here = pathlib.Path(folder)
            (here / "up/deep").mkdir(parents=True)
            (here / "up/large").write_bytes(os.urandom(33 * MIB))
            (here / "up/deep/empty").write_bytes(b"")
            self.fs.put(str(here / "up"), f"{self.root}/there", recursive=True)
            found = {one[len(self.root) + 1:].removeprefix("there/").removeprefix("up/"): size["size"]
                     for one, size in self.fs.find(self.root, detail=True).items()}
            self.assertEqual(found, {"large": 33 * MIB, "deep/empty": 0})
            self.fs.get(f"{self.root}/there", str(here / "down"), recursive=True)
            large = [one for one in (here / "down").rglob("large")]
            self.assertEqual(large[0].read_bytes(), (here / "up/large").read_bytes())

    def test_a_download_that_fails_leaves_the_older_file(self):
        path = f"{self.root}/x"
        self.bucket.put("x", os.urandom(MIB))
        with tempfile.TemporaryDirectory() as folder:
            old = pathlib.Path(folder) / "old"
            old.write_bytes(b"older")
            old.chmod(0o640)
            get = netstor.Bucket.get

            def changed_meanwhile(bucket, key, into, **options):
                self.bucket.put("x", b"another")
                return get(bucket, key, into, **options)

            def short(bucket, key, into, **options):
                return 5, bucket.head(key)

            for broken, error in ((changed_meanwhile, netstor.CompareFailed), (short, OSError)):
                with mock.patch.object(netstor.Bucket, "get", broken), self.assertRaises(error):
                    self.fs.get_file(path, str(old))
                self.assertEqual([one.name for one in pathlib.Path(folder).iterdir()], ["old"])
                self.assertEqual(old.read_bytes(), b"older")
            with mock.patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, "full")):
                with self.assertRaises(OSError):
                    self.fs.get_file(path, str(old))
            self.assertEqual([one.name for one in pathlib.Path(folder).iterdir()], ["old"])
            long = pathlib.Path(folder) / ("n" * 255)
            self.fs.get_file(path, str(long))
            self.assertEqual(long.read_bytes(), b"another")
            link = pathlib.Path(folder) / "link"
            link.symlink_to(old)
            self.fs.get_file(path, str(link))
            self.assertTrue(link.is_symlink())
            self.assertEqual((old.read_bytes(), old.stat().st_mode & 0o777), (b"another", 0o640))

    def test_downloads_to_what_is_no_file(self):
        data = os.urandom(MIB)
        self.bucket.put("x", data)
        out = io.BytesIO()
        self.fs.get_file(f"{self.root}/x", out)
        self.assertEqual(out.getvalue(), data)
        self.fs.get_file(f"{self.root}/x", "/dev/null")
        self.assertFalse(os.path.isfile("/dev/null"))

    def test_a_file_that_is_cut_while_it_is_sent(self):
        with tempfile.TemporaryDirectory() as folder:
            local = pathlib.Path(folder) / "large"
            with open(local, "wb") as file:
                file.truncate(netstor.fs.PIECE + 100)
            write = netstor.Writer.write

            def cut(writer, data):
                os.truncate(local, 1000)
                return write(writer, data)

            with mock.patch.object(netstor.Writer, "write", cut), self.assertRaisesRegex(OSError, "shorter"):
                self.fs.put_file(str(local), f"{self.root}/large")
        self.assertFalse(self.fs.exists(f"{self.root}/large"))
        self.assertEqual(self.bucket.uploads(), [])

    def test_cp_mv_rm(self):
        self.tree()
        self.fs.cp(f"{self.root}/a", f"{self.root}/copy")
        self.fs.mv(f"{self.root}/copy", f"{self.root}/moved")
        self.assertEqual(self.fs.cat(f"{self.root}/moved"), b"a")
        self.fs.cp(f"{self.root}/d", f"{self.root}/d3", recursive=True)
        self.assertEqual(self.names(self.fs.find(f"{self.root}/d3"))[-1][-3:], "e/f")
        self.fs.rm(f"{self.root}/d", recursive=True)
        self.assertFalse(self.fs.exists(f"{self.root}/d"))
        with self.assertRaises(FileNotFoundError):
            self.fs.rm(f"{self.root}/nothing")
        self.fs.mkdir(f"made-{self.root}")
        with self.assertRaises(FileExistsError):
            self.fs.mkdir(f"made-{self.root}")
        self.fs.rmdir(f"made-{self.root}")
        self.assertFalse(self.fs.exists(f"made-{self.root}"))

    def test_rm_of_a_bucket_removes_it(self):
        self.tree()
        with self.assertRaises(IsADirectoryError):
            self.fs.rm(self.root)
        self.assertEqual(len(self.fs.find(self.root)), 5)
        self.fs.rm(self.root, recursive=True)
        self.assertFalse(self.fs.exists(self.root))

    def test_rm_names_every_file_that_is_left(self):
        self.tree()
        failures = [mock.Mock(key=key, code="AccessDenied", text="no") for key in ("d/b", "d2/g")]
        with mock.patch.object(netstor.Bucket, "delete_many", return_value=failures):
            with self.assertRaisesRegex(OSError, "2 could not .*/d/b: AccessDenied: no; .*/d2/g: Acc"):
                self.fs.rm(self.root, recursive=True)
        self.assertTrue(self.fs.exists(self.root))

    def test_open(self):
        data = os.urandom(20 * MIB)
        path = f"netstor+s3://{self.root}/big"
        with fsspec.open(path, "wb") as file:
            for at in range(0, len(data), 3 * MIB):
                file.write(data[at:at + 3 * MIB])
            self.assertFalse(self.fs.exists(path))
        with self.fs.open(path, "rb", block_size=MIB) as file:
            self.assertEqual(file.read(10), data[:10])
            file.seek(-5, io.SEEK_END)
            self.assertEqual(file.read(), data[-5:])
            file.seek(7 * MIB)
            self.assertEqual(file.read(2 * MIB), data[7 * MIB:9 * MIB])
            self.bucket.put("big", b"changed")
            file.seek(18 * MIB)
            with self.assertRaises(netstor.CompareFailed):  # never a mixture of two versions
                file.read(MIB)
        with fsspec.open(path, "ab") as file:
            file.write(b" and more")
        with fsspec.open(path, "rt") as file:
            self.assertEqual(file.read(), "changed and more")
        with self.assertRaises(FileNotFoundError):
            self.fs.open(f"{self.root}/nothing")

    def test_a_file_that_is_left_by_an_exception_is_not_there(self):
        for size in (10, 20 * MIB):  # before the first part is sent, and after
            with self.assertRaises(ZeroDivisionError):
                with self.fs.open(f"{self.root}/x", "wb") as file:
                    file.write(bytes(size))
                    raise ZeroDivisionError
            self.assertTrue(file.closed)
        with self.fs.transaction:
            with self.assertRaises(ZeroDivisionError):
                with self.fs.open(f"{self.root}/x", "wb") as file:
                    raise ZeroDivisionError
        self.assertFalse(self.fs.exists(f"{self.root}/x"))
        self.assertEqual(self.bucket.uploads(), [])

    def test_files_larger_than_the_memory_limit(self):
        data = os.urandom(18 * MIB)
        small = fsspec.filesystem("netstor+s3", memory_limit_bytes=9 * MIB)
        path = f"{self.root}/large"
        self.bucket.put("large", data)
        with self.assertRaises(netstor.Exhausted):
            small.bucket(self.root).get("large")
        self.assertEqual(small.cat_file(path), data)
        self.assertEqual(small.cat_file(path, 5), data[5:])
        self.assertEqual(small.cat_file(path, -12 * MIB), data[-12 * MIB:])
        self.assertEqual(small.cat([path, path]), {path: data})
        with small.open(path, "ab") as file:
            file.write(b" and more")
        self.assertEqual(bytes(self.bucket.get("large")), data + b" and more")

    def test_s3_is_taken_only_when_asked_for(self):
        code = ("import fsspec, netstor.fs\n"
                "netstor.fs.register({0})\n"
                "print(fsspec.get_filesystem_class('s3') is netstor.fs.NetstorFileSystem)")
        self.assertEqual(support.python(code.format("s3=True")).strip(), "True")
        out = support.python("import fsspec, netstor.fs\nnetstor.fs.register()\n"
                             "from fsspec.registry import registry\nprint('s3' in registry)")
        self.assertEqual(out.strip(), "False")


@unittest.skipUnless(pandas, "no pandas (Debian: python3-pandas)")
class Pandas(Case):
    def test_csv(self):
        table = pandas.DataFrame({"x": range(1000), "y": [f"n{i}" for i in range(1000)]})
        path = f"netstor+s3://{self.root}/t.csv"
        table.to_csv(path, index=False)
        self.assertTrue(pandas.read_csv(path).equals(table))
        table.to_pickle(path + ".gz")
        self.assertTrue(pandas.read_pickle(path + ".gz").equals(table))

    def test_storage_options(self):
        self.bucket.put("t.csv", b"a,b\n1,2\n")
        options = {"endpoint": support.SERVER.endpoint, "credentials": support.SERVER.credentials}
        table = pandas.read_csv(f"netstor+s3://{self.root}/t.csv", storage_options=options)
        self.assertEqual(table.b[0], 2)

    def test_numpy(self):
        import numpy
        source = numpy.arange(12).reshape(3, 4)
        with self.fs.open(f"{self.root}/n.npy", "wb") as file:
            numpy.save(file, source)
        with self.fs.open(f"{self.root}/n.npy") as file:
            self.assertTrue((numpy.load(file) == source).all())


class AbstractSuite(Case):
    """fsspec's own suite, for those who write file systems; it came after Debian 12's version."""

    FIXTURES = """
import os, fsspec, netstor, netstor.fs, pytest
from fsspec.tests.abstract import (AbstractFixtures, AbstractCopyTests, AbstractGetTests, AbstractPutTests)
netstor.fs.register()
class Fixtures(AbstractFixtures):
    @pytest.fixture
    def fs(self):
        return fsspec.filesystem("netstor+s3")
    @pytest.fixture
    def fs_path(self):
        return os.environ["NETSTOR_TEST_BUCKET"]
    @pytest.fixture
    def fs_join(self):
        return lambda *parts: "/".join(parts)
    @pytest.fixture
    def supports_empty_directories(self):
        return False
class TestCopy(AbstractCopyTests, Fixtures): pass
class TestGet(AbstractGetTests, Fixtures): pass
class TestPut(AbstractPutTests, Fixtures): pass
"""

    def test_abstract_suite(self):
        try:
            importlib.import_module("fsspec.tests.abstract")
            importlib.import_module("pytest")
        except ImportError as error:
            reason = f"fsspec {fsspec.__version__} comes without its abstract suite, or no pytest: {error}"
            print(f"\nSKIP: {reason}", flush=True)
            self.skipTest(reason)
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "suite_test.py"
            program.write_text(self.FIXTURES)
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(program)]
            done = subprocess.run(command, env={**os.environ, "NETSTOR_TEST_BUCKET": self.root},
                                  capture_output=True, text=True, timeout=200)
            self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])


if __name__ == "__main__":
    support.main()
