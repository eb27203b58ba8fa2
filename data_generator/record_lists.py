"""All records of a data set at once: a list of `Record`, or a `RecordTable`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .pixels import Pixels
from .record import FLAGS, Record
from .record_table import RecordTable

Records = list[Record] | RecordTable


def as_records(records: Iterable[Record]) -> Records:
    """A list, or the table that was given."""
    return records if isinstance(records, RecordTable) else list(records)


def taken(records: Records, indices: np.ndarray) -> Records:
    """The records at these indices."""
    if isinstance(records, RecordTable):
        return records.take(indices)
    return [records[i] for i in indices]


def joined(records: Records, field: str) -> np.ndarray:
    """A field of all objects, image after image, (objects,)."""
    if isinstance(records, RecordTable):
        return records.joined(field)
    return np.concatenate([np.zeros(0, np.int32), *(getattr(record, field) for record in records)])


def object_counts(records: Records) -> np.ndarray:
    """Number of objects of each image, (images,)."""
    if isinstance(records, RecordTable):
        return records.object_counts
    return np.array([len(record.labels) for record in records], np.int64)


def with_pixels(records: Records, pixels: Pixels) -> Records:
    """The records, read in another way."""
    if isinstance(records, RecordTable):
        return records.with_pixels(pixels)
    return [replace(record, pixels=pixels) for record in records]


def kinds_of_pixels(records: Records) -> dict[Pixels, str]:
    """{each way in which images are read: id of the first image that is read so}."""
    if isinstance(records, RecordTable):
        return {records.pixels: records[0].image_id} if len(records) else {}
    kinds = {}
    for record in records:
        kinds.setdefault(record.pixels, record.image_id)
    return kinds


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
    if not len(records):
        return
    if isinstance(records, RecordTable):
        boxes, sizes = records.joined("boxes"), records.sizes
    else:
        for record in records:
            if not isinstance(record, Record):
                raise TypeError(f"DetectionDataset: records must be Records, got {type(record).__name__}")
            _check_shapes(record)
        boxes = np.concatenate([record.boxes for record in records])
        sizes = np.array([(record.width, record.height) for record in records])
    image = np.repeat(np.arange(len(records)), object_counts(records))  # (objects,)
    bad = ~(_labels_fit(joined(records, "labels"), num_classes) & _boxes_fit(boxes, sizes[image]))
    if bad.any():
        _complain(records[int(image[bad.argmax()])], num_classes)


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
