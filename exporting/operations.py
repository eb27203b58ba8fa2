"""What operations of `keras.ops` are in ONNX: `x + y`, `x * 0.5` and the like in a functional model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from keras import ops

from .step import refused


def _pairwise(operator, step, *inputs):
    """An operation of two maps, or of a map and a constant at either place."""
    operands = list(inputs)
    for at, value in sorted(step.constants.items()):
        operands.insert(at, step.graph.floats(_constant(step, value)))
    if len(operands) != 2:
        raise refused(step, f"it has {len(operands)} operands")
    if len({len(shape) for shape in step.shapes}) > 1:
        raise refused(step, f"its operands have the shapes {', '.join(map(str, step.shapes))}")
    return step.graph.add(operator, *operands, name=step.name)


def _unary(operator, step, x):
    if step.constants:
        raise refused(step, f"it has the arguments {list(step.constants.values())}")
    return step.graph.add(operator, x, name=step.name)


def _constant(step, value):
    """A constant that Keras spreads over (batch, rows, columns, channels), with the channels second."""
    try:
        array = np.asarray(ops.convert_to_numpy(value), np.float32)
    except (TypeError, ValueError):
        raise refused(step, f"its argument {type(value).__name__} is no number") from None
    if array.ndim > 4:
        raise refused(step, f"its constant has {array.ndim} axes")
    return array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(0, 3, 1, 2)


_PAIRS = {
    **{"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div"},
    **{"Maximum": "Max", "Minimum": "Min"},
}
_UNARY = {"Relu": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Negative": "Neg"}
# By the name of the class of an operation, which Keras does not export.
BY_NAME: dict[str, Callable[..., str]] = {
    **{name: partial(_pairwise, operator) for name, operator in _PAIRS.items()},
    **{name: partial(_unary, operator) for name, operator in _UNARY.items()},
}
