"""What one layer or operation gives in ONNX Runtime."""

from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime

from multibox.exporting.converters import add_layer
from multibox.exporting.graph import Graph
from multibox.exporting.step import Step

SHAPE = (5, 7, 4)


def in_onnx(layer, *inputs, constants=MappingProxyType({})):
    """What the converter's nodes make of feature maps (batch, rows, columns, channels)."""
    graph = Graph()
    names = [f"x{i}" for i in range(len(inputs))]
    step = Step(graph, layer, [x.shape for x in inputs], layer.name, constants)
    out = graph.add("Identity", add_layer(step, *names), name="out")
    graph.add_output(out, ("batch", "channels", "rows", "columns"))
    values = [onnx.helper.make_tensor_value_info(name, 1, None) for name in names]
    made = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "one", values, graph.outputs, graph.initializers),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    given = {name: x.transpose(0, 3, 1, 2) for name, x in zip(names, inputs, strict=True)}
    (found,) = onnxruntime.InferenceSession(made.SerializeToString()).run(None, given)
    return found.transpose(0, 2, 3, 1)


def maps(count=1, shape=SHAPE):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 4, (2, *shape)).astype(np.float32) for _ in range(count)]
