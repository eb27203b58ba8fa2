"""Anchor coverage: how well the anchors of a model match the objects of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from ..anchors import AnchorSpec
from ..boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from ..matching import match
from .findings import box_text, finding_in
from .objects import Objects

POSITIVE_IOU = 0.5  # the threshold of the ground-truth encoder
# Share of objects below that IoU from which the anchors do not suit the data set. On Pascal VOC it is 0.06
# (SSD512) to 0.28 (SSDLite).
POOR_SHARE = 0.4
# Most IoUs of one image, 256 MB: 3,800 objects at the anchors of SSD300. The matching looks at all of them.
MAX_OVERLAPS = 2**25
OVERLAPS_AT_ONCE = 2**20
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
        left_out: {index of an image in `objects.items`: number of its objects that were not compared, because
            it has too many}. `objects` does not have them.
    """

    anchors: AnchorSpec
    objects: Objects
    best_iou: np.ndarray
    positives: np.ndarray
    left_out: dict[int, int] = field(default_factory=dict)

    def __repr__(self):
        count = len(self.best_iou)
        share = f", {(self.best_iou >= POSITIVE_IOU).mean():.0%} with IoU >= {POSITIVE_IOU}" if count else ""
        return f"<Coverage: {count} objects{share}, {self.anchors!r}>"

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
        """One finding for each object without an anchor, and one that sums up the `weak` ones.

        If many are weak, so that the anchors do not suit the data set, this one is a warning.
        """
        found = [self._no_anchor(i) for i in np.flatnonzero(self.positives == 0)]
        found += [self._too_many(image, count) for image, count in self.left_out.items()]
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
        kind = "poor-anchors" if detail["share"] >= POOR_SHARE else "weak-anchors"
        return finding_in(item, kind, message, in_annotation=True, count=count, **detail)

    def _too_many(self, image, count):
        compared = int((self.objects.image == image).sum())
        message = f"only the first {compared} of {compared + count} objects are compared with the anchors"
        return finding_in(self.objects.items[image], "many-objects", message, in_annotation=True, count=count)


def measure_coverage(objects: Objects, spec: AnchorSpec, progress: bool = False) -> Coverage:
    """Matches the objects of each image with the anchors, as the ground-truth encoder does.

    Args:
        objects: `Objects`.
        spec: an `AnchorSpec`.
        progress: whether to show a progress bar.

    Returns:
        `Coverage`. Objects of an image with more than MAX_OVERLAPS / anchors of them are left out.
    """
    objects, left_out = _limited(objects, MAX_OVERLAPS // spec.num_anchors)
    best, positives, relative = np.zeros(len(objects)), np.zeros(len(objects), int), objects.relative
    bar = tqdm(objects.per_image(), desc="anchors", unit=" images", disable=not progress, leave=False)
    for one in bar:
        overlaps = _overlaps(relative[one], spec.xyxy)
        matches = match(overlaps, POSITIVE_IOU, POSITIVE_IOU)
        best[one] = overlaps.max(axis=1)
        positives[one] = np.bincount(matches[matches >= 0], minlength=len(overlaps))
    return Coverage(spec, objects, best, positives, left_out)


def _limited(objects, most):
    """The first `most` objects of each image, and {image: number of its others}."""
    keep, left_out = np.ones(len(objects), bool), {}
    for one in objects.per_image():
        if (extra := one.stop - one.start - most) > 0:
            keep[one.stop - extra : one.stop] = False
            left_out[int(objects.image[one.start])] = int(extra)
    return (objects.where(keep) if left_out else objects), left_out


def _overlaps(boxes, anchors):
    """(objects, anchors) IoU, computed in parts, because one part needs several times its memory."""
    # Computed from centers, as in the encoder: rounding breaks ties in the same way.
    boxes = cxcywh_to_xyxy(xyxy_to_cxcywh(boxes))
    overlaps, rows = np.empty((len(boxes), len(anchors))), max(1, OVERLAPS_AT_ONCE // len(anchors))
    for start in range(0, len(boxes), rows):
        overlaps[start : start + rows] = iou(boxes[start : start + rows], anchors)
    return overlaps


def size_class(areas):
    """(objects,) index into `SIZE_CLASSES` of areas in pixels at the model's input."""
    return np.searchsorted(SIZE_LIMITS, areas, side="right")
