"""Weights and a picture drawn by rule: the same for a network and for its reference in another framework."""

import zlib

import numpy as np


def drawn_weight(name, shape):
    """float32 of the shape. A kernel (4 axes) has torch's layout: (out, in of a group, rows, columns)."""
    numbers = np.random.default_rng(zlib.crc32(name.encode())).random(shape)
    if len(shape) == 4:
        numbers = (2 * numbers - 1) * np.sqrt(4.5 / np.prod(shape[1:]))
    elif name.endswith(("bias", "running_mean")):
        numbers = 0.6 * numbers - 0.3
    else:  # the scale and the variance of a BatchNorm
        numbers += 0.5
    return numbers.astype(np.float32)


def drawn_picture(height, width):
    """Patches of 8x8 pixels with noise, (height, width, 3) uint8."""
    rng = np.random.default_rng(height)
    patches = rng.integers(0, 200, (-(-height // 8), -(-width // 8), 3))
    patches = patches.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return (patches + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)
