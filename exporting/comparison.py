"""`check_export`: an exported detector beside Keras, picture by picture."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ..arguments import checked
from ..boxes import iou
from ..data_generator import DetectionDataset, Record, resize_only
from ..eval_utils import evaluate_voc, load_detector, predict_dataset
from ..eval_utils.detectors import facts_of
from ..eval_utils.exported import ExportedDetector
from ..limits import BATCH_SIZE
from ..messages import one_line, printable
from ..models.detector import Decoding, anchors_of, model_of, to_inference
from ..profiling.compiled import time_in_turn
from ..profiling.tables import text_table
from .checking import MIN_SCORE, TOLERANCE
from .metadata import anchors_digest

# Two rows of one class can be the same object if their boxes overlap this much, or are this near.
SAME_IOU = 0.5
SAME_DISTANCE = 0.01  # of the picture's sides; for boxes that the picture's edge has cut to nothing
ROUNDS = 20  # timed runs


class Measured(NamedTuple):
    """What one of two runtimes did.

    Attributes:
        rows: number of detections with a score above 0.05.
        mean_average_precision: by the rules of VOC 2007, see `evaluate_voc`.
        seconds: time of one picture in a batch of one, from its pixels to its detections.
    """

    rows: int
    mean_average_precision: float
    seconds: float


@dataclass(frozen=True)
class ExportCheck:
    """The result of `check_export`. `print(result)` shows a table.

    Attributes:
        name: name of the exported file or folder.
        pictures: number of pictures.
        keras: `Measured` of Keras.
        exported: `Measured` of the exported detector.
        score_difference: largest difference of the scores of two rows that belong together.
        box_difference: largest difference of their coordinates, as a share of the picture's sides.
        unmatched: number of rows above 0.05 without a counterpart in the other list.
    """

    name: str
    pictures: int
    keras: Measured
    exported: Measured
    score_difference: float
    box_difference: float
    unmatched: int

    def __str__(self):
        both = (self.keras, self.exported)
        rows = (
            ("mAP (VOC, 11 points)", *(f"{m.mean_average_precision:.4f}" for m in both)),
            (f"rows above {MIN_SCORE}", *(str(m.rows) for m in both)),
            ("ms a picture", *(f"{m.seconds * 1e3:.1f}" for m in both)),
        )
        table = text_table((f"{self.pictures} pictures", "Keras", printable(self.name)), rows)
        return (
            f"{table}\n"
            f"Largest difference of a score {self.score_difference:.2g}, of a box {self.box_difference:.2g} "
            f"of the picture's sides.\nRows without a counterpart: {self.unmatched}."
        )


@checked(batch_size=BATCH_SIZE)
def check_export(
    exported: ExportedDetector | str | os.PathLike[str],
    model: keras.Model | str | os.PathLike[str],
    dataset: DetectionDataset,
    *,
    batch_size: int = 8,
    progress: bool = True,
) -> ExportCheck:
    """Compares an exported detector with the model that it was made of, on the pictures of a data set.

    Keras decodes with the options that the file states. Two rows belong together if their class is the same
    and their boxes overlap by half; the nearest come first, and each row has one counterpart. Rows as good
    as the last one of a full list need none: rounding decides which of them is there.

    Example:

    ```python
    mb.export(model, "model.onnx")
    print(mb.check_export("model.onnx", model, mb.load_voc("my_data", "val")))
    ```

    Args:
        exported: what `export` wrote: its path, or one of `load_detector`.
        model: the model that it was made of, or the path of a saved one (`.keras`).
        dataset: pictures with objects of the model's classes; not those of a calibration.
        batch_size: images per batch.
        progress: whether to show a progress bar.

    Returns:
        `ExportCheck`.

    Raises:
        ValueError: for a file that was made of a model with other classes or anchors, and as
            `predict_dataset`.
    """
    if not len(dataset):
        raise ValueError("check_export: dataset must have at least one picture")
    model = model_of(model, "check_export")
    exported = exported if isinstance(exported, ExportedDetector) else load_detector(exported)
    detector = _same_detector(model, exported)
    pair = (detector, exported)
    found = [predict_dataset(one, dataset, batch_size, progress=progress) for one in pair]
    limit = detector.output_shape[1]
    compared = [_compare(*rows, record, limit) for *rows, record in zip(*found, dataset, strict=True)]
    scores, boxes, unmatched = zip(*compared, strict=True)
    measured = (
        Measured(
            sum(int((rows[:, 1] > MIN_SCORE).sum()) for rows in detections),
            evaluate_voc(detections, dataset).mean_average_precision,
            seconds,
        )
        for detections, seconds in zip(found, _seconds(pair, dataset), strict=True)
    )
    name = Path(exported.path).name
    return ExportCheck(name, len(dataset), *measured, max(scores), max(boxes), sum(unmatched))


def warn_of_shared_pictures(calibration: DetectionDataset, dataset: DetectionDataset) -> None:
    """Warns if a detector is judged by the pictures that it was calibrated on."""
    shared = _pictures(calibration) & _pictures(dataset)
    if shared:
        warnings.warn(
            f"{len(shared)} pictures of {printable(dataset.name)} were used for the calibration, too, first "
            f"{printable(min(shared), 200)}; the result looks better than it is",
            stacklevel=2,
        )


def _pictures(dataset):
    """What tells the pictures of a data set from others: their paths, or without files their ids."""
    return {
        record.image_id if callable(record.image) else str(Path(record.image).resolve()) for record in dataset
    }


def _same_detector(model, exported):
    """The model with the decoder that an exported detector has."""
    owner = f"check_export: {exported.path}"
    facts, others = facts_of(model), exported.facts
    for what in ("image_size", "channels", "num_classes", "class_names"):
        if getattr(facts, what) != getattr(others, what):
            raise ValueError(f"{owner} was made of another model: its {what} differs from the model's")
    if exported.metadata.get("anchors_sha256") != anchors_digest(anchors_of(model)):
        raise ValueError(f"{owner} was made of another model: its anchors differ from the model's")
    try:
        options = {name: json.loads(exported.metadata[name]) for name in Decoding.__annotations__}
        return to_inference(model, **options)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        fault = one_line(error, 300)
    raise ValueError(f"{owner}: expected the options of its decoder in its metadata: {fault}")


def _seconds(pair, dataset):
    """Seconds of one picture with each detector."""
    facts = pair[1].facts
    dataset = dataset[:1].with_pixels(channels=facts.channels, value_range=facts.value_range)
    image, *_ = resize_only(facts.image_size)(dataset[0], np.random.default_rng(0))
    runs = {i: (lambda one=one: np.asarray(one.predict_on_batch(image[None]))) for i, one in enumerate(pair)}
    return time_in_turn(runs, ROUNDS).values()


def _compare(a: np.ndarray, b: np.ndarray, record: Record, limit: int) -> tuple[float, float, int]:
    """Compares the rows (n, 6) of two detectors in one picture, boxes in pixels.

    Returns:
        The largest difference of a score and of a relative coordinate of rows that belong together, and the
        number of rows without a counterpart; all of rows above `MIN_SCORE`.
    """
    a, b = (rows / (1, 1, *(record.width, record.height) * 2) for rows in (a, b))
    score = box = 0.0
    free = [_compared(a, limit), _compared(b, limit)]
    for i, j in _pairs(a, b):
        if free[0][i] or free[1][j]:
            difference = np.abs(a[i] - b[j])
            score, box = max(score, difference[1]), max(box, difference[2:].max())
        free[0][i] = free[1][j] = False
    return float(score), float(box), int(free[0].sum() + free[1].sum())


def _compared(rows, limit):
    """(n,) bool, which rows must have a counterpart."""
    last = rows[-1, 1] + TOLERANCE if len(rows) == limit else 0.0
    return rows[:, 1] > max(MIN_SCORE, last)


def _pairs(a, b):
    """Indices of rows that belong together, the nearest boxes first."""
    for class_id in np.intersect1d(a[:, 0], b[:, 0]):
        ours, theirs = (np.flatnonzero(rows[:, 0] == class_id) for rows in (a, b))
        boxes, others = a[ours, 2:], b[theirs, 2:]
        distance = np.abs(boxes[:, None] - others[None]).max(axis=-1)
        distance[(iou(boxes, others) < SAME_IOU) & (distance > SAME_DISTANCE)] = np.inf
        while np.isfinite(distance).any():
            i, j = np.unravel_index(distance.argmin(), distance.shape)
            yield ours[i], theirs[j]
            distance[i], distance[:, j] = np.inf, np.inf
