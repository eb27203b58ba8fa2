"""Weights by the names that a caller gives: which arrays of a file belong to which layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import keras
import numpy as np

from ..messages import did_you_mean, one_line
from .mapping.mapped import Mapped, conv_kernel, depthwise_kernel
from .reading import NamedArrays

Given: TypeAlias = str | Sequence[str | np.ndarray] | None
Names: TypeAlias = Mapping[str, Given] | Callable[[str], Given]

# What torch, TensorFlow and Keras call the variables of a layer.
LEAVES = {
    "kernel": ("weight", "weights", "depthwise_weights", "kernel", "depthwise_kernel"),
    "bias": ("bias", "biases"),
    "gamma": ("weight", "gamma"),
    "beta": ("bias", "beta"),
    "moving_mean": ("running_mean", "moving_mean"),
    "moving_variance": ("running_var", "moving_variance"),
}
COUNTER = "num_batches_tracked"  # of torch's BatchNorm, no weight
# From a layout to Keras' (rows, columns, in, out), (rows, columns, channels, 1), (rows, columns, out, in).
TURNS = {
    ("torch", "conv"): conv_kernel,
    ("torch", "depthwise"): depthwise_kernel,
    ("torch", "transposed"): conv_kernel,  # of (in, out, rows, columns)
    ("tflite", "conv"): lambda kernel: kernel.transpose(1, 2, 3, 0),
    ("tflite", "depthwise"): lambda kernel: kernel.transpose(1, 2, 3, 0),
    ("tflite", "transposed"): lambda kernel: kernel.transpose(1, 2, 0, 3),
}


def map_given(model: keras.Model, file: NamedArrays, names: Names) -> Mapped:
    """The arrays of a file by the layers of a model, in Keras' layout.

    Args:
        model: the model.
        file: what the file holds.
        names: see `load_weights`.

    Raises:
        TypeError: for names of another kind.
        ValueError: for an unknown layer, and for arrays that the file does not have, or too few or too many
            for a layer.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    if isinstance(names, Mapping):
        for name in names:
            if name not in layers:
                hint = did_you_mean(str(name), layers)
                raise ValueError(
                    f"names: the model {model.name!r} has no layer {one_line(name)!r} with weights{hint}"
                )
        names = names.get
    mapped, used = {}, set()
    for name, layer in layers.items():
        given = names(name)
        if given is None:
            continue
        chosen = _chosen(layer, given, file.arrays)
        used.update(one for one in chosen if isinstance(one, str))
        mapped[name] = [
            _turned(file.arrays[one], layer, variable.name, file.layout) if isinstance(one, str) else one
            for one, variable in zip(chosen, layer.weights, strict=True)
        ]
    unused = [name for name in file.arrays if name not in used]
    return Mapped(file.origin, mapped, unused, absent="not in names", beyond="not in names")


def _chosen(layer, given, arrays):
    """Names in the file, or arrays, of the variables of a layer, in their order."""
    if isinstance(given, str):
        return _of_module(layer, given, arrays)
    if not isinstance(given, Sequence) or not all(isinstance(one, str | np.ndarray) for one in given):
        raise TypeError(
            f"names: expected a name or a list of names for the layer {layer.name}, got {given!r:.200}"
        )
    if len(given) != len(layer.weights):
        ours = ", ".join(variable.name for variable in layer.weights)
        raise ValueError(f"names: the layer {layer.name} has {ours}, but names has {len(given)} for it")
    for one in given:
        if isinstance(one, str) and one not in arrays:
            raise ValueError(
                f"names: the file has no array {one_line(one)!r} for the layer {layer.name}"
                f"{did_you_mean(one, arrays)}"
            )
    return list(given)


def _of_module(layer, module, arrays):
    """The same for one name: that of a module or layer in the file, or of the only array."""
    found = []
    for i, variable in enumerate(layer.weights):
        leaves = (*LEAVES.get(variable.name, (variable.name,)), str(i))
        options = [f"{module}{dot}{leaf}" for leaf in leaves for dot in "./"]
        if len(layer.weights) == 1:
            options.insert(0, module)
        name = next((option for option in options if option in arrays), None)
        if name is None:
            raise ValueError(
                f"names: the file has no array for {variable.name} of the layer {layer.name} under "
                f"{one_line(module)!r}{_close(module, arrays)}"
            )
        found.append(name)
    own = {name for name in arrays if name.startswith((f"{module}.", f"{module}/"))}
    more = [
        name
        for name in own.difference(found)
        if not set(name[len(module) + 1 :]) & set("./") and not name.endswith(COUNTER)
    ]
    if more:
        raise ValueError(
            f"names: the layer {layer.name} has no variable for {one_line(min(more))!r}; give a list of "
            "names to leave it out"
        )
    return found


def _close(module, arrays):
    """What the file has there, for a message."""
    under = [name for name in arrays if name.startswith((f"{module}.", f"{module}/"))]
    if under:
        return f"; it has {', '.join(map(one_line, under[:4]))}"
    return did_you_mean(module, {name.rpartition("/")[0] or name.rpartition(".")[0] for name in arrays})


def _turned(array, layer, variable, layout):
    """An array in Keras' layout."""
    if array.ndim == 2 and isinstance(layer, keras.layers.Dense) and layout != "keras":
        return array.T
    if array.ndim != 4 or layout == "keras":
        return array
    if isinstance(layer, keras.layers.DepthwiseConv2D) or variable == "depthwise_kernel":
        kind = "depthwise"
    elif isinstance(layer, keras.layers.Conv2DTranspose):
        kind = "transposed"
    else:
        kind = "conv"
    return TURNS[layout, kind](array)
