"""Renders a view to pixels, with one decode and one resize for each picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from ..images import REDUCTIONS, read_image
from .view import View


def render(
    view: View,
    image_size: tuple[int, int],
    interpolation: int,
    fill: tuple[int, ...],
    distort: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Draws a view.

    Each JPEG is decoded at the smallest sufficient scale. Its visible part is resized once,
    distorted, and copied to its place on the canvas. Areas without a picture keep the undistorted fill.

    Args:
        view: a `View`.
        image_size: (height, width) of the result.
        interpolation: OpenCV interpolation constant.
        fill: color of the area outside the pictures: one number for each channel, or RGB, whose mean fills
            additional channels and gray images.
        distort: None, or function from uint8 pixels to the same.

    Returns:
        (height, width, channels) uint8, RGB first.

    Raises:
        ImageError: if an image cannot be read, or its size differs from its annotation.
        ValueError: for a fill that does not fit the channels.
    """
    height, width = image_size[::-1] if view.turns % 2 else image_size
    canvas = _blank(height, width, _color(fill, view.channels)).copy()
    for picture in view.pictures:
        _draw(canvas, picture, view.rect.tolist(), interpolation, distort)
    return _oriented(canvas, view)


_ROTATIONS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}
_MAX_CHANNELS = 4  # that OpenCV resizes, mirrors and turns


def _oriented(canvas, view):
    """The canvas mirrored and turned as the view is."""
    if canvas.shape[2] not in (3, 4):  # OpenCV drops the axis of one channel
        canvas = canvas[:, ::-1] if view.flipped else canvas
        return np.ascontiguousarray(np.rot90(canvas, -view.turns))
    if view.flipped:
        cv2.flip(canvas, 1, dst=canvas)
    return cv2.rotate(canvas, _ROTATIONS[view.turns]) if view.turns else canvas


@lru_cache(maxsize=8)
def _blank(height, width, color):
    # Copying a canvas takes a tenth of the time of filling one with a color.
    return np.full((height, width, len(color)), color, np.uint8)


def _color(fill, channels):
    """One number for each channel."""
    if len(fill) == channels:
        return tuple(fill)
    if len(fill) != 3:
        raise ValueError(f"fill must have 3 numbers or one for each of {channels} channels, got {fill}")
    mean = round(sum(fill) / 3)
    return (*fill, *[mean] * (channels - 3)) if channels > 3 else (mean,) * channels


def _draw(canvas, picture, rect, interpolation, distort):
    visible = _intersect(rect, picture.place, picture.window)
    if visible is None:
        return
    rows, columns = canvas.shape[:2]
    left, top, right, bottom = _to_pixels(_relative(visible, rect, columns, rows), columns, rows)
    size = (right - left, bottom - top)
    pixels = _read_part(picture, _relative(visible, picture.place, *picture.size), size)
    pixels = _resize(pixels, size, interpolation)
    if distort is not None:
        pixels = distort(pixels)
    part = canvas[top:bottom, left:right]
    if picture.opacity < 1:
        pixels = cv2.addWeighted(pixels, picture.opacity, part, 1 - picture.opacity, 0).reshape(part.shape)
    part[:] = pixels


def _resize(pixels, size, interpolation):
    """Pixels (rows, columns, channels) at another size (width, height)."""
    channels = pixels.shape[2]
    if channels > _MAX_CHANNELS:
        parts = [pixels[..., i : i + _MAX_CHANNELS] for i in range(0, channels, _MAX_CHANNELS)]
        return np.concatenate([_resize(part, size, interpolation) for part in parts], axis=2)
    if interpolation != cv2.INTER_LANCZOS4:
        pixels = cv2.resize(pixels, size, interpolation=interpolation)
    else:
        # OpenCV's Lanczos takes 1.5 times as long on uint8 as on float32.
        pixels = cv2.resize(pixels.astype(np.float32), size, interpolation=interpolation)
        pixels = cv2.addWeighted(pixels, 1, pixels, 0, 0, dtype=cv2.CV_8U)  # rounds and saturates
    return pixels.reshape(size[1], size[0], channels)


def _intersect(*rects):
    """The common part of xyxy rectangles, or None."""
    left, top, right, bottom = zip(*rects, strict=True)
    part = max(left), max(top), min(right), min(bottom)
    return part if part[2] > part[0] and part[3] > part[1] else None


def _relative(part, whole, width, height):
    """xyxy rectangle `part` in coordinates in which `whole` is 0, 0, width, height."""
    x, y = width / (whole[2] - whole[0]), height / (whole[3] - whole[1])
    left, top = whole[:2]
    return (part[0] - left) * x, (part[1] - top) * y, (part[2] - left) * x, (part[3] - top) * y


def _read_part(picture, part, target_size):
    """The part of an image, decoded at a scale that still has at least `target_size` (width, height)."""
    enough = min((part[2] - part[0]) / target_size[0], (part[3] - part[1]) / target_size[1])
    reduction = max((r for r in REDUCTIONS if r <= enough), default=1)
    options = picture.pixels._asdict()
    image = read_image(picture.image, reduction=reduction, size=picture.size, **options)
    rows, columns = image.shape[:2]
    whole = (0, 0, *picture.size)
    left, top, right, bottom = _to_pixels(_relative(part, whole, columns, rows), columns, rows)
    return image[top:bottom, left:right]


def _to_pixels(rect, width, height):
    """Rounds a rectangle to whole pixels, at least one, inside (0, 0, width, height)."""
    left, top = min(round(rect[0]), width - 1), min(round(rect[1]), height - 1)
    right, bottom = max(round(rect[2]), left + 1), max(round(rect[3]), top + 1)
    return left, top, min(right, width), min(bottom, height)
