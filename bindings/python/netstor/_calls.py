# SPDX-License-Identifier: Apache-2.0
"""How a call is waited for: by a thread, or by an event loop; and what handles share.

The extension begins every call and answers an Operation. `twins` makes the two public methods of each: `get`
waits with the interpreter's lock released, `get_async` leaves the waiting to the running event loop.
"""
import asyncio
import functools
import os
import threading
import weakref

from . import _netstor
from ._errors import Closed, Error

_local = threading.local()
_queues = weakref.WeakKeyDictionary()


def _queue(loop):
    """The loop's completions: one descriptor, watched from its first call on."""
    if getattr(_local, "loop", None) is not None and _local.loop() is loop:
        queue = _local.queue
        if queue.generation == _netstor.generation():
            return queue
    queue = _queues.get(loop)
    if queue is None or queue.generation != _netstor.generation():
        queue = _netstor.Completions()
        loop.add_reader(queue.fileno(), queue.drain)
        _queues[loop] = queue
        weakref.finalize(loop, queue.close).atexit = False
    _local.loop, _local.queue = weakref.ref(loop), queue
    return queue


async def finish(operation):
    """The operation's answer. Cancelled: when the work has stopped, and lent memory is the caller's again."""
    loop = asyncio.get_running_loop()
    queue = _queue(loop)
    waiter = loop.create_future()
    operation.attach(queue, waiter)
    try:
        return await waiter
    except asyncio.CancelledError:
        operation.cancel()
        while not operation.settled:
            waiter = loop.create_future()
            operation.attach(queue, waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                pass  # asked again: it is stopping already
            except Error:
                pass  # nobody is there to hear it
        raise
    except GeneratorExit:
        operation.cancel()
        raise


def _asynchronous(method):
    @functools.wraps(method)
    async def call(self, *args, **kwargs):
        return await finish(method(self, *args, **kwargs))

    call.__name__ += "_async"
    call.__qualname__ += "_async"
    call.__doc__ = f"{method.__name__}() for an event loop; cancelling the task cancels the work."
    return call


def _synchronous(method):
    @functools.wraps(method)
    def call(self, *args, **kwargs):
        return method(self, *args, **kwargs).wait()

    return call


def operation(method):
    """Marks a method that answers an Operation."""
    method.twins = True
    return method


def twins(owner):
    """Makes `name` and `name_async` of every method that is marked."""
    for name, method in list(vars(owner).items()):
        if getattr(method, "twins", False):
            setattr(owner, name, _synchronous(method))
            setattr(owner, name + "_async", _asynchronous(method))
    return owner


class _Gone:
    """Stands in for the extension's object when a handle has none."""

    def __init__(self, text):
        self._text = text

    def __getattr__(self, name):
        raise Closed(self._text)


class _Again:
    """Stands in for it in the child of a fork: the first use opens the handle again."""

    def __init__(self, handle):
        self._handle = weakref.ref(handle)

    def __getattr__(self, name):
        handle = self._handle()
        handle._core = handle._open().wait()
        return getattr(handle._core, name)


class Handle:
    """What a bucket and a volume share: closing, pickling, and the way through a fork."""

    _open_handles = weakref.WeakSet()

    def __init__(self, uri, options, core):
        self._uri = uri
        self._options = options
        self._core = core
        Handle._open_handles.add(self)

    @property
    def closed(self):
        """Was it closed?"""
        return isinstance(self._core, _Gone)

    def close(self):
        """Ends its connections; what is under way is answered with Cancelled. Again: nothing happens."""
        core = self._leave()
        if core is not None:
            core.close().wait()

    async def close_async(self):
        """close() for an event loop."""
        core = self._leave()
        if core is not None:
            await finish(core.close())

    def _leave(self):
        core = self._core
        if isinstance(core, _Gone):
            return None
        self._core = _Gone(f"{self._uri}: it was closed")
        return None if isinstance(core, _Again) else core

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close_async()

    def __reduce__(self):
        if self.closed:
            raise Closed(f"{self._uri}: it was closed and cannot be pickled")
        return type(self)._reopen, (self._uri, self._options)

    @classmethod
    def _reopen(cls, uri, options):
        handle = cls(uri, options, None)
        handle._core = _Again(handle)
        return handle

    def __repr__(self):
        return f"<netstor.{type(self).__name__} {self._uri}{' (closed)' if self.closed else ''}>"


def _after_fork_in_child():
    _local.__dict__.clear()
    for handle in list(Handle._open_handles):
        if not handle.closed:
            handle._core = _Again(handle)


os.register_at_fork(after_in_child=_after_fork_in_child)
