"""Photometric distortion (paper, section 2.2, after Howard 2013), on uint8 pixels by lookup tables."""

from dataclasses import dataclass

import cv2
import numpy as np

LEVELS = np.arange(256, dtype=np.float32)
HUES = 180  # OpenCV's hue of uint8 images is in steps of two degrees


@dataclass(frozen=True)
class PhotometricDistortion:
    """Random brightness, contrast, saturation and hue, each with the same probability.

    Callable `(image, rng) -> image`, RGB uint8. The paper's two orders are equally likely: contrast right
    after brightness, or contrast at the end.

    Attributes:
        brightness: largest shift of the pixel values.
        contrast: lowest and highest factor, about the middle grey 127.5.
        saturation: lowest and highest factor.
        hue: largest shift, in OpenCV's half degrees.
        probability: of each.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 18.0
    probability: float = 0.5

    def __call__(self, image, rng):
        shift = rng.uniform(-self.brightness, self.brightness) if self._happens(rng) else 0.0
        contrast = rng.uniform(*self.contrast) if self._happens(rng) else 1.0
        saturation = rng.uniform(*self.saturation) if self._happens(rng) else 1.0
        hue = rng.uniform(-self.hue, self.hue) if self._happens(rng) else 0.0
        contrast_last = rng.random() < 0.5

        brighter = np.clip(LEVELS + shift, 0, 255)
        image = _lookup(image, brighter if contrast_last else _contrast(brighter, contrast))
        image = _shift_hue_and_saturation(image, hue, saturation)
        return _lookup(image, _contrast(LEVELS, contrast)) if contrast_last else image

    def _happens(self, rng):
        return rng.random() < self.probability


def _contrast(levels, factor):
    return np.clip(127.5 + factor * (levels - 127.5), 0, 255)


def _lookup(image, levels):
    """Replaces each value by `levels` (256,) or, for each channel, (256, 3)."""
    table = np.rint(levels).astype(np.uint8)
    if np.array_equal(levels, LEVELS):
        return image
    return cv2.LUT(image, table.reshape(1, 256, -1))


def _shift_hue_and_saturation(image, hue, saturation):
    if hue == 0 and saturation == 1:
        return image
    tables = np.stack([(LEVELS + hue) % HUES, np.clip(LEVELS * saturation, 0, 255), LEVELS], axis=1)
    tables[:, 0] = np.rint(tables[:, 0]) % HUES
    hsv = _lookup(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
