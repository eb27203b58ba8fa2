"""The trained SSD MobileNet v1 against the reference outputs of an independent float model."""

import keras
import numpy as np
import pytest
from golden_mobilenet import FOLDER, SOURCES, trained_model

import multibox as mb


@pytest.fixture(scope="module")
def data(golden):
    return dict(np.load(golden / FOLDER / "golden.npz"))


@pytest.fixture(scope="module")
def model(golden):
    return trained_model(golden)


@pytest.fixture(scope="module")
def predictions(model, data):
    return model.predict(data["images"], batch_size=4, verbose=0)


def test_heads(predictions, data):
    boxes = data["box_encodings"][..., [1, 0, 3, 2]]  # theirs: y, x, h, w
    np.testing.assert_allclose(predictions[..., :4], boxes, rtol=0, atol=1e-3)
    np.testing.assert_allclose(predictions[..., 4:], data["class_logits"], rtol=0, atol=1e-3)


def test_features(model, data):
    layers = [f"{s}_activation" if s.startswith("conv") else f"{s}_expand_activation" for s in SOURCES]
    features = keras.Model(model.inputs, [model.get_layer(name).output for name in layers])
    for i, ours in enumerate(features.predict(data["images"][:1], verbose=0)):
        np.testing.assert_allclose(ours[0], data[f"feature_{i}"], rtol=0, atol=1e-3)


def test_number_of_weights(model):
    assert model.count_params() == 4_101_231
    assert model.non_trainable_weights == []


def detections(model, images, **options):
    # The reference knows no limit on what enters NMS; the default of the 400 best of a class is enough,
    # since none of its detections ranks below. One image at a time: all pairs of 90 * 400 boxes are large.
    detector = mb.to_inference(model, confidence_threshold=0.01, max_detections=100, **options)
    return detector.predict(images, batch_size=1, verbose=0)


@pytest.mark.parametrize(("key", "iou_threshold"), [("det_nms060", 0.6), ("det_nms045", 0.45)])
def test_detections(model, data, key, iou_threshold):
    found = detections(model, data["images"], iou_threshold=iou_threshold)
    for i, rows in enumerate(found):
        scores = data[f"{key}_scores"][i]
        expected = np.column_stack(
            [data[f"{key}_classes"][i], scores, data[f"{key}_boxes_yxyx"][i][:, [1, 0, 3, 2]]]
        )
        # The reference is clipped to the image.
        rows = np.concatenate([rows[:, :2], np.clip(rows[:, 2:], 0, 1)], axis=1)
        assert_same_set(rows, expected)


def assert_same_set(rows, expected):
    """Each row has a twin of its own: class equal, score and box within 1e-4; scores descend."""
    assert (np.diff(rows[:, 1]) <= 0).all()
    np.testing.assert_allclose(rows[:, 1], expected[:, 1], rtol=0, atol=1e-4)
    alike = (rows[:, None, 0] == expected[None, :, 0]) & (
        np.abs(rows[:, None, 1:] - expected[None, :, 1:]).max(axis=-1) < 1e-4
    )  # (rows, expected)
    assert (alike.sum(axis=0) == 1).all()
    assert (alike.sum(axis=1) == 1).all()


def test_folded_weights_say_the_same_while_training(model, data, predictions):
    """What makes them fit for fine-tuning: nothing in the network depends on the batch."""
    training = keras.ops.convert_to_numpy(model(data["images"][:1], training=True))
    np.testing.assert_allclose(training, predictions[:1], rtol=0, atol=1e-3)
