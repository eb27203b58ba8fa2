"""The brick of every MobileNet: convolution, BatchNorm, activation."""

import keras
from keras import layers

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
    """Convolution without bias, BatchNorm, activation.

    Args:
        x: feature map.
        channels: of the output; None for a depthwise convolution.
        kernel: rows and columns of the kernel, odd.
        name: of the convolution; the other layers append to it.
        kernel_init: function (depthwise=False) to the kernel's initializer.
        regularizer: of the kernel, or None.
        activation: name of the activation, or None.
        stride: in both directions.
        padding: at stride 2, "torch": kernel // 2 on all sides; "same": TensorFlow's and Keras', one less on
            the near side where the size is even. Weights work well only with the padding they have seen.
        batch_norm: False: a bias instead, for weights whose BatchNorm has been folded into the kernel.
        bn_name: of the BatchNorm; None for "<name>_bn".
    """
    if padding == "torch" and stride > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_padding")(x)
        padding = "valid"
    else:
        padding = "same"
    settings = {"strides": stride, "padding": padding, "use_bias": not batch_norm, "name": name}
    x = _convolution(x, channels, kernel, kernel_init, regularizer, settings)
    if batch_norm:
        bn = {"momentum": BN_MOMENTUM, "epsilon": BN_EPSILON, "name": bn_name or f"{name}_bn"}
        x = layers.BatchNormalization(**bn)(x)
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
    """torch's `kaiming_normal_`; torchvision starts MobileNets with fan_out.

    torch counts the channels of a depthwise kernel (channels, 1, k, k) as its outputs, Keras those of its
    (k, k, channels, 1) as inputs, so the fan is the other one.
    """
    if depthwise:
        mode = {"fan_in": "fan_out", "fan_out": "fan_in"}[mode]
    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")


def make_divisible(channels, divisor=8):
    """Rounds to a multiple of 8, one step up where that would lose more than 10 %."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def normal_003(depthwise=False):
    """What torchvision and the TensorFlow Object Detection API start everything after the backbone from."""
    return keras.initializers.RandomNormal(stddev=0.03)
