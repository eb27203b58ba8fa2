"""`save_dataset` and `convert_dataset`: one entry point for every layout that can be written."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from ...arguments import checked
from ...files import new_folder
from ..dataset import DetectionDataset
from .coco_writer import save_coco
from .csv_file import save_csv
from .hdf5_writer import create_hdf5_dataset
from .labelme_writer import save_labelme
from .layouts import find_layout, load_layout
from .new_files import names_without_prefix, with_placed_images
from .recognize import ALL
from .shard_writer import save_shards
from .voc_writer import save_voc
from .yolo_writer import save_yolo

Layout = Literal["voc", "coco", "yolo", "csv", "labelme", "hdf5", "shards"]
LAYOUT_NAMES = get_args(Layout)
# Their readers take the class names that occur, sorted.
_WITHOUT_CLASS_LIST = ("voc", "csv", "labelme")


@checked()
def save_dataset(
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    layout: Layout,
    split: str = "train",
    *,
    images: Literal["copy", "link"] = "copy",
    progress: bool = True,
) -> None:
    """Writes a data set with its images into a folder. A folder may hold several splits.

    | layout | files | read with |
    |---|---|---|
    | `"voc"` | see `save_voc` | `load_dataset(folder)` |
    | `"yolo"` | see `save_yolo` | `load_dataset(folder)` |
    | `"coco"` | `instances_<split>.json`, `images/<split>/` | `load_dataset(folder)` |
    | `"csv"` | `<split>.csv`, `images/<split>/` | `load_dataset(folder)` |
    | `"labelme"` | `<split>/`, see `save_labelme` | `load_dataset(folder)` |
    | `"hdf5"` | `<split>.h5`, images included | `load_hdf5(file)` |
    | `"shards"` | `<split>/`, see `save_shards` | `load_dataset(folder)` |

    `save_coco` and `save_csv` write the annotations alone.

    Args:
        dataset: a `DetectionDataset`.
        folder: path of the folder; created if necessary.
        layout: name of the layout.
        split: name of the split.
        images: "copy", or "link" for hard links. HDF5 files and shards always have copies.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if a file of this split exists; names it.
        ValueError: as the writer of the layout, and for a split that is no name of a file.
    """
    if not re.fullmatch(r"[\w][\w.:-]*", split):
        raise ValueError(f"save_dataset: split must be made of letters, digits, -, _, . and :, got {split!r}")
    folder = Path(folder)
    if layout == "hdf5":
        folder.mkdir(parents=True, exist_ok=True)
        create_hdf5_dataset(dataset, folder / f"{split}.h5", progress=progress)
    elif layout == "shards":
        save_shards(dataset, folder / split, progress=progress)
    elif layout in ("voc", "yolo"):
        save = {"voc": save_voc, "yolo": save_yolo}[layout]
        save(dataset, folder, split, images=images, progress=progress)
    elif layout == "labelme":
        names = names_without_prefix(dataset, f"{split}/")
        records = [replace(r, image_id=name) for r, name in zip(dataset, names, strict=True)]
        renamed = DetectionDataset(dataset.class_names, records, dataset.name)
        save_labelme(renamed, folder / split, images=images, progress=progress)
    else:
        _save_table(dataset, folder, layout, split, images == "link", progress)


def _save_table(dataset, folder, layout, split, link, progress):
    """Writes the file of all annotations, and the images beside it."""
    place, names = folder / "images" / split, names_without_prefix(dataset, f"{split}/")
    placed = with_placed_images(dataset, place, names, "save_dataset", link, progress)
    if layout == "coco":
        save_coco(placed, folder / f"instances_{split}.json", place)
    else:
        save_csv(placed, folder / f"{split}.csv", folder)


@checked()
def convert_dataset(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    layout: Layout,
    *,
    split: str | None = None,
    images: Literal["copy", "link"] = "copy",
    progress: bool = True,
) -> dict[str, DetectionDataset]:
    """Reads a data set in any layout, and writes it in another one, split by split.

    Warnings count what is lost: boxes that the reader drops, flags that the layout does not have, and classes
    without objects where it has no list of classes.

    - A data set without splits becomes the split "train".
    - Names of splits are adapted where a layout allows fewer characters: "2007:train" becomes "2007-train".
    - If an image id is in several splits, all ids become "split/id".

    Args:
        path: path of the data set, as for `load_dataset`.
        output: path of the folder, which must not exist or be empty. Until it is complete it has a temporary
            name. For HDF5 it may be the file, `<name>.h5`, if there is one split.
        layout: see `save_dataset`.
        split: name of the only split to convert. None: all that `load_dataset` reads.
        images: see `save_dataset`.
        progress: whether to show a progress bar.

    Returns:
        {name of the split in the output: the `DetectionDataset` that was read}.

    Raises:
        FileExistsError: if the output exists.
        ValueError: for an unknown split, as the reader, and as the writer.
    """
    splits = _splits(path, split, progress)
    if layout in _WITHOUT_CLASS_LIST:
        _warn_of_lost_classes(splits.values(), f"convert_dataset({os.fspath(output)!r}): {layout}")
    if Path(output).suffix.lower() in (".h5", ".hdf5") and layout == "hdf5":
        if len(splits) > 1:
            names = ", ".join(splits)
            raise ValueError(f"{output}: one file, but there are the splits {names}; name one, or a folder")
        create_hdf5_dataset(next(iter(splits.values())), output, progress=progress)
        return splits
    with new_folder(output) as partial:
        for name, dataset in splits.items():
            save_dataset(dataset, partial, layout, name, images=images, progress=progress)
    return splits


def _splits(path, split, progress):
    """{name for the output: data set} of one split, or of all."""
    layout = find_layout(path)
    chosen = layout.default if split is None else (split,)
    found, classes = {}, None
    for name in chosen:
        # The first one finds the classes of all splits.
        dataset = load_layout(layout, path, name, classes, progress=progress)
        classes = dataset.class_names
        new = "train" if name == ALL else re.sub(r"[^A-Za-z0-9_-]", "-", name)
        if new in found:
            raise ValueError(f"{path}: the splits {', '.join(chosen)} would have the same name {new!r}")
        found[new] = dataset
    return _with_unique_ids(found)


def _with_unique_ids(splits):
    counts = Counter(record.image_id for dataset in splits.values() for record in dataset)
    if max(counts.values(), default=0) < 2:
        return splits
    return {
        name: DetectionDataset(
            dataset.class_names,
            [replace(record, image_id=f"{name}/{record.image_id}") for record in dataset],
            dataset.name,
        )
        for name, dataset in splits.items()
    }


def _warn_of_lost_classes(datasets, source):
    counts = sum((Counter(dataset.class_counts()) for dataset in datasets), Counter())
    first = next(iter(datasets))
    lost = [name for name in first.class_names if not counts[name]]
    if lost:
        warnings.warn(
            f"{source} has no list of classes: {len(lost)} classes without objects are lost, "
            f"first {', '.join(lost[:3])}",
            stacklevel=4,
        )
