"""Findings: what can be wrong with a data set, how bad each kind is, and one occurrence of it."""

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

ERROR = "error"  # training stops at it, or what is measured afterwards is wrong
WARNING = "warning"  # training goes on, without the box or image or with less than it could learn
INFO = "info"  # worth knowing; nothing needs to be done
SEVERITIES = (ERROR, WARNING, INFO)


class Kind(NamedTuple):
    severity: str
    what: str


KINDS = {
    "missing-file": Kind(ERROR, "an image or annotation file is not there"),
    "unreadable-annotation": Kind(ERROR, "the annotation cannot be read"),
    "unreadable-image": Kind(ERROR, "the image cannot be decoded, or only its first part is there"),
    "size-mismatch": Kind(ERROR, "the annotation states another image size than the file has"),
    "unknown-class": Kind(ERROR, "objects of a class that is not listed"),
    "repeated-id": Kind(ERROR, "two images of one split go by the same name"),
    "shared-image": Kind(ERROR, "an image is in two splits: what is measured on one was trained on"),
    "damaged-image": Kind(WARNING, "the decoder complains about damage inside the image"),
    "listed-twice": Kind(WARNING, "an image is listed twice in one split"),
    "identical-images": Kind(WARNING, "two files of one split hold the same image"),
    "inverted-box": Kind(WARNING, "maximum below minimum; dropped"),
    "flat-box": Kind(WARNING, "a box without width or height; dropped"),
    "outside-box": Kind(WARNING, "a box wholly outside its image; dropped"),
    "partly-outside-box": Kind(WARNING, "a box reaches outside its image; clipped"),
    "speck-box": Kind(WARNING, "a box of at most one pixel width or height: a slip of the hand?"),
    "duplicate-box": Kind(WARNING, "an object is annotated twice: same class, IoU of at least 0.9"),
    "similar-names": Kind(WARNING, "class names that differ in case, spaces, - or _ only"),
    "absent-class": Kind(WARNING, "a class has no object in a split"),
    "no-anchor": Kind(WARNING, "an object gets no anchor, so that it is never learned"),
    "edge-rounding": Kind(INFO, "a box reaches at most one pixel outside its image; clipped"),
    "exif-orientation": Kind(INFO, "the file asks to be turned or mirrored when shown"),
    "no-objects": Kind(INFO, "an image without objects; trains as background"),
    "same-id": Kind(INFO, "different images of two splits go by the same name"),
    "not-rgb": Kind(INFO, "an image of another kind than 8-bit RGB; becomes that when read"),
    "small-boxes": Kind(INFO, "boxes below 1 % of the area of their image"),
    "tiny-boxes": Kind(INFO, "boxes less than 2 pixels wide or high at the model's input"),
    "imbalance": Kind(INFO, "the most frequent class has at least 10 times the objects of the rarest"),
    "weak-anchors": Kind(
        INFO, "objects whose best anchor has an IoU below 0.5: they get that one anchor only"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: key of `KINDS`.
        message: what it is, in words, without the names below.
        split: name of the split, or None where it concerns all.
        image_id: the image, for a finding about several the first of them, or None.
        file: the file to look into: of the annotation if that is at fault, else of the image; or None.
        image: path of the image, or None.
        detail: the values as plain JSON; "boxes" are xyxy in pixels of the image.
        count: how many it stands for.
    """

    kind: str
    message: str
    split: str | None = None
    image_id: str | None = None
    file: str | None = None
    image: str | None = None
    detail: dict = field(default_factory=dict)
    count: int = 1

    @property
    def severity(self):
        return KINDS[self.kind].severity

    def to_dict(self):
        """The fields and the severity as plain JSON."""
        return {"severity": self.severity, **asdict(self)}


def corners(box):
    """An xyxy box for messages."""
    return f"[{', '.join(f'{side:.4g}' for side in box)}]"


def of_image(kind, item, message, file=None, **detail):
    """A `Finding` about one `CheckedImage`; `file` is the image's unless given."""
    a = item.annotation
    return Finding(kind, message, item.split, a.image_id, file or a.image, a.image, detail)
