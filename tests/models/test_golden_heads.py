"""The models against Caffe's and torchvision's own outputs, with known weights."""

import numpy as np
import pytest
from reference import caffe_weights, load_mapped, torchvision_state

import multibox as mb
from multibox.weights.loading import load_weights
from multibox.weights.mapping import mobilenet, vgg16


def predict(model, images):
    return model.predict(images, verbose=0)


@pytest.fixture(scope="module")
def ssd300():
    return mb.SSD300(20)


@pytest.mark.parametrize("variant", ["plain", "strongbias"])
def test_ssd300_heads_equal_caffe(golden, ssd300, variant):
    load_mapped(ssd300, vgg16.from_caffe(caffe_weights(golden / "caffe", variant)))
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
    # Its pixels are RGB and its means 122.99925, 116.9991, 103.9992 (worth 1.7e-5): the first layer adapts.
    load_mapped(model, vgg16.from_torchvision(torchvision_state(folder, tag)))
    assert_heads(predict(model, np.load(folder / "images_300.npz")["images"]), folder, tag)


def test_ssdlite_heads_equal_torchvision(golden):
    folder = golden / "torchvision"
    model = mb.SSDLite(90)
    load_mapped(model, mobilenet.from_ssdlite(torchvision_state(folder, "ssdlite320_91")))
    assert_heads(predict(model, np.load(folder / "images_320.npz")["images"]), folder, "ssdlite320_91")


def test_ssdlite_file_of_torch_gives_its_heads(golden):
    folder = golden / "torchvision"
    model = mb.SSDLite(90)
    report = load_weights(model, folder / "ssdlite320_random.pth")
    assert not report.left and not report.skipped
    assert_heads(predict(model, np.load(folder / "images_320.npz")["images"]), folder, "ssdlite320_91")
