"""Damages pictures: the chunks of a PNG file, and the first bytes of any."""

from __future__ import annotations

import random
import struct
import zlib

from .plain import change_bytes, changed_list


def change_png(rng: random.Random, data: bytes) -> bytes:
    """Changes one chunk, whose checksum is right again."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return change_bytes(rng, data)
    chunks = changed_list(rng, chunks, lambda: _new_chunk(rng, *rng.choice(chunks)))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return data[:8] + b"".join(parts)


def _new_chunk(rng, kind, content):
    if kind == b"IDAT" and rng.random() < 0.5:
        return kind, zlib.compress(rng.randbytes(rng.choice((0, 10, 7000))))
    return rng.choice((kind, kind, b"tRNS", b"eXIf", b"acTL", b"PLTE")), change_bytes(rng, content)


def change_head(rng: random.Random, data: bytes) -> bytes:
    """Changes bytes among the first 200, where the sizes and types are."""
    return change_bytes(rng, data[:200]) + data[200:]
