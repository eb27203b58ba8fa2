import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.boxes import iou
from multibox.layers.non_max_suppression import best_scores, non_max_suppression, portable_nms

# On TensorFlow the first is the native kernel; elsewhere both are the same code.
IMPLEMENTATIONS = [non_max_suppression, portable_nms]


def run(implementation, boxes, scores, iou_threshold=0.45, score_threshold=0.01, max_detections=10):
    arrays = implementation(
        keras.ops.convert_to_tensor(boxes, "float32"),
        keras.ops.convert_to_tensor(scores, "float32"),
        iou_threshold,
        score_threshold,
        max_detections,
    )
    return [keras.ops.convert_to_numpy(x) for x in arrays]


def plain_nms(boxes, scores, iou_threshold, score_threshold, max_detections):
    """Visit the boxes of a class from the best down; keep what overlaps nothing kept."""
    rows = []
    for c in range(boxes.shape[0]):
        kept = []
        for i in range(boxes.shape[1]):
            if scores[c, i] <= score_threshold:
                continue
            if all(iou(boxes[c, i : i + 1], boxes[c, j : j + 1])[0, 0] <= iou_threshold for j in kept):
                kept.append(i)
        rows += [(scores[c, i], c, *boxes[c, i]) for i in kept]
    rows = sorted(rows, key=lambda row: -row[0])[:max_detections]
    return np.array(rows + [(0,) * 6] * (max_detections - len(rows)))


@st.composite
def candidates(draw):
    # Few shapes, as some backends compile each of them.
    classes, count = draw(st.sampled_from([(1, 1), (1, 12), (3, 7)]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    # A coarse grid makes equal boxes, touching boxes and boxes without area likely.
    corners = rng.integers(0, 6, (classes, count, 2, 2)) / 5
    boxes = np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=-1)
    # Distinct scores: what a tie does is nobody's promise.
    scores = rng.permutation(classes * count).reshape(classes, count) / (classes * count)
    return boxes.astype(np.float32), -np.sort(-scores.astype(np.float32), axis=1)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@settings(max_examples=60, deadline=None)
@given(candidates(), st.sampled_from([0.0, 0.3, 0.45, 1.0]), st.sampled_from([0.0, 0.2, 0.99]))
def test_equals_plain_greedy_nms(implementation, data, iou_threshold, score_threshold):
    boxes, scores = data
    expected = plain_nms(boxes, scores, iou_threshold, score_threshold, max_detections=10)
    out_boxes, out_scores, classes = run(
        implementation, boxes[None], scores[None], iou_threshold, score_threshold
    )
    np.testing.assert_allclose(out_scores[0], expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(out_boxes[0], expected[:, 2:], rtol=1e-6)
    found = expected[:, 0] > 0
    np.testing.assert_array_equal(classes[0][found], expected[found, 1])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_chain_keeps_every_second_box(implementation):
    # Each overlaps its neighbors by 2/3 (IoU 0.5): the second goes, so the third stays, and so on.
    x = np.arange(8) / 3
    boxes = np.stack([x, np.zeros(8), x + 1, np.ones(8)], axis=1)[None, None]
    scores = np.linspace(0.9, 0.2, 8)[None, None]
    _, kept, _ = run(implementation, boxes, scores)
    np.testing.assert_allclose(kept[0, :5], [0.9, 0.7, 0.5, 0.3, 0], atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nothing_above_the_threshold_gives_zero_rows(implementation):
    boxes = np.tile(np.array([0.1, 0.1, 0.9, 0.9]), (2, 3, 4, 1))
    for array in run(implementation, boxes, np.full((2, 3, 4), 0.01)):
        assert not array.any()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_images_of_a_batch_do_not_mix(implementation):
    boxes = np.tile(np.array([0.1, 0.1, 0.9, 0.9]), (2, 1, 1, 1))
    out_boxes, scores, _ = run(implementation, boxes, np.array([[[0.5]], [[0.6]]]), max_detections=2)
    np.testing.assert_allclose(scores, [[0.5, 0], [0.6, 0]])
    np.testing.assert_allclose(out_boxes[:, 0], [[0.1, 0.1, 0.9, 0.9]] * 2)


def test_the_first_of_equal_scores_comes_first():
    scores = np.zeros((2, 500), "float32")
    scores[0, [7, 40, 41, 300, 450]] = 1.0
    scores[1, ::50] = 0.5
    scores[1, 33] = 0.75
    found, index = best_scores(keras.ops.convert_to_tensor(scores), 5)
    assert keras.ops.convert_to_numpy(found).tolist() == [[1.0] * 5, [0.75] + [0.5] * 4]
    assert keras.ops.convert_to_numpy(index).tolist() == [[7, 40, 41, 300, 450], [33, 0, 50, 100, 150]]
