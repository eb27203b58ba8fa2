"""Reader of COCO's instances files."""

from itertools import chain
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from .annotation import Annotation, assemble, raise_error, scan
from .dataset import FLAGS
from .fields import LIMIT, inside_folder, name_tuple, number, size_or_none

MAX_BYTES = 4 * 2**30  # of an annotation file, which is read at once; COCO's largest has 0.5 GB


# What is decoded of a file. Fields that are not named here, above all `segmentation`, are skipped and never
# become Python objects. With `gc=False` the garbage collector does not walk over a million of them.
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


def load_coco(annotation_file, image_folder, classes=None, progress=True):
    """Reads an instances file in COCO's format.

    Args:
        annotation_file: JSON file with `images`, `annotations` and `categories`, at most 4 GiB. What is not
            needed, such as segmentations, is skipped.
        image_folder: folder that the `file_name` of each image is relative to.
        classes: names in the order of the labels 1, 2, ... None takes the file's categories by ascending id
            (gaps in the ids are closed).
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`. `bbox` [x, y, width, height] becomes xyxy in the same continuous pixels, `iscrowd`
        becomes `crowd`; `difficult` and `truncated`, which `save_coco` adds, are read where present. The
        `image_id` of a record is the text of COCO's id, unless `save_coco` noted another one; see
        `coco_image_ids` for the way back. Images without objects stay. An absent size is read from the image.
        Bad boxes are treated, counted and reported as `BoxCleaner` says.

    Raises:
        FileNotFoundError: for a missing file, folder or image; names it.
        ValueError: for a file that is too large, not JSON or of another shape, an annotation of an unknown
            image or category, a number beyond 1e6, a repeated image, category or class name, a `file_name`
            that leaves the folder; names file, key and value.
    """
    reader = _Reader(annotation_file, image_folder, raise_error)
    classes = reader.names if classes is None else name_tuple(classes, "load_coco: classes")
    source = f"load_coco({str(annotation_file)!r})"
    return assemble(reader.scan(progress), classes, f"COCO {Path(annotation_file).stem}", source)


def scan_coco(annotation_file, image_folder, on_error=raise_error, progress=True):
    """Yields the `Annotation` of each image.

    Args:
        annotation_file: see `load_coco`.
        image_folder: see `load_coco`.
        on_error: called with the exception of an image or annotation that cannot be used; it is left out if
            that returns. A file that cannot be decoded raises.
        progress: whether to show a progress bar.
    """
    yield from _Reader(annotation_file, image_folder, on_error).scan(progress)


def coco_categories(annotation_file):
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
        raise ValueError(f"{path}: an annotation file may have {MAX_BYTES} bytes, this one has {size}")
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a COCO instances file: {error}") from error


def _sorted_categories(content, path):
    for key in ("id", "name"):
        values = [getattr(category, key) for category in content.categories]
        repeated = [value for i, value in enumerate(values) if value in values[:i]]
        if repeated:
            raise ValueError(f"{path}: $.categories: the {key} {repeated[0]!r} is there twice")
    return sorted(content.categories, key=attrgetter("id"))


class _Reader:
    """The content of a file: a list of images, and all objects in flat arrays, image after image.

    The decoded objects, ten times as large, are gone when the reader is made.
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
        """Keeps the first error of each image; an object of no image is reported at once."""
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
