"""Ground truth to training targets: matching of anchors and objects, offsets (paper, section 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..anchors import AnchorSpec
from ..arguments import checked
from ..boxes import area, cxcywh_to_xyxy, encode_offsets, iou, xyxy_to_cxcywh
from ..deprecated import renamed_arguments
from ..limits import NUM_CLASSES
from ..matching import BACKGROUND, NEUTRAL, bipartite_pairs, match

if TYPE_CHECKING:
    from keras import Model

# Exact IoUs are computed only for anchors whose IoU with an object reaches this share of `negative_iou`. If
# an object is so small or long that none does, the second share serves, and then all anchors. The shares
# change speed, not matches.
REACHES = (0.7, 0.02)
ROUNDING = 1e-3  # tolerance of areas, far above float32's rounding errors


class GroundTruthEncoder:
    """Encodes the objects of one image as the targets of `SSDLoss`.

    Each object first gets one anchor (greedy bipartite matching), then each remaining anchor takes its
    best object if their IoU reaches `positive_iou`. Of the rest, anchors whose best IoU reaches
    `negative_iou` are neutral (all-zero class row, ignored by the loss), the others background.

    Args:
        model: a model of this package, which provides anchors and classes; or an `AnchorSpec`.
        num_classes: number of object classes without background; only with an `AnchorSpec`.
        positive_iou: smallest IoU at which an anchor takes an object.
        negative_iou: smallest IoU at which an anchor is not background. If it equals `positive_iou`, no
            anchor is neutral.
        sparse: whether targets hold a class id (0 background, -1 neutral) instead of one-hot classes.
            `SSDLoss` takes both and expands the ids on its device. With 20 classes a sparse batch has a fifth
            of the bytes.

    Raises:
        TypeError: if `num_classes` is missing with an `AnchorSpec`, or given with a model.
        ValueError: if num_classes is not from 1 to 10,000, or not 0 < negative_iou <= positive_iou <= 1.
    """

    @renamed_arguments(anchors="model")
    @checked(num_classes=NUM_CLASSES)
    def __init__(
        self,
        model: Model | AnchorSpec,
        num_classes: int | None = None,
        *,
        positive_iou: float = 0.5,
        negative_iou: float = 0.5,
        sparse: bool = False,
    ):
        self.anchors, num_classes, self.class_names = _anchors_and_classes(model, num_classes)
        if not 0 < negative_iou <= positive_iou <= 1:
            raise ValueError(
                "GroundTruthEncoder: expected 0 < negative_iou <= positive_iou <= 1, "
                f"got negative_iou={negative_iou}, positive_iou={positive_iou}"
            )
        self.num_classes = num_classes
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou
        self.sparse = sparse
        self._rough_anchors = np.ascontiguousarray(self.anchors.xyxy.T, np.float32)
        areas = area(self.anchors.xyxy).astype(np.float32)
        self._rough_areas = areas * (1 - ROUNDING)
        # First anchor of each level, and the area of the largest anchor in it and the levels before.
        counts = [level.num_anchors for level in self.anchors.levels]
        self._starts = np.cumsum([0, *counts])
        self._largest = np.maximum.reduceat(areas, self._starts[:-1])
        self._largest = np.maximum.accumulate(self._largest)
        self._reaches = [share * negative_iou for share in REACHES]

    def __repr__(self):
        layout = ", sparse" if self.sparse else ""
        return f"<GroundTruthEncoder: {self.anchors!r}, {self.num_classes} classes{layout}>"

    @property
    def target_shape(self) -> tuple[int, int]:
        """(num_anchors, 4 + 1 + num_classes), or (num_anchors, 4 + 1) if sparse."""
        return self.anchors.num_anchors, 5 if self.sparse else 5 + self.num_classes

    def __call__(self, boxes: ArrayLike, labels: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
        """Encodes one image.

        Args:
            boxes: (objects, 4) xyxy, relative to the image (0..1); objects may be 0.
            labels: (objects,) integers 1..num_classes.
            out: optional float32 array of `target_shape` to write into.

        Returns:
            `target_shape` float32: offsets (0 where there is no object), then one-hot classes with background
            first, or the class id.

        Raises:
            ValueError: for wrong shapes, boxes that are not finite, have no area or lie outside the image,
                and labels out of range.
        """
        boxes = np.asarray(boxes, np.float64)
        boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
        labels = np.asarray(labels)
        self._check(boxes, labels)
        targets = np.empty(self.target_shape, np.float32) if out is None else out
        targets[:] = 0
        rows, objects = self._match(boxes)
        positive = objects >= 0
        self._write_classes(
            targets, rows, np.where(positive, labels[objects], NEUTRAL) if len(rows) else rows
        )
        rows, objects = rows[positive], objects[positive]
        targets[rows, :4] = encode_offsets(boxes[objects], self.anchors.cxcywh[rows], self.anchors.variances)
        return targets

    def _write_classes(self, targets, rows, classes):
        """Writes the class ids of the anchors `rows` (-1: neutral); all others become background."""
        if self.sparse:
            targets[rows, 4] = classes
            return
        targets[:, 4] = 1
        targets[rows, 4] = 0
        known = classes != NEUTRAL
        targets[rows[known], 4 + classes[known]] = 1

    def _match(self, boxes):
        """The anchors that are not background (rows,), and the object of each, or `NEUTRAL` (rows,)."""
        if len(boxes) == 0:
            return np.zeros(0, int), np.zeros(0, int)
        # An object inside several anchors of one area has the same IoU with all of them, so rounding
        # decides. Computing in float64 from box centers breaks ties as ssd_keras does.
        boxes = cxcywh_to_xyxy(xyxy_to_cxcywh(boxes))
        for reach in self._reaches:
            near = self._near(boxes, reach)
            overlaps = iou(boxes, self.anchors.xyxy[near])
            pairs = _pairs(overlaps) if len(near) else []
            # All other anchors have smaller IoUs than these pairs, so they would not change them.
            if len(pairs) == len(boxes) and min(overlaps[pair] for pair in pairs) >= reach:
                break
        else:
            near, overlaps, pairs = np.arange(self.anchors.num_anchors), iou(boxes, self.anchors.xyxy), None
        matches = match(overlaps, self.positive_iou, self.negative_iou, pairs)
        taken = np.flatnonzero(matches != BACKGROUND)
        return near[taken], matches[taken]

    def _near(self, boxes, reach):
        """Indices of all anchors whose IoU with some object reaches `reach`; usually one in a hundred.

        Computed in float32 and without a division: IoU >= r if intersection * (1 + r) / r is at least the
        sum of both areas. Levels whose anchors are all too small for any object are skipped.
        """
        sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float32)
        areas = sides.prod(axis=1, keepdims=True) * (1 - ROUNDING)  # (objects, 1)
        start = self._starts[np.searchsorted(self._largest, areas.min() * reach)]
        box, anchors = boxes.astype(np.float32)[:, :, None], self._rough_anchors[:, start:]
        common = _twice_the_overlap(box[:, 0], box[:, 2], anchors[0], anchors[2])  # (objects, anchors)
        common += np.abs(common)  # negative becomes zero, and the others are doubled once more
        common *= _twice_the_overlap(box[:, 1], box[:, 3], anchors[1], anchors[3])
        common *= (1 + reach) / reach / 8
        common -= self._rough_areas[start:]
        common -= areas
        near = (common >= 0).any(axis=0)
        return start + np.flatnonzero(near)

    def _check(self, boxes, labels):
        if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
            raise ValueError(
                "GroundTruthEncoder: expected boxes (objects, 4) and labels (objects,), "
                f"got {boxes.shape} and {labels.shape}"
            )
        if labels.size and not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"GroundTruthEncoder: labels must be integers, got {labels.dtype}")
        low, high = boxes[:, :2], boxes[:, 2:]
        sides = high - low  # NaN stays NaN, and its comparisons are false
        bad = ~((sides > 0) & (sides < np.inf)).all(axis=1)
        if bad.any():
            _refuse("box {} must be finite with xmin < xmax and ymin < ymax", boxes, bad)
        bad = ~((low < 1) & (high > 0) & (low >= -2) & (high <= 2)).all(axis=1)
        if bad.any():
            _refuse(
                "box {} lies outside the image or extends far beyond it; coordinates must be relative to the "
                "image (0..1, not pixels)",
                boxes,
                bad,
            )
        bad = (labels < 1) | (labels > self.num_classes)
        if bad.any():
            _refuse(f"label {{}} must be in 1..{self.num_classes} (0 is background)", labels, bad)


def _refuse(what, values, bad):
    """Raises ValueError for the first bad value."""
    first = bad.argmax()
    raise ValueError(f"GroundTruthEncoder: {what.format(first)}, got {values[first].tolist()}")


def _anchors_and_classes(model, num_classes):
    """(anchors, number of classes, class names or None) of a model, or of an `AnchorSpec`."""
    if not isinstance(model, AnchorSpec):
        from ..layers.multibox import multibox_of  # an AnchorSpec needs no Keras

        if num_classes is not None:
            raise TypeError("GroundTruthEncoder: a model knows its number of classes; leave out num_classes")
        multibox = multibox_of(model)
        return multibox.anchors, multibox.num_classes, multibox.class_names
    if num_classes is None:
        raise TypeError("GroundTruthEncoder: an AnchorSpec needs num_classes; or pass a model instead")
    return model, num_classes, None


def _twice_the_overlap(low_a, high_a, low_b, high_b):
    """Twice the overlap of each pair of intervals; negative if they are disjoint.

    The sum of their lengths minus the distances between their ends. NumPy's minimum and maximum would take
    four times as long.
    """
    distance = low_b - low_a
    np.abs(distance, out=distance)
    ends = high_b - high_a
    distance += np.abs(ends, out=ends)
    return (high_a - low_a) + (high_b - low_b) - distance


def _pairs(overlaps):
    """`bipartite_pairs`, which are obvious if every object's best anchor is a different one."""
    favorites = overlaps.argmax(axis=1).tolist()
    clear = len(set(favorites)) == len(favorites) and overlaps.max(axis=1).min() > 0
    return list(enumerate(favorites)) if clear else bipartite_pairs(overlaps)
