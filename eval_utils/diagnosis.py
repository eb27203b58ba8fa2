"""Why a mean average precision is nearly zero: the usual mistakes, told apart by the boxes themselves."""

import numpy as np


def why_zero(boxes, image_sizes, best_iou, iou_threshold):
    """One sentence for the user.

    Args:
        boxes: (n, 4) all detections, xyxy, meant to be pixels.
        image_sizes: (n, 2) width and height of each one's image.
        best_iou: (n,) IoU of each with the nearest object of its image, of any class.
        iou_threshold: from which a detection counts.
    """
    if len(boxes) == 0:
        return "there are no detections; is the model trained, is its confidence_threshold too high?"
    if np.abs(boxes).max() <= 2 < image_sizes.max():
        return "the boxes look relative (0..1), but pixels of the original images are expected"
    right_place = int((best_iou > iou_threshold).sum())
    if right_place:
        return (
            f"{right_place} of {len(boxes)} boxes are in the right place but under another class id; are the "
            "class names of the data set in the order of the training?"
        )
    return (
        f"no box overlaps an object by more than {iou_threshold} (best IoU {best_iou.max():.2f}); is the "
        "model trained, are its images normalised as in training (RGB, 0..255)?"
    )
