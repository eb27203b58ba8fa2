"""A model as a compiled function: what `predict` runs, without its loop over a data set."""

from __future__ import annotations

import threading
from collections.abc import Callable

import keras

Run = Callable[[list], list]


def compiled(model: keras.Model, *, training: bool = False) -> Run:
    """A function (list of inputs) -> list of outputs that runs the model.

    It is compiled as `predict` and `fit` compile it: by XLA on JAX, to a graph on TensorFlow, not at all on
    PyTorch. Outputs stay on the device. Each call reads the current weights, changes none, and may come from
    any thread. TensorFlow compiles once for all batch sizes, JAX for each of them.
    """
    makers = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    return makers.get(keras.backend.backend(), _eager)(model, training)


def _jax(model, training):
    import jax

    @jax.jit
    def run(trained, others, inputs):
        return _listed(model.stateless_call(trained, others, _passed(inputs), training=training)[0])

    def call(inputs):
        # A training step gives variables new values and deletes the former.
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return run(trained, others, inputs)

    return call


def _tensorflow(model, training):
    import tensorflow as tf

    graph = tf.function(lambda inputs: _listed(model(_passed(inputs), training=training)))
    traced, lock = {}, threading.Lock()

    def call(inputs):
        inputs = [tf.convert_to_tensor(given) for given in inputs]
        kind = tuple((given.dtype, *given.shape[1:]) for given in inputs)
        with lock:
            # A call of `graph` would warn, after some models, that it is traced too often.
            if kind not in traced:
                traced[kind] = graph.get_concrete_function(list(map(_any_batch, inputs, model.inputs)))
        return traced[kind](inputs)

    def _any_batch(given, own):
        sizes = (own.shape[0], *given.shape[1:]) if given.shape.rank else ()
        return tf.TensorSpec(sizes, given.dtype)

    return call


def _torch(model, training):
    import torch

    eager = _eager(model, training)

    def call(inputs):
        with torch.set_grad_enabled(training):
            return eager(inputs)

    return call


def _eager(model, training):
    return lambda inputs: _listed(model(_passed(inputs), training=training))


def _passed(inputs):
    return inputs if len(inputs) > 1 else inputs[0]


def _listed(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
