"""Record: one annotated image, and the checks of many of them."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace

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


def joined(records, field):
    """A field of all objects, image after image, (objects,)."""
    return np.concatenate([np.zeros(0, np.int32), *(getattr(record, field) for record in records)])


def reduced(record, new_labels, excluded):
    """A record with other labels, without the objects whose new label is 0 or that have an excluded flag."""
    labels = new_labels[record.labels]
    keep = labels > 0
    for flag in excluded:
        keep &= ~getattr(record, flag)
    flags = {flag: getattr(record, flag)[keep] for flag in FLAGS}
    return replace(record, boxes=record.boxes[keep], labels=labels[keep], **flags)


def check_records(records, num_classes):
    """Checks all records at once: one by one takes seconds for a large data set."""
    if not records:
        return
    for record in records:
        if not isinstance(record, Record):
            raise TypeError(f"DetectionDataset: records must be Records, got {type(record).__name__}")
        _check_shapes(record)
    counts = [len(record.labels) for record in records]
    image = np.repeat(np.arange(len(records)), counts)  # (objects,)
    labels = joined(records, "labels")
    boxes = np.concatenate([record.boxes for record in records])
    sizes = np.array([(record.width, record.height) for record in records])
    bad = ~(_labels_fit(labels, num_classes) & _boxes_fit(boxes, sizes[image]))
    if bad.any():
        _complain(records[image[bad.argmax()]], num_classes)


def _check_shapes(record):
    boxes, count = record.boxes, len(record.labels)
    if boxes.shape == (count, 4) and count == len(record.difficult) == len(record.truncated) == len(
        record.crowd
    ):
        return
    flags = ", ".join(str(len(getattr(record, flag))) for flag in FLAGS)
    raise ValueError(
        f"{record.image_id}: expected boxes (objects, 4) and as many labels, {', '.join(FLAGS)}, "
        f"got {boxes.shape}, {count}, {flags}"
    )


def _labels_fit(labels, num_classes):
    return (labels >= 1) & (labels <= num_classes)


def _boxes_fit(boxes, sizes):
    low, high = boxes[:, :2], boxes[:, 2:]
    return ((low >= 0) & (high > low) & (high <= sizes)).all(axis=1)


def _complain(record, num_classes):
    """Raises ValueError for a record that a reader should have cleaned (see `BoxCleaner`)."""
    if not _labels_fit(record.labels, num_classes).all():
        raise ValueError(
            f"{record.image_id}: labels must be in 1..{num_classes} (0 is background), "
            f"got {record.labels.tolist()}"
        )
    raise ValueError(
        f"{record.image_id}: boxes must have an area and lie inside the image of "
        f"{record.width}x{record.height} pixels, got {record.boxes.tolist()}"
    )
