"""`save_report`: one page about a detector on a data set."""

from __future__ import annotations

import base64
import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import checked
from ..data_generator import DetectionDataset
from ..eval_utils import confidence_intervals, confusion_matrix, error_types, evaluate_coco
from ..eval_utils.metrics.errors import MEANINGS, SUMS
from ..eval_utils.metrics.flat import flat_detections
from ..files import atomic, check_absent, check_folder
from ..messages import printable
from .gallery import KINDS, worst_cases
from .groups import RULE, by_aspect, by_crowding, by_size
from .measures import STEPS, all_curves
from .sections import (
    class_rows,
    confusion_table,
    data_summary,
    headlines,
    score_charts,
    training_charts,
)

PAGE = "report.html"
# Of the images, for the intervals. For 5000 images they take half a minute.
SAMPLES = 200
_TEMPLATES = Path(__file__).parent / "templates"


@checked()
def save_report(
    detections: Sequence[np.ndarray],
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    *,
    history: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes `report.html`: what a detector can do, why it fails, and pictures of its worst errors.

    The page is one file, below 10 MB, and loads nothing from the network. It has AP, precision and recall of
    each class, curves, the confusion matrix, what each type of error costs (see `error_types`), AP by the
    size and shape of objects, and a gallery of misses, false alarms, wrong classes and loose boxes.

    AP is that of `evaluate_coco`, but difficult objects are ignored. It has intervals from 200 samples of the
    images, see `confidence_intervals`. Warnings, such as that of a mAP of nearly zero, stand on the page.

    Images that cannot be read are counted on the page. Only their pictures are missing.

    Example:

    ```python
    detections = mb.predict_dataset(model, dataset)
    mb.save_report(detections, dataset, "report", settings={"model": "best.keras"})
    ```

    Args:
        detections: for each record of `dataset` an array (detections, 6) of rows
            [class_id, score, xmin, ymin, xmax, ymax] in pixels, as returned by `predict_dataset`.
        dataset: the `DetectionDataset` with the ground truth.
        folder: path of the folder; created if necessary.
        history: path of a training's `history.csv`, whose curves are shown. None: no curves.
        settings: names and values to show at the end. None: no settings.
        overwrite: whether to replace the page of an earlier call.

    Returns:
        Path of the page.

    Raises:
        FileExistsError: if there is a page and `overwrite` is False.
        FileNotFoundError: if there is no such `history`.
        NotADirectoryError, PermissionError: if `folder` is a file, or cannot be written.
        TypeError: for arguments of another kind, such as swapped ones.
        ValueError: if `history` is no log of a training, and as `evaluate_voc`.
    """
    page = Path(folder) / PAGE
    check_folder(folder)
    if not overwrite:
        check_absent([page])
    flat_detections(detections, dataset, "save_report")  # refuses what is none, in this function's name
    text = render(_content(detections, dataset, history, settings))
    with atomic(page, overwrite) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return page


def _content(detections, dataset, history, settings):
    """What the template shows."""
    training = [] if history is None else training_charts(history)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = evaluate_coco(detections, dataset, ignore_difficult=True)
    intervals = confidence_intervals(result, samples=SAMPLES)
    errors = error_types(detections, dataset)
    together, classes = all_curves(errors, dataset)
    threshold = float(STEPS[together.best])
    matrix = confusion_matrix(detections, dataset, min_score=threshold)
    cases, notes = worst_cases(errors, dataset)
    return {
        "title": printable(dataset.name, limit=200),
        "class_names": [printable(name) for name in dataset.class_names],
        "headlines": headlines(intervals, errors, together, dataset),
        "warnings": [printable(warning.message, limit=500) for warning in caught],
        "interval": f"{intervals.level:.0%}",
        "rows": class_rows(result, intervals),
        "charts": score_charts(dataset, together, classes),
        "errors": errors,
        "meanings": MEANINGS,
        "sums": SUMS,
        "matrix": matrix,
        "table": confusion_table(matrix),
        "groups": (
            ("Size", by_size(errors)),
            ("Shape: width to height", by_aspect(errors)),
            ("Crowding", by_crowding(errors, dataset)),
        ),
        "group_rule": RULE,
        "cases": cases,
        "kinds": [kind for kind in KINDS if any(case.kind == kind for case in cases)],
        "image_ids": [printable(record.image_id, limit=120) for record in dataset],
        "notes": notes,
        "training": training,
        "data": data_summary(dataset),
        "settings": [
            (printable(name), printable(value, limit=500)) for name, value in (settings or {}).items()
        ],
    }


def render(content: Mapping[str, Any]) -> str:
    """The page as HTML. All values are escaped, and a policy lets nothing run but the page's own script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = _share
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    template = environment.get_template("report.html")
    return template.render(content, style=Markup(style), script=Markup(script), script_hash=script_hash)


def _share(value, digits=1):
    """A share as a percentage without the sign, or a dash for NaN."""
    return "–" if value is None or np.isnan(value) else f"{100 * value:.{digits}f}"  # noqa: RUF001
