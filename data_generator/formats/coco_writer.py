"""Writes COCO's instances files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from ...arguments import checked
from ...files import atomic, check_absent
from ..dataset import DetectionDataset
from .new_files import check_unique_ids, file_names


class _SavedImage(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    file_name: str
    width: int
    height: int
    multibox_id: str | None = None


class _SavedObject(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    image_id: int
    category_id: int | str  # files with ids as text keep them
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: tuple[()]  # some readers require the key
    difficult: int = 0
    truncated: int = 0


@checked()
def save_coco(
    dataset: DetectionDataset,
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    *,
    category_ids: Mapping[str, int | str] | None = None,
) -> None:
    """Writes a data set as an instances file in COCO's format: `load_coco(annotation_file, image_folder)`.

    - `bbox` is [x, y, width, height] in continuous pixels.
    - `difficult` and `truncated`, which COCO does not have, are additional keys of objects with that flag.
    - `coco_image_ids` gives the ids of the images. If an image's own id differs, it is stored in the
      additional key `multibox_id`.

    Args:
        dataset: a `DetectionDataset`.
        annotation_file: path of the JSON file.
        image_folder: folder that `file_name` is relative to; the folder that was passed to `load_coco` gives
            the original names. Images that a function makes are written to it as PNG. None: names without
            folders.
        category_ids: None for 1, 2, ..., or a dictionary from class names to ids, such as
            `coco_categories(original_file)`.

    Raises:
        FileExistsError: if the file, or another file with the path of a generated image, exists; names it.
        ValueError: for duplicate image ids, a class without category id, or two classes with the same one;
            see also `file_names`.
    """
    path = Path(annotation_file)
    check_absent([path])
    check_unique_ids(dataset)
    categories = _coco_category_ids(dataset, category_ids)
    ids = coco_image_ids(dataset)
    names = file_names(dataset, image_folder)
    images = [
        _SavedImage(image_id, name, r.width, r.height, None if str(image_id) == r.image_id else r.image_id)
        for r, image_id, name in zip(dataset, ids, names, strict=True)
    ]
    objects = []
    for record, image_id in zip(dataset, ids, strict=True):
        objects += _coco_objects(record, image_id, categories, len(objects) + 1)
    content = {
        "info": {"description": dataset.name},
        "images": images,
        "annotations": objects,
        "categories": [
            {"id": category_id, "name": name}
            for category_id, name in zip(categories, dataset.class_names, strict=True)
        ],
    }
    with atomic(path, overwrite=False) as partial:
        partial.write_bytes(msgspec.json.encode(content))


def coco_image_ids(dataset: DetectionDataset) -> list[int]:
    """The number of each image in the COCO file that `save_coco` makes of a data set.

    If all image ids are different whole numbers, as in COCO's own files, they are used: results for a part of
    COCO then match the original file. Otherwise images are numbered 1, 2, ...

    Returns:
        List of int, one for each record.
    """
    texts = [record.image_id for record in dataset]
    # JSON readers that use floating-point numbers are exact up to fifteen digits.
    if all(re.fullmatch(r"-?[0-9]{1,15}", text) for text in texts):
        numbers = [int(text) for text in texts]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(texts) + 1))


def _coco_category_ids(dataset, category_ids):
    """Category id of each class, in the order of the labels."""
    if category_ids is None:
        return list(range(1, dataset.num_classes + 1))
    missing = [name for name in dataset.class_names if name not in category_ids]
    if missing:
        raise ValueError(f"save_coco: category_ids has no id for {', '.join(map(repr, missing))}")
    ids = [category_ids[name] for name in dataset.class_names]
    if len(set(ids)) != len(ids):
        raise ValueError(f"save_coco: category_ids must be different, got {ids}")
    return ids


def _coco_objects(record, image_id, categories, first_id):
    boxes = record.boxes.astype(np.float64)
    # With float64 sides, x + width rounds to the same float32 as before.
    boxes[:, 2:] -= boxes[:, :2]
    columns = (boxes.tolist(), record.labels, record.crowd, record.difficult, record.truncated)
    return [
        _SavedObject(
            id=first_id + i,
            image_id=image_id,
            category_id=categories[label - 1],
            bbox=tuple(box),
            area=box[2] * box[3],
            iscrowd=int(crowd),
            segmentation=(),
            difficult=int(difficult),
            truncated=int(truncated),
        )
        for i, (box, label, crowd, difficult, truncated) in enumerate(zip(*columns, strict=True))
    ]
