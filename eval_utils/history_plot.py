"""The curves of a training's log."""

from __future__ import annotations

import csv
import io
import math
import os
from typing import TYPE_CHECKING

from ..arguments import checked
from ..files import read_text
from ..messages import one_line, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_HISTORY = 64 << 20  # bytes of a log
_EPOCHS = 1e9  # a log with more is none


@checked()
def plot_history(path: str | os.PathLike[str]) -> Figure:
    """Draws the loss curves in the file of a `keras.callbacks.CSVLogger`, such as `history.csv`.

    Args:
        path: path of the CSV file.

    Returns:
        The matplotlib figure: one panel for each logged quantity, with training and validation.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if the file is not such a log, or has no rows; names it.
    """
    import matplotlib.pyplot as plt

    columns = read_history(path)
    epochs = [int(epoch) + 1 for epoch in columns.pop("epoch")]
    names = [name for name in columns if not name.startswith("val_")]
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3.2), squeeze=False, layout="tight")
    for cell, name in zip(axes[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            values = columns.get(column, [math.nan])
            if not all(map(math.isnan, values)):
                cell.plot(epochs, values, marker=".", label=label)
        cell.set_title(printable(name), parse_math=False)
        cell.set_xlabel("epoch")
        cell.grid(alpha=0.3)
        cell.legend()
    return figure


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
