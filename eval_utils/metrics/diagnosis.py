"""Finds the likely mistake behind a mean average precision of nearly zero or NaN."""

import warnings

import numpy as np

from ...boxes import look_relative
from .flat import best_objects

NEARLY_ZERO = 0.005

# At least this share of a trained model's best boxes lies on objects, whether or not their classes are right.
# The share of an untrained model is far smaller.
RIGHT_PLACE_SHARE = 0.2


def warn_of_bad_map(caller, mean, dataset, rows, images, truth, iou_threshold):
    """Warns with the likely reason if a mAP is NaN or nearly zero.

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
    if mean < NEARLY_ZERO:
        sizes = np.array([(r.width, r.height) for r in dataset])[images]
        _, best_iou = best_objects(rows[:, 2:], images, truth.boxes, truth.images)
        reason = explain_zero_map(rows[:, 2:], rows[:, 1], sizes, best_iou, iou_threshold, len(truth.labels))
        warnings.warn(f"{caller}: mAP is nearly 0: {reason}", stacklevel=4)


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
