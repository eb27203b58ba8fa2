"""View: a training sample before its pixels exist. Transforms move the view; `render` draws it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...boxes import clip, flip
from ..pixels import RGB, Pixels
from ..record import Record


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """An image and its place in the scene of a view.

    Attributes:
        image: see `read_image`.
        size: (width, height) of the image in pixels.
        place: xyxy of the whole image, in scene pixels.
        window: xyxy in scene pixels; the image is cropped to it.
        opacity: below 1, pictures that were drawn before show through.
        pixels: how the image is read.
    """

    image: str | Callable[[], np.ndarray | bytes]
    size: tuple[int, int]
    place: tuple[float, float, float, float]
    window: tuple[float, float, float, float]
    opacity: float = 1.0
    pixels: Pixels = RGB


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """A rectangle of a scene, possibly mirrored and turned, and the objects in it.

    The scene is a plane of pixels with pictures on it: one source image at its own size, or several images.

    Attributes:
        pictures: tuple of `Picture`, drawn in this order.
        rect: (4,) xyxy in scene pixels; may reach outside the pictures.
        boxes: (objects, 4) xyxy in scene pixels.
        labels: (objects,) int.
        difficult: (objects,) bool.
        flipped: whether the view is mirrored left to right.
        turns: quarter turns clockwise, after mirroring.
        channels: number of channels of the pictures.
    """

    pictures: tuple[Picture, ...]
    rect: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    flipped: bool = False
    turns: int = 0
    channels: int = 3

    @classmethod
    def of_record(cls, record: Record) -> View:
        """The whole image with its objects, without COCO's crowd regions."""
        size = (record.width, record.height)
        whole = (0.0, 0.0, *size)
        pictures = (Picture(record.image, size, whole, whole, pixels=record.pixels),)
        annotations = record.boxes, record.labels, record.difficult
        view = cls(pictures, np.array(whole), *annotations, channels=record.pixels.channels)
        return view.keep(~record.crowd) if record.crowd.any() else view

    @property
    def size(self) -> np.ndarray:
        """(width, height) of the rectangle in scene pixels, before any turn."""
        return self.rect[2:] - self.rect[:2]

    def keep(self, mask: np.ndarray) -> View:
        """The view with the objects that `mask` (objects,) selects."""
        return replace(self, boxes=self.boxes[mask], labels=self.labels[mask], difficult=self.difficult[mask])

    def turned(self, turns: int) -> View:
        """The view after `turns` more quarter turns clockwise."""
        return replace(self, turns=(self.turns + turns) % 4)

    def mirrored(self) -> View:
        """The view mirrored left to right as it appears now: a mirror reverses the turns before it."""
        return replace(self, flipped=not self.flipped, turns=-self.turns % 4)

    def relative_boxes(self) -> np.ndarray:
        """(objects, 4) float64 xyxy relative to the view (0..1), mirrored and turned as the view is."""
        low = self.rect[:2]
        boxes = clip(self.boxes, low, self.rect[2:]) - np.concatenate([low, low])
        size = self.size
        boxes = boxes / np.concatenate([size, size])
        if self.flipped:
            boxes = flip(boxes, 1.0)
        for _ in range(self.turns):
            # (x, y) goes to (1 - y, x): the lowest point becomes the left one.
            boxes = np.stack([1 - boxes[:, 3], boxes[:, 0], 1 - boxes[:, 1], boxes[:, 2]], axis=1)
        return boxes
