"""SampleTransform: turns a record into a sample with a list of transforms and one rendering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from ...anchors import image_hw
from ...arguments import checked
from ..record import Record
from .render import render
from .view import View

MEAN_COLOR = (123, 117, 104)


@checked()
@dataclass(frozen=True)
class SampleTransform:
    """Turns a `Record` into a sample.

    Attributes:
        image_size: (height, width) of the samples.
        geometry: callables `(view, rng) -> view`, in order.
        photometric: None, or callable `(image, rng) -> image`.
        interpolations: OpenCV interpolation constants; one is drawn for each sample.
        fill: color of the area outside the source image: one number for each channel, or RGB, whose mean
            fills additional channels and gray images.
    """

    image_size: tuple[int, int]
    geometry: tuple[Callable[[View, np.random.Generator], View], ...] = ()
    photometric: Callable[..., np.ndarray] | None = None
    interpolations: tuple[int, ...] = (cv2.INTER_LINEAR,)
    fill: tuple[int, ...] = MEAN_COLOR

    def __post_init__(self):
        object.__setattr__(self, "image_size", image_hw(self.image_size))

    def __call__(self, record: Record, rng: np.random.Generator) -> tuple[np.ndarray, View]:
        """Returns the image (height, width, channels) uint8 and the final `View`."""
        view = View.of_record(record)
        for transform in self.geometry:
            view = transform(view, rng)
        interpolation = self.interpolations[rng.integers(len(self.interpolations))]
        distort = partial(self.photometric, rng=rng) if self.photometric else None
        return render(view, self.image_size, interpolation, self.fill, distort), view
