"""Cleans the boxes of a data set, the same for every reader: clips or drops them, counts them, warns once."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

# Of the boxes, that may be dropped. A wrong column or format drops most of them and spoils the others.
MAX_DROPPED = 1 / 3
ROUNDING = 0.5  # pixels outside an image that are clipped without a word: files hold few digits
_FEW = 5  # boxes; fewer are not enough to refuse a data set
_NOTABLE = 0.03  # share of the boxes that is worth stating
_SMALLEST = 2  # pixels; in larger images, no box of pixels lies within 0..1
_SLACK = 0.01  # around 0..1

_OUTSIDE = "outside the image, dropped"
_CLIPPED = "partly outside the image, clipped"
_ORDER_HINT = (
    "A maximum below its minimum usually means that columns are in another order, or that x, y, width, "
    "height are read as corners."
)
_OUTSIDE_HINT = (
    "Boxes beyond their images usually mean that corners are read as x, y, width, height, or that the images "
    "had another size when they were annotated."
)


class BoxCleaner:
    """Boxes, made safe to train on.

    - Boxes that extend beyond their image are clipped to it. Up to half a pixel this is rounding and is not
      reported.
    - Boxes without area (also inverted ones) and boxes outside the image are dropped.

    Args:
        boxes: (objects, 4) xyxy in pixels.
        sizes: (objects, 2) or (1, 2), width and height of each object's image in pixels.

    Attributes:
        boxes: (objects, 4) float32, clipped.
        keep: (objects,) bool, which boxes are not dropped.
        counts: number of boxes of each kind of flaw.
    """

    def __init__(self, boxes, sizes):
        self.given = boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        self.sizes = sizes = np.asarray(sizes).reshape(-1, 2)
        low, high = boxes[:, :2], boxes[:, 2:]
        flat = ~(high > low).all(axis=1)
        outside = ~flat & ~((high > 0) & (low < sizes)).all(axis=1)
        self.keep = ~(flat | outside)
        self.boxes = np.clip(boxes, 0, np.tile(sizes, 2)).astype(np.float32)
        moved = self.keep & (np.abs(self.boxes - boxes) > ROUNDING).any(axis=1)
        kinds = {"without area, dropped": flat, _OUTSIDE: outside, _CLIPPED: moved}
        self._flawed = {kind: mask for kind, mask in kinds.items() if mask.any()}
        self.counts = {kind: int(mask.sum()) for kind, mask in self._flawed.items()}

    def report(self, source, image_ids, max_dropped=MAX_DROPPED):
        """Issues one warning with the counts, if there are any.

        Args:
            source: name of what is read.
            image_ids: image id of each object.
            max_dropped: share of the boxes that may be dropped, 0 to 1.

        Raises:
            ValueError: if boxes look relative to their images (0..1), or if more than `max_dropped` of them
                are dropped, and these are at least five.
        """
        if not self.counts and not self.looks_relative():
            return
        first = partial(self._first, image_ids)
        if self.looks_relative():
            raise ValueError(
                f"{source}: all {len(self.given)} boxes lie within 0..1 (first {first(slice(None))}), so "
                "they look relative to their images. Multiply them by the width and height of the image. "
                "`load_csv` does so with relative=True; `load_yolo` reads relative centers and sizes"
            )
        kinds = "; ".join(
            f"{n} {kind} (first {first(self._flawed[kind])})" for kind, n in self.counts.items()
        )
        message = " ".join([f"{source}: boxes {kinds}{self._shares()}", *self._hints()])
        dropped = len(self.keep) - self.keep.sum()
        if dropped >= _FEW and dropped > max_dropped * len(self.keep):
            raise ValueError(
                f"{message} At most {max_dropped:.0%} may be dropped; to train on the rest, pass a larger "
                "max_dropped (1 accepts any share)"
            )
        warnings.warn(message, stacklevel=4)

    def looks_relative(self):
        """Whether all boxes, at least five, lie within 0..1, although the images are larger."""
        return (
            len(self.given) >= _FEW
            and (np.abs(self.given) <= 1 + _SLACK).all()
            and self.keep.any()
            and (self.sizes > _SMALLEST).all()
        )

    def _first(self, image_ids, mask):
        """The first box of a mask, with its image."""
        i = np.arange(len(self.given))[mask][0]
        return f"{image_ids[i]}: {self.given[i].tolist()}"

    def _shares(self):
        total, clipped = len(self.keep), self.counts.get(_CLIPPED, 0)
        dropped = total - int(self.keep.sum())
        if max(clipped, dropped) <= _NOTABLE * total:
            return ""
        parts = [
            f"{n} ({n / total:.0%}) {what}" for n, what in ((dropped, "dropped"), (clipped, "clipped")) if n
        ]
        return f". Of {total} boxes: {', '.join(parts)}."

    def _hints(self):
        """What so many bad boxes usually mean; nothing if they are few."""
        inverted = (self.given[:, 2:] < self.given[:, :2]).any(axis=1).sum()
        beyond = self.counts.get(_OUTSIDE, 0) + self.counts.get(_CLIPPED, 0)
        # Some data sets hold whole objects, of which many reach outside; nothing is inverted on purpose.
        hints = ((inverted, _NOTABLE, _ORDER_HINT), (beyond, MAX_DROPPED, _OUTSIDE_HINT))
        return [hint for n, share, hint in hints if n >= _FEW and n > share * len(self.given)]
