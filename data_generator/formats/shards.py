"""Reads a data set from shards: tar files that hold many pictures each, and an index of all annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...files import check_regular
from ...messages import one_line, printable
from ...untrusted_hdf5 import HDF5_ERRORS, LayoutError, open_hdf5, text_attribute
from ..dataset import DetectionDataset
from ..images import MAX_BYTES, ImageError
from ..record_table import RecordTable
from .fields import normal_path
from .hdf5_fields import check_shape, check_starts, read_annotations, read_class_names, read_pixels

FORMAT = "multibox shards 1"
INDEX = "index.h5"
_ARRAYS = ("shard_starts", "shard_sizes", "picture_starts", "picture_sizes")
_OPEN = 64  # shards that a process has open


@checked()
def load_shards(folder: str | os.PathLike[str]) -> DetectionDataset:
    """Opens a data set of `save_shards`. Only the index is read, not the shards.

    Args:
        folder: path of the folder with `index.h5` and the shards.

    Returns:
        `DetectionDataset`, whose images are in the order of the shards. A picture is read from its place in
        a shard when it is needed, in any number of threads and processes. `DataGenerator` takes the images
        of a few shards at a time, see its `shuffle_window`.

    Raises:
        FileNotFoundError: if there is no index.
        ValueError: if the index has another format or is damaged; names the file, the field and what is
            wrong.
        ImageError: (from a picture) if its shard is missing, or has another size than the index states.
    """
    index = normal_path(folder) / INDEX
    if not index.exists():
        raise FileNotFoundError(f"{index}: no such file; expected the folder that save_shards wrote")
    check_regular(index)
    return read_index(index, str(index.parent))


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file with pictures.

    Attributes:
        path: path of the file.
        size: its bytes, as the index states.
    """

    path: str
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file.

        Raises:
            ImageError: if the file is missing, or has another size.
        """
        # A memory map would end the process when a network disk fails.
        try:
            content = _read(self.path, self.size, start, stop)
        except OSError as error:
            raise ImageError(f"{self.path}: cannot read the shard: {error.strerror}") from error
        except ValueError as error:
            raise ImageError(str(error)) from error
        if len(content) < stop - start:
            raise ImageError(f"{self.path}: the shard was cut off after it was opened")
        return content


@dataclass(frozen=True, eq=False, slots=True)
class ShardImage:
    """An image function (see `read_image`) that reads an image file from a shard.

    Attributes:
        shard: the shard.
        start: position of the image file's first byte.
        stop: position after its last byte.
    """

    shard: Shard
    start: int
    stop: int

    def __call__(self):
        return self.shard.read(self.start, self.stop)

    def __str__(self):
        return f"{self.shard.path} (bytes {self.start} to {self.stop})"


class ShardImages(Sequence[ShardImage]):
    """The `ShardImage` of each image, made when it is asked for.

    Attributes:
        shards: list of `Shard`.
        shard_numbers: (images,) which of them holds each image.
    """

    def __init__(self, shards: Sequence[Shard], counts: np.ndarray, starts: np.ndarray, sizes: np.ndarray):
        self.shards = shards
        self.shard_numbers = np.repeat(np.arange(len(shards), dtype=np.int32), counts)
        self._starts, self._sizes = starts, sizes

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, i):
        start = int(self._starts[i])
        return ShardImage(self.shards[self.shard_numbers[i]], start, start + int(self._sizes[i]))


class _OpenFile:
    """An open file, closed when nobody reads from it any more."""

    def __init__(self, path):
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __del__(self):
        with suppress(AttributeError):  # it could not be opened
            os.close(self.number)


@lru_cache(maxsize=_OPEN)
def _opened(path, size):
    check_regular(path)
    file = _OpenFile(path)
    if (found := os.fstat(file.number).st_size) != size:
        raise ValueError(
            f"{path}: the shard has {found} bytes, its index states {size}: it is incomplete, or of another "
            "data set"
        )
    return file


def _read(path, size, start, stop):
    """Bytes of a file. Threads and forked processes may share an open file: it has no position of its own."""
    file = _opened(path, size)
    if hasattr(os, "pread"):
        return os.pread(file.number, stop - start, start)
    with Path(path).open("rb") as own:  # Windows
        own.seek(start)
        return own.read(stop - start)


def shard_name(number: int) -> str:
    """Name of a shard. The index holds no names, so no index can lead out of its folder."""
    return f"{number:05d}.tar"


def read_index(path: Path, folder: str) -> DetectionDataset:
    """The data set of an index.

    Args:
        path: path of the index.
        folder: where the shards are.

    Raises:
        ValueError: see `load_shards`.
    """
    try:
        with open_hdf5(path) as file:
            found = text_attribute(file, "format")
            if found != FORMAT:
                raise LayoutError(f"expected the format {FORMAT!r}, got '{one_line(found)}'")
            fields = read_annotations(path, file, _ARRAYS)
            records = RecordTable(fields["image_id"], _images(fields, folder), fields, read_pixels(file))
            return DetectionDataset(read_class_names(file), records, text_attribute(file, "name"))
    except HDF5_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not an index of save_shards: {printable(reason, limit=300)}") from error


def _images(fields, folder):
    firsts, shard_sizes, starts, sizes = (fields[name] for name in _ARRAYS)
    images, shards = len(fields["image_id"]), shard_sizes.size
    for name, length in zip(_ARRAYS, (shards + 1, shards, images, images), strict=True):
        check_shape(name, fields[name], (length,))
    check_starts("shard_starts", firsts, images)
    _check_range("picture_sizes", sizes, 1, MAX_BYTES)
    _check_range("shard_sizes", shard_sizes, 1, 1 << 60)
    last = np.repeat(shard_sizes.astype(np.int64), np.diff(firsts.astype(np.int64))) - sizes.astype(np.int64)
    _check_range("picture_starts", starts, 0, last)
    all_shards = [Shard(f"{folder}/{shard_name(i)}", size) for i, size in enumerate(shard_sizes.tolist())]
    return ShardImages(all_shards, np.diff(firsts.astype(np.int64)), starts, sizes)


def _check_range(name, numbers, least, most):
    """Refuses numbers outside of least and most, which may be an array."""
    wrong = (numbers < least) | (numbers > most)
    if wrong.any():
        i = int(wrong.argmax())
        limit = most[i] if isinstance(most, np.ndarray) else most
        raise LayoutError(f"{name}: expected numbers from {least} to {limit}, got {numbers[i]}")
