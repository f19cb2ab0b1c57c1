# SPDX-License-Identifier: Apache-2.0
"""Readers and writers, which are Python's own binary files, too; and uploads."""
import io
import warnings

from ._calls import finish, operation, twins


class Reader(io.RawIOBase):
    """Reads one version of an object from front to back, some parts ahead.

    One call at a time: a read or close while another read is under way, of another thread or task
    (asyncio.gather), is InvalidArgument. Its methods take no `timeout`: asyncio.wait_for() cancels a
    read_async(), and the bucket's first_byte_timeout and operation_timeout bound each request. In
    io.BufferedReader small reads are cheap.
    """

    def __init__(self, core, offset=0):
        super().__init__()
        self._core = core
        self._begin = offset
        self._at = 0

    @property
    def info(self):
        """The object's ObjectInfo."""
        return self._core.info

    def readable(self):
        """Yes."""
        return True

    def tell(self):
        """Bytes read so far."""
        return self._at

    def _left(self):
        return max(self.info.size - self._begin - self._at, 0)

    def readall(self):
        """What is left, read at once; read() without a size is the same."""
        into = bytearray(self._left())
        return bytes(memoryview(into)[:self.readinto(into)])

    def readinto(self, into):
        """Fills `into`; less at the object's end only, where it answers 0."""
        self._checkClosed()
        count = self._core.readinto(into).wait()
        self._at += count
        return count

    async def readinto_async(self, into):
        """readinto() for an event loop."""
        self._checkClosed()
        count = await finish(self._core.readinto(into))
        self._at += count
        return count

    async def read_async(self, size=-1):
        """At most `size` bytes, b"" at the object's end; without a size, or with -1, all that is left."""
        into = bytearray(self._left() if size is None or size < 0 else size)
        count = await self.readinto_async(into)
        return bytes(memoryview(into)[:count])

    def close(self):
        """Gives its memory back."""
        if not self.closed:
            super().close()
            self._core.close().wait()

    async def close_async(self):
        """close() for an event loop."""
        if not self.closed:
            super().close()
            await finish(self._core.close())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close_async()

    def __del__(self):
        pass  # the last reference ends the stream without waiting


class Writer(io.RawIOBase):
    """Writes an object of unknown size from front to back. It is there, whole, after close(). Aborted, left
    by an exception (as a context manager) or dropped without close(), it never is; the last is a
    ResourceWarning.

    What is wrapped around it decides for itself: io.BufferedWriter, io.TextIOWrapper and gzip.GzipFile close
    it when an exception leaves their own `with`, and so store the part that was written. Have the `with`
    around the Writer alone:

        with bucket.open_writer("a.txt") as raw:
            text = io.TextIOWrapper(io.BufferedWriter(raw, 1 << 20))
            text.write("…")  # an exception aborts `raw`
            text.close()

    One call at a time: a write, close or abort while another is under way, of another thread or task
    (asyncio.gather), is InvalidArgument. Its methods take no `timeout`: asyncio.wait_for() cancels a
    write_async(), after which only abort() makes sense, and the bucket's first_byte_timeout and
    operation_timeout bound each request.
    """

    def __init__(self, core):
        super().__init__()
        self._core = core
        self._at = 0
        self.info = None  # the object's, after close()

    def writable(self):
        """Yes."""
        return True

    def tell(self):
        """Bytes written so far."""
        return self._at

    def write(self, data):
        """Takes all of `data` over, and answers its size in bytes."""
        self._checkClosed()
        count = self._core.write(data).wait()
        self._at += count
        return count

    async def write_async(self, data):
        """write() for an event loop."""
        self._checkClosed()
        count = await finish(self._core.write(data))
        self._at += count
        return count

    def close(self):
        """The object is there; `info` is its ObjectInfo."""
        if not self.closed:
            super().close()
            self.info = self._core.finish().wait()

    async def close_async(self):
        """close() for an event loop."""
        if not self.closed:
            super().close()
            self.info = await finish(self._core.finish())

    def abort(self):
        """Nothing was written."""
        if not self.closed:
            super().close()
            self._core.abort().wait()

    async def abort_async(self):
        """abort() for an event loop."""
        if not self.closed:
            super().close()
            await finish(self._core.abort())

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.abort()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, *_):
        if kind is None:
            await self.close_async()
        else:
            await self.abort_async()

    def __del__(self):
        if not self.closed:  # the core aborts it, without waiting
            warnings.warn(f"{self!r} was dropped without close(): nothing was stored", ResourceWarning,
                          source=self)


@twins
class Upload:
    """A multipart upload under way. What was uploaded is kept, and billed, until complete() or abort()."""

    def __init__(self, core):
        self._core = core

    @property
    def key(self):
        """The object that it is to become."""
        return self._core.key

    @property
    def id(self):
        """For Bucket.resume_upload()."""
        return self._core.id

    @operation
    def part(self, number, data, **options):
        """Part `number`, 1 to 10,000, in any order; all but the last have at least 5 MiB. An UploadedPart."""
        return self._core.part(number, data, **options)

    @operation
    def part_copy(self, number, source_key, offset=0, length=0, **options):
        """The same from bytes that the service has already; `length` 0: to the end."""
        return self._core.part_copy(number, source_key, offset, length, **options)

    @operation
    def parts(self, **options):
        """What the service has so far."""
        return self._core.parts(**options)

    @operation
    def complete(self, parts, **options):
        """The object is there, made of these parts in the order of their numbers."""
        return self._core.complete(list(parts), **options)

    @operation
    def abort(self, **options):
        """Nothing was uploaded."""
        return self._core.abort(**options)
