"""AP by the size and shape of objects, and by how crowded their pictures are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..boxes import area
from ..data_generator import DetectionDataset
from ..eval_utils import ErrorTypes
from ..eval_utils.metrics.errors import interpolated_ap
from ..eval_utils.metrics.verdicts import IGNORED, RIGHT, SURPLUS

RULE = (
    "AP at IoU 0.5 if only the objects of a group count. Detections of other objects are left out; a wrong "
    "detection counts in the group that its own box belongs to."
)


@dataclass(frozen=True)
class Group:
    """The result for one group of objects.

    Attributes:
        name: what is in the group.
        objects: number of objects.
        average_precision: mean AP at IoU 0.5 over the classes with objects in the group, NaN without any.
        found: share of the objects that any detection has found.
    """

    name: str
    objects: int
    average_precision: float
    found: float


def by_size(errors: ErrorTypes) -> list[Group]:
    """Groups by the area of the box; the limits are COCO's."""
    names = ("small: up to 32² pixels", "medium: up to 96² pixels", "large")
    limits = np.array((32.0**2, 96.0**2))
    return _groups(errors, names, *(np.searchsorted(limits, area(b), "left") for b in _boxes(errors)))


def by_aspect(errors: ErrorTypes) -> list[Group]:
    """Groups by width / height."""
    names = ("tall: up to 1:2", "upright: up to 1:1", "lying: up to 2:1", "wide")
    limits = np.array((0.5, 1.0, 2.0))
    places = []
    for boxes in _boxes(errors):
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        places.append(np.searchsorted(limits, width / np.maximum(height, 1e-6), "left"))
    return _groups(errors, names, *places)


def by_crowding(errors: ErrorTypes, dataset: DetectionDataset) -> list[Group]:
    """Groups by the number of objects in the picture. Pictures without objects belong to the first group."""
    names = ("1 object in the picture", "2 to 4", "5 to 9", "10 or more")
    place = np.searchsorted((1, 4, 9), [len(record.labels) for record in dataset], "left")
    return _groups(errors, names, place[errors.objects.images], place[errors.detections.images])


def _boxes(errors):
    return errors.objects.boxes, errors.detections.boxes


def _groups(errors, names, of_objects, of_detections):
    """The results, from the index of the group of each object and of each detection."""
    found, objects = errors.detections, errors.objects
    right, counted = found.verdict == RIGHT, ~np.isin(found.verdict, (IGNORED, SURPLUS))
    place = of_detections.copy()
    place[right] = of_objects[found.objects[right]]
    results = []
    for index, name in enumerate(names):
        real = (objects.verdict != IGNORED) & (of_objects == index)
        mine, values = counted & (place == index), []
        for label in np.unique(objects.labels[real]):
            rows = mine & (found.labels == label)
            total = int((real & (objects.labels == label)).sum())
            values.append(interpolated_ap(found.scores[rows], right[rows], total))
        share = float((objects.verdict[real] == RIGHT).mean()) if real.any() else float("nan")
        results.append(
            Group(name, int(real.sum()), float(np.mean(values)) if values else float("nan"), share)
        )
    return results
