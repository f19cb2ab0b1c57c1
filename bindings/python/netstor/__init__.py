# SPDX-License-Identifier: Apache-2.0
"""Remote volumes (NVMe over TCP) and buckets (S3) straight into numpy and torch memory.

    import netstor, numpy

    with netstor.open_bucket("s3://samples", endpoint="http://10.0.0.1:9000") as bucket:
        bucket.put("a.bin", numpy.arange(1000))
        array = numpy.frombuffer(bucket.get("a.bin"), dtype="int64")    # no copy
        bucket.get("a.bin", into=array)                                 # into memory of your own

Every call waits with the interpreter's lock released; `…_async` is its twin for asyncio. Errors are
netstor.Error and its subclasses. One process has one runtime, started by the first open; configure() before
it chooses how many threads it has.
"""
import atexit as _atexit

from . import _netstor
from ._bucket import Bucket, list_buckets, list_buckets_async, open_bucket, open_bucket_async
from ._errors import (AlreadyExists, Cancelled, Closed, CompareFailed, DataCorrupt, DeviceError, Disconnected,
                      Error, Exhausted, InternalError, InvalidArgument, NoSpace, NotFound, OutOfRange,
                      PermissionDenied, ProtocolError, TimedOut, Unsupported)
from ._netstor import (BucketInfo, DiscoveredSubsystem, Memory, ObjectInfo, RemoveFailure, UploadedPart,
                       UploadInfo, VolumeInfo, __version__, empty)
from ._streams import Reader, Upload, Writer
from ._volume import Volume, discover, discover_async, open_volume, open_volume_async

__all__ = [
    "AlreadyExists", "Bucket", "BucketInfo", "Cancelled", "Closed", "CompareFailed", "DataCorrupt",
    "DeviceError", "Disconnected", "DiscoveredSubsystem", "Error", "Exhausted", "InternalError",
    "InvalidArgument", "Memory", "NoSpace", "NotFound", "ObjectInfo", "OutOfRange", "PermissionDenied",
    "ProtocolError", "Reader", "RemoveFailure", "TimedOut", "Unsupported", "Upload", "UploadInfo",
    "UploadedPart", "Volume", "VolumeInfo", "Writer", "__version__", "capabilities", "configure", "discover",
    "discover_async", "empty", "list_buckets", "list_buckets_async", "metrics", "open_bucket",
    "open_bucket_async", "open_volume", "open_volume_async",
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
