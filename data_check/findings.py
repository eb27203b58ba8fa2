"""Findings: what can be wrong with a data set, how serious each kind is, and one occurrence of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

ERROR = "error"  # training stops at it, or the evaluation is wrong
WARNING = "warning"  # training continues without the box or image, or learns less than it could
INFO = "info"  # nothing needs to be done
SEVERITIES = (ERROR, WARNING, INFO)


class Kind(NamedTuple):
    severity: str
    what: str


KINDS = {
    "missing-file": Kind(ERROR, "an image or annotation file does not exist"),
    "unreadable-annotation": Kind(ERROR, "the annotation cannot be read"),
    "unreadable-image": Kind(ERROR, "the image cannot be decoded, or the file is truncated"),
    "size-mismatch": Kind(ERROR, "the annotated image size differs from the size of the image"),
    "unknown-class": Kind(ERROR, "objects of a class that is not in the list of classes"),
    "different-classes": Kind(ERROR, "two splits list their classes differently: their labels do not agree"),
    "repeated-id": Kind(ERROR, "two images of one split have the same id"),
    "shared-image": Kind(ERROR, "an image is in two splits: the evaluation would include training images"),
    "relative-boxes": Kind(
        ERROR, "all boxes lie within 0..1: they are relative to their images, not in pixels"
    ),
    "damaged-image": Kind(WARNING, "the decoder reports damage inside the image"),
    "listed-twice": Kind(WARNING, "an image is listed twice in one split"),
    "identical-images": Kind(WARNING, "two files of one split hold the same image"),
    "inverted-box": Kind(WARNING, "a maximum is below its minimum; the box is dropped"),
    "flat-box": Kind(WARNING, "a box without width or height; it is dropped"),
    "outside-box": Kind(WARNING, "a box entirely outside its image; it is dropped"),
    "partly-outside-box": Kind(WARNING, "a box extends beyond its image; it is clipped"),
    "speck-box": Kind(WARNING, "a box at most one pixel wide or high: probably drawn by mistake"),
    "duplicate-box": Kind(WARNING, "an object is annotated twice: same class, IoU of at least 0.9"),
    "dark-16-bit": Kind(WARNING, "16-bit images that use a small part of their range; they become dark"),
    "similar-names": Kind(WARNING, "class names that differ only in case, spaces, - or _"),
    "no-objects-at-all": Kind(WARNING, "a split has no objects: it teaches and measures nothing"),
    "all-difficult": Kind(WARNING, "all objects of a split are difficult: an evaluation ignores them"),
    "absent-class": Kind(WARNING, "a class has no objects in a split"),
    "no-anchor": Kind(WARNING, "an object gets no anchor, so it is never learned"),
    "poor-anchors": Kind(
        WARNING, "at least 40 % of the objects have no anchor with an IoU of 0.5: each trains one anchor"
    ),
    "many-objects": Kind(WARNING, "an image has too many objects to compare all of them with the anchors"),
    "edge-rounding": Kind(INFO, "a box extends at most one pixel beyond its image; it is clipped"),
    "exif-orientation": Kind(INFO, "the file has an EXIF tag that rotates or mirrors the image"),
    "no-objects": Kind(INFO, "an image without objects; it trains as background"),
    "same-id": Kind(INFO, "different images in two splits have the same id"),
    "not-rgb": Kind(INFO, "an image that is not 8-bit RGB; see docs/data.md on how it is read"),
    "small-boxes": Kind(INFO, "boxes below 1 % of the area of their image"),
    "tiny-boxes": Kind(INFO, "boxes less than 2 pixels wide or high at the model's input"),
    "imbalance": Kind(INFO, "the most frequent class has at least 10 times as many objects as the rarest"),
    "weak-anchors": Kind(INFO, "objects whose best IoU with an anchor is below 0.5: each trains one anchor"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem.

    Attributes:
        kind: key of `KINDS`.
        message: the problem in words, without split and image.
        split: name of the split, or None if the finding concerns all of them.
        image_id: the image, or the first of several; None if the finding is not about images.
        file: the file to open: the annotation if the problem is there, else the image; None as for `image`.
        image: path of the image; None if the finding is not about images, or if a function makes the image.
        detail: the values as plain JSON; "boxes" are xyxy in pixels of the image.
        count: number of boxes, objects or images that the finding sums up.
    """

    kind: str
    message: str
    split: str | None = None
    image_id: str | None = None
    file: str | None = None
    image: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    count: int = 1

    @property
    def severity(self) -> str:
        return KINDS[self.kind].severity

    def to_dict(self) -> dict[str, Any]:
        """The fields and the severity as plain JSON."""
        return {"severity": self.severity, **asdict(self)}


def finding_in(item, kind, message, *, in_annotation=False, count=1, **detail):
    """A `Finding` about one image.

    Args:
        item: `CheckedImage`.
        kind: see `Finding`, as for `message`, `count` and `detail`.
        message: the problem in words.
        in_annotation: whether the annotation is at fault, and not the image.
        count: number of what the finding sums up.
        **detail: plain JSON values.
    """
    a = item.annotation
    file = a.where if in_annotation and a.path else a.path
    return Finding(kind, message, item.split, a.image_id, file, a.path, detail, count)


def box_text(box):
    """An xyxy box for messages."""
    return f"[{', '.join(f'{side:.4g}' for side in box)}]"


def size_text(size):
    """(width, height) for messages."""
    return f"{size[0]}x{size[1]}"
