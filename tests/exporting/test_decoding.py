"""The decoder in ONNX against `DecodeDetections`, with predictions made for each case."""

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.layers import AnchorBoxes, DecodeDetections

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from multibox.exporting import decoding  # noqa: E402
from multibox.exporting.graph import Graph  # noqa: E402

CLASSES, WANTED = 20, 10
LEVEL = mb.anchors.AnchorLevel((8, 8), ((16.0, 16.0), (24.0, 12.0)), (8.0, 8.0))
SPEC = mb.AnchorSpec((64, 64), (LEVEL,))
COUNT = SPEC.num_anchors
RNG = np.random.default_rng


def decoded(predictions, **options):
    """Rows of Keras and of the graph; and whether the best scores were enough, None if they are not tried."""
    layer = DecodeDetections(**{"max_detections": WANTED, "activation": "sigmoid"} | options)
    expected = np.asarray(layer(predictions, AnchorBoxes(SPEC)(predictions)))
    graph = Graph()
    columns = graph.integers([4, 1 + CLASSES])
    offsets, logits = graph.add_many("Split", 2, "predictions", columns, axis=2)
    graph.add_output(decoding.Decoder(graph, SPEC, layer, CLASSES).add(offsets, logits), ("batch", WANTED, 6))
    given = onnx.helper.make_tensor_value_info("predictions", 1, ("batch", COUNT, 5 + CLASSES))
    model = graph.model("decoder", given, "0", {})
    choices = [node.input[0] for node in model.graph.node if node.op_type == "If"]
    for name in choices:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.BOOL, []))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found, *enough = session.run(None, {"predictions": predictions})
    return expected, found, bool(enough[0]) if enough else None


def logits_of(scores):
    return np.log(scores / (1 - scores)).astype(np.float32)


def predictions(seed=0, batch=2, low=0.02, high=0.98):
    """Anchors a little moved, with scores of all heights."""
    offsets = RNG(seed).normal(0, 0.5, (batch, COUNT, 4))
    scores = RNG(seed + 1).uniform(low, high, (batch, COUNT, 1 + CLASSES))
    return np.concatenate([offsets, logits_of(scores)], axis=-1).astype(np.float32)


def in_one_place(x):
    """All anchors predict about the same box: NMS keeps one of each class."""
    cx, cy, w, h = np.moveaxis(SPEC.cxcywh, -1, 0)
    centers = np.stack([(0.5 - cx) / w, (0.5 - cy) / h], axis=-1) / SPEC.variances[:2]
    sides = np.log(np.stack([0.3 / w, 0.3 / h], axis=-1)) / SPEC.variances[2:]
    x[..., :4] = np.concatenate([centers, sides], axis=-1)
    return x


def assert_equal(found, expected):
    np.testing.assert_array_equal(found[..., 0], expected[..., 0])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_best_scores_are_enough(batch, activation):
    expected, found, enough = decoded(predictions(batch=batch), activation=activation)
    assert enough and (expected[:, -1, 1] > 0).all()
    assert_equal(found, expected)


def test_the_best_scores_are_not_enough():
    """The best 80 scores are of one class in one place; 9 detections of other classes are far below."""
    x = in_one_place(predictions(low=0.02, high=0.3))
    x[..., 4 + 7] = logits_of(RNG(2).uniform(0.6, 0.9, x.shape[:2]))
    expected, found, enough = decoded(x)
    assert enough is False
    assert (expected[:, 0, 0] == 7).all() and (expected[:, 1:, 0] != 7).all() and (expected[..., 1] > 0).all()
    assert_equal(found, expected)


def test_one_image_of_two_needs_more():
    x = predictions(low=0.02, high=0.3)
    x[1:] = in_one_place(x[1:].copy())
    x[1:, :, 4 + 7] = logits_of(RNG(2).uniform(0.6, 0.9, COUNT))
    expected, found, enough = decoded(x)
    assert enough is False
    assert_equal(found, expected)


def test_few_detections_but_no_score_above_the_threshold_left_out():
    x = in_one_place(predictions(low=0.002, high=0.009))
    x[:, :4, 4 + 3] = logits_of(np.array([0.5, 0.6, 0.7, 0.55]))
    expected, found, enough = decoded(x)
    assert enough
    np.testing.assert_allclose(expected[..., 1], [[0.7] + [0] * 9] * 2, atol=1e-6)
    assert_equal(found, expected)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow's kernel has an order of its own"
)
@pytest.mark.parametrize("place", [lambda x: x, in_one_place])
def test_equal_scores_come_class_by_class_and_anchor_by_anchor(place):
    """Five heights for all scores: the last that is tried is as good as many that are not."""
    x = place(predictions())
    x[..., 4:] = np.round(x[..., 4:])
    expected, found, _ = decoded(x)
    assert len(np.unique(expected[0, :, 1])) < 4
    assert_equal(found, expected)


@pytest.mark.parametrize("max_candidates", [5, 6, 128])
def test_only_the_candidates_of_a_class_count(monkeypatch, max_candidates):
    """One class has all of the best scores; those after its candidates are left out, also of the best."""
    monkeypatch.setattr(decoding, "TRIED", 4)
    x = predictions(low=0.02, high=0.3)
    x[..., :4] = 0
    x[..., 4 + 7] = logits_of(RNG(2).uniform(0.6, 0.9, x.shape[:2]))
    expected, found, enough = decoded(x, max_candidates=max_candidates)
    assert enough is (max_candidates == 128)
    assert ((expected[..., 0] == 7).sum(axis=1) <= max_candidates).all()
    assert_equal(found, expected)


def test_the_candidates_are_counted_among_the_best_scores():
    """40 of the best 80 scores are of class 7. Its 5 candidates are in one place, the next ones are not."""
    x = predictions(low=0.02, high=0.5)
    places = in_one_place(x.copy())
    x[:, 5:, :4] = 0
    x[:, :5, :4] = places[:, :5, :4]
    x[:, :40, 4 + 7] = logits_of(np.linspace(0.9, 0.8, 40))
    expected, found, enough = decoded(x, max_candidates=5)
    assert enough and ((expected[..., 0] == 7).sum(axis=1) == 1).all() and (expected[..., 1] > 0).all()
    assert_equal(found, expected)


@pytest.mark.parametrize("options", [{"class_agnostic": True}, {"max_candidates": 4}])
def test_few_candidates_are_not_tried_first(options):
    expected, found, enough = decoded(predictions(), **options)
    assert enough is None
    assert_equal(found, expected)
