"""Reads a data set from one HDF5 file: annotations, and images as encoded files or decoded pixels."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...arguments import checked
from ...files import check_regular
from ...messages import one_line, printable
from ...untrusted_hdf5 import HDF5_ERRORS, LayoutError, number_attribute, open_hdf5, text_attribute
from ...untrusted_hdf5 import dataset as hdf5_array
from ..dataset import DetectionDataset
from ..images import ImageError
from ..record_table import RecordTable
from .fields import normal_path
from .hdf5_fields import check_shape, check_starts, read_annotations, read_class_names, read_pixels
from .open_files import OpenFile

FORMAT = "multibox 1"
_OPEN = 64  # files that a process has open


@checked()
def load_hdf5(path: str | os.PathLike[str]) -> DetectionDataset:
    """Opens a file of `create_hdf5_dataset`.

    Args:
        path: path of the file.

    Returns:
        `DetectionDataset`. An image is read from its place in the file when it is needed, in any number of
        threads and processes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file has another format, is incomplete or is damaged; names the file, the field and
            what is wrong. Links to other files are refused.
    """
    path = normal_path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    check_regular(path)
    try:
        with open_hdf5(path) as file:
            found = text_attribute(file, "format")
            if found != FORMAT:
                raise LayoutError(f"expected the format {FORMAT!r}, got '{one_line(found)}'")
            return _read(path, file)
    except HDF5_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path}: not a data set of create_hdf5_dataset: {printable(reason, limit=300)}"
        ) from error


@dataclass(frozen=True, eq=False, slots=True)
class StoredImage:
    """An image function (see `read_image`) that reads from a file that holds many images.

    Attributes:
        path: path of the file.
        changed: time of its last change, in nanoseconds since 1970.
        start: position of the image's first byte.
        stop: position after its last byte.
        shape: (rows, columns, channels) of stored pixels, or None for an encoded image.
    """

    path: str
    changed: int
    start: int
    stop: int
    shape: tuple[int, int, int] | None

    def __call__(self):
        size = self.stop - self.start
        if self.shape is not None and size != math.prod(self.shape):
            rows, columns, _ = self.shape
            raise ImageError(f"{self}: {size} bytes are stored for an image of {columns}x{rows}")
        try:
            content = _opened(self.path, self.changed).read(self.start, self.stop)
        except OSError as error:
            raise ImageError(f"{self.path}: cannot read the images: {error.strerror}") from error
        if len(content) < size:
            raise ImageError(f"{self}: the file has {len(content)} of these {size} bytes; it was cut off")
        return content if self.shape is None else np.frombuffer(content, np.uint8).reshape(self.shape)

    def __str__(self):
        return f"{self.path} (bytes {self.start} to {self.stop})"


@lru_cache(maxsize=_OPEN)
def _opened(path, changed):
    file = OpenFile(path)
    if file.status.st_mtime_ns != changed:
        raise ImageError(f"{path}: the file was changed after it was loaded")
    return file


class _StoredImages(Sequence[StoredImage]):
    """The `StoredImage` of each image, made when it is asked for."""

    def __init__(self, path, starts, shapes):
        self._path, self._changed = str(path), path.stat().st_mtime_ns
        self._starts, self._shapes = starts, shapes

    def __len__(self):
        return len(self._starts) - 1

    def __getitem__(self, i):
        start, stop = self._starts[i : i + 2].tolist()
        shape = None if self._shapes is None else tuple(self._shapes[i].tolist())
        return StoredImage(self._path, self._changed, start, stop, shape)


def _read(path, file):
    fields = read_annotations(path, file, ("image_starts", "written"))
    ids, starts, pixels = fields["image_id"], fields["image_starts"], read_pixels(file)
    check_shape("image_starts", starts, (len(ids) + 1,))
    check_shape("written", fields["written"], (len(ids),))
    check_starts("image_starts", starts, starts[-1])
    if not fields["written"].all():
        raise LayoutError("the file is incomplete")
    shapes = None
    if number_attribute(file, "decoded"):
        channels = np.full(len(ids), pixels.channels)
        shapes = np.stack([fields["height"], fields["width"], channels], axis=1)
    images = _StoredImages(path, starts + _images_offset(path, file, starts[-1]), shapes)
    records = RecordTable(ids, images, fields, pixels)
    return DetectionDataset(read_class_names(file), records, text_attribute(file, "name"))


def _images_offset(path, file, size):
    """Position of the first image's first byte. All images must be in this file, in one piece."""
    images = hdf5_array(file, "images", max_bytes=path.stat().st_size)
    if images.dtype != np.uint8 or images.shape != (size,):
        raise LayoutError(f"images: expected {size} bytes, got {images.dtype} of the shape {images.shape}")
    offset = images.id.get_offset()
    if offset is None and size:
        raise LayoutError("images: they are not stored in one piece")
    offset = offset or 0
    if offset + size > path.stat().st_size:
        raise LayoutError(f"images: they need {offset + size} bytes, the file has fewer")
    return offset
