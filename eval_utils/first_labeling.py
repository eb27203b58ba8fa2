"""Detections as a data set, which people then correct by hand."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data_generator import DetectionDataset, Record
from ..data_generator.formats.fields import normal_path, without_suffix
from .detections import Detections


def detections_dataset(found: Sequence[tuple[str, Detections]]) -> DetectionDataset:
    """Detections as objects of a data set, for a first labeling.

    Args:
        found: pairs of the path of a picture and what was found in it, at least one.

    Returns:
        `DetectionDataset`. Its classes are those of the model that have names; for a model without names, the
        class ids. Image ids are the paths without suffix, relative to the folder that all have in common.
    """
    names = found[0][1].class_names
    ids = sorted({int(i) for _, detections in found for i in detections.class_ids})
    known = [i for i, name in enumerate(names or (), start=1) if name is not None]
    used = list(dict.fromkeys(known + ids))  # an id without a name has its number
    texts = [names[i - 1] if i in known else str(i) for i in used]
    labels = np.zeros(max(used, default=0) + 1, np.int32)
    labels[used] = np.arange(1, len(used) + 1)
    records = [
        _labeled(image_id, path, detections, labels)
        for image_id, (path, detections) in zip(_image_ids([path for path, _ in found]), found, strict=True)
    ]
    lost = sum(len(found_in) for _, found_in in found) - sum(len(record.labels) for record in records)
    if lost:
        warnings.warn(f"save_predictions: {lost} boxes without area are left out", stacklevel=2)
    return DetectionDataset(texts or ["1"], records, "predictions")


def _labeled(image_id, path, detections, labels):
    height, width = detections.image_size
    has_area = (detections.boxes[:, 2:] > detections.boxes[:, :2]).all(axis=1)
    boxes, ids = detections.boxes[has_area], labels[detections.class_ids[has_area]]
    return Record(image_id, str(normal_path(path)), width, height, boxes, ids, pixels=detections.pixels)


def _image_ids(paths):
    """Unique names: the paths without suffix from their common folder; with it where two would be equal."""
    paths = [normal_path(path) for path in paths]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    names = [path.relative_to(common).as_posix() for path in paths]
    short = list(map(without_suffix, names))
    counts, unique = Counter(short), {}
    for stem, name in zip(short, names, strict=True):
        wanted = found = stem if counts[stem] == 1 else name.replace(".", "_")
        number = 1
        while found in unique:
            number += 1
            found = f"{wanted}-{number}"
        unique[found] = None
    return list(unique)
