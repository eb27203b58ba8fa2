"""Reads LabelMe's files: one JSON file for each picture."""

from __future__ import annotations

import base64
import binascii
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import read_bytes
from ..dataset import DetectionDataset
from ..images import ImageError
from ..record import FLAGS
from .annotation import Annotation, assemble, raise_error, scan
from .cleaning import MAX_DROPPED
from .fields import LIMIT, normal_path, number, size_or_none
from .picture_files import PictureFiles, files_with_suffix

MAX_JSON_BYTES = 2**28  # with an embedded picture; base64 makes it a third larger


class _Shape(msgspec.Struct):
    label: str | int
    points: list[tuple[float, float]]
    # LabelMe 3 and older had only polygons and did not say so.
    shape_type: str | None = None


class _Content(msgspec.Struct):
    shapes: list[_Shape] | None = None
    path: str | None = msgspec.field(default=None, name="imagePath")
    width: float | None = msgspec.field(default=None, name="imageWidth")
    height: float | None = msgspec.field(default=None, name="imageHeight")


class _Embedded(msgspec.Struct):
    data: str | None = msgspec.field(default=None, name="imageData")


@checked()
def load_labelme(
    folder: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    *,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads a folder of LabelMe's JSON files and pictures.

    Every JSON file in the folder and its subfolders is read. Its `imagePath` decides which picture it is
    about. If there is no such picture, it is the one with the JSON file's own name. If there is none either,
    it is the one embedded in the file (`imageData`). See `PictureFiles` for what a path may look like.

    A shape becomes the box around its points; a circle the box around it. These are left out, and a warning
    counts them:

    - points, which have no extent
    - pictures without a JSON file: LabelMe writes none for a picture that nobody has saved
    - JSON files without the key `shapes`, which are not LabelMe's

    Args:
        folder: path of the folder.
        classes: names in the order of the labels 1, 2, ... None takes all labels of the files, sorted.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - LabelMe's points are continuous pixels, as the boxes are.
        - `image_id` is the path of the JSON file in the folder, without suffix.
        - A missing size is read from the image.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing folder or image, or if there are no JSON files; names it.
        ValueError: for a file that is larger than 256 MiB, broken or has a wrong field, an unknown class, two
            files about one picture; names file and field.
    """
    folder = normal_path(folder)
    if classes is not None:
        classes = name_tuple(classes, "load_labelme: classes")
    annotations, source = scan_labelme(folder, progress=progress), f"load_labelme({str(folder)!r})"
    return assemble(annotations, classes, f"LabelMe {folder.name}", source, max_dropped=max_dropped)


def scan_labelme(
    folder: str | os.PathLike[str],
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        folder: see `load_labelme`.
        on_error: called with the exception if a file cannot be used. If it returns, the file is left out.
        progress: whether to show a progress bar.
    """
    folder = normal_path(folder)
    yield from scan_json(folder, files_with_suffix(folder, ".json"), on_error=on_error, progress=progress)


def scan_json(
    folder: Path,
    files: Sequence[Path],
    split: str | None = None,
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each of these JSON files; see `load_labelme`.

    Args:
        folder: absolute path of the folder that holds files and pictures.
        files: paths of the JSON files in it.
        split: None, or the only split whose pictures must have a JSON file (see `split_of`).
        on_error: see `scan_labelme`.
        progress: whether to show a progress bar.
    """
    pictures, counts = PictureFiles(folder), Counter()
    if not files:
        raise FileNotFoundError(f"no JSON files in {folder}")

    def report(error):
        if isinstance(error, _Foreign):
            counts["JSON files without the key `shapes`"] += 1
        else:
            on_error(error)

    yield from scan(files, partial(_annotation, pictures, counts), report, progress, "LabelMe")
    if counts:
        left_out = ", ".join(f"{count} {what}" for what, count in counts.items())
        warnings.warn(f"{folder}: left out {left_out}", stacklevel=2)
    pictures.warn_without_annotation("JSON file", split)


def is_labelme(path: Path) -> bool:
    """Whether a JSON file has LabelMe's key `shapes`."""
    try:
        return _decode(path, _Content).shapes is not None
    except (OSError, ValueError):
        return False


class _Foreign(ValueError):
    """A JSON file that is not LabelMe's."""


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image function (see `read_image`) that reads the picture in a LabelMe file.

    Attributes:
        path: path of the JSON file.
    """

    path: str

    def __call__(self):
        try:
            return base64.b64decode(_decode(Path(self.path), _Embedded).data or "", validate=True)
        except (OSError, ValueError, binascii.Error) as error:
            raise ImageError(f"{self.path}: imageData: cannot read the image: {error}") from error

    def __str__(self):
        return f"{self.path} (imageData)"


def _decode(path, kind):
    try:
        return msgspec.json.decode(read_bytes(path, MAX_JSON_BYTES).removeprefix(b"\xef\xbb\xbf"), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a readable LabelMe file: {error}") from error


def _annotation(pictures, counts, path):
    content = _decode(path, _Content)
    if content.shapes is None:
        raise _Foreign(f"{path}: no key `shapes`")
    image = _image(pictures, path, content.path)
    shapes = []
    for i, shape in enumerate(content.shapes):
        if shape.shape_type in ("point", "points"):
            counts["points"] += 1
        else:
            shapes.append((str(shape.label).strip(), _box(shape, f"{path}: $.shapes[{i}]")))
    return Annotation(
        image_id=path.relative_to(pictures.folder).with_suffix("").as_posix(),
        image=image,
        size=size_or_none(
            number(content.width or 0, path, "imageWidth"),
            number(content.height or 0, path, "imageHeight"),
            path,
        ),
        boxes=np.array([box for _, box in shapes], np.float64).reshape(-1, 4),
        names=tuple(name for name, _ in shapes),
        where=str(path),
        **{flag: np.zeros(len(shapes), bool) for flag in FLAGS},
    )


def _image(pictures, path, name):
    """Path of the picture, or the function that reads the embedded one."""
    try:
        return str(pictures.find_for(path, name))
    except FileNotFoundError:
        if not _decode(path, _Embedded).data:
            raise
        return EmbeddedImage(str(path))


def _box(shape, where):
    """(xmin, ymin, xmax, ymax) around a shape."""
    points = np.array(shape.points, np.float64).reshape(-1, 2)
    if not shape.label or len(points) < 2:
        raise ValueError(f"{where}: expected a label and two or more points, got {shape}")
    if shape.shape_type == "circle":
        center, radius = points[0], np.hypot(*(points[1] - points[0]))
        points = np.stack([center - radius, center + radius])
    if not (np.abs(points) < LIMIT).all():
        raise ValueError(f"{where}.points: must have numbers below 1e6, got {shape.points}")
    return (*points.min(axis=0), *points.max(axis=0))
