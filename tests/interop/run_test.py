#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests/interop/run promises when peers, programs and machines fail: every test has a verdict, and what
is wrong with one peer is not another's. It starts no machine."""
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import sys
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
        chosen = types.SimpleNamespace(kernel=["6.1"], all=False, accel="auto", **more)
        with mock.patch.object(run, "missing_programs", return_value=[]), \
                mock.patch.object(run.kernels, "need"):
            return run.run_all(chosen, tests, modules, {})

    def test_a_peer_whose_module_is_missing_fails_alone(self):
        def files_of(_, module):
            if module == "nvme-tpc":
                raise run.kernels.NoModule("no module nvme-tpc in Linux 6.1")

        (good, good_test), (bad, bad_test) = peer("good", "nvme-tcp"), peer("bad", "nvme-tpc")
        with mock.patch.object(run.kernels, "kernel"), mock.patch.object(run.kernels, "files_of", files_of), \
                mock.patch.object(run, "run_in_guest",
                                  lambda _, tests, *more: dict.fromkeys(tests, ("passed", "", 1))):
            verdicts = self.run_all({"good": good, "bad": bad}, [good_test, bad_test])
        self.assertEqual(verdicts[good_test, "Linux 6.1"][0], "passed")
        state, why, _ = verdicts[bad_test, "Linux 6.1"]
        self.assertEqual(state, "failed")
        self.assertIn("no module nvme-tpc", why)

    def test_without_the_kernel_all_are_skipped(self):
        module, test = peer("good", "nvme-tcp")
        with mock.patch.object(run.kernels, "kernel", side_effect=run.kernels.Unavailable("no network")):
            verdicts = self.run_all({"good": module}, [test])
        self.assertEqual(verdicts, {(test, "Linux 6.1"): ("skipped", "no network", 0)})


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
