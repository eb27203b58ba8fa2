"""Cleans bad boxes in the same way for every reader: clips or drops them, counts them and warns once."""

import warnings
from collections import Counter

import numpy as np

from ...boxes import clip


class BoxCleaner:
    """Makes the boxes of a data set safe to train on.

    - Boxes that extend beyond their image are clipped to it.
    - Boxes without area (also inverted ones) and boxes outside the image are dropped.

    `counts` holds the number of each kind. `warn` issues one warning for the data set.
    """

    def __init__(self):
        self.counts = Counter()
        self._first = {}

    def __call__(self, image_id, boxes, width, height):
        """Cleans the boxes of one image.

        Args:
            image_id: id of the image, for the warning.
            boxes: (objects, 4) xyxy in pixels.
            width: width of the image in pixels.
            height: height of the image in pixels.

        Returns:
            (kept, 4) float32 boxes, and (objects,) bool: which were kept.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        flat = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        outside = ~flat & ~((boxes[:, 2:] > 0) & (boxes[:, :2] < (width, height))).all(axis=1)
        keep = ~(flat | outside)
        clipped = clip(boxes, (0, 0), (width, height)).astype(np.float32)
        self._count("without area, dropped", image_id, boxes, flat)
        self._count("outside the image, dropped", image_id, boxes, outside)
        self._count(
            "partly outside the image, clipped", image_id, boxes, keep & (clipped != boxes).any(axis=1)
        )
        return clipped[keep], keep

    def _count(self, kind, image_id, boxes, mask):
        if mask.any():
            self.counts[kind] += int(mask.sum())
            self._first.setdefault(kind, f"{image_id}: {boxes[mask][0].tolist()}")

    def warn(self, source):
        """Issues one warning with the counts, if there are any."""
        if self.counts:
            kinds = "; ".join(f"{n} {kind} (first {self._first[kind]})" for kind, n in self.counts.items())
            warnings.warn(f"{source}: boxes {kinds}", stacklevel=3)
