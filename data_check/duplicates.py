"""Images that occur more than once, in a split or across splits."""

from collections import defaultdict

import numpy as np

from .findings import Finding, of_image


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
