"""The decoder that ships with LiteRT files, beside the layer of Keras."""

import numpy as np
import pytest
from keras import ops

from multibox import AnchorSpec
from multibox.exporting.checking import largest_difference
from multibox.layers import AnchorBoxes, DecodeDetections

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from multibox.eval_utils.runtimes import detect

SPEC = AnchorSpec.from_scales((64, 96), [(8, 12), (4, 6)], scales=(0.2, 0.5, 0.9), aspect_ratios=[(2,), (2,)])
CLASSES = 5


def decoder(**about):
    found = object.__new__(detect.Detector)
    found.anchors = np.asarray(SPEC.cxcywh, np.float32)
    settings = {"activation": "softmax", "confidence_threshold": 0.01, "iou_threshold": 0.45}
    counts = {"max_detections": 200, "max_candidates": 400, "class_agnostic": False}
    found.about = {"variances": SPEC.variances, **settings, **counts, **about}
    return found


def predictions(seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, 1, (SPEC.num_anchors, 4)).astype(np.float32)
    return offsets, rng.normal(0, spread, (SPEC.num_anchors, 1 + CLASSES)).astype(np.float32)


def of_keras(offsets, logits, about):
    settings = {key: value for key, value in about.items() if key != "variances"}
    both = ops.convert_to_tensor(np.concatenate([offsets, logits], axis=1)[None])
    return ops.convert_to_numpy(DecodeDetections(**settings)(both, AnchorBoxes(SPEC)(both)))[0]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_agnostic": True},
        {"max_detections": 1000},
        {"max_detections": 10, "max_candidates": 7},
        {"max_candidates": 3, "class_agnostic": True},
        {"confidence_threshold": 0.4, "iou_threshold": 0.1},
    ],
)
def test_rows_equal_those_of_the_layer(options, activation):
    for seed in range(3):
        tool = decoder(activation=activation, **options)
        offsets, logits = predictions(seed)
        expected = of_keras(offsets, logits, tool.about)
        found = tool.decode(offsets, logits)
        assert len(found) == (expected[:, 1] > 0).sum() > 0
        assert largest_difference(expected, found) <= 1e-5


def test_more_candidates_are_looked_at_where_the_first_are_duplicates(monkeypatch):
    """All boxes of a class on one place: the first 20 candidates give one detection of each class."""
    monkeypatch.setattr(detect, "FIRST", 20)
    offsets, logits = predictions()
    tool = decoder(max_detections=30)
    assert largest_difference(of_keras(offsets, logits, tool.about), tool.decode(offsets, logits)) <= 1e-5
    boxes = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]], np.float32), (100, 1))
    boxes[60:] += np.arange(40, dtype=np.float32)[:, None] * 2
    kept = detect._best(boxes, np.linspace(1, 0.5, 100), np.zeros(100, int), 0.5, 30)
    np.testing.assert_array_equal(kept, [0, *range(61, 90)])


def test_nothing_found():
    offsets, logits = predictions()
    assert decoder(confidence_threshold=0.9999).decode(offsets, logits).shape == (0, 6)


def test_extreme_numbers_stay_finite():
    offsets, logits = predictions()
    rows = decoder(activation="sigmoid").decode(offsets * 1e4, logits * 1e4)
    assert len(rows) and np.isfinite(rows).all()


def test_ranks():
    np.testing.assert_array_equal(detect._rank(np.array([3, 1, 3, 3, 1, 0])), [0, 0, 1, 2, 1, 0])
    assert detect._rank(np.zeros(0, int)).shape == (0,)
