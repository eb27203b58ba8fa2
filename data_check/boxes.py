"""Boxes: degenerate, outside, annotated twice, too small."""

import numpy as np

from ..boxes import iou
from .findings import Finding, corners, of_image

SAME_IOU = 0.9  # annotation tools paste a copied box some pixels beside; neighbours rarely reach 0.85
SMALL_AREA = 0.01  # of the image
SPECK_SIDE = 1.0  # pixels of the image
TINY_SIDE = 2.0  # pixels at the model's input
# Where box coordinates were rounded: of relative ones a few digits are written, whole pixels are counted
# from 0 by one tool and from 1 by another.
INVISIBLE = 0.05  # pixels
ROUNDING = 1.0  # pixels


def box_findings(item):
    """Findings about each box of a `CheckedImage`."""
    boxes, found = item.boxes, []
    low, high = boxes[:, :2], boxes[:, 2:]
    inverted = (high < low).any(axis=1)
    flat = ~inverted & (high == low).any(axis=1)
    bad = inverted | flat
    for kind, mask in (("inverted-box", inverted), ("flat-box", flat)):
        found += [_of_box(kind, item, i) for i in np.flatnonzero(mask)]
    if item.size is not None:
        outside = ~bad & ((high <= 0) | (low >= item.size)).any(axis=1)
        bad |= outside
        message = f" in an image of {_size(item)}"
        found += [_of_box("outside-box", item, i, message) for i in np.flatnonzero(outside)]
        found += _partly_outside(item, ~bad) + _specks(item, ~bad)
    return found + _duplicates(item, np.flatnonzero(~bad & ~item.annotation.crowd))


def _partly_outside(item, mask):
    found, boxes = [], item.boxes
    beyond = np.concatenate([-boxes[:, :2], boxes[:, 2:] - item.size], axis=1).max(axis=1, initial=0)
    for i in np.flatnonzero(mask & (beyond > INVISIBLE)):
        kind = "edge-rounding" if beyond[i] <= ROUNDING else "partly-outside-box"
        message = f" reaches {beyond[i]:.4g} px outside the image of {_size(item)}"
        found.append(_of_box(kind, item, i, message, pixels=float(beyond[i])))
    return found


def _specks(item, mask):
    small = mask & ((item.boxes[:, 2:] - item.boxes[:, :2]) <= SPECK_SIDE).any(axis=1)
    return [_of_box("speck-box", item, i) for i in np.flatnonzero(small)]


def _duplicates(item, indices):
    """One finding for each box that repeats an earlier one."""
    found, names, boxes = [], item.annotation.names, item.boxes
    overlaps = iou(boxes[indices], boxes[indices])
    for second, first in np.argwhere(np.tril(overlaps >= SAME_IOU, -1)):
        i, j = indices[second], indices[first]
        if names[i] == names[j] and not any(f.detail["object"] == i for f in found):
            same = float(overlaps[second, first])
            message = f" repeats object {j} (IoU {same:.2f})"
            pair = [_plain(boxes[i]), _plain(boxes[j])]
            found.append(_of_box("duplicate-box", item, i, message, repeats=int(j), iou=same, boxes=pair))
    return found


def _of_box(kind, item, i, message="", **detail):
    a = item.annotation
    box = _plain(item.boxes[i])
    values = {"object": int(i), "name": a.names[i], "boxes": [box], **detail}
    return of_image(kind, item, f"{a.names[i]} {corners(box)}{message}", a.where, **values)


def size_findings(objects, anchors):
    """One finding for each split with small boxes, and with tiny ones if there are `anchors`.

    Args:
        objects: `Objects`.
        anchors: an `AnchorSpec` or None.
    """
    small = objects.area_share < SMALL_AREA
    found = _of_splits("small-boxes", objects, small, "below 1 % of the area of their image")
    if anchors is not None:
        height, width = anchors.image_size
        tiny = (objects.sides_at((width, height)) < TINY_SIDE).any(axis=1)
        found += _of_splits("tiny-boxes", objects, tiny, f"less than 2 px at an input of {width}x{height}")
    return found


def _of_splits(kind, objects, mask, what):
    found, splits = [], objects.splits
    for split in dict.fromkeys(splits):
        total, hits = (splits == split).sum(), np.flatnonzero(mask & (splits == split))
        if not hits.size:
            continue
        a = objects.items[objects.image[hits[0]]].annotation
        boxes = objects.boxes[hits[objects.image[hits] == objects.image[hits[0]]]]
        message = f"{hits.size} of {total} boxes {what}"
        detail = {"share": float(hits.size / total), "boxes": boxes.tolist()}
        found.append(Finding(kind, message, split, a.image_id, a.where, a.image, detail, int(hits.size)))
    return found


def _plain(box):
    return [float(side) for side in box]


def _size(item):
    return f"{item.size[0]}x{item.size[1]}"
