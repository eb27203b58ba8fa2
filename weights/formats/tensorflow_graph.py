"""Reads the constants of a frozen TensorFlow graph (`frozen_inference_graph.pb`): protobuf's wire format.

Field numbers are those of TensorFlow's `graph.proto`, `node_def.proto`, `attr_value.proto`, `tensor.proto`
and `tensor_shape.proto`. What the graph computes is not looked at.
"""

import math

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from ...protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, wire_fields
from .limits import MAX_FILE
from .message_fields import add_integers, add_numbers, expect, text_of

GRAPH_NODE, GRAPH_FIELDS = 1, {1, 2, 3, 4, 5}
NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 5
KEY, VALUE = 1, 2  # of an entry of a map
ATTRIBUTE_TENSOR = 8
DTYPE, SHAPE, CONTENT, FLOATS, DOUBLES, INTS, LONGS, HALVES = 1, 2, 4, 5, 6, 7, 10, 13
SHAPE_DIM, DIM_SIZE = 2, 1
# DataType: type in the file, what it becomes. Others, such as text, hold no weights.
TYPES = {
    1: ("<f4", np.float32),
    2: ("<f8", np.float32),
    19: ("<f2", np.float32),
    3: ("<i4", np.int64),
    9: ("<i8", np.int64),
}
MAX_DIMENSIONS = 32
MAX_CONSTANTS = 1_000_000
MAX_INTEGERS = 1 << 16  # of a tensor that has a field for them
# TensorFlow shortens an array whose last numbers are equal, down to a single one.
MAX_REPEATED = 1 << 24  # numbers of all such arrays of a file


def read_tensorflow_graph(path):
    """Reads the constants of a frozen graph: its weights and other numbers.

    Args:
        path: path of the `.pb` file.

    Returns:
        {name of the node: array} in the order of the file. The layout is TensorFlow's: kernels (rows,
        columns, in, out), depthwise ones (rows, columns, channels, 1).

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged or larger than 4 GiB, or has no constants of numbers (a
            graph that was not frozen).
    """
    data = memoryview(read_bytes(path, MAX_FILE))
    arrays, reader = {}, _Tensors()
    try:
        for number, wire, value in wire_fields(data):
            if number not in GRAPH_FIELDS:
                raise WireError(f"field {number}, which GraphDef does not have")
            if number == GRAPH_NODE:
                name, tensor = _constant(expect(value, wire, BYTES, "a node"))
                array = None if tensor is None else reader.array(name, tensor)
                if array is None:
                    continue
                if name in arrays or len(arrays) >= MAX_CONSTANTS:
                    raise WireError(f"two constants '{one_line(name)}', or more than {MAX_CONSTANTS}")
                arrays[name] = array
    except WireError as error:
        raise ValueError(f"{path}: expected a frozen TensorFlow graph, found {error}") from None
    if not any(array.dtype == np.float32 and array.ndim > 1 for array in arrays.values()):
        raise ValueError(f"{path}: expected a frozen TensorFlow graph, found no kernels (was it frozen?)")
    return arrays


def looks_like_tensorflow_graph(data):
    """Whether the bytes begin like a `GraphDef`: with a node that has a name and an operation."""
    try:
        number, wire, node = next(wire_fields(memoryview(data), to_end=False), (0, 0, b""))
        if (number, wire) != (GRAPH_NODE, BYTES):
            return False
        fields = [(number, wire) for number, wire, _ in wire_fields(node, to_end=False)]
    except WireError:
        return False
    return fields[:2] == [(NODE_NAME, BYTES), (NODE_OP, BYTES)]


def _constant(node):
    """Name and tensor of a node; without a tensor if it is no constant."""
    name, operation, tensor = "", b"", None
    for number, wire, value in wire_fields(node):
        if number == NODE_NAME:
            name = text_of(value, wire, "a name")
        elif number == NODE_OP:
            operation = bytes(expect(value, wire, BYTES, "an operation"))
        elif number == NODE_ATTRIBUTE and operation == b"Const":
            tensor = _tensor_in(expect(value, wire, BYTES, "an attribute")) or tensor
    return name, tensor


def _tensor_in(entry):
    key, attribute = b"", b""
    for number, wire, value in wire_fields(entry):
        if number == KEY:
            key = bytes(expect(value, wire, BYTES, "an attribute's name"))
        elif number == VALUE:
            attribute = expect(value, wire, BYTES, "an attribute's value")
    if key == b"value":
        for number, wire, value in wire_fields(attribute):
            if number == ATTRIBUTE_TENSOR:
                return expect(value, wire, BYTES, "a tensor")
    return None


class _Tensors:
    """Makes arrays of TensorProtos, and counts the numbers that the file does not hold."""

    def __init__(self):
        self.repeated = 0

    def array(self, name, tensor):
        kind, dims, content, floats, doubles, integers = 0, [], None, [], [], []
        for number, wire, value in wire_fields(tensor):
            if number == DTYPE:
                kind = expect(value, wire, VARINT, "a type")
            elif number == SHAPE:
                dims = shape_of(expect(value, wire, BYTES, "a shape"))
            elif number == CONTENT:
                content = expect(value, wire, BYTES, "data")
            elif number == FLOATS:
                add_numbers(floats, value, wire, FIXED32, f"'{one_line(name)}'")
            elif number == DOUBLES:
                add_numbers(doubles, value, wire, FIXED64, f"'{one_line(name)}'")
            elif number in (INTS, LONGS, HALVES):
                add_integers(integers, value, wire, "data", MAX_INTEGERS)
        if kind not in TYPES:
            return None
        stored, dtype = TYPES[kind]
        if is_short := content is None:
            # Half floats are the integers that have their bits.
            whole = np.array(integers, np.uint64).astype(stored.replace("f2", "u2"))
            content = {1: b"".join(floats), 2: b"".join(doubles)}.get(kind, whole.tobytes())
        return self._shaped(name, dims, content, stored, dtype, is_short)

    def _shaped(self, name, dims, content, stored, dtype, is_short):
        count, size = math.prod(dims), np.dtype(stored).itemsize
        found, rest = divmod(len(content), size)
        if rest or found > count or (found < count and not (found and is_short)):
            raise WireError(f"'{one_line(name)}' of shape {one_line(dims)} with {len(content)} bytes")
        with np.errstate(over="ignore"):  # a double becomes infinite, which `load_weights` refuses
            array = np.frombuffer(content, stored).astype(dtype, copy=False)
        if found < count:
            self.repeated += count
            if self.repeated > MAX_REPEATED:
                raise WireError(f"more than {MAX_REPEATED} repeated numbers")
            array = np.concatenate([array, np.full(count - found, array[-1])])
        return array.reshape(dims)


def shape_of(shape):
    """The dimensions of a TensorShapeProto."""
    dims = []
    for number, wire, value in wire_fields(shape):
        if number == SHAPE_DIM:
            size = 0
            for inner, kind, one in wire_fields(expect(value, wire, BYTES, "a dimension")):
                if inner == DIM_SIZE:
                    size = expect(one, kind, VARINT, "a dimension")
            dims.append(size)
            if len(dims) > MAX_DIMENSIONS:
                raise WireError(f"a shape of more than {MAX_DIMENSIONS} dimensions")
    return dims
