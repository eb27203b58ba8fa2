import keras
import numpy as np
import pytest
from layer_contract import DECODING_OPTIONS, check_layer

from multibox.anchors import SSD300_VOC, AnchorLevel, AnchorSpec
from multibox.layers import AnchorBoxes, DecodeDetections

TWO = AnchorSpec((100, 100), (AnchorLevel((1, 2), ((40.0, 40.0),), (50.0, 50.0)),))  # side by side, apart


def two_anchors():
    """Anchors (1, 2, 8): boxes 5..45 and 55..95 % across, 5..45 % down."""
    return keras.ops.convert_to_numpy(AnchorBoxes(TWO)(np.zeros((1, 2, 7), np.float32)))


def logits(*probabilities):
    return np.log(np.array(probabilities, np.float32))


def predictions(*probabilities):
    classes = logits(*probabilities)
    return np.concatenate([np.zeros((len(classes), 4), np.float32), classes], axis=1)[None]


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_contract_and_values_by_hand(tmp_path, class_agnostic):
    layer = DecodeDetections(confidence_threshold=0.25, max_detections=4, class_agnostic=class_agnostic)
    inputs = [predictions((0.1, 0.6, 0.3), (0.2, 0.1, 0.7)), two_anchors()]
    output = check_layer(layer, inputs, tmp_path)
    left, right = [0.05, 0.05, 0.45, 0.45], [0.55, 0.05, 0.95, 0.45]
    rows = [[2, 0.7, *right], [1, 0.6, *left]]
    # Only the standard variant finds the second-best class of an anchor.
    rows += [[0] * 6] if class_agnostic else [[2, 0.3, *left]]
    np.testing.assert_allclose(output, [[*rows, [0] * 6]], atol=1e-6)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_sigmoid_scores_by_hand(tmp_path, class_agnostic):
    layer = DecodeDetections(
        confidence_threshold=0.25, max_detections=4, class_agnostic=class_agnostic, activation="sigmoid"
    )
    # log 3 is 0.75, 0 is 0.5, log 4 is 0.8, -log 4 is 0.2; background, the first of three, says nothing.
    inputs = np.zeros((1, 2, 7), np.float32)
    inputs[0, :, 4:] = [[9, np.log(3), 0], [-9, -np.log(4), np.log(4)]]
    output = check_layer(layer, [inputs, two_anchors()], tmp_path)
    left, right = [0.05, 0.05, 0.45, 0.45], [0.55, 0.05, 0.95, 0.45]
    rows = [[2, 0.8, *right], [1, 0.75, *left]]
    rows += [[0] * 6] if class_agnostic else [[2, 0.5, *left]]
    np.testing.assert_allclose(output, [[*rows, [0] * 6]], atol=1e-6)


def test_class_agnostic_suppresses_across_classes():
    spec = AnchorSpec((100, 100), (AnchorLevel((1, 1), ((40.0, 40.0), (42.0, 42.0)), (100.0, 100.0)),))
    anchors = AnchorBoxes(spec)(np.zeros((1, 2, 7), np.float32))
    inputs = predictions((0.1, 0.8, 0.1), (0.1, 0.1, 0.8 - 1e-3))
    for class_agnostic, expected in ((False, {1, 2}), (True, {1})):
        layer = DecodeDetections(confidence_threshold=0.5, max_detections=3, class_agnostic=class_agnostic)
        found = keras.ops.convert_to_numpy(layer(inputs, anchors))[0, :, 0]
        assert set(found[found > 0]) == expected


def test_max_candidates_limits_what_enters_nms():
    inputs = predictions((0.1, 0.6, 0.3), (0.2, 0.1, 0.7))
    layer = DecodeDetections(max_detections=4, max_candidates=1)
    output = keras.ops.convert_to_numpy(layer(inputs, two_anchors()))[0]
    np.testing.assert_allclose(output[:, :2], [[2, 0.7], [1, 0.6], [0, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_wild_predictions_give_finite_detections(class_agnostic):
    wild = predictions((0.1, 0.6, 0.3), (0.2, 0.1, 0.7))
    wild[..., :4] = 1e4
    output = keras.ops.convert_to_numpy(DecodeDetections(class_agnostic=class_agnostic)(wild, two_anchors()))
    assert np.isfinite(output).all()


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_float32_under_mixed_precision(class_agnostic):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = DecodeDetections(class_agnostic=class_agnostic)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (
        keras.backend.standardize_dtype(layer(predictions((0.1, 0.9)), two_anchors()[:, :1]).dtype)
        == "float32"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence_threshold": 1.0}, "confidence_threshold < 1"),
        ({"iou_threshold": -0.1}, "iou_threshold <= 1"),
        ({"max_detections": 0}, "max_detections must be at least 1, got 0"),
        ({"max_candidates": 0}, "must be at least 1"),
        ({"activation": "tanh"}, "activation must be one of softmax, sigmoid, got 'tanh'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        DecodeDetections(**options)


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"expected predictions .* got \(1, 2, 5\)"):
        DecodeDetections()(np.zeros((1, 2, 5), np.float32), two_anchors())
    with pytest.raises(ValueError, match=r"expected anchors \(1, 3, 8\), got \(1, 2, 8\)"):
        DecodeDetections()(np.zeros((1, 3, 7), np.float32), two_anchors())


CAFFE_SETS = ["detection_out", "detection_out_keepall", "detection_out_highthr", "detection_out_nms06_topk50"]


@pytest.mark.parametrize("variant", ["plain", "strongbias"])
@pytest.mark.parametrize("name", CAFFE_SETS)
def test_equals_caffe(golden, variant, name):
    data = np.load(golden / "caffe" / f"ssd300_{variant}.npz")
    confidence, iou, candidates, keep = data[f"{name}_params"]
    expected = data[f"{name}_caffe_order"]
    keep = int(keep) if keep > 0 else len(expected) + 100
    layer = DecodeDetections(confidence, iou, max_detections=keep, max_candidates=int(candidates))
    stored = np.concatenate([data["mbox_loc"], data["mbox_conf"]], axis=1)[None]
    output = keras.ops.convert_to_numpy(layer(stored, AnchorBoxes(SSD300_VOC)(stored)))[0]
    check_rows(output, expected)


@pytest.mark.parametrize(("variant", "count"), [("plain", 33), ("strongbias", 119)])
def test_equals_caffe_on_the_anchors_with_high_scores(small_golden, variant, count):
    data = np.load(small_golden / "caffe" / f"detection_output_{variant}.npz")
    confidence, iou, candidates, _ = data["params"]
    layer = DecodeDetections(confidence, iou, max_detections=count + 100, max_candidates=int(candidates))
    stored = np.concatenate([data["mbox_loc"], data["mbox_conf"]], axis=1)[None]
    whole = np.zeros((1, SSD300_VOC.num_anchors, stored.shape[-1]), np.float32)
    anchors = AnchorBoxes(SSD300_VOC)(whole)
    of_them = keras.ops.convert_to_numpy(anchors)[:, data["anchor_index"]]
    output = keras.ops.convert_to_numpy(layer(stored, of_them))[0]
    assert len(data["detection_out"]) == count
    check_rows(output, data["detection_out"])


def check_rows(output, expected):
    """Whether detections are Caffe's rows, which come by class, then by score."""
    assert (np.diff(output[:, 1]) <= 0).all()
    output = output[output[:, 1] > 0]
    assert len(output) == len(expected)
    output = output[np.lexsort((-output[:, 1], output[:, 0]))]
    np.testing.assert_array_equal(output[:, 0], expected[:, 1])
    np.testing.assert_allclose(output[:, 1:], expected[:, 2:], rtol=0, atol=5e-5)


def test_config_holds_every_option():
    options = {**DECODING_OPTIONS, "activation": "sigmoid"}
    assert options.items() <= DecodeDetections(**options).get_config().items()


def test_a_config_of_old_is_softmax():
    config = DecodeDetections().get_config()
    del config["activation"]
    assert DecodeDetections.from_config(config).activation == "softmax"


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("min_score", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_lower_limit_of_the_scores_only_leaves_rows_out(class_agnostic, min_score, monkeypatch):
    """The scores of 300 anchors are such that with the limits, more and fewer than so many are candidates."""
    monkeypatch.setattr("multibox.layers.decode_detections.FEW_CANDIDATES", 20)
    spec = AnchorSpec((100, 100), (AnchorLevel((10, 30), ((20.0, 20.0),), (3.0, 10.0)),))
    anchors = AnchorBoxes(spec)(np.zeros((1, 300, 7), np.float32))
    inputs = np.random.default_rng(0).normal(0, 1.5, (2, 300, 7)).astype(np.float32)
    layer = DecodeDetections(0.1, max_detections=150, max_candidates=100, class_agnostic=class_agnostic)
    every = keras.ops.convert_to_numpy(layer(inputs, anchors))
    found = keras.ops.convert_to_numpy(layer(inputs, anchors, np.float32(min_score)))
    assert (every[..., 1] > 0.5).any() and (every[..., 1] > 0).sum() > 80
    np.testing.assert_array_equal(found, np.where(every[..., 1:2] > min_score, every, 0))
