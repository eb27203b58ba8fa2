"""Writes LabelMe's files: one JSON file beside each picture."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from ...arguments import checked
from ...files import atomic, check_absent
from ..dataset import DetectionDataset
from .new_files import (
    check_unique_ids,
    check_visible,
    check_writable,
    image_target,
    place_image,
    warn_of_lost_flags,
)

VERSION = "5.5.0"  # of LabelMe, whose fields these are


@checked()
def save_labelme(
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    *,
    images: Literal["copy", "link"] = "copy",
    progress: bool = True,
) -> None:
    """Writes a data set as LabelMe's JSON files: `load_labelme(folder, dataset.class_names)`.

    - An image is written to `<image id><suffix>`, unless the same file is already there, and its objects to
      `<image id>.json` beside it, as rectangles. Images that a function makes become PNG files.
    - Boxes read back as the same float32.
    - Difficult and truncated objects become ordinary ones. Crowd regions are left out. One warning counts
      them.

    Args:
        dataset: a `DetectionDataset`.
        folder: folder of the data set; created if necessary.
        images: "copy", or "link" for hard links.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if a JSON file, or another image of that name, exists; names it.
        OSError: for an image that cannot be read, copied or linked.
        ImageError: if a function does not return a usable image.
        ValueError: for image ids that are duplicates, hidden or leave the folder; for class names that
            contain control characters or start or end with spaces; for image formats that `load_labelme` does
            not read.
    """
    check_unique_ids(dataset)
    check_writable(dataset.class_names, "save_labelme: a class name")
    folder = Path(folder)
    check_visible([record.image_id for record in dataset], "save_labelme")
    targets = [image_target(record, folder, record.image_id, "save_labelme") for record in dataset]
    annotations = [folder / f"{record.image_id}.json" for record in dataset]
    check_absent(annotations)
    bar = tqdm(dataset, desc="save LabelMe", unit=" files", disable=not progress, leave=False)
    for record, target, annotation in zip(bar, targets, annotations, strict=True):
        place_image(record, target, images == "link")
        content = _content(record, dataset.class_names, target.name)
        with atomic(annotation, overwrite=False) as partial:
            partial.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    warn_of_lost_flags(dataset, "save_labelme", "the files have no flags")


def _content(record, class_names, file_name):
    """What a JSON file holds. Its image is beside it."""
    shapes = [
        _rectangle(class_names[label - 1], box)
        for label, box, crowd in zip(record.labels, record.boxes.tolist(), record.crowd, strict=True)
        if not crowd
    ]
    size = {"imageHeight": record.height, "imageWidth": record.width}
    return {
        **{"version": VERSION, "flags": {}, "shapes": shapes},
        **{"imagePath": file_name, "imageData": None, **size},
    }


def _rectangle(name, box):
    return {
        "label": name,
        "points": [box[:2], box[2:]],
        "group_id": None,
        "description": "",
        "shape_type": "rectangle",
        "flags": {},
    }
