"""`multibox predict`: detects objects in pictures and videos, draws them and writes them to files."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..messages import did_you_mean, printable
from .arguments import EXPORTED, Flip, Overlap, Tiles, tiles_of
from .backend import start_keras
from .boundary import one_line_warnings

MAX_NAMED = 20  # pictures that cannot be read


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=f"A saved model (.keras), {EXPORTED}, or the name of a published one.",
        ),
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Pictures, videos, folders of pictures, patterns, lists of paths (.txt), camera numbers.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("predictions"),
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="json, csv, coco-results, voc, coco, yolo, labelme. Repeatable."),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw", help="Draw boxes on pictures and videos.")] = False,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Lowest score.")] = 0.5,
    classes: Annotated[str | None, typer.Option(help="Only these classes, separated by commas.")] = None,
    tiles: Tiles = None,
    overlap: Overlap = 0.2,
    flip: Flip = False,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 8,
    link: Annotated[
        bool, typer.Option("--link", help="Hard links instead of copies of the pictures in data sets.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results.")] = False,
):
    """Detect objects in pictures and videos.

    Without --draw and --format, pictures are drawn, and detections.json is written. The formats voc,
    coco, yolo and labelme are data sets with copies of the pictures: a first labeling to correct by hand.

    Exit status: 0 done; 1 an error, or pictures that cannot be read; 130 interrupted, what was found so
    far is written.
    """
    from ..eval_utils.prediction_files import output_names, save_predictions
    from ..eval_utils.sources import find_sources
    from ..files import check_absent, check_folder

    if not formats and not draw:
        formats, draw = ["json"], True
    formats = list(dict.fromkeys(formats or ()))
    found = find_sources(sources)
    _check_formats(formats, found)
    names = output_names(formats, draw)
    check_folder(output)
    if not force:
        check_absent(output / name for name in names)
    start_keras()
    from ..eval_utils.streaming import predict_files
    from .detections import find_detector

    unread = []
    with one_line_warnings("multibox predict"):
        detector = find_detector(model)
        start = time.perf_counter()
        results = predict_files(
            detector,
            found,
            min_score=min_score,
            classes=None if classes is None else [name.strip() for name in classes.split(",")],
            tiles=tiles_of(tiles),
            overlap=overlap,
            flip=flip,
            batch_size=batch,
            on_error=unread.append,
        )
        images = "link" if link else "copy"
        try:
            count = save_predictions(results, output, formats, draw=draw, images=images, overwrite=force)
        except KeyboardInterrupt:
            print(f"multibox predict: interrupted; what was found so far is in {output}", file=sys.stderr)
            raise typer.Exit(130) from None
        finally:
            _name(unread)
    seconds = time.perf_counter() - start
    print(f"{count} images in {seconds:.1f} s, {count / seconds:.1f} images/s")
    print(f"Written to {output}: {', '.join(names)}")
    raise typer.Exit(1 if unread else 0)


def _check_formats(formats, sources):
    """Refuses unknown formats, and data sets of videos."""
    from ..eval_utils.prediction_files import FORMATS, is_data_set
    from ..eval_utils.sources import is_video

    for unknown in set(formats).difference(FORMATS):
        hint = did_you_mean(unknown, FORMATS)
        raise ValueError(f"unknown format {unknown!r}; there are {', '.join(FORMATS)}{hint}")
    video, layout = next(filter(is_video, sources), None), next(filter(is_data_set, formats), None)
    if video is not None and layout is not None:
        raise ValueError(f"{video}: a video is no part of a data set of pictures (--format {layout})")


def _name(errors):
    """Names what could not be read."""
    if not errors:
        return
    print(f"multibox predict: {len(errors)} could not be read:", file=sys.stderr)
    for error in errors[:MAX_NAMED]:
        print(f"  {printable(error, limit=300)}", file=sys.stderr)
    if len(errors) > MAX_NAMED:
        print(f"  and {len(errors) - MAX_NAMED} more", file=sys.stderr)
