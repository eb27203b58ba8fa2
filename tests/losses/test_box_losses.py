import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from targets import target

import multibox as mb
from multibox import boxes
from multibox.anchors import AnchorLevel, AnchorSpec
from multibox.losses import BOX_LOSSES, SSDFocalLoss, SSDLoss

OVERLAPS = ("giou", "diou", "ciou")
LOSSES = (SSDLoss, SSDFocalLoss)
VARIANCES = (0.1, 0.1, 0.2, 0.2)

# Ten pairs of boxes in pixels with the values of torchvision 0.29.1 in float64: generalized_box_iou_loss,
# distance_box_iou_loss, complete_box_iou_loss.
TORCHVISION = [
    ((168.0, 229.3, 187.1, 245.5), (174.1, 227.6, 185.9, 246.9), (0.5089039, 0.4556862, 0.4591499)),
    ((179.3, 83.8, 242.0, 95.2), (178.8, 83.0, 237.5, 95.2), (0.1401324, 0.1370105, 0.1370110)),
    ((100.5, 208.8, 111.6, 255.6), (98.7, 213.5, 114.2, 255.5), (0.3671623, 0.3402897, 0.3403910)),
    ((21.0, 142.6, 61.4, 298.7), (23.7, 141.2, 65.6, 298.7), (0.1623093, 0.1622336, 0.1622336)),
    ((182.4, 119.6, 248.3, 166.3), (184.7, 114.4, 249.7, 159.5), (0.2751341, 0.2744425, 0.2744425)),
    ((84.5, 90.8, 128.8, 111.7), (82.1, 159.3, 156.9, 183.9), (1.6028148, 1.3585761, 1.3586135)),
    ((90.9, 129.0, 101.3, 146.8), (-15.5, 88.9, 121.6, 161.6), (0.9814270, 1.0650310, 1.0790662)),
    ((111.3, 152.7, 190.7, 170.9), (103.7, 10.2, 118.5, 135.9), (1.7635746, 1.2835455, 1.5155425)),
    ((243.9, 209.3, 274.1, 219.4), (134.8, 48.5, 304.4, 198.5), (1.1117702, 1.1691551, 1.1731580)),
    ((116.8, 249.6, 237.0, 265.5), (227.8, 162.1, 282.9, 177.5), (1.8393152, 1.3619171, 1.3619815)),
]


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def spec(count, image_size=(300, 200), variances=VARIANCES):
    """Anchors of several shapes around the center of an image that is not square."""
    sides = tuple((20.0 + 15 * i, 80.0 * 0.95**i) for i in range(count))
    return AnchorSpec(image_size, (AnchorLevel((1, 1), sides, image_size),), variances)


def offsets_of(pixels, anchors):
    """float32 offsets of boxes (num_anchors, 4) in pixels."""
    height, width = anchors.image_size
    cxcywh = anchors.cxcywh * (width, height, width, height)
    return np.float32(boxes.encode_offsets(np.array(pixels, float), cxcywh, anchors.variances))


def values(name, true, pred, anchors):
    return numpy(BOX_LOSSES[name](*map(keras.ops.convert_to_tensor, (true, pred)), anchors))


def of_boxes(name, a, b, anchors=None):
    anchors = anchors or spec(len(a))
    return values(name, offsets_of(b, anchors), offsets_of(a, anchors), anchors)


class Predictions:
    """A compiled model whose weights are its predictions: a step of SGD with rate 1 is the gradient."""

    def __init__(self, loss, anchors, columns):
        image = keras.Input((1,))
        self.layer = keras.layers.Dense(anchors * columns, use_bias=False, kernel_initializer="zeros")
        outputs = keras.layers.Reshape((anchors, columns))(self.layer(image))
        self.model = keras.Model(image, outputs)
        self.model.compile(keras.optimizers.SGD(1.0), loss)
        self.shape = anchors, columns

    def loss_and_gradient(self, y_true, y_pred):
        self.layer.set_weights([np.reshape(y_pred, (1, -1))])
        value = self.model.train_on_batch(np.ones((1, 1), np.float32), y_true[None])
        return float(value), np.reshape(y_pred - self.layer.get_weights()[0].reshape(self.shape), self.shape)


TWO_THIRDS_V = 4 / np.pi**2 * (np.arctan(2) - np.pi / 4) ** 2  # of the sides 4 x 2 and 2 x 2


@pytest.mark.parametrize(
    ("a", "b", "giou", "diou", "ciou"),
    [
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 - 1 / 7 + 2 / 9, 1 - 1 / 7 + 1 / 9, 1 - 1 / 7 + 1 / 9),
        ((0, 0, 1, 1), (2, 0, 3, 1), 1 + 1 / 3, 1 + 4 / 10, 1 + 4 / 10),
        ((0, 0, 1, 1), (3, 4, 4, 5), 1 + 18 / 20, 1 + 25 / 41, 1 + 25 / 41),
        (
            *((0, 0, 4, 2), (1, 0, 3, 2)),
            *(1 / 2, 1 / 2, 1 / 2 + TWO_THIRDS_V * TWO_THIRDS_V / (1 / 2 + TWO_THIRDS_V)),
        ),
    ],
)
def test_by_hand(a, b, giou, diou, ciou):
    for name, expected in {"giou": giou, "diou": diou, "ciou": ciou}.items():
        for first, second in ((a, b), (b, a)):
            found = of_boxes(name, [first] * 3, [second] * 3)  # of anchors of three shapes
            np.testing.assert_allclose(found, [expected] * 3, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("variances", [VARIANCES, (0.2, 0.5, 1.0, 0.3)])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_equal_torchvision(column, variances):
    a, b, expected = zip(*TORCHVISION, strict=True)
    found = of_boxes(OVERLAPS[column], a, b, spec(10, variances=variances))
    np.testing.assert_allclose(found, np.array(expected)[:, column], rtol=2e-5)


@pytest.mark.parametrize("name", OVERLAPS)
def test_equal_boxes_cost_nothing(name):
    box = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_allclose(values(name, box, box, spec(50)), 0, atol=1e-6)
    model = Predictions(SSDLoss(box_loss=name, anchors=spec(3)), 3, 6)
    y_true = target(3, 2, {0: (1, box[0]), 1: (1, [0.0] * 4)})
    value, gradient = model.loss_and_gradient(y_true, np.pad(y_true[:, :4], ((0, 0), (0, 2))))
    assert np.isfinite(value) and np.isfinite(gradient).all()


LOGITS = np.zeros((8, 2), np.float32)
OFFSETS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)  # XLA takes those for zero


@pytest.fixture(scope="module", params=OVERLAPS)
def eight(request):
    return Predictions(SSDLoss(box_loss=request.param, anchors=spec(8)), 8, 6)


@settings(deadline=None, max_examples=100)
@given(arrays(np.float32, (2, 8, 4), elements=OFFSETS))
def test_finite_value_and_gradient_for_any_offsets(eight, offsets):
    y_true = target(8, 2, {i: (1, offsets[0, i]) for i in range(6)}, neutral=[7])
    value, gradient = eight.loss_and_gradient(y_true, np.hstack([offsets[1], LOGITS]))
    assert 0 <= value < 3 + 4 * np.log(2) + 1e-3
    assert np.isfinite(gradient).all()
    assert (gradient[6:, :4] == 0).all()  # background and neutral


@pytest.mark.parametrize("scale", [1e8, 1e30, 3e38])
def test_finite_for_a_diverged_network(eight, scale):
    offsets = np.random.default_rng(0).choice([-scale, scale], (8, 4)).astype(np.float32)
    y_true = target(8, 2, {i: (1, [0.5] * 4) for i in range(6)})
    value, gradient = eight.loss_and_gradient(y_true, np.hstack([offsets, LOGITS]))
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("name", OVERLAPS)
def test_pushes_boxes_together_that_do_not_overlap(name):
    anchors = spec(2)
    model = Predictions(SSDLoss(box_loss=name, anchors=anchors), 2, 6)
    true = offsets_of([(10, 10, 30, 40), (150, 200, 190, 280)], anchors)
    pred = offsets_of([(60, 120, 90, 150), (20, 20, 60, 90)], anchors)
    y_true = target(2, 2, {0: (1, true[0]), 1: (1, true[1])})
    _, gradient = model.loss_and_gradient(y_true, np.pad(pred, ((0, 0), (0, 2))))
    assert (np.sign(gradient[:, :2]) == np.sign(pred - true)[:, :2]).all()
    assert np.abs(gradient[:, :2]).min() > 1e-4


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("offset", [100.0, -100.0])  # e^20 anchor sides: far beyond both limits
def test_a_side_beyond_the_limit_comes_back(name, offset):
    model = Predictions(SSDLoss(box_loss=name, anchors=spec(1)), 1, 6)
    y_pred = np.array([[0, 0, offset, 0, 0, 0]], np.float32)
    value, gradient = model.loss_and_gradient(target(1, 2, {0: (1, [0.0] * 4)}), y_pred)
    assert 0.9 < value - np.log(2) < 2
    assert gradient[0, 2] * np.sign(offset) > 0


def test_alpha_of_ciou_has_no_gradient():
    """A box of 2 x 1 around one of 1 x 1, with the same center; by the width's logarithm."""
    anchors = AnchorSpec((10, 10), (AnchorLevel((1, 1), ((1.0, 1.0),), (10, 10)),), (1.0,) * 4)
    model = Predictions(SSDLoss(box_loss="ciou", anchors=anchors), 1, 6)
    y_pred = np.array([[0, 0, np.log(2), 0, 0, 0]], np.float32)
    _, gradient = model.loss_and_gradient(target(1, 2, {0: (1, [0.0] * 4)}), y_pred)
    alpha = TWO_THIRDS_V / (1 / 2 + TWO_THIRDS_V)
    expected = 1 / 2 + alpha * 8 / np.pi**2 * (np.arctan(2) - np.pi / 4) * 2 / 5
    np.testing.assert_allclose(gradient[0, 2], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", ["smooth_l1", *OVERLAPS])
def test_the_localization_part(kind, name):
    """The losses of three positives in two images, weighted and divided by three; confidence unchanged."""
    anchors, rng = spec(6), np.random.default_rng(0)
    true, y_pred = rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 6, 7)).astype(np.float32)
    y_true = np.stack(
        [
            target(6, 3, {0: (1, true[0, 0]), 4: (2, true[0, 4])}, neutral=[5]),
            target(6, 3, {1: (1, true[1, 1])}),
        ]
    )
    found = kind(box_loss=name, anchors=anchors, localization_weight=2.0).parts(y_true, y_pred)
    each = np.stack([values(name, np.float32(true[i]), y_pred[i, :, :4], anchors) for i in (0, 1)])
    expected = [2 * (each[0, 0] + each[0, 4]) / 3, 2 * each[1, 1] / 3]
    np.testing.assert_allclose(numpy(found["localization"]), expected, rtol=1e-5)
    plain = kind().parts(y_true, y_pred)
    np.testing.assert_array_equal(numpy(found["confidence"]), numpy(plain["confidence"]))
    if name == "smooth_l1":
        plain = kind(localization_weight=2.0).parts(y_true, y_pred)
        np.testing.assert_array_equal(numpy(found["localization"]), numpy(plain["localization"]))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_a_nan_shows_wherever_it_is(kind, name, column):
    loss = kind(box_loss=name, anchors=spec(6))
    y_true, y_pred = target(6, 2, {0: (1, [0.1] * 4)}, neutral=[1])[None], np.zeros((1, 6, 6), np.float32)
    assert np.isfinite(numpy(loss(y_true, y_pred)))
    for anchor in (0, 1, 4):
        broken = y_pred.copy()
        broken[0, anchor, column] = np.nan
        assert np.isnan(numpy(loss(y_true, broken)))
    y_true[0, 0, column] = np.nan
    assert np.isnan(numpy(loss(y_true, y_pred)))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", ["smooth_l1", "ciou"])
def test_a_compiled_model_is_reloaded_with_its_box_loss(kind, name, tmp_path):
    anchors = None if name == "smooth_l1" else spec(3)
    loss = kind(box_loss=name, anchors=anchors)
    model = Predictions(loss, 3, 6).model
    model.compile("sgd", loss, metrics=loss.metrics())
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again.loss.box_loss, again.loss.anchors) == (name, anchors)
    assert again.loss.get_config() == loss.get_config()
    batch = np.ones((1, 1), np.float32), target(3, 2, {1: (1, [0.5] * 4)})[None]
    assert again.test_on_batch(*batch, return_dict=True) == model.test_on_batch(*batch, return_dict=True)


def test_loss_of_fills_in_the_anchors():
    model = mb.SSD7(2, image_size=(64, 64))
    assert mb.loss_of(model, box_loss="giou").anchors == mb.anchors_of(model)
    assert mb.loss_of(model).anchors is None
    other = mb.anchors.ssd7_anchors((96, 96))
    assert mb.loss_of(model, box_loss="giou", anchors=other).anchors == other


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"box_loss": "gio"}, ValueError, 'box_loss must be "smooth_l1" or "giou" or .* did you mean \'giou'),
        ({"box_loss": "diou"}, ValueError, r'box_loss="diou" needs anchors=multibox\.anchors_of\(model\)'),
        ({"box_loss": "diou", "anchors": "ssd7"}, TypeError, "anchors must be an AnchorSpec"),
    ],
)
@pytest.mark.parametrize("kind", LOSSES)
def test_wrong_arguments(kind, arguments, error, message):
    with pytest.raises(error, match=f"{kind.__name__}: {message}"):
        kind(**arguments)


def test_anchors_of_another_model():
    with pytest.raises(ValueError, match="SSDLoss: anchors: the spec has 3 anchors, the predictions 4; exp"):
        SSDLoss(box_loss="giou", anchors=spec(3))(np.zeros((1, 4, 6)), np.zeros((1, 4, 6)))


def test_train_refuses_anchors_of_another_model(tmp_path):
    data = mb.load_shapes(4, (64, 64))
    model = mb.SSD7(class_names=data.class_names, image_size=(64, 64))
    loss = mb.loss_of(mb.SSD7(4, image_size=(96, 96)), box_loss="giou")
    with pytest.raises(ValueError, match="train: the loss has other anchors than the model; make it with"):
        mb.train(model, data, tmp_path / "run", epochs=1, loss=loss, verbose=0)
