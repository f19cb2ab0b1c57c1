# SPDX-License-Identifier: Apache-2.0
"""Volumes: block storage, remote or local."""
from . import _netstor
from ._calls import Handle, finish, operation, twins


@twins
class Volume(Handle):
    """A volume. Any thread may use it, several at once; every call has a twin `…_async` for event loops.

    Offsets and lengths are bytes, and multiples of `block_bytes`. Requests are not ordered among each other.
    Writes take `force_unit_access=True` (on stable storage when answered) and `idempotent=True` (replayed
    after a lost path); all calls take `timeout` in seconds.
    """

    def _open(self):
        return _netstor.open_volume(self._uri, **self._options)

    @property
    def uri(self):
        """What it was opened by."""
        return self._uri

    @property
    def size(self):
        """In bytes, as of now: a volume may grow while it is open."""
        return self._core.size

    @property
    def block_bytes(self):
        """Offsets and lengths are multiples of this."""
        return self._core.block_bytes

    @property
    def info(self):
        """Its VolumeInfo."""
        return self._core.info

    @operation
    def read(self, offset, length, **options):
        """`length` bytes from `offset` on in a Memory."""
        return self._core.read(offset, length, **options)

    @operation
    def read_into(self, offset, into, **options):
        """Fills memory, or a list of several after each other; answers the bytes read."""
        return self._core.read_into(offset, into, **options)

    @operation
    def write_from(self, offset, data, **options):
        """Stores memory, or a list of several after each other; answers the bytes written."""
        return self._core.write_from(offset, data, **options)

    @operation
    def flush(self, **options):
        """Every write that was answered before is on stable storage."""
        return self._core.flush(**options)

    @operation
    def write_zeroes(self, offset, length, **options):
        """Zeroes, without sending them. Where the device cannot: Unsupported."""
        return self._core.write_zeroes(offset, length, **options)

    @operation
    def trim(self, offset, length, **options):
        """The bytes are no longer needed: a hint. What they read as afterwards is the device's choice."""
        return self._core.trim(offset, length, **options)

    @operation
    def compare(self, offset, expected, **options):
        """CompareFailed where the stored bytes differ."""
        return self._core.compare(offset, expected, **options)

    @operation
    def compare_and_write(self, offset, expected, data, **options):
        """Stores `data` if the stored bytes equal `expected`, as one step; otherwise CompareFailed."""
        return self._core.compare_and_write(offset, expected, data, **options)

    @operation
    def verify(self, offset, length, **options):
        """The device reads the range and checks it; nothing is moved."""
        return self._core.verify(offset, length, **options)


def open_volume(uri, **options):
    """Opens "nvme+tcp://HOST[:PORT]/NQN[?ns=N]" or "file:///PATH".

    host_nqn; host_secret, controller_secret (DH-HMAC-CHAP, "DHHC-1:…:") and tls_key ("NVMeTLSkey-1:…:"), all
    three in a pickle of the volume, too; queue_depth, queues, header_digest, data_digest, read_only; in
    seconds: connect_timeout, io_timeout, keep_alive, reconnect_delay, reconnect_delay_max,
    path_loss_timeout, timeout."""
    return Volume(uri, options, _netstor.open_volume(uri, **options).wait())


async def open_volume_async(uri, **options):
    """open_volume() for an event loop."""
    return Volume(uri, options, await finish(_netstor.open_volume(uri, **options)))


def discover(uri, **options):
    """What the discovery service at "nvme+tcp://HOST[:PORT]" offers: a list of DiscoveredSubsystem."""
    return _netstor.discover(uri, **options).wait()


async def discover_async(uri, **options):
    """discover() for an event loop."""
    return await finish(_netstor.discover(uri, **options))
