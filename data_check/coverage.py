"""Anchor coverage: how well the anchors of a model match the objects of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..anchors import AnchorSpec
from ..boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from ..matching import match
from .findings import box_text, finding_in
from .objects import Objects

POSITIVE_IOU = 0.5  # the threshold of the ground-truth encoder
# COCO's size classes, but by the area in pixels at the model's input.
SIZE_CLASSES = ("small", "medium", "large")
SIZE_LIMITS = (32**2, 96**2)


@dataclass(frozen=True, eq=False)
class Coverage:
    """How well a model's anchors match each object, with images resized to the model's input.

    Attributes:
        anchors: the `AnchorSpec`.
        objects: the `Objects`.
        best_iou: (objects,) highest IoU with any anchor.
        positives: (objects,) number of anchors that are matched to the object.
    """

    anchors: AnchorSpec
    objects: Objects
    best_iou: np.ndarray
    positives: np.ndarray

    @property
    def sides(self):
        """(objects, 2) width and height in pixels at the model's input."""
        return self.objects.sides_at(self.anchors.image_size[::-1])

    @property
    def weak(self):
        """Indices of the objects with one anchor whose IoU is below 0.5, worst first.

        Only the bipartite step of the matching gives them that anchor.
        """
        indices = np.flatnonzero((self.best_iou < POSITIVE_IOU) & (self.positives > 0))
        return indices[np.argsort(self.best_iou[indices], kind="stable")]

    def rows(self):
        """{size class or "all": figures}; a class without objects has only its number of objects."""
        of_class = size_class(self.sides.prod(axis=1))
        rows = {name: self._row(of_class == i) for i, name in enumerate(SIZE_CLASSES)}
        return {**rows, "all": self._row(np.ones(len(of_class), bool))}

    def findings(self):
        """One finding for each object without an anchor, and one that sums up the `weak` ones."""
        found = [self._no_anchor(i) for i in np.flatnonzero(self.positives == 0)]
        if self.weak.size:
            found.append(self._weak_anchors(self.weak))
        return found

    def _row(self, mask):
        best, positives = self.best_iou[mask], self.positives[mask]
        if not best.size:
            return {"objects": 0}
        return {
            "objects": int(best.size),
            "share_iou_50": float((best >= POSITIVE_IOU).mean()),
            "mean_best_iou": float(best.mean()),
            "one_anchor_only": int(((best < POSITIVE_IOU) & (positives > 0)).sum()),
            "no_anchor": int((positives == 0).sum()),
            "mean_positives": float(positives.mean()),
        }

    def _no_anchor(self, i):
        objects = self.objects
        message = f"{objects.names[i]} {box_text(objects.boxes[i])}: best IoU {self.best_iou[i]:.2f}"
        detail = {
            "object": int(objects.index[i]),
            "boxes": [objects.boxes[i].tolist()],
            "best_iou": float(self.best_iou[i]),
        }
        item = objects.items[objects.image[i]]
        return finding_in(item, "no-anchor", message, in_annotation=True, **detail)

    def _weak_anchors(self, weak):
        objects, worst = self.objects, weak[0]
        message = f"{weak.size} of {len(objects)} objects; the lowest IoU is {self.best_iou[worst]:.2f}"
        detail = {"share": float(weak.size / len(objects)), "boxes": [objects.boxes[worst].tolist()]}
        item, count = objects.items[objects.image[worst]], int(weak.size)
        return finding_in(item, "weak-anchors", message, in_annotation=True, count=count, **detail)


def measure_coverage(objects: Objects, spec: AnchorSpec, progress: bool = False) -> Coverage:
    """Matches the objects of each image with the anchors, as the ground-truth encoder does.

    Args:
        objects: `Objects`.
        spec: an `AnchorSpec`.
        progress: whether to show a progress bar.

    Returns:
        `Coverage`.
    """
    best, positives, relative = np.zeros(len(objects)), np.zeros(len(objects), int), objects.relative
    bar = tqdm(objects.per_image(), desc="anchors", unit=" images", disable=not progress, leave=False)
    for one in bar:
        # Computed from centers, as in the encoder: rounding breaks ties in the same way.
        overlaps = iou(cxcywh_to_xyxy(xyxy_to_cxcywh(relative[one])), spec.xyxy)  # (objects, anchors)
        matches = match(overlaps, POSITIVE_IOU, POSITIVE_IOU)
        best[one] = overlaps.max(axis=1)
        positives[one] = np.bincount(matches[matches >= 0], minlength=len(overlaps))
    return Coverage(spec, objects, best, positives)


def size_class(areas):
    """(objects,) index into `SIZE_CLASSES` of areas in pixels at the model's input."""
    return np.searchsorted(SIZE_LIMITS, areas, side="right")
