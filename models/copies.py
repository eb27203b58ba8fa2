"""Copies of a functional model in which some layers differ."""

from __future__ import annotations

from collections.abc import Callable

import keras


def copied(model: keras.Model, rebuild: Callable, call: Callable | None = None) -> keras.Model:
    """A copy of the graph with new weights, not compiled.

    Args:
        model: a functional model.
        rebuild: function from each layer to its counterpart in the copy.
        call: function (counterpart, inputs) -> outputs that calls it; None calls it as the layer is called.
    """
    # clone_model would also copy the loss and the optimizer of a compiled model.
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    return keras.models.clone_model(uncompiled, clone_function=rebuild, call_function=call)
