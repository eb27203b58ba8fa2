"""k-means on the IoU of widths and heights."""

import numpy as np

from ..boxes import TINY, iou


def kmeans_iou(sides, clusters, rng, iterations=50):
    """Clusters widths and heights by 1 - IoU at a common centre (Redmon and Farhadi, "YOLO9000", section 2).

    Args:
        sides: (N, 2) widths and heights.
        clusters: number of clusters.
        rng: `numpy.random.Generator` of the first centres (k-means++).
        iterations: at most.

    Returns:
        (clusters, 2) mean widths and heights, by ascending area.
    """
    centres = _first_centres(sides, clusters, rng)
    nearest = None
    for _ in range(iterations):
        before, nearest = nearest, shape_iou(sides, centres).argmax(axis=1)
        if before is not None and (before == nearest).all():
            break
        counts = np.bincount(nearest, minlength=clusters)
        sums = np.stack([np.bincount(nearest, sides[:, k], clusters) for k in (0, 1)], axis=1)
        # A cluster that lost all its members stays where it is.
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return centres[np.argsort(centres.prod(axis=1), kind="stable")]


def shape_iou(sides_a, sides_b):
    """(A, B) IoU of boxes of these widths and heights around one centre."""
    return iou(*(np.concatenate([-sides / 2, sides / 2], axis=1) for sides in (sides_a, sides_b)))


def _first_centres(sides, clusters, rng):
    centres = sides[[rng.integers(len(sides))]]
    while len(centres) < clusters:
        distance = 1 - shape_iou(sides, centres).max(axis=1)
        weights = distance**2 + TINY  # all equal where every shape has its centre
        chosen = rng.choice(len(sides), p=weights / weights.sum())
        centres = np.concatenate([centres, sides[[chosen]]])
    return centres
