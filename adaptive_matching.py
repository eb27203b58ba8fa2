"""ATSS: a matching whose threshold follows from the anchors around each object.

Zhang et al., "Bridging the Gap Between Anchor-based and Anchor-free Detection via Adaptive Training Sample
Selection", CVPR 2020, algorithm 1. For each object:

1. Candidates are the anchors of the nearest cells: on each level the 9 cells whose centers are nearest to the
   object's center. The paper has one anchor in each cell. With several, all anchors of the 9 cells are
   candidates, as in the authors' code, which takes 9 times the number of anchors of a cell.
2. The threshold is the mean plus the standard deviation of the candidates' IoUs.
3. Candidates that reach the threshold, and whose center is inside the object, are matched to it. An anchor
   that several objects claim goes to the one with the highest IoU.

All other anchors are background; none is neutral. The algorithm can leave an object without an anchor: a
small one between the centers, or one whose anchors all fit others better. Each object shall be learned, as in
the SSD paper, so such an object gets the free anchor with the highest IoU.
"""

from __future__ import annotations

import numpy as np

from .anchors import AnchorSpec
from .boxes import iou, paired_iou
from .matching import BACKGROUND, bipartite_pairs

CELLS = 9  # of each level; the paper's k, whose results are alike from 7 to 17
# The 9 nearest cells of a grid: (row, column) in the order of their distances along one axis. A cell has at
# least (row + 1) * (column + 1) - 1 others that are no farther in either direction.
ROWS, COLUMNS = np.array([(i, j) for i in range(CELLS) for j in range(CELLS) if (i + 1) * (j + 1) <= CELLS]).T


class AdaptiveMatching:
    """Matches the objects of an image with anchors by ATSS.

    Args:
        anchors: an `AnchorSpec`.
    """

    def __init__(self, anchors: AnchorSpec):
        self.anchors = anchors
        levels = anchors.levels
        self._rows = _centers([(level.grid[0], level.step[0]) for level in levels])
        self._columns = _centers([(level.grid[1], level.step[1]) for level in levels])
        self._widths = np.array([[level.grid[1]] for level in levels])  # (levels, 1)
        # Each object has `min(9, cells)` of the 9 cells of a level, and all anchors of each of them.
        counts = [min(CELLS, level.grid[0] * level.grid[1]) for level in levels]
        self._exists = np.arange(CELLS) < np.array(counts)[:, None]  # (levels, 9)
        sides = np.array([len(level.sides) for level in levels])
        of_cells, firsts = np.repeat(sides, counts), np.cumsum([0, *(v.num_anchors for v in levels[:-1])])
        self._cells = np.repeat(np.arange(sum(counts)), of_cells)  # (candidates,) cell of each candidate
        self._strides = of_cells[self._cells]
        self._offsets = np.concatenate([np.arange(n) for n in of_cells])
        self._offsets += np.repeat(firsts, counts)[self._cells]

    def __call__(self, boxes: np.ndarray) -> np.ndarray:
        """The object of each anchor.

        Args:
            boxes: (objects, 4) xyxy, relative to the image, at least one.

        Returns:
            (anchors,) int: index of the object, or `BACKGROUND`. An object that overlaps no free anchor has
            none.
        """
        candidates = self.candidates(boxes)  # (objects, candidates)
        number = candidates.shape[1]
        each = np.repeat(boxes, number, axis=0)
        overlaps = paired_iou(each, self.anchors.xyxy[candidates.ravel()]).reshape(-1, number)
        # The sample's deviation, as in the authors' code; a single candidate has none.
        threshold = overlaps.mean(axis=1) + overlaps.std(axis=1, ddof=min(1, number - 1))
        items, places = np.nonzero(overlaps >= threshold[:, None])
        rows = candidates[items, places]
        centers = self.anchors.cxcywh[rows, :2]
        inside = ((centers > boxes[items, :2]) & (centers < boxes[items, 2:])).all(axis=1)
        items, places, rows = items[inside], places[inside], rows[inside]
        matches = np.full(self.anchors.num_anchors, BACKGROUND)
        order = np.lexsort((-items, overlaps[items, places]))  # of several objects the last one is kept
        matches[rows[order]] = items[order]
        self._add_missing(matches, boxes)
        return matches

    def candidates(self, boxes: np.ndarray) -> np.ndarray:
        """Indices of the anchors of the nearest cells, level by level.

        Distances are in pixels of the model's input. Of cells at the same distance, the one in the nearer row
        is taken, then that of the lower index.

        Args:
            boxes: (objects, 4) xyxy, relative to the image.

        Returns:
            (objects, candidates) int; 238 candidates with the anchors of SSD300.
        """
        height, width = self.anchors.image_size
        x = (boxes[:, 0] + boxes[:, 2])[:, None, None] * (width / 2)
        y = (boxes[:, 1] + boxes[:, 3])[:, None, None] * (height / 2)
        rows, far_y = _nearest(self._rows, y)  # (objects, levels, 9) each
        columns, far_x = _nearest(self._columns, x)
        distances = far_y[..., ROWS] + far_x[..., COLUMNS]
        nearest = distances.argsort(axis=-1, kind="stable")[..., :CELLS]
        rows = np.take_along_axis(rows, ROWS[nearest], axis=-1)
        columns = np.take_along_axis(columns, COLUMNS[nearest], axis=-1)
        cells = (rows * self._widths + columns)[:, self._exists]
        return cells[:, self._cells] * self._strides + self._offsets

    def _add_missing(self, matches, boxes):
        """Gives each object without an anchor the best free one."""
        has_one = np.zeros(len(boxes), bool)
        has_one[matches[matches != BACKGROUND]] = True
        if has_one.all():
            return
        missing = np.flatnonzero(~has_one)
        overlaps = iou(boxes[missing], self.anchors.xyxy)
        overlaps[:, matches != BACKGROUND] = 0
        for item, anchor in bipartite_pairs(overlaps):
            matches[anchor] = missing[item]


def _centers(axes):
    """(levels, most cells) centers along an axis in pixels; infinite where a level has fewer cells."""
    longest = max(CELLS, *(count for count, _ in axes))
    centers = np.full((len(axes), longest), np.inf)
    for row, (count, step) in zip(centers, axes, strict=True):
        row[:count] = (np.arange(count) + 0.5) * step
    return centers


def _nearest(centers, points):
    """Indices of the 9 nearest centers of each level, and their squared distances."""
    distances = (centers - points) ** 2
    nearest = distances.argsort(axis=-1, kind="stable")[..., :CELLS]
    return nearest, np.take_along_axis(distances, nearest, axis=-1)
