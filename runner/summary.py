"""The training summary of a run: one page of Markdown and one picture."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..arguments import checked
from ..eval_utils.history_plot import plot_history, rate_drops, read_history
from ..eval_utils.metrics.tables import markdown_table, markdown_text
from ..files import atomic, check_absent, check_folder
from ..messages import printable
from ..training.mean_average_precision import MAP, MAP50
from .folder import CONFIG, HISTORY, save_figure
from .reports import run_settings

PAGE, PICTURE = "summary.md", "summary.png"
MAX_COLUMNS = 8  # epochs in the table
_ENVIRONMENT = " (environment)"


@checked()
def save_summary(
    run: str | os.PathLike[str], output: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> Path:
    """Writes `summary.md` and `summary.png` about a run: settings, curves, and AP of each class by epoch.

    Args:
        run: folder of a run of `start_run` or `multibox train`.
        output: folder for the files. None: that of the run.
        overwrite: whether to replace an earlier summary.

    Returns:
        Path of the page.

    Raises:
        FileExistsError: if there is a summary and `overwrite` is False.
        FileNotFoundError: if the folder is no run, or the run has no `history.csv` yet.
        ValueError: for a damaged file of the run; names it.
    """
    run = Path(run)
    folder = run if output is None else Path(output)
    page, picture = folder / PAGE, folder / PICTURE
    for needed in (run / CONFIG, run / HISTORY):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed}: no such file; {run} is no run, or has not finished an epoch")
    check_folder(folder)
    if not overwrite:
        check_absent([page, picture])
    columns = read_history(run / HISTORY)
    text = "\n\n".join(
        [
            f"# Training summary: {markdown_text(run.resolve().name)}",
            *_settings(run),
            *_losses(columns),
            *_ap(columns),
        ]
    )
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(plot_history(run / HISTORY), picture)
    with atomic(page, overwrite=True) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")
    return page


def _settings(run):
    settings = run_settings(run)
    rows = [
        (name.removesuffix(_ENVIRONMENT), printable(value, limit=200)) for name, value in settings.items()
    ]
    return ["## Settings", markdown_table(("setting", "value"), rows)]


def _losses(columns):
    last = {name: values[-1] for name, values in columns.items() if name in ("loss", "val_loss")}
    parts = [f"{len(columns['epoch'])} epochs"]
    parts += [f"{name} {value:.4g} at the end" for name, value in last.items()]
    lines = [f"{', '.join(parts)}.", _rates(columns)]
    return ["## Curves", f"![Losses, mAP and learning rate of each epoch]({PICTURE})", *filter(None, lines)]


def _rates(columns):
    """The learning rate in words."""
    rates = columns.get("learning_rate")
    if not rates:
        return ""
    drops = rate_drops(columns)
    if not drops:
        return f"Learning rate: {rates[0]:.3g} in the first epoch, {rates[-1]:.3g} in the last."
    parts = [f"{rates[i]:.3g} from epoch {int(columns['epoch'][i]) + 1}" for i in (0, *drops)]
    return f"Learning rate: {', '.join(parts)}."


def _ap(columns: Mapping[str, Sequence[float]]) -> list[str]:
    """The table of AP, classes by epochs."""
    measured = [i for i, value in enumerate(columns.get(MAP, ())) if not math.isnan(value)]
    if not measured:
        return ["## Average precision", "The run has measured no mAP."]
    best = max(measured, key=lambda i: columns[MAP][i])
    shown = sorted({measured[round(i)] for i in np.linspace(0, len(measured) - 1, MAX_COLUMNS)} | {best})
    heads = [f"epoch {int(columns['epoch'][i]) + 1}{' (best)' if i == best else ''}" for i in shown]
    classes = {name.removeprefix(f"{MAP}/"): name for name in columns if name.startswith(f"{MAP}/")}
    rows = [(name, *_cells(columns[column], shown)) for name, column in classes.items()]
    means = {"mAP": MAP, "mAP at IoU 0.5": MAP50}
    rows += [(name, *_cells(columns[column], shown)) for name, column in means.items() if column in columns]
    return [
        "## Average precision",
        "On the validation images, mean over the IoU thresholds 0.5 to 0.95.",
        markdown_table(("class", *heads), rows),
    ]


def _cells(values, shown):
    return [values[i] for i in shown]
