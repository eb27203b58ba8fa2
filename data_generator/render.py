"""Rendering: from a view to pixels, in one decode and one resize."""

import cv2
import numpy as np

from .images import REDUCTIONS, ImageError, read_image


def render(view, source, image_size, interpolation, fill, distort=None):
    """Draws a view.

    The JPEG is decoded at the smallest scale that suffices, the visible part is resized straight into its
    place on the canvas, and only its pixels are distorted; what lies outside the image keeps the fill.

    Args:
        view: a `View`.
        source: see `read_image`.
        image_size: (height, width) of the result.
        interpolation: OpenCV's constant.
        fill: RGB of what lies outside the image.
        distort: None, or function from RGB uint8 pixels to the same.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        ImageError: if the image cannot be read or has another size than its annotation says.
    """
    height, width = image_size
    visible = np.array([*np.maximum(view.rect[:2], 0), *np.minimum(view.rect[2:], view.image_size)])
    if not (visible[2:] > visible[:2]).all():
        return np.full((height, width, 3), fill, np.uint8)
    scale = np.tile((width, height) / view.size, 2)
    left, top, right, bottom = _to_pixels((visible - np.tile(view.rect[:2], 2)) * scale, width, height)
    if view.flipped:
        left, right = width - right, width - left

    pixels = _read_part(source, view.image_size, visible, (right - left, bottom - top))
    pixels = cv2.resize(pixels, (right - left, bottom - top), interpolation=interpolation)
    if view.flipped:
        pixels = cv2.flip(pixels, 1)
    if distort is not None:
        pixels = distort(pixels)
    if pixels.shape[:2] == (height, width):
        return pixels
    canvas = np.full((height, width, 3), fill, np.uint8)
    canvas[top:bottom, left:right] = pixels
    return canvas


def _read_part(source, image_size, part, target_size):
    """The part of an image, decoded at a scale that still has at least `target_size` (width, height)."""
    enough = [r for r in REDUCTIONS if ((part[2:] - part[:2]) >= np.array(target_size) * r).all()]
    reduction = max(enough, default=1)
    image = read_image(source, reduction)
    rows, columns = image.shape[:2]
    if (columns, rows) != tuple(-(-side // reduction) for side in image_size):
        raise ImageError(
            f"{source}: the annotation says {image_size[0]}x{image_size[1]} pixels, the image has "
            f"{columns * reduction}x{rows * reduction}"
        )
    left, top, right, bottom = _to_pixels(part / reduction, columns, rows)
    return image[top:bottom, left:right]


def _to_pixels(rect, width, height):
    """Rounds a rectangle to whole pixels, at least one, inside (0, 0, width, height)."""
    left, top = np.minimum(np.rint(rect[:2]), (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.rint(rect[2:]), (left + 1, top + 1), (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)
