"""Writers: a data set as Pascal VOC, COCO or CSV files, which the readers here read back without loss."""

import csv
import re
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import msgspec
import numpy as np
from tqdm import tqdm

from .csv_file import SIDES
from .dataset import FLAGS
from .fields import IMAGE_SUFFIXES, inside_folder
from .new_files import (
    check_absent,
    check_unique_ids,
    check_writable,
    exact,
    file_names,
    new_file,
    place_image,
)
from .voc import continuous_to_voc


def save_voc(dataset, folder, image_set="train", images="copy", progress=True):
    """Writes a data set in the Pascal VOC layout: `load_voc(folder, [("", image_set)], dataset.class_names)`.

    Images go to `JPEGImages/<image id><suffix>`, unless the same file is already there; images that a
    function makes are written as PNG. Coordinates are the devkit's 1-based inclusive pixels with their
    fractions, from which the same float32 is read (below 2e-9 pixels: the nearest multiple of 2e-16). Crowd
    regions, which the devkit does not know, get an additional `<crowd>1</crowd>`. A folder can take several
    image sets of different images. The list of images is written last: without it, the set is incomplete.

    Args:
        dataset: a `DetectionDataset`.
        folder: made if necessary.
        image_set: name of the list in `ImageSets/Main`.
        images: "copy", or "link" for hard links.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the list, an annotation, or another image of that name exists; names it.
        OSError: for an image that cannot be read, copied or linked.
        ImageError: for an image that its function does not make.
        ValueError: for image ids that are there twice, contain spaces or leave the folder, class names with
            control characters or spaces around them, and images in other formats than `load_voc` reads.
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
        with new_file(annotation) as file:
            _voc_tree(record, dataset.class_names, target.name).write(file, encoding="utf-8")
    with new_file(list_file, "w", encoding="utf-8") as file:
        file.writelines(f"{record.image_id}\n" for record in dataset)


def _voc_image(record, folder):
    """Path of the image in the data set."""
    image_id = inside_folder(record.image_id, "save_voc", "an image id")
    check_writable([image_id], "save_voc: an image id")
    if re.search(r"\s", image_id):
        raise ValueError(
            f"save_voc: an image id must not contain spaces, as lists of images do: {image_id!r}"
        )
    suffix = ".png" if callable(record.image) else Path(record.image).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ValueError(f"save_voc: {record.image}: expected an image of {', '.join(IMAGE_SUFFIXES)}")
    # The reader would take the first of several images with one name.
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


class _Image(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    file_name: str
    width: int
    height: int
    multibox_id: str | None = None


class _Object(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: tuple[()]  # some readers want the key
    difficult: int = 0
    truncated: int = 0


def save_coco(dataset, annotation_file, image_folder=None, category_ids=None):
    """Writes a data set as an instances file in COCO's format: `load_coco(annotation_file, image_folder)`.

    `bbox` is [x, y, width, height] in continuous pixels; `difficult` and `truncated`, which COCO does not
    have, are additional keys of objects that are so. The ids of the images are those of `coco_image_ids`; an
    image whose own id is another text has it in the additional key `multibox_id`.

    Args:
        dataset: a `DetectionDataset`.
        annotation_file: JSON file.
        image_folder: folder that `file_name` is relative to. With the folder that was given to `load_coco`,
            names are the original ones. Images that a function makes are written to it as PNG. None: names
            without folders.
        category_ids: None for 1, 2, ..., or a dictionary from class names to ids, such as
            `coco_categories(original_file)`.

    Raises:
        FileExistsError: if the file, or another image in place of a generated one, exists; names it.
        ValueError: for image ids that are there twice, see also `file_names`; for a class without category
            id or two with the same.
    """
    path = Path(annotation_file)
    check_absent([path])
    check_unique_ids(dataset)
    categories = _coco_category_ids(dataset, category_ids)
    ids = coco_image_ids(dataset)
    names = file_names(dataset, image_folder)
    images = [
        _Image(number, name, r.width, r.height, None if str(number) == r.image_id else r.image_id)
        for r, number, name in zip(dataset, ids, names, strict=True)
    ]
    objects = []
    for record, number in zip(dataset, ids, strict=True):
        objects += _coco_objects(record, number, categories, len(objects) + 1)
    content = {
        "info": {"description": dataset.name},
        "images": images,
        "annotations": objects,
        "categories": [
            {"id": number, "name": name} for number, name in zip(categories, dataset.class_names, strict=True)
        ],
    }
    with new_file(path) as file:
        file.write(msgspec.json.encode(content))


def coco_image_ids(dataset):
    """The number of each image in the COCO file that `save_coco` makes of a data set.

    Where all image ids are different whole numbers, as those from COCO's own files, they are the numbers, so
    that results for a part of COCO fit the original file. Otherwise images are numbered 1, 2, ...

    Returns:
        List of int, one for each record.
    """
    texts = [record.image_id for record in dataset]
    # JSON readers with floating-point numbers are exact up to fifteen digits.
    if all(re.fullmatch(r"-?[0-9]{1,15}", text) for text in texts):
        numbers = [int(text) for text in texts]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(texts) + 1))


def _coco_category_ids(dataset, category_ids):
    """Category id of each class, in the order of the labels."""
    if category_ids is None:
        return list(range(1, dataset.num_classes + 1))
    missing = [name for name in dataset.class_names if name not in category_ids]
    if missing:
        raise ValueError(f"save_coco: category_ids has no id for {', '.join(map(repr, missing))}")
    ids = [category_ids[name] for name in dataset.class_names]
    if len(set(ids)) != len(ids):
        raise ValueError(f"save_coco: category_ids must be different, got {ids}")
    return ids


def _coco_objects(record, image_id, categories, first_id):
    boxes = record.boxes.astype(np.float64)
    # With float64 sides, x + width rounds to the same float32 as before.
    boxes[:, 2:] -= boxes[:, :2]
    columns = (boxes.tolist(), record.labels, record.crowd, record.difficult, record.truncated)
    return [
        _Object(
            id=first_id + i,
            image_id=image_id,
            category_id=categories[label - 1],
            bbox=tuple(box),
            area=box[2] * box[3],
            iscrowd=int(crowd),
            segmentation=(),
            difficult=int(difficult),
            truncated=int(truncated),
        )
        for i, (box, label, crowd, difficult, truncated) in enumerate(zip(*columns, strict=True))
    ]


def save_csv(dataset, csv_file, image_folder=None):
    """Writes a data set as comma-separated lines: `load_csv(csv_file, image_folder, dataset.class_names)`.

    One line for an object, or with empty fields for an image without objects; boxes in continuous pixels.
    The columns are image, image_id, width, height, xmin, ymin, xmax, ymax, class, difficult, truncated and
    crowd.

    Args:
        dataset: a `DetectionDataset`.
        csv_file: path.
        image_folder: folder that the names of the images are relative to. Images that a function makes are
            written to it as PNG. None: names without folders.

    Raises:
        FileExistsError: if the file, or another image in place of a generated one, exists; names it.
        ValueError: for image ids that are there twice, for names with control characters or spaces around
            them; see also `file_names`.
    """
    path = Path(csv_file)
    check_absent([path])
    check_unique_ids(dataset)
    check_writable(dataset.class_names, "save_csv: a class name")
    check_writable((record.image_id for record in dataset), "save_csv: an image id")
    names = file_names(dataset, image_folder)
    check_writable(names, "save_csv: the name of an image")
    with new_file(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "image_id", "width", "height", *SIDES, "class", *FLAGS))
        for record, name in zip(dataset, names, strict=True):
            image = (name, record.image_id, record.width, record.height)
            writer.writerows((*image, *cells) for cells in _csv_objects(record, dataset.class_names))


def _csv_objects(record, class_names):
    """The cells of each object; for an image without objects one line of empty cells."""
    if not len(record.labels):
        return [("",) * (len(SIDES) + 1 + len(FLAGS))]
    flags = np.stack([getattr(record, flag) for flag in FLAGS], axis=1).astype(int)
    return [
        (*map(exact, box), class_names[label - 1], *of_it)
        for box, label, of_it in zip(record.boxes.astype(np.float32), record.labels, flags, strict=True)
    ]
