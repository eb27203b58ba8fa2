"""`multibox check`: one command for a path in any layout, and one for each annotation format."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from ..messages import printable
from ..networks import ANCHOR_NAMES_HELP
from .boundary import one_line_errors, one_line_warnings
from .examples import examples


class _PathOrFormat(TyperGroup):
    """`check PATH` is short for `check any PATH`: the first word is a path unless it names a format."""

    def with_format(self, args):
        return ["any", *args] if args and args[0] not in (*self.commands, "--help") else args

    def parse_args(self, ctx, args):
        return super().parse_args(ctx, self.with_format(args))


# Errors have status 2 here, because 1 means findings.
_errors = partial(one_line_errors, "multibox check", 2)
_warnings = partial(one_line_warnings, "multibox check")

app = typer.Typer(
    cls=_PathOrFormat,
    no_args_is_help=True,
    subcommand_metavar="PATH | FORMAT ...",
    help="Find problems in a data set. Exit status: 0 no errors or warnings, 1 errors or warnings, "
    "2 the check could not run. `multibox check PATH` recognizes the format; the commands below are for "
    "files in other places.",
    epilog=examples(
        "multibox check my_data",
        "multibox check my_data --set train --set val --model ssd-mobilenet --output report",
        "multibox check coco train.json images/train val.json images/val",
    ),
)

Model = Annotated[
    str, typer.Option(help=f"Network whose anchors are compared with the objects: {ANCHOR_NAMES_HELP}.")
]
Classes = Annotated[
    str | None,
    typer.Option(help="Class names, separated by commas. Default: those of the file, or those that occur."),
]
Output = Annotated[Path | None, typer.Option(help="Folder for report.json, report.txt and pictures.")]
Pairs = Annotated[
    list[Path],
    typer.Argument(
        metavar="ANNOTATIONS IMAGES ...", help="An annotation file and its image folder, by split."
    ),
]


@app.command(
    name="any",
    epilog=examples(
        "multibox check my_data", "multibox check my_data --set train --model ssd300 --output report"
    ),
)
def any_layout(
    path: Annotated[Path, typer.Argument(help="Folder or file of a data set, as for load_dataset.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Split of the data set. Default: all that it consists of. Repeatable."),
    ] = None,
    model: Model = "ssd300",
    classes: Classes = None,
    output: Output = None,
):
    """Check a data set in any layout that load_dataset reads. `check PATH` is short for this."""
    from ..data_generator.formats.layouts import find_layout

    with _errors():
        with _warnings():
            layout = find_layout(path)
        unknown = [name for name in sets or () if name not in layout.splits]
        if unknown:
            raise ValueError(f"{path}: no split {unknown[0]!r}; there are: {', '.join(layout.splits)}")
    print(f"{layout.name}: {printable(layout.at, limit=500)}")
    splits = {name: layout.splits[name] for name in sets or layout.default}
    _check(splits, model, _names(classes), output, layout.classes)


@app.command(
    epilog=examples(
        "multibox check voc VOCdevkit --set 2007:trainval --set 2007:test",
        "multibox check voc my_data --set train --set val",
    )
)
def voc(
    devkit: Annotated[
        Path, typer.Argument(help="Folder with VOC2007, VOC2012, ..., or a folder in VOC layout.")
    ],
    sets: Annotated[
        list[str],
        typer.Option("--set", help="YEAR:NAME of an image set; NAME for a folder in VOC layout. Repeatable."),
    ],
    model: Model = "ssd300",
    classes: Classes = None,
    output: Output = None,
):
    """Check Pascal VOC XML files."""
    from ..data_generator.formats.voc import scan_voc

    splits = {}
    for name in sets:
        year, _, image_set = name.rpartition(":")
        splits[name] = partial(scan_voc, devkit, [(year, image_set)])
    _check(splits, model, _names(classes), output)


@app.command(epilog=examples("multibox check coco train.json images/train val.json images/val"))
def coco(files: Pairs, model: Model = "ssd300", classes: Classes = None, output: Output = None):
    """Check COCO instances files. The classes default to the categories of the first file."""
    from ..data_generator.formats.coco import coco_categories, scan_coco

    splits = {name: partial(scan_coco, *pair) for name, pair in _pairs(files).items()}
    _check(splits, model, _names(classes), output, partial(coco_categories, files[0]))


@app.command(name="csv", epilog=examples("multibox check csv train.csv images --classes cat,dog"))
def csv_files(files: Pairs, model: Model = "ssd300", classes: Classes = None, output: Output = None):
    """Check CSV files with one object a line."""
    from ..data_generator.formats.csv_file import scan_csv

    names = _names(classes)
    splits = {name: partial(scan_csv, *pair, names) for name, pair in _pairs(files).items()}
    _check(splits, model, names, output)


@app.command(epilog=examples("multibox check yolo my_data/data.yaml --set train"))
def yolo(
    data_yaml: Annotated[Path, typer.Argument(help="The yaml file with `names` and the splits.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Split of the file. Default: train and val. Repeatable.")
    ] = None,
    model: Model = "ssd300",
    classes: Classes = None,
    output: Output = None,
):
    """Check a data set in the Ultralytics YOLO layout. The classes default to the names of the file."""
    from ..data_generator.formats.yolo import scan_yolo, yolo_classes

    splits = {name: partial(scan_yolo, data_yaml, name) for name in sets or ("train", "val")}
    _check(splits, model, _names(classes), output, partial(yolo_classes, data_yaml))


def _check(splits, model, classes, output, read_classes=None):
    """Runs the check, prints the report and exits."""
    from ..data_check.check import check_dataset

    with _errors(), _warnings():
        if classes is None and read_classes is not None:
            classes = tuple(read_classes())
        report = check_dataset(splits, classes=classes, anchors=model, output=output)
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
    """{split: (annotation file, image folder)}; splits are named by the stems of the files if unique."""
    if len(files) % 2:
        raise typer.BadParameter("expected pairs of an annotation file and an image folder")
    pairs = list(zip(files[::2], files[1::2], strict=True))
    stems = {file.stem for file, _ in pairs}
    return {file.stem if len(stems) == len(pairs) else str(file): (file, folder) for file, folder in pairs}
