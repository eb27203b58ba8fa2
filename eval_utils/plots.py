"""Plots. Each function returns a matplotlib figure."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import checked
from ..boxes import look_relative
from ..data_generator import DetectionDataset, Record, read_image
from ..data_generator.pixels import shown
from ..limits import PANELS
from ..messages import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .detections import Detections


@checked()
def plot_detections(
    image: np.ndarray | str | os.PathLike[str],
    detections: Detections | np.ndarray | Sequence[Sequence[float]] | None = None,
    *,
    ground_truth: Record | None = None,
    class_names: Sequence[str | None] | None = None,
    min_score: float = 0.5,
    axes: Axes | None = None,
) -> Figure:
    """Draws boxes on an image.

    Args:
        image: (rows, columns, channels) uint8; the first three channels are drawn as RGB. Or the path of an
            image.
        detections: `Detections`, or (n, 6) rows [class_id, score, xmin, ymin, xmax, ymax] in pixels, drawn
            with solid lines.
        ground_truth: a `Record`, drawn with dashed white lines.
        class_names: names of the class ids 1, 2, ... None: the names in `Detections`, or else the ids.
        min_score: minimum score of the detections that are drawn.
        axes: matplotlib axes to draw on; None: a new figure.

    Returns:
        The matplotlib figure. A warning tells if the boxes look relative, which `to_pixels` converts.

    Raises:
        ImageError: for a file that cannot be read as an image.
        ValueError: for an image or rows of another shape.
    """
    import matplotlib.pyplot as plt

    # Only `Detections` have these; its module imports this one.
    class_names = getattr(detections, "class_names", None) if class_names is None else class_names
    rows = None if detections is None else _rows_of(detections)
    image = _pixels_of(image)
    if rows is not None and look_relative(rows[rows[:, 1] >= min_score, 2:], image.shape[:2]):
        warnings.warn(
            "plot_detections: the boxes look relative (0..1), but pixels of the image are expected; convert "
            "them with to_pixels(rows, width, height)",
            stacklevel=3,
        )
    if axes is None:
        axes = plt.subplots(figsize=(8, 8 * image.shape[0] / image.shape[1]), layout="tight")[1]
    axes.imshow(shown(image))
    axes.set_axis_off()
    if ground_truth is not None:
        for label, box in zip(ground_truth.labels, ground_truth.boxes, strict=True):
            name = class_text(label, class_names) if rows is None else None
            _draw_box(axes, box, "white", name, "--")
    for class_id, score, *box in [] if rows is None else rows[::-1]:  # the best on top
        if score >= min_score:
            text = f"{class_text(class_id, class_names)} {score:.2f}"
            _draw_box(axes, box, class_color(class_id), text, "-")
    return axes.figure


@checked(columns=PANELS)
def plot_detection_grid(
    dataset: DetectionDataset,
    detections: Sequence[Detections | np.ndarray] | None = None,
    *,
    columns: int = 4,
    min_score: float = 0.5,
) -> Figure:
    """Draws all images of a data set with ground truth (dashed white), detections (solid) and image ids.

    Args:
        dataset: a `DetectionDataset`. Pass a slice of a large one.
        detections: the detections of `predict_dataset` for this data set, or None.
        columns: images per row.
        min_score: minimum score of the detections that are drawn.

    Returns:
        The matplotlib figure.
    """
    import matplotlib.pyplot as plt

    if len(dataset) == 0:
        raise ValueError("plot_detection_grid: the data set is empty")
    if detections is not None and len(detections) != len(dataset):
        raise ValueError(f"plot_detection_grid: {len(detections)} detections for {len(dataset)} images")
    rows = -(-len(dataset) // columns)
    size = (3 * columns, 3 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for i, cell in enumerate(axes.flat):
        cell.set_axis_off()
        if i < len(dataset):
            found = None if detections is None else detections[i]
            record = dataset[i]
            plot_detections(
                record.read(),
                found,
                ground_truth=record,
                class_names=dataset.class_names,
                min_score=min_score,
                axes=cell,
            )
            cell.set_title(printable(record.image_id, limit=30), fontsize=8, pad=3, parse_math=False)
    _add_legend(figure, has_detections=detections is not None)
    return figure


def _add_legend(figure, has_detections):
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color="black", ls="--", lw=1, label="annotated (drawn in white)")]
    if has_detections:
        lines.append(Line2D([], [], color=class_color(1), lw=1, label="detected (a color for each class)"))
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


@checked(draws=PANELS, seed=0)
def plot_samples(dataset: DetectionDataset, transform: Callable, *, draws: int = 5, seed: int = 0) -> Figure:
    """Draws augmented samples: each row shows an image with its annotations, then random samples of it.

    The color of a box shows its class. The first column also shows the class names.

    Args:
        dataset: a `DetectionDataset`. Pass a slice with the images to draw.
        transform: a `SampleTransform`, such as `ssd_augmentation((300, 300))`.
        draws: number of samples per image. They are those of the first epochs of a `DataGenerator` with the
            same seed.
        seed: seed of the samples.

    Returns:
        The matplotlib figure.
    """
    import matplotlib.pyplot as plt

    from ..data_generator.augmentation.sample import SampleTransform

    if len(dataset) == 0:
        raise ValueError("plot_samples: the data set is empty")
    size = (2.2 * (1 + draws), 2.2 * len(dataset))
    figure, axes = plt.subplots(len(dataset), 1 + draws, figsize=size, squeeze=False, layout="tight")
    for index, record in enumerate(dataset):
        whole = SampleTransform((record.height, record.width))
        for epoch, cell in enumerate(axes[index], start=-1):
            rng = np.random.default_rng([seed, max(epoch, 0), index])
            image, view = (whole if epoch < 0 else transform)(record, rng)
            _draw_sample(cell, image, view, dataset.class_names if epoch < 0 else None)
    return figure


def _rows_of(detections):
    """(n, 6) rows of `Detections`, of an array or of a list of rows."""
    rows = np.asarray(getattr(detections, "rows", detections), float)
    rows = rows.reshape(-1, 6) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(
            "plot_detections: detections must be the rows (n, 6) of one image, [class_id, score, xmin, ymin, "
            f"xmax, ymax], got {rows.shape}"
        )
    return rows


def _pixels_of(image):
    """The array of an image that is given as a path or as an array."""
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"plot_detections: image must be (rows, columns, 3), got {image.shape}")
    return image


def _draw_sample(axes, image, view, class_names):
    """Draws a sample. Without class names, only boxes are drawn, because labels can hide small objects."""
    height, width = image.shape[:2]
    axes.imshow(shown(image))
    axes.set_axis_off()
    for label, box in zip(view.labels, view.relative_boxes() * (width, height, width, height), strict=True):
        _draw_box(axes, box, class_color(label), class_names and class_text(label, class_names), "-")


def _draw_box(axes, box, color, text, style):
    x, y = box[0], box[1]
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), box[2] - x, box[3] - y, fill=False, edgecolor=color, ls=style, lw=1.2))
    if text:
        background = {"facecolor": color, "edgecolor": "none", "pad": 0.6, "alpha": 0.75}
        bottom, top = axes.get_ylim()
        above = y - top > 0.06 * (bottom - top)  # otherwise the edge of the image would cut off the label
        place = {"va": "bottom" if above else "top", "clip_on": True}
        ink = "white" if luminance(color) < 0.4 else "black"
        look = {"color": ink, "fontsize": 7, "bbox": background, "parse_math": False}  # names may have $
        axes.text(max(x, 0), max(y, 0), text, **look, **place)


def luminance(color):
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(color), (0.299, 0.587, 0.114)))


def class_color(class_id):
    from matplotlib import colormaps

    return colormaps["hsv"](((int(class_id) - 1) * 0.381966 + 0.1) % 1.0)  # golden ratio: neighbors differ


def class_text(class_id, class_names):
    """The name of a class id, which counts from 1, on one line, or the id itself if it has no name."""
    number = int(class_id)
    known = class_names is not None and 1 <= number <= len(class_names)
    return printable((class_names[number - 1] if known else None) or number)
