"""Presets: a recipe is a visible list of transforms, then rendering. Each names its source."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2

from ..anchors import image_hw
from .photometric import PhotometricDistortion
from .render import render
from .transforms import Expand, Flip, IoUCrop, OneOf, Patch, RightAngleTurn, Scale, Translate, VerticalFlip
from .view import View

MEAN_COLOR = (123, 117, 104)
ALL_INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)
# In its chains of its own, ssd_keras distorts more than the paper does.
STRONG_DISTORTION = PhotometricDistortion(brightness=48.0, contrast=(0.5, 1.8), saturation=(0.5, 1.8))


@dataclass(frozen=True)
class SampleTransform:
    """From a `Record` to a sample.

    Attributes:
        image_size: (height, width) of the samples.
        geometry: callables `(view, rng) -> view`, in order.
        photometric: None, or callable `(image, rng) -> image`.
        interpolations: OpenCV's constants, one of which is drawn for each sample.
        fill: RGB of what lies outside the source image.
    """

    image_size: tuple[int, int]
    geometry: tuple[Callable, ...] = ()
    photometric: Callable | None = None
    interpolations: tuple[int, ...] = (cv2.INTER_LINEAR,)
    fill: tuple[int, int, int] = MEAN_COLOR

    def __post_init__(self):
        object.__setattr__(self, "image_size", image_hw(self.image_size))

    def __call__(self, record, rng):
        """Returns the image (height, width, 3) uint8 RGB and the final `View`."""
        view = View.of_record(record)
        for transform in self.geometry:
            view = transform(view, rng)
        interpolation = self.interpolations[rng.integers(len(self.interpolations))]
        distort = partial(self.photometric, rng=rng) if self.photometric else None
        return render(view, self.image_size, interpolation, self.fill, distort), view


def ssd_train(image_size=(300, 300)):
    """The paper's training chain: photometric distortion, expand, IoU-constrained crop, flip."""
    return SampleTransform(
        image_size, (Expand(), IoUCrop(), Flip()), PhotometricDistortion(), ALL_INTERPOLATIONS
    )


def ssdlite_train(image_size=(320, 320)):
    """torchvision's chain for SSDLite: IoU-constrained crop and flip only."""
    return SampleTransform(image_size, (IoUCrop(), Flip()))


def ssd_eval(image_size=(300, 300)):
    """The whole image, stretched to the model's input."""
    return SampleTransform(image_size)


def satellite_train(image_size):
    """ssd_keras' chain for pictures from above: flips, turns, a patch of about the input's shape."""
    patch = Patch(scales=(0.3, 2.0), aspect_ratios=_aspect_ratios(image_size, 1.25))
    return SampleTransform(image_size, (Flip(), VerticalFlip(), RightAngleTurn(), patch), STRONG_DISTORTION)


def constant_size_train(image_size):
    """ssd_keras' chain for images that all have the input's shape, such as a camera's: shift, zoom, flip."""
    zoom_in_last = (Translate(), Scale((1.0, 2.0)))
    zoom_out_first = (Scale((0.5, 1.0)), Translate())
    return SampleTransform(image_size, (OneOf((zoom_in_last, zoom_out_first)), Flip()), STRONG_DISTORTION)


def variable_size_train(image_size):
    """ssd_keras' chain for images of many shapes: a patch, larger or smaller than the image, then flip."""
    patch = Patch(scales=(0.3, 2.0), aspect_ratios=_aspect_ratios(image_size, 2.0))
    return SampleTransform(image_size, (patch, Flip()), STRONG_DISTORTION)


def _aspect_ratios(image_size, stretch):
    """Bounds for patches that are stretched by at most a factor to get the input's (height, width)."""
    height, width = image_hw(image_size)
    return width / height / stretch, width / height * stretch
