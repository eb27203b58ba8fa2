"""The numbers and curves of the report, from the verdicts of `error_types`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data_generator import DetectionDataset
from ..eval_utils import ErrorTypes
from ..eval_utils.metrics.errors import interpolated_ap
from ..eval_utils.metrics.verdicts import IGNORED, RIGHT, SURPLUS

# Score thresholds, and recalls, at which curves are drawn.
STEPS = np.arange(101) / 100


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of a class, or of all detections together, at `STEPS`.

    Attributes:
        average_precision: AP at IoU 0.5, 0..1, NaN without objects.
        at_recall: (101,) precision at each recall, NaN where the recall is not reached.
        precision: (101,) precision of the detections with at least each score, NaN where there are none.
        recall: (101,) recall of these.
        f1: (101,) harmonic mean of both.
        num_objects: number of objects that count.
        num_detections: number of detections that count.
    """

    average_precision: float
    at_recall: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    num_objects: int
    num_detections: int

    @property
    def best(self) -> int:
        """Index of the step with the highest F1."""
        return int(np.argmax(self.f1))


def all_curves(errors: ErrorTypes, dataset: DetectionDataset) -> tuple[Curves, list[Curves]]:
    """The curves of all detections together, and those of each class."""
    found, objects = errors.detections, errors.objects
    counted = ~np.isin(found.verdict, (IGNORED, SURPLUS))
    right, real = found.verdict == RIGHT, objects.verdict != IGNORED

    def curves(mine, theirs):
        return _curves(found.scores[mine], right[mine], int(theirs.sum()))

    classes = [
        curves(counted & (found.labels == label), real & (objects.labels == label))
        for label in range(1, dataset.num_classes + 1)
    ]
    return curves(counted, real), classes


def _curves(scores, right, total):
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / max(total, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at_recall = np.append(envelope, np.nan)[np.searchsorted(recall, STEPS - 1e-9, "left")]
    count = np.searchsorted(-scores, -STEPS, "right")  # detections with at least each score
    p, r = np.append(np.nan, precision)[count], np.append(0.0, recall)[count]
    f1 = np.nan_to_num(2 * p * r / np.maximum(p + r, 1e-12))
    ap = interpolated_ap(scores, right[order], total) if total else float("nan")
    return Curves(ap, at_recall, p, r, f1, total, len(scores))
