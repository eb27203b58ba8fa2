"""`load_dataset`: one entry point for every layout of a data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain

import numpy as np

from ...arguments import checked
from ...class_names import name_tuple
from ..dataset import DetectionDataset
from .annotation import Annotation, assemble
from .cleaning import MAX_DROPPED
from .fields import normal_path
from .recognize import (
    ALL,
    Layout,
    recognize_address,
    recognize_coco,
    recognize_csv,
    recognize_hdf5,
    recognize_labelme,
    recognize_open_images,
    recognize_shards,
    recognize_tfrecord,
    recognize_voc,
    recognize_xml,
    recognize_yolo,
)
from .shard_cache import is_address

# Where several fit, the first counts.
LAYOUTS = {
    "HDF5": recognize_hdf5,
    "shards": recognize_shards,
    "Pascal VOC": recognize_voc,
    "COCO": recognize_coco,
    "YOLO": recognize_yolo,
    "Pascal VOC XML": recognize_xml,
    "LabelMe": recognize_labelme,
    "TFRecord": recognize_tfrecord,
    "Open Images": recognize_open_images,
    "CSV": recognize_csv,
}


@checked()
def load_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    classes: Sequence[str] | None = None,
    *,
    max_dropped: float = MAX_DROPPED,
    progress: bool = True,
) -> DetectionDataset:
    """Reads a data set in any layout that the package knows. What the path contains decides which.

    | layout | path | splits |
    |---|---|---|
    | HDF5 | a file of `create_hdf5_dataset` | |
    | shards | a folder of `save_shards`, or a folder with some | names of the folders |
    | Pascal VOC | a folder in VOC layout, or a devkit | the image sets; "2007:train" if there are years |
    | COCO | an instances file, or a folder with some | names of the files, or of their folders (Roboflow) |
    | YOLO | a yaml file, or the folder with it | those of the yaml file |
    | Pascal VOC XML | a folder with XML files and pictures | folders named train, valid, test, ... |
    | LabelMe | a folder with LabelMe's JSON files and pictures | folders named train, valid, test, ... |
    | TFRecord | a TFRecord file, or a folder with some | names of the files, or of their folders |
    | Open Images | a boxes file, or the folder with it | train of `train-annotations-bbox.csv` |
    | CSV | a CSV file, or a folder with some | names of the files, or of their folders (Roboflow) |

    If several layouts fit, the first in this table counts, and a warning names the others. The name of the
    data set, which `print` shows, begins with the layout.

    Example:

    ```python
    data = mb.load_dataset("my_data")  # <Pascal VOC train+val: 8 images, ...>
    train = mb.load_dataset("my_data", "train")
    ```

    Args:
        path: path of the file or folder, or the address of a folder of `save_shards`, see `load_shards`.
        split: name of a split. None takes all splits. Then an image that several splits list is read once; if
            different images have the same id, all ids become "split/id". Image sets of Pascal VOC that are of
            one class, or that join other sets as trainval does, are read only if they are named.
        classes: names in the order of the labels 1, 2, ... None takes those of the files, the same ones for
            all splits. If the layout has no list of classes, they are the names that occur, sorted.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`; see `load_voc`, `load_coco`, `load_yolo`, `load_labelme`, `load_csv`,
        `load_hdf5` and `load_shards`.

    Raises:
        FileNotFoundError: if there is nothing at the path, or for a missing image or annotation.
        ValueError: if no layout fits (says for each what is missing), for an unknown split (lists the
            splits), if splits annotate the same image differently, and as the reader of the layout does.
    """
    return load_layout(find_layout(path), path, split, classes, max_dropped=max_dropped, progress=progress)


def load_layout(layout, path, split=None, classes=None, *, max_dropped=MAX_DROPPED, progress=True):
    """`load_dataset` where `find_layout(path)` has found the layout."""
    chosen = layout.default if split is None else (split,)
    if split is not None and split not in layout.splits:
        raise ValueError(f"{path}: no split {split!r}; there are: {', '.join(layout.splits)}")
    name = layout.name if chosen == (ALL,) else f"{layout.name} {'+'.join(chosen)}"
    if layout.load and len(chosen) == 1:
        dataset = layout.load(chosen[0])
        if classes is None or tuple(classes) == dataset.class_names:
            return DetectionDataset(dataset.class_names, dataset.records, name)
    read = {name: list(layout.splits[name](progress=progress)) for name in chosen}
    if classes is None:
        classes = layout.classes() if layout.classes else _names(layout, read)
    classes = name_tuple(classes, "load_dataset: classes")
    source = f"load_dataset({str(path)!r})"
    return assemble(_joined(read, source), classes, name, source, max_dropped=max_dropped)


def find_layout(path: str | os.PathLike[str]) -> Layout:
    """The layout of a data set; see `load_dataset`.

    Warns if several layouts fit.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        ValueError: if no layout fits; says for each what is missing.
    """
    if is_address(path):
        return recognize_address(os.fspath(path))
    path = normal_path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    found, reasons = [], []
    for name, recognize in LAYOUTS.items():
        try:
            found.append(recognize(path))
        except (OSError, ValueError) as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise ValueError(f"{path}: no layout of a data set fits. {'. '.join(reasons)}")
    if len(found) > 1:
        others = ", ".join(f"{layout.name} ({layout.at})" for layout in found[1:])
        warnings.warn(f"{path}: read as {found[0].name}; there is also {others}", stacklevel=3)
    return found[0]


def dataset_splits(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the splits of a data set, in any layout that `load_dataset` reads."""
    return tuple(find_layout(path).splits)


def path_and_set(text: str) -> tuple[str, str | None]:
    """Divides `path:set`, which commands take, into the two first arguments of `load_dataset`.

    The path is the longest part in front of a colon, or the whole text, that exists. A path with a colon
    therefore works, and so does a set with one: `VOCdevkit:2007:train`. An address, such as
    `s3://bucket/train`, has no set.

    Args:
        text: `path`, or `path:set`.

    Returns:
        The path and the name of the set, or None without one.

    Raises:
        FileNotFoundError: if no part of the text is an existing path.
        ValueError: if the name of the set is empty.
    """
    path, name = text, None
    if is_address(text):
        return path, name
    while not os.path.lexists(path):
        path, colon, _ = path.rpartition(":")
        if not colon:
            raise FileNotFoundError(f"{text}: no such file or folder")
        name = text[len(path) + 1 :]
    if name == "":
        raise ValueError(f"{text}: expected the name of a set after the colon")
    return path, name


def _names(layout, read):
    """The class names that occur in any split, sorted. What cannot be read in other splits is left out."""
    annotations = list(chain.from_iterable(read.values()))
    with warnings.catch_warnings(), suppress(OSError, ValueError):
        warnings.simplefilter("ignore")
        for name in set(layout.default) - set(read):
            annotations += layout.splits[name](on_error=lambda error: None, progress=False)
    names = sorted({name for annotation in annotations for name in annotation.names})
    if not names:
        raise ValueError(f"{layout.at}: no annotation has an object; pass classes")
    return names


def _joined(read: dict[str, list[Annotation]], source: str) -> Iterable[Annotation]:
    """The annotations of all splits, each image once, with unique ids."""
    first, kept = {}, []
    for split, found in read.items():
        for annotation in found:
            before = first.setdefault((annotation.image_id, str(annotation.image)), annotation)
            if before is annotation:
                kept.append((split, annotation))
            elif not _same(before, annotation):
                raise ValueError(
                    f"{source}: {before.where} and {annotation.where} annotate the image {annotation.image} "
                    f"differently; pass one of the splits {', '.join(read)}"
                )
    if len({annotation.image_id for _, annotation in kept}) == len(kept):
        return [annotation for _, annotation in kept]
    return [replace(a, image_id=f"{split}/{a.image_id}") for split, a in kept]


def _same(a, b):
    return a.names == b.names and np.array_equal(a.boxes, b.boxes)
