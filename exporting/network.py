"""The network of a detector as an ONNX graph, from pixels to detections."""

from __future__ import annotations

import keras
from onnx import ModelProto, TensorProto, helper

from ..layers import AnchorBoxes, DecodeDetections, MultiBox
from ..layers.multibox import multibox_of
from ..models.graph import calls_of
from .converters import add_layer
from .decoding import Decoder
from .graph import Graph
from .step import Step

IMAGE, DETECTIONS = "image", "detections"
PREDICTIONS = ("offsets", "logits")


def onnx_model(
    detector: keras.Model, version: str, metadata: dict[str, str], *, inner: bool = False
) -> ModelProto:
    """The ONNX model of a detector.

    Args:
        detector: a model that ends in `DecodeDetections`.
        version: version of this package.
        metadata: what the file says about itself.
        inner: whether the network's outputs, offsets and logits, are outputs too.

    Returns:
        A model from "image" (batch, height, width, channels) uint8 to "detections"
        (batch, max_detections, 6), as of the detector.

    Raises:
        ValueError: for a layer that cannot be exported.
    """
    graph, multibox = Graph(), multibox_of(detector)
    shape = ("batch", *detector.input_shape[1:])
    image = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, shape)
    offsets, logits = _add_network(graph, detector)
    (decoding,) = (layer for layer in detector.layers if isinstance(layer, DecodeDetections))
    anchors, classes = multibox.anchors, multibox.num_classes
    found = Decoder(graph, anchors, decoding, classes).add(offsets, logits)
    graph.add_output(found, ("batch", decoding.max_detections, 6))
    if inner:
        graph.add_output(offsets, ("batch", anchors.num_anchors, 4))
        graph.add_output(logits, ("batch", anchors.num_anchors, 1 + classes))
    return graph.model(detector.name, image, version, metadata)


def _add_network(graph, detector):
    """Adds all layers up to `MultiBox`; returns the names of offsets and logits."""
    names, predictions = {}, None
    calls = calls_of(detector, "export")  # kept: its tensors are known by their identity
    for call in calls:
        layer = call.operation
        if isinstance(layer, keras.layers.InputLayer):
            names[id(call.outputs[0])] = graph.add("Cast", IMAGE, to=TensorProto.FLOAT, name="pixels")
        elif isinstance(layer, MultiBox):
            predictions = _add_multibox(graph, layer, [names[id(tensor)] for tensor in call.inputs])
        elif not isinstance(layer, AnchorBoxes | DecodeDetections):
            shapes = [tensor.shape for tensor in call.inputs]
            step = Step(graph, layer, shapes, call.name, call.constants)
            names[id(call.outputs[0])] = add_layer(step, *(names[id(tensor)] for tensor in call.inputs))
    return predictions


def _add_multibox(graph, layer, heads):
    """Joins the heads of all levels; returns the names of offsets and logits."""
    levels = layer.anchors.levels
    joined = []
    for name, depth, maps in zip(
        PREDICTIONS, (4, 1 + layer.num_classes), (heads[: len(levels)], heads[len(levels) :]), strict=True
    ):
        parts = []
        for x, level in zip(maps, levels, strict=True):
            x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
            parts.append(graph.add("Reshape", x, graph.integers([0, level.num_anchors, depth])))
        joined.append(graph.add("Concat", *parts, axis=1, name=name))
    return joined
