"""The devkit's files of results, one for each class, such as `comp4_det_test_dog.txt`."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from ...data_generator.formats.fields import inside_folder
from ...data_generator.formats.new_files import exact
from ...data_generator.formats.voc_xml import continuous_to_voc
from ...files import new_folder, read_text
from ...messages import printable, quoted
from .table import MAX_BYTES, Images, Table, class_id

# comp3 and comp4 are the devkit's competitions. The name of a set of images has no underscore there.
_NAME = re.compile(r"(comp[0-9]+_det_[^_]+)_(.+)\.txt")


def read_voc_results(path, dataset):
    """The detections of each image from a folder or one of its files, see `load_detections`."""
    files = _files(Path(path))
    images, table = Images(dataset), Table()
    found = {class_id(name, dataset, str(file)): file for name, file in files.items()}
    for label, file in found.items():
        for number, line in enumerate(read_text(file, MAX_BYTES).splitlines(), start=1):
            if line.strip():
                image, row = _parsed(line, label, images, f"{file}, line {number}")
                table.add(image, row, (file, number))
    if missing := [n for label, n in enumerate(dataset.class_names, start=1) if label not in found]:
        warnings.warn(
            f"load_detections: {path}: no file for {len(missing)} of the {dataset.num_classes} classes, "
            f"which count as without detections: {printable(', '.join(missing), 200)}",
            stacklevel=4,
        )
    return table.per_image(dataset, path, lambda file, number: f"{file}, line {number}")


def write_voc_results(folder, dataset, detections, overwrite, image_set):
    """Writes a file for each class, see `save_detections`."""
    for name in dataset.class_names:
        inside_folder(name, "save_detections", "a class name")
        if "/" in name:
            raise ValueError(f"save_detections: a class name with / can be no name of a file: {quoted(name)}")
    if not re.fullmatch("[A-Za-z0-9-]+", image_set):
        raise ValueError(f"save_detections: image_set must be letters and digits, got {quoted(image_set)}")
    for record in dataset:
        if len(record.image_id.split()) != 1 or record.image_id != record.image_id.strip():
            raise ValueError(
                "save_detections: VOC's results cannot hold an image id with spaces: "
                f"{quoted(record.image_id)}"
            )
    with new_folder(folder, overwrite) as partial:
        for label, name in enumerate(dataset.class_names, start=1):
            path = partial / f"comp4_det_{image_set}_{name}.txt"
            with path.open("w", encoding="utf-8") as file:
                for record, rows in zip(dataset, detections, strict=True):
                    mine = np.asarray(rows)[np.asarray(rows)[:, 0] == label]
                    for score, box in zip(mine[:, 1], continuous_to_voc(mine[:, 2:]), strict=True):
                        file.write(f"{record.image_id} {' '.join(map(exact, (score, *box)))}\n")


def _files(path):
    """{class name: file} of a folder, or of one file."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    matches = [(match, file) for file in candidates if (match := _NAME.fullmatch(file.name))]
    if not matches:
        raise ValueError(f"{path}: expected files with names such as comp4_det_test_dog.txt")
    starts = {match[1] for match, _ in matches}
    if len(starts) > 1:
        names = printable(", ".join(sorted(starts)), 200)
        raise ValueError(f"{path}: there are results of several sets of images: {names}")
    return {match[2]: file for match, file in matches}


def _parsed(line, label, images, where):
    image_id, *cells = line.split()
    if len(cells) != 5:
        raise ValueError(f"{where}: expected image, score, xmin, ymin, xmax, ymax, got {quoted(line)}")
    try:
        score, x1, y1, x2, y2 = map(_number, cells)
    except ValueError:
        raise ValueError(f"{where}: expected five numbers after the image, got {quoted(line)}") from None
    # The devkit's pixels start at 1, and both ends belong to the box.
    return images.find(image_id, where), (label, score, x1 - 1, y1 - 1, x2, y2)


def _number(text):
    if "_" in text or not text.isascii():  # numbers for Python only
        raise ValueError
    return float(text)
