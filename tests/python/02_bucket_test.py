#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every call of a bucket, synchronously."""
import datetime
import io
import random
import threading
import unittest
import urllib.request
from unittest import mock

import netstor
import support

MIB = 1 << 20


def noise(size, seed=7):
    return random.Random(seed).randbytes(size)


class Objects(support.Case):
    def test_what_is_put_is_got(self):
        for size in (0, 1, 4096, 3 * MIB + 5, 20 * MIB):
            data = noise(size)
            put = self.bucket.put("a/b ü", data)
            got = self.bucket.get("a/b ü")
            self.assertEqual(bytes(got), data)
            self.assertEqual((got.info.size, got.info.etag), (size, put.etag))

    def test_get_fills_the_callers_memory(self):
        data = noise(9 * MIB)
        self.bucket.put("k", data)
        into = bytearray(len(data))
        count, info = self.bucket.get("k", into)
        self.assertEqual((count, info.size, into == data), (len(data), len(data), True))
        small = bytearray(10)
        self.assertEqual(self.bucket.get("k", small, offset=5)[0], 10)
        self.assertEqual(small, data[5:15])
        count, _ = self.bucket.get("k", into, offset=len(data) - 3)
        self.assertEqual((count, into[:3]), (3, data[-3:]))

    def test_ranges(self):
        data = noise(MIB)
        self.bucket.put("k", data)
        self.assertEqual(self.bucket.get_range("k", 100, 50), data[100:150])
        self.assertEqual(self.bucket.get_range("k", MIB - 10, 50), data[-10:])
        own = bytearray(7)
        got = self.bucket.get_ranges("k", [(0, 5), (1000, own), (6, 0), (500_000, 100)])
        self.assertEqual([bytes(one) for one in got], [data[:5], data[1000:1007], b"", data[500_000:500_100]])
        self.assertIs(got[1], own)
        with self.assertRaises(netstor.OutOfRange):
            self.bucket.get_ranges("k", [(MIB - 1, 2)])

    def test_put_with_conditions(self):
        first = self.bucket.put("k", b"1", create_only=True)
        with self.assertRaises(netstor.AlreadyExists) as caught:
            self.bucket.put("k", b"2", create_only=True)
        self.assertEqual((caught.exception.effect, caught.exception.origin), ("none", "s3"))
        self.bucket.put("k", b"3", if_match=first.etag)
        with self.assertRaises(netstor.CompareFailed):
            self.bucket.put("k", b"4", if_match=first.etag)
        self.assertEqual(self.bucket.get("k"), b"3")

    def test_put_of_several_pieces_and_what_belongs_to_it(self):
        info = self.bucket.put("k", [b"one ", bytearray(b"two"), memoryview(b" three")],
                               content_type="text/plain", metadata={"owner": "me"}, tags={"a": "b"},
                               checksum="crc32c")
        self.assertEqual(self.bucket.get("k"), b"one two three")
        head = self.bucket.head("k")
        self.assertEqual((head.checksum_algorithm, head.checksum), (info.checksum_algorithm, info.checksum))
        self.assertEqual((head.content_type, head.metadata, head.etag),
                         ("text/plain", {"owner": "me"}, info.etag))
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - head.modified),
                        datetime.timedelta(minutes=5))
        self.assertEqual(self.bucket.tags("k"), {"a": "b"})
        self.bucket.set_tags("k", {})
        self.assertEqual(self.bucket.tags("k"), {})

    def test_customers_key_stays_off_plain_http(self):
        key = b"k" * 32
        for call in (lambda: self.bucket.put("k", b"1", customer_key=key),
                     lambda: self.bucket.get("k", customer_key=key),
                     lambda: self.bucket.head("k", customer_key=key),
                     lambda: self.bucket.get_range("k", 0, 1, customer_key=key),
                     lambda: self.bucket.copy("k", "l", source_customer_key=key),
                     lambda: self.bucket.resume_upload("k", "id", customer_key=key),
                     lambda: self.bucket.put("k", b"1", customer_key=b"short")):
            with self.assertRaises(netstor.InvalidArgument) as caught:
                call()
            self.assertIn("customer_key", str(caught.exception))

    def test_list_copy_delete(self):
        for i in range(25):
            self.bucket.put(f"n/{i:02}", b"x" * i)
        self.bucket.put("other", b"")
        listed = list(self.bucket.list("n/", page=10))
        self.assertEqual([(one.key, one.size) for one in listed], [(f"n/{i:02}", i) for i in range(25)])
        objects, prefixes, after = self.bucket.list_page(delimiter="/")
        self.assertEqual(([one.key for one in objects], prefixes, after), (["other"], ["n/"], ""))
        self.bucket.copy("n/05", "copied")
        self.assertEqual(self.bucket.get("copied"), b"x" * 5)
        self.bucket.delete("copied")
        self.bucket.delete("copied")
        self.assertEqual(self.bucket.delete_many(f"n/{i:02}" for i in range(25)), [])
        self.assertEqual([one.key for one in self.bucket.list()], ["other"])

    def test_presigned_url(self):
        self.bucket.put("k", b"for all")
        with urllib.request.urlopen(self.bucket.presign("get", "k", 60), timeout=30) as answer:
            self.assertEqual(answer.read(), b"for all")

    def test_versions(self):
        self.bucket.set_versioning(True)
        self.assertTrue(self.bucket.versioning())
        old = self.bucket.put("k", b"old")
        self.bucket.put("k", b"new")
        self.assertEqual(self.bucket.get("k", version_id=old.version_id), b"old")
        self.assertEqual([one.latest for one in self.bucket.list(versions=True)], [True, False])

    def test_path(self):
        path = self.bucket.path()
        self.assertTrue(path.endpoint.startswith("http://127.0.0.1:"), path.endpoint)
        self.assertEqual((path.transport, path.rdma_offered, path.rdma), ("http", False, False))
        self.assertIn("RDMA", path.rdma_obstacle)

    def test_check_of_ranges(self):
        data = noise(100_000)
        for algorithm, compares in (("crc64nvme", True), ("none", False)):
            self.bucket.put("k", data, checksum=algorithm)
            info = self.bucket.head("k")
            check = self.bucket.check(info)
            self.assertEqual(check.compares, compares)
            for at in range(0, len(data), 30_000):
                check.update(self.bucket.get_range("k", at, 30_000, if_match=info.etag))
            check.finish()
            other = self.bucket.check(info)
            other.update(data[:-1])
            if not compares:
                other.finish()
                continue
            with self.assertRaises(netstor.DataCorrupt) as refused:
                other.finish()
            self.assertIn(f"s3://{self.bucket.name}/k: ", str(refused.exception))
            with self.assertRaises(netstor.InvalidArgument):
                other.update(b"more")
            self.bucket.put("k", noise(100_000, seed=8), checksum=algorithm)
            with self.assertRaises(netstor.CompareFailed):
                self.bucket.get_range("k", 0, 30_000, if_match=info.etag)

    def test_check_is_refused_to_who_finishes_it_on_the_way(self):
        self.bucket.put("k", b"", checksum="crc64nvme")
        check = self.bucket.check(self.bucket.head("k"))

        class Finishing:
            def __dlpack_device__(self):
                check.finish()
                return (1, 0)

            def __dlpack__(self):
                return netstor.empty(10).__dlpack__()
        with self.assertRaises(netstor.InvalidArgument):
            check.update(Finishing())

    def test_check_lets_other_threads_run_but_not_into_it(self):
        self.bucket.put("k", b"k", checksum="sha256")
        check = self.bucket.check(self.bucket.head("k"))
        much, met = bytes(64 * MIB), threading.Event()

        def sum_up():
            for _ in range(100):
                if not met.is_set():
                    check.update(much)
        thread = threading.Thread(target=sum_up)
        thread.start()
        while thread.is_alive() and not met.is_set():
            try:
                check.update(b"")
            except netstor.InvalidArgument as refused:
                self.assertIn("another thread", str(refused))
                met.set()
        thread.join()
        self.assertTrue(met.is_set())

    def test_buckets(self):
        self.assertIn(self.bucket.name, [one.name for one in netstor.list_buckets()])
        self.bucket.delete_bucket()
        with self.assertRaises(netstor.NotFound):
            self.bucket.get("k")


class Streams(support.Case):
    def test_writer_and_reader(self):
        data = noise(21 * MIB)
        with self.bucket.open_writer("k", content_type="x/y") as writer:
            for at in range(0, len(data), 3 * MIB):
                self.assertEqual(writer.write(memoryview(data)[at:at + 3 * MIB]), len(data[at:at + 3 * MIB]))
        self.assertEqual((writer.tell(), writer.info.key, writer.closed), (len(data), "k", True))
        with self.bucket.open_reader("k") as reader:
            self.assertEqual(reader.info.size, len(data))
            got = reader.read(1000)
            got += reader.readall()
        self.assertEqual(got, data)
        with self.assertRaises(ValueError):
            reader.read(1)

    def test_reader_reads_all_that_is_left_at_once(self):
        data = noise(MIB)
        self.bucket.put("k", data)
        with self.bucket.open_reader("k", offset=100) as reader:
            asked = []
            readinto = reader._core.readinto
            reader._core = mock.Mock(info=reader.info, readinto=lambda into: asked.append(len(into)) or
                                     readinto(into), close=reader._core.close)
            self.assertEqual((reader.read(10), reader.read()), (data[100:110], data[110:]))
            self.assertEqual((reader.read(), reader.readall()), (b"", b""))
            self.assertEqual(asked, [10, MIB - 110, 0, 0])

    def test_writer_that_is_left_by_an_exception_leaves_nothing(self):
        with self.assertRaises(ZeroDivisionError):
            with self.bucket.open_writer("k") as writer:
                writer.write(b"some")
                raise ZeroDivisionError
        dropped = self.bucket.open_writer("k")
        dropped.write(b"some")
        with self.assertWarnsRegex(ResourceWarning, "nothing was stored"):
            del dropped
        with self.assertRaises(ZeroDivisionError):
            with self.bucket.open_writer("k") as raw:  # as Writer's documentation has it
                text = io.TextIOWrapper(io.BufferedWriter(raw))
                text.write("some")
                raise ZeroDivisionError
        self.assertTrue(text.closed)
        with self.assertRaises(netstor.NotFound):
            self.bucket.head("k")

    def test_upload(self):
        first, last = noise(5 * MIB), b"the end"
        upload = self.bucket.start_upload("k")
        self.assertEqual([one.id for one in self.bucket.uploads()], [upload.id])
        again = self.bucket.resume_upload("k", upload.id)
        parts = [again.part(2, last), upload.part(1, first)]
        self.assertEqual([one.number for one in upload.parts()], [1, 2])
        upload.complete(parts)
        self.assertEqual(bytes(self.bucket.get("k")), first + last)
        gone = self.bucket.start_upload("other")
        gone.abort()
        self.assertEqual(self.bucket.uploads(), [])


class Errors(support.Case):
    def test_error_has_code_request_and_effect(self):
        with self.assertRaises(netstor.NotFound) as caught:
            self.bucket.get("nothing", bytearray(10))
        error = caught.exception
        self.assertIsInstance(error, FileNotFoundError)
        self.assertEqual((error.kind, error.code, error.origin, error.native, error.effect),
                         ("not_found", "NoSuchKey", "s3", 404, "none"))
        self.assertTrue(error.request_id)
        self.assertIn(error.request_id, str(error))

    def test_closed_handle(self):
        self.bucket.close()
        self.bucket.close()
        with self.assertRaises(netstor.Closed) as caught:
            self.bucket.get("k")
        self.assertIn("closed", str(caught.exception))

    def test_options_that_are_not_there(self):
        with self.assertRaisesRegex(TypeError, "no option 'ofset'; there are: offset, "):
            self.bucket.get("k", ofset=3)
        with self.assertRaisesRegex(TypeError, "no option 'endpont'"):
            netstor.open_bucket("s3://bbb", endpont="x")
        with self.assertRaisesRegex(TypeError, "timeout"):
            self.bucket.get("k", timeout=-1)

    def test_credentials_missing(self):
        out = support.python(
            "import os, netstor\n"
            "for name in [n for n in os.environ if n.startswith('AWS_')]: del os.environ[name]\n"
            "os.environ.update(HOME='/nowhere')\n"
            "try: netstor.open_bucket('s3://bbb', endpoint='http://127.0.0.1:1').get('k')\n"
            "except netstor.PermissionDenied as error: print(error)")
        self.assertIn("credentials", out.lower())

    def test_endpoint_absent(self):
        bucket = netstor.open_bucket("s3://bbb", endpoint="http://127.0.0.1:1", retries=0)
        with self.assertRaises(netstor.Disconnected) as caught:
            bucket.get("k")
        self.assertIsInstance(caught.exception, ConnectionError)

    def test_credentials_from_a_function(self):
        asked = []

        def credentials():
            asked.append(1)
            return support.SERVER.credentials

        with netstor.open_bucket(self.bucket.uri, credentials=credentials) as bucket:
            bucket.put("k", b"1")
        self.assertTrue(asked)

        def broken():
            raise KeyError("no vault")

        with self.assertRaisesRegex(netstor.PermissionDenied, "no vault"):
            netstor.open_bucket(self.bucket.uri, credentials=broken).put("k", b"1")


if __name__ == "__main__":
    support.main()
