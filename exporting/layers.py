"""What each Keras layer of the networks is in ONNX.

Keras has the channels last, ONNX second: feature maps are (batch, channels, rows, columns) here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from ..layers import ImageNormalization, L2Normalization
from .graph import Graph

# {name of the Keras function: function (graph, tensor) that returns the result}
ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "linear": lambda graph, x: x,
    "relu": lambda graph, x: graph.add("Relu", x),
    "relu6": lambda graph, x: graph.add("Clip", x, graph.floats(0.0), graph.floats(6.0)),
    "elu": lambda graph, x: graph.add("Elu", x),
    "hard_silu": lambda graph, x: graph.add("HardSwish", x),
    "hard_sigmoid": lambda graph, x: graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5),
}


class Step(NamedTuple):
    """A call of a layer on its way into the graph.

    Attributes:
        graph: the `Graph`.
        layer: the layer.
        shapes: shapes of its inputs as Keras has them, the batch first and the channels last.
        name: name of the layer, unique in the model.
    """

    graph: Graph
    layer: Any
    shapes: Sequence[tuple[int | None, ...]]
    name: str


def add_layer(step: Step, *inputs: str) -> str:
    """Adds a layer to the graph.

    Args:
        step: the layer and where it is added.
        *inputs: names of its inputs.

    Returns:
        The name of its output.

    Raises:
        ValueError: for a layer that the networks of this package do not have, or a setting of it.
    """
    if type(step.layer) not in CONVERTERS:
        known = ", ".join(kind.__name__ for kind in CONVERTERS)
        raise _refused(step, f"its class {type(step.layer).__name__} is none of {known}")
    if getattr(step.layer, "data_format", "channels_last") != "channels_last":
        raise _refused(step, "its channels are not last")
    return CONVERTERS[type(step.layer)](step, *inputs)


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
    kernel = _array(step.layer.kernel)  # (rows, columns, inputs of a group, outputs)
    return _convolution(step, x, kernel.transpose(3, 2, 0, 1), step.layer.groups)


def _depthwise(step, x):
    kernel = _array(step.layer.kernel)  # (rows, columns, inputs, outputs of each input)
    rows, columns, channels, _ = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, rows, columns)
    return _convolution(step, x, kernel, channels)


def _convolution(step, x, kernel, groups):
    graph, layer = step.graph, step.layer
    bias = [graph.floats(_array(layer.bias))] if layer.use_bias else []
    window = {"kernel_shape": kernel.shape[2:], "strides": layer.strides, "dilations": layer.dilation_rate}
    settings = {**window, "pads": _pads(step, **window), "group": groups}
    x = graph.add("Conv", x, graph.floats(kernel), *bias, name=step.name, **settings)
    return _activation(step, x)


def _max_pool(step, x):
    window = {"kernel_shape": step.layer.pool_size, "strides": step.layer.strides, "dilations": (1, 1)}
    return step.graph.add("MaxPool", x, name=step.name, pads=_pads(step, **window), **window)


def _pads(step, kernel_shape, strides, dilations):
    """Top, left, bottom, right. "same" puts an odd pixel at the bottom and right, as TensorFlow does."""
    if step.layer.padding == "valid":
        return [0, 0, 0, 0]
    before, after = [], []
    for size, kernel, stride, dilation in zip(
        step.shapes[0][1:3], kernel_shape, strides, dilations, strict=True
    ):
        missing = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return [*before, *after]


def _zero_padding(step, x):
    (top, bottom), (left, right) = step.layer.padding
    pads = step.graph.integers([0, 0, top, left, 0, 0, bottom, right])
    return step.graph.add("Pad", x, pads, name=step.name)


def _batch_norm(step, x):
    layer, channels = step.layer, step.shapes[0][-1]
    if layer.axis not in (-1, 3):
        raise _refused(step, f"it normalizes axis {layer.axis}")
    scale = _array(layer.gamma) if layer.scale else np.ones(channels)
    offset = _array(layer.beta) if layer.center else np.zeros(channels)
    numbers = scale, offset, _array(layer.moving_mean), _array(layer.moving_variance)
    inputs = x, *map(step.graph.floats, numbers)
    return step.graph.add("BatchNormalization", *inputs, name=step.name, epsilon=layer.epsilon)


def _activation(step, x):
    name = keras.activations.serialize(step.layer.activation)
    if name not in ACTIVATIONS:
        raise _refused(step, f"its activation {name!r} is not supported; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name](step.graph, x)


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
    if not step.layer.keepdims:
        raise _refused(step, "keepdims must be True")
    return step.graph.add("GlobalAveragePool", x, name=step.name)


def _l2_normalization(step, x):
    graph = step.graph
    squares = graph.add("ReduceSum", graph.add("Mul", x, x), graph.integers([1]))
    squares = graph.add("Add", squares, graph.floats(L2Normalization.EPSILON))
    factor = graph.add("Pow", squares, graph.floats(-0.5))  # OpenVINO would make Pow of Div, in bfloat16
    gamma = _array(step.layer.gamma).reshape(1, -1, 1, 1)
    return graph.add("Mul", graph.add("Mul", x, factor), graph.floats(gamma), name=step.name)


def _array(variable):
    return np.asarray(ops.convert_to_numpy(variable), np.float32)


def _refused(step, why):
    return ValueError(f"export: the layer {step.name!r} cannot be exported: {why}")


CONVERTERS: dict[type, Callable[..., str]] = {
    ImageNormalization: add_normalization,
    L2Normalization: _l2_normalization,
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _batch_norm,
    layers.Activation: _activation,
    layers.MaxPooling2D: _max_pool,
    layers.ZeroPadding2D: _zero_padding,
    layers.GlobalAveragePooling2D: _average,
    layers.Add: _add,
    layers.Multiply: _multiply,
}
