"""A table with a line for each detection."""

from __future__ import annotations

import csv
import io

import numpy as np

from ...data_generator.formats.csv_columns import find_columns, find_separator
from ...data_generator.formats.fields import SIDES, number
from ...data_generator.formats.new_files import check_writable, exact
from ...files import atomic, read_text
from ...messages import printable, quoted
from .table import MAX_BYTES, Images, Table, class_id

# Characters of the first line that are searched for the separator.
_LONGEST_LINE = 2**17
_SCORES = ("score", "confidence", "probability", "conf")


def read_csv_results(path, dataset):
    """The detections of each image, see `load_detections`."""
    text = read_text(path, MAX_BYTES)
    lines = csv.reader(
        io.StringIO(text, newline=""),
        strict=True,
        delimiter=find_separator("".join(text[:_LONGEST_LINE].splitlines()[:1])),
    )
    images, table = Images(dataset), Table()
    try:
        header = [cell.strip() for cell in next(lines, [])]
        columns, score = find_columns(header, path), _score_column(header, path)
        for cells in filter(None, lines):
            where = f"{path}, line {lines.line_num}"
            if len(cells) != len(header):
                raise ValueError(
                    f"{where}: expected {len(header)} fields, one for each column, got {len(cells)}"
                )
            cells = [cell.strip() for cell in cells]
            image = images.find(cells[columns.places["image"]], where)
            # An image without detections is a line with an empty box.
            if any(cells[columns.places[side]] for side in SIDES):
                table.add(image, _row(cells, columns, score, dataset, where), (lines.line_num,))
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines.line_num}: not a readable CSV file: {error}") from error
    return table.per_image(dataset, path, lambda line: f"{path}, line {line}")


def write_csv_results(path, dataset, detections, overwrite):
    """Writes a line for each detection, see `save_detections`."""
    check_writable(dataset.class_names, "save_detections: a class name")
    check_writable((record.image_id for record in dataset), "save_detections: an image id")
    with atomic(path, overwrite) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image_id", *SIDES, "class", "score"))
        for record, rows in zip(dataset, detections, strict=True):
            for label, score, *box in np.asarray(rows):
                name = dataset.class_names[int(label) - 1]
                table.writerow((record.image_id, *map(exact, box), name, exact(score)))
            if not len(rows):
                table.writerow((record.image_id, *[""] * 6))


def _score_column(header, path):
    names = [name.casefold() for name in header]
    for name in _SCORES:
        if name in names:
            return names.index(name)
    there = printable(", ".join(header), 400)
    raise ValueError(f"{path}: no column for the score (such as {', '.join(_SCORES)}); there are: {there}")


def _row(cells, columns, score_column, dataset, where):
    box = [number(cells[columns.places[side]], where, columns.names[side]) for side in SIDES]
    if columns.sized:
        box[2:] = box[0] + box[2], box[1] + box[3]
    score = number(cells[score_column], where, "the score")
    return _label(cells[columns.places["class"]], dataset, where), score, *box


def _label(text, dataset, where):
    """The class id of a name or, where no class has a whole number as its name, of an id."""
    if text in dataset.class_names or not (text.isascii() and text.isdigit()):
        return class_id(text, dataset, where)
    if len(text) > 9 or not 1 <= int(text) <= dataset.num_classes:
        raise ValueError(f"{where}: class ids must be 1..{dataset.num_classes}, got {quoted(text)}")
    return int(text)
