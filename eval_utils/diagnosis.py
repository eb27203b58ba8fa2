"""Why a mean average precision is nearly zero: the usual mistakes, told apart by the boxes themselves."""

import numpy as np

# A trained model puts this share of its best boxes on objects, whatever it calls them. One without training
# hits far fewer, by chance.
RIGHT_PLACE_SHARE = 0.2


def why_zero(boxes, scores, image_sizes, best_iou, iou_threshold, num_objects):
    """One sentence for the user.

    Args:
        boxes: (n, 4) all detections, xyxy, meant to be pixels.
        scores: (n,) score of each.
        image_sizes: (n, 2) width and height of each one's image.
        best_iou: (n,) IoU of each with the nearest object of its image, of any class.
        iou_threshold: IoU above which a detection counts.
        num_objects: number of objects in the data set.
    """
    if len(boxes) == 0:
        return "there are no detections; is the model trained, is its confidence_threshold too high?"
    if np.abs(boxes).max() <= 2 < image_sizes.max():
        return "the boxes look relative (0..1), but pixels of the original images are expected"
    # As many of the best boxes as there are objects: a detector lists many doubtful ones after those.
    best = np.argsort(-scores, kind="stable")[: max(num_objects, 1)]
    right_place = int((best_iou[best] > iou_threshold).sum())
    if right_place >= RIGHT_PLACE_SHARE * len(best):
        return (
            f"of the {len(best)} boxes with the highest scores, {right_place} are in the right place but "
            "under another class id; are the class names of the data set in the order of the training?"
        )
    return (
        f"of the {len(best)} boxes with the highest scores, {right_place} overlap an object by more than "
        f"{iou_threshold} (best IoU of all boxes: {best_iou.max():.2f}); is the model trained, are its "
        "images RGB, 0..255?"
    )
