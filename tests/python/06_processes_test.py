#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fork, spawn, forkserver, exit with work in flight, Ctrl-C, pickling: a hundred times, no hang, no crash."""
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest

import netstor
import support

TIMES = 100
EACH_SECONDS = 20

# A service that never answers, and a bucket of it, in a program of its own.
SILENT = """
import netstor, socket, threading, sys, asyncio, os, time
listener = socket.create_server(('127.0.0.1', 0))
silent = netstor.open_bucket('s3://bbb', endpoint=f'http://127.0.0.1:{listener.getsockname()[1]}', retries=0)
"""


def read_in_child(bucket, key, queue):
    queue.put(bytes(bucket.get(key)))


def wait_for(pid):
    """The child's status; a child that hangs is killed, and is a failure."""
    limit = time.monotonic() + EACH_SECONDS
    while time.monotonic() < limit:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"the child did not end within {EACH_SECONDS} s")


class Fork(support.Case):
    def setUp(self):
        super().setUp()
        self.bucket.put("k", b"1234")

    def fork(self, work):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = work() or 0
            finally:
                os._exit(code)
        return wait_for(pid)

    def test_handles_reconnect_in_the_child(self):
        for _ in range(TIMES):
            self.assertEqual(self.fork(lambda: int(self.bucket.get("k") != b"1234")), 0)
        self.assertEqual(self.bucket.get("k"), b"1234")

    def test_child_that_never_uses_it_ends(self):
        for _ in range(TIMES):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            self.assertEqual(wait_for(pid), 0)

    def test_volume_reconnects(self):
        with netstor.open_volume(support.SERVER.volume) as volume:
            volume.write_from(0, b"x" * 4096)
            for _ in range(10):
                self.assertEqual(self.fork(lambda: int(volume.read(0, 4096) != b"x" * 4096)), 0)

    def test_what_cannot_cross_says_so(self):
        reader = self.bucket.open_reader("k")

        def child():
            try:
                reader.read(1)
            except netstor.Unsupported as error:
                return 0 if "fork" in str(error) else 2
            return 3

        self.assertEqual(self.fork(child), 0)
        self.assertEqual(reader.read(), b"1234")

    def test_fork_while_threads_are_in_calls(self):
        stop = threading.Event()

        def work():
            while not stop.is_set():
                self.bucket.get("k")

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(TIMES // 4):
                self.assertEqual(self.fork(lambda: int(self.bucket.get("k") != b"1234")), 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        self.assertFalse(any(thread.is_alive() for thread in threads))

    def test_whole_interpreters_that_fork_end(self):
        support.python(
            "import netstor, os, sys\n"
            "bucket = netstor.open_bucket(sys.argv[1])\n"
            "memory = netstor.empty(1 << 16)\n"
            "bucket.get('k', memory)\n"
            "for _ in range(20):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        assert bucket.get('k') == b'1234'\n"
            "        sys.exit(7)\n"
            "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n", self.bucket.uri)


class Multiprocessing(support.Case):
    def run_with(self, method, times):
        context = multiprocessing.get_context(method)
        self.bucket.put("k", b"1234")
        left = times
        while left:
            together = min(left, 4)
            left -= together
            queue = context.Queue()
            children = [context.Process(target=read_in_child, args=(self.bucket, "k", queue))
                        for _ in range(together)]
            for child in children:
                child.start()
            for child in children:
                self.assertEqual(queue.get(timeout=60), b"1234")
            for child in children:
                child.join(60)
                self.assertEqual(child.exitcode, 0)

    def test_fork(self):
        self.run_with("fork", TIMES)

    def test_forkserver(self):
        self.run_with("forkserver", TIMES)

    def test_spawn(self):
        self.run_with("spawn", TIMES)


class Exit(unittest.TestCase):
    def many(self, code, expect=0, times=TIMES):
        """Programs of their own, four at a time."""
        running = []
        for i in range(times + 4):
            if i < times:
                running.append(subprocess.Popen([sys.executable, "-c", SILENT + code], stdout=subprocess.PIPE,
                                                stderr=subprocess.STDOUT, text=True))
            if i >= 3 and running:
                child = running.pop(0)
                try:
                    out, _ = child.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    child.kill()
                    self.fail(f"it hangs: {child.communicate()[0]}")
                self.assertEqual(child.returncode, expect, out)
        for child in running:
            out, _ = child.communicate(timeout=60)
            self.assertEqual(child.returncode, expect, out)

    def test_with_operations_nobody_waits_for(self):
        self.many("kept = [silent._core.get(str(i), bytearray(4096)) for i in range(50)]\n"
                  "memory = netstor.empty(1 << 20)\n")

    def test_with_a_daemon_thread_in_a_call(self):
        self.many("threading.Thread(target=lambda: silent.get('k'), daemon=True).start()\n"
                  "listener.accept()\n", times=TIMES // 4)

    def test_with_a_daemon_thread_that_begins_more(self):
        self.many("def work():\n"
                  "    while True:\n"
                  "        netstor.metrics(), netstor.empty(1 << 16), silent._core.get('k')\n"
                  "threading.Thread(target=work, daemon=True).start()\n"
                  "time.sleep(0.02)\n", times=TIMES // 4)

    def test_with_a_loop_in_flight(self):
        self.many("async def main():\n"
                  "    tasks = [asyncio.create_task(silent.get_async('k')) for _ in range(20)]\n"
                  "    await asyncio.sleep(0)\n"
                  "asyncio.run(main())\n", times=TIMES // 4)

    def test_by_an_exception(self):
        self.many("kept = silent._core.get('k')\nraise SystemExit(9)\n", expect=9, times=TIMES // 4)


class CtrlC(unittest.TestCase):
    def test_ends_a_long_call(self):
        code = SILENT + ("try:\n"
                         "    print('go', flush=True)\n"
                         "    into = bytearray(100)\n"
                         "    silent.get('k', into)\n"
                         "except KeyboardInterrupt:\n"
                         "    into.extend(b'mine again')\n"
                         "    print('interrupted')\n")
        for _ in range(5):
            child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
            self.assertEqual(child.stdout.readline().strip(), "go")
            time.sleep(0.1)
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=30)
            self.assertEqual((out.strip(), child.returncode), ("interrupted", 0))


class Pickling(support.Case):
    def test_handles_reconnect(self):
        self.bucket.put("k", b"1234")
        again = pickle.loads(pickle.dumps(self.bucket))
        self.assertEqual(again.get("k"), b"1234")
        volume = pickle.loads(pickle.dumps(netstor.open_volume(support.SERVER.volume)))
        self.assertEqual(volume.size, 64 << 20)
        again.close()
        with self.assertRaises(netstor.Closed):
            pickle.dumps(again)

    def test_errors(self):
        with self.assertRaises(netstor.NotFound) as caught:
            self.bucket.get("nothing", bytearray(10))
        again = pickle.loads(pickle.dumps(caught.exception))
        self.assertEqual((type(again), again.code, again.request_id, str(again)),
                         (netstor.NotFound, "NoSuchKey", caught.exception.request_id, str(caught.exception)))

    def test_streams_and_memory_do_not(self):
        writer = self.bucket.open_writer("k")
        self.addCleanup(writer.abort)
        for thing in (writer, netstor.empty(3)):
            with self.assertRaises(TypeError):
                pickle.dumps(thing)


if __name__ == "__main__":
    support.main()
