"""The localization losses: what a predicted box costs. `BOX_LOSSES` is the table of them.

Smooth L1 compares offsets, as the paper does. The others compare the decoded boxes by their overlap, which is
what the evaluation measures. GIoU: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019. DIoU
and CIoU: Zheng et al., "Distance-IoU Loss", AAAI 2020.

No overlap changes if both boxes are moved or enlarged together. So each pair is measured from the center of
its anchor, in units of the square root of the anchor's area. Of an anchor only the shape counts then, and
float32 loses nothing far from the origin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from ..anchors import AnchorSpec
from ..boxes import MAX_LOG_SIDE

# Limits in anchor sides. The least side is less than a hundredth of a pixel for an anchor of 100 pixels; the
# greatest is the decoder's. They keep areas and squares inside float32, also for a diverged network.
MIN_LOG_SIDE = math.log(1e-4)
MAX_DISTANCE = 1e6

EPSILON = 1e-7  # torchvision's


class BoxPairs(NamedTuple):
    """Predicted boxes and those they should be, as the losses need them. All are (..., 2): x, y.

    Attributes:
        distance: from the wanted box's center to the predicted one's.
        predicted: width and height of the predicted boxes, positive.
        wanted: width and height of the wanted boxes, positive, in the same unit.
    """

    distance: Any
    predicted: Any
    wanted: Any

    @property
    def hull(self):
        """(..., 2) width and height of the smallest box around both."""
        return ops.maximum(ops.maximum(self.predicted, self.wanted), self._mean + ops.abs(self.distance))

    @property
    def overlap(self):
        """(..., 2) width and height of the overlap, 0 if there is none."""
        least = ops.minimum(ops.minimum(self.predicted, self.wanted), self._mean - ops.abs(self.distance))
        return ops.maximum(least, 0.0)

    @property
    def _mean(self):
        return (self.predicted + self.wanted) / 2

    def iou_and_union(self):
        """(...), (...): intersection over union, and the area of the union."""
        intersection = _area(self.overlap)
        union = _area(self.predicted) + _area(self.wanted) - intersection
        return intersection / union, union


def smooth_l1(errors):
    """Quadratic below 1, linear above (Girshick, "Fast R-CNN", equation 3)."""
    size = ops.abs(errors)
    return ops.where(size < 1, 0.5 * ops.square(size), size - 0.5)


def giou_loss(pairs: BoxPairs):
    """1 - IoU + the share of the hull that is in neither box (Rezatofighi et al., algorithm 1): 0 to 2."""
    iou, union = pairs.iou_and_union()
    return 1.0 - iou + 1.0 - union / _area(pairs.hull)


def diou_loss(pairs: BoxPairs):
    """1 - IoU + (distance of the centers / diagonal of the hull)^2 (Zheng et al., equation 7): 0 to 2."""
    iou, _ = pairs.iou_and_union()
    return 1.0 - iou + _squared_length(pairs.distance) / _squared_length(pairs.hull)


def ciou_loss(pairs: BoxPairs):
    """`diou_loss` + alpha v, where v compares the aspect ratios (Zheng et al., equations 8 to 11): 0 to 3.

    As in the paper and in torchvision, alpha is a weight that has no gradient.
    """
    iou, _ = pairs.iou_and_union()
    v = 4 / math.pi**2 * ops.square(_angle(pairs.wanted) - _angle(pairs.predicted))
    alpha = ops.stop_gradient(v / (1.0 - iou + v + EPSILON))
    return diou_loss(pairs) + alpha * v


def box_pairs(true, pred, anchors: AnchorSpec) -> BoxPairs:
    """Decodes offsets, see the module.

    Args:
        true: (..., num_anchors, 4) offsets of the wanted boxes, as `boxes.encode_offsets` makes them.
        pred: (..., num_anchors, 4) predicted offsets.
        anchors: the spec of both.
    """
    height, width = anchors.image_size
    sides = anchors.cxcywh[:, 2:] * (width, height)
    shapes = (sides / np.sqrt(sides.prod(axis=1, keepdims=True))).astype("float32")  # (num_anchors, 2)
    of_center, of_side = np.split(np.array(anchors.variances, "float32"), 2)
    distance = _limited((pred[..., :2] - true[..., :2]) * of_center, -MAX_DISTANCE, MAX_DISTANCE)
    predicted, wanted = (
        ops.exp(_limited(offsets[..., 2:] * of_side, MIN_LOG_SIDE, MAX_LOG_SIDE)) for offsets in (pred, true)
    )
    return BoxPairs(distance * shapes, predicted * shapes, wanted * shapes)


def _on_offsets(true, pred, anchors):
    return ops.sum(smooth_l1(pred - true), axis=-1)


def _on_boxes(loss: Callable) -> Callable:
    return lambda true, pred, anchors: loss(box_pairs(true, pred, anchors))


# Each takes wanted and predicted offsets (batch, num_anchors, 4) and the `AnchorSpec`, which smooth L1 does
# not read, and returns (batch, num_anchors).
BOX_LOSSES: dict[str, Callable] = {
    "smooth_l1": _on_offsets,
    "giou": _on_boxes(giou_loss),
    "diou": _on_boxes(diou_loss),
    "ciou": _on_boxes(ciou_loss),
}


def _limited(values, low, high):
    """Limits values, but not their gradient: a box at the limit would never come back otherwise."""
    return ops.stop_gradient(ops.clip(values, low, high)) + (values - ops.stop_gradient(values))


def _area(sides):
    return sides[..., 0] * sides[..., 1]


def _squared_length(vectors):
    return ops.sum(ops.square(vectors), axis=-1)


def _angle(sides):
    """atan(width / height)."""
    return ops.arctan2(sides[..., 0], sides[..., 1])
