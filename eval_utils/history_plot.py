"""The curves of a training's log."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..arguments import checked
from ..files import read_text
from ..messages import one_line, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_HISTORY = 64 << 20  # bytes of a log
COLORS = {"training": "C0", "validation": "C1"}
_EPOCHS = 1e9  # a log with more is none


@checked()
def plot_history(path: str | os.PathLike[str]) -> Figure:
    """Draws the loss curves in the file of a `keras.callbacks.CSVLogger`, such as `history.csv`.

    Args:
        path: path of the CSV file.

    Returns:
        The matplotlib figure: one panel for each logged quantity, with training and validation. Dotted lines
        show where the learning rate drops to half or less. The AP of single classes is left out.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if the file is not such a log, or has no rows or numbers; names it.
    """
    import matplotlib.pyplot as plt

    columns = read_history(path)
    epochs = [int(epoch) + 1 for epoch in columns.pop("epoch")]
    drops = [epochs[i] for i in rate_drops(columns)]
    shown = quantities(columns)
    if not shown:
        raise ValueError(
            f"{path}: the log has no number to draw, only empty columns and those of single classes"
        )
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    figure, axes = plt.subplots(down, across, figsize=(4 * across, 3.2 * down), squeeze=False, layout="tight")
    for cell in axes.flat[len(shown) :]:
        cell.set_axis_off()
    for cell, (name, curves) in zip(axes.flat, shown.items(), strict=False):
        for label, values in curves.items():
            cell.plot(epochs, values, marker=".", label=label, color=COLORS[label])
        for epoch in drops:
            cell.axvline(epoch - 0.5, linestyle=":", color="gray", linewidth=1)
        cell.set_title(printable(name), parse_math=False)
        cell.set_xlabel("epoch")
        cell.grid(alpha=0.3)
        cell.legend()
    return figure


def quantities(columns: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Sequence[float]]]:
    """{quantity: {"training" or "validation": numbers}} of the columns of a log, for charts.

    Columns without any number and those of single classes (`val_map/dog`) are left out.
    """
    found = {}
    for column, values in columns.items():
        if "/" not in column and column != "epoch" and not all(map(math.isnan, values)):
            label = "validation" if column.startswith("val_") else "training"
            found.setdefault(column.removeprefix("val_"), {})[label] = values
    return found


def rate_drops(columns: Mapping[str, Sequence[float]]) -> list[int]:
    """Indices of the epochs that begin a step of the learning rate, down to half or less.

    A step comes after or before an epoch with the same rate; a rate that falls in each epoch has none.
    """
    rates = columns.get("learning_rate", [])
    return [
        i
        for i in range(1, len(rates))
        if 0 <= rates[i] <= rates[i - 1] / 2
        and (rates[i - 1 : i] == rates[max(i - 2, 0) : i - 1] or rates[i : i + 1] == rates[i + 1 : i + 2])
    ]


def read_history(path):
    """{column: numbers} of the log of a training, with the column "epoch" and at least one other."""
    rows = list(csv.DictReader(io.StringIO(read_text(path, MAX_HISTORY), newline="")))
    if not rows:
        raise ValueError(f"{path}: the log has no epochs")
    for place, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(f"{path}, line {place}: expected {len(rows[0])} fields, one for each column")
    columns = {name: [_number(row[name], path, name) for row in rows] for name in rows[0] if name is not None}
    if len(columns) < 2 or not all(0 <= epoch < _EPOCHS for epoch in columns.get("epoch", [-1])):
        raise ValueError(
            f"{path}: expected the log of a training with the columns epoch, loss, ...; it has "
            f"{one_line(', '.join(columns), 200)}"
        )
    return columns


def _number(text, path, column):
    """The number in a cell of the log, or NaN. Keras writes NA for an epoch without validation."""
    try:
        if "_" in text or not text.isascii():  # numbers for Python only
            raise ValueError
        return float(text) if text and text != "NA" else math.nan
    except ValueError:
        raise ValueError(f"{path}: {one_line(column)}: expected a number, got {one_line(text)}") from None
