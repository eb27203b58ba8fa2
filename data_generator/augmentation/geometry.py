"""Geometric augmentation: callables `(view, rng) -> view`.

`Expand`, `IoUCrop` and `Flip` are the paper's (sections 2.2 and 3.6), the others follow ssd_keras. They
change the view's rectangle, its orientation and its list of objects, but no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...arguments import checked
from ...boxes import clip, iou
from .view import View


@checked(max_ratio=1, probability=0)
@dataclass(frozen=True)
class Expand:
    """Zooms out: places the view somewhere in a rectangle up to `max_ratio` times its sides."""

    max_ratio: float = 4.0
    probability: float = 0.5

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        width, height = view.size
        ratio = rng.uniform(1, self.max_ratio)
        new_width, new_height = int(width * ratio), int(height * ratio)
        left = rng.integers(0, new_width - int(width), endpoint=True)
        top = rng.integers(0, new_height - int(height), endpoint=True)
        xmin, ymin = view.rect[:2] - (left, top)
        return replace(view, rect=np.array([xmin, ymin, xmin + new_width, ymin + new_height]))


@checked(trials=0)
@dataclass(frozen=True)
class IoUCrop:
    """Zooms in: a random patch that overlaps some object by at least a random IoU.

    Each draw keeps the view with probability 1/7 (for the default of six `min_ious`). Otherwise a bound is
    drawn from `min_ious` and up to `trials` patches are tried. Their sides are `min_scale` to 1 of the
    view's, their aspect ratio is between 1/2 and 2. If no patch satisfies the bound, everything is drawn
    again. Objects whose center is in the patch are kept and clipped to it. A view without objects is
    unchanged.
    """

    min_ious: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    min_scale: float = 0.3
    max_aspect_ratio: float = 2.0
    trials: int = 50

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if len(view.boxes) == 0:
            return view
        while rng.random() >= 1 / (1 + len(self.min_ious)):
            patches = self._patches(view, rng)
            best = iou(patches, view.boxes).max(axis=1, initial=0)
            found = np.flatnonzero(best > self.min_ious[rng.integers(len(self.min_ious))])
            if found.size:
                return _crop(view, patches[found[0]])
        return view

    def _patches(self, view, rng):
        """(patches, 4) xyxy in source pixels, those of `trials` draws with an allowed aspect ratio."""
        width, height = view.size
        draws = rng.random((self.trials, 4))  # two for the sides, two for the position
        sides = ((self.min_scale + (1 - self.min_scale) * draws[:, :2]) * (width, height)).astype(int)
        ratio = sides[:, 0] / np.maximum(sides[:, 1], 1)
        fair = (ratio >= 1 / self.max_aspect_ratio) & (ratio <= self.max_aspect_ratio)
        sides = sides[fair]
        room = (int(width), int(height)) - sides
        low = view.rect[:2] + (draws[fair, 2:] * (room + 1)).astype(int)
        return np.concatenate([low, low + sides], axis=1)


def _crop(view, patch):
    centers = (view.boxes[:, :2] + view.boxes[:, 2:]) / 2
    inside = ((centers >= patch[:2]) & (centers < patch[2:])).all(axis=1)
    return replace(view.keep(inside), rect=patch)


@checked(probability=0)
@dataclass(frozen=True)
class Flip:
    """Mirrors left to right."""

    probability: float = 0.5

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        return view.mirrored()


@checked(probability=0)
@dataclass(frozen=True)
class VerticalFlip:
    """Mirrors top to bottom; for images without up and down, such as aerial images."""

    probability: float = 0.5

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        return view.mirrored().turned(2)


@checked(probability=0)
@dataclass(frozen=True)
class RightAngleTurn:
    """Turns by a multiple of 90 degrees; for images without up and down.

    An odd number of quarter turns swaps the sides of the view. If the model's input is not square, the view
    is then stretched more. A `Patch` after the turn restores the input's aspect ratio.

    Attributes:
        turns: numbers of clockwise quarter turns to draw from.
        probability: probability of a turn. With 3/4 and the default `turns`, all four orientations are
            equally likely.
    """

    turns: tuple[int, ...] = (1, 2, 3)
    probability: float = 0.5

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        return view.turned(int(rng.choice(self.turns)))


@checked(probability=0, trials=0)
@dataclass(frozen=True)
class Translate:
    """Shifts the view along both axes. What leaves it is lost; the area outside the pictures is filled.

    Attributes:
        bounds: smallest and largest shift in each direction, relative to the view's sides.
        probability: probability of a shift.
        trials: number of shifts to try until one keeps an object in the view. If none does, the view is
            unchanged.
    """

    bounds: tuple[float, float] = (0.03, 0.5)
    probability: float = 0.5
    trials: int = 3

    def __post_init__(self):
        _check_range("Translate.bounds", self.bounds, 0)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        return _first_with_objects(view, self._shifted, rng, self.trials)

    def _shifted(self, view, rng):
        shift = np.rint(rng.uniform(*self.bounds, 2) * rng.choice((-1, 1), 2) * view.size)
        return view.rect + np.concatenate([shift, shift])


@checked(probability=0, trials=0)
@dataclass(frozen=True)
class Scale:
    """Zooms in or out about the view's center, by the same factor for both sides.

    Attributes:
        factors: smallest and largest magnification of the uniform draw. Below 1 objects get smaller and the
            area outside the pictures is filled. Above 1 they get larger and what leaves the view is lost.
        probability: probability of a zoom.
        trials: number of factors to try until one keeps an object in the view. If none does, the view is
            unchanged.
    """

    factors: tuple[float, float] = (0.5, 2.0)
    probability: float = 0.5
    trials: int = 3

    def __post_init__(self):
        _check_range("Scale.factors", self.factors)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        return _first_with_objects(view, self._scaled, rng, self.trials)

    def _scaled(self, view, rng):
        size = np.maximum(np.rint(view.size / rng.uniform(*self.factors)), 1)
        low = np.rint((view.rect[:2] + view.rect[2:] - size) / 2)
        return np.concatenate([low, low + size])


@checked(trials=0)
@dataclass(frozen=True)
class Patch:
    """Zooms in or out to a patch of random size and aspect ratio that overlaps the view as far as possible.

    Attributes:
        scales: smallest and largest width of the patch, relative to the view's width.
        aspect_ratios: smallest and largest width / height of the patch, as seen after turns.
        trials: number of patches to try until one has an object. If none does, the view is unchanged.
    """

    scales: tuple[float, float] = (0.3, 2.0)
    aspect_ratios: tuple[float, float] = (0.5, 2.0)
    trials: int = 3

    def __post_init__(self):
        _check_range("Patch.scales", self.scales)
        _check_range("Patch.aspect_ratios", self.aspect_ratios)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        return _first_with_objects(view, self._patch, rng, self.trials)

    def _patch(self, view, rng):
        axes = (1, 0) if view.turns % 2 else (0, 1)  # the scene's axes that appear as width and height
        width = rng.uniform(*self.scales) * view.size[axes[0]]
        size = np.array([width, width / rng.uniform(*self.aspect_ratios)])[list(axes)]
        size = np.maximum(np.rint(size), 1)
        room = np.rint(view.size - size).astype(int)  # negative if the patch is larger
        low = view.rect[:2] + rng.integers(np.minimum(room, 0), np.maximum(room, 0), endpoint=True)
        return np.concatenate([low, low + size])


@checked()
@dataclass(frozen=True)
class OneOf:
    """Applies one of several chains, each equally likely.

    Attributes:
        chains: tuple of tuples of transforms, each applied in order.
    """

    chains: tuple[tuple[Callable[[View, np.random.Generator], View], ...], ...]

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        for transform in self.chains[rng.integers(len(self.chains))]:
            view = transform(view, rng)
        return view


def cut(view: View, rect: np.ndarray) -> View:
    """Moves the view to `rect`.

    Only what was visible stays visible: if a later transform zooms out again, cropped pixels and objects do
    not come back. Objects whose center is in the rectangle are kept and clipped to it.

    Args:
        view: a `View`.
        rect: (4,) xyxy in scene pixels.
    """
    view = replace(view, boxes=clip(view.boxes, view.rect[:2], view.rect[2:]))
    low, high = np.maximum(view.rect[:2], rect[:2]), np.minimum(view.rect[2:], rect[2:])
    pictures = [_ending(picture, low, high) for picture in view.pictures]
    view = _crop(view, rect)
    return replace(
        view, boxes=clip(view.boxes, low, high), pictures=tuple(p for p in pictures if p is not None)
    )


def _ending(picture, low, high):
    """The picture cropped to a rectangle, or None if nothing is left of it."""
    left, top, right, bottom = clip(np.array([picture.window]), low, high)[0].tolist()
    return replace(picture, window=(left, top, right, bottom)) if left < right and top < bottom else None


def _first_with_objects(view, draw_rect, rng, trials):
    """The view at the first rectangle of `draw_rect(view, rng)` that does not lose all its objects."""
    for _ in range(trials):
        moved = cut(view, draw_rect(view, rng))
        if len(moved.boxes) or not len(view.boxes):
            return moved
    return view


def _check_range(what, bounds, least=None):
    low, high = bounds
    if not (low <= high and (low > 0 if least is None else low >= least)):
        limit = "positive" if least is None else f"at least {least}"
        raise ValueError(f"{what}: expected (least, largest), {limit}, got {bounds}")
