import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.anchors import SSD300_VOC, SSD512_VOC, AnchorLevel, AnchorSpec, ssd7_anchors
from multibox.boxes import cxcywh_to_xyxy, decode_offsets, iou, xyxy_to_cxcywh
from multibox.data_generator.encoder import GroundTruthEncoder
from multibox.matching import BACKGROUND, NEUTRAL, bipartite_pairs, match
from multibox.models import SSD7

SPECS = {300: SSD300_VOC, 512: SSD512_VOC}


@pytest.mark.parametrize("negative_iou", [0.5, 0.3])
@pytest.mark.parametrize("size", [300, 512])
def test_equals_ssd_keras(small_golden, size, negative_iou):
    data = np.load(small_golden / "ssd_keras" / f"encoder_ssd{size}_voc.npz")
    encoder = GroundTruthEncoder(SPECS[size], 20, negative_iou=negative_iou)
    truth, positives = data["ground_truth"], data[f"positive_{negative_iou}"]
    offsets, neutrals = data[f"offsets_{negative_iou}"], data[f"neutral_{negative_iou}"]
    for image in range(16):
        mine = truth[truth[:, 0] == image]
        targets = encoder(mine[:, 2:] / size, mine[:, 1].astype(int))
        rows = np.flatnonzero(targets[:, 5:].any(axis=1))
        expected = positives[:, 0] == image
        order = np.argsort(positives[expected, 1])
        np.testing.assert_array_equal(rows, positives[expected, 1][order])
        np.testing.assert_array_equal(targets[rows, 4:].argmax(axis=1), positives[expected, 2][order])
        np.testing.assert_allclose(targets[rows, :4], offsets[expected][order], rtol=0, atol=1e-4)
        neutral = np.flatnonzero(~targets[:, 4:].any(axis=1))
        np.testing.assert_array_equal(neutral, np.sort(neutrals[neutrals[:, 0] == image, 1]))


SPEC = AnchorSpec((100, 100), (AnchorLevel((1, 2), ((40.0, 40.0),), (50.0, 50.0)),))  # 5..45, 55..95 across


def test_by_hand():
    encoder = GroundTruthEncoder(SPEC, 3)
    targets = encoder([[0.05, 0.05, 0.45, 0.65]], [2])
    assert targets.dtype == np.float32
    # Center 10 of 40 lower, and 1.5 times as high.
    np.testing.assert_allclose(targets[0], [0, 2.5, 0, np.log(1.5) / 0.2, 0, 0, 1, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(targets[1], [0, 0, 0, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("sparse", [False, True])
def test_a_neutral_anchor_by_hand(sparse):
    # IoUs: 1 with the left anchor; 0.5 (20 x 40 of 40 x 40) with the right one, which that object takes.
    boxes = [[0.05, 0.05, 0.45, 0.45], [0.55, 0.05, 0.75, 0.45]]
    encoder = GroundTruthEncoder(SPEC, 3, positive_iou=0.6, negative_iou=0.4, sparse=sparse)
    rescued = encoder(boxes, [3, 1])
    left, right = ([3], [1]) if sparse else ([0, 0, 0, 1], [0, 1, 0, 0])
    np.testing.assert_allclose(rescued[0], [0, 0, 0, 0, *left], atol=1e-6)
    np.testing.assert_allclose(rescued[1], [-2.5, 0, np.log(0.5) / 0.2, 0, *right], rtol=1e-5, atol=1e-6)
    # An object of half the right anchor that takes the left one leaves the right one neutral.
    wide = GroundTruthEncoder(SPEC, 3, positive_iou=0.6, negative_iou=0.3, sparse=sparse)
    neutral = wide([[0.05, 0.05, 0.95, 0.45]], [2])  # IoU 40 / 90 with both
    np.testing.assert_allclose(neutral[1], [0, 0, 0, 0, *([-1] if sparse else [0, 0, 0, 0])])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_sparse_targets_say_the_same(objects, seed):
    rng = np.random.default_rng(seed)
    boxes, labels = random_boxes(rng, objects), rng.integers(1, 21, objects)
    dense = GroundTruthEncoder(SSD300_VOC, 20, negative_iou=0.4)(boxes, labels)
    sparse = GroundTruthEncoder(SSD300_VOC, 20, negative_iou=0.4, sparse=True)(boxes, labels)
    assert sparse.shape == (8732, 5)
    np.testing.assert_array_equal(sparse[:, :4], dense[:, :4])
    ids = np.where(dense[:, 4:].any(axis=1), dense[:, 4:].argmax(axis=1), -1)
    np.testing.assert_array_equal(sparse[:, 4], ids)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30), st.sampled_from([0.01, 0.05, 0.3]), st.integers(0, 2**32 - 1))
def test_the_first_look_at_the_anchors_loses_none(objects, size, seed):
    """Equals matching with the overlaps of all anchors, also where objects are crowded or tiny."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0.4, 0.5, (objects, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.2, 1, (objects, 2)) * size], axis=1)
    labels = rng.integers(1, 21, objects)
    targets = GroundTruthEncoder(SSD300_VOC, 20, negative_iou=0.4, sparse=True)(boxes, labels)
    centered = cxcywh_to_xyxy(xyxy_to_cxcywh(boxes))
    overlaps = iou(centered, SSD300_VOC.xyxy)
    matches = match(overlaps, 0.5, 0.4)
    expected = np.where(matches >= 0, labels[np.maximum(matches, 0)], np.where(matches == NEUTRAL, -1, 0))
    np.testing.assert_array_equal(targets[:, 4], expected)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 90), st.sampled_from([0.02, 0.4, 1.0]), st.integers(0, 2**32 - 1))
def test_ties_and_too_many_objects_are_matched_as_with_all_anchors(objects, negative_iou, seed):
    """Boxes on a coarse grid, with duplicates, for 88 anchors; some meet none."""
    spec, rng = ssd7_anchors((32, 32)), np.random.default_rng(seed)
    low = rng.integers(0, 7, (objects, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 4, (objects, 2))], axis=1) / 8
    boxes[rng.random(objects) < 0.2] = (0.4, 0.4, 0.4001, 0.4001)
    labels = rng.integers(1, 21, objects)
    encoder = GroundTruthEncoder(
        spec, 20, positive_iou=max(0.5, negative_iou), negative_iou=negative_iou, sparse=True
    )
    overlaps = iou(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), spec.xyxy)
    matches = match(overlaps, max(0.5, negative_iou), negative_iou)
    expected = np.where(matches >= 0, labels[np.maximum(matches, 0)], np.where(matches == NEUTRAL, -1, 0))
    np.testing.assert_array_equal(encoder(boxes, labels)[:, 4], expected)


def test_no_objects_is_all_background():
    for boxes in (np.zeros((0, 4)), []):
        targets = GroundTruthEncoder(SPEC, 3)(boxes, [])
        np.testing.assert_array_equal(targets, [[0, 0, 0, 0, 1, 0, 0, 0]] * 2)


def test_every_object_gets_an_anchor_even_when_two_want_the_same():
    # Both objects prefer the left anchor; the better one gets it, the other the right one.
    overlaps = np.array([[0.4, 0.1], [0.3, 0.2]])
    assert bipartite_pairs(overlaps) == [(0, 0), (1, 1)]
    np.testing.assert_array_equal(match(overlaps, 0.5, 0.5), [0, 1])


def test_an_object_that_meets_no_free_anchor_stays_without():
    assert bipartite_pairs(np.array([[0.9, 0.0], [0.8, 0.0]])) == [(0, 0)]
    np.testing.assert_array_equal(match(np.array([[0.0, 0.0]]), 0.5, 0.5), [BACKGROUND, BACKGROUND])


def test_thresholds_are_inclusive():
    overlaps = np.array([[0.9, 0.5, 0.499, 0.3, 0.299]])
    np.testing.assert_array_equal(match(overlaps, 0.5, 0.3), [0, 0, NEUTRAL, NEUTRAL, BACKGROUND])


def plain_greedy(overlaps):
    pairs, overlaps = [], overlaps.copy()
    for _ in range(min(overlaps.shape)):
        item, anchor = np.unravel_index(overlaps.argmax(), overlaps.shape)
        if overlaps[item, anchor] <= 0:
            break
        pairs.append((item, anchor))
        overlaps[item], overlaps[:, anchor] = 0, 0
    return pairs


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_bipartite_equals_plain_greedy(objects, anchors, seed):
    rng = np.random.default_rng(seed)
    overlaps = rng.permutation(objects * anchors).reshape(objects, anchors) / (objects * anchors)
    assert bipartite_pairs(overlaps) == plain_greedy(overlaps)


def random_boxes(rng, count):
    low = rng.uniform(0, 0.8, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.02, 0.2, (count, 2))], axis=1).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_properties_and_round_trip(objects, seed):
    rng = np.random.default_rng(seed)
    boxes, labels = random_boxes(rng, objects), rng.integers(1, 21, objects)
    targets = GroundTruthEncoder(SSD300_VOC, 20, negative_iou=0.4)(boxes, labels)
    classes = targets[:, 4:]
    assert np.isfinite(targets).all()
    assert set(np.unique(classes.sum(axis=1))) <= {0.0, 1.0}
    positive = np.flatnonzero(classes[:, 1:].any(axis=1))
    decoded = keras.ops.convert_to_numpy(
        decode_offsets(
            targets[positive, :4],
            SSD300_VOC.cxcywh[positive].astype(np.float32),
            np.float32(SSD300_VOC.variances),
        )
    )
    # Every positive row decodes to an object of its class, and every object has a row.
    nearest = np.abs(decoded[:, None] - boxes[None]).max(axis=2)
    same_class = classes[positive].argmax(axis=1)[:, None] == labels[None]
    assert (np.where(same_class, nearest, 1).min(axis=1) < 1e-5).all()
    assert (nearest.min(axis=0) < 1e-5).all()
    best = iou(boxes, SSD300_VOC.xyxy).max(axis=0)
    assert (classes[best >= 0.5, 1:].any(axis=1)).all()
    assert (best[classes[:, 0] == 1] < 0.4).all()


def test_writes_into_a_given_array():
    out = np.full((2, 8), 7, np.float32)
    assert GroundTruthEncoder(SPEC, 3)([[0.1, 0.1, 0.4, 0.4]], [1], out=out) is out
    np.testing.assert_array_equal(out[1], [0, 0, 0, 0, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0.5, 0.1, 0.4, 0.2], "box 1 must be finite with xmin < xmax"),
        ([0.1, 0.2, 0.4, 0.2], "box 1 must be"),
        ([0.1, float("nan"), 0.4, 0.2], "box 1 must be finite"),
        ([0.1, 0.1, float("inf"), 0.2], "box 1 must be finite"),
    ],
)
def test_bad_boxes(box, message):
    with pytest.raises(ValueError, match=message):
        GroundTruthEncoder(SPEC, 3)([[0.1, 0.1, 0.2, 0.2], box], [1, 1])


@pytest.mark.parametrize("label", [0, 4, -1])
def test_labels_out_of_range(label):
    with pytest.raises(ValueError, match=rf"label 0 must be in 1..3 \(0 is background\), got {label}"):
        GroundTruthEncoder(SPEC, 3)([[0.1, 0.1, 0.2, 0.2]], [label])


@pytest.mark.parametrize(
    "box", [[50, 60, 200, 220], [0, 0, 100, 100], [1.0, 0.1, 1.2, 0.2], [-0.2, 0.1, 0.0, 0.2]]
)
def test_boxes_outside_the_image_or_in_pixels(box):
    with pytest.raises(
        ValueError, match=r"box 0 lies outside the image or extends far beyond it; .* \(0..1, not pixels\)"
    ):
        GroundTruthEncoder(SPEC, 3)([box], [1])


def test_labels_that_are_no_integers():
    with pytest.raises(ValueError, match="labels must be integers, got float64"):
        GroundTruthEncoder(SPEC, 3)([[0.1, 0.1, 0.2, 0.2]], [1.5])


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"got \(1, 5\) and \(1,\)"):
        GroundTruthEncoder(SPEC, 3)(np.ones((1, 5)), [1])
    with pytest.raises(ValueError, match=r"got \(1, 4\) and \(2,\)"):
        GroundTruthEncoder(SPEC, 3)([[0.1, 0.1, 0.2, 0.2]], [1, 2])


@pytest.mark.parametrize(
    "arguments", [{"num_classes": 0}, {"negative_iou": 0.6}, {"negative_iou": 0}, {"positive_iou": 1.1}]
)
def test_impossible_options(arguments):
    with pytest.raises(ValueError, match="GroundTruthEncoder"):
        GroundTruthEncoder(SPEC, **{"num_classes": 3, **arguments})


def test_a_model_has_all_that_an_encoder_needs():
    model = SSD7(class_names=("a", "b"), image_size=(64, 96))
    encoder = GroundTruthEncoder(model, negative_iou=0.4, sparse=True)
    of_anchors = GroundTruthEncoder(model.get_layer("predictions").anchors, 2, negative_iou=0.4, sparse=True)
    objects = ([[0.1, 0.2, 0.5, 0.7], [0.6, 0.6, 0.9, 0.9]], [2, 1])
    np.testing.assert_array_equal(encoder(*objects), of_anchors(*objects))
    assert encoder.class_names == ("a", "b")
    assert of_anchors.class_names is None


def test_an_encoder_of_too_little_or_too_much():
    with pytest.raises(TypeError, match="an AnchorSpec needs num_classes"):
        GroundTruthEncoder(SPEC)
    with pytest.raises(TypeError, match="a model knows its number of classes"):
        GroundTruthEncoder(SSD7(2, image_size=(64, 96)), 2)
