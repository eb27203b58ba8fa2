"""The matching strategy: which anchor learns which object (paper, section 2.2, "Matching strategy").

1. Each object is matched to its best anchor, one anchor per object. The matching is greedy: the pair with the
   highest IoU comes first. An object whose best anchor is taken gets the best free one.
2. Each remaining anchor is matched to the object with the highest IoU, if this IoU reaches a threshold (0.5
   in the paper). An object can therefore have many anchors.
3. All other anchors are background. With a second, lower threshold, the anchors between both thresholds are
   neutral: the loss ignores them.

`GroundTruthEncoder` (data_generator/encoder.py) calls `match` with a preselection: only the anchors near an
object, and the pairs of step 1 where they are obvious. The result is the same, but takes less time.
"""

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
    """Assigns an object, `BACKGROUND` or `NEUTRAL` to each anchor.

    Args:
        overlaps: (objects, anchors) IoU, at least one object.
        positive_iou: IoU from which an anchor is matched to its best object.
        negative_iou: IoU from which an unmatched anchor is neutral instead of background. Equal to
            `positive_iou`: no anchor is neutral.
        pairs: (object, anchor) pairs of step 1, if they are known. None: `bipartite_pairs` finds them.

    Returns:
        (anchors,) int: index of the object, `BACKGROUND` or `NEUTRAL`.
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
    """Greedy bipartite matching: the pair with the highest IoU first, each object and each anchor once.

    Args:
        overlaps: (objects, anchors) IoU.

    Returns:
        List of (object, anchor) pairs. An object that overlaps no free anchor has no pair.
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
        # Only the other objects whose best anchor this was need another one.
        for rival in np.flatnonzero((best_anchor == anchor) & (best_iou > 0)):
            best_anchor[rival] = free[rival].argmax()
            best_iou[rival] = free[rival, best_anchor[rival]]
    return pairs
