"""What each Keras layer of the networks is in ONNX.

Keras has the channels last, ONNX second: feature maps are (batch, channels, rows, columns) here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import layers

from ..layers import BatchNormalization, ImageNormalization, L2Normalization
from .activations import activated
from .step import Step, array, pads_of, refused


def add_normalization(step: Step, pixels: str) -> str:
    """Adds `ImageNormalization`, from pixels (batch, rows, columns, channels) float32 to a feature map."""
    graph, layer = step.graph, step.layer
    # No Sub: OpenVINO takes Cast, Sub and Mul for the dequantization of a quantized network.
    centered = graph.add("Add", pixels, graph.floats(np.negative(layer.mean)))
    x = graph.add("Mul", centered, graph.floats(layer.scale))
    channels = step.shapes[0][-1]
    if layer.bgr and channels >= 3:
        x = graph.add("Gather", x, graph.integers([2, 1, 0, *range(3, channels)]), axis=3)
    return graph.add("Transpose", x, perm=[0, 3, 1, 2], name=step.name)


def _conv(step, x):
    kernel = array(step.layer.kernel)  # (rows, columns, inputs of a group, outputs)
    return _convolution(step, x, kernel.transpose(3, 2, 0, 1), step.layer.groups)


def _depthwise(step, x):
    kernel = array(step.layer.kernel)  # (rows, columns, inputs, outputs of each input)
    rows, columns, channels, _ = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, rows, columns)
    return _convolution(step, x, kernel, channels)


def _convolution(step, x, kernel, groups):
    graph, layer = step.graph, step.layer
    bias = [graph.floats(array(layer.bias))] if layer.use_bias else []
    window = {"kernel_shape": kernel.shape[2:], "strides": layer.strides, "dilations": layer.dilation_rate}
    settings = {**window, "pads": pads_of(step, **window), "group": groups}
    x = graph.add("Conv", x, graph.floats(kernel), *bias, name=step.name, **settings)
    return activated(step, x)


def _max_pool(step, x):
    window = {"kernel_shape": step.layer.pool_size, "strides": step.layer.strides, "dilations": (1, 1)}
    return step.graph.add("MaxPool", x, name=step.name, pads=pads_of(step, **window), **window)


def _zero_padding(step, x):
    (top, bottom), (left, right) = step.layer.padding
    pads = step.graph.integers([0, 0, top, left, 0, 0, bottom, right])
    return step.graph.add("Pad", x, pads, name=step.name)


def _batch_norm(step, x):
    layer, channels = step.layer, step.shapes[0][-1]
    if layer.axis not in (-1, 3):
        raise refused(step, f"it normalizes axis {layer.axis}")
    scale = array(layer.gamma) if layer.scale else np.ones(channels)
    offset = array(layer.beta) if layer.center else np.zeros(channels)
    numbers = scale, offset, array(layer.moving_mean), array(layer.moving_variance)
    inputs = x, *map(step.graph.floats, numbers)
    return step.graph.add("BatchNormalization", *inputs, name=step.name, epsilon=layer.epsilon)


def _add(step, *inputs):
    return _pairwise("Add", step, inputs)


def _multiply(step, *inputs):
    return _pairwise("Mul", step, inputs)


def _pairwise(operator, step, inputs):
    x, *others = inputs
    for other in others:
        x = step.graph.add(operator, x, other, name=step.name)
    return x


def _average(step, x):
    # Without keepdims, too: only a Reshape to one cell takes it then.
    return step.graph.add("GlobalAveragePool", x, name=step.name)


def _l2_normalization(step, x):
    graph = step.graph
    squares = graph.add("ReduceSum", graph.add("Mul", x, x), graph.integers([1]))
    squares = graph.add("Add", squares, graph.floats(L2Normalization.EPSILON))
    factor = graph.add("Pow", squares, graph.floats(-0.5))  # OpenVINO would make Pow of Div, in bfloat16
    gamma = array(step.layer.gamma).reshape(1, -1, 1, 1)
    return graph.add("Mul", graph.add("Mul", x, factor), graph.floats(gamma), name=step.name)


CONVERTERS: dict[type, Callable[..., str]] = {
    ImageNormalization: add_normalization,
    L2Normalization: _l2_normalization,
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _batch_norm,
    BatchNormalization: _batch_norm,
    layers.Activation: activated,
    layers.MaxPooling2D: _max_pool,
    layers.ZeroPadding2D: _zero_padding,
    layers.GlobalAveragePooling2D: _average,
    layers.Add: _add,
    layers.Multiply: _multiply,
}
