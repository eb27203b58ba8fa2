import re

import numpy as np
import pytest
from annotated_images import annotation, write_image

import multibox as mb
from multibox.anchors import SSD300_VOC, SSD512_VOC, SSDLITE320, AnchorLevel, AnchorSpec, ssd7_anchors
from multibox.boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from multibox.data_check import measure_coverage, suggest_anchors
from multibox.data_check.anchor_fit import best_iou_of_level, kmeans_iou, shape_iou
from multibox.data_check.inspection import inspect_images
from multibox.data_check.objects import collect_objects


def objects_with(tmp_path, sides, seed=0):
    """`Objects` of relative widths and heights (N, 2) anywhere in a square image."""
    path = write_image(tmp_path / "a.png", (80, 80))
    low = np.random.default_rng(seed).uniform(0, 1 - sides)
    boxes = np.concatenate([low, low + sides], axis=1)
    annotations = [
        annotation(path, [box], size=None, image_id=str(i), relative=True) for i, box in enumerate(boxes)
    ]
    return collect_objects(list(inspect_images("train", annotations)))


@pytest.fixture
def narrow(tmp_path):
    """300 boxes, five times as wide as high, of 5 to 10 thousandths of the image."""
    areas = np.random.default_rng(0).uniform(0.005, 0.01, 300)
    return objects_with(tmp_path, np.sqrt(areas[:, None] * [5, 1 / 5]))


def test_iou_of_shapes():
    sides = np.array([[2.0, 1.0], [1.0, 2.0], [4.0, 4.0]])
    np.testing.assert_allclose(shape_iou(sides[:1], sides), [[1, 1 / 3, 2 / 16]])


def test_kmeans_finds_the_clusters():
    rng = np.random.default_rng(0)
    true = np.array([[10.0, 50.0], [50.0, 10.0], [100.0, 100.0]])
    sides = np.concatenate([center * rng.uniform(0.95, 1.05, (40, 2)) for center in true])
    for seed in range(5):
        found = kmeans_iou(sides, 3, np.random.default_rng(seed))
        by_width = found[np.argsort(found[:, 0])]
        np.testing.assert_allclose(by_width, [s.mean(axis=0) for s in np.split(sides, 3)])
    np.testing.assert_array_equal(found[2], by_width[2])  # the largest last


def test_kmeans_of_fewer_shapes_than_clusters():
    found = kmeans_iou(np.full((10, 2), 7.0), 3, np.random.default_rng(0))
    np.testing.assert_array_equal(found, np.full((3, 2), 7.0))


# The cells cover part of the image only.
PARTIAL = AnchorSpec((300, 300), (AnchorLevel((2, 3), ((100.0, 90.0),), (50.0, 60.0)),))


@pytest.mark.parametrize("spec", [SSD300_VOC, SSDLITE320, ssd7_anchors((240, 320)), PARTIAL])
def test_the_nearest_cell_has_the_best_anchor(spec):
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 1, (200, 2)), rng.uniform(0.005, 0.9, (200, 2))], axis=1)
    size = (*spec.image_size[::-1], *spec.image_size[::-1])
    best = np.max([best_iou_of_level(boxes * size, level) for level in spec.levels], axis=0)
    np.testing.assert_allclose(best, iou(cxcywh_to_xyxy(boxes), spec.xyxy).max(axis=1), rtol=1e-9)


def test_narrow_boxes_get_anchors_that_cover_them(narrow):
    before = measure_coverage(narrow, SSD300_VOC)
    found = suggest_anchors(before)
    old, new = before.rows()["all"], found.coverage.rows()["all"]
    assert old["share_iou_50"] < 0.5
    assert new["share_iou_50"] > old["share_iou_50"] + 0.4
    assert new["mean_best_iou"] > old["mean_best_iou"] + 0.1
    # What is said of the coverage is so, by plain IoU.
    boxes = cxcywh_to_xyxy(xyxy_to_cxcywh(narrow.relative))
    best = iou(boxes, found.anchors.xyxy).max(axis=1)
    assert new["mean_best_iou"] == pytest.approx(best.mean())


@pytest.mark.parametrize("spec", [SSD300_VOC, SSD512_VOC, SSDLITE320, ssd7_anchors((240, 320))])
def test_suggestions_keep_the_shape_of_the_heads(narrow, spec):
    found = suggest_anchors(measure_coverage(narrow, spec)).anchors
    assert found.image_size == spec.image_size
    assert found.variances == spec.variances
    for old, new in zip(spec.levels, found.levels, strict=True):
        assert (new.grid, new.step, len(new.sides)) == (old.grid, old.step, len(old.sides))
    squares = [level.sides[0][0] for level in found.levels]
    assert squares == sorted(squares)


def test_the_code_makes_the_suggestion(narrow):
    found = suggest_anchors(measure_coverage(narrow, SSDLITE320))
    assert eval(found.code, {"AnchorSpec": AnchorSpec}) == found.anchors
    (scales,) = re.findall(r"scales=\((.*)\)", found.code)
    assert max(map(len, scales.split(", "))) <= len("0.123")


def test_the_suggestion_is_the_same_again(narrow):
    coverage = measure_coverage(narrow, SSD300_VOC)
    assert suggest_anchors(coverage).anchors == suggest_anchors(coverage).anchors


def test_a_model_takes_the_suggestion(narrow):
    found = suggest_anchors(measure_coverage(narrow, SSD300_VOC)).anchors
    model = mb.SSD300(3, anchors=found)
    assert model.output_shape == (None, 8732, 4 + 4)
    assert mb.anchors_of(model) == found


def test_no_suggestion_for_objects_that_fit_already(tmp_path):
    sides = np.array([side for level in SSD300_VOC.levels for side in level.sides]) / 300
    sides = np.tile(sides[(sides < 0.9).all(axis=1)], (20, 1))
    coverage = measure_coverage(objects_with(tmp_path, sides), SSD300_VOC)
    assert coverage.rows()["all"]["share_iou_50"] > 0.99
    assert suggest_anchors(coverage) is None


def test_no_suggestion_from_few_objects(narrow):
    few = narrow.where(np.arange(len(narrow)) < 99)
    assert suggest_anchors(measure_coverage(few, SSD300_VOC)) is None


def test_no_suggestion_for_anchors_that_from_scales_cannot_make(narrow):
    odd = AnchorSpec((300, 300), (AnchorLevel((10, 10), ((200.0, 200.0),) * 3, (30.0, 30.0)),))
    uneven = AnchorSpec((300, 300), (AnchorLevel((10, 10), ((200.0, 200.0),) * 4, (29.0, 30.0)),))
    for spec in (odd, uneven):
        assert suggest_anchors(measure_coverage(narrow, spec)) is None
