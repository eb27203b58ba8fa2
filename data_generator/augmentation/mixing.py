"""Mixes several images into a sample: callables `(view, rng) -> view` that add other images to the scene.

They need a view that is neither mirrored nor turned: put them before flips and turns. Put them also before
crops such as `IoUCrop`, which then act on the mixture. The other images are drawn with the sample's own `rng`
and decoded from the transform's `dataset`. To decode each image only once, pass the data set of
`cache_in_ram` to the transform and to the generator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arguments import checked
from ...deprecated import renamed_arguments
from ..dataset import DetectionDataset
from .geometry import cut
from .view import View


@checked(probability=0)
@dataclass(frozen=True)
class Mosaic:
    """The view and three other images around a random center (Bochkovskiy et al. 2020, YOLOv4, section 3.3).

    Each image is scaled at its own aspect ratio until it covers its tile, and a random part of it is shown.
    Objects whose center is in their tile are kept and clipped to it.

    Attributes:
        dataset: source of the other images, usually the training set. Its labels must mean the same classes.
        probability: probability of a mosaic.
        center: smallest and largest x and y of the common corner of the tiles, relative to the view.

    Raises:
        ValueError: for an empty data set; in a call, if the view is mirrored or turned.
    """

    dataset: DetectionDataset
    probability: float = 0.5
    center: tuple[float, float] = (0.25, 0.75)

    def __post_init__(self):
        _check_dataset(self)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        _check_upright(self, view)
        left, top, right, bottom = view.rect
        x, y = view.rect[:2] + np.rint(rng.uniform(*self.center, 2) * view.size)
        tiles = rng.permutation(
            [(left, top, x, y), (x, top, right, y), (left, y, x, bottom), (x, y, right, bottom)]
        )
        views = [view, *_draw(self.dataset, 3, rng)]
        return _join(view.rect, [_cover(v, tile, rng) for v, tile in zip(views, tiles, strict=True)])


Mosaic.__init__ = renamed_arguments(centre="center")(Mosaic.__init__)


@checked(probability=0, alpha=0)
@dataclass(frozen=True)
class MixUp:
    """Blends another image over the view and keeps the objects of both (Zhang et al. 2019).

    "Bag of Freebies for Training Object Detection Neural Networks", after Zhang et al. 2018. The other image
    is scaled at its own aspect ratio until it covers the view, and a random part of it is shown.

    Attributes:
        dataset: source of the other image, usually the training set. Its labels must mean the same classes.
        probability: probability of a mixture.
        alpha: the other image's opacity is drawn from Beta(alpha, alpha). The paper uses 1.5 and weights
            the loss by opacity. Our targets have no weights: a nearly invisible object would count in full.
            The default therefore keeps the opacity near one half (95 % of draws are between 0.38 and 0.62).

    Raises:
        ValueError: for an empty data set; in a call, if the view is mirrored or turned.
    """

    dataset: DetectionDataset
    probability: float = 0.5
    alpha: float = 32.0

    def __post_init__(self):
        _check_dataset(self)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() >= self.probability:
            return view
        _check_upright(self, view)
        (other,) = _draw(self.dataset, 1, rng)
        other = _cover(other, view.rect, rng)
        opacity = rng.beta(self.alpha, self.alpha)
        pictures = tuple(replace(picture, opacity=opacity) for picture in other.pictures)
        return _join(view.rect, [view, replace(other, pictures=pictures)])


def _draw(dataset, count, rng):
    """Whole images of a data set, with replacement."""
    return [View.of_record(dataset[int(index)]) for index in rng.integers(len(dataset), size=count)]


def _cover(view, tile, rng):
    """The largest part of the view with a tile's shape, at a random offset, placed on the tile (4,) xyxy."""
    size = tile[2:] - tile[:2]
    scale = (size / view.size).max()
    spare = view.size * scale - size
    shift = tile[:2] - view.rect[:2] * scale - rng.uniform(size=2) * spare
    return cut(_placed(view, scale, shift), tile)


def _placed(view, scale, shift):
    """The view scaled, then shifted by (x, y) scene pixels."""

    def move(rects):
        # Rounded: neighbors must end at the same number, or a line between them stays empty.
        return np.round(np.asarray(rects) * scale + np.concatenate([shift, shift]), 6)

    pictures = tuple(
        replace(p, place=tuple(move(p.place).tolist()), window=tuple(move(p.window).tolist()))
        for p in view.pictures
    )
    return replace(view, pictures=pictures, rect=move(view.rect), boxes=move(view.boxes))


def _join(rect, views):
    """One view at `rect` with the pictures and objects of all `views`, later ones on top."""
    channels = [view.channels for view in views]
    if len(set(channels)) > 1:
        raise ValueError(f"Mosaic and MixUp need images with the same number of channels, got {channels}")
    fields = {
        name: np.concatenate([getattr(view, name) for view in views])
        for name in ("boxes", "labels", "difficult")
    }
    pictures = tuple(p for view in views for p in view.pictures)
    return View(pictures=pictures, rect=rect, channels=channels[0], **fields)


def _check_dataset(transform):
    if len(transform.dataset) == 0:
        raise ValueError(f"{type(transform).__name__}: the data set is empty: {transform.dataset!r}")


def _check_upright(transform, view):
    if view.flipped or view.turns:
        raise ValueError(
            f"{type(transform).__name__}: the view is already mirrored or turned, the other images are not; "
            "put this transform before flips and turns"
        )
