"""COCO's list of results: objects with `image_id`, `category_id`, `bbox` [x, y, width, height], `score`."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import numpy as np

from ...class_names import COCO_CATEGORY_IDS, COCO_CLASSES
from ...data_generator.formats.coco_writer import coco_image_ids
from ...files import atomic, read_bytes
from ...messages import printable, quoted
from .table import MAX_BYTES, Images, Table


class _Result(msgspec.Struct, gc=False):
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    score: float
    file_name: str | None = None


def read_coco_results(path, dataset, category_ids=None):
    """The detections of each image, see `load_detections`."""
    labels = {id_: label for label, id_ in enumerate(_category_ids(dataset, category_ids), start=1)}
    numbers = {number: i for i, number in enumerate(coco_image_ids(dataset))}
    images, table = Images(dataset), Table()
    for place, result in enumerate(_decoded(path)):
        where = f"{path}: result {place}"
        if result.category_id not in labels:
            raise ValueError(
                f"{where}: category_id {quoted(result.category_id)} is none of the data set's, which are "
                f"{printable(', '.join(map(str, labels)), 200)}; if the file has other ids, pass "
                "category_ids=coco_categories(annotation_file)"
            )
        image = _image(result, numbers, images, where)
        x, y, width, height = result.bbox
        table.add(image, (labels[result.category_id], result.score, x, y, x + width, y + height), (place,))
    return table.per_image(dataset, path, lambda place: f"{path}: result {place}")


def write_coco_results(path, dataset, detections, overwrite, category_ids=None):
    """Writes the detections of each image, see `save_detections`."""
    categories = _category_ids(dataset, category_ids)
    with atomic(path, overwrite) as partial, partial.open("w", encoding="utf-8") as file:
        separator = "[\n"
        for image_id, rows in zip(coco_image_ids(dataset), detections, strict=True):
            # With float64 sides, x + width is the same number as before.
            boxes = np.asarray(rows)[:, 2:].astype(float)
            boxes[:, 2:] -= boxes[:, :2]
            for row, box in zip(rows, boxes, strict=True):
                result = {"image_id": image_id, "category_id": categories[int(row[0]) - 1]}
                result |= {"bbox": box.tolist(), "score": float(str(row[1]))}
                file.write(separator + json.dumps(result))
                separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


def _decoded(path):
    data = read_bytes(path, MAX_BYTES)
    try:
        return msgspec.json.decode(data, type=list[_Result])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if any(word in data for word in (b"NaN", b"Infinity")):
            raise ValueError(
                f"{path}: a score or box is NaN or infinite, which JSON does not have"
            ) from error
        raise ValueError(
            f'{path}: expected COCO\'s results, [{{"image_id", "category_id", "bbox", "score"}}, ...]: '
            f"{printable(error, 200)}"
        ) from error


def _image(result, numbers, images, where):
    """Index of the image: by the name of the file if there is one, else by number."""
    if result.file_name is not None:
        return images.find(result.file_name, where)
    if isinstance(result.image_id, str):
        return images.find(result.image_id, where)
    if result.image_id not in numbers:
        raise ValueError(f"{where}: the data set {images.name} has no image with the id {result.image_id}")
    return numbers[result.image_id]


def _category_ids(dataset, category_ids: Mapping[str, int | str] | None):
    """The category id of each class, in the order of the class ids."""
    if category_ids is None:
        coco = dataset.class_names == COCO_CLASSES
        return COCO_CATEGORY_IDS if coco else range(1, dataset.num_classes + 1)
    if missing := [name for name in dataset.class_names if name not in category_ids]:
        raise ValueError(f"category_ids has no id for {', '.join(map(quoted, missing[:5]))}")
    ids = [category_ids[name] for name in dataset.class_names]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        names = ", ".join(quoted(name) for name in dataset.class_names if category_ids[name] == twice)
        raise ValueError(f"category_ids has the same id {quoted(twice)} for {names}")
    return ids
