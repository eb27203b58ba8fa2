"""What the tests of exported files share: a network, pictures, and what must be the same as in Keras."""

import keras
import numpy as np

import multibox as mb

SIZE = (64, 96)  # of the network, height and width
DATA = mb.load_shapes(5, (80, 120), seed=0)


def small_model():
    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=DATA.class_names, image_size=SIZE)


def assert_same(found, expected):
    """`Detections` of a file and of Keras; there are some."""
    assert len(found) == len(expected) > 0
    assert found.class_names == expected.class_names and found.image_size == expected.image_size
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=2e-3)  # pixels


def assert_detects_as_keras(path, model):
    detector, images = mb.load_detector(path), [mb.read_image(record.image) for record in DATA]
    for found, expected in zip(mb.detect(detector, images), mb.detect(model, images), strict=True):
        assert_same(found, expected)
        assert found.class_names == DATA.class_names
