"""`multibox report`: a page about what a detector can do and why it fails."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .arguments import EXPORTED
from .boundary import one_line_warnings
from .detections import find_detections


def report(
    detector: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_MODEL",
            help=f"Folder of a run, a saved model (.keras), {EXPORTED}, a published one's name, or "
            "detections of any tool: COCO's results (.json), a table (.csv), or a folder of "
            "comp4_det_test_<class>.txt.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Data set in any layout: PATH, or PATH:SET. Default: the validation data of the run.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", help="Folder of report.html. Default: the run's, or report."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier report.")] = False,
):
    """Write report.html: AP, curves, confusions, what each type of error costs, and the worst errors.

    The page is one file that any browser shows, without a network.
    """
    from ..files import check_absent, check_folder
    from ..report.page import PAGE
    from ..runner.reports import is_run

    run = Path(detector) if is_run(Path(detector)) else None
    if run is None and data is None:
        raise typer.BadParameter(f"expected DATA for {detector}, which is not the folder of a run")
    folder = output or run or Path("report")
    check_folder(folder)
    if not force:
        check_absent([folder / PAGE])
    with one_line_warnings("multibox report"):
        page = _write(detector, run, data, folder, batch, force)
    print(f"Written to {page}")


def _write(detector, run, data, folder, batch, force):
    from ..data_generator.formats.layouts import load_dataset, path_and_set
    from ..report import save_report
    from ..runner.reports import run_history, run_model, run_settings, run_validation

    model = detector if run is None else run_model(run)
    dataset = load_dataset(*path_and_set(data)) if data else run_validation(run, sys.stderr.isatty())
    print(dataset)
    detections = find_detections(str(model), dataset, batch)
    settings = {"detector": detector, "data": data} if data else {"detector": detector}
    history = None
    if run is not None:
        settings, history = {**run_settings(run), **settings}, run_history(run)
    return save_report(detections, dataset, folder, history=history, settings=settings, overwrite=force)
