"""What each activation of Keras is in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras

from .graph import Graph
from .step import Step, refused


def _gelu(graph, x):
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    curve = graph.add("Erf", graph.add("Mul", x, graph.floats(math.sqrt(0.5))))
    return graph.add(
        "Mul", graph.add("Mul", x, graph.floats(0.5)), graph.add("Add", curve, graph.floats(1.0))
    )


# {name of the Keras function: function (graph, tensor) that returns the result}
ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "linear": lambda graph, x: x,
    "relu": lambda graph, x: graph.add("Relu", x),
    "relu6": lambda graph, x: graph.add("Clip", x, graph.floats(0.0), graph.floats(6.0)),
    "leaky_relu": lambda graph, x: graph.add("LeakyRelu", x, alpha=0.2),
    "elu": lambda graph, x: graph.add("Elu", x),
    "hard_silu": lambda graph, x: graph.add("HardSwish", x),
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
    "gelu": _gelu,
    "hard_sigmoid": lambda graph, x: graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5),
}


def activated(step: Step, x: str) -> str:
    """Adds the activation of a layer.

    Raises:
        ValueError: for one that is not in `ACTIVATIONS`.
    """
    name = keras.activations.serialize(step.layer.activation)
    if name not in ACTIVATIONS:
        raise refused(step, f"its activation {name!r} is not supported; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name](step.graph, x)
