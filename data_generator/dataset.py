"""DetectionDataset: what every reader returns, and what generators and evaluators take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Record:
    """One annotated image.

    Attributes:
        image_id: name of the image, unique in its data set.
        image: path of the file, or a function that returns the RGB uint8 array.
        width: pixels.
        height: pixels.
        boxes: (objects, 4) float32 xyxy in pixels, continuous: the whole image is 0, 0, width, height.
        labels: (objects,) int32, 1 is the first class name.
        difficult: (objects,) bool.
        truncated: (objects,) bool.
    """

    image_id: str
    image: str | Callable[[], np.ndarray]
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    truncated: np.ndarray


class DetectionDataset(Sequence):
    """Images with boxes and labels.

    `dataset[3]` is a `Record`, `dataset[:100]` a smaller `DetectionDataset`.

    Args:
        class_names: names of the object classes, without background; label 1 is the first.
        records: list of `Record`.
        name: for `repr`.
    """

    def __init__(self, class_names, records, name="DetectionDataset"):
        self.class_names = tuple(class_names)
        self.records = list(records)
        self.name = name
        if not self.class_names:
            raise ValueError(f"{name}: expected at least one class name")
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError(f"{name}: class names must be unique, got {self.class_names}")

    @property
    def num_classes(self):
        return len(self.class_names)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return DetectionDataset(self.class_names, self.records[index], self.name)
        return self.records[index]

    def __repr__(self):
        objects = sum(len(record.labels) for record in self.records)
        return f"<{self.name}: {len(self)} images, {objects} objects of {self.num_classes} classes>"
