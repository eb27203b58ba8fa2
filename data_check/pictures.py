"""Pictures of a `CheckReport`. Each function returns a matplotlib figure, or None if nothing is to be drawn.

Texts with names from files are drawn with `parse_math=False`: two `$` would otherwise begin a formula.
"""

import textwrap
from itertools import zip_longest

import numpy as np

from ..data_generator.images import REDUCTIONS, ImageError, read_image
from ..data_generator.pixels import shown
from ..messages import printable
from .inspection import capture_stderr

MAX_CELLS = 12
COLUMNS = 4
CELL_PIXELS = 400  # images are decoded at the smallest scale that has so many
CELL_INCHES = 3.4
CAPTION_INCHES = 0.7
CAPTION_WIDTH = 48  # characters
RING_BELOW = 0.02  # of the longer image side: narrower boxes are circled, too
MAX_DOTS = 5000  # objects in a scatter plot
RED = "#ff2020"


def plot_findings(report):
    """Up to twelve images with findings, boxes in red: one of each kind of finding, then a second one, ..."""
    import matplotlib.pyplot as plt

    chosen = _kind_by_kind(report.findings)[:MAX_CELLS]
    if not chosen:
        return None
    by_key = {
        (item.split, item.annotation.path or item.annotation.image_id): item for item in report.objects.items
    }
    items = [by_key[finding.split, finding.image or finding.image_id] for finding in chosen]
    images, _ = capture_stderr(lambda: [_read_small(item) for item in items])
    columns = min(COLUMNS, len(chosen))
    heights = _row_heights(images, columns)
    figure, axes = plt.subplots(
        len(heights),
        columns,
        figsize=(CELL_INCHES * columns, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="tight",
    )
    for cell in axes.flat:
        cell.set_axis_off()
        cell.set_anchor("NW")
    for cell, finding, item, image in zip(axes.flat, chosen, items, images, strict=False):
        _draw_finding(cell, finding, image, item.size)
    return figure


def plot_boxes(report):
    """Distributions: sizes and aspect ratios of the boxes, objects in an image, objects of each class."""
    import matplotlib.pyplot as plt

    if not len(report.objects):
        return None
    statistics, classes = report.statistics, report.classes
    figure = plt.figure(figsize=(11, max(8, 1 + 0.2 * len(classes))), layout="tight")
    grid = figure.add_gridspec(3, 2)
    sizes, ratios, numbers = (figure.add_subplot(grid[row, 0]) for row in range(3))
    _draw_histogram(sizes, statistics["box_size"], "box size: sqrt(box area / image area)")
    _draw_histogram(ratios, statistics["aspect_ratio"], "box width / height (pixels of the image)")
    ratios.set_xscale("log", base=2)
    ratios.xaxis.set_major_formatter("{x:g}")
    _draw_histogram(numbers, statistics["objects_per_image"], "objects in an image")
    _draw_class_bars(figure.add_subplot(grid[:, 1]), statistics["class_counts"], classes)
    return figure


def plot_anchors(report):
    """Widths and heights of objects at the model's input, colored by best IoU, and those of the anchors."""
    import matplotlib.pyplot as plt

    if report.coverage is None:
        return None
    coverages = [("anchors of the model", report.coverage)]
    if report.suggestion is not None:
        coverages.append(("suggested anchors", report.suggestion.coverage))
    figure, axes = plt.subplots(
        1,
        len(coverages),
        figsize=(6.4 * len(coverages), 5.6),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="tight",
    )
    for cell, (title, coverage) in zip(axes[0], coverages, strict=True):
        _draw_shapes(cell, title, coverage)
    return figure


def _kind_by_kind(findings):
    """Findings about images: the first of each kind, then the second of each, ..."""
    kinds = {}
    for finding in findings:
        if finding.image_id is not None:
            kinds.setdefault(finding.kind, []).append(finding)
    turns = zip_longest(*kinds.values())
    return [finding for turn in turns for finding in turn if finding is not None]


def _read_small(item):
    """The image, not much finer than it is drawn; None if it cannot be read."""
    if item.facts.error:
        return None
    size, source = item.size, item.annotation.image
    fitting = [r for r in REDUCTIONS if size and max(size) / r >= CELL_PIXELS]
    for reduction, expected in ((max(fitting, default=1), size), (1, None)):
        try:
            options = item.annotation.pixels._asdict()
            return shown(read_image(source, reduction=reduction, size=expected, **options))
        except ImageError:
            continue
    return None


def _row_heights(images, columns):
    """Inches of each row of images with their captions, so that wide images leave no gaps."""
    shapes = [(1, 1) if image is None else image.shape[:2] for image in images]
    heights = [CELL_INCHES * min(height / width, 1.3) + CAPTION_INCHES for height, width in shapes]
    return [max(heights[i : i + columns]) for i in range(0, len(heights), columns)]


def _draw_finding(axes, finding, image, size):
    if image is None:
        axes.text(0.5, 0.5, "cannot be shown", ha="center", va="center", transform=axes.transAxes)
    else:
        # The axes have the pixels that boxes refer to, whatever the scale at which the image was decoded.
        width, height = size or image.shape[1::-1]
        axes.imshow(image, extent=(0, width, height, 0))
        boxes = np.array(finding.detail.get("boxes", [])).reshape(-1, 4)
        _draw_boxes(axes, boxes, width, height)
    title = printable(f"{finding.split}/{finding.image_id}: {finding.kind}", limit=200)
    message = printable(finding.message, limit=200)
    lines = [*textwrap.wrap(title, CAPTION_WIDTH), *textwrap.wrap(message, CAPTION_WIDTH)[:2]]
    axes.set_title("\n".join(lines), fontsize=7.5, loc="left", parse_math=False)


def _draw_boxes(axes, boxes, width, height):
    from matplotlib.patches import Rectangle

    for box in boxes:
        low, sides = np.minimum(box[:2], box[2:]), np.abs(box[2:] - box[:2])
        axes.add_patch(Rectangle(low, *sides, fill=False, edgecolor=RED, lw=1.6))
        if sides.min() < RING_BELOW * max(width, height):
            axes.plot(*(low + sides / 2), "o", ms=18, mfc="none", mec=RED)
    # Limited, since boxes far outside would shrink the image to a dot.
    corners = np.clip(boxes.reshape(-1, 2), (-width, -height), (2 * width, 2 * height))
    corners = np.concatenate([corners, [(0, 0), (width, height)]])
    margin = 0.02 * max(width, height)
    (left, top), (right, bottom) = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _draw_histogram(axes, distribution, label):
    edges, counts = (np.array(distribution["histogram"][key]) for key in ("edges", "counts"))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", edgecolor="white", lw=0.4)
    axes.axvline(distribution["quantiles"]["median"], color="black", ls="--", lw=1, label="median")
    axes.set_xlabel(label)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _draw_class_bars(axes, counts, classes):
    rows, start = np.arange(len(classes)), np.zeros(len(classes))
    for split, of_split in counts.items():
        values = np.array([of_split[name] for name in classes])
        axes.barh(rows, values, left=start, label=printable(split))
        start += values
    axes.set_yticks(rows, [printable(name, limit=40) for name in classes], fontsize=7, parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("objects of each class")
    for text in axes.legend(fontsize=8).get_texts():
        text.set_parse_math(False)
    axes.grid(alpha=0.3, axis="x")


def _draw_shapes(axes, title, coverage):
    shown = np.random.default_rng(0).permutation(len(coverage.objects))[:MAX_DOTS]
    sides = coverage.sides[shown]
    dots = axes.scatter(
        *sides.T, c=coverage.best_iou[shown], s=6, cmap="RdYlGn", vmin=0, vmax=1, alpha=0.7, lw=0
    )
    shapes = np.array([side for level in coverage.anchors.levels for side in level.sides])
    axes.scatter(*shapes.T, marker="+", color="black", s=70, lw=1.4, label="anchors")
    row = coverage.rows()["all"]
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="width in pixels at the model's input",
        ylabel="height in pixels at the model's input",
        title=f"{title}: {row['share_iou_50']:.1%} with IoU of at least 0.5, mean {row['mean_best_iou']:.3f}",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
    axes.figure.colorbar(dots, ax=axes, label="best IoU with an anchor", fraction=0.05)
