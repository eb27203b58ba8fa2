"""Anchor coverage: how well the anchors of a model meet the objects of a data set."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..anchors import AnchorSpec
from ..boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from ..matching import match
from .findings import Finding, corners, of_image
from .objects import Objects

POSITIVE_IOU = 0.5  # of the ground-truth encoder
# COCO's size classes, here by the area in pixels at the model's input.
SIZE_CLASSES = ("small", "medium", "large")
SIZE_LIMITS = (32**2, 96**2)


@dataclass(frozen=True, eq=False)
class Coverage:
    """What the anchors of a model are to each object, on whole images stretched to the model's input.

    Attributes:
        anchors: the `AnchorSpec`.
        objects: the `Objects`.
        best_iou: (objects,) with any anchor.
        positives: (objects,) number of anchors that the matching gives to it.
    """

    anchors: AnchorSpec
    objects: Objects
    best_iou: np.ndarray
    positives: np.ndarray

    @property
    def sides(self):
        """(objects, 2) width and height in pixels at the model's input."""
        return self.objects.sides_at(self.anchors.image_size[::-1])

    def rows(self):
        """{size class or "all": its figures}; a class without objects has its number only."""
        of_class = size_class(self.sides.prod(axis=1))
        rows = {name: self._row(of_class == i) for i, name in enumerate(SIZE_CLASSES)}
        return {**rows, "all": self._row(np.ones(len(of_class), bool))}

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

    def findings(self):
        """A finding for each object without anchor, and one for those that only the bipartite step saves."""
        items, objects = self.objects.items, self.objects
        found = [
            of_image(
                "no-anchor",
                items[objects.image[i]],
                f"{objects.names[i]} {corners(objects.boxes[i])}: best IoU {self.best_iou[i]:.2f}",
                items[objects.image[i]].annotation.where,
                object=int(objects.index[i]),
                boxes=[objects.boxes[i].tolist()],
                best_iou=float(self.best_iou[i]),
            )
            for i in np.flatnonzero(self.positives == 0)
        ]
        weak = self.weak()
        if weak.size:
            a, boxes = items[objects.image[weak[0]]].annotation, [objects.boxes[weak[0]].tolist()]
            message = f"{weak.size} of {len(objects)} objects; the worst has IoU {self.best_iou[weak[0]]:.2f}"
            detail = {"share": float(weak.size / len(objects)), "boxes": boxes}
            split = items[objects.image[weak[0]]].split
            found.append(
                Finding("weak-anchors", message, split, a.image_id, a.where, a.image, detail, int(weak.size))
            )
        return found

    def weak(self):
        """Indices of the objects whose only anchor comes from the bipartite step, worst first."""
        weak = np.flatnonzero((self.best_iou < POSITIVE_IOU) & (self.positives > 0))
        return weak[np.argsort(self.best_iou[weak], kind="stable")]


def measure_coverage(objects, spec, progress=False):
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
        # By way of the centres: the same rounding as in the encoder, so that ties fall alike.
        overlaps = iou(cxcywh_to_xyxy(xyxy_to_cxcywh(relative[one])), spec.xyxy)  # (objects, anchors)
        matches = match(overlaps, POSITIVE_IOU, POSITIVE_IOU)
        best[one] = overlaps.max(axis=1)
        positives[one] = np.bincount(matches[matches >= 0], minlength=len(overlaps))
    return Coverage(spec, objects, best, positives)


def size_class(areas):
    """(objects,) index into `SIZE_CLASSES` of areas in pixels at the model's input."""
    return np.searchsorted(SIZE_LIMITS, areas, side="right")
