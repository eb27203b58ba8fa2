"""Reads the initializers of an ONNX model: the part of protobuf's wire format that holds its weights.

Field numbers are those of `onnx.proto3`. The graph is not looked at.
"""

import math

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from ...protobuf import BYTES, FIXED32, VARINT, WireError, wire_fields
from .limits import MAX_FILE
from .message_fields import add_integers, add_numbers, expect, text_of

MODEL_IR_VERSION, MODEL_GRAPH = 1, 7
MODEL_FIELDS = {MODEL_IR_VERSION, 2, 3, 4, 5, 6, MODEL_GRAPH, 8, 14, 20, 25, 26}
GRAPH_INITIALIZER, GRAPH_SPARSE_INITIALIZER = 5, 15
DIMS, DATA_TYPE, SEGMENT, FLOAT_DATA, INT64_DATA, NAME, RAW_DATA = 1, 2, 3, 4, 7, 8, 9
EXTERNAL_DATA, DATA_LOCATION = 13, 14
EXTERNAL = 1
# TensorProto.DataType: type in the file, what it becomes.
TYPES = {1: ("<f4", np.float32), 10: ("<f2", np.float32), 11: ("<f8", np.float32), 7: ("<i8", np.int64)}
MAX_DIMENSIONS = 32
MAX_INITIALIZERS = 100_000
MAX_INTEGERS = 1 << 16  # of a tensor that has a field for them; exporters write bytes instead


def read_onnx(path):
    """Reads the initializers of an ONNX model: its weights and other constants.

    Initializers of other types than floats and int64, such as the quantized ones, are left out.

    Args:
        path: path of the `.onnx` file.

    Returns:
        {name: array} in the order of the file. Floats become float32. The layout is torch's: kernels (out,
        in, rows, columns), depthwise ones (channels, 1, rows, columns).

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged or larger than 4 GiB, keeps its weights in other files, or
            has no initializers of these types.
    """
    data = memoryview(read_bytes(path, MAX_FILE))
    arrays = {}
    try:
        for number, wire, value in wire_fields(data):
            if number not in MODEL_FIELDS:
                raise WireError(f"field {number}, which ModelProto does not have")
            if number == MODEL_GRAPH:
                _read_graph(expect(value, wire, BYTES, "a graph"), arrays)
    except WireError as error:
        raise ValueError(f"{path}: expected an ONNX model, found {error}") from None
    if not arrays:
        raise ValueError(f"{path}: expected an ONNX model with weights, found no initializers of floats")
    return arrays


def looks_like_onnx(data):
    """Whether the bytes begin like a `ModelProto`: with its version, then fields that it has."""
    try:
        for i, (number, wire, _) in enumerate(wire_fields(memoryview(data), to_end=False)):
            if number not in MODEL_FIELDS or (i == 0 and (number, wire) != (MODEL_IR_VERSION, VARINT)):
                return False
            if number == MODEL_GRAPH:
                return wire == BYTES
    except WireError:
        pass
    return False


def _read_graph(graph, arrays):
    for number, wire, value in wire_fields(graph):
        if number == GRAPH_SPARSE_INITIALIZER:
            raise WireError("a sparse initializer, which is not supported")
        if number != GRAPH_INITIALIZER:
            continue
        name, array = _initializer(expect(value, wire, BYTES, "an initializer"))
        if array is None:
            continue
        if name in arrays:
            raise WireError(f"two initializers '{one_line(name)}'")
        arrays[name] = array
        if len(arrays) > MAX_INITIALIZERS:
            raise WireError(f"more than {MAX_INITIALIZERS} initializers")


def _initializer(tensor):
    """Reads one TensorProto: (name, array), or (name, None) for a type that holds no weights."""
    name, kind, dims, floats, integers, raw = "", 0, [], [], [], None
    for number, wire, value in wire_fields(tensor):
        if number == NAME:
            name = text_of(value, wire, "a name")
        elif number == DATA_TYPE:
            kind = expect(value, wire, VARINT, "a type")
        elif number == DIMS:
            add_integers(dims, value, wire, "a shape", MAX_DIMENSIONS)
        elif number == FLOAT_DATA:
            add_numbers(floats, value, wire, FIXED32, f"initializer '{one_line(name)}'")
        elif number == INT64_DATA:
            add_integers(integers, value, wire, "data", MAX_INTEGERS)
        elif number == RAW_DATA:
            raw = expect(value, wire, BYTES, "data")
        elif number == EXTERNAL_DATA or (number == DATA_LOCATION and value == EXTERNAL):
            raise WireError(
                f"initializer '{one_line(name)}' in another file, which is not supported: save the model "
                "with onnx.save_model(model, path, save_as_external_data=False)"
            )
        elif number == SEGMENT:
            raise WireError(f"initializer '{one_line(name)}' in parts, which is not supported")
    if kind not in TYPES:
        return name, None
    if raw is None:
        raw = np.array(integers, np.uint64).tobytes() if kind == 7 else b"".join(floats)
    return name, _array(name, dims, raw, *TYPES[kind])


def _array(name, dims, raw, stored, dtype):
    if math.prod(dims) * np.dtype(stored).itemsize != len(raw):
        raise WireError(f"initializer '{one_line(name)}' of shape {one_line(dims)} with {len(raw)} bytes")
    with np.errstate(over="ignore"):  # a double becomes infinite, which `load_weights` refuses
        return np.frombuffer(raw, stored).astype(dtype, copy=False).reshape(dims)
