import keras
import numpy as np
import pytest

import multibox as mb
from multibox.models.precision import cast_model

SIZE = (32, 64)


@pytest.fixture
def policy():
    """Sets the policy of Keras for one test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def pictures():
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)


@pytest.mark.parametrize("mixed", ["mixed_bfloat16", "mixed_float16"])
def test_a_copy_computes_what_a_float32_model_does(policy, mixed):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(3, image_size=SIZE)
    policy(mixed)
    source = mb.SSD7(3, image_size=SIZE)
    source.set_weights(model.get_weights())
    source.get_layer("normalization").value_range = (0, 1023)
    source.compile("adam", "mse")
    copy = cast_model(source, "float32")
    assert {layer.compute_dtype for layer in copy.layers[1:]} == {"float32"}  # after the input
    expected, found = model.predict_on_batch(pictures()), copy.predict_on_batch(pictures())
    np.testing.assert_array_equal(found, expected)
    assert 1e-4 < np.abs(source.predict_on_batch(pictures()) - expected).max() < 0.2
    assert copy.get_layer("normalization").value_range == (0, 1023)
    assert not copy.compiled and copy.name == source.name
    assert source.get_layer("conv1").compute_dtype == mixed.removeprefix("mixed_")


def test_a_detector_decodes_in_float32_whatever_the_policy():
    copy = cast_model(mb.to_inference(mb.SSD7(3, image_size=SIZE), max_detections=7), "mixed_bfloat16")
    kinds = {layer.name: layer.compute_dtype for layer in copy.layers}
    assert kinds["conv1"] == "bfloat16"
    assert kinds["detections"] == kinds["anchors"] == "float32"
    assert copy.predict_on_batch(pictures()).shape == (2, 7, 6)
