"""Reads TFRecord files of the TensorFlow Object Detection API, without TensorFlow."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import read_text
from ...messages import quoted
from ...protobuf import WireError
from ..dataset import DetectionDataset
from ..images import image_size
from .annotation import Annotation, assemble, raise_error, scan
from .cleaning import MAX_DROPPED
from .fields import LIMIT, check_name, normal_path, number, size_or_none
from .hdf5 import StoredImage
from .tf_records import looks_like_tfrecord, read_example, read_records

_SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
_NAMES, _LABELS = "image/object/class/text", "image/object/class/label"
_DIFFICULT, _TRUNCATED = "image/object/difficult", "image/object/truncated"
_CROWD = ("image/object/is_crowd", "image/object/group_of")
_RECORD_NAME = re.compile(r"\.(tf)?records?(-\d+-of-\d+)?$|-\d{5}-of-\d{5}$", re.IGNORECASE)

_MAP_BYTES = 2**20
_ITEM_START = r"\bitem\s*:?\s*\{"
_ITEM = re.compile(_ITEM_START + r"""((?:"[^"\n]*"|'[^'\n]*'|[^{}"'])*)\}""")
_ITEM_FIELD = re.compile(r"""\b(id|name|display_name)\s*:\s*([0-9]{1,18}(?![\w.])|"[^"\n]*"|'[^'\n]*')""")

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@checked()
def load_tfrecord(
    files: Files,
    classes: Sequence[str] | None = None,
    *,
    label_map: str | os.PathLike[str] | None = None,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads TFRecord files as the TensorFlow Object Detection API, CVAT and Roboflow write them.

    The features of each `tf.train.Example` are `image/encoded` and `image/object/bbox/xmin`, `ymin`, `xmax`,
    `ymax` (relative, 0 to 1), with `image/object/class/text` or `image/object/class/label`. Read if present:
    `image/width`, `image/height`, `image/source_id`, `image/filename`, and of objects `difficult`,
    `truncated`, `is_crowd` and `group_of`.

    Args:
        files: path of a file, a pattern such as "train.record-*", a folder (its files named `*.tfrecord`,
            `*.record` or `*-00000-of-00010`), or a list of paths. The files must not be compressed.
        classes: names in the order of the labels 1, 2, ... None takes those of the label map by ascending id,
            or without one the names that occur, sorted.
        label_map: text file of `item { id: 1 name: "cat" }`, needed if objects have labels and no names. A
            `display_name` comes before the `name`.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - The images stay in the files; each is read from its place when it is needed, also by other
          processes. The files must stay where they are.
        - `image_id` is `image/source_id`, else `image/filename`, else file and place of the record.
        - A missing size is read from the image. `is_crowd` and `group_of` become `crowd`.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: for a truncated or damaged record (all checksums are compared), one above 1 GiB, or one
            without image, with lists of different lengths, or with a class that has no name; names file and
            byte.
    """
    if classes is not None:
        classes = name_tuple(classes, "load_tfrecord: classes")
    names = {} if label_map is None else read_label_map(label_map)
    annotations = _scan(record_files(files), names, raise_error, progress)
    if classes is None:
        classes = tuple(dict.fromkeys(names.values())) or None
    what = files if isinstance(files, str | os.PathLike) else "files"
    name, source = f"TFRecord {Path(what).stem}", f"load_tfrecord({str(what)!r})"
    return assemble(annotations, classes, name, source, max_dropped=max_dropped)


def scan_tfrecord(
    files: Files,
    *,
    label_map: str | os.PathLike[str] | None = None,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each record.

    Args:
        files: see `load_tfrecord`.
        label_map: see `load_tfrecord`.
        on_error: called with the exception for a record that cannot be used. If it returns, that one is left
            out; after a damaged length, the rest of its file.
        progress: whether to show a progress bar.
    """
    names = {} if label_map is None else read_label_map(label_map)
    yield from _scan(record_files(files), names, on_error, progress)


def record_files(files: Files) -> list[Path]:
    """The paths that `files` of `load_tfrecord` stands for, sorted unless it is a list.

    Raises:
        FileNotFoundError: if there are none.
    """
    if not isinstance(files, str | os.PathLike):
        found = [Path(file) for file in files]
    elif Path(files).is_dir():
        named = [path for path in sorted(Path(files).iterdir()) if _RECORD_NAME.search(path.name)]
        found = [path for path in named if path.is_file() and not path.name.startswith(".")]
    elif glob.has_magic(os.fspath(files)) and not Path(files).exists():
        found = [Path(path) for path in sorted(glob.glob(os.fspath(files)))]  # noqa: PTH207 (a pattern may be absolute)
    else:
        found = [Path(files)]
    if not found:
        raise FileNotFoundError(f"no TFRecord files at {files}")
    return found


def read_label_map(path: str | os.PathLike[str]) -> dict[int, str]:
    """{label: class name} of a label map, by ascending label.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no items, or an item without id or name, or two with one id; names the file.
    """
    text = re.sub(r"(?m)^\s*#.*$", "", read_text(path, _MAP_BYTES))
    names, items = {}, _ITEM.findall(text)
    if len(items) != len(re.findall(_ITEM_START, text)):
        raise ValueError(f"{path}: a bracket or a quote of an item is never closed")
    for i, item in enumerate(items):
        fields = {key: value.strip("\"'") for key, value in _ITEM_FIELD.findall(item)}
        name = fields.get("display_name") or fields.get("name")
        if not name or not fields.get("id", "").isdecimal() or int(fields["id"]) in names:
            raise ValueError(
                f"{path}: item {i} must have an id of its own and a name, got {quoted(item.strip())}"
            )
        names[int(fields["id"])] = check_name(name, path, f"the name of item {i}")
    if not names:
        raise ValueError(f'{path}: expected a label map with item {{ id: 1 name: "..." }}')
    return dict(sorted(names.items()))


def looks_like_tfrecord_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds TFRecord files, by their names and the beginning of the first."""
    try:
        return looks_like_tfrecord(record_files(folder)[0])
    except OSError:
        return False


def _scan(paths, names, on_error, progress):
    known = {}
    for path in paths:
        read = _Records(path, names).annotation
        yield from scan(read_records(path, on_error), read, on_error, progress, path.name, known)
    if not any(path.stat().st_size for path in paths):
        on_error(ValueError(f"{paths[0]}: no records; the file is empty"))


class _Records:
    """Turns the records of one file into annotations."""

    def __init__(self, path, names):
        self.path, self.names = path, names
        self.file, self.changed = str(normal_path(path)), path.stat().st_mtime_ns

    def annotation(self, record):
        start, data = record
        where = f"{self.path}, record at byte {start}"
        try:
            features = read_example(data)
        except WireError as error:
            raise ValueError(f"{where}: expected a tf.train.Example, found {error}") from None
        encoded = features.get("image/encoded") or []
        if len(encoded) != 1 or not isinstance(encoded[0], slice) or encoded[0].start == encoded[0].stop:
            raise ValueError(f"{where}: expected one image in image/encoded")
        place = encoded[0]
        image = StoredImage(self.file, self.changed, start + place.start, start + place.stop, None)
        size = _size(features, where) or image_size(_Bytes(data[place], str(image)))
        boxes = np.array([_list(features, side, where) for side in _SIDES], float).reshape(4, -1).T
        if not (np.abs(boxes) < LIMIT).all():
            raise ValueError(f"{where}: the sides in image/object/bbox must be numbers below 1e6")
        count = len(boxes)
        flags = (_flag(features, (key,), count, where) for key in (_DIFFICULT, _TRUNCATED))
        crowd = _flag(features, _CROWD, count, where)
        names = self._class_names(features, data, count, where)
        image_id = _text(features, "image/source_id", data) or _text(features, "image/filename", data)
        image_id = image_id or f"{self.path.name}:{start}"
        return Annotation(image_id, image, size, boxes, names, *flags, crowd, where, relative=True)

    def _class_names(self, features, data, count, where):
        texts = _list(features, _NAMES, where, (0, count))
        if texts:
            return tuple(_decoded(data[text], where) for text in texts)
        labels = _list(features, _LABELS, where, (0, count))
        if len(labels) < count:
            raise ValueError(f"{where}: {count} boxes have neither {_NAMES} nor {_LABELS}")
        unknown = [label for label in labels if label not in self.names]
        if unknown:
            what = "has no such id" if self.names else "is needed: pass its .pbtxt file as label_map"
            raise ValueError(
                f"{where}: objects have the label {unknown[0]} and no name; the label map {what}"
            )
        return tuple(self.names[label] for label in labels)


class _Bytes(io.BytesIO):
    """The bytes of an image, named by their place in messages."""

    def __init__(self, data, name):
        super().__init__(data)
        self._name = name

    def __str__(self):
        return self._name


def _list(features, key, where, lengths=None):
    """The list of a feature; of the sides of boxes all must be as long as the first."""
    values = features.get(key, [])
    if lengths is None:
        lengths = (len(features.get(_SIDES[0], [])),)
    if len(values) not in lengths:
        raise ValueError(f"{where}: {key} has {len(values)} values for {lengths[-1]} boxes")
    wanted = slice if key == _NAMES else (int, float)
    if not all(isinstance(value, wanted) for value in values):
        raise ValueError(f"{where}: {key} has values of another kind")
    return values


def _flag(features, keys, count, where):
    flags = np.zeros(count, bool)
    for key in keys:
        values = _list(features, key, where, (0, count))
        if values:
            if not (np.array(values) >= -1).all():  # -1 is unknown
                raise ValueError(f"{where}: {key} must be 0 or 1")
            flags |= np.array(values) > 0
    return flags


def _decoded(text, where):
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{where}: the name of a class must be UTF-8, got {quoted(text)}") from None


def _size(features, where):
    sides = [(features.get(key) or [0])[0] for key in ("image/width", "image/height")]
    return size_or_none(*(number(side, where, "image size") for side in sides), where)


def _text(features, key, data):
    """The text of a feature, or its number as text; empty if there is none."""
    value = (features.get(key) or [""])[0]
    return data[value].decode(errors="replace") if isinstance(value, slice) else str(value)
