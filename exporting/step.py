"""`Step`: a call of a layer on its way into an ONNX graph, and what the converters of layers share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from .graph import Graph


class Step(NamedTuple):
    """A call of a layer on its way into the graph.

    Attributes:
        graph: the `Graph`.
        layer: the layer.
        shapes: shapes of its inputs as Keras has them, the batch first and the channels last.
        name: name of the layer, unique in the model.
        constants: {position: value} of the arguments that are no tensors, of an operation of `keras.ops`.
    """

    graph: Graph
    layer: Any
    shapes: Sequence[tuple[int | None, ...]]
    name: str
    constants: Mapping[int, Any] = MappingProxyType({})


def pads_of(step: Step, kernel_shape, strides, dilations) -> list[int]:
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


def array(variable) -> np.ndarray:
    """The numbers of a variable, float32."""
    return np.asarray(ops.convert_to_numpy(variable), np.float32)


def refused(step: Step, why: str) -> ValueError:
    """The error that names a layer and the reason."""
    return ValueError(f"export: the layer {step.name!r} cannot be exported: {why}")
