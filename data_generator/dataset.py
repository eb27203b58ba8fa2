"""DetectionDataset: what every reader returns, and what generators and evaluators take."""

from __future__ import annotations

import os
import reprlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from ..arguments import checked
from ..class_names import check_names, name_tuple
from ..messages import did_you_mean, printable
from .images import read_image
from .pixels import RGB, Pixels, ValueRange, checked_pixels

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


@checked()
class DetectionDataset(Sequence[Record]):
    """Images with boxes and labels.

    - `dataset[3]` is a `Record`.
    - `dataset[:100]` is a smaller `DetectionDataset`.
    - `a + b` is a `DetectionDataset` with the images of both.

    Args:
        class_names: names of the object classes, without background; label 1 is the first.
        records: list of `Record`.
        name: name of the data set, for `repr` and messages.

    Raises:
        TypeError: for an argument of another kind, and records that are none.
        ValueError: if class names are missing, repeated or unusable (see `check_names`), or if a record has a
            label out of range, a box without area or a box outside its image; names the image.
    """

    def __init__(self, class_names: Iterable[str], records: Iterable[Record], name: str = "DetectionDataset"):
        self.class_names: tuple[str, ...] = check_names(class_names, owner=name, unused=False)
        self.records: list[Record] = list(records)
        self.name = name
        if not self.class_names:
            raise ValueError(f"{name}: class_names must have at least one name")
        _check_all(self.records, self.num_classes)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def pixels(self) -> Pixels:
        """How the images are read, see `with_pixels`. The range is None if it is not the same for all images.

        Raises:
            ValueError: if images are read with different channels.
        """
        if not self.records:
            return RGB
        first = self.records[0]
        for record in self.records:
            if record.pixels.channels != first.pixels.channels:
                raise ValueError(
                    f"{self.name}: {first.image_id} has {first.pixels.channels} channels, "
                    f"{record.image_id} has {record.pixels.channels}; use with_pixels(channels=...)"
                )
        ranges = {record.pixels.value_range for record in self.records}
        return first.pixels._replace(value_range=ranges.pop() if len(ranges) == 1 else None)

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> DetectionDataset: ...

    def __getitem__(self, index):
        if isinstance(index, slice):
            return DetectionDataset(self.class_names, self.records[index], self.name)
        return self.records[index]

    def __add__(self, other: DetectionDataset) -> DetectionDataset:
        """The images of both.

        Raises:
            ValueError: if the class names differ, or if an image id is in both.
        """
        if not isinstance(other, DetectionDataset):
            return NotImplemented
        name = f"{self.name} + {other.name}"
        if self.class_names != other.class_names:
            difference = class_difference(
                repr(self.name), self.class_names, repr(other.name), other.class_names
            )
            raise ValueError(f"{name}: {difference}")
        ids = {record.image_id for record in self}
        both = [record.image_id for record in other if record.image_id in ids]
        if both:
            raise ValueError(f"{name}: {len(both)} image ids are in both, first {', '.join(both[:3])}")
        return DetectionDataset(self.class_names, self.records + other.records, name)

    def __repr__(self):
        labels, flags = _joined(self.records, "labels"), {f: _joined(self.records, f).sum() for f in FLAGS}
        empty = sum(len(record.labels) == 0 for record in self)
        images = f"{len(self)} images" + (f" ({empty} without objects)" if empty else "")
        objects = f"{len(labels)} objects of {self.num_classes} classes"
        flagged = ", ".join(f"{count} {flag}" for flag, count in flags.items() if count)
        return f"<{printable(self.name, limit=200)}: {images}, {objects}{f' ({flagged})' if flagged else ''}>"

    @checked()
    def subset(
        self,
        classes: Sequence[str] | None = None,
        *,
        exclude_difficult: bool = False,
        exclude_truncated: bool = False,
    ) -> DetectionDataset:
        """The same images with fewer objects; images that lose all of them stay, as background.

        Args:
            classes: names to keep, in the order of the new labels 1, 2, ... None keeps all.
            exclude_difficult: whether to leave out objects marked difficult.
            exclude_truncated: whether to leave out objects marked truncated.

        Returns:
            `DetectionDataset`.

        Raises:
            ValueError: for a class that the data set does not have; names it and lists the classes.
        """
        classes = self.class_names if classes is None else name_tuple(classes, "subset: classes")
        if not classes:
            raise ValueError(f"{self.name}: subset: classes must have at least one name")
        unknown = [name for name in classes if name not in self.class_names]
        if unknown:
            missing, hint = ", ".join(map(repr, unknown)), did_you_mean(unknown[0], self.class_names)
            raise ValueError(
                f"{self.name}: no class {missing}; there are {', '.join(self.class_names)}{hint}"
            )
        new_labels = np.zeros(self.num_classes + 1, np.int32)  # 0: leave out
        new_labels[[self.class_names.index(name) + 1 for name in classes]] = np.arange(1, len(classes) + 1)
        excluded = ["difficult"] * exclude_difficult + ["truncated"] * exclude_truncated
        records = [_reduced(record, new_labels, excluded) for record in self]
        return DetectionDataset(classes, records, self.name)

    @checked(channels=1)
    def with_pixels(self, *, channels: int = 3, value_range: ValueRange = None) -> DetectionDataset:
        """The same images, read in another way. Whatever takes the data set reads them so.

        `train` stores the range in the model, so that `detect` reads its images in the same way.

        Example:

        ```python
        data = mb.load_coco("thermal.json", "images").with_pixels(value_range=(0, 4095))
        ```

        Args:
            channels: number of channels: 3 for RGB, 1 for gray, or as many as the files have. The model must
                be built with the same `channels`.
            value_range: which numbers of images with more than 8 bits become 0 and 255: (lowest, highest),
                "percentile" or None, see `read_image`.

        Returns:
            `DetectionDataset`.

        Raises:
            ValueError: for channels or a range that cannot be.
        """
        pixels = checked_pixels("with_pixels", channels, value_range)
        records = [replace(record, pixels=pixels) for record in self.records]
        return DetectionDataset(self.class_names, records, self.name)

    @checked(seed=0)
    def split(self, fraction: float, *, seed: int = 0) -> tuple[DetectionDataset, DetectionDataset]:
        """Divides the images at random.

        Args:
            fraction: share of the images that go into the first part, between 0 and 1.
            seed: seed of the shuffling.

        Returns:
            Two `DetectionDataset`; the first has round(fraction * len(dataset)) images.

        Raises:
            ValueError: if the fraction is not between 0 and 1, or if a part would have no images.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"{self.name}: the fraction must be between 0 and 1, got {fraction}")
        count = round(fraction * len(self))
        if count in (0, len(self)):
            raise ValueError(f"{self.name}: {fraction} of {len(self)} images leaves a part without images")
        order = np.random.default_rng(seed).permutation(len(self))
        parts = [[self.records[i] for i in part] for part in (order[:count], order[count:])]
        first, second = (DetectionDataset(self.class_names, records, self.name) for records in parts)
        return first, second

    def class_counts(self) -> dict[str, int]:
        """Number of objects of each class, a dictionary in the order of the labels."""
        counts = np.bincount(_joined(self.records, "labels"), minlength=self.num_classes + 1)[1:]
        return dict(zip(self.class_names, counts.tolist(), strict=True))


def _joined(records, field):
    """A field of all objects, image after image, (objects,)."""
    return np.concatenate([np.zeros(0, np.int32), *(getattr(record, field) for record in records)])


def _reduced(record, new_labels, excluded):
    """A record with other labels, without the objects whose new label is 0 or that have an excluded flag."""
    labels = new_labels[record.labels]
    keep = labels > 0
    for flag in excluded:
        keep &= ~getattr(record, flag)
    flags = {flag: getattr(record, flag)[keep] for flag in FLAGS}
    return replace(record, boxes=record.boxes[keep], labels=labels[keep], **flags)


def align_classes(dataset, class_names, owner):
    """The data set with its labels in the order of a model's classes.

    Args:
        dataset: a `DetectionDataset`.
        class_names: the model's class names in the order of its labels. With None nothing is compared.
        owner: name of the calling function, for messages.

    Returns:
        The data set itself. If both have the same names in another order: a data set with the model's labels;
        a warning reports the change.

    Raises:
        ValueError: if the names differ; lists the differences.
    """
    if class_names is None or tuple(class_names) == dataset.class_names:
        return dataset
    if set(class_names) == set(dataset.class_names):
        warnings.warn(
            f"{owner}: the data set has the model's classes in another order; its labels are changed to the "
            f"model's order: {', '.join(class_names)}",
            stacklevel=4,  # beyond the `checked` caller
        )
        return dataset.subset(classes=class_names)
    raise ValueError(
        f"{owner}: {class_difference('the model', class_names, 'the data set', dataset.class_names)}; load "
        "the data with classes=class_names_of(model), or change the model's classes with "
        "sample_classes(model, dataset.class_names)"
    )


def class_difference(a, names_a, b, names_b):
    """How the class names of `a` and `b` differ, in words."""
    only = [
        f"only {part} has {', '.join(map(repr, names))}"
        for part, mine, other in ((a, names_a, names_b), (b, names_b, names_a))
        if (names := [n for n in mine if n not in other and n is not None])
    ]
    if only:
        return f"the class names differ: {'; '.join(only)}"
    label = next(i for i, (x, y) in enumerate(zip(names_a, names_b, strict=False)) if x != y)
    return (
        f"the class names are the same in another order: {a} has {names_a[label]!r} as label {label + 1}, "
        f"{b} has {names_b[label]!r}; reorder one of them with `subset(classes)`"
    )


def _check_all(records, num_classes):
    """Checks all records at once: one by one takes seconds for a large data set."""
    if not records:
        return
    for record in records:
        if not isinstance(record, Record):
            raise TypeError(f"DetectionDataset: records must be Records, got {type(record).__name__}")
        _check_shapes(record)
    counts = [len(record.labels) for record in records]
    image = np.repeat(np.arange(len(records)), counts)  # (objects,)
    labels = _joined(records, "labels")
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
