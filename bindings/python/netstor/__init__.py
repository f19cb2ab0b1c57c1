# SPDX-License-Identifier: Apache-2.0
"""Remote volumes (NVMe over TCP) and buckets (S3) straight into numpy and torch memory.

    import netstor, numpy

    with netstor.open_bucket("s3://samples", endpoint="http://10.0.0.1:9000") as bucket:
        bucket.put("a.bin", numpy.arange(1000))
        array = numpy.frombuffer(bucket.get("a.bin"), dtype="int64")    # no copy
        bucket.get("a.bin", into=array)                                 # into memory of your own

Every call waits with the interpreter's lock released; `…_async` is its twin for asyncio. One process has one
runtime, started by the first open; configure() before it chooses how many threads it has. The calls are in
help(netstor.Bucket), help(netstor.Volume) and so on; netstor.fs is a file system for fsspec, netstor.torch
has datasets and checkpoints.

Memory. What a call fills or sends (bytearray, numpy, mmap, torch, Memory) is lent to the library from the
call until its answer: nothing is copied. Leave it alone meanwhile: a read may write to it at any moment,
and what changes under a write may be stored either way. A Memory that a call answers is yours.

Ending early. `timeout=SECONDS` of a call, a cancelled task (asyncio.wait_for(), a TaskGroup) and Ctrl-C ask
the library to stop, then wait until it has let go of the memory, which is soon. Ctrl-C waits 5 seconds at
most: a call that does not end by then is left behind, and its memory stays lent (and is not freed) until it
ends. close() answers what is under way with Cancelled.

Errors are netstor.Error and its subclasses, Python's own too (FileNotFoundError, TimeoutError) where there
is one. `error.effect` says what became of a write that failed: "none", nothing happened and trying again is
safe; "unknown", its answer was lost, by a timeout, a cancel or a broken path, and it may have happened, or
may yet. What only reads has no effect.

Processes. Buckets and volumes go through fork and pickling: the other process opens them anew at their
first use, so that DataLoader workers need no care. Readers, writers, uploads and calls under way do not: in
the child they raise Unsupported. A pickle holds the options of the open as they were given, `credentials`
and secrets too; with `profile=`, or nothing, each process finds its own. When the interpreter ends, work
under way is cancelled.
"""
import atexit as _atexit

from . import _netstor
from ._bucket import Bucket, list_buckets, list_buckets_async, open_bucket, open_bucket_async
from ._errors import (AlreadyExists, Cancelled, Closed, CompareFailed, DataCorrupt, DeviceError, Disconnected,
                      Error, Exhausted, InternalError, InvalidArgument, NoSpace, NotFound, OutOfRange,
                      PermissionDenied, ProtocolError, TimedOut, Unsupported)
from ._netstor import (BucketInfo, BucketPath, DiscoveredSubsystem, Memory, ObjectCheck, ObjectInfo,
                       RemoveFailure, UploadedPart, UploadInfo, VolumeInfo, __version__, empty)
from ._streams import Reader, Upload, Writer
from ._volume import Volume, discover, discover_async, open_volume, open_volume_async

__all__ = [
    "AlreadyExists", "Bucket", "BucketInfo", "BucketPath", "Cancelled", "Closed", "CompareFailed",
    "DataCorrupt", "DeviceError", "Disconnected", "DiscoveredSubsystem", "Error", "Exhausted",
    "InternalError", "InvalidArgument", "Memory", "NoSpace", "NotFound", "ObjectCheck", "ObjectInfo",
    "OutOfRange", "PermissionDenied", "ProtocolError", "Reader", "RemoveFailure", "TimedOut", "Unsupported",
    "Upload", "UploadInfo", "UploadedPart", "Volume", "VolumeInfo", "Writer", "__version__", "capabilities",
    "configure", "discover", "discover_async", "empty", "list_buckets", "list_buckets_async", "metrics",
    "open_bucket", "open_bucket_async", "open_volume", "open_volume_async",
]


def configure(**options):
    """Before the first open: `shards` (threads with connections of their own, 1), `poll_budget` (seconds that
    an idle one polls before it sleeps, 20e-6), `io_driver` ("auto", "uring", "posix"), `pin_threads`."""
    _netstor.configure(**options)


def metrics():
    """Counters since the runtime's start, a dict: reads, writes, errors, read_bytes, copied_bytes, …"""
    return _netstor.metrics()


def capabilities():
    """What this build can do on this machine: a list of (name, available, why not or detail)."""
    return _netstor.capabilities()


# Before the interpreter takes itself apart: work in flight is answered, the threads end.
_atexit.register(_netstor._end)
