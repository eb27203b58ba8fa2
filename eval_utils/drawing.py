"""Draws detections into pixels: faster than a plot, and at the size of the picture."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data_generator.pixels import shown
from .detections import Detections
from .plots import class_color, class_text, luminance


def draw_detections(image: np.ndarray, detections: Detections) -> np.ndarray:
    """A copy of an image with boxes, class names and scores. The best are on top.

    Args:
        image: (height, width, channels) uint8, as `read_image` returns it.
        detections: those to draw.

    Returns:
        (height, width, 3) RGB uint8.
    """
    picture = Image.fromarray(np.ascontiguousarray(shown(image)))
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    draw = ImageDraw.Draw(picture)
    short = min(picture.size)
    # In proportion to the picture, so that the text of a large one can be read when all of it is shown.
    width, font = max(1, round(short / 300)), _font(max(10, round(short / 36)))
    for detection in list(detections)[::-1]:
        color = class_color(detection.class_id)
        ink = "white" if luminance(color) < 0.4 else "black"
        fill = tuple(round(255 * part) for part in color[:3])
        draw.rectangle(_drawable(detection.box, picture.size), outline=fill, width=width)
        text = f"{class_text(detection.class_id, detections.class_names)} {detection.score:.2f}"
        _write(draw, text, detection.box, (fill, ink), font, picture.size)
    return np.asarray(picture)


def _drawable(box, size):
    """The box in whole pixels of the picture, at least one of them."""
    low = [min(max(int(value), 0), side - 1) for value, side in zip(box[:2], size, strict=True)]
    high = [min(int(value), side - 1) for value, side in zip(box[2:], size, strict=True)]
    return (*low, max(high[0], low[0]), max(high[1], low[1]))


def _write(draw, text, box, colors, font, size):
    """Writes a label above the box, or inside where there is no room, never beyond the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = max(0, min(box[0], size[0] - width))
    y = box[1] - height if box[1] >= height else box[1]
    y = max(0, min(y, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=colors[0])
    draw.text((x + 2 - left, y + 2 - top), text, fill=colors[1], font=font)


@lru_cache(maxsize=8)
def _font(size):
    import matplotlib

    # matplotlib brings it along; it has the letters of most alphabets.
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)
