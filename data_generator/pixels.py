"""Pixels: how the numbers in an image file become the uint8 channels that a model takes."""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Integral, Real
from typing import Literal, NamedTuple

import cv2
import numpy as np

ValueRange = tuple[float, float] | Literal["percentile"] | None

MAX_CHANNELS = 64
# Of the numbers in an image, for value_range="percentile": few pixels that are very bright do not count.
PERCENTILES = (1, 99)
_SAMPLED = 1 << 20  # numbers of an image that percentiles are computed from
_GRAY = np.array((0.299, 0.587, 0.114), np.float32)


class ImageError(ValueError):
    """An image that cannot be used; the message names the file and the reason."""


class Pixels(NamedTuple):
    """How an image is read, see `DetectionDataset.with_pixels`.

    Attributes:
        channels: number of channels.
        value_range: numbers that become 0 and 255, or "percentile", or None.
    """

    channels: int = 3
    value_range: ValueRange = None


RGB = Pixels()


def checked_pixels(where: str, channels: int, value_range: ValueRange) -> Pixels:
    """`Pixels` of arguments.

    Raises:
        ValueError: for a number of channels or a range that cannot be; names `where`.
    """
    if not isinstance(channels, Integral) or isinstance(channels, bool) or not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"{where}: channels must be a whole number from 1 to {MAX_CHANNELS}, got {channels!r}"
        )
    if value_range is None or (isinstance(value_range, str) and value_range == "percentile"):
        return Pixels(int(channels), value_range)
    is_pair = isinstance(value_range, list | tuple) and len(value_range) == 2
    if not (is_pair and all(isinstance(v, Real) and math.isfinite(v) for v in value_range)) or (
        value_range[0] >= value_range[1]
    ):
        raise ValueError(
            f"{where}: value_range must be (lowest, highest), such as (0, 4095) for 12 bits, or "
            f'"percentile", got {value_range!r}'
        )
    return Pixels(int(channels), (float(value_range[0]), float(value_range[1])))


def to_uint8(numbers: np.ndarray, value_range: ValueRange, source: object) -> np.ndarray:
    """Maps numbers to 0..255. Those outside of the range are clipped, and NaN becomes 0.

    Numbers of 8 bits stay as they are, whatever the range.

    Raises:
        ImageError: for floating-point or 32-bit numbers without a range; states those of the image.
    """
    if numbers.dtype == np.uint8:
        return numbers
    if numbers.dtype == bool:
        return numbers * np.uint8(255)
    if value_range is None:
        if numbers.dtype == np.uint16:
            return (numbers >> 8).astype(np.uint8)
        low, high = _extremes(numbers)
        raise ImageError(
            f"{source}: the image has {numbers.dtype} numbers, here from {low:g} to {high:g}; state which "
            "become black and white: value_range=(lowest, highest)"
        )
    low, high = _percentiles(numbers) if value_range == "percentile" else value_range
    if numbers.dtype == np.uint16:
        return _table(low, high)[numbers]
    return _scaled(numbers, low, high)


@lru_cache(maxsize=8)
def _table(low, high):
    return _scaled(np.arange(1 << 16), low, high)


def _scaled(numbers, low, high):
    scaled = (numbers.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, posinf=255), 0, 255)).astype(np.uint8)


def _percentiles(numbers):
    flat = numbers.reshape(-1)
    flat = flat[:: -(-flat.size // _SAMPLED)]
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    low, high = np.percentile(flat, PERCENTILES).tolist() if flat.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)


def _extremes(numbers):
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    return (finite.min(), finite.max()) if finite.size else (math.nan, math.nan)


def fit_channels(image: np.ndarray, channels: int, has_alpha: bool, source: object) -> np.ndarray:
    """An image (rows, columns, n) uint8 with the number of channels that is expected.

    Gray becomes RGB, RGB becomes gray, and transparency is dropped.

    Raises:
        ImageError: for any other number of channels; names the file and both numbers.
    """
    found = image.shape[2]
    if found == channels:
        return image
    if channels in (1, 3):
        colors = image[..., : found - 1] if has_alpha else image
        if colors.shape[2] == channels:
            return np.ascontiguousarray(colors)
        if colors.shape[2] == 1:
            return np.repeat(colors, 3, axis=2)
        if colors.shape[2] == 3:
            return cv2.transform(np.ascontiguousarray(colors), _GRAY[None])[..., None]
    raise wrong_channels(found, channels, source)


def wrong_channels(found: int, channels: int, source: object) -> ImageError:
    """The error for an image with another number of channels than expected."""
    return ImageError(
        f"{source}: the image has {found} channel{'s' * (found > 1)}, expected {channels}; read the data set "
        f"with_pixels(channels={found}) and build the model with channels={found}"
    )


def shown(image: np.ndarray) -> np.ndarray:
    """An image (rows, columns, channels) to look at: the first three channels, or the first as gray."""
    if image.ndim == 2:
        image = image[..., None]
    return image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
