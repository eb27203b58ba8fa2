"""Protobuf's wire format, read without a schema: enough for files of a few known messages."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Describes what is wrong with the bytes. Readers add the path of the file."""


def wire_fields(data: memoryview, *, to_end: bool = True) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yields (field number, wire type, value) for each field of a message.

    Args:
        data: memoryview of the message.
        to_end: whether the message must be complete. If False, the last value may be cut off.

    Yields:
        The value is an int for a varint, a memoryview for the other wire types.

    Raises:
        WireError: if the bytes end inside a field, or are not protobuf.
    """
    for number, wire, value in wire_spans(data, slice(0, len(data)), to_end=to_end):
        yield number, wire, data[value] if isinstance(value, slice) else value


def wire_spans(
    data: memoryview | bytes, span: slice, *, to_end: bool = True
) -> Iterator[tuple[int, int, int | slice]]:
    """As `wire_fields`, of a message within `data`: yields the position of a value in `data` as a slice."""
    position, stop = span.start, span.stop
    while position < stop:
        start = position
        tag, position = read_varint(data, position, stop)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = read_varint(data, position, stop)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, position = read_varint(data, position, stop)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise WireError(f"the unknown wire type {wire} at byte {start} of a message")
        if position + size > stop and to_end:
            raise WireError(
                f"field {number} of {size} bytes where {stop - position} are left: cut off or damaged"
            )
        yield number, wire, slice(position, min(position + size, stop))
        position += size


def read_varint(data: memoryview | bytes, position: int, stop: int | None = None) -> tuple[int, int]:
    """Reads a varint, which has at most ten bytes: (value, position after it).

    Raises:
        WireError: if the data, or the part before `stop`, ends inside it, or if it is longer.
    """
    value, stop = 0, len(data) if stop is None else stop
    for shift in range(0, 70, 7):
        if position >= stop:
            raise WireError("the end of the data inside a number: cut off or damaged")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise WireError(f"a number of more than ten bytes before byte {position} of a message")
