"""Detections from a file, checked and sorted by image."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ...boxes import look_relative
from ...data_generator import DetectionDataset
from ...data_generator.formats.fields import IMAGE_SUFFIXES, LIMIT
from ...messages import did_you_mean, quoted

# Bytes of a file that is read at once. COCO's results of 500,000 boxes have 60 MB.
MAX_BYTES = 2**30


@dataclass
class Table:
    """The detections of one file or more, one after the other, as they are read.

    Attributes:
        images: index of the image of each.
        rows: [class_id, score, xmin, ymin, xmax, ymax] of each.
        places: what names each in a message, such as file and line.
    """

    images: list[int] = field(default_factory=list)
    rows: list[tuple] = field(default_factory=list)
    places: list[tuple] = field(default_factory=list)

    def add(self, image, row, place):
        self.images.append(image)
        self.rows.append(row)
        self.places.append(place)

    def per_image(self, dataset: DetectionDataset, path, where: Callable[..., str]) -> list[np.ndarray]:
        """The rows of each image by descending score.

        Args:
            dataset: the `DetectionDataset`.
            path: path of the file or folder, for a message about all of them.
            where: function that makes the start of a message from a place.

        Raises:
            ValueError: names the place of the first row that is wrong.
        """
        rows, images = np.array(self.rows, float).reshape(-1, 6), np.array(self.images, int)
        self._check(rows, where)
        sizes = np.array([(record.width, record.height) for record in dataset])
        if look_relative(rows[:, 2:], sizes):
            raise ValueError(
                f"{path}: the boxes look relative to the images (0..1), but pixels of the original images "
                "are expected"
            )
        order = np.lexsort((-rows[:, 1], images))
        counts = np.bincount(images, minlength=len(dataset))
        return np.split(rows[order], np.cumsum(counts)[:-1])

    def _check(self, rows, where):
        faults = (
            (~np.isfinite(rows[:, 1]), "the score must be a finite number", lambda row: row[1]),
            (~(np.abs(rows[:, 2:]) < LIMIT).all(axis=1), "the box must be numbers below 1e6", _box),
            (
                (rows[:, 4:] < rows[:, 2:4]).any(axis=1),
                "the width and height of the box must not be negative, xmin, ymin, xmax, ymax are",
                _box,
            ),
        )
        for bad, text, value in faults:
            if bad.any():
                first = int(bad.argmax())
                raise ValueError(f"{where(*self.places[first])}: {text}, got {value(rows[first])}")


def _box(row):
    return [float(f"{side:g}") for side in row[2:]]


class Images:
    """Finds the images of a data set by what tools call them."""

    def __init__(self, dataset: DetectionDataset):
        self.name = dataset.name
        self._ids = {record.image_id: i for i, record in enumerate(dataset)}
        stems: dict[str, int | None] = {}
        for i, record in enumerate(dataset):
            paths = [] if callable(record.image) else [os.fspath(record.image)]
            for stem in {_stem(text) for text in (record.image_id, *paths)}:
                # A name that several images have finds none.
                stems[stem] = i if stems.get(stem, i) == i else None
        self._stems = stems
        self._known: dict[str, int] = {}

    def find(self, text: str, where: str) -> int:
        """Index of the image with this id, or with a file of this name, also without folders and suffix.

        Raises:
            ValueError: if there is none; names where.
        """
        if text not in self._known:
            found = self._ids.get(text, self._ids.get(_without_suffix(text), self._stems.get(_stem(text))))
            if found is None:
                hint = did_you_mean(text, self._ids) if len(self._ids) <= 10_000 else ""
                raise ValueError(f"{where}: the data set {self.name} has no image {quoted(text)}{hint}")
            self._known[text] = found
        return self._known[text]


def class_id(name: str, dataset: DetectionDataset, where: str) -> int:
    """The class id of a name.

    Raises:
        ValueError: if the data set does not have it; names where.
    """
    if name not in dataset.class_names:
        raise ValueError(
            f"{where}: the data set has no class {quoted(name)}{did_you_mean(name, dataset.class_names)}"
        )
    return dataset.class_names.index(name) + 1


def _stem(text):
    return _without_suffix(PurePosixPath(text.replace("\\", "/")).name)


def _without_suffix(text):
    """The name without the suffix of an image. Another dot may be part of an id, as in `frame_1.5`."""
    stem, dot, suffix = text.rpartition(".")
    return stem if stem and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else text
