"""Plots of a result. Each function returns a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...arguments import checked
from ...limits import PANELS
from ...messages import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .voc import VOCResult


@checked(columns=PANELS)
def plot_precision_recall(result: VOCResult, *, columns: int = 5) -> Figure:
    """Draws the precision-recall curves of a `VOCResult`, one panel for each class with objects.

    Returns:
        The matplotlib figure.
    """
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
        cell.plot(r.recall, r.precision)
        cell.set_title(f"{printable(name)} {r.average_precision:.3f}", parse_math=False)
        cell.set(xlim=(0, 1), ylim=(0, 1.05))
        cell.grid(alpha=0.3)
    figure.supxlabel("recall")
    figure.supylabel("precision")
    return figure
