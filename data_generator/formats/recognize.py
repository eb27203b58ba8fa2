"""Recognizes the layouts in which people keep data sets, by what a folder or file contains.

Each `recognize` function takes an absolute path and returns a `Layout`, or raises an error that says in a
few words what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from ...class_names import VOC_CLASSES
from ...files import read_bytes
from ..dataset import DetectionDataset
from .annotation import Annotation, annotation_of
from .coco import coco_categories, scan_coco
from .coco_content import MAX_BYTES
from .csv_file import scan_csv
from .hdf5 import load_hdf5
from .labelme import is_labelme, scan_json
from .open_images import looks_like_open_images, scan_open_images
from .picture_files import by_split, files_with_suffix
from .shards import INDEX, load_shards
from .tf_records import looks_like_tfrecord
from .tfrecord import read_label_map, record_files, scan_tfrecord
from .voc import scan_voc, scan_xml, voc_classes
from .voc_sets import ImageSets
from .voc_xml import read_xml
from .yolo import scan_yolo, yolo_classes, yolo_splits

ALL = "all"  # name of the split of a data set that has none
# A folder with more JSON files has one for each picture. Each file is read once to see what it is.
_MOST_FILES = 20
_SHARD = re.compile(r"-\d+-of-\d+$")  # train.record-00000-of-00010
_OPEN_IMAGES_NAME = re.compile(r"^(oidv\d+-)?(.*?)-annotations-bbox.*$")
_HDF5_START = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """A data set as it was found.

    Attributes:
        name: name of the layout.
        at: path or address of the file or folder that decided.
        splits: {name of a split: function that scans it, see `scan_voc`}.
        default: names of the splits that make up the whole data set.
        classes: function that returns the class names, or None if they are those that occur.
        load: function that opens a split at once, or None if its annotations must be scanned.
    """

    name: str
    at: Path | str
    splits: dict[str, Callable[..., Iterator[Annotation]]]
    default: tuple[str, ...]
    classes: Callable[[], tuple[str, ...]] | None = None
    load: Callable[[str], DetectionDataset] | None = None


def recognize_hdf5(path: Path) -> Layout:
    if not path.is_file() or not _starts_with(path, _HDF5_START):
        raise ValueError("not an HDF5 file")
    return _of_opened("HDF5", path, {ALL: load_hdf5(path)})


def recognize_shards(path: Path) -> Layout:
    folders = {}
    if path.is_dir():
        inside = {folder.name: folder for folder in _folders(path)[1:]}
        found = {ALL: path} if (path / INDEX).exists() else inside
        folders = {name: folder for name, folder in found.items() if (folder / INDEX).exists()}
    if not folders:
        raise ValueError(f"no {INDEX} of save_shards")
    return _of_opened("shards", path, {name: load_shards(folder) for name, folder in folders.items()})


def recognize_address(address: str) -> Layout:
    return _of_opened("shards", address, {ALL: load_shards(address)})


def _of_opened(name, path, opened):
    """The layout of files that are opened at once, in which images need not be scanned."""

    def scan(split, *, on_error=None, progress=True):
        return (annotation_of(record, opened[split].class_names) for record in opened[split])

    def classes():
        return tuple(dict.fromkeys(name for dataset in opened.values() for name in dataset.class_names))

    splits = {split: partial(scan, split) for split in opened}
    return Layout(name, path, splits, tuple(splits), classes, opened.__getitem__)


def recognize_voc(path: Path) -> Layout:
    roots = _voc_roots(path)
    if not roots:
        raise ValueError("no folder with Annotations and ImageSets/Main/*.txt")
    splits, default = {}, []
    for root in roots:
        sets = ImageSets(root)
        prefix = f"{root.name.removeprefix('VOC')}:" if len(roots) > 1 else ""
        splits |= {prefix + name: partial(scan_voc, root, name) for name in sets.names()}
        default += [prefix + name for name in sets.default()]
    return Layout("Pascal VOC", path, splits, tuple(default), partial(_voc_classes, roots))


def _voc_roots(path):
    """The folders in VOC layout: this one, or those one or two levels below."""
    for pattern in ("Annotations", "*/Annotations", "*/*/Annotations"):
        parents = sorted(folder.parent for folder in path.glob(pattern))
        if roots := [root for root in parents if any((root / "ImageSets" / "Main").glob("*.txt"))]:
            return roots
    return []


def _voc_classes(roots):
    """The devkit's classes in its order if all are of these, else the names that occur, sorted."""
    names = {name for root in roots for name in voc_classes(root)}
    devkit = all(root.name.startswith("VOC") for root in roots) and names <= set(VOC_CLASSES)
    return VOC_CLASSES if devkit else tuple(sorted(names))


def recognize_coco(path: Path) -> Layout:
    names = {file: _coco_images(file) for file in _few_files(path, ".json")}
    files = [file for file, images in names.items() if images is not None]
    # COCO's own folder also holds captions and key points of the same pictures.
    files = [file for file in files if file.name.startswith("instances_")] or files
    if not files:
        raise ValueError("no JSON file with images, annotations and categories")
    keys = _split_names(files, path)
    splits = {
        keys[file]: partial(scan_coco, file, _image_folder(file, keys[file], names[file])) for file in files
    }

    def classes():
        return tuple(dict.fromkeys(name for file in files for name in coco_categories(file)))

    return Layout("COCO", files[0] if len(files) == 1 else path, splits, tuple(splits), classes)


class _Image(msgspec.Struct, gc=False):
    file_name: str


class _Coco(msgspec.Struct):
    images: list[_Image]
    annotations: msgspec.Raw
    categories: msgspec.Raw


def _coco_images(file):
    """Names of the images of a COCO file, or None if it is none."""
    try:
        return [
            image.file_name for image in msgspec.json.decode(read_bytes(file, MAX_BYTES), type=_Coco).images
        ]
    except (OSError, ValueError, RecursionError):
        return None


def recognize_yolo(path: Path) -> Layout:
    if path.is_file() and path.suffix.lower() not in (".yaml", ".yml", ".data", ".txt"):
        raise ValueError("no data.yaml, obj.data or classes.txt")
    names = yolo_splits(path)
    splits = {name: partial(scan_yolo, path, name) for name in names}
    return Layout("YOLO", path, splits, names, partial(yolo_classes, path))


def recognize_xml(path: Path) -> Layout:
    if _voc_roots(path):
        raise ValueError("the image sets of Pascal VOC list the files")
    files = files_with_suffix(path, ".xml")
    if not any(map(_is_voc_xml, files[:_MOST_FILES])):
        raise ValueError("no XML files with <annotation>")
    return _of_files("Pascal VOC XML", path, files, scan_xml)


def _is_voc_xml(file):
    try:
        read_xml(file)
    except (OSError, ValueError):
        return False
    return True


def recognize_labelme(path: Path) -> Layout:
    files = files_with_suffix(path, ".json")
    if not any(map(is_labelme, files[:_MOST_FILES])):
        raise ValueError("no JSON files with the key `shapes`")
    return _of_files("LabelMe", path, files, scan_json)


def _of_files(name, path, files, scan):
    """The layout of a folder with one annotation file for each picture."""
    groups = by_split(path, files)
    splits = {
        split: partial(scan, path, mine, None if split == ALL else split) for split, mine in groups.items()
    }
    return Layout(name, path, splits, tuple(splits))


def recognize_tfrecord(path: Path) -> Layout:
    groups = {}
    for folder in [path] if path.is_file() else _folders(path):
        try:
            files = [file for file in record_files(folder) if looks_like_tfrecord(file)]
        except FileNotFoundError:
            continue
        for file in files:
            name = folder.name if folder != path else _SHARD.sub("", file.name).split(".")[0]
            groups.setdefault(ALL if path.is_file() else name, []).append(file)
    if not groups:
        raise ValueError("no TFRecord files")
    maps = {file for files in groups.values() if (file := _only(files[0].parent, "*.pbtxt"))}
    label_map = _only(path, "*.pbtxt") or min(maps, default=None)
    splits = {
        name: partial(scan_tfrecord, files, label_map=_only(files[0].parent, "*.pbtxt") or label_map)
        for name, files in groups.items()
    }
    classes = label_map and (lambda: tuple(dict.fromkeys(read_label_map(label_map).values())))
    return Layout("TFRecord", path, splits, tuple(splits), classes)


def recognize_open_images(path: Path) -> Layout:
    files = [file for file in _few_files(path, ".csv") if looks_like_open_images(file)]
    if not files:
        raise ValueError("no CSV file with the columns of Open Images")
    splits = {}
    for file in files:
        name = _OPEN_IMAGES_NAME.sub(r"\2", file.stem)
        folder = next((f for f in (path / name, file.parent / name) if f.is_dir()), file.parent)
        descriptions = _only(file.parent, "class-descriptions*.csv")
        splits[ALL if path.is_file() else name] = partial(scan_open_images, file, folder, descriptions)
    return Layout("Open Images", files[0] if len(files) == 1 else path, splits, tuple(splits))


def recognize_csv(path: Path) -> Layout:
    reasons, folders = [], {}
    for file in _few_files(path, ".csv"):
        if looks_like_open_images(file):
            continue
        try:
            folders[file] = _csv_image_folder(file)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    if not folders:
        raise ValueError("; ".join(reasons) or "no CSV file")
    keys = _split_names(list(folders), path)
    splits = {keys[file]: partial(scan_csv, file, folder) for file, folder in folders.items()}
    return Layout("CSV", next(iter(folders)) if len(folders) == 1 else path, splits, tuple(splits))


def _csv_image_folder(file):
    """The folder in which the first image of a CSV file is."""
    for folder in _image_folders(file, file.stem):
        try:
            next(scan_csv(file, folder, progress=False), None)
        except FileNotFoundError:
            continue
        return folder
    raise ValueError(f"{file}: its first image is neither beside it nor in a folder images")


def _few_files(path, suffix):
    """The file itself, or files in the folder and the folders in it."""
    if path.is_file():
        return [path] if path.suffix.lower() == suffix else []
    files = []
    for folder in _folders(path):
        inside = sorted(f for f in folder.iterdir() if f.suffix.lower() == suffix and f.is_file())
        files += inside if len(inside) <= _MOST_FILES else []
    return files


def _folders(path):
    """A folder and the folders in it."""
    return path, *sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))


def _only(folder, pattern):
    """The only file in a folder that fits a pattern, or None."""
    found = list(folder.glob(pattern))
    return found[0] if len(found) == 1 else None


def _split_names(files, path):
    """{file: name of its split}: the folder's if the file is named as Roboflow does, else the file's."""
    if len(files) == 1 and path.is_file():
        return {files[0]: ALL}
    names = {
        file: file.parent.name
        if file.name.startswith("_annotations")
        else file.stem.removeprefix("instances_")
        for file in files
    }
    if len(set(names.values())) < len(files):
        return {file: file.relative_to(path).with_suffix("").as_posix() for file in files}
    return names


def _image_folder(file, split, names):
    """The folder in which the first images of a COCO file are; that of the file if none fits."""
    for folder in _image_folders(file, split):
        if any((folder / name).is_file() for name in islice(names, _MOST_FILES)):
            return folder
    return file.parent


def _image_folders(file, split):
    """Existing folders in which the images of an annotation file may be."""
    for parent in (file.parent, file.parent.parent):
        for name in (".", "images", split, f"images/{split}", "JPEGImages"):
            if (folder := parent / name).is_dir():
                yield folder


def _starts_with(file, start):
    with file.open("rb") as content:
        return content.read(len(start)) == start
