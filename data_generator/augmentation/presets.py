"""Presets: each is a list of transforms followed by one rendering, and names its source."""

import cv2

from ...anchors import image_hw
from ...arguments import checked
from .geometry import Expand, Flip, IoUCrop, OneOf, Patch, RightAngleTurn, Scale, Translate, VerticalFlip
from .photometric import PhotometricDistortion
from .sample import SampleTransform

ALL_INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)
# In the chains that are not from the paper, ssd_keras distorts more strongly.
STRONG_DISTORTION = PhotometricDistortion(brightness=48.0, contrast=(0.5, 1.8), saturation=(0.5, 1.8))


@checked()
def ssd_augmentation(image_size: tuple[int, int] = (300, 300)) -> SampleTransform:
    """The paper's training chain: photometric distortion, expand, IoU-constrained crop, flip."""
    return SampleTransform(
        image_size, (Expand(), IoUCrop(), Flip()), PhotometricDistortion(), ALL_INTERPOLATIONS
    )


@checked()
def ssdlite_augmentation(image_size: tuple[int, int] = (320, 320)) -> SampleTransform:
    """torchvision's chain for SSDLite: IoU-constrained crop and flip only."""
    return SampleTransform(image_size, (IoUCrop(), Flip()))


@checked()
def resize_only(image_size: tuple[int, int] = (300, 300)) -> SampleTransform:
    """The whole image, stretched to the model's input."""
    return SampleTransform(image_size)


@checked()
def satellite_augmentation(image_size: tuple[int, int]) -> SampleTransform:
    """ssd_keras' chain for aerial images: flips, turns, a patch of roughly the input's aspect ratio."""
    patch = Patch(scales=(0.3, 2.0), aspect_ratios=_aspect_ratios(image_size, 1.25))
    return SampleTransform(image_size, (Flip(), VerticalFlip(), RightAngleTurn(), patch), STRONG_DISTORTION)


@checked()
def constant_size_augmentation(image_size: tuple[int, int]) -> SampleTransform:
    """ssd_keras' chain for images with the input's aspect ratio, as from one camera: shift, zoom, flip."""
    zoom_in_last = (Translate(), Scale((1.0, 2.0)))
    zoom_out_first = (Scale((0.5, 1.0)), Translate())
    return SampleTransform(image_size, (OneOf((zoom_in_last, zoom_out_first)), Flip()), STRONG_DISTORTION)


@checked()
def variable_size_augmentation(image_size: tuple[int, int]) -> SampleTransform:
    """ssd_keras' chain for images of many aspect ratios: a smaller or larger patch, then flip."""
    patch = Patch(scales=(0.3, 2.0), aspect_ratios=_aspect_ratios(image_size, 2.0))
    return SampleTransform(image_size, (patch, Flip()), STRONG_DISTORTION)


def _aspect_ratios(image_size, stretch):
    """Bounds of a patch's aspect ratio that limit its stretching to the input's (height, width)."""
    height, width = image_hw(image_size)
    return width / height / stretch, width / height * stretch
