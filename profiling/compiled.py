"""Runs of a model that can be timed: compiled by the backend, and finished when they return."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping

import keras
import numpy as np

from ..models.compiled import Run
from ..models.compiled import compiled as compiled_run


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


def compiled(model: keras.Model, *, training: bool = False) -> Run:
    """`multibox.models.compiled`, which waits for the result. Inputs and outputs stay on the device."""
    wait = of_backend({"jax": _wait_jax, "tensorflow": _wait_tensorflow, "torch": _wait_torch})
    run = compiled_run(model, training=training)
    return lambda inputs: wait(run(inputs))


def _wait_jax(outputs):
    import jax

    return jax.block_until_ready(outputs)


def _wait_tensorflow(outputs):
    import tensorflow as tf

    tf.test.experimental.sync_devices()
    return outputs


def _wait_torch(outputs):
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return outputs


def time_in_turn(
    functions: Mapping[Hashable, Callable[[], object]], rounds: int, of: Callable = np.median
) -> dict[Hashable, float]:
    """{name: median seconds}: the functions run in turn, so that drift affects all of them equally.

    Args:
        functions: {name: function without arguments that waits for its result}.
        rounds: number of timed runs of each, after one that compiles.
        of: function from the seconds of a name to one number, such as `min` on a machine that others use.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for count in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if count:
                times[name].append(time.perf_counter() - start)
    return {name: float(of(values)) for name, values in times.items()}
