"""What the layers of `keras.applications` are in ONNX, besides those of this package's own networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import layers

from .activations import activated
from .step import array, pads_of, refused

CHANNELS = 1  # the axis


def _relu(step, x):
    layer, graph = step.layer, step.graph
    if layer.threshold:
        raise refused(step, "it has a threshold")
    if layer.negative_slope:
        x = _leaky_relu(step, x)
        return x if layer.max_value is None else graph.add("Min", x, graph.floats(layer.max_value))
    if layer.max_value is None:
        return graph.add("Relu", x, name=step.name)
    return graph.add("Clip", x, graph.floats(0.0), graph.floats(layer.max_value), name=step.name)


def _leaky_relu(step, x):
    return step.graph.add("LeakyRelu", x, alpha=float(step.layer.negative_slope), name=step.name)


def _prelu(step, x):
    slopes = array(step.layer.alpha).transpose(2, 0, 1)  # of (rows, columns, channels), some of them 1
    return step.graph.add("PRelu", x, step.graph.floats(slopes), name=step.name)


def _rescaling(step, x):
    scale, offset = _by_channel(step.layer.scale), _by_channel(step.layer.offset)
    return _affine(step, x, scale, offset)


def _normalization(step, x):
    layer = step.layer
    if layer.invert:
        raise refused(step, "it is inverted")
    deviation = np.maximum(np.sqrt(array(layer.variance)), np.finfo(np.float32).eps)
    return _affine(step, x, _by_channel(1 / deviation), _by_channel(-array(layer.mean) / deviation))


def _affine(step, x, scale, offset):
    graph = step.graph
    x = graph.add("Mul", x, graph.floats(scale))
    return graph.add("Add", x, graph.floats(offset), name=step.name)


def _by_channel(numbers):
    numbers = np.asarray(numbers, np.float32)
    return numbers if numbers.size == 1 else numbers.reshape(1, -1, 1, 1)


def _concatenate(step, *inputs):
    if step.layer.axis not in (-1, 3):
        raise refused(step, f"it joins along axis {step.layer.axis}")
    return step.graph.add("Concat", *inputs, axis=CHANNELS, name=step.name)


def _average_pool(step, x):
    window = {"kernel_shape": step.layer.pool_size, "strides": step.layer.strides}
    pads = pads_of(step, **window, dilations=(1, 1))
    return step.graph.add("AveragePool", x, name=step.name, pads=pads, **window)


def _transposed_conv(step, x):
    layer, graph = step.layer, step.graph
    if layer.padding != "valid" or getattr(layer, "output_padding", None) is not None:
        raise refused(step, "it has a padding")
    kernel = array(layer.kernel).transpose(3, 2, 0, 1)  # of (rows, columns, outputs, inputs)
    # Keras makes at least stride cells of each.
    missing = [max(0, stride - side) for side, stride in zip(kernel.shape[2:], layer.strides, strict=True)]
    settings = {"strides": layer.strides, "dilations": layer.dilation_rate, "output_padding": missing}
    bias = [graph.floats(array(layer.bias))] if layer.use_bias else []
    x = graph.add("ConvTranspose", x, graph.floats(kernel), *bias, name=step.name, **settings)
    return activated(step, x)


def _upsampling(step, x):
    layer, graph = step.layer, step.graph
    if layer.interpolation != "nearest":
        raise refused(step, f"its interpolation is {layer.interpolation}")
    scales = graph.floats([1.0, 1.0, *map(float, layer.size)])
    settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", x, "", scales, name=step.name, **settings)


def _cropping(step, x):
    graph = step.graph
    sides = zip(step.layer.cropping, step.shapes[0][1:3], strict=True)
    first, last = zip(*((low, size - high) for (low, high), size in sides), strict=True)
    return graph.add("Slice", x, *map(graph.integers, (first, last, (2, 3))), name=step.name)


def _nothing(step, x):
    """A layer that does something in training only."""
    return x


def _reshape(step, x):
    """What squeeze-and-excitation does: (batch, channels), which has four axes here, to one cell."""
    shape = step.shapes[0]
    if len(shape) != 2 or tuple(step.layer.target_shape) != (1, 1, shape[1]):
        raise refused(step, f"it makes {step.layer.target_shape} of {shape[1:]}")
    return x


def _dense(step, x):
    """On the channels of a feature map: a 1x1 convolution."""
    if len(step.shapes[0]) != 4:
        raise refused(step, "it takes no feature map")
    kernel = array(step.layer.kernel).T[..., None, None]
    bias = [step.graph.floats(array(step.layer.bias))] if step.layer.use_bias else []
    x = step.graph.add("Conv", x, step.graph.floats(kernel), *bias, name=step.name)
    return activated(step, x)


def _layer_normalization(step, x):
    layer, graph = step.layer, step.graph
    if list(np.atleast_1d(layer.axis)) not in ([-1], [3]):
        raise refused(step, f"it normalizes axis {layer.axis}")
    centered = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[CHANNELS]))
    variance = graph.add("ReduceMean", graph.add("Mul", centered, centered), axes=[CHANNELS])
    variance = graph.add("Add", variance, graph.floats(layer.epsilon))
    x = graph.add("Mul", centered, graph.add("Pow", variance, graph.floats(-0.5)))
    if layer.gamma is not None:
        x = graph.add("Mul", x, graph.floats(_by_channel(array(layer.gamma))))
    if layer.beta is not None:
        x = graph.add("Add", x, graph.floats(_by_channel(array(layer.beta))))
    return x


def _layer_scale(step, x):
    """`LayerScale` of ConvNeXt, a class that Keras does not export."""
    return step.graph.add("Mul", x, step.graph.floats(_by_channel(array(step.layer.gamma))), name=step.name)


# By name, because Keras does not export the classes.
BY_NAME: dict[str, Callable[..., str]] = {
    "LayerScale": _layer_scale,
    "StochasticDepth": _nothing,
}
CONVERTERS: dict[type, Callable[..., str]] = {
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.PReLU: _prelu,
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    layers.Concatenate: _concatenate,
    layers.AveragePooling2D: _average_pool,
    layers.Conv2DTranspose: _transposed_conv,
    layers.UpSampling2D: _upsampling,
    layers.Cropping2D: _cropping,
    layers.Dropout: _nothing,
    layers.Reshape: _reshape,
    layers.Dense: _dense,
    layers.LayerNormalization: _layer_normalization,
}
