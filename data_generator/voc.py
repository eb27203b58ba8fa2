"""Reader of the Pascal VOC devkit layout."""

from collections import Counter
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException, ElementTree

from .annotation import Annotation, assemble, raise_error, scan
from .dataset import FLAGS
from .fields import IMAGE_SUFFIXES, inside_folder, name_tuple, number, size_or_none

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def load_voc(devkit, image_sets, classes=VOC_CLASSES, progress=True):
    """Reads Pascal VOC annotations.

    Args:
        devkit: folder that holds `VOC2007`, `VOC2012`, ... (or a `VOCdevkit` folder that does). A folder
            that is itself in VOC layout (`Annotations`, `ImageSets/Main`, `JPEGImages`) is read with
            an empty year: `[("", "train")]`.
        image_sets: (year, set) pairs such as `[("2007", "trainval"), ("2012", "trainval")]`.
        classes: names in the order of the labels 1, 2, ...
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset`. The devkit's 1-based inclusive pixels become continuous ones: xmin - 1,
        ymin - 1, xmax, ymax. Absent `difficult` and `truncated` count as 0, as does `crowd`, which
        `save_voc` adds; an absent `size` is read from the image. Image ids may contain folders. Bad boxes are
        treated, counted and reported as `BoxCleaner` says.

    Raises:
        FileNotFoundError: for a missing folder, image set, annotation or image; names it.
        ValueError: for an unknown class, a missing or non-numeric field, broken XML, an image listed twice;
            names file and field.
    """
    classes = name_tuple(classes, "load_voc: classes")
    if isinstance(image_sets, str) or not all(np.shape(pair) == (2,) for pair in image_sets):
        raise ValueError(
            f'load_voc: image_sets must be pairs such as [("2007", "train")], got {image_sets!r}'
        )
    names = "+".join(f"{year} {name}".strip() for year, name in image_sets)
    annotations = scan_voc(devkit, image_sets, progress=progress)
    return assemble(annotations, classes, f"VOC {names}", f"load_voc({str(devkit)!r})")


def scan_voc(devkit, image_sets, on_error=raise_error, progress=True):
    """Yields the `Annotation` of each image.

    Args:
        devkit: see `load_voc`.
        image_sets: see `load_voc`.
        on_error: called with the exception of an image whose annotation cannot be read, which is left out if
            that returns, and of a set that lists images more than once, which are then read once.
        progress: whether to show a progress bar.
    """
    known = {}
    for year, name in image_sets:
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
    hint = '; it is itself in VOC layout: read it with an empty year, ("", "train")'
    raise FileNotFoundError(
        f"no Pascal VOC data at {devkit / name}: expected the folders Annotations, ImageSets/Main and "
        f"JPEGImages in it{hint if year and (devkit / 'Annotations').is_dir() else ''}"
    )


def _image_ids(path, on_error):
    if not path.is_file():
        sets = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))[:20]) or "none"
        raise FileNotFoundError(f"no image set {path}; there are: {sets}")
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    # The sets of one class have a second column: -1 is an image without it.
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
        tree = ElementTree.parse(path).getroot()
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
