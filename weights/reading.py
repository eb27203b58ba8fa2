"""Any weight file as named arrays, in the layout of the tool that wrote it."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from ..arguments import checked
from .formats.caffe import read_caffe
from .formats.keras_file import read_keras
from .formats.onnx_file import read_onnx
from .formats.recognize import recognize
from .formats.tensorflow_checkpoint import read_checkpoint
from .formats.tensorflow_graph import read_tensorflow_graph
from .formats.tflite import read_tflite
from .formats.torch_file import read_torch


class NamedArrays(NamedTuple):
    """The arrays of a file.

    Attributes:
        origin: kind of the file, for messages.
        layout: order of the axes of its kernels: "torch", "tflite" or "keras".
        arrays: {name: array}.
    """

    origin: str
    layout: str
    arrays: dict[str, np.ndarray]


@checked()
def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads any weight file as named arrays, with the names and the layout that they have in the file.

    The kind of the file is recognized by its content. No other framework is needed, and nothing in the file
    is executed.

    | file | names | kernels | dense layers |
    |---|---|---|---|
    | torch, ONNX | as in the file | (out, in, rows, columns) | (out, in) |
    | Caffe | layer/0, layer/1, ... | (out, in, rows, columns) | (out, in) |
    | TensorFlow Lite | as in the file | (out, rows, columns, in) | (out, in) |
    | Keras | layer/0, layer/1, ... | (rows, columns, in, out) | (in, out) |
    | TensorFlow graph, checkpoint | as in the file | (rows, columns, in, out) | (in, out) |

    Depthwise kernels are (channels, 1, rows, columns) in torch, ONNX and Caffe, (1, rows, columns, channels)
    in TensorFlow Lite and (rows, columns, channels, 1) in Keras and TensorFlow. `load_weights` with
    `names` turns them.

    Args:
        path: path of a `.pth`, `.pt`, `.onnx`, `.caffemodel`, `.tflite`, `.pb`, `.index`, `.keras`,
            `.weights.h5` or `.h5` file.

    Returns:
        {name: array} in the order of the file. Numbers with a fraction are float32. Quantized ones are
        converted to the numbers that they stand for.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, larger than 4 GiB or of an unknown kind; names it.
    """
    return read_named(path).arrays


def read_named(path: str | os.PathLike[str]) -> NamedArrays:
    """As `read_weights`, with the kind of the file and its layout."""
    kind = recognize(path)
    if kind == "tflite":
        arrays = {name: tensor.values() for name, tensor in read_tflite(path).items()}
        return NamedArrays("weights of TensorFlow Lite", "tflite", arrays)
    if kind == "tensorflow-graph":
        return NamedArrays("a TensorFlow graph", "keras", read_tensorflow_graph(path))
    if kind == "tensorflow-checkpoint":
        return NamedArrays("a TensorFlow checkpoint", "keras", read_checkpoint(path))
    if kind == "onnx":
        return NamedArrays("ONNX weights", "torch", read_onnx(path))
    if kind == "caffe":
        return NamedArrays("Caffe's weights", "torch", _numbered(read_caffe(path)))
    if kind.startswith("torch"):
        return NamedArrays("torch's weights", "torch", read_torch(path))
    return NamedArrays("Keras' weights", "keras", _numbered(read_keras(path)))


def _numbered(layers):
    return {f"{name}/{i}": array for name, arrays in layers.items() for i, array in enumerate(arrays)}
