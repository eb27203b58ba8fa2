"""Each layer alone, in ONNX Runtime beside Keras."""

import keras
import numpy as np
import pytest
from keras import layers

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from layers_in_onnx import SHAPE, in_onnx, maps

WITH_WEIGHTS = (layers.PReLU, layers.Dense, layers.LayerNormalization, layers.Conv2DTranspose)


def randomized(layer, shape=SHAPE):
    layer.build((None, *shape))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(1, 0.5, weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.ReLU(6.0),
        layers.ReLU(negative_slope=0.1),
        layers.ReLU(1.0, negative_slope=0.1),
        layers.LeakyReLU(0.1),
        layers.PReLU(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.Rescaling(1 / 127.5, -1.0),
        layers.Rescaling([0.1, 0.2, 0.3, 0.4]),
        layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.25]),
        layers.AveragePooling2D(2),
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.UpSampling2D(2),
        layers.UpSampling2D((3, 1)),
        layers.Conv2DTranspose(3, 2, 2),
        layers.Conv2DTranspose(3, (3, 2), (1, 3), use_bias=False, activation="relu"),
        layers.Cropping2D(((0, 1), (2, 0))),
        layers.Dropout(0.5),
        layers.LayerNormalization(),
        layers.LayerNormalization(epsilon=0.1, center=False, scale=False),
        layers.Dense(3, activation="gelu"),
        layers.Dense(3, use_bias=False),
        layers.Activation("leaky_relu"),
        layers.Activation("silu"),
        layers.Activation("gelu"),
        layers.Activation("sigmoid"),
    ],
    ids=lambda layer: layer.name,
)
def test_a_layer_gives_what_it_gives_in_keras(layer):
    (x,) = maps()
    layer = randomized(layer) if isinstance(layer, WITH_WEIGHTS) else layer
    expected = np.asarray(layer(x, training=False) if isinstance(layer, layers.Dropout) else layer(x))
    np.testing.assert_allclose(in_onnx(layer, x), expected, atol=2e-5)


def test_maps_are_joined_by_channels():
    a, b = maps(2)
    np.testing.assert_array_equal(in_onnx(layers.Concatenate(), a, b), np.concatenate([a, b], axis=-1))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.ReLU(threshold=0.1), "it has a threshold"),
        (layers.Concatenate(axis=1), "it joins along axis 1"),
        (layers.UpSampling2D(2, interpolation="bilinear"), "its interpolation is bilinear"),
        (layers.Reshape((35, 4)), r"it makes \(35, 4\) of \(5, 7, 4\)"),
        (layers.LayerNormalization(axis=1), r"it normalizes axis"),
        (layers.Conv2DTranspose(3, 3, 2, padding="same"), "it has a padding"),
        (layers.Softmax(), "its class Softmax is none of"),
    ],
)
def test_settings_that_are_refused(layer, words):
    with pytest.raises(ValueError, match=rf"the layer '{layer.name}' cannot be exported: {words}"):
        in_onnx(layer, *maps())


def test_squeeze_and_excitation_without_keepdims(tmp_path):
    """As EfficientNet has it: a mean, a Reshape to one cell, two convolutions and a product."""
    import multibox as mb

    image = keras.Input((64, 96, 3))
    x = y = layers.Conv2D(8, 3, 16, padding="same", activation="silu")(image)
    y = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(y))
    y = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="silu")(y))
    backbone = keras.Model(image, layers.Multiply()([x, y]))
    model = mb.SSD(backbone, 2, sources=(16,), extras=(8,), pixels="tf", neck="fpn")
    assert mb.export(model, tmp_path / "m.onnx").exists()  # which compares it with Keras
