"""Photometric distortion (paper, section 2.2, after Howard 2013), on uint8 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...arguments import checked

HUES = 256  # of a full circle in COLOR_RGB2HSV_FULL; uint8 arithmetic wraps around as hues do


@checked(brightness=0, hue=0, probability=0)
@dataclass(frozen=True)
class PhotometricDistortion:
    """Random brightness, contrast, saturation and hue, each with the same probability.

    Callable `(image, rng) -> image`, uint8. The paper's two orders are equally likely: contrast right
    after brightness, or contrast at the end. Brightness and contrast change all channels. Saturation and hue
    change the first three, and nothing in images with fewer.

    Attributes:
        brightness: largest shift of the pixel values.
        contrast: smallest and largest factor, about the middle gray 127.5.
        saturation: smallest and largest factor.
        hue: largest shift, in degrees.
        probability: probability of each distortion.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 36.0
    probability: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shift = rng.uniform(-self.brightness, self.brightness) if self._happens(rng) else 0.0
        contrast = rng.uniform(*self.contrast) if self._happens(rng) else 1.0
        saturation = rng.uniform(*self.saturation) if self._happens(rng) else 1.0
        hue = rng.uniform(-self.hue, self.hue) if self._happens(rng) else 0.0
        contrast_last = rng.random() < 0.5

        image = _scale_and_shift(image, 1.0, shift)
        if not contrast_last:
            image = _contrast(image, contrast)
        image = _shift_hue_and_saturation(image, hue, saturation)
        return _contrast(image, contrast) if contrast_last else image

    def _happens(self, rng):
        return rng.random() < self.probability


def _contrast(image, factor):
    return _scale_and_shift(image, factor, 127.5 * (1 - factor))


def _scale_and_shift(image, factor, shift):
    if factor == 1 and shift == 0:
        return image
    # A linear map of the colors, rounded and saturated. It takes a quarter of the time of a lookup table.
    channels = image.shape[2]
    columns = np.full((channels, 1), shift)
    return cv2.transform(image, np.hstack([np.eye(channels) * factor, columns]).astype("f4")).reshape(
        image.shape
    )


def _shift_hue_and_saturation(image, hue, saturation):
    if (hue == 0 and saturation == 1) or image.shape[2] < 3:
        return image
    if image.shape[2] > 3:
        colors = _shift_hue_and_saturation(np.ascontiguousarray(image[..., :3]), hue, saturation)
        return np.concatenate([colors, image[..., 3:]], axis=2)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    if saturation != 1:
        hsv = cv2.transform(hsv, np.diag(np.array((1, saturation, 1), np.float32)))
    if hue != 0:
        rows = hsv.reshape(len(hsv), -1)  # one addition for a whole row of pixels
        rows += np.tile(np.array((round(hue * HUES / 360) % HUES, 0, 0), np.uint8), hsv.shape[1])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
