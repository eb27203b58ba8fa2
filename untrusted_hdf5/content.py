"""What is refused in the bytes of a file, before the HDF5 library opens it."""

from __future__ import annotations

import math
import re

import numpy as np

_HEAP = b"GCOL\x01\x00\x00\x00"
# A type: version and class 9 (variable length), kind 1 (text) with any padding and characters, 16 bytes.
_TEXT_TYPE = re.compile(rb"[\x09\x19\x29\x39\x49\x59][\x01\x11\x21]..\x10\x00\x00\x00", re.DOTALL)


class LayoutError(ValueError):
    """Describes what is wrong with the content. A reader adds the path of the file."""


def check_content(data):
    _check_heaps(data)
    _check_attributes(data)


def _check_attributes(data):
    """Refuses attributes with texts longer than the file: the library allocates a length that it reads.

    An attribute holds its type, its dataspace and its items one after another. After the type of a text of
    variable length come the dataspace (version 1 begins after 24 bytes, version 2 after 20) and, for each
    text, its length (4 bytes) and its place in a heap (12).
    """
    for match in _TEXT_TYPE.finditer(data):
        for distance, version, head in ((24, 1, 8), (20, 2, 4)):
            space = match.start() + distance
            if data[space : space + 1] != bytes([version]) or space + head > len(data):
                continue
            rank, has_limits = data[space + 1], data[space + 2] & 1
            sizes = np.frombuffer(data[space + head : space + head + 8 * rank], "<u8").tolist()
            start = space + head + 8 * rank * (1 + has_limits)
            items = data[start : start + 16 * min(math.prod(sizes), len(data))]
            lengths = np.frombuffer(items[: len(items) // 16 * 16], "<u4")[::4]
            if lengths.sum(dtype=np.int64) > len(data):
                raise LayoutError(f"an attribute of texts longer than the file at byte {match.start()}")


def _check_heaps(data):
    """Refuses files whose global heaps are damaged: the HDF5 library would follow their objects forever.

    A heap has a header of 16 bytes, with the heap's size in the second half. Its objects follow: number
    (2 bytes), references (2), reserved (4), size (8), content padded to a multiple of 8. Object number 0 is
    free space; its size includes its header.
    """
    start = data.find(_HEAP)
    while start >= 0:
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        position = start + 16
        while position + 16 <= min(end, len(data)):
            size = int.from_bytes(data[position + 8 : position + 16], "little")
            used = int.from_bytes(data[position : position + 2], "little")
            position += 16 + -(-size // 8) * 8 if used else size
            if not used and not size:
                raise LayoutError(f"a damaged heap of strings at byte {start}")
        if max(position, end) > len(data) or position > end:
            raise LayoutError(f"a damaged heap of strings at byte {start}")
        start = data.find(_HEAP, start + 1)
