"""The lines of a CSV file with one object a line, as annotations of images."""

from __future__ import annotations

import csv
import os
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...class_names import name_tuple
from ...files import check_regular
from ...messages import quoted
from ..record import FLAGS
from .annotation import Annotation, scan
from .csv_columns import SEPARATORS, find_columns, find_separator, headerless, is_header
from .fields import SIDES, check_name, flag, number, size_or_none, without_suffix
from .found_classes import is_whole
from .picture_files import PictureFiles

MAX_BYTES = 2**30  # ten million lines; they are held in memory
_LONGEST_LINE = 2**17  # characters of the first line that are searched for the separator


class _Line(NamedTuple):
    number: int
    cells: list[str]


class CsvReader:
    """The lines of a file, grouped by image.

    Args: see `scan_csv`.
    """

    def __init__(self, path, folder, columns, separator, relative, on_error):
        self.path, self.relative, self.on_error = path, relative, on_error
        check_regular(path)
        self.pictures = PictureFiles(Path(path).parent if folder is None else folder)
        self.folder_hint = "; pass the folder of the images as image_folder" if folder is None else ""
        self.images = {}  # name of the file: its lines
        self.without_box = []  # lines with a class
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
                raise ValueError(f"{path}: file is too large: {size} bytes (limit {MAX_BYTES})")
            try:
                self._read(file, columns, separator)
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{path}: not a readable CSV file in UTF-8: {error}") from error

    def _read(self, file, columns, separator):
        if separator is None:
            separator = find_separator(file.readline(_LONGEST_LINE))
            file.seek(0)
        elif separator not in SEPARATORS:
            raise ValueError(f"load_csv: separator must be one of {SEPARATORS}, got {separator!r}")
        reader = csv.reader(file, strict=True, delimiter=separator)
        cells = next(reader, [])
        first = _Line(reader.line_num, [cell.strip() for cell in cells])
        header = columns if columns is None else name_tuple(columns, "load_csv: columns")
        header = header or headerless(first.cells)
        self.columns = find_columns(header or first.cells, self.path)
        if header and not is_header(first.cells, self.columns):
            self._add(first)
        for cells in filter(None, reader):
            self._add(_Line(reader.line_num, [cell.strip() for cell in cells]))

    def _add(self, line):
        if len(line.cells) == self.columns.count:
            self.images.setdefault(self._cell(line, "image"), []).append(line)
        elif line.cells:
            counts = f"has {len(line.cells)} fields, but there are {self.columns.count} columns"
            self.on_error(ValueError(f"{self._where(line)}: {counts}"))

    def scan(self, classes, progress):
        """Yields the `Annotation` of each image."""
        read = partial(self._annotation, self._class_names(classes))
        yield from scan(self.images, read, self.on_error, progress, "CSV")
        self._warn()

    def _class_names(self, classes):
        """{value of the class column: class name}, of the values that have one."""
        lines = (line for lines in self.images.values() for line in lines)
        values = {self._cell(line, "class") for line in lines if self._has_box(line)} - {""}
        # Tools that have no whole numbers with gaps write labels as 1.0.
        whole = {value: value.removesuffix(".0") for value in values}
        if not all(map(is_whole, whole.values())):
            return {value: value for value in values}
        # Class names may be digits: numbers are labels only if none of them is a class name.
        if classes is None or not set(whole.values()).isdisjoint(classes):
            return whole
        self.label_range = (
            f"one of the labels 1..{len(classes)} of `classes` (0 is background) or a class name"
        )
        labels = dict(enumerate(classes, 1))
        return {value: labels[int(text)] for value, text in whole.items() if int(text) in labels}

    def _annotation(self, class_names, name):
        lines = self.images[name]
        where = self._where(lines[0])
        file = self._find(name, where)
        objects = [self._object(class_names, line) for line in lines if self._has_box(line)]
        self.without_box += [line for line in lines if self._cell(line, "class") and not self._has_box(line)]
        boxes = np.array([box for box, _, _ in objects], np.float64).reshape(-1, 4)
        if self.columns.sized:
            boxes[:, 2:] += boxes[:, :2]
        names = tuple(name for _, name, _ in objects)
        flags = np.array([flags for _, _, flags in objects], bool).reshape(-1, len(FLAGS)).T
        image_id = self._common(lines, "image_id") or self._path_id(file)
        size = self._size(lines)
        return Annotation(image_id, file, size, boxes, names, *flags, where, relative=self.relative)

    def _find(self, name, where):
        try:
            return str(self.pictures.find(name, where))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}{self.folder_hint}") from None

    def _path_id(self, file):
        return without_suffix(Path(file).relative_to(self.pictures.folder).as_posix())

    def _has_box(self, line):
        return any(self._cell(line, side) for side in SIDES)

    def _object(self, class_names, line):
        """(sides of the box, class name, flags) of one line."""
        where, cells, places = self._where(line), line.cells, self.columns.places
        box = [number(cells[places[side]], where, self.columns.names[side]) for side in SIDES]
        flags = [name in places and flag(cells[places[name]], where, name) for name in FLAGS]
        return box, self._class_name(class_names, cells[places["class"]], where), flags

    def _class_name(self, class_names, value, where):
        column = self.columns.names["class"]
        if not value:
            raise ValueError(f"{where}: the {column} is empty, but there is a box")
        if value not in class_names:
            raise ValueError(f"{where}: the {column} must be {self.label_range}, got {quoted(value)}")
        return check_name(class_names[value], where, column)

    def _cell(self, line, field):
        """The text of a field; empty if the file has no such column."""
        place = self.columns.places.get(field)
        return "" if place is None else line.cells[place]

    def _where(self, line):
        return f"{self.path}, line {line.number}"

    def _common(self, lines, field):
        """The value of a field that all lines of an image must share; may be empty."""
        for line in lines:
            mine, first = self._cell(line, field), self._cell(lines[0], field)
            if mine != first:
                raise ValueError(
                    f"{self._where(line)}: {self.columns.names[field]} is {quoted(mine)}, but in line "
                    f"{lines[0].number} of the same image {quoted(first)}"
                )
        return self._cell(lines[0], field)

    def _size(self, lines):
        where, names = self._where(lines[0]), self.columns.names
        sides = (number(self._common(lines, s) or 0, where, names.get(s, s)) for s in ("width", "height"))
        return size_or_none(*sides, where)

    def _warn(self):
        if self.without_box:
            warnings.warn(
                f"{self.path}: {len(self.without_box)} lines have a class but no box, first line "
                f"{self.without_box[0].number}; they add no object",
                stacklevel=4,
            )
        if by_name := self.pictures.counts["by file name"]:
            warnings.warn(
                f"{self.path}: {by_name} of {len(self.images)} images were found by their file names only, "
                f"anywhere in {self.pictures.folder}",
                stacklevel=4,
            )
