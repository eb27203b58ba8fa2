"""Record: one annotated image."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .images import read_image
from .pixels import RGB, Pixels

FLAGS = ("difficult", "truncated", "crowd")
_KINDS = (
    ("image_id", str, "a string"),
    ("width", (int, np.integer), "a whole number"),
    ("height", (int, np.integer), "a whole number"),
    ("boxes", np.ndarray, "an array"),
    ("labels", np.ndarray, "an array"),
    *((flag, (np.ndarray, type(None)), "an array or None") for flag in FLAGS),
)


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One annotated image.

    Attributes:
        image_id: name of the image, unique in its data set.
        image: path of the file, or a function that returns the RGB uint8 array or an image file's bytes.
        width: pixels.
        height: pixels.
        boxes: (objects, 4) float32 xyxy in pixels, continuous: the whole image is 0, 0, width, height.
        labels: (objects,) int32, 1 is the first class name.
        difficult: (objects,) bool, Pascal VOC's flag. Used in training, ignored in evaluation. None: no
            object.
        truncated: (objects,) bool, the object extends beyond the image. None: no object.
        crowd: (objects,) bool, COCO's flag of a region with many objects. Ignored in training and evaluation.
            None: no object.
        pixels: how the image is read, see `DetectionDataset.with_pixels`.
    """

    image_id: str
    image: str | Callable[[], np.ndarray | bytes]
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    # Every record holds arrays; None becomes an array of False.
    difficult: np.ndarray = None  # type: ignore[assignment]
    truncated: np.ndarray = None  # type: ignore[assignment]
    crowd: np.ndarray = None  # type: ignore[assignment]
    pixels: Pixels = RGB

    def __post_init__(self):
        _check_kinds(self)
        for flag in FLAGS:
            if getattr(self, flag) is None:
                object.__setattr__(self, flag, np.zeros(len(self.labels), bool))

    def read(self) -> np.ndarray:
        """The image, (height, width, channels) uint8, see `read_image`."""
        return read_image(self.image, size=(self.width, self.height), **self.pixels._asdict())


def _check_kinds(record):
    # `checked` would take longer than all the rest where a million records are made.
    for name, kinds, words in _KINDS:
        value = getattr(record, name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            got = f"{type(value).__name__} {reprlib.repr(value)}"
            raise TypeError(f"Record: {name} must be {words}, got {got}")
    if not callable(record.image) and not isinstance(record.image, str | os.PathLike):
        raise TypeError(f"Record: image must be a path or a function, got {type(record.image).__name__}")
    if record.width < 1 or record.height < 1:
        name = "width" if record.width < 1 else "height"
        raise ValueError(f"Record: {name} must be at least 1, got {getattr(record, name)}")
