"""`load_detections` and `save_detections`: the detections of a data set in the formats of other tools."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...data_generator import DetectionDataset
from ..metrics.flat import flat_detections
from .coco_results import read_coco_results, write_coco_results
from .csv_results import read_csv_results, write_csv_results
from .voc_results import read_voc_results, write_voc_results

_COCO, _CSV, _VOC = ".json", (".csv", ".tsv"), ".txt"
_FORMATS = "COCO's results (.json), a table (.csv), or VOC's results (a folder of comp4_det_test_<class>.txt)"


@checked()
def load_detections(
    path: str | os.PathLike[str],
    dataset: DetectionDataset,
    *,
    category_ids: Mapping[str, int | str] | None = None,
) -> list[np.ndarray]:
    """Reads detections of any detector on the images of a data set, for `evaluate_voc` and `evaluate_coco`.

    | path | format |
    |---|---|
    | `*.json` | COCO's list of results: `image_id`, `category_id`, `bbox` (x, y, width, height), `score` |
    | `*.csv`, `*.tsv` | a line for each detection, with a header |
    | a folder, or `*.txt` | VOC's results, `comp4_det_test_<class>.txt`: image, score and corners in a line |

    - An image is found by its id or the name of its file, with or without folders and suffix. Numbers in
      COCO's results are those that `save_coco` gives: the image ids themselves if all are numbers, else 1, 2,
      ... in the order of the data set. If a result has a `file_name`, that one counts.
    - The columns of a table are those of `load_csv`, and `score`, `confidence`, `probability` or `conf`. A
      class is a name or a class id. The files of `save_predictions` can be read.
    - Boxes are pixels of the original images: continuous in COCO's results and tables, 1-based and with both
      ends included in VOC's results.
    - A class without a file of VOC's results has no detections; a warning names it.

    Example:

    ```python
    found = mb.load_detections("results.json", test)
    print(mb.evaluate_coco(found, test))
    ```

    Args:
        path: path of the file or folder. A file may have 1 GiB.
        dataset: the `DetectionDataset` with the images.
        category_ids: {class name: category id} in COCO's results, such as `coco_categories(annotation_file)`.
            None: COCO's own ids for its 80 classes, otherwise the class ids 1, 2, ...

    Returns:
        For each record of the data set an array (detections, 6) of rows
        [class_id, score, xmin, ymin, xmax, ymax] by descending score, as `predict_dataset` returns them.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        ValueError: names the file and the line or result. It is raised for

            - a file in another format, or too large
            - an image or class that the data set does not have
            - scores and boxes that are not finite numbers, boxes of negative width or height
            - boxes that all look relative to their images (0..1)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder of detections")
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == _VOC:
        return read_voc_results(path, dataset)
    if suffix == _COCO:
        return read_coco_results(path, dataset, category_ids)
    if suffix in _CSV:
        return read_csv_results(path, dataset)
    raise ValueError(f"{path}: expected {_FORMATS}")


@checked()
def save_detections(
    detections: Sequence[np.ndarray],
    dataset: DetectionDataset,
    path: str | os.PathLike[str],
    *,
    image_set: str = "test",
    category_ids: Mapping[str, int | str] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes the detections of a data set for other tools and evaluation servers, and `load_detections`.

    The ending of the path decides: `.json` for COCO's results, `.csv` for a table with the columns image_id,
    xmin, ymin, xmax, ymax, class and score; a path without one becomes a folder with VOC's results, a file
    `comp4_det_<image_set>_<class>.txt` for each class.

    Numbers are written so that the same ones are read back, except boxes in VOC's results, whose pixels start
    at 1: there 1 is added to xmin and ymin.

    Args:
        detections: for each record of `dataset` an array (detections, 6), as `predict_dataset` returns them.
        dataset: the `DetectionDataset`.
        path: path of the file or folder.
        image_set: name of the set of images in VOC's names of files.
        category_ids: {class name: category id}, see `load_detections`.
        overwrite: whether to replace a file, or a folder with all that is in it.

    Raises:
        FileExistsError: if the file exists, or the folder is not empty, and `overwrite` is False.
        ValueError: for detections that `evaluate_coco` refuses, another ending, and names that the format
            cannot hold.
    """
    flat_detections(detections, dataset, "save_detections")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == _COCO:
        write_coco_results(path, dataset, detections, overwrite, category_ids)
    elif suffix == _CSV[0]:
        write_csv_results(path, dataset, detections, overwrite)
    elif not suffix:
        write_voc_results(path, dataset, detections, overwrite, image_set)
    else:
        raise ValueError(f"save_detections: {path}: expected a path of {_FORMATS}")
