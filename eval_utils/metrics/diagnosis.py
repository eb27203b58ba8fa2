"""Finds the likely mistake behind a mean average precision of nearly zero or NaN."""

import warnings
from collections import Counter

import numpy as np

from ...boxes import look_relative
from ...messages import printable
from .flat import best_objects

NEARLY_ZERO = 0.005

# At least this share of a trained model's best boxes lies on objects, whether or not their classes are right.
# The share of an untrained model is far smaller.
RIGHT_PLACE_SHARE = 0.2

# A class counts as swapped with another from so many boxes in the right place on.
MIN_SWAPPED = 5


def warn_of_bad_map(caller, mean, dataset, rows, images, truth, iou_threshold):
    """Warns with the likely reason if a mAP is NaN or nearly zero, and if classes look swapped.

    Args:
        caller: name of the public function, which is `checked`.
        mean: the mAP at this threshold.
        dataset: the `DetectionDataset`.
        rows: (n, 6) all detections.
        images: (n,) index of the image of each.
        truth: `Truth`, the objects.
        iou_threshold: IoU above which a detection can be right.
    """
    if np.isnan(mean):
        warnings.warn(f"{caller}: mAP is NaN: {explain_nan_map(dataset)}", stacklevel=4)
    elif mean >= NEARLY_ZERO and (swapped := swapped_classes(rows, images, truth, iou_threshold)):
        names = [printable(name) for name in dataset.class_names]
        moves = ", ".join(f"{names[a - 1]} is found as {names[b - 1]}" for a, b in swapped[:5])
        warnings.warn(
            f"{caller}: class names look swapped: {moves}; are the classes of the detections in the "
            "same order as those of the data set?",
            stacklevel=4,
        )
    if mean < NEARLY_ZERO:
        sizes = np.array([(r.width, r.height) for r in dataset])[images]
        _, best_iou = best_objects(rows[:, 2:], images, truth.boxes, truth.images)
        reason = explain_zero_map(rows[:, 2:], rows[:, 1], sizes, best_iou, iou_threshold, len(truth.labels))
        warnings.warn(f"{caller}: mAP is nearly 0: {reason}", stacklevel=4)


def swapped_classes(rows, images, truth, iou_threshold):
    """Classes that have changed places, as pairs of class ids: what is there, what the detector says.

    Of as many best boxes as there are objects, most that lie on such a class have the id of another one,
    which itself has changed places. No confusion of a trained detector is like that.

    Args: see `warn_of_bad_map`.
    """
    best = np.argsort(-rows[:, 1], kind="stable")[: len(truth.labels)]
    item, overlap = best_objects(rows[best, 2:], images[best], truth.boxes, truth.images)
    right_place = overlap > iou_threshold
    there, said = truth.labels[item[right_place]].tolist(), rows[best[right_place], 0].astype(int).tolist()
    of_class, pairs = Counter(there), Counter(zip(there, said, strict=True))
    moved = {
        a: b
        for (a, b), count in pairs.items()
        if a != b and count >= MIN_SWAPPED and 2 * count > of_class[a] and 10 * pairs[a, a] <= of_class[a]
    }
    return sorted((a, b) for a, b in moved.items() if b in moved)


def explain_nan_map(dataset):
    """Returns why no object of a `DetectionDataset` counts, as a text for the user."""
    objects = sum(len(record.labels) for record in dataset)
    if objects == 0:
        return f"none of the {len(dataset)} images has an object; are the annotations found?"
    crowd = sum(int(record.crowd.sum()) for record in dataset)
    return (
        f"of the {objects} objects none counts: {objects - crowd} are difficult and {crowd} are crowd "
        "regions, and an evaluation ignores both"
    )


def explain_zero_map(boxes, scores, image_sizes, best_iou, iou_threshold, num_objects):
    """Returns the likely reason for a mAP of nearly zero, as a text for the user.

    Args:
        boxes: (n, 4) all detections, xyxy, supposed to be pixels.
        scores: (n,) score of each detection.
        image_sizes: (n, 2) width and height of each detection's image.
        best_iou: (n,) highest IoU of each detection with an object of its image, of any class.
        iou_threshold: IoU above which a detection can be right.
        num_objects: number of objects in the data set.
    """
    if len(boxes) == 0:
        return "there are no detections; is the model trained? Is its confidence_threshold too high?"
    if look_relative(boxes, image_sizes):
        return "the boxes look relative (0..1), but pixels of the original images are expected"
    # As many of the best boxes as there are objects. The many boxes after them have low scores.
    best = np.argsort(-scores, kind="stable")[: max(num_objects, 1)]
    right_place = int((best_iou[best] > iou_threshold).sum())
    if right_place >= RIGHT_PLACE_SHARE * len(best):
        return (
            f"of the {len(best)} boxes with the highest scores, {right_place} are in the right place but "
            "under another class id; are the class names of the data set in the same order as in training?"
        )
    return (
        f"of the {len(best)} boxes with the highest scores, {right_place} overlap an object by more than "
        f"{iou_threshold} (best IoU of all boxes: {best_iou.max():.2f}); is the model trained? Are its "
        "images RGB, 0..255?"
    )
