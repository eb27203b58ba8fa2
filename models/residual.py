"""Residual blocks: the prediction module and the extra layers of SSD321 (Fu et al., "DSSD", section 3).

Convolution, BatchNorm and ReLU follow each other as in ResNet's own blocks.
"""

from __future__ import annotations

import keras
from keras import layers

from .conv_bn import conv_bn, kaiming_normal

SQUEEZE, PREDICTED = 256, 1024  # channels of the prediction module


def prediction_module(x: keras.KerasTensor, name: str, regularizer) -> keras.KerasTensor:
    """Variant (c) of figure 2: three 1x1 convolutions beside a fourth one.

    Args:
        x: feature map.
        name: beginning of the names of the layers.
        regularizer: of the kernels, or None.

    Returns:
        A map of the same rows and columns with 1024 channels.
    """
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer}
    y = conv_bn(x, SQUEEZE, 1, f"{name}_reduce", activation="relu", **init)
    y = conv_bn(y, SQUEEZE, 1, f"{name}_middle", activation="relu", **init)
    y = conv_bn(y, PREDICTED, 1, f"{name}_expand", **init)
    return _joined(conv_bn(x, PREDICTED, 1, f"{name}_shortcut", **init), y, name)


def residual_extra(x: keras.KerasTensor, channels: int, name: str, regularizer) -> keras.KerasTensor:
    """A residual block at stride 2, with a quarter of the channels inside.

    A side of three cells becomes one, as in SSD300. Other sides are halved and rounded up.

    Args:
        x: feature map.
        channels: number of channels of the result.
        name: beginning of the names of the layers.
        regularizer: of the kernels, or None.
    """
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer}
    # Without padding, the one 3x3 window of a side of three has its center in the middle cell. The shortcut
    # reads the centers.
    border = tuple(int(side == 3) for side in x.shape[1:3])
    y = conv_bn(x, channels // 4, 1, f"{name}_reduce", activation="relu", **init)
    if border != (1, 1):
        y = layers.ZeroPadding2D((1 - border[0], 1 - border[1]), name=f"{name}_padding")(y)
    y = conv_bn(y, channels // 4, 3, f"{name}_middle", activation="relu", stride=2, padding="valid", **init)
    y = conv_bn(y, channels, 1, f"{name}_expand", **init)
    if border != (0, 0):
        x = layers.Cropping2D(border, name=f"{name}_crop")(x)
    return _joined(conv_bn(x, channels, 1, f"{name}_shortcut", stride=2, padding="valid", **init), y, name)


def _joined(shortcut, x, name):
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)
