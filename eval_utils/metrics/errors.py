"""Why a detector fails: TIDE's error types and what each of them costs.

Bolya, Foley, Hays, Hoffman: TIDE: A General Toolbox for Identifying Object Detection Errors. ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...arguments import checked
from ...data_generator import DetectionDataset
from .flat import Truth, flat_detections
from .verdicts import (
    BKG,
    BOTH,
    CLS,
    DUPE,
    IGNORED,
    LOC,
    MISS,
    RIGHT,
    SURPLUS,
    DetectionVerdicts,
    ObjectVerdicts,
    judge,
)

FALSE_POSITIVES, FALSE_NEGATIVES = "FalsePos", "FalseNeg"
# What each error type means.
MEANINGS = {
    CLS: "right place, wrong class",
    LOC: "right class, loose box",
    BOTH: "wrong class and loose box",
    DUPE: "object found twice",
    BKG: "nothing there",
    MISS: "object not found",
    FALSE_POSITIVES: "all false alarms",
    FALSE_NEGATIVES: "all objects not found",
}
_RECALLS = np.arange(101) / 100


@dataclass(frozen=True, eq=False)
class ErrorTypes:
    """The result of `error_types`. `print(result)` shows a table.

    Attributes:
        ap50: mean AP at IoU 0.5 as TIDE and COCO compute it, 0..1.
        costs: {error type: points of AP50, 0..100, that the detector would gain without these errors}.
        counts: {error type: number of detections, or for "Miss" and "FalseNeg" of objects}.
        detections: the verdict on each detection.
        objects: the verdict on each object.
    """

    ap50: float
    costs: dict[str, float]
    counts: dict[str, int]
    detections: DetectionVerdicts
    objects: ObjectVerdicts

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON. None stands for a NaN."""
        errors = {
            name: {"cost": _number_or_none(cost), "count": self.counts[name]}
            for name, cost in self.costs.items()
        }
        return {"ap50": _number_or_none(self.ap50), "errors": errors}

    def __str__(self):
        lines = [f"{'error':<8}  {'count':>7}  {'costs':>6}  meaning"]
        lines += [
            f"{name:<8}  {self.counts[name]:7d}  {cost:6.2f}  {MEANINGS[name]}"
            for name, cost in self.costs.items()
        ]
        return "\n".join([*lines, f"AP50 is {100 * self.ap50:.2f} points; costs are points of it"])


@checked()
def error_types(detections: Sequence[np.ndarray], dataset: DetectionDataset) -> ErrorTypes:
    """Sorts the errors of a detector by TIDE's types, and computes what each type costs.

    A detection is right if its IoU with a free object of its class is at least 0.5; detections choose by
    descending score. Each other one has the first type that fits:

    | type | what it is | without this error |
    |---|---|---|
    | `"Loc"` | IoU with an object of its class from 0.1 to 0.5 | the box becomes right |
    | `"Cls"` | IoU with an object of another class of at least 0.5 | the class becomes right |
    | `"Dupe"` | IoU of at least 0.5 with an object that a better one has found | the detection is removed |
    | `"Bkg"` | IoU with all objects of at most 0.1 | the detection is removed |
    | `"Both"` | all others: wrong class and a loose box | the detection is removed |
    | `"Miss"` | no detection has found it, nor a `"Cls"` or `"Loc"` one nearly | the object is removed |

    A cost is the gain in AP50 if the errors of one type are mended as the last column says. Of several
    detections that could find one object, the one with the highest score is mended, and the others are
    removed. They are removed also if the object is found already. `"FalsePos"` is the gain if all wrong
    detections are removed, `"FalseNeg"` if all objects that are not found are removed. Costs do not add up.

    - Difficult objects are ignored as by `evaluate_voc`: they are not missed, and a detection of their class
      with an IoU of at least 0.5 is neither right nor wrong.
    - Nor is a detection with more than half of its area in a crowd region of its class. (`tidecv` lets it
      stand for an object that is nearly found, we do not.)
    - Of each image, the 100 detections with the highest scores count.
    - Classes without objects are not part of the mean. (`tidecv` counts them as 0 if something was detected.)
    - A class of which all objects are removed has an AP of 0 if it has detections, otherwise none (as
      `tidecv`).

    Args:
        detections: for each record of `dataset` an array (detections, 6) of rows
            [class_id, score, xmin, ymin, xmax, ymax] in pixels, as returned by `predict_dataset`.
        dataset: the `DetectionDataset` with the ground truth.

    Returns:
        `ErrorTypes`. Without objects that count, AP50 and costs are NaN.

    Raises:
        TypeError: for arguments of another kind, such as swapped ones.
        ValueError: as `evaluate_voc`.
    """
    rows, images = flat_detections(detections, dataset, "error_types")
    found, objects = judge(rows, images, Truth(dataset))
    counts = {name: int((found.verdict == name).sum()) for name in (CLS, LOC, BOTH, DUPE, BKG)}
    counts[MISS] = int((objects.verdict == MISS).sum())
    counts[FALSE_POSITIVES] = sum(counts.values()) - counts[MISS]
    counts[FALSE_NEGATIVES] = int((~np.isin(objects.verdict, (RIGHT, IGNORED))).sum())

    case = _Case.of(found, objects, dataset.num_classes)
    ap50 = case.mean_ap()
    # A better detection cannot cost anything; steps of the curve may make it look so.
    costs = {name: 100 * float(np.maximum(case.without(name).mean_ap() - ap50, 0)) for name in counts}
    return ErrorTypes(ap50, costs, counts, found, objects)


def _number_or_none(value):
    return None if np.isnan(value) else value


@dataclass(frozen=True, eq=False)
class _Case:
    """The detections that count and the numbers of objects, as they are or with some errors mended."""

    found: DetectionVerdicts
    objects: ObjectVerdicts
    labels: np.ndarray  # (n,) of the detections that count
    scores: np.ndarray
    right: np.ndarray
    source: np.ndarray  # (n,) index in `found`
    num_objects: np.ndarray  # (classes + 1,)
    classes: np.ndarray  # labels of the classes in the mean

    @classmethod
    def of(cls, found, objects, num_classes):
        source = np.flatnonzero(~np.isin(found.verdict, (IGNORED, SURPLUS)))
        right = found.verdict[source] == RIGHT
        counted = objects.labels[objects.verdict != IGNORED]
        num_objects = np.bincount(counted, minlength=num_classes + 1)
        classes = np.flatnonzero(num_objects)
        return cls(
            found, objects, found.labels[source], found.scores[source], right, source, num_objects, classes
        )

    def mean_ap(self):
        values = [self._ap(label) for label in self.classes]
        values = [value for value in values if value is not None]
        return float(np.mean(values)) if values else float("nan")

    def _ap(self, label):
        mine = self.labels == label
        total = self.num_objects[label]
        if total == 0:
            return 0.0 if mine.any() else None
        right = np.cumsum(self.right[mine][np.argsort(-self.scores[mine], kind="stable")])
        precision = right / np.arange(1, len(right) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(right / total, _RECALLS, "left")
        return np.append(envelope, 0.0)[at].mean()

    def without(self, name):
        """The case without the errors of a type."""
        if name == MISS:
            return self._fewer_objects(self.objects.verdict == MISS)
        if name == FALSE_NEGATIVES:
            return self._fewer_objects(~np.isin(self.objects.verdict, (RIGHT, IGNORED)))
        wrong = ~self.right if name == FALSE_POSITIVES else self.found.verdict[self.source] == name
        mended = wrong & self._mendable() if name in (CLS, LOC) else np.zeros(len(wrong), bool)
        labels = self.labels.copy()
        labels[mended] = self.objects.labels[self.found.objects[self.source[mended]]]
        keep = ~wrong | mended
        return replace(
            self,
            labels=labels[keep],
            scores=self.scores[keep],
            right=(self.right | mended)[keep],
            source=self.source[keep],
        )

    def _mendable(self):
        """Whether a detection is the best one for an object that none has found."""
        target = self.found.objects[self.source]
        return (target >= 0) & (self.objects.detections[target] == self.source) & ~self.right

    def _fewer_objects(self, removed):
        fewer = np.bincount(self.objects.labels[removed], minlength=len(self.num_objects))
        return replace(self, num_objects=self.num_objects - fewer)
