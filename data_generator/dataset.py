"""DetectionDataset: what every reader returns, and what generators and evaluators take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

FLAGS = ("difficult", "truncated", "crowd")


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
        difficult: (objects,) bool, Pascal VOC's mark: trained on, ignored by the evaluation. None: no object.
        truncated: (objects,) bool, reaches beyond the image. None: no object.
        crowd: (objects,) bool, COCO's mark of a region with many: not trained on, ignored by the evaluation.
            None: no object.
    """

    image_id: str
    image: str | Callable[[], np.ndarray]
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray | None = None
    truncated: np.ndarray | None = None
    crowd: np.ndarray | None = None

    def __post_init__(self):
        for flag in FLAGS:
            if getattr(self, flag) is None:
                object.__setattr__(self, flag, np.zeros(len(self.labels), bool))


class DetectionDataset(Sequence):
    """Images with boxes and labels.

    `dataset[3]` is a `Record`, `dataset[:100]` a smaller `DetectionDataset`.

    Args:
        class_names: names of the object classes, without background; label 1 is the first.
        records: list of `Record`.
        name: for `repr`.

    Raises:
        ValueError: for no or repeated class names, and for records with labels out of range or with boxes
            without area or outside their image; names the image.
    """

    def __init__(self, class_names, records, name="DetectionDataset"):
        self.class_names = tuple(class_names)
        self.records = list(records)
        self.name = name
        if not self.class_names:
            raise ValueError(f"{name}: expected at least one class name")
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError(f"{name}: class names must be unique, got {self.class_names}")
        for record in self.records:
            _check(record, self.num_classes)

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


def _check(record, num_classes):
    """Raises ValueError for what a reader must not let through (see `BoxCleaner` for its treatment)."""
    boxes, count = record.boxes, len(record.labels)
    flags = [len(getattr(record, flag)) for flag in FLAGS]
    if boxes.shape != (count, 4) or flags != [count] * len(FLAGS):
        raise ValueError(
            f"{record.image_id}: expected boxes (objects, 4) and as many labels, {', '.join(FLAGS)}, "
            f"got {boxes.shape}, {count}, {', '.join(map(str, flags))}"
        )
    if count == 0:
        return
    if record.labels.min() < 1 or record.labels.max() > num_classes:
        raise ValueError(
            f"{record.image_id}: labels must be in 1..{num_classes} (0 is background), "
            f"got {record.labels.tolist()}"
        )
    low, high = boxes[:, :2], boxes[:, 2:]
    if not ((low >= 0).all() and (high > low).all() and (high <= (record.width, record.height)).all()):
        raise ValueError(
            f"{record.image_id}: boxes must have an area and lie inside the image of "
            f"{record.width}x{record.height} pixels, got {boxes.tolist()}"
        )
