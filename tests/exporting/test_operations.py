"""Each operation of `keras.ops` alone, in ONNX Runtime beside Keras."""

import keras
import numpy as np
import pytest
from keras import ops

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from layers_in_onnx import SHAPE, in_onnx, maps

import multibox as mb
from multibox.models.graph import calls_of


def exported(function, *inputs):
    symbols = [keras.Input(x.shape[1:]) for x in inputs]
    call = calls_of(keras.Model(symbols, function(*symbols)), "test")[-1]
    return in_onnx(call.operation, *inputs, constants=call.constants)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 3.0,
        lambda x: 3.0 + x,
        lambda x: 3.0 - x,
        lambda x: x - np.array([1.0, 2.0, 3.0, 4.0]),  # by channel
        lambda x: x * (1 / 6),
        lambda x: x * np.arange(28.0).reshape(7, 4),  # by column and channel
        lambda x: x / 2,
        lambda x: 2 / x,
        lambda x: ops.maximum(x, 0.5),
        lambda x: ops.minimum(0.5, x),
        lambda x: -x,
        ops.relu,
        ops.sigmoid,
        ops.tanh,
    ],
)
def test_with_a_constant_or_alone(function):
    (x,) = maps()
    np.testing.assert_allclose(exported(function, x), np.asarray(function(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "function", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, ops.maximum]
)
def test_of_two_maps(function):
    a, b = maps(2)
    np.testing.assert_allclose(exported(function, a, b), np.asarray(function(a, b)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: ops.add(x, np.ones((1, 1, *SHAPE))), "its constant has 5 axes"),
        (lambda x: ops.exp(x), "its class Exp is none of"),
    ],
)
def test_operations_that_are_refused(function, words):
    with pytest.raises(ValueError, match=f"cannot be exported: {words}"):
        exported(function, *maps())


def test_hard_swish_as_mobilenet_v3_has_it(tmp_path):
    """x * ReLU6(x + 3) / 6, also on what a squeeze makes."""
    image = keras.Input((64, 96, 3))
    x = keras.layers.Conv2D(8, 3, 16, padding="same")(image)
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = keras.layers.ReLU(6.0)(keras.layers.Conv2D(8, 1)(y) + 3.0) * (1 / 6)
    backbone = keras.Model(image, keras.layers.Multiply()([x, y]))
    model = mb.SSD(backbone, 2, sources=(16,), extras=(8,), pixels="tf")
    assert mb.export(model, tmp_path / "m.onnx").exists()  # which compares it with Keras
