"""`Graph`: an ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

# The version of the standard operators, and that of the file format: ONNX Runtime reads both since 1.12.
OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes and constants. Tensors are known by their names."""

    def __init__(self):
        self.nodes = []
        self.initializers = []
        self.outputs: list[ValueInfoProto] = []
        self._names: set[str] = set()

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output.

        Args:
            operator: name of the operator.
            *inputs: names of its inputs.
            name: name of the node and of its output; None: made of the operator.
            **attributes: attributes of the operator.

        Returns:
            The name of the output.
        """
        return self.add_many(operator, 1, *inputs, name=name, **attributes)[0]

    def add_many(
        self, operator: str, count: int, *inputs: str, name: str | None = None, **attributes: Any
    ) -> list[str]:
        """Adds a node with several outputs; returns their names."""
        name = self._new_name(name or operator)
        outputs = [name, *(f"{name}:{i}" for i in range(1, count))]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs

    def add_if(
        self, condition: str, then: Callable[[], Sequence[str]], otherwise: Callable[[], Sequence[str]]
    ) -> list[str]:
        """Adds a choice. Only the branch that is chosen is computed.

        Args:
            condition: name of a boolean tensor with one value.
            then: function that adds the nodes for True and returns the names of their float32 outputs.
            otherwise: likewise for False.

        Returns:
            The names of the outputs, as many as those of each branch.
        """
        branches = [self._branch(name, add) for name, add in (("then", then), ("otherwise", otherwise))]
        attributes = {"then_branch": branches[0], "else_branch": branches[1]}
        return self.add_many("If", len(branches[0].output), condition, **attributes)

    def floats(self, values: Any) -> str:
        """Adds a float32 constant; returns its name."""
        return self._constant(np.asarray(values, np.float32))

    def integers(self, values: Any) -> str:
        """Adds an int64 constant, such as a shape; returns its name."""
        return self._constant(np.asarray(values, np.int64))

    def add_output(self, name: str, shape: Sequence[int | str]) -> None:
        """Declares a float32 tensor as an output."""
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self, name: str, image: ValueInfoProto, version: str, metadata: dict[str, str]) -> ModelProto:
        """The finished, checked model.

        Args:
            name: name of the graph.
            image: the input.
            version: version of this package.
            metadata: what the file says about itself.
        """
        graph = helper.make_graph(self.nodes, name, [image], self.outputs, self.initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="multibox",
            producer_version=version,
        )
        helper.set_model_props(model, metadata)
        checker.check_model(model, full_check=True)
        return model

    def _branch(self, name, add):
        outer, self.nodes = self.nodes, []
        # What a branch returns must be made in it.
        names = [self.add("Identity", output) for output in add()]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in names]
        branch = helper.make_graph(self.nodes, name, [], outputs)
        self.nodes = outer
        return branch

    def _constant(self, array):
        name = self._new_name("constant")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _new_name(self, wanted):
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name
