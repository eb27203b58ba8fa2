"""Which classes a detector takes for which: the confusion matrix of detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import checked
from ...data_generator import DetectionDataset
from ...messages import printable
from .flat import Truth, flat_detections, object_pairs
from .verdicts import greedy_matches, on_ignored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSED, INVENTED = "missed", "nothing there"
_MAX_LETTERS_IN_CELLS = 30  # classes; numbers in more cells cannot be read


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """The result of `confusion_matrix`. `print(result)` shows its rule and its largest confusions.

    Attributes:
        class_names: names of the classes.
        counts: (classes + 1, classes + 1) whole numbers. Row: what is there; the last row is "nothing there".
            Column: what the detector says; the last column is "missed".
        min_score: least score of the detections.
        iou_threshold: least IoU of a detection and its object.
    """

    class_names: tuple[str, ...]
    counts: np.ndarray
    min_score: float
    iou_threshold: float

    @property
    def rule(self) -> str:
        """How detections and objects are matched, in words."""
        return (
            f"Detections with a score of at least {self.min_score:g} count. By descending score, each takes "
            f"the free object of its own class with the highest IoU, at least {self.iou_threshold:g}. Then "
            "those left over take objects of other classes in the same way. Objects left over are missed; "
            "detections left over found nothing that is there."
        )

    def confusions(self) -> list[tuple[str, str, int]]:
        """(what is there, what the detector says, number) of each pair of different classes, most first."""
        off = self.counts[:-1, :-1].copy()
        np.fill_diagonal(off, 0)
        rows, columns = np.nonzero(off)
        order = np.argsort(-off[rows, columns], kind="stable")
        names = self.class_names
        return [
            (names[r], names[c], int(off[r, c])) for r, c in zip(rows[order], columns[order], strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The matrix with its rule, ready for JSON."""
        return {
            "rule": self.rule,
            "min_score": self.min_score,
            "iou_threshold": self.iou_threshold,
            "rows": [*self.class_names, INVENTED],
            "columns": [*self.class_names, MISSED],
            "counts": self.counts.tolist(),
        }

    def __str__(self):
        right = int(np.trace(self.counts[:-1, :-1]))
        swapped = self.confusions()
        lines = [
            f"{right} right, {sum(n for *_, n in swapped)} under another class, "
            f"{self.counts[:-1, -1].sum()} missed, {self.counts[-1].sum()} where nothing is",
            *(f"{n:6d}  {printable(there)} taken for {printable(said)}" for there, said, n in swapped[:10]),
        ]
        return "\n".join([*lines, self.rule])


@checked(min_score=(0, 1))
def confusion_matrix(
    detections: Sequence[np.ndarray],
    dataset: DetectionDataset,
    *,
    min_score: float = 0.5,
    iou_threshold: float = 0.5,
) -> ConfusionMatrix:
    """Counts which classes are taken for which, which objects are missed, and what is seen where nothing is.

    - Detections below `min_score` are left out.
    - First pass: by descending score, each detection takes the free object of its own class with the highest
      IoU, if that is at least `iou_threshold`. So the diagonal is the number of right detections at
      this score.
    - A detection left over that has an IoU of at least 0.5 with a difficult object of its class, or more than
      half of its area in a crowd region of its class, is left out. Such objects are left out too.
    - Second pass: the other detections left over take free objects of any class in the same way.
    - Objects left over are in the column "missed", detections left over in the row "nothing there". So a row
      adds up to the objects of its class, and a column to the detections of its class.

    If a box of each of two classes lies on one object, the right one has it, and the other one counts as
    invented, not as a confusion: the object was recognized.

    Args:
        detections: as for `evaluate_voc`.
        dataset: the `DetectionDataset` with the ground truth.
        min_score: least score of the detections that count, 0..1.
        iou_threshold: least IoU of a detection and its object, above 0 and at most 1.

    Returns:
        `ConfusionMatrix`.

    Raises:
        TypeError: for arguments of another kind, such as swapped ones.
        ValueError: for a number out of its range, and as `evaluate_voc`.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(
            f"confusion_matrix: iou_threshold must be above 0 and at most 1, got {iou_threshold}"
        )
    rows, images = flat_detections(detections, dataset, "confusion_matrix")
    images, rows = images[rows[:, 1] >= min_score], rows[rows[:, 1] >= min_score]
    truth = Truth(dataset)
    labels, found = rows[:, 0].astype(int), _matched(rows, images, truth, iou_threshold)
    counted = (found >= 0) | ~on_ignored(labels, rows[:, 2:], images, truth)
    nothing = dataset.num_classes
    # Rows and columns count from 0, labels from 1. What is not matched belongs to the last row or column.
    there = np.where(found >= 0, truth.labels[found] - 1 if len(truth.labels) else 0, nothing)[counted]
    missed = ~truth.difficult
    missed[found[found >= 0]] = False
    counts = np.zeros((nothing + 1, nothing + 1), int)
    np.add.at(counts, (there, labels[counted] - 1), 1)
    np.add.at(counts, (truth.labels[missed] - 1, nothing), 1)
    return ConfusionMatrix(dataset.class_names, counts, float(min_score), float(iou_threshold))


def _matched(rows, images, truth, iou_threshold):
    """(n,) index of the object of each detection, -1 for none."""
    labels, scores, boxes = rows[:, 0].astype(int), rows[:, 1], rows[:, 2:]
    objects = np.flatnonzero(~truth.difficult)
    detection, item, overlap = object_pairs(boxes, images, truth.boxes[objects], truth.images[objects])
    item, close = objects[item], overlap >= iou_threshold
    detection, item, overlap = detection[close], item[close], overlap[close]
    same = labels[detection] == truth.labels[item]
    found = greedy_matches(detection[same], item[same], overlap[same], scores)
    ignored = on_ignored(labels, boxes, images, truth)
    free = (found[detection] < 0) & ~ignored[detection] & ~np.isin(item, found)
    others = greedy_matches(detection[free], item[free], overlap[free], scores)
    return np.where(found >= 0, found, others)


@checked()
def plot_confusion_matrix(matrix: ConfusionMatrix) -> Figure:
    """Draws a `ConfusionMatrix`. The color of a cell is its share of the row; its number is the count.

    Returns:
        The matplotlib figure. Its title states the rule.
    """
    import textwrap

    import matplotlib.pyplot as plt

    size = len(matrix.class_names) + 1
    side = min(max(5.0, 1.5 + 0.42 * size), 24.0)
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
    shares = matrix.counts / np.maximum(matrix.counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [printable(name, limit=30) for name in matrix.class_names]
    axes.set_xticks(range(size), [*names, MISSED], rotation=90, parse_math=False)
    axes.set_yticks(range(size), [*names, INVENTED], parse_math=False)
    axes.set(xlabel="what the detector says", ylabel="what is there")
    axes.set_title(textwrap.fill(matrix.rule, int(side * 13)), fontsize=8, loc="left", parse_math=False)
    if size <= _MAX_LETTERS_IN_CELLS:
        for row, column in zip(*np.nonzero(matrix.counts), strict=True):
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column, row, matrix.counts[row, column], ha="center", va="center", fontsize=8, color=ink
            )
    return figure
