"""`multibox evaluate`: average precision of a model on a data set."""

from pathlib import Path
from typing import Annotated

import typer

from ..messages import did_you_mean
from .arguments import EXPORTED, Data, Flip, Overlap, Tiles, tiles_of
from .boundary import one_line_warnings
from .detections import find_detections

COCO = "coco"
METRICS = ("11_point", "area", COCO)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=f"A saved model (.keras), {EXPORTED}, a published one's name, or detections of "
            "any tool: COCO's results (.json), a table (.csv), or a folder of comp4_det_test_<class>.txt.",
        ),
    ],
    data: Data,
    iou: Annotated[
        float | None, typer.Option(help="IoU above which a detection is right; 0.5 if not given.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="11_point (VOC 2007), area (VOC 2010) or coco (COCO's twelve numbers).")
    ] = "11_point",
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out lower scores.")] = 0.0,
    tiles: Tiles = None,
    overlap: Overlap = 0.2,
    flip: Flip = False,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 8,
    output: Annotated[Path | None, typer.Option(help="Folder for the table, its numbers and curves.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier evaluation.")] = False,
):
    """Measure the average precision of a model, or of detections in a file, by the rules of VOC or COCO.

    A saved model must have the classes of the data set, in any order. A published model is reduced to
    them, and must know them all.
    """
    from ..data_generator.formats.layouts import load_dataset, path_and_set
    from ..eval_utils.metrics.evaluation_files import EVALUATION_FILES
    from ..files import check_absent, check_folder

    _check_metric(metric, iou)
    if output is not None:
        check_folder(output)
        if not force:
            check_absent(output / name for name in EVALUATION_FILES)
    with one_line_warnings("multibox evaluate"):
        dataset = load_dataset(*path_and_set(data))
        print(dataset)
        found = find_detections(model, dataset, batch, tiles=tiles_of(tiles), overlap=overlap, flip=flip)
        wanted = [rows[rows[:, 1] >= min_score] for rows in found]
        result = _measured(wanted, dataset, metric, iou)
    print(result)
    if output is not None:
        from ..eval_utils import save_evaluation

        save_evaluation(result, output, overwrite=force)
        print(f"\nWritten to {output}: {', '.join(EVALUATION_FILES)}")


def _measured(detections, dataset, metric, iou):
    from ..eval_utils import evaluate_coco, evaluate_voc

    if metric == COCO:
        return evaluate_coco(detections, dataset)
    return evaluate_voc(detections, dataset, iou_threshold=0.5 if iou is None else iou, metric=metric)


def _check_metric(metric, iou):
    """Raises ValueError before the model runs for hours."""
    if metric not in METRICS:
        raise ValueError(
            f"--metric must be {', '.join(METRICS)}, got {metric!r}{did_you_mean(metric, METRICS)}"
        )
    if metric == COCO and iou is not None:
        raise ValueError(
            "--iou is for the metrics of VOC; --metric coco takes the mean over 0.5, 0.55, ..., 0.95"
        )
    if iou is not None and not 0 < iou <= 1:
        raise ValueError(f"--iou must be above 0 and at most 1, got {iou}")
