"""Reads the constants of a TensorFlow Lite model: the part of FlatBuffers that its `schema.fbs` uses.

A FlatBuffers table begins with a signed offset back to its vtable. The vtable holds the offsets of the
table's fields, 0 for absent ones. Strings, vectors and tables are referenced by unsigned offsets, relative to
the position of the reference. Every offset is checked against the length of the file.
"""

import math
import struct
from typing import NamedTuple

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from .limits import MAX_FILE

# Field numbers of the schema.
MODEL_VERSION, MODEL_SUBGRAPHS, MODEL_BUFFERS = 0, 2, 4
SUBGRAPH_TENSORS = 0
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION, TENSOR_SPARSITY = 0, 1, 2, 3, 4, 6
QUANTIZATION_SCALE, QUANTIZATION_ZERO_POINT, QUANTIZATION_DETAILS, QUANTIZATION_AXIS = 2, 3, 4, 6
BUFFER_DATA = 0
# TensorType. Strings, resources and complex numbers are not weights and are missing here.
TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8"}
SCHEMA_VERSION = 3
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 32
# Constants may share their bytes. All together they may have this many times the bytes of the file.
MAX_SHARING = 4


class FlatBufferError(ValueError):
    """Describes what is wrong with the bytes. `read_tflite` adds the path of the file."""


class TFLiteTensor(NamedTuple):
    """A constant as the file stores it. `real = scale * (stored - zero_point)`.

    Args:
        stored: array of the file's type.
        scale: float32 array. Empty: not quantized. One number: quantized as a whole. Several: one for each
            index of `axis`.
        zero_point: int64 array of the same length.
        axis: axis of the channels, for quantization per channel.
    """

    stored: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int

    def values(self):
        """The real numbers, float32."""
        if not self.scale.size:
            return self.stored.astype(np.float32)
        shape = [1] * self.stored.ndim
        if self.scale.size > 1:
            shape[self.axis] = -1
        # The difference is computed in int64, because float32 cannot represent all of them exactly.
        steps = (self.stored.astype(np.int64) - self.zero_point.reshape(shape)).astype(np.float32)
        return self.scale.reshape(shape) * steps


def read_tflite(path):
    """Reads the constants of a TensorFlow Lite model.

    Args:
        path: path of the `.tflite` file.

    Returns:
        {tensor name: TFLiteTensor} for the tensors of the first subgraph that have data in the file. The
        layout of kernels is (out, rows, columns, in), and (1, rows, columns, channels) for depthwise
        convolutions.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged or larger than 4 GiB, or has no constants.
    """
    data = memoryview(read_bytes(path, MAX_FILE))
    try:
        tensors = _constants(_FlatBuffer(data))
    except FlatBufferError as error:
        raise ValueError(f"{path}: expected a TensorFlow Lite model, found {error}") from None
    if not tensors:
        raise ValueError(f"{path}: expected a TensorFlow Lite model with weights, found no constant tensor")
    return tensors


def _constants(buffer):
    if bytes(buffer.data[4:8]) != b"TFL3":
        raise FlatBufferError("another file: no TFL3 at byte 4")
    model = buffer.indirect(0)
    version = buffer.number(model, MODEL_VERSION, "<I", 0)
    if version != SCHEMA_VERSION:
        raise FlatBufferError(f"schema version {version} instead of {SCHEMA_VERSION}")
    graphs, buffers = buffer.tables(model, MODEL_SUBGRAPHS), buffer.tables(model, MODEL_BUFFERS)
    if not graphs:
        raise FlatBufferError("no subgraph")
    tensors, total = {}, 0
    for table in buffer.tables(graphs[0], SUBGRAPH_TENSORS):
        index = buffer.number(table, TENSOR_BUFFER, "<I", 0)
        if index >= len(buffers):
            raise FlatBufferError(f"a tensor with buffer {index} of {len(buffers)}")
        raw = buffer.vector(buffers[index], BUFFER_DATA, 1)
        kind = buffer.number(table, TENSOR_TYPE, "<b", 0)
        if len(raw) and kind in TYPES:
            name = buffer.string(table, TENSOR_NAME)
            if name in tensors:
                raise FlatBufferError(f"two constants '{one_line(name)}'")
            total += len(raw)
            if total > MAX_SHARING * len(buffer.data):
                raise FlatBufferError(f"constants of {total} bytes or more in {len(buffer.data)} bytes")
            tensors[name] = _tensor(buffer, table, name, raw, TYPES[kind])
    return tensors


def _tensor(buffer, table, name, raw, dtype):
    shape = tuple(np.frombuffer(buffer.vector(table, TENSOR_SHAPE, 4), "<i4").tolist())
    what = f"tensor '{one_line(name)}' of shape {one_line(shape)}"
    if buffer.field(table, TENSOR_SPARSITY):
        raise FlatBufferError(f"the sparse {what}, which is not supported")
    if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0:
        raise FlatBufferError(f"a damaged {what}")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(raw):
        raise FlatBufferError(f"{len(raw)} bytes for {what} and type {dtype}")
    scale, zero_point, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if buffer.field(table, TENSOR_QUANTIZATION):
        quantization = buffer.indirect(buffer.field(table, TENSOR_QUANTIZATION))
        scale = np.frombuffer(buffer.vector(quantization, QUANTIZATION_SCALE, 4), "<f4")
        zero_point = np.frombuffer(buffer.vector(quantization, QUANTIZATION_ZERO_POINT, 8), "<i8")
        axis = buffer.number(quantization, QUANTIZATION_AXIS, "<i", 0)
        if buffer.number(quantization, QUANTIZATION_DETAILS, "<B", 0):
            raise FlatBufferError(f"{what} with custom quantization, which is not supported")
        zero_point = zero_point if zero_point.size else np.zeros(scale.size, np.int64)
        by_channel = scale.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scale.size)
        if scale.size != zero_point.size or by_channel:
            raise FlatBufferError(f"{scale.size} scales and {zero_point.size} zero points for {what}")
    return TFLiteTensor(np.frombuffer(raw, dtype).reshape(shape), scale, zero_point, axis)


class _FlatBuffer:
    """Accesses a FlatBuffers file. A table is represented by its position in the file."""

    def __init__(self, data):
        self.data = data

    def unpack(self, form, position):
        if not 0 <= position <= len(self.data) - struct.calcsize(form):
            raise FlatBufferError(
                f"a reference to byte {position} of a file of {len(self.data)}: cut off or damaged"
            )
        return struct.unpack_from(form, self.data, position)[0]

    def indirect(self, position):
        """The position that the offset at `position` refers to."""
        return position + self.unpack("<I", position)

    def field(self, table, number):
        """The position of a table's field, 0 if the field is absent."""
        vtable = table - self.unpack("<i", table)
        entry = 4 + 2 * number
        if entry + 2 > self.unpack("<H", vtable):
            return 0
        distance = self.unpack("<H", vtable + entry)
        return table + distance if distance else 0

    def number(self, table, field, form, default):
        position = self.field(table, field)
        return self.unpack(form, position) if position else default

    def vector(self, table, field, item_size):
        """The bytes of a vector of numbers; empty if the field is absent."""
        position = self.field(table, field)
        if not position:
            return self.data[:0]
        start = self.indirect(position)
        size = self.unpack("<I", start) * item_size
        if start + 4 + size > len(self.data):
            raise FlatBufferError(
                f"a vector of {size} bytes at byte {start} of a file of {len(self.data)}: cut off or damaged"
            )
        return self.data[start + 4 : start + 4 + size]

    def tables(self, table, field):
        """The positions of the tables in a vector."""
        position = self.field(table, field)
        if not position:
            return []
        raw = self.vector(table, field, 4)
        if len(raw) > 4 * MAX_TENSORS:
            raise FlatBufferError(f"a vector of {len(raw) // 4} tables: damaged")
        first = self.indirect(position) + 4
        return [first + 4 * i + distance for i, distance in enumerate(np.frombuffer(raw, "<u4").tolist())]

    def string(self, table, field):
        try:
            return bytes(self.vector(table, field, 1)).decode()
        except UnicodeDecodeError:
            raise FlatBufferError("a tensor name that is not text") from None
