"""Weights for a model, and how the TensorFlow Object Detection API has them."""

import numpy as np


def yxhw(array):
    return array.reshape(*array.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(array.shape)


def numbers(model):
    """{layer name: {variable name: other numbers than the model's}}."""
    rng = np.random.default_rng(0)
    return {
        layer.name: {v.name: rng.uniform(0.5, 2, v.shape).astype(np.float32) for v in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def check(model, expected):
    for name, arrays in expected.items():
        for variable in model.get_layer(name).weights:
            array = arrays[variable.name]
            array = yxhw(array) if name.endswith("_mbox_loc") else array
            np.testing.assert_array_equal(variable, array, err_msg=f"{name} {variable.name}")
