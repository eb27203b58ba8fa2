"""Writes small files for the readers of data sets, in the form of the tools that write them."""

import io
import json
import struct
from types import SimpleNamespace

import cv2
import numpy as np
from foreign_files import message, varint
from PIL import Image

import multibox as mb
from multibox.data_generator.formats.crc32c import masked_crc32c

# TFRecord, byte by byte as the TensorFlow Object Detection API does ---------------------------------------

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
PNG = cv2.imencode(".png", PIXELS[..., ::-1])[1].tobytes()


def feature(values, packed=True):
    """A Feature of bytes, floats or ints."""
    if all(isinstance(value, bytes) for value in values):
        return message(1, b"".join(message(1, value) for value in values))
    if any(isinstance(value, float) for value in values):
        parts = [struct.pack("<f", value) for value in values]
        return message(2, message(1, b"".join(parts)) if packed else b"".join(b"\x0d" + p for p in parts))
    parts = [varint(value % 2**64) for value in values]
    return message(3, message(1, b"".join(parts)) if packed else b"".join(b"\x08" + p for p in parts))


def example(features, packed=True):
    entries = (message(1, k.encode()) + message(2, feature(v, packed)) for k, v in features.items())
    return message(1, b"".join(message(1, entry) for entry in entries))


def record(data):
    head = struct.pack("<Q", len(data))
    return b"".join([head, checksum(head), data, checksum(data)])


def checksum(data):
    return struct.pack("<I", masked_crc32c(data))


def features(**changes):
    """Two objects in an image of 60 x 40; `changes` name the last part of a feature, None deletes it."""
    full = {
        "image/height": [40],
        "image/width": [60],
        "image/filename": [b"b.png"],
        "image/source_id": [b"17"],
        "image/encoded": [PNG],
        "image/format": [b"png"],
        "image/object/bbox/xmin": [0.25, 0.0],
        "image/object/bbox/xmax": [0.5, 1.0],
        "image/object/bbox/ymin": [0.125, 0.0],
        "image/object/bbox/ymax": [0.75, 1.0],
        "image/object/class/text": [b"dog", b"cat"],
        "image/object/class/label": [2, 1],
        "image/object/difficult": [0, 1],
        "image/object/truncated": [1, 0],
        "image/object/is_crowd": [0, 1],
    }
    for name, value in changes.items():
        key = next((k for k in full if k.endswith(f"/{name}")), f"image/object/{name}")
        full[key] = value
    return {key: value for key, value in full.items() if value is not None}


def write_tfrecord(path, *examples):
    path.write_bytes(b"".join(record(e if isinstance(e, bytes) else example(e)) for e in examples))
    return path


# Hugging Face ---------------------------------------------------------------------------------------------


class ImageFeature:
    def __init__(self, decode=True):
        self.decode = decode


class Rows:
    """Like a `datasets.Dataset`: rows are decoded when they are read."""

    def __init__(self, rows, features):
        self.rows, self.features = rows, features

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        row = dict(self.rows[i])
        if self.features["image"].decode:
            row["image"] = Image.open(io.BytesIO(row["image"]["bytes"]))
        return row

    def cast_column(self, column, feature):
        return Rows(self.rows, {**self.features, column: feature})


def png():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def row(**changes):
    objects = {"id": [1, 2], "bbox": [[10.0, 5.0, 20.0, 30.0], [0.0, 0.0, 60.0, 40.0]], "category": [1, 0]}
    return {"image": png(), "objects": objects, **changes}


CATEGORY = SimpleNamespace(names=["Coverall", "Mask"])
NESTINGS = [
    SimpleNamespace(feature={"bbox": None, "category": CATEGORY}),  # Sequence({...})
    {"bbox": None, "category": SimpleNamespace(feature=CATEGORY)},  # {...: Sequence(...)}
    [{"bbox": None, "category": CATEGORY}],
]


def huggingface_rows(*all_rows, objects=NESTINGS[0]):
    return Rows(list(all_rows), {"image": ImageFeature(), "objects": objects})


# One file for each reader ---------------------------------------------------------------------------------


def reader_files(folder, data, model):
    """Small files for the readers."""
    images = folder / "images"
    images.mkdir()
    mb.save_voc(data, folder / "voc", progress=False)
    mb.save_coco(data, images / "coco.json", images)
    mb.save_csv(data, images / "boxes.csv", images)
    mb.create_hdf5_dataset(data, folder / "data.h5", progress=False)
    mb.save_shards(data, folder / "shards", progress=False)
    (folder / "yolo" / "images").mkdir(parents=True)
    (folder / "yolo" / "labels").mkdir()
    cv2.imwrite(str(folder / "yolo" / "images" / "a.jpg"), np.zeros((64, 64, 3), np.uint8))
    (folder / "yolo" / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "yolo" / "data.yaml").write_text("train: images\nnames: [cat]\n")
    (folder / "labelme").mkdir()
    cv2.imwrite(str(folder / "labelme" / "a.jpg"), np.zeros((64, 64, 3), np.uint8))
    shape = {"label": "cat", "points": [[1, 2], [30, 40]], "shape_type": "rectangle"}
    (folder / "labelme" / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.jpg"}))
    (folder / "open_images").mkdir()
    cv2.imwrite(str(folder / "open_images" / "a.jpg"), np.zeros((64, 64, 3), np.uint8))
    lines = "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/01yrx,0.1,0.5,0.1,0.5\n"
    (folder / "open_images.csv").write_text(lines)
    (folder / "descriptions.csv").write_text("/m/01yrx,Cat\n")
    write_tfrecord(folder / "a.record", features())
    (folder / "labels.pbtxt").write_text('item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n')
    (folder / "history.csv").write_text("epoch,loss\n0,1.5\n")
    (folder / "found.json").write_text("[]")
    model.save(folder / "model.keras")
    names = {
        "coco": "images/coco.json",
        "csv": "images/boxes.csv",
        "hdf5": "data.h5",
        "shards": "shards",
        "voc": "voc",
        "images": "images",
    }
    names |= {
        "yolo": "yolo/data.yaml",
        "model": "model.keras",
        "history": "history.csv",
        "labelme": "labelme",
        "open_images": "open_images",
        "open_images_csv": "open_images.csv",
        "descriptions": "descriptions.csv",
        "tfrecord": "a.record",
        "label_map": "labels.pbtxt",
        "detections": "found.json",
    }
    return {key: folder / name for key, name in names.items()}
