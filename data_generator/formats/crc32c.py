"""CRC-32C, the checksum of TFRecord files, of many bytes at once with NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_PIECE = 64  # bytes
_SHORT = 256  # bytes that a plain loop reads as fast
_MASK_DELTA = 0xA282EAD8  # TensorFlow stores masked checksums


def _table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


_BYTE = _table()
_BYTE_LIST = _BYTE.tolist()
# Two bytes at a time.
_PAIR = np.arange(65536, dtype=np.uint32)
_PAIR = _BYTE[_PAIR & 255] ^ (_PAIR >> 8)
_PAIR = _BYTE[_PAIR & 255] ^ (_PAIR >> 8)


def masked_crc32c(data: bytes | memoryview) -> int:
    """The checksum as TFRecord files store it: rotated, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C (Castagnoli) of bytes.

    Long data is cut into pieces whose checksums are computed side by side, and then joined two by two: a
    checksum is linear, so the first of two counts as if zeros followed it. Zeros in front count for nothing.
    """
    if len(data) < _SHORT:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = _BYTE_LIST[(crc ^ byte) & 255] ^ crc >> 8
        return crc ^ 0xFFFFFFFF
    padded = np.zeros(-(-len(data) // _PIECE) * _PIECE, np.uint8)
    start = len(padded) - len(data)
    padded[start:] = np.frombuffer(data, np.uint8)
    padded[start : start + 4] ^= 255  # the checksum begins with ones
    pairs = padded.view("<u2").reshape(-1, _PIECE // 2).T.astype(np.uint32)
    crcs = np.zeros(pairs.shape[1], np.uint32)
    for pair in pairs:
        crcs = _PAIR[(crcs ^ pair) & 0xFFFF] ^ (crcs >> 16)
    round_ = 0
    while len(crcs) > 1:
        if len(crcs) % 2:
            crcs = np.concatenate([np.zeros(1, np.uint32), crcs])
        crcs = _apply(_zeros(round_), crcs[::2]) ^ crcs[1::2]
        round_ += 1
    return int(crcs[0]) ^ 0xFFFFFFFF


@cache
def _zeros(round_):
    """What 64 * 2 ** round_ zero bytes make of a checksum: tables for its four bytes, (4, 256)."""
    if round_:
        half = _zeros(round_ - 1)
        return _apply(half, half)
    tables = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    for _ in range(_PIECE):
        tables = _BYTE[tables & 255] ^ (tables >> 8)
    return tables


def _apply(tables, crcs):
    low = tables[0][crcs & 255] ^ tables[1][crcs >> 8 & 255]
    return low ^ tables[2][crcs >> 16 & 255] ^ tables[3][crcs >> 24]
