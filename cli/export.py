"""`multibox export`: writes a detector to a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exporting.formats import FORMATS, format_of
from ..files import check_absent, check_folder
from ..messages import did_you_mean
from .arguments import Model
from .backend import start_keras
from .boundary import one_line_warnings
from .detections import refuse_run

if TYPE_CHECKING:
    from ..data_generator import DetectionDataset

INT8 = "int8"
PRECISIONS = tuple(dict.fromkeys(name for about in FORMATS.values() for name in about.precisions))
SUFFIXES = tuple(about.suffix for about in FORMATS.values() if about.suffix)


def export(
    model: Model,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help=f"The file ({', '.join(SUFFIXES)}), or with --format a folder."),
    ],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}. Default: as the ending of OUT tells."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help=f"What it computes in: {', '.join(PRECISIONS)}. Default: float32.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Short for --precision int8.")] = False,
    data: Annotated[
        str | None,
        typer.Option(help="Data set, PATH or PATH:SET, whose pictures show int8 which numbers occur."),
    ] = None,
    check: Annotated[
        str | None, typer.Option(help="Data set to compare Keras and the file on; not that of --data.")
    ] = None,
    max_detections: Annotated[int | None, typer.Option(min=1, help="Rows for each picture.")] = None,
    confidence_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score of a row.")
    ] = None,
    iou_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Overlap above which the lower score is dropped.")
    ] = None,
    class_agnostic: Annotated[
        bool,
        typer.Option("--class-agnostic", help="Only the best class of each box: faster with many classes."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
):
    """Write a detector to a file that runs without Keras: in ONNX Runtime, OpenVINO, LiteRT, a browser, ...

    The runtime runs the file beside Keras before it is kept. Without options of the decoder, a model for
    inference keeps its own.
    """
    from ..eval_utils.packages import need_packages

    format_name = _checked_format(format_name, output)
    precision = _checked_precision(format_name, precision, int8, data)
    check_folder(output.parent)
    if not force:
        check_absent([output])
    refuse_run(model)
    about = FORMATS[format_name]
    need_packages("export", about.extra, *about.packages)
    decoding = {
        "max_detections": max_detections,
        "confidence_threshold": confidence_threshold,
        "iou_threshold": iou_threshold,
        "class_agnostic": class_agnostic or None,
    }
    given = {name: value for name, value in decoding.items() if value is not None}
    with one_line_warnings("multibox export"):
        calibration, pictures = _data_set(data), _data_set(check)
        start_keras()
        from ..eval_utils.detectors import facts_of
        from ..eval_utils.prediction import with_classes_of
        from ..exporting import export as write
        from ..exporting.comparison import warn_of_shared_pictures
        from ..models.pretrained import find_model

        if calibration is not None and pictures is not None:
            warn_of_shared_pictures(calibration, pictures)
        chosen = find_model(model)
        if pictures is not None:
            with_classes_of(facts_of(chosen), pictures, "export --check")  # refuses others before the work
        write(
            chosen,
            output,
            format_name,
            precision=precision,
            calibration=calibration,
            overwrite=force,
            **given,
        )
        if pictures is not None:
            _compare(output, chosen, pictures)
    files = f"{output} and {_beside(output)}" if _beside(output) else output
    print(f"Written to {files}, {_size(output) / 1e6:.1f} MB. {_agreed(about, precision, check)}")
    print(f"Next: {_next(output)}")


def _checked_format(name, output):
    """The name of the format; refuses a path that no command would read back as this format."""
    if name is None:
        return format_of(output)
    if name not in FORMATS:
        raise ValueError(f"--format must be {', '.join(FORMATS)}, got {name!r}{did_you_mean(name, FORMATS)}")
    expected, found = FORMATS[name].suffix, output.suffix.lower()
    if expected and found != expected:
        raise ValueError(f"--format {name} writes a file that ends with {expected}, got {output}")
    if not expected and found in SUFFIXES:
        raise ValueError(f"--format {name} writes a folder, got {output}, the name of a file")
    return name


def _checked_precision(format_name, precision, int8, data):
    if int8 and precision not in (None, INT8):
        raise ValueError(f"--int8 is short for --precision {INT8}; got --precision {precision}, too")
    precision = INT8 if int8 else precision
    known = FORMATS[format_name].precisions
    if precision is not None and precision not in known:
        raise ValueError(
            f"--precision must be {' or '.join(known)} for {format_name}, got {precision!r}"
            f"{did_you_mean(precision, known)}"
        )
    if precision == INT8 and data is None:
        raise ValueError(
            "int8 needs --data DATA, pictures like those that the model will see, but none that judge it"
        )
    if precision != INT8 and data is not None:
        raise ValueError("--data is for --int8; --check compares the file with Keras on a data set")
    return precision


def _data_set(text: str | None) -> DetectionDataset | None:
    from ..data_generator.formats.layouts import load_dataset, path_and_set

    return None if text is None else load_dataset(*path_and_set(text))


def _compare(output, model, pictures):
    from ..eval_utils.exported import is_exported
    from ..exporting import check_export
    from ..exporting.web import MODEL

    print(pictures)
    print(check_export(output if is_exported(output) else output / MODEL, model, pictures))


def _agreed(about, precision, check):
    """What is known about the file."""
    if precision in (None, about.precisions[0]):
        return f"{about.runtime} and Keras agree."
    hint = "" if check else "; --check DATA tells what that costs"
    return f"{about.runtime} and Keras agree as far as {precision} goes{hint}."


def _beside(output):
    """The second file of formats with two: OpenVINO's weights, the program that runs a LiteRT file."""
    names = {".xml": f"{output.stem}.bin", ".tflite": "detect.py"}
    return names.get(output.suffix.lower())


def _size(output):
    """Bytes of a folder, or of a file with the one beside it."""
    beside = _beside(output)
    both = [output, output.with_name(beside)] if beside else [output]
    files = output.rglob("*") if output.is_dir() else both
    return sum(path.stat().st_size for path in files if path.is_file())


def _next(output):
    from ..eval_utils.exported import is_exported

    if is_exported(output):
        return f"multibox predict {output} photos"
    return f"python -m http.server --directory {output}"
