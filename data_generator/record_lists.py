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


def image_ids(records: Records) -> list[str]:
    """The image id of each record."""
    if isinstance(records, RecordTable):
        return [records.image_ids[row] for row in records.rows]
    return [record.image_id for record in records]


def image_sizes(records: Records) -> np.ndarray:
    """Width and height of each image, (images, 2)."""
    if isinstance(records, RecordTable):
        return records.sizes
    return np.array([(record.width, record.height) for record in records], np.int64).reshape(-1, 2)


def joined(records: Records, field: str) -> np.ndarray:
    """A field of all objects, image after image, (objects, ...)."""
    if isinstance(records, RecordTable):
        return records.joined(field)
    fields = [getattr(record, field) for record in records]
    return np.concatenate(fields) if fields else np.zeros(0, np.int32)


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
    if not isinstance(records, RecordTable):
        for record in records:
            if not isinstance(record, Record):
                raise TypeError(f"DetectionDataset: records must be Records, got {type(record).__name__}")
            _check_shapes(record)
    sizes = image_sizes(records)
    image = np.repeat(np.arange(len(records)), object_counts(records))  # (objects,)
    labels_fit = _labels_fit(joined(records, "labels"), num_classes)
    bad = ~(labels_fit & _boxes_fit(joined(records, "boxes"), sizes[image]))
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
