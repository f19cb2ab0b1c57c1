#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The asynchronous twins: many in flight from one thread, cancelling, deadlines, loops that end early."""
import asyncio
import gc
import os
import socket
import threading
import unittest

import netstor
import support


class Silent:
    """A service that takes requests and never answers."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._taken = []
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(connection)
            connection.recv(1)
            self.asked.set()

    def bucket(self, **options):
        return netstor.open_bucket("s3://bbb", endpoint=self.endpoint, retries=0, **options)

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._taken:
            connection.close()


async def until(condition):
    """Waits for it, within a bound."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


class Twins(unittest.IsolatedAsyncioTestCase):
    async def test_bucket(self):
        async with await netstor.open_bucket_async(f"s3://async-{os.getpid()}") as bucket:
            await bucket.create_async()
            info = await bucket.put_async("a", b"1234")
            self.assertEqual(info.size, 4)
            got = await bucket.get_async("a")
            self.assertEqual((got, got.info.etag), (b"1234", info.etag))
            into = bytearray(4)
            self.assertEqual((await bucket.get_async("a", into))[0], 4)
            self.assertEqual((await bucket.get_range_async("a", 1, 2)), b"23")
            self.assertEqual([bytes(one) for one in await bucket.get_ranges_async("a", [(0, 1), (3, 1)])],
                             [b"1", b"4"])
            self.assertEqual((await bucket.head_async("a")).key, "a")
            await bucket.copy_async("a", "b")
            self.assertEqual([one.key async for one in bucket.list_async(page=1)], ["a", "b"])
            self.assertTrue((await bucket.presign_async("get", "a")).startswith("http"))
            await bucket.delete_async("a")
            with self.assertRaises(netstor.NotFound):
                await bucket.get_async("a")
            async with await bucket.open_writer_async("c") as writer:
                await writer.write_async(b"streamed")
            async with await bucket.open_reader_async("c") as reader:
                self.assertEqual(await reader.read_async(4), b"stre")
                self.assertEqual(await reader.read_async(), b"amed")
        with self.assertRaises(netstor.Closed):
            await bucket.get_async("c")

    async def test_volume(self):
        async with await netstor.open_volume_async(support.SERVER.volume) as volume:
            data = os.urandom(8192)
            await volume.write_from_async(0, data)
            into = bytearray(8192)
            await volume.read_into_async(0, into)
            self.assertEqual((into, await volume.read_async(0, 8192)), (data, data))
            await volume.flush_async()

    async def test_thousands_at_once(self):
        bucket = support.new_bucket()
        threads = threading.active_count()
        await asyncio.gather(*(bucket.put_async(f"{i:04}", i.to_bytes(4, "big")) for i in range(2000)))
        got = await asyncio.gather(*(bucket.get_async(f"{i:04}") for i in range(2000)))
        self.assertEqual([int.from_bytes(one, "big") for one in got], list(range(2000)))
        self.assertEqual(threading.active_count(), threads)
        await bucket.close_async()


class Stopping(unittest.IsolatedAsyncioTestCase):
    async def test_cancelled_task_cancels_the_work(self):
        with Silent() as service, service.bucket() as bucket:
            into = bytearray(100)
            task = asyncio.create_task(bucket.get_async("k", into))
            await until(service.asked.is_set)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asyncio.wait_for(asyncio.shield(task), 20)
            into.extend(b"mine again")

    async def test_many_cancelled_at_once(self):
        with Silent() as service, service.bucket() as bucket:
            tasks = [asyncio.create_task(bucket.get_async("k")) for _ in range(500)]
            await until(service.asked.is_set)
            for task in tasks:
                task.cancel()
            answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
            self.assertTrue(all(isinstance(one, asyncio.CancelledError) for one in answers))

    async def test_deadlines(self):
        with Silent() as service, service.bucket() as bucket:
            with self.assertRaises(netstor.TimedOut) as caught:
                await bucket.get_async("k", timeout=0.05)
            self.assertIsInstance(caught.exception, TimeoutError)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(bucket.get_async("k"), 0.05)
            with self.assertRaises(netstor.TimedOut):
                bucket.get("k", timeout=0.05)

    async def test_close_answers_what_is_under_way(self):
        with Silent() as service:
            bucket = service.bucket()
            task = asyncio.create_task(bucket.get_async("k"))
            await until(service.asked.is_set)
            await bucket.close_async()
            with self.assertRaises(netstor.Cancelled):
                await asyncio.wait_for(task, 20)


class Loops(unittest.TestCase):
    def test_loop_closed_with_work_in_flight(self):
        with Silent() as service, service.bucket() as bucket:
            for _ in range(20):
                loop = asyncio.new_event_loop()
                task = loop.create_task(bucket.get_async("k"))
                loop.run_until_complete(asyncio.sleep(0))
                task._log_destroy_pending = False
                loop.close()
                del task, loop
                gc.collect()
        self.assertEqual(bytes(support.new_bucket().put("k", b"1").key, "ascii"), b"k")

    def test_a_loop_in_each_of_several_threads(self):
        bucket = support.new_bucket()
        bucket.put("k", b"1234")
        wrong = []

        def work():
            async def some():
                for _ in range(20):
                    got = await asyncio.gather(*(bucket.get_async("k") for _ in range(10)))
                    if any(one != b"1234" for one in got):
                        wrong.append(got)
            asyncio.run(some())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())
        self.assertEqual(wrong, [])

    def test_descriptors_are_given_back(self):
        bucket = support.new_bucket()
        bucket.put("k", b"1")

        async def once():
            await bucket.get_async("k")

        asyncio.run(once())
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(30):
            asyncio.run(once())
        gc.collect()
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before + 2)


if __name__ == "__main__":
    support.main()
