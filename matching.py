"""The matching of anchors and objects (paper, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEUTRAL = -1
BACKGROUND = -2


def match(
    overlaps: np.ndarray,
    positive_iou: float,
    negative_iou: float,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Assigns an object to each anchor.

    Args:
        overlaps: (objects, anchors) IoU, at least one object.
        positive_iou: see `GroundTruthEncoder`.
        negative_iou: see `GroundTruthEncoder`.
        pairs: (object, anchor) of the bipartite matching; None finds them.

    Returns:
        (anchors,) index of the object, or `BACKGROUND`, or `NEUTRAL`.
    """
    best_object = overlaps.argmax(axis=0)  # (anchors,)
    best_iou = overlaps.max(axis=0)  # (anchors,)
    matches = np.where(best_iou >= positive_iou, best_object, BACKGROUND)
    if negative_iou < positive_iou:
        matches[(best_iou >= negative_iou) & (best_iou < positive_iou)] = NEUTRAL
    for item, anchor in bipartite_pairs(overlaps) if pairs is None else pairs:
        matches[anchor] = item
    return matches


def bipartite_pairs(overlaps: np.ndarray) -> list[tuple[int, int]]:
    """Greedy bipartite matching: the best (object, anchor) pair first, each object and anchor once.

    Args:
        overlaps: (objects, anchors) IoU.

    Returns:
        List of (object, anchor). An object that overlaps no free anchor at all has no pair.
    """
    free = overlaps.copy()
    best_anchor = free.argmax(axis=1)  # (objects,)
    best_iou = free.max(axis=1)  # (objects,)
    pairs = []
    while best_iou.max() > 0:
        item = best_iou.argmax()
        anchor = best_anchor[item]
        pairs.append((item, anchor))
        best_iou[item] = 0
        free[:, anchor] = 0
        # Only the objects that wanted this anchor, too, must look for another.
        for rival in np.flatnonzero((best_anchor == anchor) & (best_iou > 0)):
            best_anchor[rival] = free[rival].argmax()
            best_iou[rival] = free[rival, best_anchor[rival]]
    return pairs
