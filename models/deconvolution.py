"""Deconvolution modules: coarse maps tell the fine ones what they see (Fu et al., "DSSD", section 3)."""

from __future__ import annotations

from functools import partial

import keras
from keras import layers

from .conv_bn import conv_bn, kaiming_normal
from .feature_pyramid import excess_of

CHANNELS = 512


def deconvolution(maps: dict[str, keras.KerasTensor], regularizer) -> dict[str, keras.KerasTensor]:
    """{name: feature map}: each map multiplied by what the same makes of the next coarser one.

    All results have 512 channels but the coarsest, which stays as it is.

    Args:
        maps: feature maps, fine to coarse. A side has 2n - 1, 2n or 2n + 1 cells, where the next has n.
        regularizer: of the kernels, or None.

    Raises:
        ValueError: if a map has another number of rows or columns.
    """
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer}
    conv = partial(conv_bn, channels=CHANNELS, kernel=3, **init)
    *finer, coarsest = maps
    joined = {coarsest: maps[coarsest]}
    above = maps[coarsest]
    for name in reversed(finer):
        prefix = f"deconv_{name}"
        up = conv(_upsampled(above, maps[name], prefix, regularizer), name=f"{prefix}_up")
        x = conv(maps[name], name=f"{prefix}_lateral1", activation="relu")
        x = layers.Multiply(name=f"{prefix}_multiply")([conv(x, name=f"{prefix}_lateral2"), up])
        above = joined[prefix] = layers.Activation("relu", name=f"{prefix}_out")(x)
    return dict(reversed(joined.items()))


def _upsampled(x, finer, prefix, regularizer):
    """A map at the size of a finer one.

    The paper's 2x2 kernel at stride 2 makes 2n cells of n. Of them the last is cut where the finer map has
    one less. Where it has one more (3 cells above 1), the kernel has three.
    """
    excess = excess_of(x, finer, (-1, 0, 1), "deconvolution")
    x = layers.Conv2DTranspose(
        CHANNELS,
        tuple(3 if cut == -1 else 2 for cut in excess),
        strides=2,
        kernel_initializer=kaiming_normal(),
        kernel_regularizer=regularizer,
        name=f"{prefix}_deconv",
    )(x)
    if 1 in excess:
        crop = tuple((0, max(0, cut)) for cut in excess)
        x = layers.Cropping2D(crop, name=f"{prefix}_crop")(x)
    return x
