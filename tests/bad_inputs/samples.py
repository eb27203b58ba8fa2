"""Small sound data sets in every format, all with the same two images and three objects.

The sides of the images are powers of two, so that relative boxes are exact.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from foreign_files import message, varint

import multibox as mb
from multibox.data_generator.formats.crc32c import masked_crc32c

WIDTH, HEIGHT = 64, 32
OBJECTS = {"a": [("cat", (8, 4, 24, 20)), ("dog", (32, 8, 48, 28))], "b": [("cat", (0, 0, 64, 32))]}


def png(seed, size=(WIDTH, HEIGHT)):
    """An image of random pixels, with many different bytes in few."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


PNG = {"a": png(1), "b": png(2)}


def described(dataset: mb.DetectionDataset) -> dict:
    """A data set as plain values: {image id: [width, height, (class, xyxy box, flags), ...]}."""
    return {record.image_id: [record.width, record.height, *_objects(dataset, record)] for record in dataset}


def _objects(dataset, record):
    flags = ("difficult", "truncated", "crowd")
    for i, label in enumerate(record.labels):
        set_flags = "+".join(flag for flag in flags if getattr(record, flag)[i])
        yield dataset.class_names[label - 1], tuple(map(float, record.boxes[i])), set_flags


def sound(ids=("a", "b"), size=(WIDTH, HEIGHT)) -> dict:
    """What `described` gives for each of these data sets."""
    return {
        image_id: [*size, *((name, tuple(map(float, box)), "") for name, box in objects)]
        for image_id, objects in zip(ids, OBJECTS.values(), strict=True)
    }


def sound_but(image="a", ids=("a", "b"), **changes) -> dict:
    """The sound data set with another name, box or flags of the first object of an image.

    Args:
        image: "a" or "b".
        ids: as for `sound`.
        changes: `name`, `box`, `flags`, or `drop=True` to leave the object out.
    """
    data = sound(ids)
    image = ids[0] if image == "a" else ids[1]
    name, box, flags = data[image][2]
    first = (changes.get("name", name), changes.get("box", box), changes.get("flags", flags))
    data[image][2:3] = [] if changes.get("drop") else [first]
    return data


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in PNG.items():
        (folder / f"{name}.png").write_bytes(content)


# Pascal VOC ---------------------------------------------------------------------------------------------


def voc_object(name, box):
    xmin, ymin, xmax, ymax = box
    sides = {"xmin": xmin + 1, "ymin": ymin + 1, "xmax": xmax, "ymax": ymax}
    bndbox = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
    fields = f"<name>{name}</name><truncated>0</truncated><difficult>0</difficult>"
    return f"<object>{fields}<bndbox>{bndbox}</bndbox></object>"


def voc_xml(image):
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    objects = "".join(voc_object(*one) for one in OBJECTS[image])
    return f"<annotation><filename>{image}.png</filename>{size}{objects}</annotation>"


def write_voc(folder):
    """The devkit's layout."""
    write_images(folder / "JPEGImages")
    for name in ("Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for image in OBJECTS:
        (folder / "Annotations" / f"{image}.xml").write_text(voc_xml(image))
    (folder / "ImageSets/Main/train.txt").write_text("a\nb\n")


# Formats with one file for all images, or one for each --------------------------------------------------


def write_labelme(folder):
    write_images(folder)
    for image in OBJECTS:
        (folder / f"{image}.json").write_text(json.dumps(labelme(image)))


def labelme(image):
    shapes = [
        {"label": name, "points": [[x1, y1], [x2, y2]], "group_id": None, "shape_type": "rectangle"}
        for name, (x1, y1, x2, y2) in OBJECTS[image]
    ]
    sides = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    return {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{image}.png", **sides}


def coco():
    images = [
        {"id": i, "file_name": f"{image}.png", "width": WIDTH, "height": HEIGHT}
        for i, image in enumerate(OBJECTS, 1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(("cat", "dog"), 1)]
    ids = {"cat": 1, "dog": 2}
    objects = [
        {"image_id": i, "category_id": ids[name], "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        for i, image in enumerate(OBJECTS, 1)
        for name, (x1, y1, x2, y2) in OBJECTS[image]
    ]
    annotations = [{"id": i, **one, "area": 1} for i, one in enumerate(objects, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(folder):
    write_images(folder)
    (folder / "coco.json").write_text(json.dumps(coco()))


CSV_HEADER = ["image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "difficult"]


def csv_rows():
    return [
        [f"{image}.png", str(WIDTH), str(HEIGHT), name, *map(str, box), "0"]
        for image, objects in OBJECTS.items()
        for name, box in objects
    ]


def csv_text(rows=None, header=CSV_HEADER, separator=","):
    return "".join(separator.join(line) + "\n" for line in [header, *(csv_rows() if rows is None else rows)])


def write_csv(folder):
    write_images(folder)
    (folder / "boxes.csv").write_text(csv_text())


def yolo_labels(image):
    names = ("cat", "dog")
    lines = []
    for name, (x1, y1, x2, y2) in OBJECTS[image]:
        center = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT)
        lines.append(
            [str(names.index(name)), *map(str, center), str((x2 - x1) / WIDTH), str((y2 - y1) / HEIGHT)]
        )
    return lines


YOLO_YAML = "path: .\ntrain: images\nval: images\nnc: 2\nnames:\n  0: cat\n  1: dog\n"


def write_yolo(folder):
    write_images(folder / "images")
    (folder / "labels").mkdir()
    for image in OBJECTS:
        lines = (" ".join(words) for words in yolo_labels(image))
        (folder / "labels" / f"{image}.txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / "data.yaml").write_text(YOLO_YAML)


OPEN_IMAGES_HEADER = ["ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsTruncated", "IsGroupOf"]
DESCRIPTIONS = "/m/01yrx,cat\n/m/0bt9lr,dog\n"


def open_images_rows():
    codes = {"cat": "/m/01yrx", "dog": "/m/0bt9lr"}
    return [
        [image, codes[name], *map(str, (x1 / WIDTH, x2 / WIDTH, y1 / HEIGHT, y2 / HEIGHT)), "0", "0"]
        for image, objects in OBJECTS.items()
        for name, (x1, y1, x2, y2) in objects
    ]


def write_open_images(folder):
    write_images(folder)
    text = csv_text(open_images_rows(), OPEN_IMAGES_HEADER)
    (folder / "train-annotations-bbox.csv").write_text(text)
    (folder / "class-descriptions-boxable.csv").write_text(DESCRIPTIONS)


# TFRecord -----------------------------------------------------------------------------------------------


def feature(values):
    """A Feature of bytes, floats or ints."""
    if all(isinstance(value, bytes) for value in values):
        return message(1, b"".join(message(1, value) for value in values))
    if any(isinstance(value, float) for value in values):
        return message(2, message(1, struct.pack(f"<{len(values)}f", *values)))
    return message(3, message(1, b"".join(varint(value % 2**64) for value in values)))


def example(features):
    """A `tf.train.Example` of {name: list, or a feature as bytes}."""
    entries = []
    for name, values in features.items():
        content = values if isinstance(values, bytes) else feature(values)
        entries.append(message(1, message(1, name.encode()) + message(2, content)))
    return message(1, b"".join(entries))


def record(data):
    head = struct.pack("<Q", len(data))
    return b"".join([head, checksum(head), data, checksum(data)])


def checksum(data):
    return struct.pack("<I", masked_crc32c(data))


def features(image):
    boxes = np.array([box for _, box in OBJECTS[image]], float) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    sides = zip(("xmin", "ymin", "xmax", "ymax"), boxes.T.tolist(), strict=True)
    names = [name for name, _ in OBJECTS[image]]
    return {
        "image/height": [HEIGHT],
        "image/width": [WIDTH],
        "image/source_id": [image.encode()],
        "image/encoded": [PNG[image]],
        **{f"image/object/bbox/{side}": values for side, values in sides},
        "image/object/class/text": [name.encode() for name in names],
        "image/object/class/label": [{"cat": 1, "dog": 2}[name] for name in names],
        "image/object/difficult": [0] * len(names),
    }


LABEL_MAP = "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: 'dog'\n}\n"


def write_tfrecord(folder):
    content = b"".join(record(example(features(image))) for image in OBJECTS)
    (folder / "train.tfrecord").write_bytes(content)
    (folder / "label_map.pbtxt").write_text(LABEL_MAP)


# HDF5 ---------------------------------------------------------------------------------------------------


def write_hdf5(folder, decoded=False):
    source = folder / "source"
    source.mkdir()
    write_csv(source)
    data = mb.load_csv(source / "boxes.csv", progress=False)
    mb.create_hdf5_dataset(data, folder / "data.h5", decoded=decoded, progress=False)


# Shards -------------------------------------------------------------------------------------------------


def write_shards(folder):
    source = folder / "source"
    source.mkdir()
    write_csv(source)
    data = mb.load_csv(source / "boxes.csv", progress=False)
    mb.save_shards(data, folder / "shards", seed=None, progress=False)
