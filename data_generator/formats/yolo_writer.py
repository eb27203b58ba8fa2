"""Writes the YOLO layout of Ultralytics."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from tqdm import tqdm

from ...arguments import checked
from ...files import atomic, check_absent, read_text
from ..dataset import DetectionDataset
from .new_files import (
    check_visible,
    check_writable,
    image_target,
    names_without_prefix,
    place_image,
    warn_of_lost_flags,
)
from .plain_yaml import MAX_BYTES, parse_yaml
from .yolo import label_path
from .yolo_description import read_description


@checked()
def save_yolo(
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    split: str = "train",
    *,
    images: Literal["copy", "link"] = "copy",
    progress: bool = True,
) -> None:
    """Writes a data set in Ultralytics' YOLO layout: `load_yolo(folder, split)`.

    - Images are written to `images/<split>/<image id><suffix>`, unless the same file is already there, and
      labels to `labels/<split>/<image id>.txt`. The image ids of `load_yolo` then have `<split>/` in front;
      if they have it already, it is not repeated. Images that a function makes become PNG files.
    - A line is `class x y width height`, relative to the image. Boxes read back as the same float32 (sides
      below 1e-6 pixels: within 1e-11).
    - YOLO has no flags. Difficult and truncated objects become ordinary ones. Crowd regions are left out, as
      Ultralytics' own converter does. One warning counts them.
    - Several splits of a folder share data.yaml, so they must have the same class names. Ultralytics needs
      `train` and `val`.
    - The split is entered into data.yaml last. A split that is not there is incomplete.

    Args:
        dataset: a `DetectionDataset`.
        folder: folder of the data set; created if necessary.
        split: name of the split, made of letters, digits, `-` and `_`.
        images: "copy", or "link" for hard links.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the split, a label file, or another image of that name exists; names it.
        OSError: for an image that cannot be read, copied or linked.
        ImageError: if a function does not return a usable image.
        ValueError: for image ids that are duplicates, hidden or leave the folder; for class names that
            contain control characters or start or end with spaces, or that differ from those of data.yaml;
            for image formats that `load_yolo` does not read.
    """
    if images not in ("copy", "link"):
        raise ValueError(f'save_yolo: images must be "copy" or "link", got {images!r}')
    if not re.fullmatch("[A-Za-z0-9_-]+", split) or split in ("names", "path", "nc"):
        raise ValueError(f"save_yolo: split must be made of letters, digits, - and _, got {split!r}")
    check_writable(dataset.class_names, "save_yolo: a class name")
    folder = Path(folder)
    description = _new_description(folder / "data.yaml", dataset.class_names, split)
    names = names_without_prefix(dataset, f"{split}/")
    check_visible(names, "save_yolo")
    place = folder / "images" / split
    targets = [image_target(r, place, name, "save_yolo") for r, name in zip(dataset, names, strict=True)]
    labels = [folder / label_path(target.relative_to(folder).as_posix()) for target in targets]
    check_absent(labels)
    bar = tqdm(dataset, desc=f"save {split}", unit=" files", disable=not progress, leave=False)
    for record, target, label in zip(bar, targets, labels, strict=True):
        place_image(record, target, images == "link")
        with atomic(label, overwrite=False) as partial:
            partial.write_text("".join(_lines(record)), encoding="utf-8")
    with atomic(folder / "data.yaml") as partial:
        partial.write_text(description, encoding="utf-8")
    warn_of_lost_flags(dataset, "save_yolo", "YOLO has no flags")


def _new_description(path, class_names, split):
    """The text of data.yaml with a split more. It keeps what else is in the file."""
    entry = f"{split}: images/{split}\n"
    if not path.exists():
        names = {"names": dict(enumerate(class_names))}
        return entry + yaml.safe_dump(names, sort_keys=False, allow_unicode=True, width=1000)
    known = read_description(path)
    if known.names != class_names:
        raise ValueError(
            f"{path}: has the class names {', '.join(known.names)}, but the data set has "
            f"{', '.join(class_names)}"
        )
    text = read_text(path, MAX_BYTES)
    before = parse_yaml(text, path)
    if before.get(split) is not None:
        raise FileExistsError(f"{path}: the split {split!r} exists already; it is not overwritten")
    if "path" in before or parse_yaml(entry + text, path) != {**before, split: f"images/{split}"}:
        raise ValueError(f"{path}: was not written by save_yolo; choose another folder")
    return entry + text


def _lines(record):
    """The lines of a label file."""
    size = np.array([record.width, record.height], float)
    low, high = record.boxes[:, :2] / size, record.boxes[:, 2:] / size
    rows = np.concatenate([(low + high) / 2, high - low], axis=1).tolist()
    for label, row, crowd in zip(record.labels, rows, record.crowd, strict=True):
        if not crowd:
            yield f"{label - 1} {' '.join(map(repr, row))}\n"
