"""The calls of layers in a functional model, nested models included, with the shapes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
from keras import tree

from ..messages import printable


class Call(NamedTuple):
    """One call of a layer or operation.

    Attributes:
        name: name of the layer, after those of the models that it is nested in: "backbone/conv1".
        operation: the layer, or an operation of `keras.ops`.
        inputs: symbolic tensors that it takes.
        outputs: symbolic tensors that it returns.
        constants: {position: value} of the arguments by position that are no symbolic tensors.
    """

    name: str
    operation: Any
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    constants: Mapping[int, Any] = MappingProxyType({})


def calls_of(model: keras.Model, owner: str, shape: tuple[int, int, int] | None = None) -> list[Call]:
    """The calls in the order in which they run, those of the inputs first.

    Args:
        model: a functional or sequential model.
        owner: name of the calling function, for messages.
        shape: (height, width, channels) of the images that the calls are for. None: those of the model's
            inputs, which must have a fixed size.

    Raises:
        ValueError: for a model that was never built, is a class of its own, or has no fixed input size.
    """
    functional = functional_of(model, owner)
    inputs = functional.inputs if shape is None else [keras.KerasTensor((None, *shape))]
    for tensor in inputs:
        if None in tensor.shape[1:]:
            raise ValueError(
                f"{owner}: model {printable(model.name)!r} takes inputs of any size {tuple(tensor.shape)}; "
                "build it with a fixed size, such as keras.Input((300, 300, 3))"
            )
    calls: list[Call] = []
    _walk(functional, inputs, "", calls, owner)
    return calls


def functional_of(model: keras.Model, owner: str) -> keras.Model:
    """A functional model itself, or a sequential one as such; ValueError for others, see `calls_of`."""
    name = printable(model.name)
    if isinstance(model, keras.Sequential):
        if not model.built or not model.layers:
            raise ValueError(
                f"{owner}: model {name!r} was never built; begin it with keras.Input(shape), or call "
                "model.build(input_shape)"
            )
        return keras.Model(model.inputs, model.outputs)
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(
            f"{owner}: model {name!r} is of the class {type(model).__name__}, whose layers are only known "
            "when it runs; expected a functional model: keras.Model(inputs, outputs)"
        )
    return model


def _walk(model, inputs, prefix, calls, owner):
    """Adds the calls of a model to the list; returns its outputs for these inputs."""
    known = {id(own): given for own, given in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            operation = node.operation
            if node.is_input:
                if not prefix:
                    given = tuple(known[id(tensor)] for tensor in node.output_tensors)
                    calls.append(Call(operation.name, operation, (), given))
                continue
            given = tuple(known[id(tensor)] for tensor in node.input_tensors)
            name = prefix + operation.name
            if isinstance(operation, keras.Model):
                nested = functional_of(operation, owner)
                outputs = _walk(nested, given, f"{name}/", calls, owner)
            else:
                outputs = _outputs(node, given, known)
                calls.append(Call(name, operation, given, outputs, _constants(node)))
            known.update(zip(map(id, node.output_tensors), outputs, strict=True))
    return tuple(known[id(tensor)] for tensor in model.outputs)


def _constants(node):
    """The arguments of a call by position without tensors, as of `x + 3`."""
    flat = {at: tree.flatten(value) for at, value in enumerate(node.arguments.args)}
    return {
        at: node.arguments.args[at]
        for at, values in flat.items()
        if not any(isinstance(value, keras.KerasTensor) for value in values)
    }


def _outputs(node, given, known):
    """The outputs of a node. A nested model may be called with another size than it was built with."""
    recorded = tuple(node.output_tensors)
    pairs = zip(given, node.input_tensors, strict=True)
    if all(new.shape[1:] == old.shape[1:] for new, old in pairs):
        # A layer that is called twice must not return the same tensor twice.
        return tuple(keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in recorded)
    args, kwargs = node.arguments.fill_in(known)
    return tuple(tree.flatten(node.operation.compute_output_spec(*args, **kwargs)))
