"""The annotations of a data set in an HDF5 file, with or without its images: read and written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from ...messages import one_line, quoted
from ...untrusted_hdf5 import LayoutError, check_sizes, text_attribute
from ...untrusted_hdf5 import dataset as hdf5_array
from ..dataset import DetectionDataset
from ..pixels import RGB, Pixels, checked_pixels
from ..record import FLAGS
from ..record_lists import image_ids, image_sizes, joined, kinds_of_pixels, object_counts
from .fields import LIMIT

# What an array must hold: numpy's kinds of types, in words. All others hold whole numbers.
_WHOLE = ("iu", "whole numbers")
_KINDS = {"boxes": ("f", "numbers with a decimal point"), **dict.fromkeys(FLAGS, ("b", "bool"))}
OBJECT_FIELDS = ("boxes", "labels", *FLAGS)
FIELDS = ("width", "height", "object_starts", *OBJECT_FIELDS)


def annotation_fields(dataset: DetectionDataset) -> dict[str, np.ndarray]:
    """{name: array} of all annotations, concatenated over the images."""
    records, sizes = dataset.records, image_sizes(dataset.records).astype(np.int32)
    objects = {name: joined(records, name) for name in OBJECT_FIELDS}
    return {
        "width": sizes[:, 0],
        "height": sizes[:, 1],
        "object_starts": np.cumsum([0, *object_counts(records)]),
        **objects,
        "boxes": objects["boxes"].astype(np.float32),
        "labels": objects["labels"].astype(np.int32),
    }


def check_one_kind(dataset: DetectionDataset, owner: str) -> None:
    """Refuses a data set without images, or with images that are read in different ways."""
    if len(dataset) == 0:
        raise ValueError(f"{owner}: the data set is empty: {dataset!r}")
    if len(kinds_of_pixels(dataset.records)) > 1:
        raise ValueError(
            f"{owner}: the images of {dataset!r} are read in different ways; use with_pixels(...)"
        )


def write_annotations(file: h5py.File, dataset: DetectionDataset, fields: dict[str, np.ndarray]) -> None:
    """Writes what `read_annotations`, `read_class_names` and `read_pixels` read."""
    file.attrs.update(
        name=dataset.name,
        class_names=json.dumps(dataset.class_names),
        pixels=json.dumps(dataset.pixels),
    )
    file["image_id"] = image_ids(dataset.records)
    for name in FIELDS:
        file[name] = fields[name]


def read_annotations(path: Path, file: h5py.File, more: tuple[str, ...]) -> dict[str, np.ndarray]:
    """{name: array} of all annotations, after checking their types and lengths.

    Args:
        path: path of the file.
        file: the open file.
        more: names of other arrays of whole numbers, whose lengths are not checked.

    Raises:
        LayoutError: names the array and what is wrong.
    """
    numbers = {name: hdf5_array(file, name) for name in (*FIELDS, *more)}
    ids = hdf5_array(file, "image_id", texts=True)
    check_sizes([*numbers.values(), ids], path.stat().st_size)
    for name, array in numbers.items():
        kinds, expected = _KINDS.get(name, _WHOLE)
        if array.dtype.kind not in kinds:
            raise LayoutError(f"{name}: expected {expected}, got {array.dtype}")
    fields = {name: array[()] for name, array in numbers.items()}
    fields["image_id"] = ids.asstr()[()]
    images, objects = ids.size, len(np.atleast_1d(fields["labels"]))
    for name in (*FIELDS, "image_id"):
        check_shape(name, fields[name], _shape(name, images, objects))
    check_starts("object_starts", fields["object_starts"], objects)
    for name in ("width", "height"):
        if not ((fields[name] > 0) & (fields[name] < LIMIT)).all():
            raise LayoutError(f"{name}: expected numbers of pixels from 1 to 999999")
    if len(set(fields["image_id"])) < images:
        twice = next(image_id for image_id, count in Counter(fields["image_id"]).items() if count > 1)
        raise LayoutError(f"image_id: {quoted(twice)} occurs more than once")
    return fields


def _shape(name, images, objects):
    if name == "boxes":
        return (objects, 4)
    if name in OBJECT_FIELDS:
        return (objects,)
    return (images + 1,) if name == "object_starts" else (images,)


def check_shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    """Refuses an array of another shape."""
    if array.shape != expected:
        raise LayoutError(f"{name}: expected the shape {expected}, got {array.shape}")


def check_starts(name: str, starts: np.ndarray, total: int) -> None:
    """Refuses numbers that do not rise from 0 to the total."""
    if starts[0] != 0 or starts[-1] != total or (starts[1:] < starts[:-1]).any():
        raise LayoutError(f"{name}: expected numbers that rise from 0 to {total}")


def read_pixels(file: h5py.File) -> Pixels:
    """How the images are read; files of version 0.1 do not state it."""
    if "pixels" not in file.attrs:
        return RGB
    try:
        channels, value_range = json.loads(text_attribute(file, "pixels"))
        return checked_pixels("pixels", channels, value_range)
    except (TypeError, ValueError, RecursionError) as error:
        raise LayoutError(f"pixels: expected channels and a range: {one_line(error)}") from error


def read_class_names(file: h5py.File) -> list[str]:
    """The names of the classes."""
    text = text_attribute(file, "class_names")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LayoutError(f"class_names: expected a JSON list of texts, got {one_line(text)}")
    return names
