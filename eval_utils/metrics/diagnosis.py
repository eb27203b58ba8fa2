"""Finds the likely mistake behind a mean average precision of nearly zero or NaN."""

import numpy as np

from ...boxes import look_relative

# At least this share of a trained model's best boxes lies on objects, whether or not their classes are right.
# The share of an untrained model is far smaller.
RIGHT_PLACE_SHARE = 0.2


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
