"""Reads a data set from shards: tar files that hold many pictures each, and an index of all annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...files import cache_folder, check_regular
from ...limits import SHARD_BYTES
from ...messages import one_line, printable
from ...untrusted_hdf5 import HDF5_ERRORS, LayoutError, open_hdf5, text_attribute
from ..dataset import DetectionDataset
from ..images import MAX_BYTES, ImageError
from ..record_table import RecordTable
from .fields import normal_path
from .hdf5_fields import check_shape, check_starts, read_annotations, read_class_names, read_pixels
from .open_files import OpenFile
from .shard_cache import ShardCache, check_fsspec, is_address

FORMAT = "multibox shards 1"
INDEX = "index.h5"
_ARRAYS = ("shard_starts", "shard_sizes", "picture_starts", "picture_sizes")
_OPEN = 64  # shards that a process has open


@checked(cache_bytes=SHARD_BYTES)
def load_shards(
    folder: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int = 32 << 30,
) -> DetectionDataset:
    """Opens a data set of `save_shards`. Only the index is read, not the shards.

    Args:
        folder: path of the folder with `index.h5` and the shards, or its address in any file system of
            fsspec, such as `s3://bucket/folder`. This needs the extra `remote`, and the package of the file
            system (s3fs, gcsfs, ...), which also finds the credentials.
        cache: folder for copies of shards on a local disk. A shard is copied as a whole before its first
            picture is read, and `DataGenerator` copies the shards of the next window meanwhile. None: no
            copies of shards at a path; those at an address are copied to `~/.cache/multibox/shards`
            (`MULTIBOX_HOME` names another place than `~/.cache/multibox`).
        cache_bytes: size of all copies, about. Those that were not used for the longest time are deleted.
            There should be room for two windows, 32 shards.

    Returns:
        `DetectionDataset`, whose images are in the order of the shards. A picture is read from its place in
        a shard when it is needed, in any number of threads and processes. `DataGenerator` takes the images
        of a few shards at a time, see its `shuffle_window`.

    Raises:
        FileNotFoundError: if there is no index.
        ModuleNotFoundError: for an address without fsspec.
        ValueError: if the index has another format or is damaged; names the file, the field and what is
            wrong.
        ImageError: if an address cannot be read; (from a picture) if its shard is missing, or has another
            size than the index states.
    """
    if is_address(folder):
        place = os.fspath(folder).rstrip("/")
        check_fsspec(place)
        cache = cache_folder() / "shards" if cache is None else cache
    else:
        place = str(normal_path(folder))
    if cache is not None:
        copies = ShardCache(str(normal_path(cache)), int(cache_bytes))
        return _read_index(copies.copy_of_index(f"{place}/{INDEX}"), place, copies)
    index = Path(place) / INDEX
    if not index.exists():
        raise FileNotFoundError(f"{index}: no such file; expected a folder that save_shards wrote")
    check_regular(index)
    return _read_index(index, place, None)


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file with pictures.

    Attributes:
        address: path or address of the file.
        size: its bytes, as the index states.
        key: differs for other data sets with this address.
        cache: where its copy is, or None to read the file itself.
    """

    address: str
    size: int
    key: str = ""
    cache: ShardCache | None = None

    def path(self) -> str:
        """The path of the file or of its copy, which is fetched if it is not there."""
        if self.cache is None:
            return self.address
        return str(self.cache.copy_of(self.address, self.size, self.key))

    def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file.

        Raises:
            ImageError: if the file is missing, or has another size.
        """
        try:
            content = _opened(self).read(start, stop)
        except OSError as error:
            raise ImageError(f"{self.address}: cannot read the shard: {error.strerror}") from error
        except ImageError:
            raise
        except ValueError as error:
            raise ImageError(str(error)) from error
        if len(content) < stop - start:
            raise ImageError(f"{self.address}: the shard was cut off after it was opened")
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
        return f"{self.shard.address} (bytes {self.start} to {self.stop})"


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


@lru_cache(maxsize=_OPEN)
def _opened(shard):
    path = shard.path()
    check_regular(path)
    file = OpenFile(path)
    if (found := file.status.st_size) != shard.size:
        raise ValueError(
            f"{path}: the shard has {found} bytes, its index states {shard.size}: it is incomplete, or of "
            "another data set"
        )
    return file


def shard_name(number: int) -> str:
    """Name of a shard. The index holds no names, so no index can lead out of its folder."""
    return f"{number:05d}.tar"


def _read_index(path, place, cache):
    """The data set of an index; `place` is the folder or address of the shards."""
    try:
        with open_hdf5(path) as file:
            found = text_attribute(file, "format")
            if found != FORMAT:
                raise LayoutError(f"expected the format {FORMAT!r}, got '{one_line(found)}'")
            fields = read_annotations(path, file, _ARRAYS)
            key = text_attribute(file, "fingerprint")
            shards = [
                Shard(f"{place}/{shard_name(i)}", size, key, cache)
                for i, size in enumerate(_shard_sizes(fields))
            ]
            records = RecordTable(fields["image_id"], _images(fields, shards), fields, read_pixels(file))
            return DetectionDataset(read_class_names(file), records, text_attribute(file, "name"))
    except HDF5_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not an index of save_shards: {printable(reason, limit=300)}") from error


def _shard_sizes(fields):
    sizes = fields["shard_sizes"]
    check_shape("shard_sizes", sizes, (sizes.size,))
    _check_range("shard_sizes", sizes, 1, 1 << 60)
    return sizes.tolist()


def _images(fields, shards):
    firsts, shard_sizes, starts, sizes = (fields[name] for name in _ARRAYS)
    images = len(fields["image_id"])
    check_shape("shard_starts", firsts, (len(shards) + 1,))
    check_starts("shard_starts", firsts, images)
    for name in ("picture_starts", "picture_sizes"):
        check_shape(name, fields[name], (images,))
    counts = np.diff(firsts.astype(np.int64))
    _check_range("picture_sizes", sizes, 1, MAX_BYTES)
    room = np.repeat(shard_sizes.astype(np.int64), counts) - sizes.astype(np.int64)
    _check_range("picture_starts", starts, 0, room)
    return ShardImages(shards, counts, starts, sizes)


def _check_range(name, numbers, least, most):
    """Refuses numbers outside of least and most, which may be an array."""
    wrong = (numbers < least) | (numbers > most)
    if wrong.any():
        i = int(wrong.argmax())
        limit = most[i] if isinstance(most, np.ndarray) else most
        raise LayoutError(f"{name}: expected numbers from {least} to {limit}, got {numbers[i]}")
