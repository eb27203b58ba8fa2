"""Reads Pascal VOC: the devkit's layout, and XML files beside pictures as labeling tools leave them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from ...arguments import checked
from ...class_names import VOC_CLASSES, name_tuple
from ...files import is_file
from ...messages import quoted
from ..dataset import DetectionDataset
from .annotation import Annotation, assemble, raise_error, scan
from .cleaning import MAX_DROPPED
from .fields import IMAGE_SUFFIXES, normal_path
from .picture_files import PictureFiles, files_with_suffix
from .voc_sets import ImageSets, repeated
from .voc_xml import class_names, file_name, read_xml, xml_annotation


@checked()
def load_voc(
    devkit: str | os.PathLike[str],
    image_sets: str | Sequence[tuple[str, str]] | None = None,
    classes: Sequence[str] | None = None,
    *,
    progress: bool = True,
    max_dropped: float = MAX_DROPPED,
) -> DetectionDataset:
    """Reads Pascal VOC annotations.

    Without `image_sets` it reads every XML file in the folder and its subfolders:

    - The file's `<filename>` decides which picture it is about. If there is no such picture, it is the one
      with the XML file's own name. See `PictureFiles` for what a name may look like.
    - The picture may be anywhere in the folder: beside the XML file, or in a folder of its own.
    - A picture without an XML file is left out. A warning counts them.
    - The image id is the path of the XML file in the folder, without suffix.

    With `image_sets` the lists in `ImageSets/Main` decide. A line of a list is the name of an image, with or
    without suffix. In the lists of one class a second column follows; images with -1 are left out.

    Args:
        devkit: a folder in VOC layout (`Annotations`, `ImageSets/Main`, `JPEGImages`), or the devkit: a
            folder that holds `VOC2007`, `VOC2012`, ... (or a `VOCdevkit` folder that does). Without
            `image_sets` any folder with XML files and pictures.
        image_sets: None for all XML files. Name of an image set of a folder in VOC layout, such as "train".
            For the devkit, (year, set) pairs such as `[("2007", "trainval"), ("2012", "trainval")]`.
        classes: names in the order of the labels 1, 2, ... None takes `VOC_CLASSES` for the devkit. For your
            own folder it takes all names in its annotations, sorted; all its image sets then share them.
        progress: whether to show a progress bar.
        max_dropped: share of the boxes that may be dropped because they have no area or lie outside their
            image.

    Returns:
        `DetectionDataset`:

        - The devkit's 1-based inclusive pixels become continuous ones: xmin - 1, ymin - 1, xmax, ymax.
        - Missing `difficult`, `truncated` and `crowd` (which `save_voc` adds) count as 0, and so does
          "Unspecified".
        - A missing `size` is read from the image.
        - Image ids may contain folders.
        - `BoxCleaner` cleans, counts and reports bad boxes.

    Raises:
        FileNotFoundError: for a missing folder, image set, annotation or image; names it.
        ValueError: for an unknown class, a missing or non-numeric field, broken XML, XML that is not Pascal
            VOC's, a set that lists no images or an image more than once, two XML files about one picture;
            names file and field. If more than `max_dropped` of the boxes, and at least five,
            would be dropped, or if all look relative to their images (0..1).
    """
    if image_sets is None:
        return _load_folder(normal_path(devkit), classes, progress, max_dropped)
    pairs = _pairs(image_sets)
    if classes is None:
        own = all(year == "" for year, _ in pairs)
        classes = voc_classes(_year_folder(Path(devkit), "")) if own else VOC_CLASSES
    classes = name_tuple(classes, "load_voc: classes")
    names = "+".join(f"{year} {name}".strip() for year, name in pairs)
    annotations = scan_voc(devkit, pairs, progress=progress)
    source = f"load_voc({str(devkit)!r})"
    return assemble(annotations, classes, f"VOC {names}", source, max_dropped=max_dropped)


def _load_folder(folder, classes, progress, max_dropped):
    if classes is not None:
        classes = name_tuple(classes, "load_voc: classes")
    annotations = scan_voc(folder, progress=progress)
    source = f"load_voc({str(folder)!r})"
    return assemble(annotations, classes, f"VOC {folder.name}", source, max_dropped=max_dropped)


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


def voc_classes(root: Path) -> tuple[str, ...]:
    """The class names in all annotations of a folder in VOC layout, sorted.

    Files that cannot be read are skipped; the reader reports those that belong to the set.

    Raises:
        ValueError: if there are no names.
    """
    names = set()
    for path in files_with_suffix(root / "Annotations", ".xml"):
        with suppress(OSError, ValueError):
            names |= class_names(read_xml(path), path)
    if not names:
        raise ValueError(f"load_voc: no annotation in {root / 'Annotations'} has an object; pass classes")
    return tuple(sorted(names))


def scan_voc(
    devkit: str | os.PathLike[str],
    image_sets: str | Sequence[tuple[str, str]] | None = None,
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
    if image_sets is None:
        folder = normal_path(devkit)
        yield from scan_xml(folder, files_with_suffix(folder, ".xml"), on_error=on_error, progress=progress)
        return
    known = {}
    for year, name in _pairs(image_sets):
        root = _year_folder(normal_path(devkit), year)
        ids = _image_ids(root, name, on_error)
        pictures = PictureFiles(folder if (folder := root / "JPEGImages").is_dir() else root)
        read = partial(_listed, root, ImageSets(root).path(name), pictures)
        yield from scan(ids, read, on_error, progress, f"VOC{year} {name}", known)


def scan_xml(
    folder: Path,
    files: Sequence[Path],
    split: str | None = None,
    *,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[Annotation]:
    """Yields the `Annotation` of each of these XML files; see `load_voc`.

    Args:
        folder: absolute path of the folder that holds files and pictures.
        files: paths of the XML files in it.
        split: None, or the only split whose pictures must have an XML file (see `split_of`).
        on_error: see `scan_voc`.
        progress: whether to show a progress bar.
    """
    if not files:
        raise FileNotFoundError(f"no XML files in {folder}")
    pictures = PictureFiles(folder)
    yield from scan(files, partial(_beside, pictures), on_error, progress, "XML")
    pictures.warn_without_annotation("XML file", split)


def _year_folder(devkit, year):
    name = f"VOC{year}" if year else ""
    for folder in (devkit / name, devkit / "VOCdevkit" / name):
        if (folder / "Annotations").is_dir():
            return folder
    if year and (devkit / "Annotations").is_dir():
        hint = 'this folder is itself in VOC layout: pass only the name of the set, such as "train"'
    else:
        hint = "load_voc(folder) without a set reads XML files and pictures in any folders"
    raise FileNotFoundError(
        f"no Pascal VOC data at {devkit / name}: expected the folders Annotations, ImageSets/Main and "
        f"JPEGImages in it; {hint}"
    )


def _image_ids(root, name, on_error):
    ids = ImageSets(root).images(name)
    if twice := repeated(ids):
        path = ImageSets(root).path(name)
        on_error(ValueError(f"{path}: lists {len(twice)} images more than once, first {quoted(twice[0])}"))
    return list(dict.fromkeys(ids))


def _listed(root, image_set, pictures, image_id):
    """The annotation of an image that a set lists."""
    path = root / "Annotations" / f"{image_id}.xml"
    names = (pictures.folder / f"{image_id}{suffix}" for suffix in IMAGE_SUFFIXES)
    try:
        image = next(filter(is_file, names), None) or pictures.find(image_id, str(path))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{image_set}: lists {quoted(image_id)}, but there is no such image in {pictures.folder} "
            f"({', '.join(IMAGE_SUFFIXES)})"
        ) from None
    try:
        tree = read_xml(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such annotation, but {image_set} lists it") from None
    return xml_annotation(tree, image_id, image, path)


def _beside(pictures, path):
    """The annotation in an XML file that no set lists."""
    tree = read_xml(path)
    image = pictures.find_for(path, file_name(tree, path))
    image_id = path.relative_to(pictures.folder).with_suffix("").as_posix()
    return xml_annotation(tree, image_id, image, path)
