"""Reads a data set from one HDF5 file: annotations, and images as encoded files or decoded pixels."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...files import check_regular
from ...messages import one_line, printable, quoted
from ...untrusted_hdf5 import (
    HDF5_ERRORS,
    LayoutError,
    check_sizes,
    number_attribute,
    open_hdf5,
    text_attribute,
)
from ...untrusted_hdf5 import dataset as hdf5_array
from ..dataset import DetectionDataset
from ..images import ImageError
from ..pixels import RGB, checked_pixels
from ..record import FLAGS, Record
from .fields import LIMIT, normal_path

FORMAT = "multibox 1"
# What an array must hold: numpy's kinds of types, in words. All others hold whole numbers.
_WHOLE = ("iu", "whole numbers")
_KINDS = {"boxes": ("f", "numbers with a decimal point"), **dict.fromkeys(FLAGS, ("b", "bool"))}
FIELDS = ("width", "height", "object_starts", "boxes", "labels", *FLAGS)


@checked()
def load_hdf5(path: str | os.PathLike[str]) -> DetectionDataset:
    """Opens a file of `create_hdf5_dataset`.

    Args:
        path: path of the file.

    Returns:
        `DetectionDataset`. Each process opens its own memory map of the images. Any number of threads and
        processes may share the data set.

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
        content = _mapped(self.path, self.changed)[self.start : self.stop]
        if self.shape is None:
            return content.tobytes()
        if content.size != math.prod(self.shape):
            rows, columns, _ = self.shape
            raise ImageError(f"{self}: {content.size} bytes are stored for an image of {columns}x{rows}")
        return content.reshape(self.shape)

    def __str__(self):
        return f"{self.path} (bytes {self.start} to {self.stop})"


@lru_cache(maxsize=16)
def _mapped(path, changed):
    """The bytes of a file. Each process has its own map, or inherits a read-only one."""
    try:
        if Path(path).stat().st_mtime_ns != changed:
            raise ImageError(f"{path}: the file was changed after it was loaded")
        return np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise ImageError(f"{path}: cannot read the images: {error.strerror}") from error


def _read(path, file):
    decoded, changed = bool(number_attribute(file, "decoded")), path.stat().st_mtime_ns
    fields = _read_fields(path, file)
    ids, objects, starts = fields["image_id"], fields["object_starts"], fields["image_starts"]
    offset = _images_offset(path, file, starts[-1])
    pixels = _pixels(file)
    records = []
    for i, image_id in enumerate(ids):
        mine = slice(objects[i], objects[i + 1])
        width, height = int(fields["width"][i]), int(fields["height"][i])
        shape = (height, width, pixels.channels) if decoded else None
        image = StoredImage(str(path), changed, int(offset + starts[i]), int(offset + starts[i + 1]), shape)
        values = (fields[name][mine] for name in FIELDS[3:])
        records.append(Record(image_id, image, width, height, *values, pixels=pixels))
    return DetectionDataset(_class_names(file), records, text_attribute(file, "name"))


def _read_fields(path, file):
    """{name: array} of all annotations, after checking their types and lengths."""
    numbers = {name: hdf5_array(file, name) for name in (*FIELDS, "image_starts", "written")}
    ids = hdf5_array(file, "image_id", texts=True)
    check_sizes([*numbers.values(), ids], path.stat().st_size)
    for name, array in numbers.items():
        kinds, expected = _KINDS.get(name, _WHOLE)
        if array.dtype.kind not in kinds:
            raise LayoutError(f"{name}: expected {expected}, got {array.dtype}")
    fields = {name: array[()] for name, array in numbers.items()}
    fields["image_id"] = ids.asstr()[()]
    images, objects = ids.size, len(np.atleast_1d(fields["labels"]))
    for name, array in fields.items():
        expected = _shape(name, images, objects)
        if array.shape != expected:
            raise LayoutError(f"{name}: expected the shape {expected}, got {array.shape}")
    _check_starts("object_starts", fields["object_starts"], objects)
    _check_starts("image_starts", fields["image_starts"], fields["image_starts"][-1])
    for name in ("width", "height"):
        if not ((fields[name] > 0) & (fields[name] < LIMIT)).all():
            raise LayoutError(f"{name}: expected numbers of pixels from 1 to 999999")
    if not fields["written"].all():
        raise LayoutError("the file is incomplete")
    twice = [image_id for image_id, count in Counter(fields["image_id"]).items() if count > 1]
    if twice:
        raise LayoutError(f"image_id: {quoted(twice[0])} occurs more than once")
    return fields


def _shape(name, images, objects):
    if name == "boxes":
        return (objects, 4)
    if name in ("labels", *FLAGS):
        return (objects,)
    return (images + 1,) if name.endswith("_starts") else (images,)


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


def _pixels(file):
    """How the images are read; files of version 0.1 do not state it."""
    if "pixels" not in file.attrs:
        return RGB
    try:
        channels, value_range = json.loads(text_attribute(file, "pixels"))
        return checked_pixels("pixels", channels, value_range)
    except (TypeError, ValueError, RecursionError) as error:
        raise LayoutError(f"pixels: expected channels and a range: {one_line(error)}") from error


def _class_names(file):
    text = text_attribute(file, "class_names")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LayoutError(f"class_names: expected a JSON list of texts, got {one_line(text)}")
    return names


def _check_starts(name, starts, total):
    if starts[0] != 0 or starts[-1] != total or (starts[1:] < starts[:-1]).any():
        raise LayoutError(f"{name}: expected numbers that rise from 0 to {total}")
