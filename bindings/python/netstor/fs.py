# SPDX-License-Identifier: Apache-2.0
"""fsspec: buckets as a file system for pandas, pyarrow, dask, zarr, …

    import netstor.fs, pandas

    netstor.fs.register()                     # not needed where the package was installed by pip
    table = pandas.read_csv("netstor+s3://samples/a.csv", storage_options={"endpoint": "http://h:9000"})

`register(s3=True)` takes over s3:// in this process, too. Storage options are those of netstor.open_bucket().
"""
import mmap
import os
import shutil
import stat
import uuid

from glob import has_magic

import fsspec
from fsspec.callbacks import _DEFAULT_CALLBACK
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import isfilelike, stringify_path

import netstor
from netstor._bucket import get_large, get_of_any_size, is_too_large

__all__ = ["NetstorFile", "NetstorFileSystem", "register"]

AT_ONCE = 256  # requests of one call under way together
PIECE = 32 << 20  # of what goes through memory of ours on its way


def register(s3=False):
    """Makes netstor+s3:// known to fsspec; with `s3`, s3:// is netstor's, too, in this process."""
    fsspec.register_implementation("netstor+s3", NetstorFileSystem, clobber=True)
    if s3:
        fsspec.register_implementation("s3", NetstorFileSystem, clobber=True)


def _together(begun):
    """The answers of operations that an iterator begins, many under way at once, or their exceptions."""
    waiting, answers = [], []

    def take():
        try:
            answers.append(waiting.pop(0).wait())
        except netstor.Error as error:
            answers.append(error)

    for one in begun:
        waiting.append(one)
        if len(waiting) >= AT_ONCE:
            take()
    while waiting:
        take()
    return answers


class NetstorFileSystem(AbstractFileSystem):
    """Paths are "BUCKET/KEY"; a directory is what keys have before a slash."""

    protocol = ("netstor+s3", "s3")
    root_marker = ""

    def __init__(self, *args, **storage_options):
        super().__init__(*args, **storage_options)
        ours = {"use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache",
                "asynchronous", "loop", "auto_mkdir"}
        self._options = {name: value for name, value in storage_options.items() if name not in ours}
        self._buckets = {}

    @classmethod
    def _strip_protocol(cls, path):
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        path = stringify_path(path)
        for protocol in cls.protocol:
            if path.startswith(protocol + "://"):
                path = path[len(protocol) + 3:]
        return path.rstrip("/").lstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(urlpath):
        return {}

    def _split(self, path):
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket:
            raise ValueError(f"{path!r}: a bucket is missing")
        return bucket, key

    def bucket(self, name):
        """The netstor.Bucket of this name."""
        found = self._buckets.get(name)
        if found is None or found.closed:
            found = self._buckets[name] = netstor.open_bucket(f"s3://{name}", **self._options)
        return found

    def _at(self, path):
        bucket, key = self._split(path)
        if not key:
            raise IsADirectoryError(path)
        return self.bucket(bucket), key

    # ---- Looking.

    @staticmethod
    def _entry(bucket, info):
        return {"name": f"{bucket}/{info.key}", "size": info.size, "type": "file", "ETag": info.etag,
                "LastModified": info.modified, "StorageClass": info.storage_class}

    @staticmethod
    def _directory(name):
        return {"name": name, "size": 0, "type": "directory"}

    def info(self, path, **kwargs):
        """A dict: name, size, type, ETag, LastModified."""
        path = self._strip_protocol(path)
        if not path:
            return self._directory("")
        name, key = self._split(path)
        bucket = self.bucket(name)
        if key:
            try:
                return self._entry(name, bucket.head(key))
            except netstor.NotFound:
                pass
        objects, prefixes, _ = bucket.list_page(prefix=key + "/" if key else "", page=1)
        if key and not objects and not prefixes:
            raise FileNotFoundError(path)
        return self._directory(path)

    def _list(self, name, prefix, **options):
        after = ""
        while True:
            page = self.bucket(name).list_page(prefix=prefix, continuation=after, **options)
            objects, prefixes, after = page
            yield objects, prefixes
            if not after:
                return

    def ls(self, path, detail=True, **kwargs):
        """What a directory holds, or the file itself; of "" the buckets."""
        path = self._strip_protocol(path)
        if not path:
            found = [self._directory(one.name) for one in netstor.list_buckets(**self._options)]
        else:
            name, key = self._split(path)
            prefix, found = key + "/" if key else "", []
            for objects, prefixes in self._list(name, prefix, delimiter="/"):
                found += [self._directory(f"{name}/{one.rstrip('/')}") for one in prefixes]
                found += [self._entry(name, one) for one in objects if one.key != prefix]
            if not found and key:
                found = [] if self.info(path)["type"] == "directory" else [self.info(path)]
        found.sort(key=lambda one: one["name"])
        return found if detail else [one["name"] for one in found]

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        """All files below a path, by one listing."""
        path = self._strip_protocol(path)
        if maxdepth is not None or not path:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **kwargs)
        name, key = self._split(path)
        found = {}
        try:
            for objects, _ in self._list(name, key + "/" if key else ""):
                found.update((f"{name}/{one.key}", self._entry(name, one)) for one in objects
                             if not one.key.endswith("/"))
        except netstor.NotFound:
            pass
        if not found and key:
            try:
                found = {path: self._entry(name, self.bucket(name).head(key))}
            except netstor.NotFound:
                pass
        elif withdirs:
            for one in list(found):
                parent = self._parent(one)
                while len(parent) > len(path) and parent not in found:
                    found[parent] = self._directory(parent)
                    parent = self._parent(parent)
            found[path] = self._directory(path)
        names = sorted(found)
        return {one: found[one] for one in names} if detail else names

    def created(self, path):
        """When the file was last written: objects are replaced as a whole."""
        return self.modified(path)

    def modified(self, path):
        """When the file was last written."""
        return self.info(path)["LastModified"]

    def checksum(self, path):
        """A number that changes with the file."""
        return int.from_bytes(self.ukey(path).encode(), "big")

    def ukey(self, path):
        """The ETag."""
        return self.info(path).get("ETag", "")

    def sign(self, path, expiration=100, **kwargs):
        """A URL with which anybody may read the file for so many seconds."""
        bucket, key = self._at(path)
        return bucket.presign("get", key, expiration)

    # ---- Reading.

    def cat_file(self, path, start=None, end=None, **kwargs):
        """The file's bytes from `start` to `end`, which may be negative."""
        bucket, key = self._at(path)
        if start is None and end is None:
            return bytes(get_of_any_size(bucket, key))
        if end is None or (start or 0) < 0 or end < 0:
            info = bucket.head(key)
            start, end, _ = slice(start, end).indices(info.size)
            return bytes(bucket.get_range(key, start, max(end - start, 0), if_match=info.etag))
        return bytes(bucket.get_range(key, start or 0, max(end - (start or 0), 0)))

    def cat(self, path, recursive=False, on_error="raise", **kwargs):
        """One file's bytes, or a dict of several's, read together."""
        paths = self.expand_path(path, recursive=recursive)
        if len(paths) == 1 and not recursive and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0], **kwargs)
        paths = [one for one in paths if not self._is_bucket(one)]
        begun = (self.bucket(name)._core.get(key) for name, key in map(self._split, paths))
        found = {}
        for one, answer in zip(paths, _together(begun)):
            if is_too_large(answer):
                answer = self._large(one)
            if not isinstance(answer, netstor.Error):
                found[one] = bytes(answer)
            elif isinstance(answer, netstor.NotFound) and recursive:
                pass  # a directory that expand_path() found
            elif on_error == "raise":
                raise answer
            elif on_error == "return":
                found[one] = answer
        return found

    def _large(self, path):
        name, key = self._split(path)
        try:
            return get_large(self.bucket(name), key)
        except netstor.Error as error:
            return error

    def _is_bucket(self, path):
        return "/" not in path

    def cat_ranges(self, paths, starts, ends, max_gap=None, on_error="return", **kwargs):
        """Ranges of files, read together; those of one file that lie close together in one request."""
        if not isinstance(paths, list):
            raise TypeError("paths: a list is expected")
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(starts) == len(ends):
            raise ValueError("paths, starts and ends differ in length")
        by_path = {}
        for i, path in enumerate(paths):
            by_path.setdefault(path, []).append(i)
        simple = {path: all((starts[i] or 0) >= 0 and (ends[i] or -1) >= (starts[i] or 0) for i in wanted)
                  for path, wanted in by_path.items()}
        together = [path for path in by_path if simple[path]]

        def begun():
            for path in together:
                bucket, key = self._at(path)
                yield bucket._core.get_ranges(key, [(starts[i] or 0, ends[i] - (starts[i] or 0))
                                                    for i in by_path[path]])

        answers = [None] * len(paths)
        again = [path for path in by_path if not simple[path]]
        for path, answer in zip(together, _together(begun())):
            if isinstance(answer, netstor.OutOfRange):
                again.append(path)  # beyond the end: what is there, one by one
                continue
            for place, i in enumerate(by_path[path]):
                answers[i] = answer if isinstance(answer, netstor.Error) else bytes(answer[place])
        for path in again:
            for i in by_path[path]:
                try:
                    answers[i] = self.cat_file(path, starts[i], ends[i])
                except (OSError, netstor.Error) as error:
                    answers[i] = error
        for answer in answers:
            if isinstance(answer, Exception) and on_error == "raise":
                raise answer
        return answers

    def get_file(self, rpath, lpath, callback=_DEFAULT_CALLBACK, outfile=None, **kwargs):
        """Copies to a local file, which is there whole or stays as it was: the bytes land in the pages of a
        file beside it that then takes its name. What is no regular file (a pipe, /dev/stdout), and file
        objects, are written to from front to back."""
        if outfile is None and not isfilelike(lpath) and self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        bucket, key = self._at(rpath)
        if outfile is not None or isfilelike(lpath):
            self._stream_out(bucket, key, outfile or lpath, callback)
        elif os.path.exists(lpath) and not os.path.isfile(lpath):
            with open(lpath, "wb") as file:
                self._stream_out(bucket, key, file, callback)
        else:
            self._fetch_file(bucket, key, os.path.realpath(lpath), callback)

    @staticmethod
    def _stream_out(bucket, key, file, callback):
        with bucket.open_reader(key) as reader:
            callback.set_size(reader.info.size)
            shutil.copyfileobj(reader, file, PIECE)
            callback.absolute_update(reader.tell())

    @staticmethod
    def _fetch_file(bucket, key, path, callback):
        info = bucket.head(key)
        callback.set_size(info.size)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        # Not the name with more behind it: that may be as long as names get.
        draft = os.path.join(folder, f".netstor-{uuid.uuid4().hex}.part")
        try:
            with open(draft, "x+b") as file:
                if info.size:
                    # A full disk is an error here; met by a page of the mapping, it would be a SIGBUS.
                    os.posix_fallocate(file.fileno(), 0, info.size)
                    with mmap.mmap(file.fileno(), info.size) as pages:
                        count, _ = bucket.get(key, pages, if_match=info.etag)
                    if count != info.size:
                        raise OSError(f"{bucket.name}/{key}: {count} bytes came of {info.size}")
                if os.path.exists(path):
                    os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            os.replace(draft, path)
        except BaseException:
            if os.path.exists(draft):
                os.unlink(draft)
            raise
        callback.absolute_update(info.size)

    # ---- Writing.

    def pipe_file(self, path, value, **kwargs):
        """Stores bytes."""
        bucket, key = self._at(path)
        bucket.put(key, value, **kwargs)

    def pipe(self, path, value=None, **kwargs):
        """Stores bytes, or a dict of files with theirs, together."""
        if isinstance(path, str):
            self.pipe_file(path, value, **kwargs)
            return

        def begun():
            for one, data in path.items():
                bucket, key = self._at(one)
                yield bucket._core.put(key, data, **kwargs)

        for answer in _together(begun()):
            if isinstance(answer, netstor.Error):
                raise answer

    def put_file(self, lpath, rpath, callback=_DEFAULT_CALLBACK, **kwargs):
        """Stores a local file, as long as it is now. One that becomes shorter meanwhile: OSError, and nothing
        is stored."""
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        bucket, key = self._at(rpath)
        with open(lpath, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            callback.set_size(size)
            # Read, not mapped: a page that was cut off a mapped file is a SIGBUS.
            if size <= PIECE:
                bucket.put(key, self._read_exactly(file, size), **kwargs)
            else:
                with bucket.open_writer(key, **kwargs) as writer:
                    for at in range(0, size, PIECE):
                        writer.write(self._read_exactly(file, min(PIECE, size - at)))
                        callback.absolute_update(writer.tell())
        callback.absolute_update(size)

    @staticmethod
    def _read_exactly(file, size):
        data = file.read(size)
        if len(data) != size:
            raise OSError(f"{file.name}: it became shorter while it was read")
        return data

    def cp_file(self, path1, path2, **kwargs):
        """Copies within the service."""
        name1, key1 = self._split(path1)
        bucket, key2 = self._at(path2)
        if self.isdir(path1) and not self.isfile(path1):
            return
        bucket.copy(key1, key2, source_bucket=name1)

    def rm_file(self, path):
        """Removes a file."""
        bucket, key = self._at(path)
        bucket.delete(key)

    def _rm(self, path):
        self.rm_file(path)

    def rm(self, path, recursive=False, maxdepth=None):
        """Removes files and, with `recursive`, what is below; many with one request. `recursive` and a
        bucket's name remove the bucket, too, as s3fs does. A path that is not there: FileNotFoundError. What
        could not be removed: one OSError that names all of it; the rest, of every bucket, is gone."""
        by_bucket, whole = {}, []
        for one in [path] if isinstance(path, str) else path:
            if not recursive and not has_magic(one) and self.info(one)["type"] == "directory":
                raise IsADirectoryError(f"{one}: a directory; recursive=True removes it")
            for found in self.expand_path(one, recursive=recursive, maxdepth=maxdepth):
                name, key = self._split(found)
                if key:
                    by_bucket.setdefault(name, []).append(key)
                elif recursive:
                    whole.append(name)
        left = [f"{name}/{failure.key}: {failure.code}: {failure.text}"
                for name, keys in by_bucket.items() for failure in self.bucket(name).delete_many(keys)]
        if left:
            raise OSError(f"{len(left)} could not be removed: " + "; ".join(left))
        for name in whole:
            self.bucket(name).delete_bucket()

    def mkdir(self, path, create_parents=True, **kwargs):
        """Makes a bucket; a directory needs no making."""
        name, key = self._split(path)
        if not key:
            try:
                self.bucket(name).create()
            except netstor.AlreadyExists:
                raise FileExistsError(path) from None
        elif create_parents and not self.exists(name):
            self.bucket(name).create()

    def makedirs(self, path, exist_ok=False):
        """The same, and no error where it is there."""
        name, _ = self._split(path)
        if not self.exists(name):
            self.bucket(name).create()
        elif not exist_ok and self.exists(path):
            raise FileExistsError(path)

    def rmdir(self, path):
        """Removes an empty bucket; a directory ends with its last file."""
        name, key = self._split(path)
        if not key:
            self.bucket(name).delete_bucket()
        elif self.exists(path):
            raise OSError(f"{path}: not empty")

    def touch(self, path, truncate=True, **kwargs):
        """Makes an empty file."""
        if not truncate and self.exists(path):
            raise NotImplementedError("an object's time changes only when it is written")
        self.pipe_file(path, b"", **kwargs)

    def exists(self, path, **kwargs):
        """Is there a file, a directory or a bucket of this name?"""
        try:
            self.info(path)
            return True
        except FileNotFoundError:
            return False

    def invalidate_cache(self, path=None):
        """Nothing is kept."""

    def _open(self, path, mode="rb", block_size=None, autocommit=True, cache_options=None, **kwargs):
        self._at(path)
        return NetstorFile(self, path, mode, block_size or 8 << 20, autocommit, cache_options=cache_options,
                           **kwargs)


class NetstorFile(AbstractBufferedFile):
    """A file: read by blocks, of one version; written as a stream that is there when it is closed.

    Left by an exception as `with fs.open(path, "wb")`, it is not. `with fsspec.open(…)`, text mode and
    compression close it whatever happened: they store what was written before.
    """

    def __init__(self, fs, path, mode="rb", *args, **kwargs):
        self._writer = None
        super().__init__(fs, path, mode, *args, **kwargs)
        self._bucket, self._key = fs._at(path)

    def __exit__(self, kind, *_):
        if kind is not None and self.writable():
            self.discard()
            self.closed = True
        self.close()

    def _fetch_range(self, start, end):
        condition = {"if_match": self.details["ETag"]} if self.details.get("ETag") else {}
        return bytes(self._bucket.get_range(self._key, start, max(end - start, 0), **condition))

    def _initiate_upload(self):
        self._writer = self._bucket.open_writer(self._key)
        if self.mode == "ab" and self.fs.isfile(self.path):
            before = self._bucket.head(self._key)
            for at in range(0, before.size, PIECE):
                self._writer.write(self._bucket.get_range(self._key, at, PIECE, if_match=before.etag))

    def _upload_chunk(self, final=False):
        self._writer.write(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self):
        """The file is there, unless an exception discarded it before."""
        if self._writer is not None:
            self._writer.close()

    def discard(self):
        """Nothing was written."""
        if self._writer is not None:
            self._writer.abort()
