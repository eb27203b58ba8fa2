"""Damages protocol buffers and TFRecord files, field by field."""

from __future__ import annotations

import random
import struct

from bad_inputs.samples import record
from foreign_files import varint

from .plain import change_bytes, changed_list
from .values import INTEGERS


def change_protobuf(rng: random.Random, data: bytes, depth: int = 0) -> bytes:
    """Changes one field, at any depth; what holds it gets the right length."""
    fields = _wire_fields(data)
    if not fields or rng.random() < 0.1:
        return change_bytes(rng, data)
    place = rng.randrange(len(fields))
    number, wire, value = fields[place]
    if wire == 2 and depth < 8 and rng.random() < 0.75:
        fields[place] = (number, wire, change_protobuf(rng, value, depth + 1))
    else:
        fields = changed_list(rng, fields, lambda: _new_field(rng, number, wire, value))
    return b"".join(_written(*field) for field in fields)


def _wire_fields(data):
    """[(number, wire type, value)], or nothing if these bytes are no message."""
    fields, place = [], 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            wire = tag & 7
            if wire == 0:
                value, place = _varint(data, place)
            else:
                size, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
                value, place = data[place : place + size], place + size
            if place > len(data) or not tag >> 3:
                return []
            fields.append((tag >> 3, wire, value))
    except (IndexError, KeyError):
        return []
    return fields


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def _new_field(rng, number, wire, value):
    kind = rng.randrange(4)
    if kind == 0:
        number = rng.choice((1, 2, 3, number + 1, 100, 2**29 - 1))
    elif kind == 1:
        wire = rng.choice((0, 1, 2, 3, 5, 6))
        value = rng.choice(INTEGERS) if wire == 0 else rng.randbytes(8)
    elif wire == 0:
        value = rng.choice(INTEGERS)
    else:
        value = rng.choice((b"", change_bytes(rng, value), rng.randbytes(len(value)), value + value[:1]))
    return number, wire, value


def _written(number, wire, value):
    if wire == 0:
        return varint(number << 3) + varint(value if isinstance(value, int) else 0)
    value = value if isinstance(value, bytes) else b"\1" * 8
    if wire == 2:
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | wire) + value[: {1: 8, 5: 4}.get(wire, 8)]


def change_tfrecord(rng: random.Random, data: bytes) -> bytes:
    """Changes one record, whose checksums are right again."""
    records, place = [], 0
    while place + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, place)
        if place + 16 + size > len(data):
            break
        records.append(data[place + 12 : place + 12 + size])
        place += 16 + size
    if not records:
        return change_bytes(rng, data)
    number = rng.randrange(len(records))
    records[number] = change_protobuf(rng, records[number])
    return b"".join(map(record, records))
