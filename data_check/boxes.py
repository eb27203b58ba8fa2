"""Boxes: inverted or flat, outside their image, duplicates, too small."""

import numpy as np

from ..boxes import iou
from ..data_generator.formats.cleaning import BoxCleaner
from .findings import box_text, finding_in, size_text

DUPLICATE_IOU = 0.9  # annotation tools paste a copy some pixels aside; true neighbors rarely reach 0.85
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
    names = np.array(item.annotation.names, object)[indices]
    overlaps = iou(boxes[indices], boxes[indices])
    same = np.tril((overlaps >= DUPLICATE_IOU) & (names[:, None] == names), -1)  # (objects, earlier objects)
    for row in np.flatnonzero(same.any(axis=1)):
        column = same[row].argmax()
        i, j, overlap = indices[row], int(indices[column]), float(overlaps[row, column])
        message = f" duplicates object {j} (IoU {overlap:.2f})"
        pair = [boxes[i].tolist(), boxes[j].tolist()]
        found.append(_box_finding(item, "duplicate-box", i, message, repeats=j, iou=overlap, boxes=pair))
    return found


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
