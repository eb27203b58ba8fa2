"""`multibox evaluate`: average precision of a model on a data set."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Data, Flip, Model, Overlap, Tiles, tiles_of
from .backend import start_keras
from .boundary import one_line_warnings


def evaluate(
    model: Model,
    data: Data,
    iou: Annotated[float, typer.Option(help="IoU above which a detection is right.")] = 0.5,
    metric: Annotated[str, typer.Option(help="11_point (VOC 2007) or area (VOC 2010).")] = "11_point",
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out lower scores.")] = 0.0,
    tiles: Tiles = None,
    overlap: Overlap = 0.2,
    flip: Flip = False,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 8,
    output: Annotated[
        Path | None, typer.Option(help="Folder for ap.txt, ap.json and precision_recall.png.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier evaluation.")] = False,
):
    """Measure the average precision of a model: a table of all classes, by the rules of Pascal VOC.

    A saved model must have the classes of the data set, in any order. A published model is reduced to
    them, and must know them all.
    """
    from ..data_generator.formats.layouts import load_dataset, path_and_set
    from ..eval_utils.metrics.evaluation_files import EVALUATION_FILES
    from ..files import check_absent

    if output is not None and not force:
        check_absent(output / name for name in EVALUATION_FILES)
    with one_line_warnings("multibox evaluate"):
        dataset = load_dataset(*path_and_set(data))
        print(dataset)
        start_keras()
        from ..eval_utils import evaluate_voc, predict_dataset, save_evaluation
        from ..models.pretrained import find_model

        found = predict_dataset(
            find_model(model, dataset.class_names),
            dataset,
            batch,
            tiles=tiles_of(tiles),
            overlap=overlap,
            flip=flip,
        )
        wanted = [rows[rows[:, 1] >= min_score] for rows in found]
        result = evaluate_voc(wanted, dataset, iou_threshold=iou, metric=metric)
    print(result)
    if output is not None:
        save_evaluation(result, output, overwrite=force)
        print(f"\nWritten to {output}: {', '.join(EVALUATION_FILES)}")
