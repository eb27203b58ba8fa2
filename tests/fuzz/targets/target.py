"""What a target of fuzzing is, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import multibox as mb
from multibox.data_generator.formats.fields import check_name

from .. import mutators as m

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: for the table.
        prepare: writes a sound folder.
        file: the file in it that is damaged.
        read: reads the folder; raises AssertionError if the result cannot be right.
        mutate: damages the file.
        corpus: other sound contents of the file, besides the one that `prepare` writes.
        memory: bytes that reading may take.
        named: texts of which an error must have one; none: the name of the file.
    """

    name: str
    prepare: Callable[[Path], object]
    file: str
    read: Callable[[Path], Any]
    mutate: m.Mutator
    corpus: Sequence[bytes] = ()
    memory: int = 128 * MEGABYTE
    named: tuple[str, ...] = ()


def check(data: mb.DetectionDataset) -> None:
    """What holds for every data set that a reader returns."""
    assert all(check_name(name, "", "") for name in data.class_names)
    for record in data:
        assert record.width > 0 and record.height > 0
        boxes, labels = np.asarray(record.boxes), np.asarray(record.labels)
        assert boxes.shape == (len(labels), 4) and np.isfinite(boxes).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
        assert (boxes <= (record.width, record.height) * 2).all()
        assert ((labels >= 1) & (labels <= len(data.class_names))).all()


TEXT = m.several(m.change_text, m.change_text, m.change_text, m.change_bytes)
JSON = m.several(m.change_json, m.change_json, m.change_json, m.change_text)
XML = m.several(m.change_xml, m.change_xml, m.change_xml, m.change_text, m.change_bytes)
HDF5 = m.several(m.change_hdf5, m.change_bytes, most=2)
IMAGE = m.several(m.change_head, m.change_bytes, most=2)
