"""What every metric returns: numbers and curves of each class, and their tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...arguments import checked
from ...messages import printable
from .matches import Matches
from .tables import save_csv_table, text_table, to_markdown_table

# Keys of `numbers` for objects of small, medium and large area.
BY_SIZE = {"small": "APs", "medium": "APm", "large": "APl"}


class OperatingPoint(NamedTuple):
    """What a detector does if only detections of at least a score are used.

    Attributes:
        f1: harmonic mean of precision and recall.
        score: the least score.
        precision: share of the detections that are right.
        recall: share of the objects that are found.
    """

    f1: float
    score: float
    precision: float
    recall: float


class ScoreCurve(NamedTuple):
    """The fields of `OperatingPoint` as arrays (scores,), by descending score."""

    f1: np.ndarray
    score: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


@dataclass(frozen=True)
class ClassResult:
    """The result for one class.

    Attributes:
        average_precision: AP, NaN for a class without objects.
        precision: (n,) precision after each detection by descending score.
        recall: (n,) recall after each detection.
        scores: (n,) scores of the detections.
        num_objects: number of objects that count.
        numbers: {name: value}, the AP and the other numbers of the metric, NaN where there are no objects.
            `APs`, `APm` and `APl` are of objects of small, medium and large area: up to 32², up to 96²
            pixels and above.
    """

    average_precision: float
    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    num_objects: int
    numbers: dict[str, float] = field(default_factory=dict)

    @cached_property
    def points(self) -> ScoreCurve:
        """What each score means as the threshold, for all scores that occur."""
        last = np.flatnonzero(np.diff(self.scores, append=np.nan) != 0)
        precision, recall = self.precision[last], self.recall[last]
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return ScoreCurve(f1, self.scores[last], precision, recall)

    def precision_at_recall(self, recall: float) -> float:
        """The highest precision at which at least this share of the objects is found; 0 if it never is."""
        return self._best(self.points.precision, self.points.recall >= recall)

    def recall_at_precision(self, precision: float) -> float:
        """The highest recall at which at least this share of the detections is right; 0 if it never is."""
        return self._best(self.points.recall, self.points.precision >= precision)

    def best_f1(self) -> OperatingPoint:
        """The score threshold of the highest F1, and what it means; NaN without objects or detections."""
        if not self.num_objects or not len(self.scores):
            return OperatingPoint(0.0 if self.num_objects else np.nan, np.nan, np.nan, np.nan)
        best = int(np.argmax(self.points.f1))
        return OperatingPoint(*(float(values[best]) for values in self.points))

    def _best(self, values, allowed):
        return float(np.max(values[allowed], initial=0.0)) if self.num_objects else float("nan")


@dataclass(frozen=True, repr=False)
class EvaluationResult:
    """The result of a metric. `print(result)` shows a table.

    Attributes:
        classes: {class name: `ClassResult`}.
    """

    classes: dict[str, ClassResult]

    @property
    def mean_average_precision(self) -> float:
        """Mean AP over the classes that have objects (NaN if none has)."""
        values = [r.average_precision for r in self.classes.values() if r.num_objects]
        return float(np.mean(values)) if values else float("nan")

    @property
    def numbers(self) -> dict[str, float]:
        """{name: mean over the classes that have it}, NaN for none. The names are those of `ClassResult`."""
        names = dict.fromkeys(name for r in self.classes.values() for name in r.numbers)
        return {name: _mean(r.numbers.get(name, np.nan) for r in self.classes.values()) for name in names}

    @checked(recall=(0, 1))
    def precision_at_recall(self, recall: float) -> dict[str, float]:
        """{class name: precision}, the highest one at which at least this share of the objects is found.

        It is 0 for a class where so many objects are never found, and NaN for one without objects.
        """
        return {name: r.precision_at_recall(recall) for name, r in self.classes.items()}

    @checked(precision=(0, 1))
    def recall_at_precision(self, precision: float) -> dict[str, float]:
        """{class name: recall}, the highest one at which at least this share of the detections is right.

        It is 0 for a class where so many detections are never right, and NaN for one without objects.
        """
        return {name: r.recall_at_precision(precision) for name, r in self.classes.items()}

    def best_f1(self) -> dict[str, OperatingPoint]:
        """{class name: `OperatingPoint`}, the score threshold of the highest F1 and what it means."""
        return {name: r.best_f1() for name, r in self.classes.items()}

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers and strings, ready for JSON. None stands for NaN."""
        return {
            "mean_average_precision": number_or_none(self.mean_average_precision),
            **self._settings(),
            "numbers": {name: number_or_none(value) for name, value in self.numbers.items()},
            "classes": {name: _class_dict(r) for name, r in self.classes.items()},
        }

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a table with one line for each class and one for the mean.

        No cell is a formula of a spreadsheet: names that begin like one get an apostrophe in front. Control
        characters are escaped.

        Args:
            path: path of the file.
            overwrite: whether to replace a file.

        Raises:
            FileExistsError: if the file exists and `overwrite` is False.
        """
        save_csv_table(self._rows(), path, overwrite)

    def to_markdown(self) -> str:
        """The table of `to_csv` in Markdown, with three decimals."""
        return to_markdown_table(self._rows())

    def __str__(self):
        shown = self._shown()
        rows = [
            (printable(name), *(values[i] for values in shown.values()), r.num_objects, len(r.scores))
            for i, (name, r) in enumerate(self.classes.items())
        ]
        return text_table(("class", *shown, "objects", "detections"), rows, self._means())

    __repr__ = __str__

    def _settings(self) -> dict[str, Any]:
        """What was passed to the metric, for `to_dict`."""
        return {}

    def _shown(self) -> dict[str, Sequence[float]]:
        """{header: value of each class}, the columns of the printed table."""
        return {"AP": [r.average_precision for r in self.classes.values()]}

    def _means(self) -> tuple[str, Sequence[float], str]:
        """Name, values and remark of the last line of the printed table."""
        return "mAP", [self.mean_average_precision], ""

    def _rows(self) -> list[dict[str, Any]]:
        """A dictionary for each class, and one of the means."""
        rows = []
        for name, r in self.classes.items():
            numbers = r.numbers or {"AP": r.average_precision}
            counts = {"objects": r.num_objects, "detections": len(r.scores)}
            f1, *rest = r.best_f1()
            best = dict(zip(("score", "precision", "recall"), rest, strict=True))
            rows.append({"class": name, **numbers, **counts, "best F1": f1, **best})
        mean = {"class": "(mean)", **(self.numbers or {"AP": self.mean_average_precision})}
        return [*rows, mean]


@dataclass(frozen=True, eq=False)
class Matched:
    """What became of each detection, from which samples of the images can be evaluated again.

    Attributes:
        image_ids: ids of the images, in the order of the data set.
        matches: {class name: `Matches`}.
        recalls: recalls at which precision is averaged; None for the area under the curve.
        columns: {name: IoU thresholds}, for each number the indices whose AP is averaged; the first one is
            the mAP.
    """

    image_ids: tuple[str, ...]
    matches: dict[str, Matches]
    recalls: np.ndarray | None
    columns: dict[str, slice]


def number_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def class_result(matches: Matches, numbers: dict[str, float]) -> ClassResult:
    """The result of a class from its matches at the first threshold."""
    precision, recall, scores = matches.curve()
    return ClassResult(numbers["AP"], precision, recall, scores, matches.num_objects, numbers)


def _mean(values):
    values = [value for value in values if not np.isnan(value)]
    return float(np.mean(values)) if values else float("nan")


def _class_dict(result):
    best = result.best_f1()
    return {
        "average_precision": number_or_none(result.average_precision),
        "objects": result.num_objects,
        "detections": len(result.scores),
        "numbers": {name: number_or_none(value) for name, value in result.numbers.items()},
        "best_f1": {name: number_or_none(value) for name, value in best._asdict().items()},
    }
