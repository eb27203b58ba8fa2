"""Reads the YOLO layout: images, and one text file of labels for each image."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...files import is_file, is_folder, read_text
from ...messages import printable, quoted
from ..dataset import DetectionDataset
from ..record import FLAGS
from .annotation import Annotation, assemble, raise_error, scan
from .cleaning import MAX_DROPPED
from .fields import IMAGE_SUFFIXES, normal_path, number, without_suffix
from .yolo_description import MAX_LIST_BYTES, moved, read_description

MAX_LABEL_BYTES = 2**24  # of one image
_LAST_IMAGES = re.compile(r"(?<![^/])images/(?!(.*/)?images/)")
SLACK = 0.01  # tolerance of relative coordinates around 0..1, as in Ultralytics


@checked()
def load_yolo(
    data_yaml: str | os.PathLike[str],
    split: str = "train",
    *,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads annotations in a YOLO layout.

    The yaml file of Ultralytics and Roboflow has these keys:

    - `names`: a list of class names, or a dictionary from 0, 1, ... to names
    - `path` (optional): the data set's folder. A relative path starts at the yaml file's folder, which is the
      default, or else at the working directory or the folder above the yaml file's.
    - one for each split: a folder of images (searched with its subfolders), a text file that lists images, or
      a list of folders and text files. `val`, `valid` and `validation` are one split.

    Also read are `obj.data` of darknet and CVAT (`names = obj.names`, `train = train.txt`; a folder `data/`
    in front of a path may be missing), and a `classes.txt` of Label Studio and LabelImg, with one class name
    a line. Its images are in `images/train` and other splits, in `images`, or beside it; the latter two are
    the split "train".

    The path of an image gives that of its label file: the last folder `images` becomes `labels`, the suffix
    becomes `.txt`. If the label file is missing or empty, the image has no objects. A line of it is one of:

    - `class x y width height`, with the box's center and size relative to the image
    - `class x1 y1 x2 y2 x3 y3 ...`, an outline (segment) of at least three points; it becomes the box around
      it

    All images and lists must be in the data set's folder. Paths are checked as written: a symbolic link in
    the folder may lead outside. As in Ultralytics, a `../` at the start of a split is ignored if it would
    lead outside. The lines of a list are relative to the list's folder, or absolute.

    Args:
        data_yaml: path of the yaml file (at most 1 MiB), of another of these files, or of the folder that
            holds one: data.yaml, the only yaml file with `names`, obj.data, classes.txt or obj.names.
        split: "train", "val", "test" or another split.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - Boxes are scaled to pixels by the size in each image's header.
        - `image_id` is the image's path in the data set without its suffix and its last folder `images`:
          `train/a` for `images/train/a.jpg`.
        - Spaces around class names are removed.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file or folder; names it.
        ImageError: for an image whose size cannot be read.
        ValueError: names file, line, field and value. It is raised for

            - a yaml file that is too large, too deep or broken, has tags, aliases or `kpt_shape` (key points
              look like outlines), or lacks the split
            - class names that are empty, repeated or have control characters
            - a path that leaves the folder
            - a class id without a name, a field that is not a number, a coordinate outside 0..1, or a line
              with a wrong number of fields
            - more than `max_dropped` of the boxes, and at least five, that would be dropped
    """
    description = read_description(data_yaml)
    annotations = _scan(description, split, raise_error, progress)
    source = f"load_yolo({str(data_yaml)!r}, {split!r})"
    return assemble(annotations, description.names, f"YOLO {split}", source, max_dropped=max_dropped)


def scan_yolo(
    data_yaml: str | os.PathLike[str],
    split: str = "train",
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        data_yaml: see `load_yolo`.
        split: see `load_yolo`.
        on_error: called with the exception if an image cannot be used. If it returns, the image is left out.
            An unusable yaml file or a missing split always raises.
        progress: whether to show a progress bar.
    """
    yield from _scan(read_description(data_yaml), split, on_error, progress)


def yolo_classes(data_yaml: str | os.PathLike[str]) -> tuple[str, ...]:
    """The class names, in the order of the labels 1, 2, ... (YOLO's class ids plus one).

    Raises:
        FileNotFoundError, ValueError: see `load_yolo`.
    """
    return read_description(data_yaml).names


def yolo_splits(data_yaml: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the splits.

    Raises:
        FileNotFoundError, ValueError: see `load_yolo`.
    """
    return tuple(read_description(data_yaml).splits)


def _scan(description, split, on_error, progress):
    root, names, path = description.root, description.names, description.path
    images = [image for entry in description.entries(split) for image in _images(root, entry, path)]
    found = labeled = 0
    for annotation in scan(images, partial(_annotation, root, names), on_error, progress, f"YOLO {split}"):
        found += 1
        labeled += Path(annotation.where).is_file()
        yield annotation
    if found and not labeled:
        warnings.warn(
            f"{path}: no image of {split} has a label file; expected for example {annotation.where}",
            stacklevel=2,
        )


def label_path(image_path: str) -> str:
    """The path of the label file of an image, both relative to the data set's folder."""
    return f"{_LAST_IMAGES.sub('labels/', without_suffix(image_path))}.txt"


def _images(root, entry, data_yaml):
    """Paths of the images of one entry of a split."""
    where = f"{data_yaml}: {printable(entry)}"
    place = normal_path(root / entry)
    if entry.startswith("../") and not place.is_relative_to(root):
        place = normal_path(root / entry.removeprefix("../"))
    _check_inside(root, place, where)
    if is_folder(place):
        found = sorted(p for p in place.rglob("*") if _is_image(p.relative_to(place)))
        if not found:
            raise FileNotFoundError(f"{where}: no images ({', '.join(IMAGE_SUFFIXES)}) in {place}")
        return found
    if place.suffix != ".txt" or not is_file(place):
        shown = printable(place, 300)
        raise FileNotFoundError(f"{where}: no folder of images and no .txt list of images at {shown}")
    lines = [line.strip() for line in read_text(place, MAX_LIST_BYTES).splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{place}: lists no images; expected their paths, one a line")
    images = [normal_path(place.parent / moved(place.parent, line)) for line in lines]
    for image in images:
        _check_inside(root, image, place)
    return images


def _check_inside(root, path, where):
    if not path.is_relative_to(root):
        raise ValueError(f"{where}: {printable(path, 300)} is not in the data set's folder {root}")


def _is_image(path):
    """Whether a path has an image's suffix. Files and folders whose names start with a dot are hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _annotation(root, names, image):
    if not is_file(image):
        raise FileNotFoundError(f"{printable(image, 300)}: no such image, but a list names it")
    path = image.relative_to(root).as_posix()
    label_file = root / label_path(path)
    lines = read_text(label_file, MAX_LABEL_BYTES).splitlines() if label_file.exists() else []
    rows = [
        _object(line.split(), names, f"{label_file}, line {i}")
        for i, line in enumerate(lines, 1)
        if line.strip()
    ]
    boxes = np.array([box for _, box in rows], np.float64).reshape(-1, 4)
    flags = {flag: np.zeros(len(rows), bool) for flag in FLAGS}
    return Annotation(
        image_id=_LAST_IMAGES.sub("", without_suffix(path)),
        image=str(image),
        size=None,
        boxes=boxes,
        names=tuple(name for name, _ in rows),
        where=str(label_file),
        relative=True,
        **flags,
    )


def _object(words, names, where):
    """(class name, relative xyxy box) of one line."""
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise ValueError(
            f"{where}: expected `class x y width height`, or `class` and x and y of three or more points; "
            f"got {len(words)} fields"
        )
    kind = number(words[0], where, "the class id")
    if kind not in range(len(names)):
        raise ValueError(f"{where}: the class id must be in 0..{len(names) - 1}, got {quoted(words[0])}")
    values = [_relative(word, where, field) for field, word in enumerate(words[1:], 2)]
    if len(values) > 4:
        x, y = values[::2], values[1::2]
        return names[int(kind)], (min(x), min(y), max(x), max(y))
    x, y, width, height = values
    return names[int(kind)], (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _relative(word, where, field):
    value = number(word, where, f"field {field}")
    if not -SLACK <= value <= 1 + SLACK:
        raise ValueError(f"{where}: field {field} must be relative to the image, 0 to 1, got {quoted(word)}")
    return value
