"""Box math. Formats: xyxy is xmin, ymin, xmax, ymax; cxcywh is center x, center y, width, height.

Boxes are continuous: the box of a whole image of width w and height h is (0, 0, w, h), and the width of a box
is xmax - xmin. Functions work in pixels and in relative units (0..1) unless they state a unit.

Keras is imported by the functions that use it, because reading data needs only the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# Decoded sides are limited to 62.5 anchor sides (torchvision's value). Otherwise the exponential could
# overflow to infinity in an untrained or diverged network, and infinity becomes NaN.
MAX_LOG_SIDE = float(np.log(1000.0 / 16.0))

# Makes the IoU of boxes without area 0 instead of 0 / 0.
TINY = 1e-14


def xyxy_to_cxcywh(boxes: np.ndarray) -> np.ndarray:
    """(..., 4) xyxy to cxcywh, NumPy."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def cxcywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """(..., 4) cxcywh to xyxy, NumPy."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([center - half, center + half], axis=-1)


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) of xyxy boxes (N, 4), NumPy; 0 for inverted boxes."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair, NumPy.

    Args:
        boxes_a: (A, 4) xyxy.
        boxes_b: (B, 4) xyxy, same unit.

    Returns:
        (A, B); pairs of boxes without area give 0.
    """
    a, b = boxes_a.T[:, :, None], boxes_b.T[:, None, :]  # (4, A, 1), (4, 1, B)
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    union = area(boxes_a)[:, None] + area(boxes_b)[None, :] - intersection
    return intersection / np.maximum(union, TINY)


def paired_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of boxes_a[i] and boxes_b[i], both (N, 4) xyxy, NumPy."""
    sides = np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - np.maximum(boxes_a[:, :2], boxes_b[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    return intersection / np.maximum(area(boxes_a) + area(boxes_b) - intersection, TINY)


def clip(boxes: np.ndarray, low: Iterable[float], high: Iterable[float]) -> np.ndarray:
    """Limits xyxy boxes (N, 4) to the rectangle from `low` (x, y) to `high` (x, y), NumPy."""
    return np.clip(boxes, (*low, *low), (*high, *high))


def flip(boxes: np.ndarray, width: float) -> np.ndarray:
    """Mirrors xyxy boxes (N, 4) left to right in an image of the given width, NumPy."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def encode_offsets(boxes: np.ndarray, anchors: np.ndarray, variances: Sequence[float]) -> np.ndarray:
    """Encodes boxes as offsets from anchors, which the network regresses (paper, equation 2), NumPy.

    Args:
        boxes: (N, 4) ground truth, xyxy, of positive width and height.
        anchors: (N, 4) the anchor of each box, cxcywh, same unit.
        variances: four divisors of the offsets.

    Returns:
        (N, 4): (g_cx - d_cx) / d_w / v0, (g_cy - d_cy) / d_h / v1, log(g_w / d_w) / v2, log(g_h / d_h) / v3.
    """
    boxes = xyxy_to_cxcywh(boxes)
    centers = (boxes[:, :2] - anchors[:, :2]) / anchors[:, 2:]
    sides = np.log(boxes[:, 2:] / anchors[:, 2:])
    return np.concatenate([centers, sides], axis=1) / np.asarray(variances, boxes.dtype)


def decode_offsets(offsets, anchors, variances):
    """Decodes offsets to boxes, the inverse of `encode_offsets`, in `keras.ops`.

    Args:
        offsets: (..., 4) predicted offsets.
        anchors: (..., 4) cxcywh; broadcasts against offsets.
        variances: (..., 4); broadcasts against offsets.

    Returns:
        (..., 4) xyxy in the anchors' unit, not clipped. Sides are limited to 62.5 anchor sides.
    """
    from keras import ops

    scaled = offsets * variances
    centers = anchors[..., :2] + scaled[..., :2] * anchors[..., 2:]
    half = ops.exp(ops.minimum(scaled[..., 2:], MAX_LOG_SIDE)) * anchors[..., 2:] / 2
    return ops.concatenate([centers - half, centers + half], axis=-1)


def pairwise_iou(boxes):
    """IoU of every pair of boxes of a set, in `keras.ops`: (..., N, 4) xyxy to (..., N, N)."""
    from keras import ops

    x1, y1, x2, y2 = (boxes[..., i] for i in range(4))  # (..., N) each
    areas = ops.maximum(x2 - x1, 0) * ops.maximum(y2 - y1, 0)
    # One axis at a time: the arrays are large, and both axes at once would need twice the memory.
    intersection = _pairwise_overlap(x1, x2) * _pairwise_overlap(y1, y2)
    union = areas[..., :, None] + areas[..., None, :] - intersection
    return intersection / ops.maximum(union, TINY)


def _pairwise_overlap(low, high):
    """Length of the overlap of each pair of intervals: (..., N) to (..., N, N)."""
    from keras import ops

    start = ops.maximum(low[..., :, None], low[..., None, :])
    end = ops.minimum(high[..., :, None], high[..., None, :])
    return ops.maximum(end - start, 0)


def look_relative(boxes, image_sizes):
    """Whether boxes (n, 4) that should be in pixels seem to be relative to the image (0..1)."""
    return len(boxes) > 0 and np.abs(boxes).max() <= 2 < np.max(image_sizes)
