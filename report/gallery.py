"""The pictures of the report: the worst cases of each type of error, cut out of their images."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import zip_longest

import cv2
import numpy as np

from ..boxes import area
from ..data_generator import DetectionDataset, ImageError
from ..data_generator.pixels import shown
from ..eval_utils import ErrorTypes
from ..eval_utils.metrics.verdicts import BKG, BOTH, CLS, DUPE, LOC, MISS
from ..messages import printable

# In this order in the filter, and in turn on the page.
KINDS = (MISS, BKG, CLS, LOC, BOTH, DUPE)
MAX_CASES = 30  # of a type
MAX_OF_CLASS = 4  # of a type and a class, until all classes have had theirs
MAX_BYTES = 6_000_000  # of all pictures as base64, so that the page stays below 10 MB
_SIDE = 280  # pixels of the longer side of a picture on the page
_QUALITY = 75
_MIN_CUT = 48  # pixels of the image


@dataclass(frozen=True)
class Case:
    """One error with its picture.

    Attributes:
        kind: error type.
        image: index of the image.
        labels: class ids that it belongs to, for the filter.
        caption: what went wrong, in words.
        found: box of the detection, xyxy in pixels of the image, or None.
        truth: box of the object, or None.
        picture: JPEG as base64.
        width: of the picture, in pixels.
        height: of the picture.
        cut: xyxy of the picture in the image.
    """

    kind: str
    image: int
    labels: tuple[int, ...]
    caption: str
    found: tuple[float, ...] | None
    truth: tuple[float, ...] | None
    picture: str = ""
    width: int = 0
    height: int = 0
    cut: tuple[int, int, int, int] = (0, 0, 0, 0)

    def rectangle(self, box: tuple[float, ...]) -> tuple[float, float, float, float]:
        """A box as x, y, width, height in the picture."""
        scale = self.width / (self.cut[2] - self.cut[0])
        x, y = (box[0] - self.cut[0]) * scale, (box[1] - self.cut[1]) * scale
        return tuple(round(v, 1) for v in (x, y, (box[2] - box[0]) * scale, (box[3] - box[1]) * scale))


def worst_cases(errors: ErrorTypes, dataset: DetectionDataset) -> tuple[list[Case], list[str]]:
    """The worst cases of each type with their pictures, and messages about what could not be shown.

    The worst wrong detections are those with the highest scores, the worst misses the largest objects. Of
    each class there are at most four, unless few classes have any.
    """
    by_kind = [_choose(kind, errors, dataset) for kind in KINDS]
    # Turn by turn: the first pictures of the page, and those of a full one, are of all types.
    chosen = [case for turn in zip_longest(*by_kind) for case in turn if case is not None]
    pictures, unread = _pictures(chosen, dataset)
    cases, size = [], 0
    for case in pictures:
        size += len(case.picture)
        if size <= MAX_BYTES:
            cases.append(case)
    notes = []
    if unread:
        notes.append(f"{len(unread)} images cannot be read, first: {printable(unread[0], limit=300)}")
    if (lost := len(pictures) - len(cases)) > 0:
        notes.append(f"{lost} pictures are left out, since the page would be too large")
    return cases, notes


def _choose(kind, errors, dataset):
    """The worst cases of a type, without pictures."""
    if kind == MISS:
        objects = errors.objects
        missed = np.flatnonzero(objects.verdict == MISS)
        order = missed[np.argsort(-area(objects.boxes[missed]), kind="stable")]
        return [_miss(i, objects, dataset) for i in _spread(order, objects.labels)]
    found = errors.detections
    mine = np.flatnonzero(found.verdict == kind)
    order = mine[np.argsort(-found.scores[mine], kind="stable")]
    return [_wrong(i, errors, dataset) for i in _spread(order, found.labels)]


def _spread(order, labels):
    """The first ones of an order, at most `MAX_OF_CLASS` of each class as long as there are other classes."""
    count = defaultdict(int)
    places = {}
    for i in order.tolist():
        places[i] = count[labels[i]]
        count[labels[i]] += 1
    first = sorted(places, key=lambda i: places[i] // MAX_OF_CLASS)[:MAX_CASES]  # a stable sort
    return sorted(first, key=order.tolist().index)


def _miss(i, objects, dataset):
    label, box = int(objects.labels[i]), tuple(objects.boxes[i].tolist())
    caption = f"{_name(dataset, label)} not found, {_size(box)}"
    return Case(MISS, int(objects.images[i]), (label,), caption, None, box)


def _wrong(i, errors, dataset):
    found, objects = errors.detections, errors.objects
    kind, label, score = str(found.verdict[i]), int(found.labels[i]), found.scores[i]
    target = int(found.objects[i])
    there = int(objects.labels[target]) if target >= 0 else label
    said = f"{_name(dataset, label)} {score:.2f}"
    caption = {
        BKG: f"{said}, nothing there",
        CLS: f"{said} is {_name(dataset, there)}, IoU {found.iou[i]:.2f}",
        LOC: f"{said}, loose box, IoU {found.iou[i]:.2f}",
        BOTH: f"{said}, wrong class and loose box, best IoU {found.iou[i]:.2f}",
        DUPE: f"{said}, found twice, IoU {found.iou[i]:.2f}",
    }[kind]
    truth = tuple(objects.boxes[target].tolist()) if target >= 0 else None
    box = tuple(found.boxes[i].tolist())
    return Case(kind, int(found.images[i]), tuple({label, there}), caption, box, truth)


def _name(dataset, label):
    return printable(dataset.class_names[label - 1])


def _size(box):
    return f"{box[2] - box[0]:.0f}×{box[3] - box[1]:.0f} pixels"  # noqa: RUF001


def _pictures(cases, dataset):
    """The cases with their pictures, and what could not be read. Reads each image once."""
    by_image, done, unread = defaultdict(list), {}, []
    for index, case in enumerate(cases):
        by_image[case.image].append(index)
    for image, indices in by_image.items():
        try:
            pixels = shown(dataset[image].read())
        except (ImageError, OSError) as error:
            unread.append(str(error))
            continue
        for index in indices:
            done[index] = _cut_out(cases[index], pixels)
    return [done[index] for index in sorted(done)], unread


def _cut_out(case, pixels):
    cut = _window([box for box in (case.found, case.truth) if box], pixels.shape[1], pixels.shape[0])
    part = pixels[cut[1] : cut[3], cut[0] : cut[2]]
    scale = _SIDE / max(part.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in part.shape[1::-1])
    smaller = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    bgr = np.ascontiguousarray(smaller[..., ::-1])
    data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1]
    picture = base64.b64encode(data.tobytes()).decode("ascii")
    return replace(case, picture=picture, width=size[0], height=size[1], cut=cut)


def _window(boxes, width, height):
    """The boxes with their surroundings, xyxy in whole pixels within the image."""
    boxes = np.array(boxes)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    half = np.maximum((high - low) * 0.75, _MIN_CUT / 2)
    half = np.maximum(half, half.max() * 0.6)  # no thin strips
    center = (low + high) / 2
    start = np.clip(np.floor(center - half), 0, (width - 1, height - 1)).astype(int)
    end = np.clip(np.ceil(center + half), start + 1, (width, height)).astype(int)
    return (*start.tolist(), *end.tolist())
