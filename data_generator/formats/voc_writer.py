"""Writes the layout of the Pascal VOC devkit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from tqdm import tqdm

from ...arguments import checked
from ...files import atomic, check_absent
from ..dataset import DetectionDataset
from ..record import FLAGS
from .fields import inside_folder
from .new_files import check_unique_ids, check_writable, exact, image_target, place_image
from .voc_xml import SIDES, continuous_to_voc


@checked()
def save_voc(
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    image_set: str = "train",
    *,
    images: Literal["copy", "link"] = "copy",
    progress: bool = True,
) -> None:
    """Writes a data set in the Pascal VOC layout: `load_voc(folder, image_set, dataset.class_names)`.

    - Images are written to `JPEGImages/<image id><suffix>`, unless the same file is already there. Images
      that a function makes become PNG files.
    - Coordinates are the devkit's 1-based inclusive pixels with fractions. They read back as the same float32
      (below 2e-9 pixels: as the nearest multiple of 2e-16).
    - Crowd regions, which the devkit does not have, get an additional `<crowd>1</crowd>`.
    - A folder can hold several image sets if they share no images.
    - The list of images is written last. A set without a list is incomplete.

    Args:
        dataset: a `DetectionDataset`.
        folder: folder of the data set; created if necessary.
        image_set: name of the list in `ImageSets/Main`.
        images: "copy", or "link" for hard links.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the list, an annotation, or another image of that name exists; names it.
        OSError: for an image that cannot be read, copied or linked.
        ImageError: if a function does not return a usable image.
        ValueError: for image ids that are duplicates, start with a quotation mark or leave the folder; for
            class names that contain control characters or start or end with spaces; for image formats that
            `load_voc` does not read.
    """
    if images not in ("copy", "link"):
        raise ValueError(f'save_voc: images must be "copy" or "link", got {images!r}')
    check_unique_ids(dataset)
    check_writable(dataset.class_names, "save_voc: a class name")
    folder = Path(folder)
    list_file = folder / "ImageSets" / "Main" / f"{inside_folder(image_set, 'save_voc', 'image_set')}.txt"
    targets = [_voc_image(record, folder / "JPEGImages") for record in dataset]
    annotations = [folder / "Annotations" / f"{record.image_id}.xml" for record in dataset]
    check_absent([list_file, *annotations])
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    bar = tqdm(dataset, desc=f"save {image_set}", unit=" files", disable=not progress, leave=False)
    for record, target, annotation in zip(bar, targets, annotations, strict=True):
        place_image(record, target, images == "link")
        with atomic(annotation, overwrite=False) as partial:
            _voc_tree(record, dataset.class_names, target.name).write(partial, encoding="utf-8")
    with atomic(list_file, overwrite=False) as partial:
        partial.write_text("".join(f"{record.image_id}\n" for record in dataset), encoding="utf-8")


def _voc_image(record, folder):
    """Path of the image in the data set."""
    target = image_target(record, folder, record.image_id, "save_voc")
    if record.image_id.startswith('"'):
        raise ValueError(f"save_voc: an image id must not start with a quotation mark: {record.image_id!r}")
    return target


def _voc_tree(record, class_names, filename):
    root = Element("annotation")
    _add(root, filename=filename)
    _add(SubElement(root, "size"), width=record.width, height=record.height, depth=3)
    for i, box in enumerate(continuous_to_voc(record.boxes.astype(np.float64))):
        element = SubElement(root, "object")
        flags = {flag: int(getattr(record, flag)[i]) for flag in FLAGS if flag != "crowd" or record.crowd[i]}
        _add(element, name=class_names[record.labels[i] - 1], **flags)
        _add(SubElement(element, "bndbox"), **dict(zip(SIDES, map(exact, box), strict=True)))
    indent(root)
    return ElementTree(root)


def _add(parent, **texts):
    for tag, text in texts.items():
        SubElement(parent, tag).text = str(text)
