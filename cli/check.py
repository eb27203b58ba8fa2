"""`multibox check`: one command for each annotation format.

Exit status: 0 is clean, 1 is findings of severity error or warning (those worth knowing only do not count),
2 could not run.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..data_check.check import check_dataset
from ..data_generator.formats.coco import coco_categories, scan_coco
from ..data_generator.formats.csv_file import scan_csv
from ..data_generator.formats.voc import scan_voc
from ..data_generator.formats.yolo import scan_yolo, yolo_classes
from ..networks import ANCHOR_NAMES_HELP

app = typer.Typer(
    no_args_is_help=True,
    help="Say what is wrong with a data set. Exit status: 0 clean, 1 errors or warnings, 2 could not run.",
)

Model = Annotated[
    str,
    typer.Option(help=f"Check the anchors of this network: {ANCHOR_NAMES_HELP}."),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Class names, separated by commas. Default: the file's list, or those found."),
]
Output = Annotated[Path | None, typer.Option(help="Folder for report.json, report.txt and pictures.")]
Pairs = Annotated[
    list[Path],
    typer.Argument(metavar="ANNOTATIONS IMAGES ...", help="A file and its image folder for each split."),
]


@app.command()
def voc(
    devkit: Annotated[Path, typer.Argument(help="Folder of VOC2007, ..., or one in VOC layout itself.")],
    sets: Annotated[
        list[str], typer.Option("--set", help="YEAR:NAME of each image set, NAME for a folder in VOC layout.")
    ],
    model: Model = "ssd300",
    classes: Classes = None,
    output: Output = None,
):
    """Check Pascal VOC's XML files."""
    splits = {}
    for name in sets:
        year, _, image_set = name.rpartition(":")
        splits[name] = partial(scan_voc, devkit, [(year, image_set)])
    _check(splits, lambda: _names(classes), model, output)


@app.command()
def coco(files: Pairs, model: Model = "ssd300", classes: Classes = None, output: Output = None):
    """Check COCO's instances files. Default of the classes: the categories of the first."""
    splits = {name: partial(scan_coco, *pair) for name, pair in _pairs(files).items()}
    _check(splits, lambda: _names(classes) or tuple(coco_categories(files[0])), model, output)


@app.command(name="csv")
def csv_files(files: Pairs, model: Model = "ssd300", classes: Classes = None, output: Output = None):
    """Check comma-separated files with one object a line."""
    names = _names(classes)
    splits = {name: partial(scan_csv, *pair, names) for name, pair in _pairs(files).items()}
    _check(splits, lambda: names, model, output)


@app.command()
def yolo(
    data_yaml: Annotated[Path, typer.Argument(help="The yaml file with `names` and the splits.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Splits of the file. Default: train and val.")
    ] = None,
    model: Model = "ssd300",
    classes: Classes = None,
    output: Output = None,
):
    """Check Ultralytics' YOLO layout. Default of the classes: the file's names."""
    splits = {name: partial(scan_yolo, data_yaml, name) for name in sets or ("train", "val")}
    _check(splits, lambda: _names(classes) or yolo_classes(data_yaml), model, output)


def _check(splits, classes, model, output):
    """Runs the check, prints the report and ends with its exit status.

    Errors of files and data are one line and status 2, unlike those of other commands: 1 is for findings.
    """
    try:
        report = check_dataset(splits, classes(), model, output)
    except (OSError, ValueError) as error:
        print(f"multibox check: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(report)
    if output is not None:
        print(f"\nWritten to {output}: report.json, report.txt and pictures")
    raise typer.Exit(0 if report.is_clean else 1)


def _names(classes):
    if classes is None:
        return None
    names = tuple(name.strip() for name in classes.split(","))
    if not all(names):
        raise typer.BadParameter(f"an empty class name in {classes!r}")
    return names


def _pairs(files):
    """{name of the split: (annotation file, image folder)}; named after the files, whose stems may repeat."""
    if len(files) % 2:
        raise typer.BadParameter("expected pairs of an annotation file and an image folder")
    pairs = list(zip(files[::2], files[1::2], strict=True))
    stems = {file.stem for file, _ in pairs}
    return {file.stem if len(stems) == len(pairs) else str(file): (file, folder) for file, folder in pairs}
