"""Models nested in others, and calls of detectors."""

import warnings

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.models.detector import channels_of, is_detector, set_value_range, value_range_of

SIZE = (32, 64)
NAMES = ("cat", "dog", "bird")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=NAMES, image_size=SIZE)


def functional(inner):
    image = keras.Input((*SIZE, 3))
    return keras.Model(image, inner(image), name="outer")


NESTED = {
    "functional": functional,
    "sequential": lambda inner: keras.Sequential([keras.Input((*SIZE, 3)), inner]),
    "never built": lambda inner: keras.Sequential([inner]),
    "twice": lambda inner: functional(keras.Sequential([keras.Input((*SIZE, 3)), inner])),
}


def pictures(count=2):
    return np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), np.uint8)


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_a_nested_model_is_the_model_in_it(model, nest):
    outer = nest(model)
    assert mb.anchors_of(outer) is mb.anchors_of(model)
    assert (mb.class_names_of(outer), mb.activation_of(outer), channels_of(outer)) == (NAMES, "softmax", 3)
    assert not is_detector(outer) and is_detector(nest(mb.to_inference(model)))
    set_value_range(outer, (0, 1023))
    assert value_range_of(model) == (0, 1023)
    set_value_range(model, None)


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_a_nested_model_detects(model, nest):
    detector = mb.to_inference(model)
    expected = detector.predict_on_batch(pictures())
    decoded = mb.to_inference(nest(detector))
    assert mb.to_inference(nest(model)).inputs[0] is model.inputs[0]
    np.testing.assert_array_equal(decoded.predict_on_batch(pictures()), expected)
    wanted = mb.detect(model, [*pictures()])
    for inner in (model, detector):
        for found, right in zip(mb.detect(nest(inner), [*pictures()]), wanted, strict=True):
            np.testing.assert_array_equal(found.boxes, right.boxes)


def test_a_nested_model_loads_weights_and_gets_other_classes(model, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    other = mb.SSD7(class_names=NAMES, image_size=SIZE)
    mb.load_weights(functional(other), tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.predict_on_batch(pictures()), model.predict_on_batch(pictures()))
    assert mb.class_names_of(mb.sample_classes(functional(model), ["dog"])) == ("dog",)


def test_a_nested_model_trains(tmp_path):
    data = mb.load_shapes(4, SIZE, seed=0)
    inner = mb.SSD7(data.num_classes, image_size=SIZE)
    before = inner.get_layer("conv1").get_weights()[0]
    mb.train(functional(inner), data, epochs=1, batch_size=2, output=tmp_path / "run")
    assert np.abs(inner.get_layer("conv1").get_weights()[0] - before).max() > 0
    assert mb.class_names_of(inner) == data.class_names


def test_what_a_model_adds_is_named(model):
    image = keras.Input((*SIZE, 3))
    rescaled = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Rescaling(2.0, name="twice"), model])
    message = r"model 'outer' adds the layer 'twice' to the model 'ssd7' that is nested in it; pass that one"
    rescaled.name = "outer"
    for use in (mb.to_inference, mb.anchors_of, lambda m: mb.detect(m, pictures()[0])):
        with pytest.raises(ValueError, match=message):
            use(rescaled)
    with pytest.raises(ValueError, match="adds the layer 'twice' to the model 'ssd7'"):
        mb.anchors_of(functional(rescaled))
    with pytest.raises(ValueError, match=r"model 'outer' adds the layer 'multiply\w*' to"):
        mb.anchors_of(keras.Model(image, model(image * 2), name="outer"))
    with pytest.raises(ValueError, match="model 'outer' adds a second output to"):
        mb.anchors_of(keras.Model(image, [model(image), model(image)], name="outer"))


def test_a_class_around_a_model_may_do_anything(model):
    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = model

        def call(self, x):
            return self.inner(x)

    with pytest.raises(ValueError, match="adds the code of its class Wrapped to the model 'ssd7'"):
        mb.anchors_of(Wrapped())
    assert not is_detector(Wrapped())


def test_a_detector_is_called_without_a_warning(model):
    detector = mb.to_inference(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector(pictures().astype("float32"))
        mb.to_inference(functional(detector))(pictures().astype("float32"))
