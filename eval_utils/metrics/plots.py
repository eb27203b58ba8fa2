"""Plots of a result. Each function returns a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...arguments import checked
from ...limits import PANELS
from ...messages import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .result import EvaluationResult


@checked(columns=PANELS)
def plot_precision_recall(result: EvaluationResult, *, columns: int = 5) -> Figure:
    """Draws the precision-recall curves of a result, one panel for each class with objects.

    A title has the AP of the metric. The curve of `evaluate_coco` is that of the IoU threshold 0.5.

    Returns:
        The matplotlib figure.
    """
    figure, cells = _panels(result, columns)
    for cell, r in cells:
        cell.plot(r.recall, r.precision)
    figure.supxlabel("recall")
    figure.supylabel("precision")
    return figure


@checked(columns=PANELS)
def plot_scores(result: EvaluationResult, *, columns: int = 5) -> Figure:
    """Draws precision, recall and F1 against the least score, one panel for each class with objects.

    A vertical line is at the score of the best F1. The curves of `evaluate_coco` are those of the IoU
    threshold 0.5.

    Returns:
        The matplotlib figure.
    """
    figure, cells = _panels(result, columns)
    for cell, r in cells:
        for name in ("precision", "recall", "f1"):
            style = "-" if name == "f1" else "--"
            cell.plot(r.points.score, getattr(r.points, name), style, label=name.replace("f1", "F1"))
        cell.axvline(r.best_f1().score, color="gray", linewidth=0.8)
    if cells:
        cells[0][0].legend(fontsize="small")
    figure.supxlabel("least score")
    return figure


def _panels(result, columns):
    """The figure, and a pair of axes and `ClassResult` for each class with objects."""
    import matplotlib.pyplot as plt

    classes = {name: r for name, r in result.classes.items() if r.num_objects}
    columns = max(1, min(columns, len(classes)))
    rows = max(1, -(-len(classes) // columns))
    size = (2.6 * columns, 2.6 * rows)
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True, layout="tight"
    )
    for cell in axes.flat[len(classes) :]:
        cell.set_axis_off()
    for cell, (name, r) in zip(axes.flat, classes.items(), strict=False):
        cell.set_title(f"{printable(name)} {r.average_precision:.3f}", parse_math=False)
        cell.set(xlim=(0, 1), ylim=(0, 1.05))
        cell.grid(alpha=0.3)
    return figure, list(zip(axes.flat, classes.values(), strict=False))
