"""Detections and ground truth of a whole data set as flat arrays, checked once for every metric."""

from __future__ import annotations

import numpy as np

from ...boxes import area, paired_iou
from ...data_generator import DetectionDataset
from ...messages import printable
from ..detections import Detections


def flat_detections(detections, dataset, caller):
    """All detections as one array (n, 6), and the index of the image of each (n,)."""
    if not isinstance(dataset, DetectionDataset):
        raise TypeError(
            f"{caller}: expected (detections, dataset), got a {type(dataset).__name__} as the data set"
        )
    if any(isinstance(rows, Detections) for rows in detections):
        raise TypeError(
            f"{caller}: expected the arrays of predict_dataset, got Detections, from which detect has "
            "left out low scores that average precision counts"
        )
    if len(detections) != len(dataset) or len(dataset) == 0:
        raise ValueError(
            f"{caller}: expected detections for each image, got {len(detections)} arrays for "
            f"{len(dataset)} images"
        )
    for record, rows in zip(dataset, detections, strict=True):
        _check_rows(rows, f"{caller}: {printable(record.image_id)}")
    rows = np.concatenate(detections).astype(float)
    images = np.repeat(np.arange(len(detections)), [len(r) for r in detections])
    unknown = ~np.isin(rows[:, 0], np.arange(1, dataset.num_classes + 1))
    if unknown.any():
        first = int(unknown.argmax())
        raise ValueError(
            f"{caller}: {printable(dataset[images[first]].image_id)}: class ids must be "
            f"1..{dataset.num_classes} (0 is background), got {rows[first, 0]:g}"
        )
    inverted = (rows[:, 4:] < rows[:, 2:4]).any(axis=1)
    if inverted.any():
        first = int(inverted.argmax())
        raise ValueError(
            f"{caller}: {printable(dataset[images[first]].image_id)}: boxes must be xmin, ymin, xmax, "
            f"ymax, got {rows[first, 2:].tolist()}, whose width or height is negative"
        )
    return rows, images


def _check_rows(rows, where):
    """Refuses detections of an image that are not rows of six finite numbers; `where` begins the message."""
    try:
        rows = np.asarray(rows)
    except ValueError:
        raise ValueError(f"{where}: expected an array (detections, 6), got rows of several lengths") from None
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"{where}: expected an array (detections, 6), got {rows.shape}")
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"{where}: expected an array of numbers, got one of {rows.dtype}")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        first = int((~finite).argmax())
        raise ValueError(f"{where}: detections must be finite numbers, got {rows[first].tolist()}")


# Ranges of areas in square pixels, as in COCO. Both ends belong to a range.
SIZES = {
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}


def outside(areas, least, most):
    """Which areas are outside of a range of `SIZES`."""
    return (areas < least) | (areas > most)


class Truth:
    """The objects of a data set in flat arrays, sorted by image."""

    def __init__(self, dataset):
        self.num_images = len(dataset)
        self.images = np.repeat(np.arange(len(dataset)), [len(r.labels) for r in dataset])
        self.boxes = np.concatenate([r.boxes for r in dataset]).astype(float)
        self.labels = np.concatenate([r.labels for r in dataset])
        self.crowd = np.concatenate([r.crowd for r in dataset])
        self.difficult = np.concatenate([r.difficult for r in dataset]) | self.crowd
        self.areas = area(self.boxes)


def best_objects(boxes, images, objects, object_images):
    """For each detection the object of its image with the highest IoU, and this IoU (0 without objects).

    `objects` must be sorted by image.
    """
    return best_of_pairs(*object_pairs(boxes, images, objects, object_images), len(boxes))


def object_pairs(boxes, images, objects, object_images):
    """All pairs of a detection and an object of the same image, in flat arrays sorted by detection.

    `objects` must be sorted by image.

    Returns:
        Three arrays (pairs,): index of the detection, index of the object, their IoU.
    """
    start = np.searchsorted(object_images, images, "left")  # (detections,)
    count = np.searchsorted(object_images, images, "right") - start
    detection = np.repeat(np.arange(len(boxes)), count)  # (pairs,)
    item = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    return detection, item, paired_iou(boxes[detection], objects[item])


def best_of_pairs(detection, item, overlap, num_detections):
    """For each detection the object of its pairs with the highest IoU, and this IoU (0 without pairs)."""
    best, best_iou = np.zeros(num_detections, int), np.zeros(num_detections)
    # Pairs sorted by detection, then by IoU, then by descending object: the last pair of each detection has
    # the highest IoU and, among equal ones, the first object.
    order = np.lexsort((-item, overlap, detection))
    count = np.bincount(detection, minlength=num_detections)
    last = order[np.cumsum(count)[count > 0] - 1]
    best[count > 0], best_iou[count > 0] = item[last], overlap[last]
    return best, best_iou
