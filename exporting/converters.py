"""All converters of layers."""

from __future__ import annotations

import keras

from . import backbone_layers, layers, operations
from .step import Step, refused

CONVERTERS = {**layers.CONVERTERS, **backbone_layers.CONVERTERS}


def add_layer(step: Step, *inputs: str) -> str:
    """Adds a layer to the graph.

    Args:
        step: the layer and where it is added.
        *inputs: names of its inputs.

    Returns:
        The name of its output.

    Raises:
        ValueError: for a layer of another class, or a setting of it that ONNX does not have.
    """
    kind = type(step.layer)
    by_name = backbone_layers if isinstance(step.layer, keras.layers.Layer) else operations
    converter = CONVERTERS.get(kind) or by_name.BY_NAME.get(kind.__name__)
    if converter is None:
        known = ", ".join(dict.fromkeys(kind.__name__ for kind in CONVERTERS))
        raise refused(step, f"its class {kind.__name__} is none of {known}")
    if getattr(step.layer, "data_format", "channels_last") != "channels_last":
        raise refused(step, "its channels are not last")
    return converter(step, *inputs)
