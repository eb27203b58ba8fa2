"""What the sections of the report show, as plain values for its template."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from ..data_generator import DetectionDataset
from ..eval_utils import ConfusionMatrix, ErrorTypes
from ..eval_utils.history_plot import quantities, read_history
from ..eval_utils.metrics.bootstrap import Interval, Intervals
from ..eval_utils.metrics.coco import COCOResult
from ..eval_utils.metrics.confusion import INVENTED, MISSED
from ..eval_utils.metrics.errors import MEANINGS, SUMS
from ..messages import printable
from .charts import Chart, make_chart
from .measures import STEPS, Curves

MAX_LINES = 80  # classes in a chart, those with the most objects
MAX_CELLS = 40  # classes in the confusion matrix, those with the most objects
MAX_CONFUSIONS = 12


class ClassRow(NamedTuple):
    """A row of the table of classes; precision and recall are those at the score with the highest F1."""

    name: str
    average_precision: Interval
    ap50: float
    f1: float
    score: float
    precision: float
    recall: float
    objects: int
    detections: int


# CSS classes of the curves.
_STYLES = {"training": "together", "validation": "second"}


def headlines(
    intervals: Intervals, errors: ErrorTypes, together: Curves, dataset: DetectionDataset
) -> list[tuple[str, str, str]]:
    """(name, number, explanation) of the most important numbers."""
    best = together.best
    score = STEPS[best]
    means = [
        (name, _percent(value), f"{text}; {_percent(low)} to {_percent(high)}")
        for name, text in (
            ("mAP", "mean over IoU 0.5 to 0.95"),
            ("AP50", "at IoU 0.5"),
            ("AP75", "at IoU 0.75"),
        )
        for value, low, high in [intervals.numbers[name]]
    ]
    return [
        *means,
        ("Best F1", _percent(together.f1[best]), f"of all classes together, at the score {score:.2f}"),
        ("Precision", _percent(together.precision[best]), f"share of right detections from {score:.2f} on"),
        ("Recall", _percent(together.recall[best]), f"share of objects found from {score:.2f} on"),
        ("Costliest error", *_costliest(errors)),
        ("Images", f"{len(dataset):,}", f"with {together.num_objects:,} objects that count"),
    ]


def _costliest(errors):
    costs = {name: cost for name, cost in errors.costs.items() if name not in SUMS and cost > 0}
    if not costs:
        return "–", "no type of error costs anything"  # noqa: RUF001
    worst = max(costs, key=costs.__getitem__)
    return worst, f"{MEANINGS[worst]}: {costs[worst]:.1f} points of AP50"


def _percent(value):
    return "–" if np.isnan(value) else f"{100 * value:.1f}"  # noqa: RUF001


def class_rows(result: COCOResult, intervals: Intervals) -> list[ClassRow]:
    """The rows of the table of classes."""
    return [
        ClassRow(
            printable(name),
            intervals.classes[name],
            r.numbers["AP50"],
            *r.best_f1(),
            r.num_objects,
            len(r.scores),
        )
        for name, r in result.classes.items()
    ]


def score_charts(dataset: DetectionDataset, together: Curves, classes: list[Curves]) -> list[Chart]:
    """Precision over recall; F1, precision and recall over the score."""
    with_objects = [i for i, c in enumerate(classes) if c.num_objects]
    shown = sorted(sorted(with_objects, key=lambda i: -classes[i].num_objects)[:MAX_LINES])
    best = STEPS[together.best]
    charts = []
    for title, x_label, field, summary in (
        (
            "Precision and recall",
            "recall",
            "at_recall",
            f"AP of all together {_short(together.average_precision)}",
        ),
        ("F1", "score threshold", "f1", f"highest {together.f1.max():.2f} at the score {best:.2f}"),
        ("Precision", "score threshold", "precision", _at(together, "precision")),
        ("Recall", "score threshold", "recall", _at(together, "recall")),
    ):
        lines = [
            (printable(dataset.class_names[i]), getattr(classes[i], field), "one-class", i + 1) for i in shown
        ]
        lines.append(("all classes together", getattr(together, field), "together", -1))
        charts.append(make_chart(title, x_label, STEPS, lines, summary=summary, y_range=(0.0, 1.0)))
    return charts


def _at(together, field):
    values = getattr(together, field)
    return ", ".join(f"{_short(values[i])} at the score {STEPS[i]:.1f}" for i in (30, 50, 70))


def _short(value):
    return "none" if np.isnan(value) else f"{value:.2f}"


def training_charts(path: str | os.PathLike[str]) -> list[Chart]:
    """One chart for each quantity of a `history.csv`: training and validation over the epochs."""
    columns = read_history(path)
    epochs = np.array(columns.pop("epoch")) + 1
    charts = []
    for name, curves in quantities(columns).items():
        lines = [(label, np.array(values), _STYLES[label], -1) for label, values in curves.items()]
        last = "; ".join(f"{label} ends at {_last(y):.4g}" for label, y, *_ in lines)
        charts.append(make_chart(printable(name), "epoch", epochs, lines, summary=last, x_step=1))
    return charts


def _last(values):
    finite = values[np.isfinite(values)]
    return finite[-1] if finite.size else np.nan


def confusion_table(matrix: ConfusionMatrix) -> dict[str, Any]:
    """The confusion matrix for the page: its largest confusions, and the most frequent classes."""
    size = len(matrix.class_names)
    frequent = np.argsort(-matrix.counts.sum(axis=1)[:size], kind="stable")[:MAX_CELLS]
    shown = [*sorted(frequent.tolist()), size]
    names = [printable(name, limit=30) for name in matrix.class_names]
    shares = matrix.counts / np.maximum(matrix.counts.sum(axis=1, keepdims=True), 1)
    rows = [
        (([*names, INVENTED])[i], [(int(matrix.counts[i, j]), float(shares[i, j]), i == j) for j in shown])
        for i in shown
    ]
    return {
        "columns": [([*names, MISSED])[j] for j in shown],
        "rows": rows,
        "hidden": size - len(frequent),
        "largest": [
            (printable(there), printable(said), n) for there, said, n in matrix.confusions()[:MAX_CONFUSIONS]
        ],
        "missed": int(matrix.counts[:-1, -1].sum()),
        "invented": int(matrix.counts[-1].sum()),
        "confused": sum(n for *_, n in matrix.confusions()),
        "right": int(np.trace(matrix.counts[:-1, :-1])),
    }


def data_summary(dataset: DetectionDataset) -> list[tuple[str, str]]:
    """(name, value) of what the data set consists of."""
    sizes = np.array([(r.width, r.height) for r in dataset])
    per_image = np.array([len(r.labels) for r in dataset])
    low, middle, high = (np.percentile(sizes, q, axis=0).round().astype(int) for q in (0, 50, 100))
    flags = {flag: sum(int(getattr(r, flag).sum()) for r in dataset) for flag in ("difficult", "truncated")}
    crowd = sum(int(r.crowd.sum()) for r in dataset)
    counts = {name: count for name, count in dataset.class_counts().items() if count}
    return [
        ("Data set", printable(dataset.name, limit=200)),
        ("Images", f"{len(dataset):,}, {int((per_image == 0).sum()):,} without objects"),
        ("Objects", f"{per_image.sum():,} of {len(counts)} of {dataset.num_classes} classes"),
        ("Objects in an image", f"{per_image.mean():.1f} on average, at most {per_image.max()}"),
        ("Flags", ", ".join(f"{n:,} {name}" for name, n in {**flags, "crowd regions": crowd}.items())),
        ("Image size", f"{low[0]}×{low[1]} to {high[0]}×{high[1]}, median {middle[0]}×{middle[1]}"),  # noqa: RUF001
    ]
