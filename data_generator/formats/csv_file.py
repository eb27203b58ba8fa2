"""Reads and writes comma-separated annotations, one object a line."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import atomic, check_absent
from ..dataset import FLAGS, DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .fields import inside_folder, number, size_or_none, without_suffix
from .new_files import (
    check_unique_ids,
    check_writable,
    exact,
    file_names,
)

SIDES = ("xmin", "ymin", "xmax", "ymax")

# Accepted column names of each field. If a file has several of them, the first in this list counts.
COLUMNS = {
    "image": ("image", "image_name", "filename", "file_name", "frame", "path"),
    **{side: (side,) for side in SIDES},
    "class": ("class", "class_name", "label", "class_id"),
    "image_id": ("image_id",),
    "width": ("width",),
    "height": ("height",),
    **{flag: (flag,) for flag in FLAGS},
}
REQUIRED = ("image", *SIDES, "class")
_NO, _YES = ("", "false", "no"), ("true", "yes")


@checked()
def load_csv(
    csv_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    progress: bool = True,
) -> DetectionDataset:
    """Reads a comma-separated file with one object a line.

    Columns are found by name, in any order, in upper or lower case:

    - the image: `image`, `image_name`, `filename`, `file_name`, `frame` or `path`
    - the box: `xmin`, `ymin`, `xmax`, `ymax`
    - the class: `class`, `class_name`, `label` or `class_id`
    - optional: `image_id`, the image's `width` and `height`, and `difficult`, `truncated`, `crowd` (0 or 1,
      true or false)

    Other columns are ignored. The lines of an image need not be adjacent; images keep the order of their
    first lines. A line with an empty box and class is an image without objects.

    Args:
        csv_file: path of the file, in UTF-8, separated by commas. A field may have up to 131072 characters.
        image_folder: folder that the names of the images are relative to.
        classes: names in the order of the labels 1, 2, ... If the class column holds only whole
            numbers and `classes` contains none of them, they are labels; 0 is background and raises an error.
            None takes all classes of the file, sorted (whole numbers by their value).
        columns: None if the first line holds the column names. For a file without header, the names, such as
            `["image_name", "class_id", "xmin", "ymin", "xmax", "ymax"]`.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - Boxes are read as continuous pixels: the whole image is 0, 0, width, height.
        - A missing or empty size is read from the image.
        - `image_id` comes from the column of that name. Without it, it is the image's name without suffix,
          which must then be unique.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file, folder or image; names it.
        ValueError: for a missing column, a line with a wrong number of fields, a field that is not a number,
            an image that leaves the folder, sizes or ids of an image that contradict each other, an unknown
            class; names file, line, column and value.
    """
    reader = _Reader(csv_file, image_folder, columns, raise_error)
    classes = reader.classes() if classes is None else name_tuple(classes, "load_csv: classes")
    source = f"load_csv({str(csv_file)!r})"
    return assemble(reader.scan(classes, progress), classes, f"CSV {Path(csv_file).stem}", source)


def scan_csv(
    csv_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        csv_file: see `load_csv`.
        image_folder: see `load_csv`.
        classes: see `load_csv`.
        columns: see `load_csv`.
        on_error: called with the exception if an image or line cannot be used. If it returns, that one is
            left out. A file without the required columns, or with broken quotes, always raises.
        progress: whether to show a progress bar.
    """
    reader = _Reader(csv_file, image_folder, columns, on_error)
    yield from reader.scan(reader.classes() if classes is None else tuple(classes), progress)


def _is_whole(text):
    return re.fullmatch("[+-]?[0-9]{1,9}", text) is not None


class _Line(NamedTuple):
    number: int
    cells: list[str]


class _Reader:
    """The lines of a file, grouped by image."""

    def __init__(self, path, folder, columns, on_error):
        self.path, self.folder, self.on_error = path, Path(folder), on_error
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no image folder {folder}")
        self.images = {}  # name of the file: its lines
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            try:
                self._read(csv.reader(file, strict=True), columns)
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{path}: not a readable CSV file: {error}") from error

    def _read(self, reader, columns):
        header = next(reader, []) if columns is None else name_tuple(columns, "load_csv: columns")
        self.columns = _find_columns([name.strip().lower() for name in header], self.path)
        self.object_columns = [
            self.columns[field] for field in (*SIDES, "class")
        ]  # all empty for an image without objects
        for cells in filter(None, reader):
            line = _Line(reader.line_num, [cell.strip() for cell in cells])
            if len(cells) == len(header):
                self.images.setdefault(self._cell(line, "image"), []).append(line)
            else:
                counts = f"has {len(cells)} fields, but there are {len(header)} columns"
                self.on_error(ValueError(f"{self._where(line)}: {counts}"))

    def classes(self):
        """The values of the class column, sorted; whole numbers by their value."""
        values = {self._cell(line, "class") for lines in self.images.values() for line in lines} - {""}
        return tuple(sorted(values, key=int if all(map(_is_whole, values)) else str))

    def scan(self, classes, progress):
        """Yields the `Annotation` of each image."""
        found = self.classes()
        # Class names may be digits: numbers are labels only if none of them is a class name.
        labels = classes if all(map(_is_whole, found)) and set(found).isdisjoint(classes) else None
        return scan(self.images, partial(self._annotation, labels), self.on_error, progress, "CSV")

    def _annotation(self, labels, name):
        lines = self.images[name]
        where = self._where(lines[0])
        file = self.folder / inside_folder(name, where, "image")
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such image, but {where} lists it")
        objects = [
            self._object(labels, line)
            for line in lines
            if any(map(line.cells.__getitem__, self.object_columns))
        ]
        boxes = np.array([box for box, _, _ in objects], np.float64).reshape(-1, 4)
        names = tuple(name for _, name, _ in objects)
        flags = np.array([flags for _, _, flags in objects], bool).reshape(-1, len(FLAGS)).T
        image_id = self._common(lines, "image_id") or without_suffix(name)
        return Annotation(image_id, str(file), self._size(lines), boxes, names, *flags, where)

    def _object(self, labels, line):
        """(sides of the box, class name, flags) of one line."""
        where = self._where(line)
        box = [number(self._cell(line, side), where, side) for side in SIDES]
        flags = [_flag(self._cell(line, flag), where, flag) for flag in FLAGS]
        return box, _class_name(self._cell(line, "class"), where, labels), flags

    def _cell(self, line, field):
        """The text of a field; empty if the file has no such column."""
        return line.cells[self.columns[field]] if field in self.columns else ""

    def _where(self, line):
        return f"{self.path}, line {line.number}"

    def _common(self, lines, field):
        """The value of a field that all lines of an image must share; may be empty."""
        for line in lines:
            if self._cell(line, field) != self._cell(lines[0], field):
                raise ValueError(
                    f"{self._where(line)}: {field} is {self._cell(line, field)!r}, but in line "
                    f"{lines[0].number} of the same image {self._cell(lines[0], field)!r}"
                )
        return self._cell(lines[0], field)

    def _size(self, lines):
        where = self._where(lines[0])
        return size_or_none(
            *(number(self._common(lines, s) or 0, where, s) for s in ("width", "height")), where
        )


def _class_name(value, where, labels):
    """The class name of a field. `labels` are the class names if the field holds a label, else None."""
    if not value:
        raise ValueError(f"{where}: the class is empty, but there is a box")
    if labels is None:
        return value
    if not 1 <= int(value) <= len(labels):
        raise ValueError(
            f"{where}: the class must be one of the labels 1..{len(labels)} of `classes` (0 is background) "
            f"or a class name, got {value!r}"
        )
    return labels[int(value) - 1]


def _flag(value, where, flag):
    value = value.lower()
    return value in _YES or (value not in _NO and number(value, where, flag) != 0)


def _find_columns(header, path):
    """{field: place of its column}."""
    columns = {
        field: header.index(next(name for name in names if name in header))
        for field, names in COLUMNS.items()
        if not set(names).isdisjoint(header)
    }
    missing = [" or ".join(COLUMNS[field]) for field in REQUIRED if field not in columns]
    if missing:
        raise ValueError(
            f"{path}: no column {', '.join(missing)}; there are: {', '.join(header) or 'none'}. For a file "
            f"without header pass the names as `columns`"
        )
    return columns


@checked()
def save_csv(
    dataset: DetectionDataset,
    csv_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
) -> None:
    """Writes a data set as comma-separated lines: `load_csv(csv_file, image_folder, dataset.class_names)`.

    Each object is one line; an image without objects is a line with empty fields. Boxes are in continuous
    pixels. The columns are image, image_id, width, height, xmin, ymin, xmax, ymax, class, difficult,
    truncated and crowd.

    Args:
        dataset: a `DetectionDataset`.
        csv_file: path of the file.
        image_folder: folder that the names of the images are relative to. Images that a function makes are
            written to it as PNG. None: names without folders.

    Raises:
        FileExistsError: if the file, or another file with the path of a generated image, exists; names it.
        ValueError: for duplicate image ids, and for names that contain control characters or start or end
            with spaces; see also `file_names`.
    """
    path = Path(csv_file)
    check_absent([path])
    check_unique_ids(dataset)
    check_writable(dataset.class_names, "save_csv: a class name")
    check_writable((record.image_id for record in dataset), "save_csv: an image id")
    names = file_names(dataset, image_folder)
    check_writable(names, "save_csv: the name of an image")
    with atomic(path, overwrite=False) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "image_id", "width", "height", *SIDES, "class", *FLAGS))
        for record, name in zip(dataset, names, strict=True):
            image = (name, record.image_id, record.width, record.height)
            writer.writerows((*image, *cells) for cells in _csv_objects(record, dataset.class_names))


def _csv_objects(record, class_names):
    """The cells of each object; one line of empty cells for an image without objects."""
    if not len(record.labels):
        return [("",) * (len(SIDES) + 1 + len(FLAGS))]
    flags = np.stack([getattr(record, flag) for flag in FLAGS], axis=1).astype(int)
    return [
        (*map(exact, box), class_names[label - 1], *of_it)
        for box, label, of_it in zip(record.boxes.astype(np.float32), record.labels, flags, strict=True)
    ]
