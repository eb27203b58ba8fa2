"""The models against Caffe's and torchvision's own outputs, with known weights."""

import numpy as np
import pytest
from reference import (
    load_caffe_weights,
    load_torchvision_ssd300,
    load_torchvision_ssdlite,
    torchvision_state,
)

import multibox as mb


def predict(model, images):
    return model.predict(images, verbose=0)


@pytest.fixture(scope="module")
def ssd300():
    return mb.SSD300(20)


@pytest.mark.parametrize("variant", ["plain", "strongbias"])
def test_ssd300_heads_equal_caffe(golden, ssd300, variant):
    load_caffe_weights(ssd300, golden / "caffe", variant)
    data = np.load(golden / "caffe" / f"ssd300_{variant}.npz")
    predictions = predict(ssd300, data["image_rgb_uint8"][None])[0]
    np.testing.assert_allclose(predictions[:, :4], data["mbox_loc"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(predictions[:, 4:], data["mbox_conf"], rtol=0, atol=2e-4)


def assert_heads(predictions, folder, tag):
    """Within 2e-5 of the largest value, and 1e-4 at most."""
    heads = np.load(folder / f"{tag}_heads.npz")
    for name, ours in (("bbox_regression", predictions[..., :4]), ("cls_logits", predictions[..., 4:])):
        expected = heads[name]
        tolerance = min(2e-5 * np.abs(expected).max(), 1e-4)
        np.testing.assert_allclose(ours[:, heads["rows"]], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("tag", ["ssd300_21", "ssd300_91"])
def test_ssd300_heads_equal_torchvision(golden, tag):
    folder = golden / "torchvision"
    model = mb.SSD300(int(tag[-2:]) - 1)
    load_torchvision_ssd300(model, torchvision_state(folder, tag))
    # torchvision rounds its means to 122.99925, 116.9991, 103.9992, which alone is worth 1.7e-5.
    model.get_layer("normalization").mean = [0.48235 * 255, 0.45882 * 255, 0.40784 * 255]
    assert_heads(predict(model, np.load(folder / "images_300.npz")["images"]), folder, tag)


def test_ssdlite_heads_equal_torchvision(golden):
    folder = golden / "torchvision"
    model = mb.SSDLite(90)
    load_torchvision_ssdlite(model, torchvision_state(folder, "ssdlite320_91"))
    assert_heads(predict(model, np.load(folder / "images_320.npz")["images"]), folder, "ssdlite320_91")
