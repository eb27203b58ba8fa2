"""Feature pyramid: coarse maps tell the fine ones what they see (Lin et al., "Feature Pyramid Networks")."""

from __future__ import annotations

import keras
from keras import layers

CHANNELS = 256


def feature_pyramid(
    maps: dict[str, keras.KerasTensor], regularizer, channels: int = CHANNELS
) -> dict[str, keras.KerasTensor]:
    """{name: feature map}, all with the same number of channels (section 3, figure 3).

    Args:
        maps: feature maps of the backbone, fine to coarse, each with half the rows and columns of the one
            before, rounded up.
        regularizer: of the kernels, or None.
        channels: number of channels of the result.

    Raises:
        ValueError: if a map has not half the rows and columns of the one before.
    """

    def conv(x, kernel, name):
        settings = {"padding": "same", "kernel_initializer": "glorot_uniform"}
        return layers.Conv2D(channels, kernel, kernel_regularizer=regularizer, name=name, **settings)(x)

    joined, above = {}, None
    for name in reversed(maps):
        x = conv(maps[name], 1, f"fpn_{name}_lateral")
        if above is not None:
            x = layers.Add(name=f"fpn_{name}_add")([x, _upsampled(above, x, name)])
        joined[name] = above = x
    return {f"fpn_{name}": conv(joined[name], 3, f"fpn_{name}") for name in maps}


def excess_of(
    x: keras.KerasTensor, finer: keras.KerasTensor, allowed: tuple[int, ...], neck: str
) -> list[int]:
    """By how many rows and columns twice a map exceeds the finer one. ValueError if one is not `allowed`."""
    excess = [2 * x.shape[i] - finer.shape[i] for i in (1, 2)]
    if any(cut not in allowed for cut in excess):
        raise ValueError(
            f"SSD: neck='{neck}' needs maps of half the rows and columns of the one before, got "
            f"{finer.shape[1]}x{finer.shape[2]} before {x.shape[1]}x{x.shape[2]}"
        )
    return excess


def _upsampled(x, finer, name):
    """A map at the size of a finer one: each cell becomes four, of which an odd last row or column is cut."""
    excess = excess_of(x, finer, (0, 1), "fpn")
    x = layers.UpSampling2D(2, name=f"fpn_{name}_upsample")(x)
    if any(excess):
        x = layers.Cropping2D(((0, excess[0]), (0, excess[1])), name=f"fpn_{name}_crop")(x)
    return x
