"""View: a training sample before its pixels exist. Transforms move the view; `render` draws it once."""

from dataclasses import dataclass

import numpy as np

from ..boxes import clip, flip


@dataclass(frozen=True, eq=False)
class View:
    """A rectangle of a source image, seen possibly mirrored, and the objects in it.

    Attributes:
        image_size: (width, height) of the source image in pixels.
        rect: (4,) xyxy in source pixels; may reach outside the image.
        flipped: whether the view is mirrored left to right.
        boxes: (objects, 4) xyxy in source pixels.
        labels: (objects,) int.
        difficult: (objects,) bool.
    """

    image_size: tuple[int, int]
    rect: np.ndarray
    flipped: bool
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray

    @classmethod
    def of_record(cls, record):
        """The whole image with all its objects."""
        size = (record.width, record.height)
        rect = np.array([0.0, 0.0, *size])
        return cls(size, rect, False, record.boxes, record.labels, record.difficult)

    @property
    def size(self):
        """(width, height) of the rectangle in source pixels."""
        return self.rect[2:] - self.rect[:2]

    def relative_boxes(self):
        """(objects, 4) float32 xyxy relative to the view (0..1), mirrored if the view is."""
        boxes = clip(self.boxes, self.rect[:2], self.rect[2:]) - np.tile(self.rect[:2], 2)
        boxes = (boxes / np.tile(self.size, 2)).astype(np.float32)
        return flip(boxes, 1.0) if self.flipped else boxes
