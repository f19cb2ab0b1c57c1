# SPDX-License-Identifier: Apache-2.0
"""Buckets: object storage that speaks S3's interface."""
from . import _netstor
from ._calls import Handle, finish, operation, twins
from ._errors import Exhausted
from ._streams import Reader, Upload, Writer


@twins
class Bucket(Handle):
    """A bucket. Any thread may use it, several at once; every call has a twin `…_async` for event loops.

    Keyword arguments that many calls take:

    timeout             seconds after which the work is cancelled and TimedOut raised
    version_id          of a versioned bucket
    if_match, if_none_match, if_modified_since, if_unmodified_since
                        conditions: an ETag or "*"; a datetime. One that does not hold: CompareFailed
    """

    def _open(self):
        return _netstor.open_bucket(self._uri, **self._options)

    @property
    def name(self):
        """The bucket's name."""
        return self._core.name

    @property
    def uri(self):
        """What it was opened by."""
        return self._uri

    @operation
    def head(self, key, **options):
        """The object's ObjectInfo, without its bytes."""
        return self._core.head(key, **options)

    @operation
    def get(self, key, into=None, **options):
        """The object, from `offset` on. Without `into` its bytes in a Memory; larger than this shard's share
        of memory_limit_bytes (256 MiB, by `shards`): Exhausted, use `into`. With memory that may be written:
        fills it, and answers (bytes placed, ObjectInfo); fewer at the object's end. Large objects are read
        as parallel ranges. The checksum that the service keeps is verified when the whole object is read;
        with `into` where the answer tells it, as one that has the whole object does, ranges seldom do."""
        return self._core.get(key, into, **options)

    @operation
    def get_range(self, key, offset, length, **options):
        """`length` bytes from `offset` on in a Memory; fewer at the object's end. `length` bytes are taken at
        once, which memory_limit_bytes does not count."""
        return self._core.get_range(key, offset, length, **options)

    @operation
    def get_ranges(self, key, ranges, **options):
        """Several ranges, those that lie close together in one request. Each is (offset, length), or (offset,
        memory to fill); answers the memories in order. One beyond the object's end: OutOfRange. The lengths
        together are taken at once, which memory_limit_bytes does not count."""
        return self._core.get_ranges(key, ranges, **options)

    @operation
    def put(self, key, data, **options):
        """Stores readable memory, or a list of several after each other, as the object; answers its
        ObjectInfo. It appears whole or not at all. `create_only=True`: AlreadyExists where there is one;
        `if_match=ETAG`: CompareFailed where it has changed. Further: content_type, cache_control,
        content_encoding, storage_class, metadata, tags, checksum, encryption, kms_key_id; customer_key
        (SSE-C: 32 bytes, wanted again by every call that reads, over https alone)."""
        return self._core.put(key, data, **options)

    @operation
    def copy(self, source_key, key, **options):
        """Copies within the service, at most 5 GiB. `source_bucket`, `source_version_id`, `source_if_match`,
        `source_customer_key`; `replace_metadata=True` takes those of put() from here."""
        return self._core.copy(source_key, key, **options)

    @operation
    def delete(self, key, version_id="", **options):
        """Removes the object. One that is not there is removed already."""
        return self._core.delete(key, version_id, **options)

    @operation
    def delete_many(self, keys, **options):
        """Removes any number; answers a list of RemoveFailure."""
        return self._core.delete_many(list(keys), **options)

    @operation
    def list_page(self, **options):
        """One page: (objects, prefixes, continuation for the next or "")."""
        return self._core.list_page(**options)

    def list(self, prefix="", **options):
        """The objects below `prefix`, in the order of their UTF-8 bytes, as a stream of ObjectInfo. Options:
        start_after, page (1 to 1,000 at a time), versions. `timeout` is for each page, not for all."""
        while True:
            objects, _, after = self._core.list_page(prefix=prefix, **options).wait()
            yield from objects
            if not after:
                return
            options["continuation"] = after

    async def list_async(self, prefix="", **options):
        """list() for `async for`."""
        while True:
            objects, _, after = await finish(self._core.list_page(prefix=prefix, **options))
            for info in objects:
                yield info
            if not after:
                return
            options["continuation"] = after

    @operation
    def tags(self, key, version_id="", **options):
        """The object's tags, a dict."""
        return self._core.tags(key, version_id, **options)

    @operation
    def set_tags(self, key, tags, version_id="", **options):
        """Replaces the object's tags; an empty dict removes them."""
        return self._core.set_tags(key, tags, version_id, **options)

    @operation
    def presign(self, method, key, valid_for=3600.0, **options):
        """A URL with which anybody may "get", "put", "head" or "delete" the object for so many seconds."""
        return self._core.presign(method, key, valid_for, **options)

    def open_reader(self, key, **options):
        """A Reader: a binary file that reads one version of the object from front to back."""
        return Reader(self._core.open_reader(key, **options).wait(), options.get("offset", 0))

    async def open_reader_async(self, key, **options):
        """open_reader() for an event loop."""
        return Reader(await finish(self._core.open_reader(key, **options)), options.get("offset", 0))

    def open_writer(self, key, **options):
        """A Writer: a binary file that becomes the object when it is closed; large ones in parallel parts."""
        return Writer(self._core.open_writer(key, **options).wait())

    async def open_writer_async(self, key, **options):
        """open_writer() for an event loop."""
        return Writer(await finish(self._core.open_writer(key, **options)))

    def start_upload(self, key, **options):
        """An Upload: parts in any order, several at once. complete() or abort() ends it."""
        return Upload(self._core.start_upload(key, **options).wait())

    async def start_upload_async(self, key, **options):
        """start_upload() for an event loop."""
        return Upload(await finish(self._core.start_upload(key, **options)))

    def resume_upload(self, key, id, **options):  # noqa: A002, the field's own word
        """One that was started before, perhaps by another process."""
        return Upload(self._core.resume_upload(key, id, **options).wait())

    async def resume_upload_async(self, key, id, **options):  # noqa: A002
        """resume_upload() for an event loop."""
        return Upload(await finish(self._core.resume_upload(key, id, **options)))

    @operation
    def uploads(self, prefix="", **options):
        """The uploads that were started and not ended: a list of UploadInfo."""
        return self._core.uploads(prefix, **options)

    @operation
    def path(self, **options):
        """By what the payload goes, found out by trying: a BucketPath. Requests notice nothing of it."""
        return self._core.path(**options)

    def check(self, info):
        """An ObjectCheck of the object that `info` (of head()) is of, for who reads it in ranges: with
        `if_match=info.etag`, or by its `version_id`. Ranges of another version, put in the meantime, would be
        found corrupt."""
        return self._core.check(info)

    @operation
    def create(self, **options):
        """Makes the bucket itself."""
        return self._core.create(**options)

    @operation
    def delete_bucket(self, **options):
        """Removes the bucket itself, which has to be empty."""
        return self._core.delete_bucket(**options)

    @operation
    def versioning(self, **options):
        """Does the bucket keep versions?"""
        return self._core.versioning(**options)

    @operation
    def set_versioning(self, on, **options):
        """Says whether the bucket keeps versions."""
        return self._core.set_versioning(on, **options)


def is_too_large(error):
    """Did a get() without `into` fail only because memory_limit_bytes is smaller than the object?"""
    return isinstance(error, Exhausted) and error.origin == "library"


def get_large(bucket, key):
    """One version of the object in a Memory that memory_limit_bytes does not count."""
    info = bucket.head(key)
    return bucket.get_range(key, 0, info.size, if_match=info.etag)


def get_of_any_size(bucket, key):
    """get() of the whole object without its limit."""
    try:
        return bucket.get(key)
    except Exhausted as error:
        if not is_too_large(error):
            raise
    return get_large(bucket, key)


def open_bucket(uri, **options):
    """Opens "s3://NAME"; asks the service nothing yet. Without options, the endpoint, the region and the
    credentials come from where Amazon's tools look: the environment and the shared files.

    endpoint, region, addressing, ca_file, client_certificate_file, client_key_file; credentials (a dict, or a
    function that answers one), profile, anonymous; checksum, verify_checksums, payload_signing,
    requester_pays; rdma, rdma_from_bytes; connections, parallel, part_bytes, memory_limit_bytes; retries,
    retry_delay, retry_delay_max; timeouts in seconds: connect_timeout, first_byte_timeout, operation_timeout,
    idle_timeout, hedge_after.

    memory_limit_bytes is for what readers, writers and get() without `into` hold while they work; what a call
    has answered, and memory of the caller's, is not counted.

    A pickle of the bucket, which multiprocessing, dask and a DataLoader that spawns its workers send around,
    holds these options, `credentials` too. With profile=, or nothing, each process finds them for itself; or
    give a function of a module."""
    return Bucket(uri, options, _netstor.open_bucket(uri, **options).wait())


async def open_bucket_async(uri, **options):
    """open_bucket() for an event loop."""
    return Bucket(uri, options, await finish(_netstor.open_bucket(uri, **options)))


def list_buckets(**options):
    """The buckets that the credentials own: a list of BucketInfo. Options as open_bucket()'s."""
    return _netstor.list_buckets(**options).wait()


async def list_buckets_async(**options):
    """list_buckets() for an event loop."""
    return await finish(_netstor.list_buckets(**options))
