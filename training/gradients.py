"""The loss of one batch and its gradients, in the backend's own way."""

from __future__ import annotations

import keras
import numpy as np


def loss_and_gradients(
    model: keras.Model, images: np.ndarray, targets: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """The loss of a compiled model for a batch and its gradient for each trainable variable.

    The model is in training mode; its weights, with statistics of normalization, are as before afterwards.
    """
    before = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.non_trainable_variables]
    loss, gradients = _BACKENDS[keras.backend.backend()](model, images, targets)
    for weight, value in zip(model.non_trainable_variables, before, strict=True):
        weight.assign(value)
    return float(keras.ops.convert_to_numpy(loss)), [keras.ops.convert_to_numpy(g) for g in gradients]


def _loss(model, images, targets, predictions):
    return model.compute_loss(x=images, y=targets, y_pred=predictions, training=True)


def _tensorflow(model, images, targets):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = _loss(model, images, targets, model(images, training=True))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]


def _jax(model, images, targets):
    import jax

    states = [weight.value for weight in model.non_trainable_variables]

    def loss_of(weights):
        predictions, _ = model.stateless_call(weights, states, images, training=True)
        with keras.StatelessScope(state_mapping=list(zip(model.trainable_variables, weights, strict=True))):
            return _loss(model, images, targets, predictions)

    return jax.jit(jax.value_and_grad(loss_of))([weight.value for weight in model.trainable_variables])


def _torch(model, images, targets):
    model.zero_grad()
    loss = _loss(model, images, targets, model(images, training=True))
    loss.backward()
    gradients = [weight.value.grad.detach() for weight in model.trainable_variables]
    model.zero_grad()
    return loss.detach(), gradients


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
