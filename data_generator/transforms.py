"""Geometric augmentation (paper, sections 2.2 and 3.6): each a callable `(view, rng) -> view`.

Only the view's rectangle, its flip and its list of objects change here; no pixel is touched.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..boxes import iou


@dataclass(frozen=True)
class Expand:
    """Zooms out: places the view somewhere in a rectangle up to `max_ratio` times its sides."""

    max_ratio: float = 4.0
    probability: float = 0.5

    def __call__(self, view, rng):
        if rng.random() >= self.probability:
            return view
        width, height = view.size
        ratio = rng.uniform(1, self.max_ratio)
        new_width, new_height = int(width * ratio), int(height * ratio)
        left = rng.integers(0, new_width - int(width), endpoint=True)
        top = rng.integers(0, new_height - int(height), endpoint=True)
        xmin, ymin = view.rect[:2] - (left, top)
        return replace(view, rect=np.array([xmin, ymin, xmin + new_width, ymin + new_height]))


@dataclass(frozen=True)
class IoUCrop:
    """Zooms in: a random patch that overlaps some object by at least a random IoU.

    One seventh of the draws keeps the view; otherwise a bound is drawn from `min_ious` and up to `trials`
    patches are tried, with sides of `min_scale` to 1 of the view's and an aspect ratio of 1/2 to 2. If
    none satisfies the bound, all is drawn again. Objects whose centre is in the patch stay, clipped to it.
    A view without objects is kept as it is.
    """

    min_ious: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    min_scale: float = 0.3
    max_aspect_ratio: float = 2.0
    trials: int = 50

    def __call__(self, view, rng):
        if len(view.boxes) == 0:
            return view
        while rng.random() >= 1 / (1 + len(self.min_ious)):
            patches = self._patches(view, rng)
            best = iou(patches, view.boxes).max(axis=1, initial=0)
            found = np.flatnonzero(best > rng.choice(self.min_ious))
            if found.size:
                return _crop(view, patches[found[0]])
        return view

    def _patches(self, view, rng):
        """(patches, 4) xyxy in source pixels, those of `trials` draws that have a fair aspect ratio."""
        width, height = view.size
        sides = (rng.uniform(self.min_scale, 1, (self.trials, 2)) * (width, height)).astype(int)
        ratio = sides[:, 0] / np.maximum(sides[:, 1], 1)
        fair = (ratio >= 1 / self.max_aspect_ratio) & (ratio <= self.max_aspect_ratio)
        sides = sides[fair]
        room = (int(width), int(height)) - sides
        low = view.rect[:2] + rng.integers(0, room, endpoint=True)
        return np.concatenate([low, low + sides], axis=1)


def _crop(view, patch):
    centres = (view.boxes[:, :2] + view.boxes[:, 2:]) / 2
    inside = ((centres >= patch[:2]) & (centres < patch[2:])).all(axis=1)
    return replace(view.keep(inside), rect=patch)


@dataclass(frozen=True)
class Flip:
    """Mirrors left to right."""

    probability: float = 0.5

    def __call__(self, view, rng):
        if rng.random() >= self.probability:
            return view
        return view.mirrored()
