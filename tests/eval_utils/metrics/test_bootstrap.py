"""Intervals and comparisons: equal to evaluating the drawn images again."""

import json
from functools import partial

import numpy as np
import pytest
from golden_voc2007 import read_voc2007

import multibox as mb
from multibox.eval_utils.metrics.bootstrap import Interval

BOX = [0, 0, 40, 40]
HIT, NONE = np.array([[1, 0.9, *BOX]]), np.zeros((0, 6))


def one_object_each(count, names=("a", "b")):
    box, label = np.array([BOX], np.float32), np.array([1], np.int32)
    return mb.DetectionDataset(names, [mb.Record(str(i), "", 99, 99, box, label) for i in range(count)])


def random_data(rng, images=30):
    """Objects of three classes with difficult ones and crowds, and detections of different scores."""
    records, detections = [], []
    for i in range(images):
        corner = rng.uniform(0, 50, (4, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 50, (4, 2))], axis=1).astype(np.float32)
        labels = rng.integers(1, 4, 4).astype(np.int32)
        flags = {"difficult": rng.random(4) < 0.2, "crowd": rng.random(4) < 0.1}
        records.append(mb.Record(str(i), "", 100, 100, boxes, labels, **flags))
        near = np.sort((boxes + rng.normal(0, 3, (4, 4))).reshape(4, 2, 2), axis=1).reshape(4, 4)
        rows = np.column_stack([labels, rng.random(4), near])
        detections.append(np.vstack([rows, np.column_stack([labels[::-1], rng.random(4), near])]))
    return mb.DetectionDataset(("a", "b", "c"), records), detections


@pytest.mark.parametrize(
    "metric",
    [mb.evaluate_coco, mb.evaluate_voc, partial(mb.evaluate_voc, metric="area")],
    ids=["coco", "11_point", "area"],
)
def test_weights_are_the_same_as_copies_of_the_images(metric):
    data, detections = random_data(np.random.default_rng(0))
    result = metric(detections, data)
    weights = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), 20).astype(np.int32)
    for name, matches in result.matched.matches.items():
        sampled = matches.sampled_precisions(result.matched.recalls, weights).mean(axis=1)
        for ap, row in zip(sampled, weights, strict=True):
            drawn = np.repeat(np.arange(30), row)
            again = mb.DetectionDataset(data.class_names, [data[i] for i in drawn])
            expected = metric([detections[i] for i in drawn], again).classes[name].average_precision
            assert ap == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_two_images_by_hand():
    """One object is found, one is missed: a sample has AP 0, 51/101 or 1."""
    intervals = mb.confidence_intervals(mb.evaluate_coco([HIT, NONE], one_object_each(2)), seed=3)
    expected = Interval(pytest.approx(51 / 101), 0, pytest.approx(1))
    assert intervals.classes["a"] == expected
    assert intervals.numbers == {"mAP": expected, "AP50": expected, "AP75": expected}
    assert np.isnan(intervals.classes["b"]).all()
    assert str(intervals).splitlines()[:2] == [
        "          AP  95% of 1000 samples of the images",
        "a      0.505   0.000 to 1.000",
    ]
    assert json.loads(json.dumps(intervals.to_dict()))["classes"]["b"]["low"] is None


def test_the_seed_decides():
    data, detections = random_data(np.random.default_rng(0))
    result = mb.evaluate_voc(detections, data)
    first, again, other = (mb.confidence_intervals(result, samples=50, seed=s) for s in (1, 1, 2))
    assert first.numbers == again.numbers != other.numbers
    low, high = first.numbers["mAP"][1:]
    assert low < result.mean_average_precision < high


def test_a_narrower_interval_of_a_lower_level():
    data, detections = random_data(np.random.default_rng(0))
    result = mb.evaluate_voc(detections, data)
    wide, narrow = (mb.confidence_intervals(result, level=x).numbers["mAP"] for x in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_comparison_of_detectors():
    """The second one finds 40 of 40 objects of `a` instead of 20, and the same ones of `b`."""
    box, labels = np.array([BOX, [50, 50, 90, 90]], np.float32), np.array([1, 2], np.int32)
    data = mb.DetectionDataset(("a", "b"), [mb.Record(str(i), "", 99, 99, box, labels) for i in range(40)])
    both = np.array([[1, 0.9, *BOX], [2, 0.9, 50, 50, 90, 90]])
    half = [both[i % 2 : 2] for i in range(40)]
    a, b = mb.evaluate_coco(half, data), mb.evaluate_coco([both] * 40, data)
    comparison = mb.compare(a, b)
    assert (comparison.better, comparison.worse) == (["a"], [])
    assert (mb.compare(b, a).better, mb.compare(b, a).worse) == ([], ["a"])
    change = comparison.classes["a"].change
    assert change.value == pytest.approx(1 - 51 / 101)
    assert 0.3 < change.low < change.value < change.high < 0.7
    assert comparison.classes["b"] == (pytest.approx(1), pytest.approx(1), (0, 0, 0))
    assert comparison.numbers["mAP"].change.value == pytest.approx(change.value / 2)
    assert str(comparison).splitlines()[1].endswith(" *")
    assert comparison.to_markdown().splitlines()[2].startswith("| a | 0.505 | 1.000 | 0.495 |")
    assert json.loads(json.dumps(comparison.to_dict()))["classes"]["a"]["b"] == pytest.approx(1)


def test_classes_in_another_order_are_found_by_name():
    data = one_object_each(4)
    turned = data.subset(["b", "a"])
    a = mb.evaluate_voc([HIT] * 4, data)
    b = mb.evaluate_voc([np.array([[2, 0.9, *BOX]])] * 4, turned)
    assert mb.compare(a, b).classes["a"] == (1, 1, (0, 0, 0))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: mb.evaluate_coco([HIT] * 4, one_object_each(4)), "the metrics differ"),
        (lambda: mb.evaluate_voc([HIT] * 4, one_object_each(4), metric="area"), "the metrics differ"),
        (lambda: mb.evaluate_voc([HIT] * 4, one_object_each(4, ("a", "c"))), "only one .* has b, c"),
        (lambda: mb.evaluate_voc([HIT] * 3, one_object_each(3)), "different images"),
        (
            lambda: mb.evaluate_voc([HIT] * 4, one_object_each(4).subset(["b", "a"])),
            "the objects of .* a differ",
        ),
        (lambda: mb.eval_utils.VOCResult({}, 0.5, "area"), "expected a result of evaluate_voc"),
    ],
)
@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_what_cannot_be_compared(other, message):
    data = one_object_each(4)
    if "objects" in message:
        data.records[0] = mb.Record("0", "", 99, 99, data[1].boxes, np.array([2], np.int32))
    with pytest.raises(ValueError, match=f"compare: .*{message}|compare: {message}"):
        mb.compare(mb.evaluate_voc([HIT] * 4, data), other())


def test_a_thousand_samples_of_real_detections(golden):
    data, detections, _ = read_voc2007(golden)
    interval = mb.confidence_intervals(mb.evaluate_coco(detections, data)).numbers["mAP"]
    assert interval.value == pytest.approx(0.375, abs=1e-3)
    assert 0.01 < interval.high - interval.low < 0.05
