"""`cast_model`: a model in another precision."""

from __future__ import annotations

import keras


def cast_model(model: keras.Model, policy: str) -> keras.Model:
    """A copy of a model whose layers compute in another precision, with the same weights.

    Layers that compute in float32 under any policy, such as `MultiBox` and those of the decoder, still do.

    Args:
        model: a model of this package, for training or for inference.
        policy: name of a dtype policy of Keras, such as "float32" or "mixed_bfloat16".

    Returns:
        `keras.Model` with new weights, not compiled. The given model is unchanged.
    """

    def recast(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    # clone_model would also copy the loss and the optimizer of a compiled model.
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(uncompiled, clone_function=recast)
    for layer in model.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy
