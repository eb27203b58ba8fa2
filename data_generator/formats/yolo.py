"""Reads Ultralytics' YOLO layout: data.yaml, images, and one text file of labels for each image."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from ...arguments import checked
from ...messages import did_you_mean
from ..dataset import FLAGS, DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .fields import IMAGE_SUFFIXES, normal_path, number, without_suffix

MAX_YAML_BYTES = 2**20  # ten thousand class names take a third of it
_LAST_IMAGES = re.compile(r"(?<![^/])images/(?!(.*/)?images/)")
SLACK = 0.01  # tolerance of relative coordinates around 0..1, as in Ultralytics


@checked()
def load_yolo(
    data_yaml: str | os.PathLike[str], split: str = "train", *, progress: bool = True
) -> DetectionDataset:
    """Reads annotations in Ultralytics' YOLO layout.

    The yaml file has these keys:

    - `names`: a list of class names, or a dictionary from 0, 1, ... to names
    - `path` (optional): the data set's folder, relative to the yaml file's folder, which is the default
    - one for each split: a folder of images (searched with its subfolders), a text file that lists images, or
      a list of folders and text files

    The path of an image gives that of its label file: the last folder `images` becomes `labels`, the suffix
    becomes `.txt`. If the label file is missing or empty, the image has no objects. A line of it is one of:

    - `class x y width height`, with the box's center and size relative to the image
    - `class x1 y1 x2 y2 x3 y3 ...`, an outline of at least three points; it becomes the box around it

    All images and lists must be in the data set's folder. Paths are checked as written: a symbolic link in
    the folder may lead outside. As in Ultralytics, a `../` at the start of a split is ignored if it would
    lead outside. The lines of a list are relative to the list's folder, or absolute.

    Args:
        data_yaml: path of the yaml file, at most 1 MiB.
        split: "train", "val", "test" or another key of the yaml file.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - Boxes are scaled to pixels by the size in each image's header.
        - `image_id` is the image's path in the data set without its suffix and its last folder `images`:
          `train/a` for `images/train/a.jpg`.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file or folder; names it.
        ImageError: for an image whose size cannot be read.
        ValueError: names file, line, field and value. It is raised for

            - a yaml file that is too large or broken, has aliases or `kpt_shape` (key points look like
              outlines), or lacks the split
            - a path that leaves the folder
            - a class id without a name, a field that is not a number, a coordinate outside 0..1, or a line
              with a wrong number of fields
    """
    annotations = scan_yolo(data_yaml, split, progress=progress)
    source = f"load_yolo({str(data_yaml)!r}, {split!r})"
    return assemble(annotations, yolo_classes(data_yaml), f"YOLO {split}", source)


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
    content = _read_yaml(data_yaml)
    names = _class_names(content, data_yaml)
    root = _root(content, data_yaml)
    images = [
        image for entry in _entries(content, split, data_yaml) for image in _images(root, entry, data_yaml)
    ]
    found = labeled = 0
    for annotation in scan(images, partial(_annotation, root, names), on_error, progress, f"YOLO {split}"):
        found += 1
        labeled += Path(annotation.where).is_file()
        yield annotation
    if found and not labeled:
        warnings.warn(
            f"{data_yaml}: no image of {split} has a label file; expected for example {annotation.where}",
            stacklevel=2,
        )


def yolo_classes(data_yaml: str | os.PathLike[str]) -> tuple[str, ...]:
    """The class names of a yaml file, in the order of the labels 1, 2, ... (YOLO's class ids plus one).

    Raises:
        FileNotFoundError, ValueError: see `load_yolo`.
    """
    return _class_names(_read_yaml(data_yaml), data_yaml)


def _read_yaml(path):
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_YAML_BYTES:
        raise ValueError(f"{path}: file is too large: {size} bytes (limit {MAX_YAML_BYTES})")
    try:
        text = path.read_text(encoding="utf-8-sig")
        # A few lines of aliases of aliases can expand to a billion values.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError(f"{path}: aliases (*name) are not supported; write out the values")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a readable yaml file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected keys such as names and train, got {type(content).__name__}")
    if "kpt_shape" in content:
        raise ValueError(f"{path}: kpt_shape: labels with key points are not supported; export boxes")
    return content


def _class_names(content, path):
    names = content.get("names")
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise ValueError(f"{path}: names: expected the class ids 0..{len(names) - 1}, got {list(names)}")
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: names must be a list or a dictionary of class names, got {names!r}")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise ValueError(
                f"{path}: names: {name!r} is not a name; quote words such as 'yes', 'no' and 'null'"
            )
    if content.get("nc", len(names)) != len(names):
        raise ValueError(f"{path}: nc is {content['nc']!r}, but there are {len(names)} names")
    return tuple(map(str, names))


def _root(content, data_yaml):
    path = content.get("path") or "."
    root = normal_path(Path(data_yaml).absolute().parent / str(path))
    if not root.is_dir():
        raise FileNotFoundError(
            f"{data_yaml}: path: no folder {root}; a relative path starts at the folder of the yaml file"
        )
    return root


def _entries(content, split, path):
    entries = content.get(split)
    entries = entries if isinstance(entries, list) else [entries]
    if not all(isinstance(entry, str) and entry for entry in entries):
        splits = ", ".join(key for key in ("train", "val", "test") if content.get(key)) or "none"
        hint = did_you_mean(split, splits.split(", "))
        got = f"got {content.get(split)!r}; the splits of the file are: {splits}{hint}"
        raise ValueError(f"{path}: the split {split} must be a path or a list of paths, {got}")
    return entries


def _images(root, entry, data_yaml):
    """Paths of the images of one entry of a split."""
    where = f"{data_yaml}: {entry}"
    place = normal_path(root / entry)
    if entry.startswith("../") and not place.is_relative_to(root):
        place = normal_path(root / entry.removeprefix("../"))
    _check_inside(root, place, where)
    if place.is_dir():
        found = sorted(p for p in place.rglob("*") if _is_image(p.relative_to(place)))
        if not found:
            raise FileNotFoundError(f"{where}: no images ({', '.join(IMAGE_SUFFIXES)}) in {place}")
        return found
    if place.suffix != ".txt" or not place.is_file():
        raise FileNotFoundError(f"{where}: no folder of images and no .txt list of images at {place}")
    images = [normal_path(place.parent / line.strip()) for line in _lines(place) if line.strip()]
    for image in images:
        _check_inside(root, image, place)
    return images


def _check_inside(root, path, where):
    if not path.is_relative_to(root):
        raise ValueError(f"{where}: {path} is not in the data set's folder {root}")


def _is_image(path):
    """Whether a path has an image's suffix. Files and folders whose names start with a dot are hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _lines(path):
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file: {error}") from error


def _annotation(root, names, image):
    if not image.is_file():
        raise FileNotFoundError(f"{image}: no such image, but a list names it")
    name = without_suffix(image.relative_to(root).as_posix())
    label_file = root / f"{_LAST_IMAGES.sub('labels/', name)}.txt"
    lines = _lines(label_file) if label_file.is_file() else []
    rows = [
        _object(line.split(), names, f"{label_file}, line {i}")
        for i, line in enumerate(lines, 1)
        if line.strip()
    ]
    boxes = np.array([box for _, box in rows], np.float64).reshape(-1, 4)
    flags = {flag: np.zeros(len(rows), bool) for flag in FLAGS}
    return Annotation(
        image_id=_LAST_IMAGES.sub("", name),
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
        raise ValueError(f"{where}: the class id must be in 0..{len(names) - 1}, got {words[0]!r}")
    values = [_relative(word, where, field) for field, word in enumerate(words[1:], 2)]
    if len(values) > 4:
        x, y = values[::2], values[1::2]
        return names[int(kind)], (min(x), min(y), max(x), max(y))
    x, y, width, height = values
    return names[int(kind)], (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _relative(word, where, field):
    value = number(word, where, f"field {field}")
    if not -SLACK <= value <= 1 + SLACK:
        raise ValueError(f"{where}: field {field} must be relative to the image, 0 to 1, got {word!r}")
    return value
