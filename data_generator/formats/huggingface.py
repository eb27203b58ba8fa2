"""Reads data sets of Hugging Face's library `datasets`, which need not be imported here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from ...arguments import checked
from ...class_names import name_tuple
from ...messages import quoted
from ..dataset import DetectionDataset
from ..images import image_size
from ..record import FLAGS
from .annotation import Annotation, assemble, raise_error, scan
from .box_formats import check_box_format, corners, corners_instead
from .cleaning import MAX_DROPPED
from .fields import LIMIT, number, size_or_none

_BOXES = ("bbox", "bboxes", "boxes")
_CLASSES = ("category", "categories", "category_id", "label", "labels")
_KEYS = {"crowd": ("crowd", "iscrowd", "is_crowd"), "difficult": ("difficult",), "truncated": ("truncated",)}


@checked()
def load_huggingface(
    dataset: Any,
    classes: Sequence[str] | None = None,
    *,
    image: str = "image",
    objects: str = "objects",
    box_format: str | None = None,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads one split of a data set with boxes that `datasets.load_dataset` returns.

    Example:

    ```
    split = datasets.load_dataset("cppe-5", split="train")
    data = mb.load_huggingface(split)
    ```

    Args:
        dataset: a `datasets.Dataset`, or what has its `features`, length and rows by index. A row has the
            columns `image` and `objects`, and possibly `image_id`, `width` and `height`.
        classes: names in the order of the labels 1, 2, ... None takes the names of the `ClassLabel` feature,
            or those that occur, sorted. If the classes are bare numbers, these count the given `classes` from
            0.
        image: column of the picture: a PIL image, or a dictionary of `bytes` and `path`.
        objects: column of the objects: a dictionary of lists, or a list of dictionaries, with the keys

            - `bbox`, `bboxes` or `boxes`
            - `category`, `categories`, `category_id`, `label` or `labels`
            - and possibly `iscrowd`, `is_crowd` or `crowd`, `difficult`, `truncated`
        box_format: "xywh" for [x, y, width, height], as in most data sets, or "xyxy" for corners, in pixels.
            None is "xywh", and refuses boxes that fit their images only as corners.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - The pictures stay in the data set; each is read when it is needed.
        - `image_id` is the column of that name, else the number of the row.
        - A missing size is read from the picture.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        TypeError: for something that is no data set, or several splits.
        ValueError: for a missing column or key, lists of different lengths, a box that has not four numbers,
            a class without name; names the row.
    """
    check_box_format(box_format, "load_huggingface")
    if classes is not None:
        classes = name_tuple(classes, "load_huggingface: classes")
    reader = _Reader(dataset, image, objects, classes)
    annotations = list(scan(range(len(dataset)), reader.annotation, raise_error, progress, "Hugging Face"))
    if box_format is None:
        boxes = np.concatenate([np.zeros((0, 4)), *(a.boxes for a in annotations)])
        sizes = np.array([a.size for a in annotations for _ in a.names], float).reshape(-1, 2)
        reason = corners_instead(boxes, sizes)
        if reason:
            raise ValueError(f"load_huggingface: {objects}: {reason}")
    for a in annotations:
        a.boxes[:] = corners(a.boxes, box_format)
    if classes is None:
        classes = reader.names or None
    name = getattr(getattr(dataset, "info", None), "dataset_name", None) or "data set"
    return assemble(annotations, classes, f"Hugging Face {name}", "load_huggingface", max_dropped=max_dropped)


@dataclass(frozen=True, eq=False, slots=True)
class RowImage:
    """An image function (see `read_image`): the picture in one row."""

    rows: Any
    index: int
    column: str

    def __call__(self):
        value = self.rows[self.index][self.column]
        if isinstance(value, dict):
            return value["bytes"] if value.get("bytes") is not None else Path(value["path"]).read_bytes()
        return np.asarray(value.convert("RGB"))

    def __str__(self):
        return f"row {self.index} of a Hugging Face data set"


class _Reader:
    """Turns rows into annotations; their boxes are as in the data set."""

    def __init__(self, dataset, image, objects, classes):
        self.features = getattr(dataset, "features", None) or {}
        _check_columns(dataset, self.features, image, objects)
        self.image, self.objects, self.classes = image, objects, classes
        self.names = _class_label_names(self.features.get(objects))
        # Pictures as bytes, decoded only when they are needed; the library's feature knows how.
        feature = self.features.get(image)
        if hasattr(feature, "decode") and hasattr(dataset, "cast_column"):
            dataset = dataset.cast_column(image, type(feature)(decode=False))
        self.rows = dataset

    def annotation(self, i):
        row, where = self.rows[i], f"row {i}"
        boxes, values, flags = _columns(row[self.objects], where)
        picture = RowImage(self.rows, i, self.image)
        sides = (number(row.get(side) or 0, where, side) for side in ("width", "height"))
        size = size_or_none(*sides, where)
        size = size or _picture_size(row[self.image], where)
        image_id = row.get("image_id")
        names = tuple(self._name(value, where) for value in values)
        image_id = str(i if image_id is None else image_id)
        return Annotation(image_id, picture, size, boxes, names, *(flags[flag] for flag in FLAGS), where)

    def _name(self, value, where):
        if isinstance(value, str):
            return value
        names = self.names or self.classes
        if names is None:
            raise ValueError(
                f"{where}: the class {value!r} is a number, and the data set has no names; pass `classes`"
            )
        if not isinstance(value, int) or not 0 <= value < len(names):
            raise ValueError(f"{where}: the class must be in 0..{len(names) - 1}, got {value!r}")
        return names[value]


def _check_columns(dataset, features, image, objects):
    if isinstance(dataset, dict):
        raise TypeError(
            f"load_huggingface: expected one split, got {', '.join(map(repr, dataset))}; pass one of "
            f"these, such as dataset[{next(iter(dataset), 'train')!r}]"
        )
    has_rows = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not has_rows or isinstance(dataset, str | bytes):
        raise TypeError(
            "load_huggingface: dataset must have a length and rows by index, got "
            f"{type(dataset).__name__}; load it without streaming"
        )
    if not len(dataset):
        raise ValueError("load_huggingface: dataset has no rows")
    columns = list(features) or list(dataset[0])
    for column, option in ((image, "image"), (objects, "objects")):
        if column not in columns:
            raise ValueError(
                f"load_huggingface: no column {column!r}; there are {', '.join(columns)}. Pass {option}="
            )


def _class_label_names(feature):
    """The names of the `ClassLabel` of the objects, or None. Each version of the library nests it its way."""
    feature = _inner(feature)
    kinds = [_inner(feature[key]) for key in _CLASSES if isinstance(feature, dict) and key in feature]
    names = next((kind.names for kind in kinds if getattr(kind, "names", None)), None)
    return None if names is None else tuple(names)


def _inner(feature):
    """What a list feature is a list of; other features as they are."""
    if isinstance(feature, list) and feature:
        return feature[0]
    return getattr(feature, "feature", feature)


def _columns(objects, where):
    """(boxes, classes, {flag: array}) of the objects of a row."""
    if isinstance(objects, list) and all(isinstance(one, dict) for one in objects):
        keys = list(objects[0]) if objects else [*_BOXES[:1], *_CLASSES[:1]]
        objects = {key: [one.get(key) for one in objects] for key in keys}
    if not isinstance(objects, dict):
        raise ValueError(
            f"{where}: the objects must be a dictionary of lists or a list of dictionaries, got "
            f"{quoted(objects)}"
        )
    boxes, classes = (_values(objects, keys, where) for keys in (_BOXES, _CLASSES))
    try:
        array = np.array(boxes, float).reshape(len(boxes), -1)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros((len(boxes), 0))
    if len(boxes) == 0:
        array = np.zeros((0, 4))
    if array.shape[1] != 4 or not (np.abs(array) < LIMIT).all():
        raise ValueError(f"{where}: each box must be four numbers below 1e6, got {quoted(boxes, 200)}")
    if len(classes) != len(boxes):
        raise ValueError(f"{where}: {len(boxes)} boxes, but {len(classes)} classes")
    flags = {flag: _flag(objects, keys, len(boxes), where) for flag, keys in _KEYS.items()}
    return array, classes, flags


def _values(objects, keys, where):
    found = [key for key in keys if key in objects]
    if not found:
        raise ValueError(f"{where}: objects have no {' or '.join(keys)}; they have {', '.join(objects)}")
    return _list(objects[found[0]], where, found[0])


def _list(value, where, key):
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__len__"):
        raise ValueError(f"{where}: {key} must be a list with a value for each object, got {quoted(value)}")
    return value


def _flag(objects, keys, count, where):
    key = next((key for key in keys if key in objects), None)
    if key is None:
        return np.zeros(count, bool)
    values = _list(objects[key], where, key)
    if len(values) != count:
        raise ValueError(f"{where}: {count} boxes, but {len(values)} values of {key}")
    return np.array([_is_set(value, where, key) for value in values], bool)


def _is_set(value, where, key):
    if value is None:
        return False
    if isinstance(value, str) or np.ndim(value) or value not in (-1, 0, 1):  # -1 is unknown
        raise ValueError(f"{where}: {key} must be 0 or 1, got {quoted(value)}")
    return value > 0


def _picture_size(value, where):
    """(width, height) of the picture in a row."""
    if isinstance(value, Image):
        return value.size
    content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, None)
    if not isinstance(content, bytes) and (content is not None or not isinstance(path, str)):
        raise ValueError(
            f"{where}: the picture must be a PIL image or a dictionary of bytes and path, got {quoted(value)}"
        )
    return image_size(path if content is None else io.BytesIO(content))
