"""Average precision and recall by the rules of COCO: the numbers of pycocotools.

pycocotools and its faster relatives were compared, see docs/measured.md. The matching is here, because curves
and confidence intervals need what became of each detection. hotcoco, the fastest of them, gives that only as
Python lists, which took 54 s for 500,000 detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...arguments import checked
from ...data_generator import DetectionDataset
from .coco_matching import MAX_DETECTIONS, coco_matches
from .diagnosis import warn_of_bad_map
from .flat import Truth, flat_detections
from .result import BY_SIZE, EvaluationResult, Matched, class_result

RECALLS = np.linspace(0, 1, 101)
# Index of the IoU thresholds 0.5 and 0.75.
_AT_50, _AT_75 = 0, 5


@dataclass(frozen=True, repr=False)
class COCOResult(EvaluationResult):
    """The result of `evaluate_coco`. `print(result)` shows a table.

    Attributes:
        classes: {class name: `ClassResult`}. Their curves are those of the IoU threshold 0.5.
        matched: what became of each detection, for `confidence_intervals` and `compare`.
    """

    matched: Matched | None = None

    def _settings(self):
        return {"metric": "coco"}

    def _shown(self):
        return {key: [r.numbers[key] for r in self.classes.values()] for key in ("AP", "AP50", "AP75")}

    def _means(self):
        numbers = self.numbers
        return "mean", [numbers[key] for key in ("AP", "AP50", "AP75")], "(COCO)"

    def __str__(self):
        rest = list(self.numbers.items())[3:]
        lines = [rest[:3], rest[3:6], rest[6:]]
        texts = ["  ".join(f"{key} {value:.3f}" for key, value in line) for line in lines]
        return "\n".join([super().__str__(), *texts])

    __repr__ = __str__


@checked()
def evaluate_coco(
    detections: Sequence[np.ndarray], dataset: DetectionDataset, *, ignore_difficult: bool = False
) -> COCOResult:
    """Computes COCO's twelve numbers, of each class and their means, equal to those of pycocotools.

    | name | what |
    |---|---|
    | `AP` | average precision, mean over the IoU thresholds 0.5, 0.55, ..., 0.95 |
    | `AP50`, `AP75` | average precision at IoU 0.5 and 0.75 |
    | `APs`, `APm`, `APl` | AP of small, medium and large objects: up to 32², up to 96² pixels, above |
    | `AR1`, `AR10`, `AR100` | recall with so many detections of an image and class, mean over thresholds |
    | `ARs`, `ARm`, `ARl` | recall of small, medium and large objects |

    - Of each image and class, the 100 detections with the highest scores count.
    - Crowd regions are ignored: a detection that lies in one is neither right nor wrong. Any number may.
    - Area is width times height of the box. COCO's own files state the area of the mask, so numbers by size
      differ there.
    - Classes without objects have no numbers and are not part of the means.

    If AP50 is nearly zero, a warning states the likely reason; another one if classes look swapped. Without
    any object that counts, all numbers are NaN (-1 in pycocotools), and a warning says so.

    Example:

    ```python
    result = mb.evaluate_coco(mb.predict_dataset(model, test), test)
    print(result.numbers["AP75"], result.classes["dog"].numbers["APs"])
    ```

    Args:
        detections: for each record of `dataset` an array (detections, 6) of rows
            [class_id, score, xmin, ymin, xmax, ymax] in pixels, as returned by `predict_dataset`.
        dataset: the `DetectionDataset` with the ground truth.
        ignore_difficult: whether objects marked difficult are ignored, as `evaluate_voc` does. COCO has no
            such flag, and by default they are objects like others.

    Returns:
        `COCOResult`.

    Raises:
        TypeError: for arguments of another kind, such as swapped ones.
        ValueError: for an empty data set, a wrong number of arrays, rows of another shape, values that are
            not finite, class ids outside 1..num_classes, or boxes of negative width or height.
    """
    rows, images = flat_detections(detections, dataset, "evaluate_coco")
    truth = Truth(dataset)
    ignored = truth.difficult if ignore_difficult else truth.crowd
    found = coco_matches(rows, images, truth, dataset.num_classes, ignored)
    names = dict(zip(found, dataset.class_names, strict=True))
    classes = {names[label]: class_result(m["all"], _numbers(m)) for label, m in found.items()}
    ids = tuple(record.image_id for record in dataset)
    columns = {"mAP": slice(None), "AP50": slice(_AT_50, _AT_50 + 1), "AP75": slice(_AT_75, _AT_75 + 1)}
    matched = Matched(ids, {names[label]: m["all"] for label, m in found.items()}, RECALLS, columns)
    result = COCOResult(classes, matched)
    warn_of_bad_map("evaluate_coco", result.numbers["AP50"], dataset, rows, images, truth, 0.5)
    return result


def _numbers(of_sizes):
    """The twelve numbers of a class from its `Matches` of each range of sizes."""
    precisions = {size: matches.average_precisions(RECALLS) for size, matches in of_sizes.items()}
    everything = precisions["all"]
    numbers = {"AP": everything.mean(), "AP50": everything[_AT_50], "AP75": everything[_AT_75]}
    numbers |= {key: precisions[size].mean() for size, key in BY_SIZE.items()}
    numbers |= {f"AR{count}": of_sizes["all"].recalls(count).mean() for count in (1, 10, MAX_DETECTIONS)}
    numbers |= {f"AR{size[0]}": of_sizes[size].recalls(MAX_DETECTIONS).mean() for size in BY_SIZE}
    return {key: float(value) for key, value in numbers.items()}
