"""`Annotation`: one image as a file describes it. `assemble` checks and cleans them into a data set."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from ...messages import printable, quoted
from ..dataset import DetectionDataset
from ..images import image_size
from ..pixels import RGB, Pixels
from ..record import Record
from .cleaning import MAX_DROPPED, BoxCleaner
from .fields import check_name
from .found_classes import choose_classes

_LISTED = 10  # unknown classes in a message


@dataclass(frozen=True, eq=False, slots=True)
class Annotation:
    """One image and its objects before boxes are cleaned and class names looked up.

    Every reader yields these, for `load_*` and for `check_dataset`.

    Attributes:
        image_id: name of the image.
        image: path of its file, or a function that returns it, as in `Record`.
        size: (width, height) in pixels as annotated, or None if the format does not store it.
        boxes: (objects, 4) float64 xyxy, finite but not cleaned; in continuous pixels, or relative to the
            image if `relative`.
        names: class name of each object.
        difficult: (objects,) bool.
        truncated: (objects,) bool.
        crowd: (objects,) bool.
        where: file (and line) of the annotation, for messages.
        relative: whether boxes are relative to the image (0..1).
        pixels: how the image is read, see `Record`.
    """

    image_id: str
    image: str | Callable[[], np.ndarray]
    size: tuple[int, int] | None
    boxes: np.ndarray
    names: tuple[str, ...]
    difficult: np.ndarray
    truncated: np.ndarray
    crowd: np.ndarray
    where: str
    relative: bool = False
    pixels: Pixels = RGB

    @property
    def path(self):
        """Path of the image file; None if a function makes the image."""
        return None if callable(self.image) else self.image


def annotation_of(record, class_names):
    """The `Annotation` of a `Record`. Its `where` is the image, since records do not know their file.

    Args:
        record: a `Record`.
        class_names: names of the labels 1, 2, ...
    """
    image = record.image if callable(record.image) else str(record.image)
    return Annotation(
        record.image_id,
        image,
        (record.width, record.height),
        np.asarray(record.boxes, np.float64),
        tuple(class_names[label - 1] for label in record.labels),
        record.difficult,
        record.truncated,
        record.crowd,
        where=record.image_id if callable(image) else image,
        pixels=record.pixels,
    )


def raise_error(error: Exception) -> NoReturn:
    """The default `on_error` of readers: raises the error."""
    raise error


def scan(items, read, on_error, progress, description, known=None):
    """Yields the annotation of each image, as all readers do.

    Args:
        items: list with one item for each image, in a form that the reader chooses.
        read: function from an item to an `Annotation`.
        on_error: called with the exception if an image cannot be read or has the id of another one. If it
            returns, the image is left out.
        progress: whether to show a progress bar.
        description: text in front of the bar.
        known: {image id: path} of images that were read before; the new images are added to it.
    """
    images = {} if known is None else known
    for item in tqdm(items, desc=description, unit=" images", disable=not progress, leave=False):
        try:
            annotation = read(item)
            _check_names(annotation)
            if annotation.image_id in images:
                both = f"{images[annotation.image_id]} and {annotation.image}"
                raise ValueError(
                    f"{annotation.where}: {both} have the same image id {quoted(annotation.image_id)}"
                )
            images[annotation.image_id] = annotation.image
        except (OSError, ValueError) as error:
            on_error(error)
        else:
            yield annotation


def _check_names(annotation):
    for name in set(annotation.names):
        check_name(name, annotation.where, "the name of a class")


def assemble(annotations, classes, name, source, *, max_dropped=MAX_DROPPED):
    """Makes a data set.

    `BoxCleaner` cleans the boxes. An unknown size is read from the image's header.

    Args:
        annotations: iterable of `Annotation`.
        classes: names in the order of the labels 1, 2, ... None takes all names that occur, sorted (whole
            numbers by their value).
        name: name of the data set.
        source: name of what is read, for warnings and errors.
        max_dropped: share of the boxes that may be dropped.

    Returns:
        `DetectionDataset`. Classes whose names differ only in case, spaces, `-` or `_` stay different
        classes. One warning lists them.

    Raises:
        ImageError: for an image without annotated size whose header cannot be read.
        ValueError: if objects have other classes; lists these classes, how often they occur, and the file
            where each occurs first. If there are no classes. For boxes that `BoxCleaner.report` refuses.
    """
    if not 0 <= max_dropped <= 1:
        raise ValueError(f"{source}: max_dropped must be between 0 and 1, got {max_dropped}")
    read = [(a, a.size or image_size(a.image)) for a in annotations]
    read, sizes = [a for a, _ in read], np.array([size for _, size in read]).reshape(-1, 2)
    names = list(chain.from_iterable(a.names for a in read))
    classes = choose_classes(classes, Counter(names), source)
    labels = {name: label for label, name in enumerate(classes, 1)}
    if not labels.keys() >= set(names):
        raise ValueError(f"{source}: {_unknown_classes(read, classes)}")
    counts = [len(a.names) for a in read]
    boxes = [a.boxes * (*size, *size) if a.relative else a.boxes for a, size in zip(read, sizes, strict=True)]
    image = np.repeat(np.arange(len(read)), counts)  # (objects,)
    cleaned = BoxCleaner(np.concatenate([np.zeros((0, 4)), *boxes]), sizes[image])
    cleaned.report(source, [read[i].image_id for i in image], max_dropped)
    labels = np.fromiter(map(labels.__getitem__, names), np.int32, len(names))
    return DetectionDataset(classes, _records(read, sizes, cleaned, labels), name)


def _unknown_classes(annotations, classes):
    unknown, first = Counter(), {}
    for a in annotations:
        missing = [n for n in a.names if n not in classes]
        unknown.update(missing)
        for n in missing:
            first.setdefault(n, a.where)
    kinds = ", ".join(
        f"{quoted(n)} ({count}, first in {first[n]})" for n, count in unknown.most_common(_LISTED)
    )
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    return f"unknown class {kinds}{more}; `classes` has {printable(', '.join(classes), 500)}"


def _records(annotations, sizes, cleaned, labels):
    """The `Record` of each annotation, without the dropped objects."""
    records, end = [], 0
    for a, (width, height) in zip(annotations, sizes.tolist(), strict=True):
        start, end = end, end + len(a.names)
        fields = (cleaned.boxes[start:end], labels[start:end], a.difficult, a.truncated, a.crowd)
        keep = cleaned.keep[start:end]
        if not keep.all():
            fields = [field[keep] for field in fields]
        records.append(Record(a.image_id, a.image, width, height, *fields))
    return records
