"""SSDLoss with a sigmoid for each class."""

import keras
import numpy as np
import pytest
from targets import target

from multibox.losses import SSDLoss

LOSS = SSDLoss(activation="sigmoid")
# softplus(x) = log(1 + e^x), the loss of a class that is absent; softplus(-x) that of one present.
SOFTPLUS = {-2: 0.126928, -1: 0.313262, 0: 0.693147, 1: 1.313262, 2: 2.126928}


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def logits(*rows):
    """Predictions (1, anchors, 4 + columns) without offsets."""
    rows = np.array(rows, np.float32)
    return np.concatenate([np.zeros((len(rows), 4), np.float32), rows], axis=1)[None]


def test_by_hand():
    # A positive of class 2 and five negatives, of which the wrongest three are mined: 1, 3 and 4. The huge
    # background logits would choose others and give another loss, if they counted.
    y_true = target(6, 3, {0: (2, [0.5, -2, 0, 0])})[None]
    y_pred = logits([50, -1, 1], [50, 2, 0], [-50, -2, -2], [0, 1, 1], [0, 0, 0], [-50, -1, 0])
    parts = {k: numpy(v) for k, v in LOSS.parts(y_true, y_pred).items()}
    np.testing.assert_allclose(parts["localization"], [0.125 + 1.5], rtol=1e-6)
    positive = SOFTPLUS[-1] + SOFTPLUS[-1]  # absent class 1 at -1, present class 2 at 1
    mined = (SOFTPLUS[2] + SOFTPLUS[0]) + 2 * SOFTPLUS[1] + 2 * SOFTPLUS[0]
    assert positive + mined == pytest.approx(0.626523 + 2.820075 + 2.626523 + 1.386294, abs=1e-5)
    np.testing.assert_allclose(parts["confidence"], [7.459416], rtol=1e-6)
    np.testing.assert_allclose(numpy(LOSS(y_true, y_pred)), 1.625 + 7.459416, rtol=1e-6)


def test_no_positives():
    y_true, y_pred = target(3, 3)[None], logits([0, 1, 1], [0, 2, 0], [0, -2, -2])
    paper = SSDLoss(mining="paper", activation="sigmoid")
    assert numpy(paper(y_true, y_pred)) == 0
    two = SSDLoss(mining="paper", min_negatives=2, activation="sigmoid")
    np.testing.assert_allclose(numpy(two(y_true, y_pred)), 2.820075 + 2.626523, rtol=1e-6)


def test_neutral_rows_are_ignored():
    y_true = target(3, 3, {0: (1, [0] * 4)}, neutral=[2])[None]
    value = numpy(LOSS(y_true, logits([0, 0, 0], [0, 0, 0], [0, 30, -30])))
    np.testing.assert_allclose(value, 4 * SOFTPLUS[0], rtol=1e-6)


def test_sparse_targets_give_the_same_loss():
    y_true = target(5, 4, {0: (2, [0.1, -2, 3, 0]), 4: (1, [1, 1, 0, 0])}, neutral=[3])[None]
    ids = np.array([[2, 0, 0, -1, 1]], np.float32)
    sparse = np.concatenate([y_true[..., :4], ids[..., None]], axis=-1)
    y_pred = np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32)
    for part, value in LOSS.parts(y_true, y_pred).items():
        assert numpy(value).min() > 0
        np.testing.assert_array_equal(numpy(LOSS.parts(sparse, y_pred)[part]), numpy(value))


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_logits_are_finite(scale):
    y_true = np.stack([target(6, 3, {1: (2, [0.5] * 4)}), target(6, 3, neutral=range(6))])
    y_pred = np.random.default_rng(0).choice([-scale, scale], size=(2, 6, 7)).astype(np.float32)
    assert np.isfinite(numpy(LOSS(y_true, y_pred)))


def test_gradients_reach_only_the_columns_of_objects():
    """Trains a model whose weights are its predictions for one step: the step is the gradient."""
    image = keras.Input((1,))
    layer = keras.layers.Dense(3 * 7, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(image, keras.layers.Reshape((3, 7))(layer(image)))
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=LOSS)
    model.fit(np.ones((1, 1), np.float32), target(3, 3, {1: (2, [0] * 4)}, neutral=[2])[None], verbose=0)
    step = layer.get_weights()[0].reshape(3, 7)
    expected = np.zeros((3, 7))
    expected[0, 5:] = [-0.5, -0.5]  # sigmoid(0) - target, downhill
    expected[1, 5:] = [-0.5, 0.5]
    np.testing.assert_allclose(step, expected, atol=1e-6)
