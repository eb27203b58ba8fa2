"""RecordTable: the records of a large data set as arrays, from which each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import overload

import numpy as np

from .pixels import RGB, Pixels
from .record import Record

OBJECT_FIELDS = ("boxes", "labels", "difficult", "truncated", "crowd")
Images = Sequence[Callable[[], np.ndarray | bytes]]


class RecordTable(Sequence[Record]):
    """Records of a data set. Their arrays take a tenth of the memory of a list of `Record`.

    Args:
        image_ids: name of each image.
        images: the image functions, see `Record`; `images[i]` may be made when it is asked for.
        fields: `width` and `height` (images,), `object_starts` (images + 1,), and for all objects, image
            after image, `boxes` (objects, 4) float32 xyxy in pixels, `labels` (objects,) int32, `difficult`,
            `truncated` and `crowd` (objects,) bool.
        pixels: how the images are read.
    """

    def __init__(
        self, image_ids: Sequence[str], images: Images, fields: Mapping[str, np.ndarray], pixels: Pixels = RGB
    ):
        self.image_ids, self.images, self.pixels = image_ids, images, pixels
        self.rows = np.arange(len(image_ids))  # of the records that are in this table
        self._is_whole = True
        self._sizes = np.stack([fields["width"], fields["height"]], axis=1)
        self._starts = np.asarray(fields["object_starts"], np.int64)
        self._objects = {name: fields[name] for name in OBJECT_FIELDS}

    def __len__(self):
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> RecordTable: ...

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = int(self.rows[index])
        mine = slice(self._starts[row], self._starts[row + 1])
        objects = (self._objects[name][mine] for name in OBJECT_FIELDS)
        return Record(
            self.image_ids[row], self.images[row], *self._sizes[row].tolist(), *objects, pixels=self.pixels
        )

    def take(self, indices: np.ndarray) -> RecordTable:
        """The records at these indices, without a copy of the arrays."""
        taken = copy(self)
        taken.rows, taken._is_whole = self.rows[indices], False
        return taken

    def with_pixels(self, pixels: Pixels) -> RecordTable:
        """The same records, read in another way."""
        changed = copy(self)
        changed.pixels = pixels
        return changed

    @property
    def sizes(self) -> np.ndarray:
        """Width and height of each image, (images, 2)."""
        return self._sizes[self.rows]

    @property
    def object_counts(self) -> np.ndarray:
        """Number of objects of each image, (images,)."""
        return np.diff(self._starts)[self.rows]

    def joined(self, field: str) -> np.ndarray:
        """A field of all objects, image after image, (objects, ...)."""
        if self._is_whole:
            return self._objects[field]
        counts = self.object_counts
        first = np.repeat(self._starts[self.rows] - (np.cumsum(counts) - counts), counts)
        return self._objects[field][first + np.arange(len(first))]
