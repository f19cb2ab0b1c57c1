# SPDX-License-Identifier: Apache-2.0
"""For training loops: datasets over objects and over tar shards, checkpoints.

    data = netstor.torch.ObjectDataset(bucket, "train/", decode=lambda key, data: to_image(data))
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=2)

    netstor.torch.save(model.state_dict(), bucket, "step-100.pt")
    model.load_state_dict(netstor.torch.load(bucket, "step-100.pt"))

The datasets need no torch: without it they are plain sequences and iterables. A bucket goes into the workers
of a DataLoader by itself, forked or spawned; each connects anew. Spawned ones get it as a pickle, with the
`credentials` that it was opened with: open it with profile=, or with neither, and each finds its own.
"""
import collections
import io
import random
import tarfile

from ._bucket import get_large, get_of_any_size, is_too_large
from ._errors import Exhausted

try:
    import torch.utils.data as _data
    _Map, _Iterable = _data.Dataset, _data.IterableDataset
except ImportError:
    _data, _Map, _Iterable = None, object, object

__all__ = ["ObjectDataset", "ObjectStream", "TarStream", "load", "save"]


def _plain(_key, data):
    return data


def _begin(bucket, key, size):
    """Begins to read an object, with one request where its size is known."""
    return bucket._core.get(key) if size is None else bucket._core.get_range(key, 0, size)


def _end(bucket, key, size, begun):
    try:
        data = begun.wait()
    except Exhausted as error:
        if not is_too_large(error):
            raise
        return get_large(bucket, key)
    return data if size is None or data.info.size == size else get_of_any_size(bucket, key)  # it was replaced


def _read(bucket, samples, ahead):
    """The objects of (key, size), in order; `ahead` of them are under way."""
    waiting = collections.deque()
    for key, size in samples:
        waiting.append((key, size, _begin(bucket, key, size)))
        if len(waiting) >= ahead:
            yield _end(bucket, *waiting.popleft())
    while waiting:
        yield _end(bucket, *waiting.popleft())


def _listed(bucket, prefix, keys):
    """Keys, and the sizes of those that are not empty, as the listing tells them."""
    if keys is not None:
        keys = list(keys)
        return keys, dict.fromkeys(keys)
    found = {one.key: one.size or None for one in bucket.list(prefix)}
    return list(found), found


def _mixed(items, size, rng):
    """The items, each exchanged with one of the `size` after it."""
    held = []
    for item in items:
        held.append(item)
        if len(held) > size:
            i = rng.randrange(len(held))
            held[i], held[-1] = held[-1], held[i]
            yield held.pop()
    rng.shuffle(held)
    yield from held


class ObjectDataset(_Map):
    """Map-style: sample i is the i-th object below `prefix`, or of `keys`. `decode(key, memory)` makes a
    sample of a netstor.Memory. Of a batch up to 256 objects are read together, which memory_limit_bytes does
    not count."""

    def __init__(self, bucket, prefix="", *, keys=None, decode=None):
        self.bucket = bucket
        self.keys, self._sizes = _listed(bucket, prefix, keys)
        self._decode = decode or _plain

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, index):
        key = self.keys[index]
        size = self._sizes[key]
        return self._decode(key, _end(self.bucket, key, size, _begin(self.bucket, key, size)))

    def __getitems__(self, indices):
        """Several samples, read together: what newer DataLoaders ask for."""
        keys = [self.keys[i] for i in indices]
        answers = _read(self.bucket, ((key, self._sizes[key]) for key in keys), 256)
        return [self._decode(key, data) for key, data in zip(keys, answers)]


class _Stream(_Iterable):
    """Keys that are shared out: among the processes of a distributed job (`rank` of `world`), and among the
    workers of a DataLoader. Shuffled anew in every epoch, the same way everywhere."""

    def __init__(self, bucket, prefix, keys, decode, shuffle, seed, rank, world):
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.bucket = bucket
        self.keys, self._sizes = _listed(bucket, prefix, keys)
        self.epoch = 0
        self._decode = decode
        self._shuffle, self._seed = shuffle, seed
        self._rank, self._world = rank, world

    def set_epoch(self, epoch):
        """Chooses the order; the same number, the same order."""
        self.epoch = epoch

    def _share(self):
        """This worker's keys, and its source of chance."""
        worker = _data.get_worker_info() if _data is not None else None
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        keys = list(self.keys)
        if self._shuffle:
            random.Random(f"{self._seed}/{self.epoch}").shuffle(keys)
        share = self._rank * count + number
        return keys[share::self._world * count], random.Random(f"{self._seed}/{self.epoch}/{share}")


class ObjectStream(_Stream):
    """Iterable: one sample an object, `ahead` of them read before they are asked for. Each worker holds up to
    `ahead` whole objects, which memory_limit_bytes does not count: choose fewer where they are large."""

    def __init__(self, bucket, prefix="", *, keys=None, decode=None, shuffle=False, seed=0, ahead=64, rank=0,
                 world=1):
        super().__init__(bucket, prefix, keys, decode or _plain, shuffle, seed, rank, world)
        self._ahead = ahead

    def __iter__(self):
        keys, _ = self._share()
        answers = _read(self.bucket, ((key, self._sizes[key]) for key in keys), self._ahead)
        for key, data in zip(keys, answers):
            yield self._decode(key, data)


class TarStream(_Stream):
    """Iterable: the samples of tar shards. Files with one name before their first dot are one sample, a dict:
    "__key__", and by extension their bytes. `decode(sample)` makes something else of it. With `shuffle`, the
    shards are mixed, and the samples among the `mix` that follow."""

    def __init__(self, bucket, prefix="", *, keys=None, decode=None, shuffle=False, seed=0, mix=1000, rank=0,
                 world=1):
        super().__init__(bucket, prefix, keys, decode or (lambda sample: sample), shuffle, seed, rank, world)
        self._mix = mix

    def _samples(self, keys):
        for key in keys:
            with self.bucket.open_reader(key) as reader:
                with tarfile.open(fileobj=io.BufferedReader(reader, 1 << 20), mode="r|") as shard:
                    sample = {}
                    for member in shard:
                        if not member.isfile():
                            continue
                        folder, slash, file = member.name.rpartition("/")
                        stem, _, extension = file.partition(".")
                        name = folder + slash + stem
                        if sample and sample["__key__"] != name:
                            yield sample
                            sample = {}
                        sample["__key__"] = name
                        sample[extension] = shard.extractfile(member).read()
                    if sample:
                        yield sample

    def __iter__(self):
        keys, rng = self._share()
        samples = self._samples(keys)
        if self._shuffle:
            samples = _mixed(samples, self._mix, rng)
        return map(self._decode, samples)


class _File(io.RawIOBase):
    """Memory as a file that can be read anywhere."""

    def __init__(self, memory):
        super().__init__()
        self._bytes = memoryview(memory).cast("B")
        self._at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._bytes)}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self):
        return self._at

    def readinto(self, into):
        into = memoryview(into).cast("B")
        piece = self._bytes[self._at:self._at + len(into)]
        into[:len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def save(what, bucket, key, **options):
    """torch.save() into an object, streamed out in parallel parts; answers its ObjectInfo. It is there whole
    or not at all."""
    import torch
    with bucket.open_writer(key, **options) as writer:
        torch.save(what, writer)
    return writer.info


def load(bucket, key, **options):
    """torch.load() of an object of any size, read in parallel ranges into memory of its own; options are
    torch.load()'s."""
    import torch
    return torch.load(_File(get_of_any_size(bucket, key)), **options)
