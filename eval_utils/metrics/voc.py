"""Average precision by the rules of the Pascal VOC devkit.

Boxes of a `DetectionDataset` are continuous, so their plain IoU is the devkit's IoU of inclusive pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...arguments import checked
from ...boxes import area
from ...data_generator import DetectionDataset
from .diagnosis import warn_of_bad_map
from .flat import SIZES, Truth, best_objects, flat_detections, outside
from .matches import Matches
from .result import BY_SIZE, EvaluationResult, Matched, class_result
from .result import ClassResult as ClassResult


@dataclass(frozen=True, repr=False)
class VOCResult(EvaluationResult):
    """The result of `evaluate_voc`. `print(result)` shows a table.

    Attributes:
        classes: {class name: `ClassResult`}.
        iou_threshold: the threshold that was passed to `evaluate_voc`.
        metric: the metric that was passed to `evaluate_voc`.
        matched: what became of each detection, for `confidence_intervals` and `compare`.
    """

    iou_threshold: float
    metric: str
    matched: Matched | None = None

    def _settings(self):
        return {"iou_threshold": self.iou_threshold, "metric": self.metric}

    def _means(self):
        remark = f"(IoU {self.iou_threshold}, {self.metric.replace('_', ' ')})"
        return "mAP", [self.mean_average_precision], remark


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
    * For the AP by size, objects of other sizes are ignored like difficult ones, and so are detections of
      other sizes that overlap no object enough.

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
            arrays, rows of another shape, values that are not finite, or class ids outside 1..num_classes,
            or boxes of negative width or height.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"evaluate_voc: iou_threshold must be above 0 and at most 1, got {iou_threshold}")
    rows, images = flat_detections(detections, dataset, "evaluate_voc")
    truth = Truth(dataset)
    recalls = np.linspace(0, 1, 11) if metric == "11_point" else None
    classes, matches = {}, {}
    for label, name in enumerate(dataset.class_names, start=1):
        mine = rows[:, 0] == label
        of_sizes = _match_class(rows[mine], images[mine], truth, label, iou_threshold)
        aps = [float(of_size.average_precisions(recalls)[0]) for of_size in of_sizes.values()]
        numbers = dict(zip(("AP", *BY_SIZE.values()), aps, strict=True))
        matches[name] = of_sizes["all"]
        classes[name] = class_result(matches[name], numbers)
    ids = tuple(record.image_id for record in dataset)
    matched = Matched(ids, matches, recalls, {"mAP": slice(None)})
    result = VOCResult(classes, iou_threshold, metric, matched)
    warn_of_bad_map(
        "evaluate_voc", result.mean_average_precision, dataset, rows, images, truth, iou_threshold
    )
    return result


def _match_class(rows, images, truth, label, iou_threshold):
    """{name of `SIZES`: `Matches`} of the detections of a class."""
    # NumPy's default sort decides the order of equal scores, as in the official evaluator in Python. Another
    # order would change an AP by about 1e-6.
    order = np.argsort(-rows[:, 1])
    rows, images = rows[order], images[order]
    mine = truth.labels == label
    object_images, areas, difficult = truth.images[mine], truth.areas[mine], truth.difficult[mine]
    best, best_iou = best_objects(rows[:, 2:], images, truth.boxes[mine], object_images)
    hit = best_iou > iou_threshold
    # The first detection of each object is right, the later ones are not.
    first = np.zeros(len(rows), bool)
    candidates = np.flatnonzero(hit)
    first[candidates[np.unique(best[candidates], return_index=True)[1]]] = True

    result = {}
    for name, (least, most) in SIZES.items():
        out = difficult | outside(areas, least, most)
        ignored = ~hit & outside(area(rows[:, 2:]), least, most)
        ignored[hit] = out[best[hit]]
        counts = np.bincount(object_images[~out], minlength=truth.num_images)
        result[name] = Matches(rows[:, 1], images, (first & ~ignored)[None], ignored[None], counts)
    return result
