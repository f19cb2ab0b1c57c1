#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests/interop/run promises when peers, programs and machines fail: every test has a verdict, and what
is wrong with one peer is not another's. It starts no machine."""
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True


def program(path):
    """The module of a program that has no .py."""
    loader = importlib.machinery.SourceFileLoader("interop_run", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


run = program(HERE / "run")
import inside  # noqa: E402, run knows where it is


def peer(name, *modules, where="guest"):
    """A peer with one test."""
    module = types.ModuleType(name)
    module.PEER = run.lab.Peer(name, "kernel", modules=modules, where=where)
    return module, run.Test(name, "test_it", "it", False)


class Kernels(unittest.TestCase):
    def run_all(self, modules, tests, **more):
        chosen = types.SimpleNamespace(kernel=["6.1"], all=False, accel="auto", limit=None, **more)
        with mock.patch.object(run, "missing_programs", return_value=[]), \
                mock.patch.object(run.kernels, "need"):
            return run.run_all(chosen, tests, modules, {})

    def run_both(self, room, name, instead, first, second):
        """The verdicts of two peers whose tests pass where they run, with another function in `room`."""
        with mock.patch.object(run.kernels, "kernel"), mock.patch.object(room, name, instead), \
                mock.patch.object(run, "run_in_guest",
                                  lambda _, tests, *more: dict.fromkeys(tests, ("passed", "", 1))):
            verdicts = self.run_all({each.__name__: each for each, _ in (first, second)},
                                    [first[1], second[1]])
        return [verdicts[test, "Linux 6.1"] for _, test in (first, second)]

    def test_a_peer_whose_module_is_missing_fails_alone(self):
        def files_of(_, module):
            if module == "nvme-tpc":
                raise run.kernels.NoModule("no module nvme-tpc in Linux 6.1")

        good, (state, why, _) = self.run_both(run.kernels, "files_of", files_of, peer("good", "nvme-tcp"),
                                              peer("bad", "nvme-tpc"))
        self.assertEqual(good[0], "passed")
        self.assertEqual(state, "failed")
        self.assertIn("no module nvme-tpc", why)

    def test_a_peer_whose_module_cannot_be_built_is_skipped_alone(self):
        def provide(_, module, **more):
            if module == "siw":
                raise run.kernels.Unavailable("make is not installed")

        good, bare = self.run_both(run.left_out, "provide", provide, peer("good", "nvme-tcp"),
                                   peer("bare", "siw"))
        self.assertEqual(good[0], "passed")
        self.assertEqual(bare, ("skipped", "make is not installed", 0))

    def test_without_the_kernel_all_are_skipped(self):
        module, test = peer("good", "nvme-tcp")
        with mock.patch.object(run.kernels, "kernel", side_effect=run.kernels.Unavailable("no network")):
            verdicts = self.run_all({"good": module}, [test])
        self.assertEqual(verdicts, {(test, "Linux 6.1"): ("skipped", "no network", 0)})


class Host(unittest.TestCase):
    def wait_until(self, so, seconds=60):
        end = time.monotonic() + seconds
        while not so():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_tests_that_hang_fail_and_leave_nothing_behind(self):
        hangs = ("#!/usr/bin/env python3\nimport json, os, subprocess, sys, time\n"
                 "child = subprocess.Popen(['sleep', '1000'])\n"
                 "with open(sys.argv[2], 'w') as report:\n"
                 "    for entry in ({'state': 'passed', 'why': '', 'seconds': 1, 'test': 'test_a'},\n"
                 "                  {'state': 'begun', 'test': 'test_b'}):\n"
                 "        report.write(json.dumps({'peer': 'made', **entry}) + '\\n')\n"
                 "open(os.environ['HERE'] + '/child', 'w').write(str(child.pid))\n"
                 "time.sleep(1000)\n")
        tests = [run.Test("made", name, "it", False) for name in ("test_a", "test_b", "test_c")]
        with tempfile.TemporaryDirectory() as folder:
            here = pathlib.Path(folder)
            (here / "inside.py").write_text(hangs)
            told, wait = here / "child", subprocess.Popen.wait

            def out_of_time(child, timeout=None):
                if timeout is None:
                    return wait(child)
                self.wait_until(lambda: told.exists() and told.read_text())
                raise subprocess.TimeoutExpired(child.args, timeout)

            with mock.patch.object(run, "HERE", here), mock.patch.object(run, "print", create=True), \
                    mock.patch.object(subprocess.Popen, "wait", out_of_time):
                verdicts = run.run_on_host(tests, {"HERE": folder}, 10)
            child = pathlib.Path("/proc", told.read_text(), "status")
        self.assertEqual([verdicts[test][0] for test in tests], ["passed", "failed", "failed"])
        self.assertIn("under it: the tests on the host took longer than 10 s", verdicts[tests[1]][1])
        self.assertIn("did not come to it: the tests on the host took", verdicts[tests[2]][1])
        # Killed; it stays a zombie where nobody waits for orphans.
        self.wait_until(lambda: not child.exists() or "\nState:\tZ" in child.read_text())


class Files(unittest.TestCase):
    @staticmethod
    def module(*classes):
        """A peer's file with these classes, each a dict of its methods."""
        made = types.ModuleType("made")
        for at, methods in enumerate(classes):
            setattr(made, f"C{at}", type(f"C{at}", (unittest.TestCase,), {"__module__": "made", **methods}))
        return made

    def test_two_tests_of_one_name_are_refused(self):
        def test_it(_):
            """it"""

        with self.assertRaisesRegex(run.WrongPeer, "made.py has two test_it"):
            list(run.tests_of("made", self.module({"test_it": test_it}, {"test_it": test_it})))

    def test_a_test_without_a_docstring_is_refused(self):
        with self.assertRaisesRegex(run.WrongPeer, "made.py, test_it: it needs a docstring"):
            list(run.tests_of("made", self.module({"test_it": lambda self: None})))

    def test_all_that_are_here_are_as_they_should_be(self):
        found = run.peers()
        self.assertGreater(len(found), 10)
        for name, module in found.items():
            self.assertTrue(list(run.tests_of(name, module)), name)


class Verdicts(unittest.TestCase):
    def test_a_skip_does_not_hide_a_failure(self):
        class Both(unittest.TestCase):
            def test_both(self):
                with self.subTest("first"):
                    self.fail("this one")
                self.skipTest("nothing more to see")

        file = mock.Mock(wraps=io.StringIO(), fileno=lambda: -1)
        with mock.patch.object(inside.os, "fsync"), mock.patch.object(inside, "print", create=True):
            unittest.TestSuite([Both("test_both")]).run(inside.Report("made", file))
        written = [json.loads(call.args[0]) for call in file.write.call_args_list]
        self.assertEqual([line["state"] for line in written], ["begun", "failed"])
        self.assertIn("this one", written[1]["why"])
        self.assertIn("nothing more to see", written[1]["why"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
