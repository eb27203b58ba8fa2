import keras
import numpy as np
import pytest
from targets import target

from multibox.losses import SSDFocalLoss, SSDLoss


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def parts(loss, y_true, y_pred):
    return {name: numpy(value) for name, value in loss.parts(y_true, y_pred).items()}


def test_by_hand():
    # A positive that the model gives 0.75, its other class 0.5; one background anchor at 0.5 for both.
    y_true = target(2, 3, {0: (1, [0.5, -2, 0, 0])})[None]
    y_pred = np.zeros((1, 2, 7), np.float32)
    y_pred[0, 0, 5] = np.log(3)
    found = parts(SSDFocalLoss(gamma=2, alpha=0.75), y_true, y_pred)
    yes = 0.75 * 0.25**2 * -np.log(0.75)
    no = 0.25 * 0.5**2 * np.log(2)
    np.testing.assert_allclose(found["confidence"], [yes + 3 * no], rtol=1e-6)
    np.testing.assert_allclose(found["localization"], [0.5 * 0.25 + 1.5], rtol=1e-6)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (1.0, 0.75), (0.0, 0.5), (0.5, 0.1)])
def test_equals_keras_own(gamma, alpha):
    y_true = target(6, 4, {0: (2, [0.0] * 4), 4: (3, [0.0] * 4)})[None]
    y_pred = np.random.default_rng(0).normal(scale=3, size=(1, 6, 8)).astype(np.float32)
    reference = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=alpha, gamma=gamma, from_logits=True, reduction="sum"
    )
    # Keras' takes the mean over the last axis, ours the sum; two positives divide.
    expected = 3 * numpy(reference(y_true[..., 5:], y_pred[..., 5:])) / 2
    found = parts(SSDFocalLoss(gamma=gamma, alpha=alpha), y_true, y_pred)["confidence"]
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_neutral_rows_and_the_background_column_count_for_nothing():
    y_true = target(6, 4, {0: (2, [0.1] * 4)}, neutral=[3, 4])[None]
    y_pred = np.random.default_rng(0).normal(size=(1, 6, 8)).astype(np.float32)
    before = parts(SSDFocalLoss(), y_true, y_pred)
    y_pred[0, 3:5] = 50.0
    y_pred[..., 4] = -7.0
    for name, value in parts(SSDFocalLoss(), y_true, y_pred).items():
        np.testing.assert_array_equal(value, before[name])


def test_easy_background_counts_for_next_to_nothing_and_all_of_it_counts():
    y_true = target(100, 2, {0: (1, [0.0] * 4)})[None]
    y_pred = np.full((1, 100, 6), -4.6, np.float32)  # scores of 0.01
    hard = parts(SSDFocalLoss(), y_true, y_pred)["confidence"]
    y_pred[0, 50:, 5] = -9.2
    assert 0 < hard - parts(SSDFocalLoss(), y_true, y_pred)["confidence"] < 1e-4


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_and_wrong_or_right_has_finite_gradients(gamma):
    logits = keras.Variable(np.array([[[0.0] * 4 + [0, x] for x in (-1e4, 1e4, -90, 90)]], np.float32))
    y_true = target(4, 2, {0: (1, [0.0] * 4), 3: (1, [0.0] * 4)})[None]
    loss = SSDFocalLoss(gamma=gamma)
    model = keras.Sequential([keras.layers.Dense(6, use_bias=False, kernel_initializer="identity")])
    model.compile(keras.optimizers.SGD(1e-6), loss)
    assert np.isfinite(model.train_on_batch(logits.value, y_true))
    assert np.isfinite(model.get_weights()[0]).all()


def test_no_object_at_all():
    y_pred = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
    value = numpy(SSDFocalLoss()(np.stack([target(5, 3, {})] * 2), y_pred))
    assert np.isfinite(value) and value > 0


@pytest.mark.parametrize("images", [1, 16])
def test_a_batch_without_objects_is_divided_by_its_images(images):
    y_true, y_pred = np.stack([target(5, 3)] * images), np.zeros((images, 5, 7), np.float32)
    value = numpy(SSDFocalLoss(gamma=2, alpha=0.75)(y_true, y_pred))
    np.testing.assert_allclose(value, 5 * 2 * 0.25 * 0.5**2 * np.log(2), rtol=1e-6)


def test_class_weights_by_hand():
    y_true = target(3, 3, {0: (2, [1, 0, 0, 0])})[None]
    y_pred = np.zeros((1, 3, 7), np.float32)
    found = parts(SSDFocalLoss(gamma=0, alpha=0.5, class_weights=(7, 10)), y_true, y_pred)
    # The whole anchor of class 2 counts ten times, the background once.
    np.testing.assert_allclose(found["confidence"], [(10 + 2) * 0.5 * 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(found["localization"], [0.5], rtol=1e-6)


def test_sparse_targets_give_the_same_loss():
    y_true = target(6, 5, {0: (2, [0.1, -2, 3, 0]), 5: (1, [1, 1, 0, 0])}, neutral=[3, 4])[None]
    sparse = np.concatenate([y_true[..., :4], np.array([[2, 0, 0, -1, -1, 1]])[..., None]], axis=-1)
    y_pred = np.random.default_rng(0).normal(size=(1, 6, 9)).astype(np.float32)
    for name, value in parts(SSDFocalLoss(), y_true, y_pred).items():
        np.testing.assert_array_equal(value, parts(SSDFocalLoss(), sparse, y_pred)[name])


def test_config_round_trip():
    loss = SSDFocalLoss(gamma=1.5, alpha=0.75, localization_weight=2.0, class_weights=(1, 2))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is SSDFocalLoss and again.get_config() == loss.get_config()
    assert (again.gamma, again.alpha, again.localization_weight, again.activation) == (
        1.5,
        0.75,
        2.0,
        "sigmoid",
    )
    assert [m.name for m in loss.metrics()] == ["localization", "confidence"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -1}, "must not be negative, got gamma=-1"),
        ({"localization_weight": -1}, "must not be negative, got localization_weight=-1"),
        ({"alpha": 1.5}, "alpha must be between 0 and 1, got 1.5"),
        ({"alpha": float("nan")}, "alpha must be a number, got nan"),
        ({"gamma": float("nan")}, "gamma must be a number, got nan"),
        ({"reduction": "mean"}, "SSDFocalLoss: reduction must be"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SSDFocalLoss(**arguments)


def test_wrong_shapes_name_the_loss():
    with pytest.raises(ValueError, match="SSDFocalLoss: expected targets and predictions of one shape"):
        SSDFocalLoss()(np.zeros((1, 4, 7)), np.zeros((1, 5, 7)))
    assert SSDLoss().activation == "softmax"
