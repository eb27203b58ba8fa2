"""The building block of every MobileNet: convolution, BatchNormalization, activation."""

import keras
from keras import layers

from ..layers import BatchNormalization

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.97


def conv_bn(
    x,
    channels,
    kernel,
    name,
    kernel_init,
    regularizer,
    activation=None,
    stride=1,
    padding="torch",
    batch_norm=True,
    bn_name=None,
):
    """Convolution without bias, BatchNormalization, activation.

    Args:
        x: feature map.
        channels: number of output channels; None: the convolution is depthwise.
        kernel: rows and columns of the kernel, odd.
        name: name of the convolution. The names of the other layers are derived from it.
        kernel_init: function (depthwise=False) that returns the initializer of the kernel.
        regularizer: regularizer of the kernel, or None.
        activation: name of the activation, or None.
        stride: stride in both directions.
        padding: padding at stride 2. Use the one that the pretrained weights were trained with; the other
            costs accuracy.

            * "torch": kernel // 2 on all sides.
            * "same": as in TensorFlow and Keras, one less at the top and left if the size is even.
            * "valid": none.
        batch_norm: whether to use BatchNorm. False: a bias instead, for weights whose BatchNorm has been
            folded into the kernel.
        bn_name: name of the BatchNorm; None for "<name>_bn".
    """
    if padding == "torch" and stride > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_padding")(x)
        padding = "valid"
    elif padding == "torch":
        padding = "same"
    settings = {"strides": stride, "padding": padding, "use_bias": not batch_norm, "name": name}
    x = _convolution(x, channels, kernel, kernel_init, regularizer, settings)
    if batch_norm:
        bn = {"momentum": BN_MOMENTUM, "epsilon": BN_EPSILON, "name": bn_name or f"{name}_bn"}
        x = BatchNormalization(**bn)(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_activation")(x)


def _convolution(x, channels, kernel, kernel_init, regularizer, settings):
    if channels is None:
        return layers.DepthwiseConv2D(
            kernel,
            depthwise_initializer=kernel_init(depthwise=True),
            depthwise_regularizer=regularizer,
            **settings,
        )(x)
    return layers.Conv2D(
        channels, kernel, kernel_initializer=kernel_init(), kernel_regularizer=regularizer, **settings
    )(x)


def kaiming_normal(depthwise=False, mode="fan_out"):
    """torch's `kaiming_normal_`. torchvision initializes MobileNets with fan_out.

    For a depthwise kernel the fans are swapped: torch counts the channels of (channels, 1, k, k) as outputs,
    Keras counts the channels of (k, k, channels, 1) as inputs.
    """
    if depthwise:
        mode = {"fan_in": "fan_out", "fan_out": "fan_in"}[mode]
    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")


def make_divisible(channels, divisor=8):
    """Rounds to the nearest multiple of 8, or to the next one if rounding down would lose more than 10 %."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def scaled(channels, alpha, min_depth):
    """The number of channels in a network of width `alpha`."""
    return max(min_depth, int(channels * alpha))


def normal_003(depthwise=False):
    """Initializer that torchvision and the TensorFlow Object Detection API use after the backbone."""
    return keras.initializers.RandomNormal(stddev=0.03)
