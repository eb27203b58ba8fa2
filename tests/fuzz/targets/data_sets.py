"""Readers of data sets."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bad_inputs import samples

import multibox as mb
from multibox.data_generator import load_open_images, load_tfrecord

from .. import mutators as m
from .target import HDF5, JSON, TEXT, XML, Target, check


def data_sets() -> list[Target]:
    no = {"progress": False}
    boxes, codes = "train-annotations-bbox.csv", "class-descriptions-boxable.csv"
    return [
        Target(
            "VOC XML",
            samples.write_voc,
            "Annotations/a.xml",
            lambda f: check(mb.load_voc(f, "train", **no)),
            XML,
        ),
        Target("VOC XML, loose", _loose, "a.xml", lambda f: check(mb.load_voc(f, **no)), XML),
        Target(
            "VOC set",
            samples.write_voc,
            "ImageSets/Main/train.txt",
            lambda f: check(mb.load_voc(f, "train", **no)),
            TEXT,
            named=("train.txt", "Annotations"),
        ),
        Target(
            "LabelMe",
            samples.write_labelme,
            "a.json",
            lambda f: check(mb.load_labelme(f, **no)),
            JSON,
            named=(".json", "load_labelme("),
        ),
        Target(
            "COCO",
            samples.write_coco,
            "coco.json",
            lambda f: check(mb.load_coco(f / "coco.json", **no)),
            JSON,
            _more_coco(),
        ),
        Target(
            "CSV",
            samples.write_csv,
            "boxes.csv",
            lambda f: check(mb.load_csv(f / "boxes.csv", **no)),
            TEXT,
            _more_csv(),
        ),
        Target(
            "YOLO labels",
            samples.write_yolo,
            "labels/a.txt",
            lambda f: check(mb.load_yolo(f / "data.yaml", **no)),
            TEXT,
            _more_labels(),
            named=("a.txt", "data.yaml"),
        ),
        Target(
            "YOLO data.yaml",
            samples.write_yolo,
            "data.yaml",
            lambda f: check(mb.load_yolo(f / "data.yaml", **no)),
            TEXT,
            _more_yaml(),
            named=("data.yaml", "labels"),
        ),
        Target(
            "Open Images",
            samples.write_open_images,
            boxes,
            lambda f: check(load_open_images(f / boxes, f, f / codes, **no)),
            TEXT,
        ),
        Target(
            "Open Images classes",
            samples.write_open_images,
            codes,
            lambda f: check(load_open_images(f / boxes, f, f / codes, **no)),
            TEXT,
            named=(codes, boxes),
        ),
        Target(
            "TFRecord",
            samples.write_tfrecord,
            "train.tfrecord",
            _tfrecord,
            m.several(m.change_tfrecord, m.change_tfrecord, m.change_bytes),
        ),
        Target(
            "TFRecord label map",
            samples.write_tfrecord,
            "label_map.pbtxt",
            _tfrecord,
            TEXT,
            named=("label_map.pbtxt", "train.tfrecord"),
        ),
        Target("HDF5 data set", samples.write_hdf5, "data.h5", _hdf5, HDF5, _more_hdf5()),
        Target("shards, index", samples.write_shards, "shards/index.h5", _shards, HDF5, named=("index.h5",)),
        Target("shards, tar", samples.write_shards, "shards/00000.tar", _shards, m.change_bytes),
    ]


def _loose(folder):
    samples.write_images(folder)
    for image in samples.OBJECTS:
        (folder / f"{image}.xml").write_text(samples.voc_xml(image))


def _more_coco():
    content = samples.coco()
    for one in content["annotations"]:
        x, y, width, height = one.pop("bbox")
        one["segmentation"] = [[x, y, x + width, y, x + width, y + height]]
    texts = json.loads(json.dumps(samples.coco()).replace('"image_id": 1', '"image_id": "1"'))
    return [json.dumps(content).encode(), json.dumps(texts).encode()]


def _more_csv():
    sized = "filename;bbox_x;bbox_y;bbox_w;bbox_h;label\na.png;8;4;16;16;cat\nb.png;0;0;64;32;dog\n"
    return [sized.encode(), b"a.png,8,4,24,20,cat\nb.png,,,,,\n"]


def _more_labels():
    return [b"0 0.125 0.125 0.375 0.125 0.375 0.625\n1 0.5 0.5 0.1 0.1\n"]


def _more_yaml():
    return [b"# x\ntrain:\n  - images\nval: images\nnames: [cat, 'dog']\nroboflow:\n  workspace: a\n"]


def _tfrecord(folder):
    data = load_tfrecord(folder / "train.tfrecord", label_map=folder / "label_map.pbtxt", progress=False)
    check(data)
    _read_images(data)


def _hdf5(folder):
    data = mb.load_hdf5(folder / "data.h5")
    check(data)
    _read_images(data)


def _shards(folder):
    data = mb.load_shards(folder / "shards")
    check(data)
    _read_images(data)


def _read_images(data):
    for record in list(data)[:3]:
        try:
            record.read()
        except mb.ImageError as error:
            assert str(error)


def _more_hdf5():
    with tempfile.TemporaryDirectory() as folder:
        samples.write_hdf5(Path(folder), decoded=True)
        return [(Path(folder) / "data.h5").read_bytes()]
