"""Reads and writes COCO's instances files."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...files import atomic, check_absent
from ..dataset import FLAGS, DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .fields import LIMIT, inside_folder, number, size_or_none
from .new_files import (
    check_unique_ids,
    file_names,
)

MAX_BYTES = 4 * 2**30  # an annotation file is read at once; COCO's largest has 0.5 GB


# The fields that are decoded. All others, above all `segmentation`, are skipped and never become Python
# objects. With `gc=False` the garbage collector does not visit a million of them.
class _Image(msgspec.Struct, gc=False):
    id: int | str
    file_name: str
    width: float | None = None
    height: float | None = None
    multibox_id: str | None = None

    @property
    def image_id(self):
        return str(self.id) if self.multibox_id is None else self.multibox_id


class _Object(msgspec.Struct, gc=False):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    crowd: int | bool = msgspec.field(default=0, name="iscrowd")
    difficult: int | bool = 0
    truncated: int | bool = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Categories(msgspec.Struct):
    categories: list[_Category]


class _Instances(_Categories):
    images: list[_Image]
    annotations: list[_Object]


@checked()
def load_coco(
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> DetectionDataset:
    """Reads an instances file in COCO's format.

    Args:
        annotation_file: JSON file with `images`, `annotations` and `categories`, at most 4 GiB. Other
            content, such as segmentations, is skipped.
        image_folder: folder that the `file_name` of each image is relative to.
        classes: names in the order of the labels 1, 2, ... None takes the file's categories by ascending id
            (gaps in the ids are closed).
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - `bbox` [x, y, width, height] becomes xyxy in the same continuous pixels, `iscrowd` becomes `crowd`.
        - `difficult` and `truncated`, which `save_coco` adds, are read if present.
        - `image_id` is COCO's id as text, unless `save_coco` stored another one. `coco_image_ids` returns
          COCO's ids.
        - Images without objects are kept. A missing size is read from the image.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file, folder or image; names it.
        ValueError: for a file that is too large, not JSON or not an instances file, an annotation of an
            unknown image or category, a number beyond 1e6, a duplicate image, category or class name, a
            `file_name` that leaves the folder; names file, key and value.
    """
    reader = _Reader(annotation_file, image_folder, raise_error)
    classes = reader.names if classes is None else name_tuple(classes, "load_coco: classes")
    source = f"load_coco({str(annotation_file)!r})"
    return assemble(reader.scan(progress), classes, f"COCO {Path(annotation_file).stem}", source)


def scan_coco(
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str],
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        annotation_file: see `load_coco`.
        image_folder: see `load_coco`.
        on_error: called with the exception if an image or annotation cannot be used. If it returns, that one
            is left out. A file that cannot be decoded always raises.
        progress: whether to show a progress bar.
    """
    yield from _Reader(annotation_file, image_folder, on_error).scan(progress)


@checked()
def coco_categories(annotation_file: str | os.PathLike[str]) -> dict[str, int]:
    """The categories of a COCO file.

    Returns:
        Dictionary from class name to category id, by ascending id: the order of the labels of `load_coco`.

    Raises:
        FileNotFoundError, ValueError: see `load_coco`.
    """
    return {c.name: c.id for c in _sorted_categories(_decode(annotation_file, _Categories), annotation_file)}


def _decode(path, kind):
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path}: annotation file is too large: {size} bytes (limit {MAX_BYTES})")
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a COCO instances file: {error}") from error


def _sorted_categories(content, path):
    for key in ("id", "name"):
        values = [getattr(category, key) for category in content.categories]
        repeated = [value for i, value in enumerate(values) if value in values[:i]]
        if repeated:
            raise ValueError(f"{path}: $.categories: the {key} {repeated[0]!r} occurs more than once")
    return sorted(content.categories, key=attrgetter("id"))


class _Reader:
    """The content of a file: a list of images, and all objects in flat arrays, sorted by image.

    The decoded objects, which take ten times the memory, are freed when the reader is complete.
    """

    def __init__(self, path, folder, on_error):
        self.path, self.folder, self.on_error = path, Path(folder), on_error
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no image folder {folder}")
        content = _decode(path, _Instances)
        categories = _sorted_categories(content, path)
        self.names = tuple(category.name for category in categories)
        self.images = content.images
        self._arrange(content.annotations, {category.id: i for i, category in enumerate(categories)})

    def _arrange(self, objects, kinds):
        count = len(objects)
        images = {}
        for i, image in enumerate(self.images):
            images.setdefault(image.id, i)
        image = np.fromiter((images.get(o.image_id, -1) for o in objects), int, count)
        kind = np.fromiter((kinds.get(o.category_id, -1) for o in objects), int, count)
        sides = chain.from_iterable(o.bbox for o in objects)
        boxes = np.fromiter(sides, float, 4 * count).reshape(-1, 4)
        flags = [np.fromiter(map(attrgetter(flag), objects), bool, count) for flag in FLAGS]
        self._find_flaws(objects, image, kind, boxes)

        boxes[:, 2:] += boxes[:, :2]
        order = np.argsort(image, kind="stable")
        self.starts = np.searchsorted(image[order], np.arange(len(self.images) + 1))
        self.kinds, self.boxes, self.flags = kind[order], boxes[order], [flag[order] for flag in flags]

    def _find_flaws(self, objects, image, kind, boxes):
        """Stores the first error of each image. An object of an unknown image is reported at once."""
        for i in np.flatnonzero(image < 0):
            where = f"{self.path}: $.annotations[{i}].image_id"
            self.on_error(ValueError(f"{where}: no image has the id {objects[i].image_id!r}"))
        self.flaws = {}
        for i in np.flatnonzero((kind < 0) | ~(np.abs(boxes) < LIMIT).all(axis=1)):
            where = f"{self.path}: $.annotations[{i}]"
            if kind[i] < 0:
                flaw = f"{where}.category_id: no category has the id {objects[i].category_id}"
            else:
                flaw = f"{where}.bbox: must have numbers below 1e6, got {list(objects[i].bbox)}"
            self.flaws.setdefault(int(image[i]), ValueError(flaw))

    def scan(self, progress):
        """Yields the `Annotation` of each image."""
        return scan(range(len(self.images)), self._annotation, self.on_error, progress, "COCO")

    def _annotation(self, i):
        image, where = self.images[i], f"{self.path}: $.images[{i}]"
        if i in self.flaws:
            raise self.flaws[i]
        file = self.folder / inside_folder(image.file_name, where, "file_name")
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such image, but {where} lists it")
        sides = (number(getattr(image, side) or 0, where, side) for side in ("width", "height"))
        mine = slice(self.starts[i], self.starts[i + 1])
        names = tuple(self.names[kind] for kind in self.kinds[mine])
        flags = [flag[mine] for flag in self.flags]
        return Annotation(
            image.image_id, str(file), size_or_none(*sides, where), self.boxes[mine], names, *flags, where
        )


class _SavedImage(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    file_name: str
    width: int
    height: int
    multibox_id: str | None = None


class _SavedObject(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: tuple[()]  # some readers require the key
    difficult: int = 0
    truncated: int = 0


@checked()
def save_coco(
    dataset: DetectionDataset,
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    *,
    category_ids: Mapping[str, int] | None = None,
) -> None:
    """Writes a data set as an instances file in COCO's format: `load_coco(annotation_file, image_folder)`.

    - `bbox` is [x, y, width, height] in continuous pixels.
    - `difficult` and `truncated`, which COCO does not have, are additional keys of objects with that flag.
    - `coco_image_ids` gives the ids of the images. If an image's own id differs, it is stored in the
      additional key `multibox_id`.

    Args:
        dataset: a `DetectionDataset`.
        annotation_file: path of the JSON file.
        image_folder: folder that `file_name` is relative to; the folder that was passed to `load_coco` gives
            the original names. Images that a function makes are written to it as PNG. None: names without
            folders.
        category_ids: None for 1, 2, ..., or a dictionary from class names to ids, such as
            `coco_categories(original_file)`.

    Raises:
        FileExistsError: if the file, or another file with the path of a generated image, exists; names it.
        ValueError: for duplicate image ids, a class without category id, or two classes with the same one;
            see also `file_names`.
    """
    path = Path(annotation_file)
    check_absent([path])
    check_unique_ids(dataset)
    categories = _coco_category_ids(dataset, category_ids)
    ids = coco_image_ids(dataset)
    names = file_names(dataset, image_folder)
    images = [
        _SavedImage(image_id, name, r.width, r.height, None if str(image_id) == r.image_id else r.image_id)
        for r, image_id, name in zip(dataset, ids, names, strict=True)
    ]
    objects = []
    for record, image_id in zip(dataset, ids, strict=True):
        objects += _coco_objects(record, image_id, categories, len(objects) + 1)
    content = {
        "info": {"description": dataset.name},
        "images": images,
        "annotations": objects,
        "categories": [
            {"id": category_id, "name": name}
            for category_id, name in zip(categories, dataset.class_names, strict=True)
        ],
    }
    with atomic(path, overwrite=False) as partial:
        partial.write_bytes(msgspec.json.encode(content))


def coco_image_ids(dataset: DetectionDataset) -> list[int]:
    """The number of each image in the COCO file that `save_coco` makes of a data set.

    If all image ids are different whole numbers, as in COCO's own files, they are used: results for a part of
    COCO then match the original file. Otherwise images are numbered 1, 2, ...

    Returns:
        List of int, one for each record.
    """
    texts = [record.image_id for record in dataset]
    # JSON readers that use floating-point numbers are exact up to fifteen digits.
    if all(re.fullmatch(r"-?[0-9]{1,15}", text) for text in texts):
        numbers = [int(text) for text in texts]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(texts) + 1))


def _coco_category_ids(dataset, category_ids):
    """Category id of each class, in the order of the labels."""
    if category_ids is None:
        return list(range(1, dataset.num_classes + 1))
    missing = [name for name in dataset.class_names if name not in category_ids]
    if missing:
        raise ValueError(f"save_coco: category_ids has no id for {', '.join(map(repr, missing))}")
    ids = [category_ids[name] for name in dataset.class_names]
    if len(set(ids)) != len(ids):
        raise ValueError(f"save_coco: category_ids must be different, got {ids}")
    return ids


def _coco_objects(record, image_id, categories, first_id):
    boxes = record.boxes.astype(np.float64)
    # With float64 sides, x + width rounds to the same float32 as before.
    boxes[:, 2:] -= boxes[:, :2]
    columns = (boxes.tolist(), record.labels, record.crowd, record.difficult, record.truncated)
    return [
        _SavedObject(
            id=first_id + i,
            image_id=image_id,
            category_id=categories[label - 1],
            bbox=tuple(box),
            area=box[2] * box[3],
            iscrowd=int(crowd),
            segmentation=(),
            difficult=int(difficult),
            truncated=int(truncated),
        )
        for i, (box, label, crowd, difficult, truncated) in enumerate(zip(*columns, strict=True))
    ]
