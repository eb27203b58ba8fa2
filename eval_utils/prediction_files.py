"""`save_predictions`: writes detections as they come, in the formats of other tools."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..arguments import checked
from ..class_names import COCO_CATEGORY_IDS, COCO_CLASSES
from ..data_generator.formats.fields import SIDES
from ..data_generator.formats.new_files import exact
from ..data_generator.formats.saving import save_dataset
from ..files import atomic, check_absent, new_folder
from .drawn_files import drawing
from .first_labeling import detections_dataset

Format = Literal["json", "csv", "coco-results", "voc", "coco", "yolo", "labelme"]
FORMATS = get_args(Format)
DRAWN = "drawn"
# Name of what each format makes in the output folder; without a suffix it is a folder.
NAMES = {"json": "detections.json", "csv": "detections.csv", "coco-results": "coco_results.json"}


def output_names(formats: Sequence[str], draw: bool) -> list[str]:
    """Names of the files and folders that `save_predictions` makes in its folder."""
    return [NAMES.get(name, name) for name in formats] + [DRAWN] * draw


def is_data_set(name: str) -> bool:
    """Whether a format is a data set of pictures."""
    return name not in NAMES


@checked()
def save_predictions(
    predictions: Iterable[Any],
    folder: str | os.PathLike[str],
    formats: Sequence[Format] = ("json",),
    *,
    draw: bool = False,
    images: Literal["copy", "link"] = "copy",
    overwrite: bool = False,
) -> int:
    """Writes what `predict_files` yields, one picture after the other.

    | format | in the folder | what |
    |---|---|---|
    | `"json"` | `detections.json` | a list with `Detections.to_dict` of each picture |
    | `"csv"` | `detections.csv` | a line for each detection; one with empty fields for none |
    | `"coco-results"` | `coco_results.json` | COCO's list of results |
    | `"voc"`, `"coco"`, `"yolo"`, `"labelme"` | a folder of that name | a data set, see `save_dataset` |

    - A data set is a first labeling: detections become objects, and pictures are copied. `load_dataset` reads
      it. It has no scores. Videos are refused, since it consists of pictures.
    - In COCO's results, `image_id` is the number in the name of the picture, as in COCO's own files;
      otherwise pictures are counted from 1. `category_id` is the class id, and COCO's own for a model of
      COCO's 80 classes. The additional key `file_name` has the path.
    - Drawn pictures are JPEG if the picture was, otherwise PNG. A drawn video has the frame rate and size of
      the original, without sound.
    - Files have a temporary name until they are complete. If the iteration is interrupted from the keyboard,
      what was found so far is completed.

    Example:

    ```python
    mb.save_predictions(mb.predict_files(model, "photos"), "found", ["json", "voc"], draw=True)
    ```

    Args:
        predictions: iterable of pairs (`Source`, `Detections`).
        folder: path of the folder; created if necessary.
        formats: names of formats.
        draw: whether to draw pictures and videos with boxes into the folder `drawn`.
        images: "copy", or "link" for hard links, in data sets.
        overwrite: whether to replace files and data sets of an earlier call. A data set is replaced as a
            whole.

    Returns:
        The number of pictures and frames.

    Raises:
        FileExistsError: if the folder has one of the files or folders, and `overwrite` is False.
        KeyboardInterrupt: if the iteration raises it, after what was found has been written.
        ValueError: for a format that does not exist, or a video in a data set.
    """
    folder = Path(folder)
    if not overwrite:
        check_absent(folder / name for name in output_names(formats, draw))
    count, interrupt = 0, None
    with ExitStack() as stack:
        # What is entered last is completed first: an error in a data set, at the end, costs nothing else.
        ordered = sorted(formats, key=is_data_set, reverse=True)
        writers = [stack.enter_context(_writer(name, folder, images, overwrite)) for name in ordered]
        if draw:
            writers.append(stack.enter_context(drawing(folder / DRAWN, overwrite)))
        try:
            for source, detections in predictions:
                for write in writers:
                    write(source, detections)
                count += 1
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
    return count


def _writer(name, folder, images, overwrite):
    """A context manager that yields a function of a source and its detections."""
    if name in _TABLES:
        return _TABLES[name](folder / NAMES[name], overwrite)
    return _data_set(folder / name, name, images, overwrite)


def _new_text(path):
    # Names of files that are no text appear with escapes such as \\udcff, which JSON reads back.
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")


@contextmanager
def _json_list(path, overwrite):
    """Yields a function that appends a value to a JSON list, one a line."""
    with atomic(path, overwrite) as partial, _new_text(partial) as file:
        separator = "[\n"

        def append(value):
            nonlocal separator
            file.write(separator + json.dumps(value, ensure_ascii=False))
            separator = ",\n"

        yield append
        file.write("[]\n" if separator == "[\n" else "\n]\n")


@contextmanager
def _json(path, overwrite):
    with _json_list(path, overwrite) as append:

        def write(source, detections):
            frame = {} if source.frame is None else {"frame": source.frame, "seconds": source.seconds}
            found = [
                {"class_name": d.class_name, "class_id": d.class_id, "score": _short(d.score), "box": box}
                for d, box in zip(detections, map(_shorts, detections.boxes), strict=True)
            ]
            size = {"width": detections.image_size[1], "height": detections.image_size[0]}
            append({"image": source.path, **frame, **size, "detections": found})

        yield write


@contextmanager
def _csv(path, overwrite):
    with atomic(path, overwrite) as partial, _new_text(partial) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image", "frame", "width", "height", *SIDES, "class", "score"))

        def write(source, detections):
            height, width = detections.image_size
            start = (source.path, "" if source.frame is None else source.frame, width, height)
            for d, box in zip(detections, detections.boxes, strict=True):
                name, score = d.class_name or d.class_id, exact(np.float32(d.score))
                table.writerow((*start, *map(exact, box), name, score))
            if not len(detections):
                table.writerow((*start, *[""] * 6))

        yield write


@contextmanager
def _coco_results(path, overwrite):
    numbers = _ImageNumbers()
    with _json_list(path, overwrite) as append:

        def write(source, detections):
            image_id = numbers.of(source)
            frame = {} if source.frame is None else {"frame": source.frame}
            for d, (x1, y1, x2, y2) in zip(detections, detections.boxes, strict=True):
                append(
                    {
                        "image_id": image_id,
                        "category_id": _category_id(d.class_id, detections.class_names),
                        "bbox": _shorts((x1, y1, x2 - x1, y2 - y1)),
                        "score": _short(d.score),
                        "file_name": source.path,
                        **frame,
                    }
                )

        yield write


_TABLES = {"json": _json, "csv": _csv, "coco-results": _coco_results}


class _ImageNumbers:
    """Numbers of the pictures in COCO's results."""

    def __init__(self):
        self._taken = set()
        self._count = 0

    def of(self, source):
        self._count += 1
        stem = Path(str(source.path)).stem
        is_number = source.frame is None and stem.isascii() and stem.isdigit() and len(stem) <= 15
        number = int(stem) if is_number else self._count
        while number in self._taken:
            number += 1
        self._taken.add(number)
        return number


def _category_id(class_id, class_names):
    return COCO_CATEGORY_IDS[class_id - 1] if class_names == COCO_CLASSES else class_id


@contextmanager
def _data_set(path, layout, images, overwrite):
    found = []

    def write(source, detections):
        if source.frame is not None:
            raise ValueError(
                f"{source.path}: the format {layout} is a data set of pictures, and this is a video; choose "
                "json, csv or coco-results, or take pictures out of the video first"
            )
        found.append((source.path, detections))

    yield write
    if not found:
        return
    with new_folder(path, overwrite) as partial:
        save_dataset(detections_dataset(found), partial, layout, images=images)


def _short(value):
    """A number of 32 bits as the shortest decimal one that is equal to it."""
    return float(str(np.float32(value)))


def _shorts(values):
    return [_short(value) for value in values]
