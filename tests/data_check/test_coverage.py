import tracemalloc

import numpy as np
import pytest
from annotated_images import annotation, write_image

import multibox as mb
from multibox.anchors import AnchorLevel, AnchorSpec
from multibox.data_check import coverage, measure_coverage
from multibox.data_check.coverage import size_class
from multibox.data_check.inspection import inspect_images
from multibox.data_check.objects import collect_objects
from multibox.data_generator.encoder import GroundTruthEncoder

# Two anchors in relative coordinates: the left and the right half of the image.
HALVES = AnchorSpec((100, 200), (AnchorLevel((1, 2), ((100.0, 100.0),), (100.0, 100.0)),))
WIDTH, HEIGHT = 60, 40


def objects_of(tmp_path, *images):
    """`Objects` of images of 60 x 40 with these relative boxes."""
    path = write_image(tmp_path / "a.png", (WIDTH, HEIGHT))
    annotations = [
        annotation(path, boxes, size=None, image_id=str(i), relative=True) for i, boxes in enumerate(images)
    ]
    return collect_objects(list(inspect_images("train", annotations)))


def test_coverage_by_hand(tmp_path):
    left, right = (0, 0, 0.5, 1), (0.5, 0, 1, 1)
    objects = objects_of(
        tmp_path,
        [left],  # the left anchor itself
        [(0, 0, 0.25, 1)],  # half of the left anchor
        [(0, 0, 0.1, 0.1)],  # 0.01 / 0.5 of it
        [left, right, (0, 0, 0.2, 1)],  # 0.4 of the left anchor, which another object has
        [(0, 0, 1, 1)],  # both anchors are half of it
    )
    coverage = measure_coverage(objects, HALVES)
    np.testing.assert_allclose(coverage.best_iou, [1, 0.5, 0.02, 1, 1, 0.4, 0.5], rtol=1e-6)
    assert coverage.positives.tolist() == [1, 1, 1, 1, 1, 0, 2]
    # At an input of 200 x 100: 100 x 100, 50 x 100, 20 x 10, 100 x 100 twice, 40 x 100, 200 x 100.
    rows = coverage.rows()
    assert {name: row["objects"] for name, row in rows.items()} == {
        "small": 1,
        "medium": 2,
        "large": 4,
        "all": 7,
    }
    assert rows["all"] == {
        "objects": 7,
        "share_iou_50": pytest.approx(5 / 7),
        "mean_best_iou": pytest.approx(4.42 / 7),
        "one_anchor_only": 1,
        "no_anchor": 1,
        "mean_positives": pytest.approx(1.0),
    }
    anchors = "<AnchorSpec: 100x200, 1 levels, 2 anchors>"
    assert repr(coverage) == f"<Coverage: 7 objects, 71% with IoU >= 0.5, {anchors}>"
    assert repr(measure_coverage(objects_of(tmp_path, []), HALVES)) == f"<Coverage: 0 objects, {anchors}>"
    lost, weak = coverage.findings()
    assert (lost.kind, lost.image_id, lost.detail["object"]) == ("no-anchor", "3", 2)
    assert (weak.kind, weak.image_id, weak.count) == ("weak-anchors", "2", 1)


def test_size_classes():
    assert size_class(np.array([0, 1023, 1024, 9215, 9216, 90000])).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_size_class_without_objects(tmp_path):
    rows = measure_coverage(objects_of(tmp_path, [(0, 0, 0.5, 1)]), HALVES).rows()
    assert rows["small"] == {"objects": 0}


def test_positives_are_those_of_the_encoder(tmp_path):
    low = np.random.default_rng(0).uniform(0, 0.6, (8, 2))
    boxes = np.concatenate([low, low + np.random.default_rng(1).uniform(0.03, 0.4, (8, 2))], axis=1)
    objects = objects_of(tmp_path, boxes)
    spec = mb.anchors.SSD300_VOC
    targets = GroundTruthEncoder(spec, 8)(objects.relative, np.arange(1, 9))
    np.testing.assert_array_equal(measure_coverage(objects, spec).positives, targets[:, 5:].sum(axis=0))


@pytest.mark.parametrize(("weak", "kind"), [(3, "weak-anchors"), (4, "poor-anchors")])
def test_many_objects_below_the_threshold_are_a_warning(tmp_path, weak, kind):
    """Of ten objects."""
    images = [[(0, 0, 0.5, 1)]] * (10 - weak) + [[(0, 0, 0.2, 1)]] * weak
    (finding,) = measure_coverage(objects_of(tmp_path, *images), HALVES).findings()
    assert (finding.kind, finding.count, finding.detail["share"]) == (kind, weak, weak / 10)
    assert finding.severity == {"weak-anchors": "info", "poor-anchors": "warning"}[kind]


def test_an_image_with_too_many_objects_is_compared_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "MAX_OVERLAPS", 7)  # three objects at two anchors
    half = (0, 0, 0.5, 1)
    objects = objects_of(tmp_path, [half], [half] * 5, [half])
    found = measure_coverage(objects, HALVES)
    assert found.objects.image.tolist() == [0, 1, 1, 1, 2] and found.left_out == {1: 2}
    (finding,) = [f for f in found.findings() if f.kind == "many-objects"]
    assert (finding.image_id, finding.count, finding.severity) == ("1", 2, "warning")
    assert finding.message == "only the first 3 of 5 objects are compared with the anchors"


def test_overlaps_in_parts_are_those_at_once(tmp_path, monkeypatch):
    boxes = np.random.default_rng(0).uniform((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1), (9, 4))
    objects = objects_of(tmp_path, boxes)
    whole = measure_coverage(objects, HALVES)
    monkeypatch.setattr(coverage, "OVERLAPS_AT_ONCE", 8)
    parts = measure_coverage(objects, HALVES)
    np.testing.assert_array_equal(parts.best_iou, whole.best_iou)
    np.testing.assert_array_equal(parts.positives, whole.positives)


def test_twenty_thousand_objects_in_one_image(tmp_path):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.9, (20_000, 2))
    objects = objects_of(tmp_path, np.concatenate([low, low + rng.uniform(0.02, 0.1, (20_000, 2))], axis=1))
    tracemalloc.start()
    found = measure_coverage(objects, mb.anchors.SSD300_VOC)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.left_out == {0: 20_000 - 2**25 // 8732}
    assert peak < 800e6
