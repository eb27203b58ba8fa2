"""Readers of weights."""

from __future__ import annotations

import io
import random
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
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

from multibox.weights.formats.caffe import read_caffe
from multibox.weights.formats.keras_file import read_keras
from multibox.weights.formats.onnx_file import read_onnx
from multibox.weights.formats.tensorflow_checkpoint import read_checkpoint
from multibox.weights.formats.tensorflow_graph import read_tensorflow_graph
from multibox.weights.formats.tflite import read_tflite
from multibox.weights.formats.torch_file import read_torch
from multibox.weights.mapping import map_weights

from .. import mutators as m
from .target import HDF5, MEGABYTE, Target

LAYERS = {
    "conv1": [np.ones((3, 3, 3, 8), np.float32), np.zeros(8, np.float32)],
    "conv2": [np.ones((1, 1, 8, 4), np.float32), np.zeros(4, np.float32)],
}

# Variables of the TensorFlow Object Detection API.
API_FOR_TENSORFLOW_2 = (
    "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel",
    "model/_feature_extractor/classification_backbone/layer_with_weights-1/beta",
    "model/_box_predictor/_prediction_heads/box_encodings/0/_box_encoder_layers/0/kernel",
)


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
    names = (*(f"layer{i}/weights" for i in range(30)), *API_FOR_TENSORFLOW_2)
    state = {name: np.ones((4, 6), np.float32) for name in names}

    def read(folder):
        arrays = read_checkpoint(folder / "w.index")
        assert isinstance(arrays, dict)
        _map(folder / "w.index")

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
        _map(path)

    def prepare(folder):
        (folder / f"w{suffix}").write_bytes(corpus[0])

    return Target(name, prepare, f"w{suffix}", read, mutate, corpus, memory)


def _map(path):
    try:
        map_weights(path)
    except ValueError as error:  # a network that the package does not have
        assert str(path) in str(error), error


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
    head = "BoxPredictor_0/BoxEncodingPredictor"
    state |= {f"{head}/weights": np.ones((1, 1, 8, 12), np.float32), f"{head}/biases": np.zeros(12)}
    return [frozen_graph(state)]


def _tflite():
    scaled = {"kind": 3, "data": bytes(range(6)), "scales": [0.5], "zero_points": [3]}
    return [tflite(), tflite(**scaled)]
