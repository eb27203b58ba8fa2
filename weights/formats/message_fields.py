"""Values of protobuf fields, checked: what the readers of protobuf files have in common."""

import struct

from ...protobuf import BYTES, FIXED64, VARINT, WireError, read_varint

SMALL = 1 << 12  # bytes of numbers that are copied, because an object for each would need more
WORD = (1 << 64) - 1


def expect(value, wire, expected, what):
    """Returns the value of a field; raises WireError if the field has another wire type."""
    if wire != expected:
        raise WireError(f"{what} of wire type {wire} instead of {expected}")
    return value


def text_of(value, wire, what):
    """The text of a field."""
    try:
        return bytes(expect(value, wire, BYTES, what)).decode()
    except UnicodeDecodeError:
        raise WireError(f"{what} that is not text") from None


def add_integers(numbers, value, wire, what, most):
    """Appends the integers of a repeated field, packed or a single one, to a list of at most `most`.

    Negative ones become 2**64 and less, as protobuf writes them.
    """
    if wire == VARINT:
        numbers.append(value & WORD)
    else:
        position, value = 0, expect(value, wire, BYTES, what)
        while position < len(value) and len(numbers) <= most:
            number, position = read_varint(value, position)
            numbers.append(number & WORD)
    if len(numbers) > most:
        raise WireError(f"{what} of more than {most} numbers")


def add_numbers(chunks, value, wire, single, what):
    """Appends the bytes of a repeated field of floating point numbers, packed or a single one, to chunks.

    A file may have a field for each number.
    """
    if wire not in (single, BYTES) or len(value) % struct.calcsize("d" if single == FIXED64 else "f"):
        raise WireError(f"data of {what} that is not an array of numbers")
    if len(value) > SMALL:
        chunks.append(value)
    elif chunks and isinstance(chunks[-1], bytearray):
        chunks[-1] += value
    else:
        chunks.append(bytearray(value))
