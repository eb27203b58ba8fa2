"""Anchors that fit a data set better: k-means on IoU, then a search for the best coverage.

The suggestion keeps grids, steps and the number of anchors of each cell, so the heads keep their shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..anchors import VARIANCES, AnchorSpec
from ..boxes import TINY, iou, xyxy_to_cxcywh
from .coverage import POSITIVE_IOU, Coverage, measure_coverage, size_class

MIN_OBJECTS = 100  # too few objects say little about scales and aspect ratios
MAX_SAMPLE = 4000  # objects that the search looks at
# A suggestion must raise the share above IoU 0.5 and the mean best IoU, together by MIN_GAIN. That share may
# not fall by more than MAX_LOSS in any size class.
MIN_GAIN = 0.02
MAX_LOSS = 0.05

# Bounds that keep the pyramid: the boxes of a level are about as large as its cells or larger, and grow from
# level to level. Augmentation shows objects smaller and larger than annotated, so every level is needed.
MIN_SCALE_PER_STEP = 0.75
MAX_SCALE = 1.1
GROWTH = 1.1
RATIOS = (1.1, 12.0)

SEARCH_FACTORS = (1.3, 1.12, 1.04)  # one number changes by one of these at a time, coarse to fine
SEARCH_PASSES = 4  # over all numbers with one factor, at most


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A better `AnchorSpec`.

    Attributes:
        anchors: the `AnchorSpec`.
        coverage: its `Coverage`.
        code: Python code that creates it.
    """

    anchors: AnchorSpec
    coverage: Coverage
    code: str


def suggest_anchors(coverage: Coverage, seed: int = 0, progress: bool = False) -> Suggestion | None:
    """Searches scales and aspect ratios that fit the objects better than those of a spec.

    Args:
        coverage: `Coverage` of the spec.
        seed: seed of the k-means and of the sample of objects.
        progress: whether to show a progress bar.

    Returns:
        `Suggestion`, or None in these cases:

        - There are fewer than `MIN_OBJECTS` objects.
        - Nothing clearly better was found.
        - `AnchorSpec.from_scales` cannot make the cells of the spec: an odd number of anchors, or steps that
          differ in x and y and do not divide the image evenly.
    """
    spec, objects = coverage.anchors, coverage.objects
    if len(objects) < MIN_OBJECTS or not all(_from_scales_makes(spec, level) for level in spec.levels):
        return None
    rng = np.random.default_rng(seed)
    sample = rng.permutation(len(objects))[:MAX_SAMPLE]
    height, width = spec.image_size
    boxes = xyxy_to_cxcywh(objects.relative[sample]) * (width, height, width, height)
    to_spec = partial(_spec_within_bounds, spec, _lowest_scales(spec))
    numbers = _search(_initial_numbers(spec, boxes[:, 2:], rng), to_spec, boxes, _balanced_weights(boxes))
    new = measure_coverage(objects, to_spec(numbers), progress)
    if not _is_better(new, coverage):
        return None
    return Suggestion(new.anchors, new, _python_code(_from_scales_arguments(spec, numbers)))


def best_iou_of_level(boxes, level):
    """(N,) best IoU of cxcywh boxes (N, 4) with the anchors of an `AnchorLevel`, both in pixels.

    Anchors of one shape differ only in position, and the nearest one along each axis overlaps most.
    """
    steps, cells = np.array(level.step[::-1]), np.array(level.grid[::-1])  # x, y
    nearest = (np.clip(np.round(boxes[:, :2] / steps - 0.5), 0, cells - 1) + 0.5) * steps
    distance = np.abs(boxes[:, :2] - nearest)[:, None]  # (N, 1, 2)
    sides, anchors = boxes[:, None, 2:], np.array(level.sides)[None]  # (N, 1, 2), (1, sides, 2)
    # The common part of two intervals; it is never longer than the shorter one.
    shared = np.clip((sides + anchors) / 2 - distance, 0, np.minimum(sides, anchors)).prod(axis=2)
    union = sides.prod(axis=2) + anchors.prod(axis=2) - shared
    return (shared / np.maximum(union, TINY)).max(axis=1)


def kmeans_iou(sides, clusters, rng, iterations=50):
    """Clusters widths and heights by 1 - IoU at a common center (Redmon and Farhadi, "YOLO9000", section 2).

    Args:
        sides: (N, 2) widths and heights.
        clusters: number of clusters.
        rng: `numpy.random.Generator` of the first centers (k-means++).
        iterations: maximum number of iterations.

    Returns:
        (clusters, 2) mean widths and heights, by ascending area.
    """
    centers = _first_centers(sides, clusters, rng)
    nearest = None
    for _ in range(iterations):
        before, nearest = nearest, shape_iou(sides, centers).argmax(axis=1)
        if before is not None and (before == nearest).all():
            break
        counts = np.bincount(nearest, minlength=clusters)
        sums = np.stack([np.bincount(nearest, sides[:, k], clusters) for k in (0, 1)], axis=1)
        # The center of a cluster without members stays where it is.
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
    return centers[np.argsort(centers.prod(axis=1), kind="stable")]


def shape_iou(sides_a, sides_b):
    """(A, B) IoU of boxes with these widths and heights and a common center."""
    return iou(*(np.concatenate([-sides / 2, sides / 2], axis=1) for sides in (sides_a, sides_b)))


def _from_scales_makes(spec, level):
    steps_fit = level.step[0] == level.step[1] or level.step == _even_step(spec, level)
    return len(level.sides) >= 2 and len(level.sides) % 2 == 0 and steps_fit


def _even_step(spec, level):
    return tuple(side / cells for side, cells in zip(spec.image_size, level.grid, strict=True))


def _num_ratios(level):
    """A cell has two squares, then a lying and an upright box for each aspect ratio."""
    return len(level.sides) // 2 - 1


def _lowest_scales(spec):
    """The smallest scales allowed, one more than levels, each `GROWTH` times the one before."""
    steps = [min(level.step) for level in spec.levels]
    scales, n = [], len(steps) + 1
    for k, step in enumerate([*steps, 0]):
        own = MIN_SCALE_PER_STEP * step / min(spec.image_size)
        scales.append(min(max(own, GROWTH * max(scales, default=0)), _highest_scale(k, n)))
    return scales


def _highest_scale(k, n):
    return MAX_SCALE / GROWTH ** (n - 1 - k)


def _initial_numbers(spec, sides, rng):
    """Scales and ratios from clusters of the objects' shapes, distributed to the levels from small to large.

    A lying and an upright box of one ratio count as one shape, because `AnchorSpec.from_scales` makes both.
    """
    lying = np.sort(sides, axis=1)[:, ::-1]
    groups = [1 + _num_ratios(level) for level in spec.levels]
    parts = np.split(kmeans_iou(lying, sum(groups), rng), np.cumsum(groups)[:-1])
    lowest, n = _lowest_scales(spec), len(groups) + 1
    scales, ratios = [], []
    for part in parts:
        scales.append(np.exp(np.log(part).mean()) / min(spec.image_size))
        ratios += sorted(np.clip(part[:, 0] / part[:, 1], *RATIOS))[1:]
    scales.append(scales[-1] * GROWTH)
    for k in range(n):
        growing = max(scales[k], lowest[k], GROWTH * scales[k - 1] if k else 0)
        scales[k] = min(growing, _highest_scale(k, n))
    return [*map(float, scales), *map(float, ratios)]


def _balanced_weights(boxes):
    """(N,) weights of boxes, with sum 1. The weight of a size class is the root of its number of boxes.

    With equal weights, the size class with the most objects would be fitted at the cost of the others.
    """
    of_class = size_class(boxes[:, 2:].prod(axis=1))
    weights = 1 / np.sqrt(np.bincount(of_class))[of_class]
    return weights / weights.sum()


def _search(numbers, to_spec, boxes, weights):
    """Changes one number at a time as long as the `_objective` grows.

    Args:
        numbers: the initial list.
        to_spec: function from such a list to an `AnchorSpec`, or to None if the numbers are not allowed.
        boxes: (N, 4) cxcywh in pixels at the model's input.
        weights: (N,) weights of the boxes, with sum 1.

    Returns:
        The best list found.
    """
    levels = to_spec(numbers).levels
    best = [best_iou_of_level(boxes, level) for level in levels]  # levels times (N,)
    value = _objective(best, weights)
    for factor in SEARCH_FACTORS:
        for _ in range(SEARCH_PASSES):
            before = value
            for change in _changes(len(numbers), factor):
                spec = to_spec(change(numbers))
                if spec is None:
                    continue
                # A number belongs to one or two levels; the others keep their IoU.
                pairs = zip(levels, spec.levels, best, strict=True)
                new = [known if a == b else best_iou_of_level(boxes, b) for a, b, known in pairs]
                if (reached := _objective(new, weights)) > value:
                    numbers, levels, best, value = change(numbers), spec.levels, new, reached
            if value == before:
                break
    return numbers


def _changes(count, factor):
    """Functions that multiply or divide one of `count` numbers by the factor."""
    for i in range(count):
        for f in (factor, 1 / factor):
            yield lambda old, i=i, f=f: [*old[:i], old[i] * f, *old[i + 1 :]]


def _objective(best, weights):
    """Mean best IoU plus the share of at least `POSITIVE_IOU`."""
    best = np.max(best, axis=0)
    return weights @ (best + (best >= POSITIVE_IOU))


def _spec_within_bounds(spec, lowest, numbers):
    """The `AnchorSpec` of these numbers, or None if they are out of bounds."""
    n = len(lowest)
    scales, ratios = np.array(numbers[:n]), np.array(numbers[n:])
    slack = 1e-9  # a number may be exactly at its bound
    highest = [_highest_scale(k, n) for k in range(n)]
    fits = (scales >= np.array(lowest) - slack) & (scales <= np.array(highest) + slack)
    grows = scales[1:] >= GROWTH * scales[:-1] - slack
    if not (fits.all() and grows.all() and ((ratios >= RATIOS[0]) & (ratios <= RATIOS[1])).all()):
        return None
    return AnchorSpec.from_scales(**_from_scales_arguments(spec, numbers))


def _from_scales_arguments(spec, numbers):
    """Arguments of `AnchorSpec.from_scales` for numbers: scales, then the ratios of all levels; rounded."""
    n = len(spec.levels) + 1
    ratios = iter(round(r, 2) for r in numbers[n:])
    arguments = {
        "image_size": spec.image_size,
        "grids": [level.grid for level in spec.levels],
        "scales": tuple(round(s, 3) for s in numbers[:n]),
        "aspect_ratios": [tuple(sorted(next(ratios) for _ in range(_num_ratios(v)))) for v in spec.levels],
        "steps": [v.step[0] if v.step[0] == v.step[1] else None for v in spec.levels],
    }
    return arguments if spec.variances == VARIANCES else {**arguments, "variances": spec.variances}


def _is_better(new, old):
    a, b = new.rows(), old.rows()
    gains = [a["all"][figure] - b["all"][figure] for figure in ("share_iou_50", "mean_best_iou")]
    kept = all(
        a[name]["share_iou_50"] >= row["share_iou_50"] - MAX_LOSS for name, row in b.items() if row["objects"]
    )
    return min(gains) >= 0 and sum(gains) >= MIN_GAIN and kept


def _python_code(arguments):
    lines = [f"    {name}={_literal(value)}," for name, value in arguments.items()]
    return "\n".join(["AnchorSpec.from_scales(", *lines, ")"])


def _literal(value):
    """Like `repr`, but with whole floats as integers."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


def _first_centers(sides, clusters, rng):
    centers = sides[[rng.integers(len(sides))]]
    while len(centers) < clusters:
        distance = 1 - shape_iou(sides, centers).max(axis=1)
        weights = distance**2 + TINY  # equal if every shape has its own center
        chosen = rng.choice(len(sides), p=weights / weights.sum())
        centers = np.concatenate([centers, sides[[chosen]]])
    return centers
