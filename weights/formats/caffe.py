"""Reads `.caffemodel` files: the part of protobuf's wire format that a Caffe `NetParameter` uses.

Field numbers are those of `caffe.proto` (BVLC Caffe and its SSD branch). Two forms of layers are read:

* `layer` (field 100, since 2014),
* `layers` (field 2, "V1").

The still older V0 form is not supported.
"""

import math

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from ...protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, wire_fields
from .limits import MAX_FILE
from .message_fields import add_integers, add_numbers, expect, text_of

NET_NAME, NET_V1_LAYERS, NET_LAYER = 1, 2, 100
NET_FIELDS = {NET_NAME, NET_V1_LAYERS, 3, 4, 5, 6, 7, 8, NET_LAYER}
BLOB_LEGACY_SHAPE, BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
# Numbers of (name, type, blobs) in LayerParameter and V1LayerParameter.
LAYER_FIELDS = {NET_LAYER: (1, 2, 7), NET_V1_LAYERS: (4, 5, 6)}
KERNEL_TYPES = {b"Convolution", b"Deconvolution", 4, 39}
MATRIX_TYPES = {b"InnerProduct", 14}
MAX_DIMENSIONS = 32  # Caffe's kMaxBlobAxes
MAX_BLOBS = 64  # of a layer; BatchNorm has five


def read_caffe(path):
    """Reads the weights of a `.caffemodel` file.

    Args:
        path: path of the file.

    Returns:
        {layer name: [array, ...]} in the order of the file, without the layers that have no weights. The
        arrays are float32 in Caffe's layout: kernels (out, in, rows, columns), inner products (out, in),
        biases and scales (n,).

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged, larger than 4 GiB, or not a `NetParameter`.
    """
    data = memoryview(read_bytes(path, MAX_FILE))
    layers = {}
    try:
        for number, wire, value in wire_fields(data):
            if number not in NET_FIELDS:
                raise WireError(f"field {number}, which NetParameter does not have")
            if number in LAYER_FIELDS:
                name, blobs = _layer(expect(value, wire, BYTES, "a layer"), *LAYER_FIELDS[number])
                if blobs and name in layers:
                    raise WireError(f"two layers '{one_line(name)}' with weights")
                if blobs:
                    layers[name] = blobs
    except WireError as error:
        raise ValueError(f"{path}: expected a Caffe model (protobuf NetParameter), found {error}") from None
    if not layers:
        raise ValueError(f"{path}: expected a Caffe model, found no layer with weights (a solver state?)")
    return layers


def looks_like_caffe(data):
    """Whether the bytes begin like a `NetParameter`: with fields that it has, up to the first layer."""
    try:
        for number, wire, _ in wire_fields(memoryview(data), to_end=False):
            if number in LAYER_FIELDS:
                return wire == BYTES
            if number not in NET_FIELDS:
                return False
    except WireError:
        pass
    return False


def _layer(data, name_field, type_field, blobs_field):
    """Reads one layer message: (name, [array, ...])."""
    name, kind, blobs = "", None, []
    for number, wire, value in wire_fields(data):
        if number == name_field:
            name = text_of(value, wire, "a layer name")
        elif number == type_field:
            kind = value if wire == VARINT else bytes(value)
        elif number == blobs_field:
            blobs.append(expect(value, wire, BYTES, "a blob"))
            if len(blobs) > MAX_BLOBS:
                raise WireError(f"layer '{one_line(name)}' with more than {MAX_BLOBS} blobs")
    return name, [_blob(blob, name, kind, i) for i, blob in enumerate(blobs)]


def _blob(data, layer, kind, index):
    """Reads one BlobProto: with the new or the legacy shape, float or double data, packed or not."""
    shape, legacy, chunks, doubles = None, {}, [], []
    for number, wire, value in wire_fields(data):
        if number == BLOB_SHAPE:
            value = expect(value, wire, BYTES, "a blob's shape")
            if len(value) > 12 * MAX_DIMENSIONS:  # a number has at most ten bytes, its field two more
                raise WireError(
                    f"blob {index} of layer '{one_line(layer)}' with a shape of {len(value)} bytes"
                )
            shape = (shape or ()) + _shape(value)
        elif number in BLOB_LEGACY_SHAPE:
            legacy[number] = expect(value, wire, VARINT, "a blob's size")
        elif number == BLOB_DATA:
            add_numbers(chunks, value, wire, FIXED32, f"layer '{one_line(layer)}'")
        elif number == BLOB_DOUBLE_DATA:
            add_numbers(doubles, value, wire, FIXED64, f"layer '{one_line(layer)}'")
    if chunks and doubles:
        raise WireError(f"blob {index} of layer '{one_line(layer)}' with both float and double data")
    raw = (chunks or doubles or [b""])[0] if len(chunks or doubles) < 2 else b"".join(chunks or doubles)
    array = np.frombuffer(raw, "<f8" if doubles else "<f4").astype(np.float32, copy=False)
    if shape is None:
        shape = _squeezed_shape(tuple(legacy.get(i, 1) for i in BLOB_LEGACY_SHAPE), kind, index)
    if len(shape) > MAX_DIMENSIONS or math.prod(shape) != array.size:
        raise WireError(
            f"blob {index} of layer '{one_line(layer)}' with shape {one_line(shape)} but {array.size} numbers"
        )
    return array.reshape(shape)


def _shape(data):
    dims = []
    for number, wire, value in wire_fields(data):
        if number == 1:
            add_integers(dims, value, wire, "a blob's dimensions", MAX_DIMENSIONS)
    return tuple(dims)


def _squeezed_shape(shape, kind, index):
    """Drops the leading axes of length 1 that pad every legacy shape to four axes.

    A bias is stored as (1, 1, 1, n), a matrix as (1, 1, out, in). Kernels keep their four axes.
    """
    if index == 0 and kind in KERNEL_TYPES:
        return shape
    if index == 0 and kind in MATRIX_TYPES and shape[:2] == (1, 1):
        return shape[2:]
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
