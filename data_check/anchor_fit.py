"""Anchors that fit a data set better: k-means on IoU, then a search for the best coverage.

The suggestion keeps grids, steps and the number of anchors of each cell, so that the heads keep their shape.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..anchors import VARIANCES, AnchorSpec
from ..boxes import TINY, iou, xyxy_to_cxcywh
from .coverage import POSITIVE_IOU, Coverage, measure_coverage, size_class

MIN_OBJECTS = 100  # fewer do not tell scales and aspect ratios
SAMPLE = 4000  # objects that the search looks at
BETTER = 0.02  # by which a suggestion must raise the share above IoU 0.5 and the mean best IoU together
MAX_LOSS = 0.05  # by which that share may fall in one size class

# The pyramid stays one: a level's boxes are about as large as its cells or larger, and grow from level to
# level. Training shows objects smaller and larger than they are, so that no level is without use.
MIN_SCALE_PER_STEP = 0.75
MAX_SCALE = 1.1
GROWTH = 1.1
RATIOS = (1.1, 12.0)


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A better `AnchorSpec`.

    Attributes:
        anchors: the `AnchorSpec`.
        coverage: its `Coverage`.
        code: Python that makes it.
    """

    anchors: AnchorSpec
    coverage: Coverage
    code: str


def suggest_anchors(coverage, seed=0, progress=False):
    """Looks for scales and aspect ratios that fit the objects better than those of a spec.

    Args:
        coverage: `Coverage` of the spec.
        seed: of the k-means and of the sample of objects.
        progress: whether to show a progress bar.

    Returns:
        `Suggestion`, or None: for fewer than `MIN_OBJECTS` objects, if nothing clearly better was found, or
        if the spec has cells that `AnchorSpec.from_scales` does not make (an odd number of anchors, steps
        that differ in x and y and do not divide the image evenly).
    """
    spec, objects = coverage.anchors, coverage.objects
    if len(objects) < MIN_OBJECTS or not all(_is_plain(spec, level) for level in spec.levels):
        return None
    rng = np.random.default_rng(seed)
    sample = rng.permutation(len(objects))[:SAMPLE]
    height, width = spec.image_size
    boxes = xyxy_to_cxcywh(objects.relative[sample]) * (width, height, width, height)
    make = partial(_make, spec, _lowest_scales(spec))
    numbers = search(_start(spec, boxes[:, 2:], rng), make, boxes, _weights(boxes), POSITIVE_IOU)
    new = measure_coverage(objects, make(numbers), progress)
    if not _is_better(new, coverage):
        return None
    return Suggestion(new.anchors, new, _code(_arguments(spec, numbers)))


def _weights(boxes):
    """(N,) weights of boxes, with sum 1. A size class weighs as the root of its number of boxes.

    With equal weights, the many objects of one size would be fitted ever better at the cost of the others.
    """
    of_class = size_class(boxes[:, 2:].prod(axis=1))
    weights = 1 / np.sqrt(np.bincount(of_class))[of_class]
    return weights / weights.sum()


def _is_plain(spec, level):
    even = level.step == _even_step(spec, level)
    return len(level.sides) >= 2 and len(level.sides) % 2 == 0 and (even or level.step[0] == level.step[1])


def _even_step(spec, level):
    return tuple(side / cells for side, cells in zip(spec.image_size, level.grid, strict=True))


def _num_ratios(level):
    """Two squares, then two upright or lying boxes for each aspect ratio."""
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


def _start(spec, sides, rng):
    """Numbers to begin with: clusters of the objects' shapes, dealt out to the levels from small to large.

    A shape and its upright twin are one, because `AnchorSpec.from_scales` makes both.
    """
    lying = np.sort(sides, axis=1)[:, ::-1]
    groups = [1 + _num_ratios(level) for level in spec.levels]
    centres = kmeans_iou(lying, sum(groups), rng)
    parts = np.split(centres, np.cumsum(groups)[:-1])
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


def _arguments(spec, numbers):
    """Arguments of `AnchorSpec.from_scales`: scales, then the ratios of all levels, rounded for reading."""
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


def _make(spec, lowest, numbers):
    """The `AnchorSpec` of these numbers, or None if they leave their bounds."""
    n = len(lowest)
    scales, ratios = np.array(numbers[:n]), np.array(numbers[n:])
    slack = 1e-9  # bounds may be met exactly
    highest = [_highest_scale(k, n) for k in range(n)]
    fits = (scales >= np.array(lowest) - slack) & (scales <= np.array(highest) + slack)
    grows = scales[1:] >= GROWTH * scales[:-1] - slack
    if not (fits.all() and grows.all() and ((ratios >= RATIOS[0]) & (ratios <= RATIOS[1])).all()):
        return None
    return AnchorSpec.from_scales(**_arguments(spec, numbers))


def _is_better(new, old):
    a, b = new.rows(), old.rows()
    gains = [a["all"][figure] - b["all"][figure] for figure in ("share_iou_50", "mean_best_iou")]
    kept = all(
        a[name]["share_iou_50"] >= row["share_iou_50"] - MAX_LOSS for name, row in b.items() if row["objects"]
    )
    return min(gains) >= 0 and sum(gains) >= BETTER and kept


def _code(arguments):
    lines = [f"    {name}={_plain(value)}," for name, value in arguments.items()]
    return "\n".join(["AnchorSpec.from_scales(", *lines, ")"])


def _plain(value):
    """`repr` with whole numbers as such."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_plain, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


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


def kmeans_iou(sides, clusters, rng, iterations=50):
    """Clusters widths and heights by 1 - IoU at a common centre (Redmon and Farhadi, "YOLO9000", section 2).

    Args:
        sides: (N, 2) widths and heights.
        clusters: number of clusters.
        rng: `numpy.random.Generator` of the first centres (k-means++).
        iterations: at most.

    Returns:
        (clusters, 2) mean widths and heights, by ascending area.
    """
    centres = _first_centres(sides, clusters, rng)
    nearest = None
    for _ in range(iterations):
        before, nearest = nearest, shape_iou(sides, centres).argmax(axis=1)
        if before is not None and (before == nearest).all():
            break
        counts = np.bincount(nearest, minlength=clusters)
        sums = np.stack([np.bincount(nearest, sides[:, k], clusters) for k in (0, 1)], axis=1)
        # A cluster that lost all its members stays where it is.
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return centres[np.argsort(centres.prod(axis=1), kind="stable")]


def shape_iou(sides_a, sides_b):
    """(A, B) IoU of boxes of these widths and heights around one centre."""
    return iou(*(np.concatenate([-sides / 2, sides / 2], axis=1) for sides in (sides_a, sides_b)))


def _first_centres(sides, clusters, rng):
    centres = sides[[rng.integers(len(sides))]]
    while len(centres) < clusters:
        distance = 1 - shape_iou(sides, centres).max(axis=1)
        weights = distance**2 + TINY  # all equal where every shape has its centre
        chosen = rng.choice(len(sides), p=weights / weights.sum())
        centres = np.concatenate([centres, sides[[chosen]]])
    return centres
