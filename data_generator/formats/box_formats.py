"""Boxes as x, y, width, height (COCO's) or as corners, and how to tell that a file has the other kind."""

from __future__ import annotations

import numpy as np

BOX_FORMATS = ("xywh", "xyxy")
_TOLERANCE = 1  # pixels; 1-based or rounded coordinates reach that far
_MOST = 0.95


def check_box_format(box_format: str | None, owner: str) -> None:
    """Raises ValueError for an unknown box format."""
    if box_format not in (None, *BOX_FORMATS):
        raise ValueError(f"{owner}: box_format must be None, 'xywh' or 'xyxy', got {box_format!r}")


def corners(boxes: np.ndarray, box_format: str | None) -> np.ndarray:
    """(objects, 4) xyxy of boxes as a file has them; None is "xywh"."""
    if box_format == "xyxy":
        return boxes
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def corners_instead(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    """What speaks for corners in place of x, y, width, height, in words; None if nothing does.

    Corners taken for x, y, width, height reach outside the image for most objects, while nearly all of them
    lie inside as what they are.

    Args:
        boxes: (objects, 4) as the file has them.
        sizes: (objects, 2) width and height of the image of each; objects with a 0 are not looked at.
    """
    known = (sizes > 0).all(axis=1)
    boxes, limits = boxes[known], sizes[known] + _TOLERANCE
    outside = int((boxes[:, :2] + boxes[:, 2:] > limits).any(axis=1).sum())
    inside = int(((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= limits)).all(axis=1).sum())
    if 2 * outside <= len(boxes) or inside < _MOST * len(boxes):
        return None
    return (
        f"{outside} of {len(boxes)} boxes reach outside their images if they are x, y, width, height, and "
        f"{inside} are inside as corners xmin, ymin, xmax, ymax; pass box_format='xyxy' if they are corners, "
        f"else box_format='xywh'"
    )
