"""Search for the scales and aspect ratios with the best coverage of given boxes, one number at a time."""

import numpy as np

from ..boxes import TINY

FACTORS = (1.3, 1.12, 1.04)  # by which one number changes at a time, coarse to fine
PASSES = 4  # over all numbers with one factor, at most


def search(numbers, make, boxes, weights, positive_iou):
    """Changes numbers while the coverage grows: mean best IoU plus the share of at least `positive_iou`.

    Args:
        numbers: list to begin with.
        make: function from such a list to an `AnchorSpec`, or to None where the numbers are not allowed.
        boxes: (N, 4) cxcywh in pixels at the model's input.
        weights: (N,) of the boxes in both, with sum 1.
        positive_iou: IoU from which an anchor is positive.

    Returns:
        The best list found.
    """
    levels = make(numbers).levels
    best = [best_iou_of_level(boxes, level) for level in levels]  # levels times (N,)
    value = _value(best, weights, positive_iou)
    for factor in FACTORS:
        for _ in range(PASSES):
            before = value
            for trial in _neighbours(numbers, factor):
                spec = make(trial(numbers))
                if spec is None:
                    continue
                # A number is of one or two levels; the others stay as they are.
                pairs = zip(levels, spec.levels, best, strict=True)
                new = [known if a == b else best_iou_of_level(boxes, b) for a, b, known in pairs]
                if (reached := _value(new, weights, positive_iou)) > value:
                    numbers, levels, best, value = trial(numbers), spec.levels, new, reached
            if value == before:
                break
    return numbers


def _neighbours(numbers, factor):
    for i in range(len(numbers)):
        for f in (factor, 1 / factor):
            yield lambda old, i=i, f=f: [*old[:i], old[i] * f, *old[i + 1 :]]


def _value(best, weights, positive_iou):
    best = np.max(best, axis=0)
    return weights @ (best + (best >= positive_iou))


def best_iou_of_level(boxes, level):
    """(N,) best IoU of cxcywh boxes (N, 4) with the anchors of an `AnchorLevel`, both in pixels.

    Anchors of one shape differ in place only, and the nearest along each axis overlaps most.
    """
    steps, cells = np.array(level.step[::-1]), np.array(level.grid[::-1])  # x, y
    nearest = (np.clip(np.round(boxes[:, :2] / steps - 0.5), 0, cells - 1) + 0.5) * steps
    away = np.abs(boxes[:, :2] - nearest)[:, None]  # (N, 1, 2)
    sides, anchors = boxes[:, None, 2:], np.array(level.sides)[None]  # (N, 1, 2), (1, sides, 2)
    # Along an axis two intervals share the shorter one, or less where the ends of both are passed.
    shared = np.clip((sides + anchors) / 2 - away, 0, np.minimum(sides, anchors)).prod(axis=2)
    union = sides.prod(axis=2) + anchors.prod(axis=2) - shared
    return (shared / np.maximum(union, TINY)).max(axis=1)
