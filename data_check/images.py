"""Images: what a file holds, whether that is what its annotation says, and which occur more than once."""

import hashlib
import io
import os
import re
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ..data_generator.formats.annotation import Annotation
from ..data_generator.images import ORIENTATION, TURNED, ImageError, read_image
from .findings import Finding, of_image

RGB = "RGB"
# Pillow's modes; a 16-bit colour image opens as RGB, its raw mode tells.
IMAGE_KINDS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "PA": "palette",
    "RGBA": "RGBA",
    "CMYK": "CMYK",
    "I": "16 or 32 bit",
    "F": "floating point",
}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image file holds.

    Attributes:
        stored: (width, height) in pixels as stored, or None if the header cannot be read.
        orientation: EXIF orientation, 1 is upright.
        kind: "RGB", or what else it is.
        digest: of the file's bytes, or None if there are none.
        missing: whether there is no such file.
        error: why it cannot be decoded, or None.
        complaint: what the decoder said about damage inside, or None.
    """

    stored: tuple[int, int] | None = None
    orientation: int = 1
    kind: str = RGB
    digest: str | None = None
    missing: bool = False
    error: str | None = None
    complaint: str | None = None

    @property
    def shown(self):
        """(width, height) in pixels as shown upright, or None."""
        return self.stored[::-1] if self.stored and self.orientation in TURNED else self.stored


@dataclass(frozen=True, eq=False, slots=True)
class CheckedImage:
    """An `Annotation`, its split, and the `ImageFacts` of its file."""

    split: str
    annotation: Annotation
    facts: ImageFacts

    @property
    def size(self):
        """(width, height) in pixels that boxes refer to; None where unknown, and where `sizes_differ`."""
        return None if self.sizes_differ else self.annotation.size or self.facts.shown

    @property
    def sizes_differ(self):
        """Whether the annotated size is neither that of the image as shown nor as stored."""
        facts = self.facts
        return facts.stored is not None and self.annotation.size not in (None, facts.stored, facts.shown)

    @property
    def boxes(self):
        """(objects, 4) xyxy in pixels as annotated; relative where there is no size."""
        a = self.annotation
        return a.boxes * (*self.size, *self.size) if a.relative and self.size else a.boxes


def inspect_image(path):
    """Reads and decodes one file; the pixels are not kept.

    Returns:
        `ImageFacts`; what is wrong stands in them.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return ImageFacts(missing=isinstance(error, FileNotFoundError), error=error.strerror or str(error))
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        # The smallest scale: it reads all data of a JPEG and saves most of the arithmetic.
        read_image(path, reduction=8)
        error = None
    except ImageError as reason:
        error = str(reason).removeprefix(f"{path}: ")
    try:
        with Image.open(io.BytesIO(data)) as header:
            # The kind first: looking for EXIF may read the file to its end and forget what it was.
            kind, stored = _kind(header), header.size
            orientation = header.getexif().get(ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as reason:
        return ImageFacts(digest=digest, error=error or f"cannot read the size of the image: {reason}")
    return ImageFacts(stored, orientation, kind, digest, error=error)


def _kind(header):
    if "16" in header.mode or any("16" in str(tile[3]) for tile in header.tile):
        return "16 bit"
    return IMAGE_KINDS.get(header.mode, RGB)


def image_findings(item):
    """Findings about the file of a `CheckedImage`, and about an image without objects."""
    a, facts, found = item.annotation, item.facts, []
    if facts.missing:
        found.append(of_image("missing-file", item, "no such image", reason=facts.error))
    elif facts.error:
        found.append(of_image("unreadable-image", item, facts.error, reason=facts.error))
    elif facts.complaint:
        found.append(of_image("damaged-image", item, facts.complaint, reason=facts.complaint))
    if facts.stored:
        found += _size_findings(item)
    if not len(a.boxes):
        found.append(of_image("no-objects", item, "no objects", a.where))
    return found


def _size_findings(item):
    a, facts = item.annotation, item.facts
    sizes = {"annotated": list(a.size or ()), "stored": list(facts.stored), "shown": list(facts.shown)}
    if item.sizes_differ:
        swapped = "; width and height are swapped" if a.size == facts.shown[::-1] else ""
        message = f"annotated {_by(a.size)}, the image has {_by(facts.shown)}{swapped}"
        return [of_image("size-mismatch", item, message, a.where, **sizes)]
    if facts.orientation == 1:
        return []
    if a.size not in (None, facts.shown):
        use = f"annotated {_by(a.size)} is the size as stored: used as stored, not turned"
    else:
        use = "boxes are taken to refer to the upright picture"
    message = f"EXIF orientation {facts.orientation}; {use}"
    return [of_image("exif-orientation", item, message, orientation=facts.orientation, **sizes)]


def _by(size):
    return f"{size[0]}x{size[1]}"


def kind_findings(items):
    """One finding for each kind of image other than 8-bit RGB."""
    of_kind = defaultdict(list)
    for item in items:
        if item.facts.stored and item.facts.kind != RGB:
            of_kind[item.facts.kind].append(item)
    found = []
    for kind, of in of_kind.items():
        a, message = of[0].annotation, f"{kind}: {len(of)} of {len(items)} images"
        detail = {"image_kind": kind}
        found.append(Finding("not-rgb", message, of[0].split, a.image_id, a.image, a.image, detail, len(of)))
    return found


CHUNK = 64  # images between two looks at what the decoder said

# libjpeg decodes through damage and says so on the standard error stream only.
_COMPLAINT = re.compile(r"(Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*)")
STDERR = 2


def inspect_images(split, annotations, workers=None):
    """Yields a `CheckedImage` for each `Annotation`, in order; holds no pixels.

    Meanwhile the process' standard error stream is set aside for moments, so that the decoder's words are
    heard and do not disturb the terminal.

    Args:
        split: name of the split.
        annotations: iterable of `Annotation`; read a little ahead of what is yielded.
        workers: threads; None takes one for each core, at most 8.
    """
    annotations = iter(annotations)
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(annotations, CHUNK)):
            facts = _inspect([a.image for a in chunk], pool)
            yield from map(CheckedImage, [split] * len(chunk), chunk, facts)


def _inspect(paths, pool):
    """`ImageFacts` of the files. If the decoder complained, each is decoded once more to know which."""
    facts, said = listen(lambda: list(pool.map(inspect_image, paths)))
    return [_with_complaint(path) for path in paths] if _COMPLAINT.search(said) else facts


def _with_complaint(path):
    facts, said = listen(lambda: inspect_image(path))
    words = _COMPLAINT.search(said)
    return replace(facts, complaint=words[0]) if words else facts


def listen(action):
    """Returns what `action` returns, and what was written to the standard error stream meanwhile.

    The stream is the process': what other threads write to it meanwhile is taken, too.
    """
    sys.stderr.flush()
    kept = os.dup(STDERR)
    try:
        with tempfile.TemporaryFile() as aside:
            os.dup2(aside.fileno(), STDERR)
            try:
                result = action()
            finally:
                os.dup2(kept, STDERR)
            aside.seek(0)
            return result, aside.read().decode(errors="replace")
    finally:
        os.close(kept)


def duplicate_findings(items):
    """Findings about images with the same content or the same name.

    Args:
        items: list of `CheckedImage`, split by split.
    """
    return _same_content(items) + _same_name(items)


def _content(item):
    """What tells images apart; the path where there is no file to read."""
    return item.facts.digest or item.annotation.image


def _same_content(items):
    found, seen = [], defaultdict(dict)  # content -> {split: first image of it}
    for item in items:
        firsts = seen[_content(item)]
        if item.split in firsts:
            other = firsts[item.split]
            same_file = item.annotation.image == other.annotation.image
            found.append(_repeats("listed-twice" if same_file else "identical-images", item, other))
        elif firsts:
            found.append(_repeats("shared-image", item, next(iter(firsts.values()))))
        firsts.setdefault(item.split, item)
    return found


def _repeats(kind, item, other):
    a, b = item.annotation, other.annotation
    same_objects = a.names == b.names and np.array_equal(item.boxes, other.boxes)
    message = f"same image as {b.image_id} in {other.split}{'' if same_objects else ', with other objects'}"
    detail = {
        "other_split": other.split,
        "other_id": b.image_id,
        "other_image": b.image,
        "same_objects": same_objects,
    }
    return of_image(kind, item, message, **detail)


def _same_name(items):
    found, across, seen = [], defaultdict(list), defaultdict(dict)  # id -> {split: first image of it}
    for item in items:
        a, firsts = item.annotation, seen[item.annotation.image_id]
        other = firsts.get(item.split)
        if other is not None and _content(item) != _content(other):
            message = f"also names {other.annotation.image}"
            found.append(of_image("repeated-id", item, message, other_image=other.annotation.image))
        for split, first in firsts.items():
            if split != item.split and _content(first) != _content(item):
                across[split, item.split].append(a)
        firsts.setdefault(item.split, item)
    for (first, second), annotations in across.items():
        a, count = annotations[0], len(annotations)
        message = f"{count} names of {second} stand for other images in {first}"
        detail = {"other_split": first}
        found.append(Finding("same-id", message, second, a.image_id, a.image, a.image, detail, count))
    return found
