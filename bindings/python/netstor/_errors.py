# SPDX-License-Identifier: Apache-2.0
"""Exceptions: one class a kind of error, all of them netstor.Error, and Python's own where it has one."""


class Error(Exception):
    """Why an operation failed. `str()` is one line for people: what, where, what to do.

    kind        the class in one word: "not_found", "timed_out", …
    origin      whose error it is: "library", "system", "nvme", "tls", "s3"
    native      its number there: an errno, an NVMe status, an HTTP status
    code        of a service, in its own words: "NoSuchKey"; else ""
    request_id  of a service: what its operator finds the request by; else ""
    effect      "none": nothing happened, trying again is safe. "unknown": a write whose answer was lost may
                have happened, or may yet happen
    """

    kind = "internal"

    def __init__(self, text, *, origin="library", native=0, effect="none", code="", request_id=""):
        super().__init__(text)
        self.text = text
        self.origin = origin
        self.native = native
        self.effect = effect
        self.code = code
        self.request_id = request_id

    def __str__(self):
        return self.text + (" (it may have happened)" if self.effect == "unknown" else "")

    def __reduce__(self):
        return _make, (self.kind, self.text, self.origin, self.native, self.effect, self.code,
                       self.request_id, type(self))


class Cancelled(Error):
    """The caller asked for it, or the handle was closed."""

    kind = "cancelled"


class TimedOut(Error, TimeoutError):
    """A deadline, or a limit of opening, passed."""

    kind = "timed_out"


class Disconnected(Error, ConnectionError):
    """The path to the storage was lost, or was never there."""

    kind = "disconnected"


class InvalidArgument(Error, ValueError):
    """The call itself is wrong: memory, alignment, name, option."""

    kind = "invalid_argument"


class Closed(InvalidArgument):
    """The handle was closed before."""


class OutOfRange(Error, ValueError):
    """Beyond the end of the volume or the object."""

    kind = "out_of_range"


class Unsupported(Error, NotImplementedError):
    """This build, machine, driver, process or peer cannot do it."""

    kind = "unsupported"


class NotFound(Error, FileNotFoundError):
    """No such key, bucket, volume, file."""

    kind = "not_found"


class PermissionDenied(Error, PermissionError):
    """The peer or the system refused the caller; or nobody said who the caller is."""

    kind = "permission_denied"


class AlreadyExists(Error, FileExistsError):
    """A create-only put met an object."""

    kind = "already_exists"


class NoSpace(Error, OSError):
    """The store is full."""

    kind = "no_space"


class CompareFailed(Error):
    """A condition did not hold; nothing was changed."""

    kind = "compare_failed"


class DataCorrupt(Error, OSError):
    """A checksum or the medium says that the bytes are wrong."""

    kind = "data_corrupt"


class ProtocolError(Error, OSError):
    """The peer broke the protocol."""

    kind = "protocol"


class Exhausted(Error, OSError):
    """A limit of memory, queues or descriptors was met, or the service asks for patience: try later."""

    kind = "exhausted"


class DeviceError(Error, OSError):
    """The storage answered with an error of its own."""

    kind = "device_error"


class InternalError(Error, RuntimeError):
    """A defect of the library."""

    kind = "internal"


_CLASSES = {one.kind: one for one in (
    Cancelled, TimedOut, Disconnected, InvalidArgument, OutOfRange, Unsupported, NotFound, PermissionDenied,
    AlreadyExists, NoSpace, CompareFailed, DataCorrupt, ProtocolError, Exhausted, DeviceError, InternalError)}


def _make(kind, text, origin, native, effect, code, request_id, one=None):
    one = one or _CLASSES.get(kind, InternalError)
    return one(text, origin=origin, native=native, effect=effect, code=code, request_id=request_id)
