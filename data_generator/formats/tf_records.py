"""The records of a TFRecord file, and `tf.train.Example`, read without TensorFlow.

A record is its length (8 bytes), the masked CRC-32C of the length, the data, and that of the data. An Example
is a protobuf message that maps names to lists of bytes, floats or integers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...files import check_regular
from ...protobuf import BYTES, FIXED32, VARINT, WireError, read_varint, wire_spans
from .crc32c import masked_crc32c

MAX_RECORD = 2**30  # bytes; protobuf's own limit is twice that
_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")
_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
_BYTES_LIST, _FLOAT_LIST, _INT_LIST = 1, 2, 3  # fields of Feature


def read_records(
    path: str | os.PathLike[str], on_error: Callable[[Exception], object]
) -> Iterator[tuple[int, bytes]]:
    """Yields (offset of the data in the file, data) of each record, one at a time.

    Args:
        path: path of the file.
        on_error: called with the exception for a damaged record. If it returns, the record is left out; if
            its length is damaged, so is the rest of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no file.
    """
    check_regular(path)
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < size:
            try:
                length = _length(path, offset, file.read(_HEAD.size), size)
            except ValueError as error:
                on_error(error)
                return
            start = offset + _HEAD.size
            data, foot = file.read(length), file.read(_FOOT.size)
            if foot != _FOOT.pack(masked_crc32c(data)):
                on_error(ValueError(f"{path}: the record at byte {offset} is damaged: wrong checksum"))
            else:
                yield start, data
            offset = start + length + _FOOT.size


def looks_like_tfrecord(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with the length of a TFRecord and its checksum."""
    try:
        check_regular(path)
        with Path(path).open("rb") as file:
            head = file.read(_HEAD.size)
    except (OSError, ValueError):
        return False
    return len(head) == _HEAD.size and _HEAD.unpack(head)[1] == masked_crc32c(head[:8])


def _length(path, offset, head, size):
    """The length of a record's data from its head."""
    if offset == 0 and (head[:2] == _GZIP or head[:2] in _ZLIB):
        raise ValueError(f"{path}: the file is compressed; decompress it (gunzip), then read that")
    if len(head) < _HEAD.size:
        raise ValueError(f"{path}: the file ends inside the record at byte {offset}: it is truncated")
    length, checksum = _HEAD.unpack(head)
    if checksum != masked_crc32c(head[:8]):
        what = "no TFRecord file" if offset == 0 else f"the record at byte {offset} is damaged"
        raise ValueError(f"{path}: {what}: wrong checksum of the length at byte {offset}")
    if length > MAX_RECORD:
        raise ValueError(
            f"{path}: the record at byte {offset} is too large: {length} bytes (limit {MAX_RECORD})"
        )
    if offset + _HEAD.size + length + _FOOT.size > size:
        raise ValueError(f"{path}: the file ends inside the record at byte {offset}: it is truncated")
    return length


def read_example(data: bytes) -> dict[str, list]:
    """The features of a `tf.train.Example`.

    Returns:
        {name: list}: of slices of `data` for bytes, of floats, or of ints.

    Raises:
        WireError: if it is none.
    """
    features = {}
    for span in _messages(data, slice(0, len(data)), 1):
        for entry in _messages(data, span, 1):
            name, feature = None, None
            for number, wire, value in wire_spans(data, entry):
                if wire == BYTES and number == 1:
                    name = data[value].decode(errors="replace")
                elif wire == BYTES and number == 2:
                    feature = value
            if name is not None:
                features[name] = [] if feature is None else _feature(data, feature)
    return features


def _messages(data, span, number):
    """Positions of the messages in a field."""
    for found, wire, value in wire_spans(data, span):
        if found == number:
            if wire != BYTES:
                raise WireError(f"field {number} of wire type {wire} instead of {BYTES}")
            yield value


def _feature(data, span):
    values = []
    for kind, wire, inner in wire_spans(data, span):
        if wire != BYTES:
            raise WireError(f"a feature of wire type {wire} instead of {BYTES}")
        for number, wire, value in wire_spans(data, inner):
            if number != 1:
                continue
            if kind == _BYTES_LIST and wire == BYTES:
                values.append(value)
            elif kind == _FLOAT_LIST and wire in (BYTES, FIXED32):
                values += _floats(data[value])
            elif kind == _INT_LIST and wire in (BYTES, VARINT):
                values += [_signed(value)] if wire == VARINT else _integers(data, value)
            else:
                raise WireError(f"list {kind} of a feature with wire type {wire}")
    return values


def _floats(data):
    if len(data) % 4:
        raise WireError(f"a list of floats of {len(data)} bytes")
    return np.frombuffer(data, "<f4").tolist()


def _integers(data, span):
    values, position = [], span.start
    while position < span.stop:
        value, position = read_varint(data, position, span.stop)
        values.append(_signed(value))
    return values


def _signed(value):
    value &= 2**64 - 1
    return value - 2**64 if value >> 63 else value
