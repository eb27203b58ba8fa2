import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multibox import boxes

VARIANCES = (0.1, 0.1, 0.2, 0.2)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@st.composite
def box_sets(draw, count=None, low=-2.0, high=2.0, min_side=0.0):
    n = draw(st.integers(0, 6)) if count is None else count
    corner = draw(arrays(np.float64, (n, 2), elements=st.floats(low, high)))
    sides = draw(arrays(np.float64, (n, 2), elements=st.floats(min_side, 2.0)))
    return np.concatenate([corner, corner + sides], axis=1)


def test_iou_by_hand():
    a = np.array([[0.0, 0, 2, 2], [0, 0, 0, 0]])
    b = np.array([[1.0, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2], [0, 0, 2, 1]])
    np.testing.assert_allclose(boxes.iou(a, b), [[1 / 7, 1, 0, 0.5], [0, 0, 0, 0]])


def test_empty_sets():
    none = np.zeros((0, 4))
    assert boxes.iou(none, np.ones((3, 4))).shape == (0, 3)
    assert boxes.area(none).shape == (0,)
    assert boxes.flip(none, 10).shape == (0, 4)


@given(box_sets(), box_sets())
def test_iou_is_a_symmetric_fraction(a, b):
    values = boxes.iou(a, b)
    assert (values >= 0).all()
    assert (values <= 1 + 1e-9).all()
    np.testing.assert_allclose(values, boxes.iou(b, a).T)


@given(box_sets(min_side=0.01))
def test_iou_with_itself_is_one(a):
    np.testing.assert_allclose(np.diag(boxes.iou(a, a)), 1, rtol=1e-6)


@settings(deadline=None)
@given(box_sets(count=4, min_side=0.1))
def test_pairwise_iou_equals_the_numpy_one(a):
    np.testing.assert_allclose(
        numpy(boxes.pairwise_iou(keras.ops.convert_to_tensor(a, "float32"))), boxes.iou(a, a), atol=1e-4
    )


def test_encode_by_hand():
    # An anchor of 2 x 4 at (1, 2); the box is shifted by half a width and twice as wide.
    anchors = np.array([[1.0, 2.0, 2.0, 4.0]])
    box = np.array([[0.0, 0.0, 4.0, 4.0]])
    expected = [[0.5 / 0.1, 0, np.log(2) / 0.2, 0]]
    np.testing.assert_allclose(boxes.encode_offsets(box, anchors, VARIANCES), expected, atol=1e-12)


@settings(deadline=None)
@given(box_sets(count=5, min_side=0.05), box_sets(count=5, min_side=0.05))
def test_decoding_inverts_encoding(truth, anchors):
    anchors = boxes.xyxy_to_cxcywh(anchors)
    offsets = boxes.encode_offsets(truth, anchors, VARIANCES)
    decoded = boxes.decode_offsets(
        keras.ops.convert_to_tensor(offsets, "float32"),
        keras.ops.convert_to_tensor(anchors, "float32"),
        keras.ops.convert_to_tensor(VARIANCES, "float32"),
    )
    np.testing.assert_allclose(numpy(decoded), truth, atol=2e-4)


def test_decoding_equals_torchvision(golden):
    data = np.load(golden / "torchvision" / "box_coder.npz")
    anchors = boxes.xyxy_to_cxcywh(data["anchors"])
    arguments = (data["codes"], anchors, np.float32(VARIANCES))
    decoded = numpy(boxes.decode_offsets(*map(keras.ops.convert_to_tensor, arguments)))
    np.testing.assert_allclose(decoded, data["decoded"], rtol=2e-5, atol=2e-3)
    encoded = boxes.encode_offsets(data["gt_boxes"], anchors, VARIANCES)
    np.testing.assert_allclose(encoded, data["encoded"], rtol=1e-4, atol=2e-4)


def test_clip_and_flip_by_hand():
    box = np.array([[-1.0, 2, 5, 12]])
    np.testing.assert_array_equal(boxes.clip(box, (0, 0), (4, 10)), [[0, 2, 4, 10]])
    np.testing.assert_array_equal(boxes.flip(np.array([[1.0, 2, 4, 8]]), 10), [[6, 2, 9, 8]])


@given(box_sets(low=0, high=2))
def test_flipping_twice_changes_nothing(a):
    np.testing.assert_allclose(boxes.flip(boxes.flip(a, 4.0), 4.0), a, atol=1e-12)
