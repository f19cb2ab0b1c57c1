# SPDX-License-Identifier: Apache-2.0
"""A thread of another process that does nothing for a while, as one that waits for a disk that is gone."""
import contextlib
import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of ptrace(2)
WALL = 0x40000000  # of waitpid(2): threads, too


def thread_of(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"process {pid} has no thread {name}")


@contextlib.contextmanager
def stuck(case, pid, name):
    """Skips `case` where the system does not let us stop threads of our own children."""
    thread = thread_of(pid, name)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(SEIZE, thread, 0, 0) != 0:
        case.skipTest(f"ptrace: {os.strerror(ctypes.get_errno())}")
    try:
        if libc.ptrace(INTERRUPT, thread, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(thread, WALL)
        yield
    finally:
        # A thread that ended meanwhile has to be waited for, or its process never ends.
        if libc.ptrace(DETACH, thread, 0, 0) != 0:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(thread, WALL)
