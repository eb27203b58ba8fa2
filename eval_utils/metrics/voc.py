"""Average precision by the rules of the Pascal VOC devkit.

Boxes of a `DetectionDataset` are continuous, so their plain IoU is the devkit's IoU of inclusive pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...arguments import checked
from ...data_generator import DetectionDataset
from ...messages import printable
from .diagnosis import explain_nan_map, explain_zero_map
from .flat import Truth, best_objects, flat_detections

NEARLY_ZERO = 0.005


@dataclass(frozen=True)
class ClassResult:
    """The result for one class.

    Attributes:
        average_precision: AP, NaN for a class without objects.
        precision: (n,) precision after each detection by descending score.
        recall: (n,) recall after each detection.
        scores: (n,) scores of the detections.
        num_objects: number of objects that are not difficult.
    """

    average_precision: float
    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    num_objects: int


@dataclass(frozen=True)
class VOCResult:
    """The result of `evaluate_voc`. `print(result)` shows a table.

    Attributes:
        classes: {class name: `ClassResult`}.
        iou_threshold: the threshold that was passed to `evaluate_voc`.
        metric: the metric that was passed to `evaluate_voc`.
    """

    classes: dict[str, ClassResult]
    iou_threshold: float
    metric: str

    @property
    def mean_average_precision(self) -> float:
        """Mean AP over the classes that have objects (NaN if none has)."""
        values = [r.average_precision for r in self.classes.values() if r.num_objects]
        return float(np.mean(values)) if values else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers and strings, ready for JSON. None stands for an AP that is NaN."""
        return {
            "mean_average_precision": _number_or_none(self.mean_average_precision),
            "iou_threshold": self.iou_threshold,
            "metric": self.metric,
            "classes": {
                name: {
                    "average_precision": _number_or_none(r.average_precision),
                    "objects": r.num_objects,
                    "detections": len(r.scores),
                }
                for name, r in self.classes.items()
            },
        }

    def __str__(self):
        names = [printable(name) for name in self.classes]
        width = max(map(len, ["class", "mAP", *names]))
        lines = [f"{'class':<{width}}  {'AP':>6}  {'objects':>7}  {'detections':>10}"]
        for name, r in zip(names, self.classes.values(), strict=True):
            ap = f"{r.average_precision:6.3f}" if r.num_objects else "     -"
            lines.append(f"{name:<{width}}  {ap}  {r.num_objects:7d}  {len(r.scores):10d}")
        lines.append(
            f"{'mAP':<{width}}  {self.mean_average_precision:6.3f}  "
            f"(IoU {self.iou_threshold}, {self.metric.replace('_', ' ')})"
        )
        return "\n".join(lines)


@checked()
def evaluate_voc(
    detections: Sequence[np.ndarray],
    dataset: DetectionDataset,
    *,
    iou_threshold: float = 0.5,
    metric: Literal["11_point", "area"] = "11_point",
) -> VOCResult:
    """Computes the average precision (AP) of each class and their mean (mAP).

    * Detections are assigned by descending score, to the object of their class and image with the highest
      IoU.
    * A detection is right if this IoU is above the threshold and no earlier detection has found the object.
    * Difficult objects are ignored: they count neither as found nor as missed.
    * Classes without objects have no AP and are not part of the mean.

    If the mAP is nearly zero, a warning states the likely reason. Without any object that counts, the mAP is
    NaN, and a warning says so.

    Args:
        detections: for each record of `dataset` an array (detections, 6) of rows
            [class_id, score, xmin, ymin, xmax, ymax] in pixels, as returned by `predict_dataset`.
        dataset: the `DetectionDataset` with the ground truth.
        iou_threshold: IoU above which a detection can be right. The devkit uses 0.5.
        metric: "11_point" (VOC 2007) or "area" (VOC 2010 and later).

    Returns:
        `VOCResult`.

    Raises:
        TypeError: for arguments of another kind, such as swapped ones.
        ValueError: for an unknown metric, an IoU threshold outside 0..1, an empty data set, a wrong number of
            arrays, rows of another shape, values that are not finite, or class ids outside 1..num_classes.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"evaluate_voc: iou_threshold must be above 0 and at most 1, got {iou_threshold}")
    rows, images = flat_detections(detections, dataset, "evaluate_voc")
    truth = Truth(dataset)
    classes = {}
    for label, name in enumerate(dataset.class_names, start=1):
        mine = rows[:, 0] == label
        classes[name] = _evaluate_class(rows[mine], images[mine], truth, label, iou_threshold, metric)
    result = VOCResult(classes, iou_threshold, metric)
    if np.isnan(result.mean_average_precision):
        warnings.warn(f"evaluate_voc: mAP is NaN: {explain_nan_map(dataset)}", stacklevel=3)
    if result.mean_average_precision < NEARLY_ZERO:
        sizes = np.array([(r.width, r.height) for r in dataset])[images]
        _, best_iou = best_objects(rows[:, 2:], images, truth.boxes, truth.images)
        reason = explain_zero_map(rows[:, 2:], rows[:, 1], sizes, best_iou, iou_threshold, len(truth.labels))
        warnings.warn(f"evaluate_voc: mAP is nearly 0: {reason}", stacklevel=3)
    return result


def _number_or_none(value):
    return None if np.isnan(value) else value


def _evaluate_class(rows, images, truth, label, iou_threshold, metric):
    # NumPy's default sort decides the order of equal scores, as in the official evaluator in Python. Another
    # order would change an AP by about 1e-6.
    order = np.argsort(-rows[:, 1])
    rows, images = rows[order], images[order]
    object_images, boxes, difficult = truth.of_class(label)
    num_objects = int((~difficult).sum())

    best, best_iou = best_objects(rows[:, 2:], images, boxes, object_images)
    hit = best_iou > iou_threshold
    ignored = np.zeros(len(rows), bool)
    ignored[hit] = difficult[best[hit]]
    # The first detection of each object is right, the later ones are not.
    first = np.zeros(len(rows), bool)
    candidates = np.flatnonzero(hit & ~ignored)
    first[candidates[np.unique(best[candidates], return_index=True)[1]]] = True

    counted = ~ignored
    right = np.cumsum(first[counted])
    recall = right / max(num_objects, 1)
    precision = right / np.arange(1, len(right) + 1)
    ap = _average_precision(recall, precision, metric) if num_objects else float("nan")
    return ClassResult(ap, precision, recall, rows[counted, 1], num_objects)


def _average_precision(recall, precision, metric):
    # The precision at a recall is the best precision at this or any higher recall.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if metric == "11_point":
        at = np.searchsorted(recall, np.linspace(0, 1, 11), "left")
        return float(np.append(envelope, 0.0)[at].mean())
    steps = np.diff(recall, prepend=0.0)
    return float(np.sum(steps * envelope))
