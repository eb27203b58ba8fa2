"""Reads COCO's instances files, as COCO and as labeling tools write them."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ...messages import quoted
from ..dataset import DetectionDataset
from ..record import FLAGS
from .annotation import Annotation, assemble, raise_error, scan
from .box_formats import check_box_format, corners, corners_instead
from .cleaning import MAX_DROPPED
from .coco_classes import check_ids, check_names, choose_categories
from .coco_content import read_content, read_kinds
from .fields import LIMIT, number, size_or_none
from .listed_pictures import ListedPictures
from .object_table import ObjectTable


@checked()
def load_coco(
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    *,
    box_format: str | None = None,
    progress: bool = True,
    max_dropped: float = MAX_DROPPED,
) -> DetectionDataset:
    """Reads an instances file in COCO's format, also as Roboflow, CVAT and Label Studio write it.

    Args:
        annotation_file: JSON file with `images`, `annotations` and `categories`, at most 4 GiB. Other
            content, such as segmentations, is skipped.
        image_folder: folder that the `file_name` of each image is relative to. None is the folder of the
            file. An image that is not at that path is searched in the folder by its file name, with and
            without the prefix of Label Studio; a warning counts these.
        classes: names in the order of the labels 1, 2, ... None takes the file's categories by ascending id
            (gaps in the ids are closed), except those without objects that are the `supercategory` of
            another one. Of two categories with one name the one with objects counts.
        box_format: "xywh" for `bbox` [x, y, width, height], which is COCO's, or "xyxy" for corners. None is
            "xywh", and refuses a file whose boxes fit their images only as corners.
        progress: whether to show a progress bar.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.

    Returns:
        `DetectionDataset`:

        - `bbox` becomes xyxy in the same continuous pixels, `iscrowd` becomes `crowd`.
        - An object without `bbox` has the box around its polygons in `segmentation`; a warning counts these.
        - `difficult` and `truncated`, which `save_coco` adds, are read if present.
        - `image_id` is COCO's id as text, unless `save_coco` stored another one. `coco_image_ids` returns
          COCO's ids. Ids may be numbers or texts: 1 and "1" are the same.
        - Images without objects are kept. A missing size is read from the image.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing file, folder or image; names it.
        ValueError: for a file that is too large, not JSON or not an instances file, an annotation of an
            unknown image or category, a number beyond 1e6, a `bbox` that has not four numbers, a duplicate
            image or category id, two categories with objects and the same name, an image that is found only
            by its file name if several have it; names file, key and value. If more than `max_dropped` of the
            boxes, and at least five, would be dropped, or if all look relative to their images (0..1).
    """
    source = f"load_coco({str(annotation_file)!r})"
    check_box_format(box_format, "load_coco")
    if classes is not None:
        classes = name_tuple(classes, "load_coco: classes")
    reader = _Reader(annotation_file, image_folder, raise_error, box_format, classes)
    name = f"COCO {Path(annotation_file).stem}"
    return assemble(reader.scan(progress), classes or reader.classes, name, source, max_dropped=max_dropped)


def scan_coco(
    annotation_file: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    *,
    box_format: str | None = None,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        annotation_file: see `load_coco`.
        image_folder: see `load_coco`.
        box_format: see `load_coco`.
        on_error: called with the exception for each fault. If it returns, the images that the fault concerns
            are left out. A file that is not JSON, or without the three lists, always raises.
        progress: whether to show a progress bar.
    """
    check_box_format(box_format, "scan_coco")
    yield from _Reader(annotation_file, image_folder, on_error, box_format).scan(progress)


@checked()
def coco_categories(annotation_file: str | os.PathLike[str]) -> dict[str, int | str]:
    """The categories of a COCO file that are classes (see `classes` of `load_coco`).

    Returns:
        Dictionary from class name to category id, by ascending id: the order of the labels of `load_coco`.

    Raises:
        FileNotFoundError, ValueError: see `load_coco`.
    """
    categories, used = read_kinds(annotation_file)
    check_ids(categories, annotation_file, raise_error)
    check_names(categories, used, annotation_file, raise_error)
    return {category.name: category.id for category in choose_categories(categories, used)}


class _Reader:
    """The content of a file: a list of images, and all objects in flat arrays.

    The decoded objects, which take ten times the memory, are freed when the reader is complete.
    """

    def __init__(self, path, folder, on_error, box_format, classes=None):
        self.path, self.on_error = path, on_error
        self.pictures = ListedPictures(Path(path).parent if folder is None else folder)
        content = read_content(path, on_error)
        self.images, self.places = content.images, content.image_numbers
        self.flawed, self.outlined = content.flawed, content.outlined
        used = Counter(map(str, map(attrgetter("category_id"), content.objects)))
        check_ids(content.categories, path, on_error)
        check_names(content.categories, used, path, on_error, classes)
        self.classes = tuple(c.name for c in choose_categories(content.categories, used))
        self.names = [c.name for c in content.categories]
        self._arrange(content, box_format)

    def _arrange(self, content, box_format):
        objects, count = content.objects, len(content.objects)
        images = {image.id: i for i, image in enumerate(self.images)}
        kinds = {category.id: i for i, category in enumerate(content.categories)}
        image = np.fromiter((images.get(o.image_id, -1) for o in objects), int, count)
        kind = np.fromiter((kinds.get(o.category_id, -1) for o in objects), int, count)
        sides = chain.from_iterable(o.bbox for o in objects)
        boxes = np.fromiter(sides, float, 4 * count).reshape(-1, 4)
        flags = [np.fromiter(map(attrgetter(flag), objects), bool, count) for flag in FLAGS]
        self._find_flaws(content, image, kind, boxes)
        if box_format is None:
            self._check_boxes(image, boxes)
        image = np.where(kind < 0, -1, image)  # left out
        self.objects = ObjectTable(len(self.images), image, kind, corners(boxes, box_format), flags)

    def _find_flaws(self, content, image, kind, boxes):
        """Reports all objects that cannot be used; an unknown id once."""
        lost = set(self.flawed)  # images that are already reported, with the objects that name them
        unknown = [(i, "image_id", "image") for i in np.flatnonzero(image < 0)]
        unknown += [(i, "category_id", "category") for i in np.flatnonzero(kind < 0)]
        groups = {}
        for i, key, what in unknown:
            image_id, id_ = str(content.objects[i].image_id), getattr(content.objects[i], key)
            self.flawed.add(image_id)
            if what == "category" or image_id not in lost:
                groups.setdefault((key, what, id_), []).append(content.object_numbers[i])
        for (key, what, id_), places in groups.items():
            more = f" ({len(places) - 1} more annotations have it)" if len(places) > 1 else ""
            where = f"{self.path}: $.annotations[{places[0]}].{key}"
            self.on_error(ValueError(f"{where}: no {what} has the id {quoted(id_)}{more}"))
        for i in np.flatnonzero(~(np.abs(boxes) < LIMIT).all(axis=1)):
            box, place = list(content.objects[i].bbox), content.object_numbers[i]
            self.flawed.add(str(content.objects[i].image_id))
            where = f"{self.path}: $.annotations[{place}].bbox"
            self.on_error(ValueError(f"{where}: must have numbers below 1e6, got {box}"))

    def _check_boxes(self, image, boxes):
        sizes = np.array([(i.width or 0, i.height or 0) for i in self.images], float).reshape(-1, 2)
        reason = corners_instead(boxes[image >= 0], sizes[image[image >= 0]])
        if reason:
            self.on_error(ValueError(f"{self.path}: $.annotations: {reason}"))

    def scan(self, progress):
        """Yields the `Annotation` of each image without faults."""
        flawed = {image.image_id for image in self.images if str(image.id) in self.flawed}
        for a in scan(range(len(self.images)), self._annotation, self.on_error, progress, "COCO"):
            if a.image_id not in flawed:
                yield a
        self.pictures.warn(str(self.path))
        if self.outlined:
            warnings.warn(
                f"{self.path}: {self.outlined} objects without bbox have the box around their polygons",
                stacklevel=4,
            )

    def _annotation(self, i):
        image, where = self.images[i], f"{self.path}: $.images[{self.places[i]}]"
        file = self.pictures.find(image.file_name, where, "file_name")
        sides = (number(getattr(image, side) or 0, where, side) for side in ("width", "height"))
        boxes, kinds, flags = self.objects.of_image(i)
        names = tuple(self.names[kind] for kind in kinds)
        size = size_or_none(*sides, where)
        return Annotation(image.image_id, file, size, boxes, names, *flags, where)
