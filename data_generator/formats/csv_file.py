"""Reads and writes comma-separated annotations, one object a line."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import atomic, check_absent
from ..dataset import DetectionDataset
from ..record import FLAGS
from .annotation import Annotation, assemble, raise_error
from .cleaning import MAX_DROPPED
from .csv_reader import CsvReader
from .fields import SIDES
from .new_files import (
    check_unique_ids,
    check_writable,
    exact,
    file_names,
)


@checked()
def load_csv(
    csv_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    relative: bool = False,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads a file of separated values with one object a line.

    Columns are found by name, in any order. Upper case, spaces, `-` and `_` do not matter. Of several columns
    for one field, the first in this list counts:

    - the image: `image`, `image_name`, `filename`, `frame`, `path`, `image_path`, `file_path` or `image_id`
    - the box as corners: `xmin`, `ymin`, `xmax`, `ymax`; `x1`, `y1`, `x2`, `y2`; `x0`, `y0`, `x1`, `y1`;
      `left`, `top`, `right`, `bottom`; `minx`, `miny`, `maxx`, `maxy`; `xtl`, `ytl`, `xbr`, `ybr`
    - the box as upper left corner and size: `x`, `y`, `w`, `h`. `x` or `left`, `y` or `top`, `width` and
      `height` are read so only if the image's size has columns of its own, `image_width` and `image_height`.
    - all of them also with `bbox` in front: `bbox_xmin`, `bbox_x`, `bbox_width`, ...
    - the class: `class`, `class_name`, `label`, `label_name`, `category`, `category_name` or `class_id`
    - optional: `image_id`; the image's `image_width` or `width`, `image_height` or `height`; `difficult`,
      `truncated`, `crowd` (0 or 1, true or false)

    Other columns are ignored. Without a header, lines of keras-retinanet's form `path,x1,y1,x2,y2,class` are
    recognized; for others pass `columns`. The lines of an image need not be adjacent; images keep the order
    of their first lines. A line with an empty box is an image without objects. Spaces around values are
    removed.

    Args:
        csv_file: path of the file, in UTF-8, at most 1 GiB. A field may have up to 131072 characters.
        image_folder: folder that the names of the images are relative to. `PictureFiles` says how names with
            other folders, backslashes or other suffixes are found. None: the folder of the file.
        classes: names in the order of the labels 1, 2, ... If the class column holds only whole
            numbers and `classes` contains none of them, they are labels; 0 is background and raises an error.
            None takes all classes of the file, sorted (whole numbers by their value).
        columns: None if the first line holds the column names. For a file without header, or with names that
            mean something else, the names, such as
            `["image_name", "class_id", "xmin", "ymin", "xmax", "ymax"]`. A header is skipped then.
        separator: ",", ";", a tab or "|". None finds it in the first line.
        relative: whether boxes are relative to the image, 0 to 1.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - Boxes are read as continuous pixels: the whole image is 0, 0, width, height.
        - A missing or empty size is read from the image.
        - `image_id` comes from the column of that name. Without it, it is the image's path in the folder
          without suffix, which must then be unique.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file, folder or image; names it.
        ValueError: names file, line, column and value. It is raised for

            - a file that is no text, or too large
            - a missing column, a line with a wrong number of fields, a field that is not a number
            - an image whose name fits several pictures, sizes or ids of an image that contradict each other
            - an unknown class, a class with control characters, a file without any class
            - more than `max_dropped` of the boxes, and at least five, that would be dropped; boxes that all
              look relative to their images (0..1)
    """
    reader = CsvReader(csv_file, image_folder, columns, separator, relative, raise_error)
    classes = classes if classes is None else name_tuple(classes, "load_csv: classes")
    source = f"load_csv({str(csv_file)!r})"
    name = f"CSV {Path(csv_file).stem}"
    return assemble(reader.scan(classes, progress), classes, name, source, max_dropped=max_dropped)


def scan_csv(
    csv_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    relative: bool = False,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        csv_file: see `load_csv`.
        image_folder: see `load_csv`.
        classes: see `load_csv`.
        columns: see `load_csv`.
        separator: see `load_csv`.
        relative: see `load_csv`.
        on_error: called with the exception if an image or line cannot be used. If it returns, that one is
            left out. A file without the required columns, or with broken quotes, always raises.
        progress: whether to show a progress bar.
    """
    reader = CsvReader(csv_file, image_folder, columns, separator, relative, on_error)
    yield from reader.scan(classes if classes is None else tuple(classes), progress)


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
