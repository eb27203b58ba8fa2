"""What is fuzzed: each reader, with sound files to begin with and the mutators that fit them."""

from __future__ import annotations

import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import matplotlib
import numpy as np
from bad_inputs import samples
from foreign_files import (
    frozen_graph,
    keras2,
    state_dict,
    tensor,
    tflite,
    torch_legacy,
    write_caffemodel,
    write_checkpoint,
    write_onnx,
    write_pth,
)
from PIL import Image

import multibox as mb
from multibox.data_generator import load_open_images, load_tfrecord
from multibox.data_generator.formats.fields import check_name
from multibox.weights.formats.caffe import read_caffe
from multibox.weights.formats.keras_file import read_keras
from multibox.weights.formats.onnx_file import read_onnx
from multibox.weights.formats.tensorflow_checkpoint import read_checkpoint
from multibox.weights.formats.tensorflow_graph import read_tensorflow_graph
from multibox.weights.formats.tflite import read_tflite
from multibox.weights.formats.torch_file import read_torch
from multibox.weights.mapping import map_weights

from . import mutators as m

matplotlib.use("Agg")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: for the table.
        prepare: writes a sound folder.
        file: the file in it that is damaged.
        read: reads the folder; raises AssertionError if the result cannot be right.
        mutate: damages the file.
        corpus: other sound contents of the file, besides the one that `prepare` writes.
        memory: bytes that reading may take.
        named: texts of which an error must have one; none: the name of the file.
    """

    name: str
    prepare: Callable[[Path], object]
    file: str
    read: Callable[[Path], Any]
    mutate: m.Mutator
    corpus: Sequence[bytes] = ()
    memory: int = 128 * MEGABYTE
    named: tuple[str, ...] = ()


def check(data: mb.DetectionDataset) -> None:
    """What holds for every data set that a reader returns."""
    assert all(check_name(name, "", "") for name in data.class_names)
    for record in data:
        assert record.width > 0 and record.height > 0
        boxes, labels = np.asarray(record.boxes), np.asarray(record.labels)
        assert boxes.shape == (len(labels), 4) and np.isfinite(boxes).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
        assert (boxes <= (record.width, record.height) * 2).all()
        assert ((labels >= 1) & (labels <= len(data.class_names))).all()


TEXT = m.several(m.change_text, m.change_text, m.change_text, m.change_bytes)
JSON = m.several(m.change_json, m.change_json, m.change_json, m.change_text)
XML = m.several(m.change_xml, m.change_xml, m.change_xml, m.change_text, m.change_bytes)
HDF5 = m.several(m.change_hdf5, m.change_bytes, most=2)
IMAGE = m.several(m.change_head, m.change_bytes, most=2)


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


# Images -------------------------------------------------------------------------------------------------

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def images() -> list[Target]:
    formats = {
        **{suffix: [cv2.imencode(suffix, PIXELS)[1].tobytes()] for suffix in (".bmp", ".webp", ".jp2")},
        ".jpg": _jpegs(),
        ".png": _pngs(),
        ".tif": _tiffs(),
        ".avif": [_pillow(Image.fromarray(PIXELS), "AVIF")],
        ".npy": _arrays(),
    }
    targets = []
    for suffix, corpus in formats.items():
        mutate = m.several(m.change_png, IMAGE) if suffix == ".png" else IMAGE
        prepare = lambda folder, s=suffix, c=corpus: (folder / f"a{s}").write_bytes(c[0])  # noqa: E731
        read = lambda folder, s=suffix: _image(folder / f"a{s}")  # noqa: E731
        targets.append(
            Target(f"image {suffix}", prepare, f"a{suffix}", read, mutate, corpus, 1200 * MEGABYTE)
        )
    return targets


def _image(path):
    size = None
    if path.stat().st_size % 3:  # as data sets do: with the annotated size
        size = (64, 48)
    image = mb.read_image(path, size=size)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    assert size is None or image.shape[:2] == (48, 64)


def _pillow(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _jpegs():
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[274] = 6
    return [
        cv2.imencode(".jpg", PIXELS)[1].tobytes(),
        _pillow(image, "JPEG", progressive=True, exif=exif),
        _pillow(image.convert("CMYK"), "JPEG"),
        _pillow(image.convert("L"), "JPEG"),
    ]


def _pngs():
    image = Image.fromarray(PIXELS)
    kinds = [image.convert("P"), image.convert("RGBA"), image.convert("L"), image.convert("1")]
    deep = cv2.imencode(".png", PIXELS.astype(np.uint16) * 256)[1].tobytes()
    return [cv2.imencode(".png", PIXELS)[1].tobytes(), deep, *(_pillow(one, "PNG") for one in kinds)]


def _tiffs():
    image = Image.fromarray(PIXELS)
    options = ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"})
    return [
        *(_pillow(image, "TIFF", **o) for o in options),
        cv2.imencode(".tif", PIXELS.astype(np.uint16))[1].tobytes(),
    ]


def _arrays():
    out = []
    for array in (PIXELS, PIXELS[..., 0], np.asfortranarray(PIXELS)):
        file = io.BytesIO()
        np.save(file, array)
        out.append(file.getvalue())
    return out


# Weights ------------------------------------------------------------------------------------------------

LAYERS = {
    "conv1": [np.ones((3, 3, 3, 8), np.float32), np.zeros(8, np.float32)],
    "conv2": [np.ones((1, 1, 8, 4), np.float32), np.zeros(4, np.float32)],
}


def weights() -> list[Target]:
    pickled = m.several(m.change_archive(m.change_pickle, "data.pkl"), m.change_bytes)
    zipped = m.several(m.change_archive(HDF5, ".h5"), m.change_bytes)
    protobuf = m.several(m.change_protobuf, m.change_protobuf, m.change_bytes)
    flat = m.several(m.change_bytes, _change_words)
    return [
        _weights("weights Keras 2", ".h5", read_keras, HDF5, _keras2()),
        _weights("weights Keras 3", ".weights.h5", read_keras, HDF5, _keras3()),
        _weights("weights .keras", ".keras", read_keras, zipped, _keras_archive()),
        _weights("weights torch zip", ".pth", read_torch, pickled, _torch()),
        _weights(
            "weights torch pickle",
            ".pt",
            read_torch,
            m.several(m.change_pickle, m.change_bytes),
            _torch_legacy(),
        ),
        _weights("weights caffemodel", ".caffemodel", read_caffe, protobuf, _caffe()),
        _weights("weights tflite", ".tflite", read_tflite, flat, _tflite()),
        _weights("weights onnx", ".onnx", read_onnx, protobuf, _onnx()),
        _weights("weights graph", ".pb", read_tensorflow_graph, protobuf, _graph(), 256 * MEGABYTE),
        _checkpoint(),
    ]


def _checkpoint():
    state = {f"layer{i}/weights": np.ones((4, 6), np.float32) for i in range(30)}

    def read(folder):
        arrays = read_checkpoint(folder / "w.index")
        assert isinstance(arrays, dict)

    return Target(
        "weights checkpoint",
        lambda folder: write_checkpoint(folder / "w", state),
        "w.index",
        read,
        m.several(m.change_bytes, _change_words, most=2),
    )


def _weights(name, suffix, reader, mutate, corpus, memory=128 * MEGABYTE):
    def read(folder):
        path = folder / f"w{suffix}"
        arrays = reader(path)
        assert isinstance(arrays, dict)
        try:
            map_weights(path)
        except ValueError as error:  # a network that the package does not have
            assert str(path) in str(error), error

    def prepare(folder):
        (folder / f"w{suffix}").write_bytes(corpus[0])

    return Target(name, prepare, f"w{suffix}", read, mutate, corpus, memory)


def _change_words(rng: random.Random, data: bytes) -> bytes:
    """Changes an aligned number, as FlatBuffers hold their distances."""
    content = bytearray(data)
    place = rng.randrange(0, len(content) // 4 or 1) * 4
    value = rng.choice((*m.INTEGERS, len(content), rng.randrange(256))) % (1 << 32)
    content[place : place + 4] = value.to_bytes(4, "little")
    return bytes(content)


def _written(write):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        write(path)
        return path.read_bytes()


def _keras2():
    named = {name: {f"{name}/k:0": a[0], f"{name}/b:0": a[1]} for name, a in LAYERS.items()}
    return [
        _written(lambda path: keras2(path, named)),
        _written(lambda path: keras2(path, named, inside="model_weights", chunks=1, compression="gzip")),
    ]


def _keras3():
    def write(path):
        with h5py.File(path, "w") as file:
            for i, (name, arrays) in enumerate(LAYERS.items()):
                group = file.create_group(f"layers/conv2d{f'_{i}' if i else ''}/vars")
                group.attrs["name"] = name
                for number, array in enumerate(arrays):
                    group[str(number)] = array
            file.create_group("optimizer/vars")

    return [_written(write)]


def _keras_archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", _keras3()[0])
    return [out.getvalue()]


def _torch():
    state = {"a.weight": np.ones((4, 6), np.float32), "a.bias": np.zeros(4, np.float32)}
    return [_written(lambda path: write_pth(path, state))]


def _torch_legacy():
    return [
        _written(
            lambda path: torch_legacy(path, state_dict(w=tensor(), v=tensor(size=(6, 4), stride=(1, 6))))
        )
    ]


def _caffe():
    return [_written(lambda path: write_caffemodel(path, {n: [a[0].T, a[1]] for n, a in LAYERS.items()}))]


def _onnx():
    state = {"a.weight": np.ones((4, 6), np.float32), "a.bias": np.zeros(4, np.float16)}
    return [_written(lambda path: write_onnx(path, state))]


def _graph():
    prefix = "FeatureExtractor/MobilenetV1/MobilenetV1/Conv2d_0"
    state = {f"{prefix}/weights": np.ones((3, 3, 3, 8), np.float32), f"{prefix}/biases": np.zeros(8)}
    return [frozen_graph(state)]


def _tflite():
    scaled = {"kind": 3, "data": bytes(range(6)), "scales": [0.5], "zero_points": [3]}
    return [tflite(), tflite(**scaled)]


# Others -------------------------------------------------------------------------------------------------


def others() -> list[Target]:
    def prepare(folder):
        text = "epoch,loss,val_loss,learning_rate\n0,2.5,2.25,0.001\n1,1.5,NA,0.001\n2,1.25,1.5,0.0001\n"
        (folder / "history.csv").write_text(text)

    def read(folder):
        import matplotlib.pyplot as plt

        try:
            mb.plot_history(folder / "history.csv")
        finally:
            plt.close("all")

    config = """model { ssd { # a comment
      image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
      box_coder { faster_rcnn_box_coder { x_scale: 10.0 } }
      anchor_generator { ssd_anchor_generator { num_layers: 6 aspect_ratios: [1, 2.0] min_scale: 0.2 } }
    } }
    train_config: { name: 'a' }
    """
    return [
        Target("history.csv", prepare, "history.csv", read, TEXT),
        Target(
            "pipeline.config",
            lambda folder: (folder / "pipeline.config").write_text(config),
            "pipeline.config",
            lambda folder: mb.anchors.pipeline_anchors(folder / "pipeline.config"),
            TEXT,
            memory=512 * MEGABYTE,
        ),
    ]


def detections() -> list[Target]:
    """The files of `load_detections`."""
    box, labels = np.array([[0, 0, 10, 10]], np.float32), np.array([1], np.int32)
    records = [mb.Record(name, f"{name}.jpg", 100, 80, box, labels) for name in ("000007", "b")]
    data = mb.DetectionDataset(("cat", "dog"), records)
    rows = [
        np.array([[1, 0.75, 10.5, 20, 50.25, 60], [2, 0.5, 0, 0, 10, 10]]),
        np.array([[1, 0.1, 1, 5, 30, 40]]),
    ]

    def target(name, file, mutate):
        def read(folder):
            found = mb.load_detections(folder / name, data)
            assert [np.shape(each)[1:] for each in found] == [(6,), (6,)]
            assert all(np.isfinite(each).all() for each in found)

        return Target(
            name,
            lambda folder: mb.save_detections(rows, data, folder / name),
            file,
            read,
            mutate,
            named=(name,),
        )

    return [
        target("found.json", "found.json", JSON),
        target("found.csv", "found.csv", TEXT),
        target("found", "found/comp4_det_test_cat.txt", TEXT),
    ]


def all_targets() -> list[Target]:
    return [*data_sets(), *images(), *weights(), *others(), *detections()]
