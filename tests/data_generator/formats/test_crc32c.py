"""Known values: RFC 3720 (B.4), and a plain loop."""

import numpy as np
import pytest

from multibox.data_generator.formats.crc32c import crc32c, masked_crc32c


def plain(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def test_published_values():
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert masked_crc32c(b"") == 0xA282EAD8


@pytest.mark.parametrize("length", [1, 255, 256, 257, 320, 4095, 20_481])
def test_pieces_side_by_side_are_the_plain_loop(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == plain(data) == crc32c(memoryview(data))
