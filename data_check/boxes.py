"""Boxes: inverted or flat, outside their image, duplicates, too small."""

import itertools

import numpy as np

from ..boxes import paired_iou
from ..data_generator.formats.cleaning import BoxCleaner
from .findings import box_text, finding_in, size_text

DUPLICATE_IOU = 0.9  # annotation tools paste a copy some pixels aside; true neighbors rarely reach 0.85
PAIRS_AT_ONCE = 2**20  # bounds the memory: an image may have any number of boxes
SMALL_AREA = 0.01  # relative to the image
SPECK_SIDE = 1.0  # pixels of the image
TINY_SIDE = 2.0  # pixels at the model's input
# Rounding makes boxes extend beyond their image: relative coordinates are written with few digits, and some
# tools count pixels from 0, others from 1.
INVISIBLE = 0.05  # pixels
ROUNDING = 1.0  # pixels


def box_findings(item):
    """Findings about each box of a `CheckedImage`."""
    low, high = item.boxes[:, :2], item.boxes[:, 2:]
    inverted = (high < low).any(axis=1)
    flat = ~inverted & (high == low).any(axis=1)
    usable = ~(inverted | flat)
    found = _box_by_box(item, "inverted-box", inverted) + _box_by_box(item, "flat-box", flat)
    if item.size is not None:
        outside = usable & ((high <= 0) | (low >= item.size)).any(axis=1)
        usable &= ~outside
        found += _box_by_box(item, "outside-box", outside, f" in an image of {size_text(item.size)}")
        found += _partly_outside(item, usable)
        found += _box_by_box(item, "speck-box", usable & (high - low <= SPECK_SIDE).any(axis=1))
    return found + _duplicates(item, usable & ~item.annotation.crowd)


def relative_findings(items):
    """One finding for each split whose boxes look relative to their images, although the format has pixels.

    Args:
        items: list of `CheckedImage`.
    """
    found = []
    for split in dict.fromkeys(item.split for item in items):
        mine = [item for item in items if item.split == split and item.size and len(item.boxes)]
        if not mine:
            continue
        boxes = [item.boxes for item in mine]
        sizes = np.repeat([item.size for item in mine], list(map(len, boxes)), axis=0)
        if BoxCleaner(np.concatenate(boxes), sizes).looks_relative():
            message = f"all {len(sizes)} boxes lie within 0..1, first {box_text(boxes[0][0])}"
            found.append(finding_in(mine[0], "relative-boxes", message, in_annotation=True, count=len(sizes)))
    return found


def size_findings(objects, anchors):
    """One finding for each split with small boxes, and one for each with tiny boxes if there are `anchors`.

    Args:
        objects: `Objects`.
        anchors: an `AnchorSpec` or None.
    """
    small = objects.area_share < SMALL_AREA
    found = _split_by_split("small-boxes", objects, small, "below 1 % of the area of their image")
    if anchors is not None:
        height, width = anchors.image_size
        tiny = (objects.sides_at((width, height)) < TINY_SIDE).any(axis=1)
        what = f"less than 2 px wide or high at an input of {width}x{height}"
        found += _split_by_split("tiny-boxes", objects, tiny, what)
    return found


def _partly_outside(item, mask):
    found, boxes = [], item.boxes
    beyond = np.concatenate([-boxes[:, :2], boxes[:, 2:] - item.size], axis=1).max(axis=1, initial=0)
    for i in np.flatnonzero(mask & (beyond > INVISIBLE)):
        kind = "edge-rounding" if beyond[i] <= ROUNDING else "partly-outside-box"
        message = f" extends {beyond[i]:.4g} px beyond the image of {size_text(item.size)}"
        found.append(_box_finding(item, kind, i, message, pixels=float(beyond[i])))
    return found


def _duplicates(item, mask):
    """One finding for each box that duplicates an earlier one."""
    found, boxes, indices = [], item.boxes, np.flatnonzero(mask)
    if not indices.size:
        return found
    _, classes = np.unique(np.array(item.annotation.names, object)[indices].astype(str), return_inverse=True)
    first = _first_copies(boxes[indices], classes)
    for row in np.flatnonzero(first < np.arange(len(indices))):
        i, j = indices[row], int(indices[first[row]])
        overlap = float(paired_iou(boxes[[i]], boxes[[j]])[0])
        message = f" duplicates object {j} (IoU {overlap:.2f})"
        pair = [boxes[i].tolist(), boxes[j].tolist()]
        found.append(_box_finding(item, "duplicate-box", i, message, repeats=j, iou=overlap, boxes=pair))
    return found


def _first_copies(boxes, classes):
    """(N,) index of the first box of the same class with an IoU of at least `DUPLICATE_IOU`, maybe itself."""
    rows = np.column_stack([boxes, classes])
    _, exact, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(exact)  # the first of the boxes that are exactly alike, as in the annotation
    exact, position = exact[order], np.argsort(order)
    first = np.arange(len(exact))
    for a, b in _candidates(boxes[exact]):
        alike = classes[exact[a]] == classes[exact[b]]
        a, b = a[alike], b[alike]
        alike = paired_iou(boxes[exact[a]], boxes[exact[b]]) >= DUPLICATE_IOU
        a, b = a[alike], b[alike]
        np.minimum.at(first, np.maximum(a, b), np.minimum(a, b))
    return exact[first][position[same.ravel()]]


def _candidates(boxes):
    """Yields index arrays (a, b) of the pairs whose left sides are near enough for `DUPLICATE_IOU`.

    The common width of two boxes with an IoU of t is at least t times the larger width, so their left sides
    differ by at most 1 - t of the larger width, which is at most 1 / t times the smaller one.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left = boxes[order, 0]
    reach = (boxes[order, 2] - left) * (1 - DUPLICATE_IOU) / DUPLICATE_IOU * (1 + 1e-9)  # and rounding
    after = np.arange(1, len(boxes) + 1)
    count = np.searchsorted(left, left + reach, side="right") - after
    chunk = (np.cumsum(count) - count) // PAIRS_AT_ONCE
    for start, end in itertools.pairwise([*np.unique(chunk, return_index=True)[1], len(boxes)]):
        repeated = np.repeat(np.arange(start, end), count[start:end])
        within = np.arange(len(repeated)) - np.repeat(
            np.cumsum(count[start:end]) - count[start:end], count[start:end]
        )
        yield order[repeated], order[after[repeated] + within]


def _box_by_box(item, kind, mask, message=""):
    return [_box_finding(item, kind, i, message) for i in np.flatnonzero(mask)]


def _box_finding(item, kind, i, message="", **detail):
    name, box = item.annotation.names[i], item.boxes[i]
    values = {"object": int(i), "name": name, "boxes": [box.tolist()], **detail}
    return finding_in(item, kind, f"{name} {box_text(box)}{message}", in_annotation=True, **values)


def _split_by_split(kind, objects, mask, what):
    """One finding for each split, with the boxes of the first image that has any."""
    found, splits = [], objects.splits
    for split in dict.fromkeys(splits):
        total, hits = (splits == split).sum(), np.flatnonzero(mask & (splits == split))
        if hits.size:
            image = objects.image[hits[0]]
            message = f"{hits.size} of {total} boxes {what}"
            boxes = objects.boxes[hits[objects.image[hits] == image]].tolist()
            detail = {"share": float(hits.size / total), "boxes": boxes}
            item, count = objects.items[image], int(hits.size)
            found.append(finding_in(item, kind, message, in_annotation=True, count=count, **detail))
    return found
