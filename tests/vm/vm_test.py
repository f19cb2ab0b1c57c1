#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ./dev vm promises: the command's output and status, a host that stays as it was, and, when something
goes wrong, an end within its time with the reason."""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "run"
sys.path.insert(0, str(HERE))
import kernels  # noqa: E402


def vm(*words, timeout=300):
    done = subprocess.run([str(RUN), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                          text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def machines(mark):
    """The QEMUs whose command line has the mark."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words and b"qemu" in words.split(b"\0")[0]:
            found.append(path.parent.name)
    return found


def wait_until(so, seconds=60):
    end = time.monotonic() + seconds
    while not so() and time.monotonic() < end:
        time.sleep(0.1)
    return so()


class Vm(unittest.TestCase):
    def test_runs_a_command_on_the_hosts_files_and_leaves_them(self):
        with tempfile.TemporaryDirectory(prefix="netstor-vm-test-") as shared:
            seen = pathlib.Path(shared) / "seen"
            unshared = HERE / "written-by-the-guest"
            code, out, err = vm("--share", shared, "--env", "WORD=of mouth", "-m", "nvme-tcp", "--", f"""
                echo "$WORD"; echo aside >&2; uname -r >'{seen}'
                touch '{unshared}' && test -e '{unshared}' && test -d /sys/module/nvme_tcp && exit 7""")
            self.assertEqual(code, 7, err)
            self.assertEqual(out, "of mouth\n")
            self.assertIn("aside\n", err)
            self.assertRegex(err, r"vm: Linux 6\.1\.\S+ under (KVM|software emulation)")
            self.assertTrue(seen.read_text().startswith("6.1."))
            self.assertFalse(unshared.exists())

    def test_ends_a_command_that_hangs(self):
        mark = f"netstor.test={uuid.uuid4()}"
        code, out, err = vm("--limit", "2", "--append", mark, "--", "echo begun; sleep 1000")
        self.assertEqual((code, out), (124, "begun\n"), err)
        self.assertIn("the command took longer than 2 s", err)
        self.assertEqual(machines(mark), [])

    def test_leaves_no_machine_behind_when_it_is_killed(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            mark = f"netstor.test={uuid.uuid4()}"
            child = subprocess.Popen([str(RUN), "--append", mark, "--", "sleep 1000"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            try:
                self.assertTrue(wait_until(lambda: machines(mark) or child.poll() is not None))
                self.assertIsNone(child.poll())
            finally:
                child.send_signal(number)
                child.wait(60)
            self.assertTrue(wait_until(lambda: not machines(mark)), number)

    def test_says_why_a_guest_died(self):
        code, _, err = vm("--", "echo c >/proc/sysrq-trigger; sleep 100")
        self.assertEqual(code, 125)
        self.assertRegex(err, "the guest died under the command.*: Kernel panic.*sysrq triggered crash")

    def test_says_why_a_guest_did_not_come_up(self):
        code, _, err = vm("--append", "rdinit=/nosuch init=/nosuch", "--", "true")
        self.assertEqual(code, 125)
        self.assertRegex(err, "the guest did not boot.*: Kernel panic.*mount root")

    def test_says_why_a_guest_without_ports_did_not_come_up(self):
        code, _, err = vm("--append", "module_blacklist=virtio_console", "--", "true")
        self.assertEqual(code, 125)
        self.assertRegex(err, r"the guest did not boot.*: could not insert virtio_console\.ko")

    def test_says_which_module_is_missing(self):
        code, _, err = vm("-m", "no_such_module", "--", "true")
        self.assertEqual(code, 125)
        self.assertIn("no module no_such_module in Linux 6.1", err)

    def test_refuses_what_it_cannot_share_or_attach(self):
        for words in (["--share", "/no/such"], ["--nvme-disk", "/no/such"], ["-p", "80"], ["--env", "X"]):
            code, _, err = vm(*words, "--", "true")
            self.assertEqual(code, 2, err)
            self.assertIn(words[0].lstrip("-")[0], err)


if __name__ == "__main__":
    try:
        for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static")):
            kernels.need(program, package)
        kernels.kernel(kernels.DEFAULT, say=print)
    except kernels.Unavailable as why:
        print(f"SKIP: {why}")
        sys.exit(77)
    unittest.main(verbosity=2)
