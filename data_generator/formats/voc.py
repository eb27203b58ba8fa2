"""Reads and writes the layout of the Pascal VOC devkit."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ElementTree, ParseError, SubElement, indent

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse
from tqdm import tqdm

from ...arguments import checked
from ...class_names import VOC_CLASSES, name_tuple
from ...files import atomic, check_absent
from ..dataset import FLAGS, DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .csv_file import SIDES
from .fields import IMAGE_SUFFIXES, inside_folder, number, size_or_none
from .new_files import (
    check_unique_ids,
    check_writable,
    exact,
    place_image,
)


@checked()
def load_voc(
    devkit: str | os.PathLike[str],
    image_sets: str | Sequence[tuple[str, str]],
    classes: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> DetectionDataset:
    """Reads Pascal VOC annotations.

    Args:
        devkit: a folder in VOC layout (`Annotations`, `ImageSets/Main`, `JPEGImages`), or the devkit: a
            folder that holds `VOC2007`, `VOC2012`, ... (or a `VOCdevkit` folder that does).
        image_sets: name of an image set of a folder in VOC layout, such as "train". For the devkit, (year,
            set) pairs such as `[("2007", "trainval"), ("2012", "trainval")]`.
        classes: names in the order of the labels 1, 2, ... None takes `VOC_CLASSES` for the devkit. For your
            own folder it takes all names in its annotations, sorted; all its image sets then share them.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`:

        - The devkit's 1-based inclusive pixels become continuous ones: xmin - 1, ymin - 1, xmax, ymax.
        - Missing `difficult`, `truncated` and `crowd` (which `save_voc` adds) count as 0.
        - A missing `size` is read from the image.
        - Image ids may contain folders.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing folder, image set, annotation or image; names it.
        ValueError: for an unknown class, a missing or non-numeric field, broken XML, an image listed more
            than once; names file and field.
    """
    pairs = _pairs(image_sets)
    if classes is None:
        own = all(year == "" for year, _ in pairs)
        classes = _class_names(_year_folder(Path(devkit), "")) if own else VOC_CLASSES
    classes = name_tuple(classes, "load_voc: classes")
    names = "+".join(f"{year} {name}".strip() for year, name in pairs)
    annotations = scan_voc(devkit, pairs, progress=progress)
    return assemble(annotations, classes, f"VOC {names}", f"load_voc({str(devkit)!r})")


def _pairs(image_sets):
    """(year, set) pairs. The year is empty for a set of a folder in VOC layout."""
    if isinstance(image_sets, str):
        return [("", image_sets)]
    if not all(np.shape(pair) == (2,) for pair in image_sets):
        raise ValueError(
            'load_voc: image_sets must be the name of a set, such as "train", or pairs such as '
            f'[("2007", "train")], got {image_sets!r}'
        )
    return list(image_sets)


def _class_names(root):
    """The class names in all annotations of a folder, sorted.

    Files that cannot be read are skipped; `_read_annotation` reports those that belong to the set.
    """
    names = set()
    for path in sorted((root / "Annotations").rglob("*.xml")):
        with suppress(OSError, ParseError, DefusedXmlException, LookupError, ValueError):
            names |= {(o.findtext("name") or "").strip() for o in parse(path).getroot().findall("object")}
    names.discard("")
    if not names:
        raise ValueError(f"load_voc: no annotation in {root / 'Annotations'} has an object; pass classes")
    return tuple(sorted(names))


def scan_voc(
    devkit: str | os.PathLike[str],
    image_sets: str | Sequence[tuple[str, str]],
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each image.

    Args:
        devkit: see `load_voc`.
        image_sets: see `load_voc`.
        on_error: called with the exception if an annotation cannot be read; if it returns, that image is left
            out. Also called if a set lists images more than once; if it returns, they are read once.
        progress: whether to show a progress bar.
    """
    known = {}
    for year, name in _pairs(image_sets):
        root = _year_folder(Path(devkit), year)
        ids = _image_ids(root / "ImageSets" / "Main" / f"{name}.txt", on_error)
        read = partial(_read_annotation, root)
        yield from scan(ids, read, on_error, progress, f"VOC{year} {name}", known)


def voc_to_continuous(boxes):
    """(N, 4) 1-based inclusive pixels of the devkit to continuous ones, where width = xmax - xmin."""
    return boxes - np.array([1, 1, 0, 0], boxes.dtype)


def continuous_to_voc(boxes):
    """(N, 4) continuous boxes to the devkit's 1-based inclusive pixels."""
    return boxes + np.array([1, 1, 0, 0], boxes.dtype)


def _year_folder(devkit, year):
    name = f"VOC{year}" if year else ""
    for folder in (devkit / name, devkit / "VOCdevkit" / name):
        if (folder / "Annotations").is_dir():
            return folder
    if year and (devkit / "Annotations").is_dir():
        hint = 'this folder is itself in VOC layout: pass only the name of the set, such as "train"'
    else:
        hint = (
            "move XML files and images into these folders, and list the names of the images, one a line "
            "without suffix, in ImageSets/Main/train.txt"
        )
    raise FileNotFoundError(
        f"no Pascal VOC data at {devkit / name}: expected the folders Annotations, ImageSets/Main and "
        f"JPEGImages in it; {hint}"
    )


def _image_ids(path, on_error):
    if not path.is_file():
        sets = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))[:20]) or "none"
        raise FileNotFoundError(f"no image set {path}; there are: {sets}")
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    # The sets of one class have a second column; -1 marks an image without that class.
    ids = [words[0] for words in lines if words and words[1:] != ["-1"]]
    for image_id in ids:
        inside_folder(image_id, path, "an image id")
    repeated = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if repeated:
        on_error(ValueError(f"{path}: lists {len(repeated)} images more than once, first {repeated[0]}"))
    return list(dict.fromkeys(ids))


def _read_annotation(root, image_id):
    path = root / "Annotations" / f"{image_id}.xml"
    image = _find_image(root, image_id)
    try:
        tree = parse(path).getroot()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such annotation, but the image set lists it") from None
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"{path}: not a readable XML file: {error!r}") from error

    objects = tree.findall("object")
    boxes = voc_to_continuous(np.array([_box(o, path) for o in objects], np.float64).reshape(-1, 4))
    names = tuple((o.findtext("name") or "").strip() for o in objects)
    flags = [np.array([_flag(o, flag, path) for o in objects], bool) for flag in FLAGS]
    return Annotation(image_id, str(image), _size(tree, path), boxes, names, *flags, str(path))


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def _box(element, annotation):
    bndbox = element.find("bndbox")
    if bndbox is None:
        raise ValueError(f"{annotation}: the object {element.findtext('name')!r} has no <bndbox>")
    return [_number(bndbox, side, annotation) for side in _SIDES]


def _find_image(root, image_id):
    folder = root / "JPEGImages"
    for suffix in (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES)):
        path = folder / f"{image_id}{suffix}"
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{folder / image_id}: no such image ({', '.join(IMAGE_SUFFIXES)}), but the image set lists it"
    )


def _size(tree, annotation):
    """(width, height), or None where the annotation has none."""
    size = tree.find("size")
    if size is None:
        return None
    return size_or_none(*(_number(size, side, annotation) for side in ("width", "height")), annotation)


def _flag(element, field, annotation):
    return bool((element.findtext(field) or "").strip()) and _number(element, field, annotation) != 0


def _number(element, field, annotation):
    text = element.findtext(field)
    if text is None:
        raise ValueError(f"{annotation}: a <{element.tag}> has no <{field}>")
    return number(text, annotation, f"<{field}>")


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
        ValueError: for image ids that are duplicates, contain spaces or leave the folder; for class names
            that contain control characters or start or end with spaces; for image formats that `load_voc`
            does not read.
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
    image_id = inside_folder(record.image_id, "save_voc", "an image id")
    check_writable([image_id], "save_voc: an image id")
    if re.search(r"\s", image_id):
        raise ValueError(
            f"save_voc: an image id must not contain spaces, the separator of image lists: {image_id!r}"
        )
    suffix = ".png" if callable(record.image) else Path(record.image).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ValueError(f"save_voc: {record.image}: expected an image of {', '.join(IMAGE_SUFFIXES)}")
    # Of several images with the same name, the reader would take the first.
    check_absent(folder / f"{image_id}{other}" for other in IMAGE_SUFFIXES if other != suffix)
    return folder / f"{image_id}{suffix}"


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
