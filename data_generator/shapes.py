"""The embedded `shapes` data set: drawn on the fly from a seed, nothing to download."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from ..anchors import image_hw
from ..arguments import checked
from ..boxes import iou
from ..limits import NUM_IMAGES
from .dataset import DetectionDataset
from .record import Record

SHAPE_CLASSES = ("circle", "square", "triangle", "star")
MAX_OBJECTS = 6
MIN_SIDE, MAX_SIDE = 0.15, 0.6  # diameter of the circle around a shape, relative to the shorter image side
MAX_TURN = np.pi / 9
MAX_OVERLAP = 0.25  # IoU
FINER = 4  # grid cells per pixel side when outlines are filled


@checked(num_images=NUM_IMAGES, seed=0)
def load_shapes(num_images: int, image_size: tuple[int, int] = (192, 192), seed: int = 0) -> DetectionDataset:
    """Colored, textured circles, squares, triangles and stars on textured backgrounds.

    Args:
        num_images: number of images.
        image_size: (height, width) in pixels.
        seed: seed of the images. Use different seeds for training and evaluation.

    Returns:
        `DetectionDataset` of four classes. Images are drawn when they are read, identically each time.
    """
    image_size, records = image_hw(image_size), []
    for index in range(num_images):
        labels, outlines = _plan(np.random.default_rng([seed, index, 0]), image_size)
        low, high = (np.array([f(o, axis=0) for o in outlines]) for f in (np.min, np.max))
        draw = partial(draw_shapes, seed, index, image_size)
        flags = np.zeros(len(labels), bool)
        boxes = np.concatenate([low, high], axis=1).astype(np.float32)
        height, width = image_size
        records.append(Record(f"shapes-{seed}-{index}", draw, width, height, boxes, labels, flags, flags))
    return DetectionDataset(SHAPE_CLASSES, records, "shapes")


def draw_shapes(seed: int, index: int, image_size: tuple[int, int]) -> np.ndarray:
    """One image of `load_shapes`, (height, width, 3) RGB uint8."""
    _, outlines = _plan(np.random.default_rng([seed, index, 0]), image_size)
    rng = np.random.default_rng([seed, index, 1])
    base = rng.uniform(40, 215, 3)
    image = _texture(rng, image_size, base)
    for _ in range(rng.integers(3, 9)):
        _draw_distractor(rng, image)
    for outline in outlines:
        left, top = np.floor(outline.min(axis=0)).astype(int)
        right, bottom = np.ceil(outline.max(axis=0)).astype(int)
        part = image[top:bottom, left:right]
        _fill(part, outline - (left, top), _texture(rng, part.shape[:2], _contrasting(rng, base)))
    image += rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 10)
    return np.clip(image, 0, 255).astype(np.uint8)


def _plan(rng, image_size):
    """(labels, outlines) of the shapes. Outlines are polygons (points, 2) in pixels, inside the image."""
    labels, outlines, boxes = [], [], np.zeros((0, 4))
    height, width = image_size
    wanted = rng.integers(1, MAX_OBJECTS, endpoint=True)
    for _ in range(10 * wanted):
        side = min(image_size) * np.exp(rng.uniform(np.log(MIN_SIDE), np.log(MAX_SIDE)))
        label = rng.integers(len(SHAPE_CLASSES))
        outline = _outline(SHAPE_CLASSES[label], rng.uniform(-MAX_TURN, MAX_TURN)) * side / 2
        low, high = outline.min(axis=0), outline.max(axis=0)
        place = rng.uniform(-low, (width, height) - high)
        box = np.concatenate([low + place, high + place])[None]
        if iou(boxes, box).max(initial=0) <= MAX_OVERLAP:
            labels.append(label + 1)
            outlines.append(outline + place)
            boxes = np.concatenate([boxes, box])
        if len(labels) == wanted:
            break
    order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))  # small shapes last, on top
    return np.array(labels, np.int32)[order], [outlines[i] for i in order]


# (points, angle of the first one as a fraction of a circle, radius of every second one); y points down.
_OUTLINES = {
    "circle": (64, 0, 1.0),
    "square": (4, 1 / 8, 1.0),
    "triangle": (3, 3 / 4, 1.0),
    "star": (10, 3 / 4, 0.45),
}


def _outline(name, turn):
    """Polygon (points, 2) inside the unit circle: the upright shape rotated by `turn` radians."""
    points, first, inner = _OUTLINES[name]
    angle = turn + 2 * np.pi * (first + np.arange(points) / points)
    radius = np.where(np.arange(points) % 2, inner, 1.0)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]


def _texture(rng, image_size, color):
    """Float image around a color: soft clouds, stripes or checks."""
    height, width = image_size
    turn, period = rng.uniform(0, np.pi), rng.uniform(6, 24)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    pattern = {
        0: lambda: cv2.resize(_clouds(rng), (width, height), interpolation=cv2.INTER_CUBIC),
        1: lambda: np.sin(2 * np.pi * along / period),
        2: lambda: np.where((along % period < period / 2) == (across % period < period / 2), 1, -1),
    }[int(rng.integers(3))]()
    return (color + rng.uniform(5, 25) * pattern[..., None]).astype(np.float32)


def _clouds(rng):
    return rng.uniform(-1, 1, (5, 5)).astype(np.float32)


def _contrasting(rng, base):
    """A color that differs clearly from the background."""
    while True:
        color = rng.uniform(10, 245, 3)
        if np.abs(color - base).max() > 80:
            return color


def _draw_distractor(rng, image):
    """Draws clutter that belongs to no class: a thin line or a small cross."""
    height, width = image.shape[:2]
    color = rng.uniform(0, 255, 3)
    at, to = (rng.uniform(0, 1, (2, 2)) * (width, height)).astype(int).tolist()
    if rng.random() < 0.5:
        cv2.line(image, at, to, color, 1, cv2.LINE_AA)
    else:
        size = int(rng.integers(4, 12))
        cv2.drawMarker(image, at, color, int(rng.integers(2)), size, 2)


def _fill(image, outline, texture):
    """Blends a texture into the inside of a polygon, with smooth edges.

    The polygon is filled on a finer grid and averaged down: OpenCV's own anti-aliasing is half a pixel off.
    """
    height, width = image.shape[:2]
    fine = np.zeros((height * FINER, width * FINER), np.uint8)
    bits = 4  # fractional bits of OpenCV's coordinates, in which pixel centers are at whole numbers
    points = np.rint((outline * FINER - 0.5) * 2**bits).astype(np.int32)
    cv2.fillPoly(fine, [points], 255, cv2.LINE_8, bits)
    mask = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    image += (texture - image) * (mask[..., None] / np.float32(255))
