"""Images: unreadable, of another size or kind than annotated, without objects, present more than once."""

from collections import defaultdict

import numpy as np

from .findings import finding_in, size_text
from .inspection import RGB

DARK = (1 << 14) - 1  # the largest number of a camera with 14 bits


def image_findings(item):
    """Findings about the image of a `CheckedImage`, and about an image without objects."""
    facts, found = item.facts, []
    if facts.missing:
        found.append(finding_in(item, "missing-file", "no such image", reason=facts.error))
    elif facts.error:
        found.append(finding_in(item, "unreadable-image", facts.error, reason=facts.error))
    elif facts.damage:
        found.append(finding_in(item, "damaged-image", facts.damage, reason=facts.damage))
    if item.sizes_differ:
        found.append(_size_mismatch(item))
    elif facts.stored and facts.orientation != 1:
        found.append(_exif_orientation(item))
    if not len(item.annotation.boxes):
        found.append(finding_in(item, "no-objects", "no objects", in_annotation=True))
    return found


def kind_findings(items):
    """One finding for each kind of image that is not 8-bit RGB, and one about 16-bit images that are dark.

    Args:
        items: list of `CheckedImage`.
    """
    of_kind = defaultdict(list)
    for item in items:
        if item.facts.stored and item.facts.kind != RGB:
            of_kind[item.facts.kind].append(item)
    return [
        finding_in(
            images[0],
            "not-rgb",
            f"{kind}: {len(images)} of {len(items)} images",
            count=len(images),
            image_kind=kind,
        )
        for kind, images in of_kind.items()
    ] + _dark_findings(items)


def _dark_findings(items):
    """A finding if no 16-bit image uses the upper three quarters of its range: fewer bits in 16."""
    images = [item for item in items if item.facts.largest is not None]
    largest = max((item.facts.largest for item in images), default=0)
    if not images or largest > DARK:
        return []
    bits = max(largest.bit_length(), 8)
    message = (
        f"the largest number in {len(images)} images is {largest}: {bits} bits in 16; read them "
        f"with_pixels(value_range=(0, {2**bits - 1}))"
    )
    return [finding_in(images[0], "dark-16-bit", message, count=len(images), largest=largest)]


def duplicate_findings(items):
    """Findings about images with the same content or the same id.

    Args:
        items: list of `CheckedImage`, split by split.
    """
    return _same_content(items) + _same_id(items)


def _size_mismatch(item):
    annotated, shown = item.annotation.size, item.facts.shown
    swapped = "; width and height are swapped" if annotated == shown[::-1] else ""
    message = f"annotated {size_text(annotated)}, the image has {size_text(shown)}{swapped}"
    return finding_in(item, "size-mismatch", message, in_annotation=True, **_sizes(item))


def _exif_orientation(item):
    annotated, facts = item.annotation.size, item.facts
    if annotated in (None, facts.shown):
        use = "boxes refer to the upright image"
    else:
        use = f"boxes refer to the image as stored, since {size_text(annotated)} is annotated"
    message = f"EXIF orientation {facts.orientation}; {use}"
    values = {"orientation": facts.orientation, **_sizes(item)}
    return finding_in(item, "exif-orientation", message, in_annotation=True, **values)


def _sizes(item):
    facts = item.facts
    return {
        "annotated": list(item.annotation.size or ()),
        "stored": list(facts.stored),
        "shown": list(facts.shown),
    }


def _same_content(items):
    found, seen = [], defaultdict(dict)  # content -> {split: its first image}
    for item in items:
        firsts = seen[_content(item)]
        if item.split in firsts:
            first = firsts[item.split]
            same_source = item.annotation.image == first.annotation.image
            found.append(_repetition("listed-twice" if same_source else "identical-images", item, first))
        elif firsts:
            found.append(_repetition("shared-image", item, next(iter(firsts.values()))))
        firsts.setdefault(item.split, item)
    return found


def _content(item):
    """What identifies the content of an image; where nothing can be read, its path or its id."""
    a = item.annotation
    return item.facts.digest or a.path or (item.split, a.image_id)


def _repetition(kind, item, first):
    a, b = item.annotation, first.annotation
    same_objects = a.names == b.names and np.array_equal(item.boxes, first.boxes)
    message = f"same image as {b.image_id} in {first.split}{'' if same_objects else ', with other objects'}"
    detail = {
        "other_split": first.split,
        "other_id": b.image_id,
        "other_image": b.path,
        "same_objects": same_objects,
    }
    return finding_in(item, kind, message, **detail)


def _same_id(items):
    found, across, seen = [], defaultdict(list), defaultdict(dict)  # id -> {split: its first image}
    for item in items:
        firsts = seen[item.annotation.image_id]
        first = firsts.get(item.split)
        if first is not None and _content(first) != _content(item):
            other = first.annotation.path
            message = f"{other or 'an image that a function makes'} has this id, too"
            found.append(finding_in(item, "repeated-id", message, other_image=other))
        for split, other in firsts.items():
            if split != item.split and _content(other) != _content(item):
                across[split, item.split].append(item)
        firsts.setdefault(item.split, item)
    for (first, second), images in across.items():
        message = f"{len(images)} ids of {second} belong to other images in {first}"
        found.append(finding_in(images[0], "same-id", message, count=len(images), other_split=first))
    return found
