"""DetectionDataset: what every reader returns, and what generators and evaluators take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from ..arguments import checked
from ..class_names import check_names, name_tuple
from ..messages import did_you_mean, printable
from .class_order import class_difference
from .pixels import RGB, Pixels, ValueRange, checked_pixels
from .record import FLAGS, Record
from .record_lists import (
    Records,
    as_records,
    check_records,
    joined,
    kinds_of_pixels,
    object_counts,
    reduced,
    taken,
    with_pixels,
)


@checked()
class DetectionDataset(Sequence[Record]):
    """Images with boxes and labels.

    - `dataset[3]` is a `Record`.
    - `dataset[:100]` is a smaller `DetectionDataset`.
    - `a + b` is a `DetectionDataset` with the images of both.

    Args:
        class_names: names of the object classes, without background; label 1 is the first.
        records: list of `Record`, or a table of them, as `load_shards` makes.
        name: name of the data set, for `repr` and messages.

    Raises:
        TypeError: for an argument of another kind, and records that are none.
        ValueError: if class names are missing, repeated or unusable (see `check_names`), or if a record has a
            label out of range, a box without area or a box outside its image; names the image.
    """

    def __init__(self, class_names: Iterable[str], records: Iterable[Record], name: str = "DetectionDataset"):
        self.class_names: tuple[str, ...] = check_names(class_names, owner=name, unused=False)
        self.records: Records = as_records(records)
        self.name = name
        if not self.class_names:
            raise ValueError(f"{name}: class_names must have at least one name")
        check_records(self.records, self.num_classes)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def pixels(self) -> Pixels:
        """How the images are read, see `with_pixels`. The range is None if it is not the same for all images.

        Raises:
            ValueError: if images are read with different channels.
        """
        kinds = kinds_of_pixels(self.records)
        if not kinds:
            return RGB
        first, *others = kinds
        for other in others:
            if other.channels != first.channels:
                raise ValueError(
                    f"{self.name}: {kinds[first]} has {first.channels} channels, "
                    f"{kinds[other]} has {other.channels}; use with_pixels(channels=...)"
                )
        ranges = {kind.value_range for kind in kinds}
        return first._replace(value_range=ranges.pop() if len(ranges) == 1 else None)

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
        return DetectionDataset(self.class_names, [*self.records, *other.records], name)

    def __repr__(self):
        labels, flags = joined(self.records, "labels"), {f: joined(self.records, f).sum() for f in FLAGS}
        empty = (object_counts(self.records) == 0).sum()
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
        records = [reduced(record, new_labels, excluded) for record in self]
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
        return DetectionDataset(self.class_names, with_pixels(self.records, pixels), self.name)

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
        parts = [taken(self.records, part) for part in (order[:count], order[count:])]
        first, second = (DetectionDataset(self.class_names, records, self.name) for records in parts)
        return first, second

    def class_counts(self) -> dict[str, int]:
        """Number of objects of each class, a dictionary in the order of the labels."""
        counts = np.bincount(joined(self.records, "labels"), minlength=self.num_classes + 1)[1:]
        return dict(zip(self.class_names, counts.tolist(), strict=True))
