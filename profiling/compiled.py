"""Runs of a model that can be timed: compiled by the backend, and finished when they return."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import keras
import numpy as np


def of_backend(functions: Mapping[str, Callable]) -> Callable:
    """The function for the backend of Keras.

    Raises:
        ValueError: for a backend without one, such as numpy.
    """
    name = keras.backend.backend()
    if name not in functions:
        raise ValueError(
            f"the backend {name} has no training and nothing to measure; set KERAS_BACKEND to "
            f"{', '.join(functions)}"
        )
    return functions[name]


def compiled(model: keras.Model, *, training: bool = False) -> Callable:
    """A function (list of inputs) -> list of outputs that runs the model and waits for the result.

    It is compiled as `predict` and `fit` compile it: by XLA on JAX, to a graph on TensorFlow, not at all on
    PyTorch. Inputs and outputs stay on the device.
    """
    return of_backend({"jax": _jax, "tensorflow": _tensorflow, "torch": _torch})(model, training)


def _jax(model, training):
    import jax

    @jax.jit
    def run(trained, others, inputs):
        return _listed(model.stateless_call(trained, others, _passed(inputs), training=training)[0])

    def wait(inputs):
        # A training step gives variables new values and deletes the former.
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return jax.block_until_ready(run(trained, others, inputs))

    return wait


def _tensorflow(model, training):
    import tensorflow as tf

    graph = tf.function(lambda inputs: _listed(model(_passed(inputs), training=training)))
    traced = []

    def run(inputs):
        if not traced:  # a call of `graph` would warn after some models that it is traced too often
            traced.append(graph.get_concrete_function(inputs))
        outputs = traced[0](inputs)
        tf.test.experimental.sync_devices()
        return outputs

    return run


def _torch(model, training):
    import torch

    def run(inputs):
        with torch.set_grad_enabled(training):
            outputs = _listed(model(_passed(inputs), training=training))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return outputs

    return run


def _passed(inputs):
    return inputs if len(inputs) > 1 else inputs[0]


def _listed(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def time_in_turn(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """{name: median seconds}: the functions run in turn, so that drift affects all of them equally.

    Args:
        functions: {name: function without arguments that waits for its result}.
        rounds: number of timed runs of each, after one that compiles.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for count in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if count:
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}
