"""`fold_batch_norm`: the same predictions without BatchNorm, and what is not folded."""

import keras
import numpy as np
import pytest
from keras import layers

import multibox as mb

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)


def with_statistics(model):
    """The model with random statistics, scales and offsets, all of them near those of a new BatchNorm."""
    rng = np.random.default_rng(0)
    for layer in norms(model):
        for weight in layer.weights:
            near = 0.2 if weight.name in ("beta", "moving_mean") else 1
            values = rng.uniform(0.8, 1.2, weight.shape) if near == 1 else rng.normal(0, near, weight.shape)
            weight.assign(values)
    return model


def norms(model):
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def application(name):
    function = getattr(keras.applications, name)
    return lambda: mb.SSD(function(include_top=False, weights=None, input_shape=(64, 64, 3)), 2, extras=())


def detector(image, x):
    backbone = keras.Model(image, x)
    return mb.SSD(backbone, 2, sources=(backbone.layers[-1].name,), extras=(), pixels="tf")


MODELS = {
    "ssd7": lambda: mb.SSD7(2, image_size=(64, 64)),
    "ssd_mobilenet": lambda: mb.SSDMobileNet(2, image_size=(64, 64), alpha=0.25),
    "ssdlite": lambda: mb.SSDLite(2, image_size=(64, 64)),
    "resnet50": application("ResNet50"),
    "efficientnetv2": application("EfficientNetV2B0"),
}


@pytest.mark.parametrize("name", MODELS)
def test_same_predictions_without_batch_norm(name):
    keras.utils.set_random_seed(0)
    model = with_statistics(MODELS[name]())
    folded = mb.fold_batch_norm(model)
    assert norms(model) and not norms(folded)
    expected = model.predict_on_batch(IMAGES)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(folded.predict_on_batch(IMAGES), expected, atol=1e-5 * max(1, largest))
    assert mb.anchors_of(folded) == mb.anchors_of(model)


def test_a_detector_saved_and_loaded(tmp_path):
    keras.utils.set_random_seed(0)
    model = with_statistics(mb.SSD7(class_names=("cat", "dog"), image_size=(64, 64)))
    detector = mb.to_inference(model, max_detections=7)
    mb.fold_batch_norm(detector).save(tmp_path / "folded.keras")
    loaded = keras.models.load_model(tmp_path / "folded.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(IMAGES), detector.predict_on_batch(IMAGES), atol=1e-4)
    assert mb.class_names_of(loaded) == ("cat", "dog")
    assert mb.detect(loaded, IMAGES[0], min_score=0).rows.shape[1] == 6


def test_the_given_model_is_unchanged():
    model = with_statistics(mb.SSD7(2, image_size=(64, 64)))
    before = [np.copy(w) for w in model.get_weights()]
    mb.fold_batch_norm(model)
    assert all(map(np.array_equal, before, model.get_weights())) and len(norms(model)) == 7


def test_every_kind_of_layer():
    image = x = keras.Input((64, 64, 3))
    for i, layer in enumerate(
        (
            layers.Conv2D(8, 3, 2, "same", groups=1, name="conv"),
            layers.Conv2D(8, 3, 2, "same", groups=4, use_bias=False, name="grouped"),
            layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, use_bias=False, name="depthwise"),
            layers.SeparableConv2D(6, 3, 2, "same", use_bias=False, name="separable"),
            layers.Conv2DTranspose(5, 3, 2, "same", use_bias=False, name="transpose"),
            layers.Dense(7, use_bias=False, name="dense"),
        )
    ):
        x = layers.BatchNormalization(scale=i != 2, center=i != 3, name=f"{layer.name}_bn")(layer(x))
        x = layers.ReLU(name=f"{layer.name}_relu")(x) if i < 5 else x
    model = with_statistics(detector(image, x))
    folded = mb.fold_batch_norm(model)
    assert len(norms(model)) == 6 and not norms(folded)
    np.testing.assert_allclose(
        folded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES), rtol=1e-5, atol=1e-5
    )


def test_what_is_not_folded():
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(4, 3, 4, "same", activation="relu", name="active")(image)
    x = layers.BatchNormalization(name="behind_an_activation")(x)
    twice = layers.Conv2D(4, 1, name="twice")
    x = layers.BatchNormalization(name="behind_a_shared_layer")(twice(twice(x)))
    split = layers.Conv2D(4, 3, 4, "same", name="split")(x)
    x = layers.Add(name="sum")([split, layers.BatchNormalization(name="beside_another_use")(split)])
    shared = layers.BatchNormalization(name="called_twice")
    x = shared(layers.Conv2D(4, 1, name="first")(shared(layers.Conv2D(4, 1, name="second")(x))))
    x = layers.BatchNormalization(axis=1, name="of_rows")(layers.Conv2D(4, 1, name="third")(x))
    model = with_statistics(detector(image, x))
    folded = mb.fold_batch_norm(model)
    assert [layer.name for layer in norms(folded)] == [layer.name for layer in norms(model)]
    np.testing.assert_allclose(folded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_a_model_of_another_package():
    with pytest.raises(ValueError, match="has 0 MultiBox layers"):
        mb.fold_batch_norm(keras.Sequential([keras.Input((8,)), layers.Dense(1)]))
