"""Reads the boxes of Open Images."""

from __future__ import annotations

import csv
import os
import warnings
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import check_regular
from ...messages import printable, quoted
from ..dataset import DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .cleaning import MAX_DROPPED
from .fields import check_name, flag, number
from .object_table import ObjectTable
from .picture_files import PictureFiles

_SIDES = ("XMin", "YMin", "XMax", "YMax")
_REQUIRED = ("ImageID", "LabelName", *_SIDES)
_FLAGS = ("IsTruncated", "IsGroupOf")
_LINE = 10_000  # characters; a line of Open Images has about a hundred


@checked()
def load_open_images(
    boxes_csv: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    class_descriptions: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    *,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads the boxes of Open Images for the pictures that are in a folder.

    Args:
        boxes_csv: file with the columns ImageID, LabelName, XMin, XMax, YMin, YMax, and possibly IsTruncated
            and IsGroupOf, such as `oidv6-train-annotations-bbox.csv`. It is read line by line, and
            lines of other pictures take no memory.
        image_folder: folder with the pictures, named by their ImageID, in any subfolder.
        class_descriptions: `class-descriptions-boxable.csv`, which gives "/m/01yrx" the name "Cat". None
            keeps the codes as class names.
        classes: names in the order of the labels 1, 2, ... None takes those that occur, sorted. For some of
            the classes use `load_open_images(...).subset(classes)`.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - `image_id` is the ImageID. Only pictures in the folder count, and of these only those that the file
          lists: the others may have objects. A warning counts the listed pictures that are not in the folder,
          and the pictures without a line.
        - Relative boxes become pixels; sizes are read from the pictures.
        - `IsGroupOf` becomes `crowd`, `IsTruncated` becomes `truncated`; -1 is unknown and counts as no.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file or folder, and if none of the listed pictures is in the folder.
        ValueError: for a missing column, a line with a wrong number of fields, a side that is not a number, a
            LabelName without description, two pictures with one ImageID; names file and line.
    """
    source = f"load_open_images({str(boxes_csv)!r})"
    if classes is not None:
        classes = name_tuple(classes, "load_open_images: classes")
    reader = _Reader(boxes_csv, image_folder, class_descriptions, raise_error)
    name = f"Open Images {Path(boxes_csv).stem}"
    return assemble(reader.scan(progress), classes, name, source, max_dropped=max_dropped)


def scan_open_images(
    boxes_csv: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    class_descriptions: str | os.PathLike[str] | None = None,
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each picture in the folder that the file lists.

    Args:
        boxes_csv: see `load_open_images`.
        image_folder: see `load_open_images`.
        class_descriptions: see `load_open_images`.
        on_error: called with the exception for a line that cannot be used. If it returns, the line is left
            out. A file without the required columns always raises.
        progress: whether to show a progress bar.
    """
    yield from _Reader(boxes_csv, image_folder, class_descriptions, on_error).scan(progress)


def looks_like_open_images(boxes_csv: str | os.PathLike[str]) -> bool:
    """Whether the first line of a file has the column names of Open Images' boxes."""
    try:
        check_regular(boxes_csv)
        with Path(boxes_csv).open(newline="", encoding="utf-8-sig") as file:
            return set(_REQUIRED) <= set(next(csv.reader([file.readline(_LINE)]), []))
    except (OSError, ValueError, csv.Error):
        return False


class _Reader:
    """The objects of the pictures in a folder, in flat arrays."""

    def __init__(self, path, folder, descriptions, on_error):
        self.path, self.on_error = path, on_error
        self.pictures = PictureFiles(folder)
        self.descriptions = None if descriptions is None else _read_descriptions(descriptions)
        self._files = _by_id(self.pictures)
        self._images, self._labels = {}, {}  # ImageID, LabelName: index
        self._elsewhere = set()
        self.names = []
        columns = [array("q"), array("q"), array("d"), array("b")]
        self._read(*columns)
        image, kind, boxes, flags = (np.frombuffer(c, c.typecode) if c else np.zeros(0) for c in columns)
        truncated, crowd = flags.reshape(-1, 2).T > 0
        flags = [np.zeros(len(image), bool), truncated, crowd]
        boxes = boxes.reshape(-1, 4)
        self.ids = list(self._images)
        self.objects = ObjectTable(len(self.ids), image.astype(int), kind.astype(int), boxes, flags)
        if not self.ids and self._elsewhere:
            raise FileNotFoundError(
                f"{path}: none of the {len(self._elsewhere)} pictures that it lists is in {folder}"
            )

    def _read(self, image, kind, boxes, flags):
        for line, cells, columns in _rows(self.path, _REQUIRED, self.on_error):
            image_id = cells[columns["ImageID"]]
            if image_id not in self._files:
                self._elsewhere.add(image_id)
                continue
            where = f"{self.path}, line {line}"
            try:
                label = self._label(cells[columns["LabelName"]], where)
                sides = [number(cells[columns[side]], where, side) for side in _SIDES]
                both = [name in columns and flag(cells[columns[name]], where, name) for name in _FLAGS]
            except ValueError as error:
                self.on_error(error)
                continue
            image.append(self._images.setdefault(image_id, len(self._images)))
            kind.append(label)
            boxes.extend(sides)
            flags.extend(both)

    def _label(self, code, where):
        if code not in self._labels:
            if self.descriptions is not None and code not in self.descriptions:
                raise ValueError(f"{where}: the class descriptions have no LabelName {quoted(code)}")
            self.names.append(code if self.descriptions is None else self.descriptions[code])
            self._labels[code] = len(self._labels)
        return self._labels[code]

    def scan(self, progress):
        """Yields the `Annotation` of each picture, and warns of those that are left out."""
        yield from scan(range(len(self.ids)), self._annotation, self.on_error, progress, "Open Images")
        unlisted = len(self._files) - len(self.ids)
        if self._elsewhere or unlisted:
            warnings.warn(
                f"{self.path}: left out {len(self._elsewhere)} listed pictures that are not in "
                f"{self.pictures.folder}, and {unlisted} pictures there without usable lines",
                stacklevel=4,
            )

    def _annotation(self, i):
        boxes, kinds, flags = self.objects.of_image(i)
        names = tuple(self.names[kind] for kind in kinds)
        file = str(self.pictures.folder / self._files[self.ids[i]])
        where = f"{self.path}: {self.ids[i]}"
        return Annotation(self.ids[i], file, None, boxes, names, *flags, where, relative=True)


def _by_id(pictures):
    """{ImageID: path of the picture}."""
    files = {}
    for path in pictures.paths:
        if path.stem in files:
            raise ValueError(
                f"{pictures.folder}: {files[path.stem]} and {path} have the same ImageID {path.stem!r}"
            )
        files[path.stem] = path
    return files


def _read_descriptions(path):
    """{LabelName: class name}; later releases have a header, LabelName and DisplayName."""
    names = {}
    check_regular(path)
    with Path(path).open(newline="", encoding="utf-8-sig") as file, _named_errors(path):
        for i, cells in enumerate(csv.reader(_lines(file, path), strict=True), 1):
            where = f"{path}, line {i}"
            if len(cells) != 2:
                raise ValueError(f"{where}: expected LabelName and class name, got {quoted(cells)}")
            code, name = cells[0], check_name(cells[1].strip(), where, "the name of a class")
            if names.setdefault(code, name) != name:
                raise ValueError(f"{where}: the LabelName {quoted(code)} has another name before")
    names.pop("LabelName", None)
    return names


@contextmanager
def _named_errors(path):
    """Adds the file's name to errors about its text."""
    try:
        yield
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable CSV file: {error}") from error


def _rows(path, required, on_error):
    """Yields (line number, cells, {column: its place})."""
    check_regular(path)
    with Path(path).open(newline="", encoding="utf-8-sig") as file, _named_errors(path):
        reader = csv.reader(_lines(file, path), strict=True)
        header = [name.strip() for name in next(reader, [])]
        columns = {name: i for i, name in enumerate(header)}
        missing = [name for name in required if name not in header]
        if missing:
            there = printable(", ".join(header), 400) or "none"
            raise ValueError(f"{path}: no column {', '.join(missing)}; there are: {there}")
        for cells in filter(None, reader):
            if len(cells) == len(header):
                yield reader.line_num, cells, columns
            else:
                counts = f"has {len(cells)} fields, but there are {len(header)} columns"
                on_error(ValueError(f"{path}, line {reader.line_num}: {counts}"))


def _lines(file, path):
    """The lines of a file, each of bounded length."""
    while line := file.readline(_LINE):
        if len(line) == _LINE:
            raise ValueError(f"{path}: a line has {_LINE} characters or more")
        yield line
