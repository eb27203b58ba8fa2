import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from targets import target

from multibox.losses import SSDLoss, SSDLossPart, hard_negatives

CASES = "abcde"


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_by_hand():
    # One positive with offset errors 0.5, 2, 0, 0 and uniform logits over 2 classes; three of the four
    # negatives are mined: the wrongest three of the logits (background, object) below.
    y_true = target(5, 2, {0: (1, [0.5, -2, 0, 0])})[None]
    y_pred = np.zeros((1, 5, 6), np.float32)
    y_pred[0, 1:, 5] = [0.0, 1.0, -1.0, 2.0]
    parts = {k: numpy(v) for k, v in SSDLoss().parts(y_true, y_pred).items()}
    np.testing.assert_allclose(parts["localization"], [0.5 * 0.25 + 1.5], rtol=1e-6)
    mined = np.log1p(np.exp([0.0, 1.0, 2.0])).sum()
    np.testing.assert_allclose(parts["confidence"], [np.log(2) + mined], rtol=1e-6)
    np.testing.assert_allclose(numpy(SSDLoss()(y_true, y_pred)), 1.625 + np.log(2) + mined, rtol=1e-6)
    np.testing.assert_allclose(
        numpy(SSDLoss(localization_weight=2.0)(y_true, y_pred)), 3.25 + np.log(2) + mined, rtol=1e-6
    )


def test_sparse_targets_give_the_same_loss():
    y_true = np.stack(
        [
            target(6, 4, {0: (2, [0.1, -2, 3, 0]), 5: (1, [1, 1, 0, 0])}, neutral=[3, 4]),
            target(6, 4, {1: (3, [0.5] * 4)}),
        ]
    )
    ids = np.array([[2, 0, 0, -1, -1, 1], [0, 3, 0, 0, 0, 0]], np.float32)
    sparse = np.concatenate([y_true[..., :4], ids[..., None]], axis=-1)
    y_pred = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    for part, value in SSDLoss().parts(y_true, y_pred).items():
        assert numpy(value).min() > 0
        np.testing.assert_array_equal(numpy(SSDLoss().parts(sparse, y_pred)[part]), numpy(value))


def test_divided_by_the_positives_of_the_batch_not_of_the_image():
    one = target(3, 2, {0: (1, [1, 0, 0, 0])})
    two = target(3, 2, {0: (1, [1, 0, 0, 0]), 1: (1, [1, 0, 0, 0])})
    y_pred = np.zeros((2, 3, 6), np.float32)
    y_pred[..., 4] = 100.0 * np.array([[0, 1, 1], [0, 0, 1]])  # sure and right where background
    value = numpy(SSDLoss(localization_weight=0.0)(np.stack([one, two]), y_pred))
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)


def test_neutral_rows_are_ignored_whatever_they_say():
    y_true = target(6, 3, {0: (2, [0.1] * 4)}, neutral=[3, 4])[None]
    y_pred = np.random.default_rng(0).normal(size=(1, 6, 7)).astype(np.float32)
    value = numpy(SSDLoss()(y_true, y_pred))
    y_pred[0, 3:5] = 50.0
    y_pred[0, 3, 6] = -50.0
    assert numpy(SSDLoss()(y_true, y_pred)) == value


def test_no_positives_is_zero_with_the_papers_mining():
    y_true = target(6, 3)[None]
    y_pred = np.full((1, 6, 7), 1.0, np.float32)
    assert numpy(SSDLoss(mining="paper")(y_true, y_pred)) == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mining": "paper", "min_negatives": 2}, 2),  # 2 / 3 is less than 1
        ({"mining": "paper", "min_negatives": 6}, 3),  # 6 negatives, divided by 6 / 3
        ({"mining": "paper", "min_negatives": 6, "negative_ratio": 1}, 1),
        ({"mining": "paper", "min_negatives": 6, "negative_ratio": 0}, 1),
        ({"mining": "all_images"}, 3),  # as if there were one positive
        ({}, 3),
        ({"mining": "batch"}, 3),
    ],
)
@pytest.mark.parametrize("images", [1, 16])
def test_a_batch_without_positives_does_not_grow_with_its_size(options, expected, images):
    y_true, y_pred = np.stack([target(6, 3)] * images), np.zeros((images, 6, 7), np.float32)
    found = numpy(SSDLoss(**options)(y_true, y_pred))
    if images == 16 and options.get("min_negatives") == 2:
        expected = 3  # 32 negatives, divided by 32 / 3
    np.testing.assert_allclose(found, expected * np.log(3), rtol=1e-6)


@pytest.mark.parametrize(
    ("mining", "localization", "confidence", "divisor"),
    [("paper", 1.5, 4, 1), ("all_images", 1.5, 7, 2), ("batch", 1.5, 4, 1)],
)
def test_images_with_and_without_objects(mining, localization, confidence, divisor):
    """One positive in the first image. "all_images": six negatives make a divisor of two."""
    y_true = np.stack([target(6, 2, {0: (1, [2, 0, 0, 0])}), target(6, 2)])
    y_pred = np.zeros((2, 6, 6), np.float32)
    parts = {k: numpy(v).sum() for k, v in SSDLoss(mining=mining).parts(y_true, y_pred).items()}
    np.testing.assert_allclose(parts["localization"], localization / divisor, rtol=1e-6)
    np.testing.assert_allclose(parts["confidence"], confidence * np.log(2) / divisor, rtol=1e-6)


@pytest.mark.parametrize("mining", ["paper", "all_images", "batch"])
def test_mining_in_a_compiled_step(mining):
    """The false alarm of an image without objects: only the paper's rule leaves it alone."""
    image = keras.Input((1,))
    layer = keras.layers.Dense(6 * 6, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(image, keras.layers.Reshape((6, 6))(layer(image)))
    model.compile(keras.optimizers.SGD(1.0), SSDLoss(mining=mining))
    before = np.zeros((6, 6), np.float32)
    before[3, 5] = 4.0  # surely an object, which is wrong
    layer.set_weights([before.reshape(1, -1)])
    model.fit(np.ones((1, 1), np.float32), target(6, 2)[None], verbose=0)
    step = layer.get_weights()[0].reshape(6, 6)[3, 5] - before[3, 5]
    assert (step == 0) if mining == "paper" else (step < -0.9)


@pytest.mark.parametrize("column", [0, 4, 5])
@pytest.mark.parametrize("objects", [{}, {0: (1, [0.0] * 4)}])
def test_a_nan_shows_wherever_it_is(column, objects):
    y_true = np.stack([target(6, 2, objects, neutral=[1]), target(6, 2, {2: (1, [0.0] * 4)})])
    for anchor in (0, 1, 4):
        y_pred = np.zeros((2, 6, 6), np.float32)
        y_pred[0, anchor, column] = np.nan
        parts = {k: numpy(v) for k, v in SSDLoss().parts(y_true, y_pred).items()}
        assert all(np.isnan(v[0]) and np.isfinite(v[1]) for v in parts.values())
        assert np.isnan(numpy(SSDLoss()(y_true, y_pred)))


@pytest.mark.parametrize("wrong", [2, 9, -2, -5, 0.5, 1.5, np.nan, np.inf])
def test_sparse_targets_that_are_no_class_ids_make_the_loss_nan(wrong):
    sparse = np.zeros((2, 6, 5), np.float32)
    sparse[:, 0, 4], sparse[:, 1, 4] = 1, -1
    y_pred = np.zeros((2, 6, 6), np.float32)
    np.testing.assert_allclose(numpy(SSDLoss()(sparse, y_pred)), 4 * np.log(2), rtol=1e-6)
    sparse[1, 5, 4] = wrong
    assert np.isnan(numpy(SSDLoss()(sparse, y_pred)))


def test_nan_in_dense_classes_makes_the_loss_nan():
    y_true = np.stack([target(6, 2, {0: (1, [0.0] * 4)})])
    y_true[0, 4, 5] = np.nan
    assert np.isnan(numpy(SSDLoss()(y_true, np.zeros((1, 6, 6), np.float32))))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_class_weights_by_hand(activation):
    """Positives of the classes 1 and 2, two negatives with a loss; offsets count once."""
    y_true = target(8, 3, {0: (1, [1, 0, 0, 0]), 1: (2, [0] * 4)})[None]
    y_pred = np.zeros((1, 8, 7), np.float32)
    y_pred[..., 4] = 100.0 * np.array([0, 0, 0, 0, 1, 1, 1, 1])
    y_pred[0, 4:, 5:] = -100.0
    loss = SSDLoss(class_weights=(2, 5), activation=activation)
    parts = {k: numpy(v) for k, v in loss.parts(y_true, y_pred).items()}
    each = np.log(3) if activation == "softmax" else 2 * np.log(2)
    np.testing.assert_allclose(parts["confidence"], [(2 + 5 + 2) * each / 2], rtol=1e-6)
    np.testing.assert_allclose(parts["localization"], [0.5 / 2], rtol=1e-6)


def test_class_weights_of_another_number_of_classes():
    loss = SSDLoss(class_weights=(2, 5, 1))
    with pytest.raises(ValueError, match="one weight for each of the model's 2 classes, got 3"):
        loss(np.zeros((1, 6, 7)), np.zeros((1, 6, 7)))
    with pytest.raises(TypeError, match="SSDLoss: class_weights must be a sequence"):
        SSDLoss(class_weights={"cat": 2})


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_logits_and_only_neutral_rows_are_finite(scale):
    y_true = np.stack([target(6, 3, {1: (2, [0.5] * 4)}), target(6, 3, neutral=range(6))])
    y_pred = np.random.default_rng(0).choice([-scale, scale], size=(2, 6, 7)).astype(np.float32)
    assert np.isfinite(numpy(SSDLoss()(y_true, y_pred)))


@pytest.mark.parametrize("objects", [{}, {1: (2, [0.5] * 4)}])
def test_gradients_are_finite_and_reach_only_what_counts(objects):
    """Trains a model whose weights are its predictions for one step: the step is the gradient."""
    image = keras.Input((1,))
    layer = keras.layers.Dense(6 * 7, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(image, keras.layers.Reshape((6, 7))(layer(image)))
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=SSDLoss(mining="paper"))
    y_true = target(6, 3, objects, neutral=[5])[None]
    model.fit(np.ones((1, 1), np.float32), y_true, verbose=0)
    step = layer.get_weights()[0].reshape(6, 7)
    assert np.isfinite(step).all()
    moved = np.flatnonzero(np.abs(step).sum(axis=1))
    # One positive and three negatives, ties broken somehow, but exactly three; never the neutral row.
    assert len(moved) == (4 if objects else 0)
    assert 5 not in moved
    if objects:
        np.testing.assert_allclose(step[1, :4], 0.5)
        np.testing.assert_allclose(step[1, 4:], [-1 / 3, -1 / 3, 2 / 3], rtol=1e-5)


def targets_of(golden, tag, case, classes):
    """Our target tensor of a stored matching."""
    data = np.load(golden / "torchvision" / f"{tag}_targets.npz")
    batch = []
    for i in (0, 1):
        labels = data[f"{case}_labels_{i}"]
        rows = target(len(data[f"{case}_matched_{i}"]), classes)
        anchors, objects = data[f"{case}_pos_anchor_{i}"], data[f"{case}_pos_gt_{i}"]
        rows[anchors, 4] = 0
        rows[anchors, :4] = data[f"{case}_pos_encoded_{i}"]
        rows[anchors, 4 + labels[objects]] = 1
        batch.append(rows)
    return np.stack(batch), [data[f"{case}_negatives_{i}"] for i in (0, 1)]


def stored_predictions(golden, tag):
    heads = np.load(golden / "torchvision" / f"{tag}_heads.npz")
    return np.concatenate([heads["bbox_regression"], heads["cls_logits"]], axis=-1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tag", ["ssd300_21", "ssdlite320_91"])  # those stored with all their rows
def test_losses_and_hard_negatives_equal_torchvision(golden, tag, case):
    y_pred = stored_predictions(golden, tag)
    y_true, negatives = targets_of(golden, tag, case, y_pred.shape[-1] - 4)
    expected = json.loads((golden / "torchvision" / "losses.json").read_text())[tag][case]["float64"]
    parts = {k: numpy(v).sum() for k, v in SSDLoss(mining="paper").parts(y_true, y_pred).items()}
    np.testing.assert_allclose(parts["localization"], expected["bbox_regression"], rtol=1e-5)
    np.testing.assert_allclose(parts["confidence"], expected["classification"], rtol=1e-5)

    log_softmax = numpy(keras.ops.log_softmax(keras.ops.convert_to_tensor(y_pred[..., 4:]), axis=-1))
    confidence = -(y_true[..., 4:] * log_softmax).sum(axis=-1)
    negative = y_true[..., 4] > 0
    tensors = [keras.ops.convert_to_tensor(x) for x in (np.float32(confidence), ~negative, negative)]
    chosen = numpy(hard_negatives(*tensors, 3, 0))
    for i in (0, 1):
        np.testing.assert_array_equal(np.flatnonzero(chosen[i]), negatives[i])


@pytest.mark.parametrize(
    ("true", "pred"),
    [((2, 8, 7), (2, 8, 8)), ((2, 7, 7), (2, 8, 7)), ((8, 7), (8, 7)), ((2, 8, 5), (2, 8, 5))],
)
def test_wrong_shapes(true, pred):
    with pytest.raises(ValueError, match="expected targets and predictions of one shape"):
        SSDLoss().parts(np.zeros(true, np.float32), np.zeros(pred, np.float32))


def test_unknown_activation():
    with pytest.raises(ValueError, match="SSDLoss: activation must be one of softmax, sigmoid, got 'relu'"):
        SSDLoss(activation="relu")


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
@pytest.mark.parametrize("option", ["negative_ratio", "min_negatives", "localization_weight"])
def test_options_that_are_negative_or_not_finite(option, value):
    with pytest.raises((TypeError, ValueError), match=f"({option} must be a|must not be negative).*{value}"):
        SSDLoss(**{option: value})
    with pytest.raises(ValueError, match=r"must not be negative, got .*class_weights\[1\]="):
        SSDLoss(class_weights=[1.0, value])


def test_unknown_mining():
    with pytest.raises(
        ValueError, match='mining must be "paper" or "all_images" or "batch", got str \'all\''
    ):
        SSDLoss(mining="all")


def test_config_round_trips():
    options = {
        "negative_ratio": 2,
        "min_negatives": 5,
        "mining": "batch",
        "localization_weight": 0.5,
        "activation": "sigmoid",
        "class_weights": [1.0, 2.5],
    }
    loss = SSDLoss(**options)
    assert options.items() <= loss.get_config().items()
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
    old = {name: value for name, value in SSDLoss().get_config().items() if name != "mining"}
    assert (SSDLoss().mining, SSDLoss.from_config(old).mining) == ("all_images", "paper")
    metric = loss.metrics()[1]
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert isinstance(copy, SSDLossPart)
    assert copy.get_config() == metric.get_config()


def test_parts_are_logged_add_up_and_survive_saving(tmp_path):
    image = keras.Input((1,))
    model = keras.Model(image, keras.layers.Reshape((6, 7))(keras.layers.Dense(42)(image)))
    loss = SSDLoss()
    model.compile(optimizer="sgd", loss=loss, metrics=loss.metrics())
    y = np.stack([target(6, 3, {i % 6: (1 + i % 2, [0.1 * i] * 4)}) for i in range(5)])
    x = np.arange(5, dtype=np.float32)[:, None]
    logs = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)  # the last batch is smaller
    assert set(logs) == {"loss", "localization", "confidence"}
    np.testing.assert_allclose(logs["loss"], logs["localization"] + logs["confidence"], rtol=1e-6)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    again = reloaded.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    assert again == pytest.approx(logs)


def test_another_reduction_is_refused():
    assert SSDLoss(reduction="sum").reduction == "sum"
    with pytest.raises(ValueError, match=r"reduction must be .* got 'mean'"):
        SSDLoss(reduction="mean")


def test_class_weight_of_fit_is_refused():
    """Keras makes a weight for each anchor of it, of a shape that it does not always know."""
    y_true = np.stack([target(5, 2, {0: (1, [0.5, -2, 0, 0])})] * 2)
    y_pred = np.zeros((2, 5, 6), np.float32)
    message = r"SSDLoss: sample_weight must have .*, got the shape .*loss_of\(model, class_weights=\.\.\.\)"
    with pytest.raises(ValueError, match=message):
        SSDLoss()(y_true, y_pred, np.ones((2, 5)))
    unknown = SimpleNamespace(shape=SimpleNamespace(rank=None))
    with pytest.raises(ValueError, match=message):
        SSDLoss()(y_true, y_pred, unknown)
    whole, half = (numpy(SSDLoss()(y_true, y_pred, np.full(2, w, np.float32))) for w in (1, 0.5))
    np.testing.assert_allclose([whole, half], [numpy(SSDLoss()(y_true, y_pred)), whole / 2])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data with the loss of TensorFlow")
def test_class_weight_of_fit_with_tf_data():
    import tensorflow as tf

    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(30), keras.layers.Reshape((5, 6))])
    model.compile("sgd", SSDLoss())
    pairs = (np.zeros((2, 30), np.float32), np.stack([target(5, 2)] * 2))
    data = tf.data.Dataset.from_tensor_slices(pairs).batch(2)
    with pytest.raises(ValueError, match=r"class_weight= of fit.*loss_of\(model, class_weights="):
        model.fit(data, class_weight={0: 1.0, 1: 2.0}, verbose=0)
