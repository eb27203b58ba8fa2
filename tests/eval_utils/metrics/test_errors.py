"""Error types: equal to `tidecv` on real detections, and counted by hand on few."""

import json
from dataclasses import replace

import numpy as np
import pytest
from golden_voc2007 import read_voc2007

from multibox.data_generator import DetectionDataset, Record
from multibox.eval_utils import error_types

LEFT, RIGHT = [0, 0, 40, 40], [50, 0, 90, 40]
NONE = np.zeros((0, 6))


def dataset(*images, **flags):
    """Images as lists of (label, box); flags of the objects of the first image."""
    records = []
    for i, objects in enumerate(images):
        boxes = np.array([box for _, box in objects], np.float32).reshape(-1, 4)
        records.append(
            Record(str(i), "", 100, 80, boxes, np.array([label for label, _ in objects], np.int32))
        )
    records[0] = replace(records[0], **{name: np.array(value) for name, value in flags.items()})
    return DetectionDataset(("a", "b"), records)


def test_equals_tidecv_on_real_detections(golden):
    data, detections, _ = read_voc2007(golden)
    expected = json.loads((golden / "voc2007_eval/expected_tide.json").read_text())
    # The reference counts difficult objects as objects.
    data = DetectionDataset(
        data.class_names, [replace(r, difficult=np.zeros(len(r.labels), bool)) for r in data]
    )
    result = error_types(detections, data)
    assert 100 * result.ap50 == pytest.approx(expected["ap50"], abs=0.01)
    assert result.costs == pytest.approx(expected["main"] | expected["special"], abs=0.01)


def test_each_type_by_hand():
    truth = dataset([(1, LEFT), (1, RIGHT)], [(1, LEFT), (2, RIGHT)])
    first = [
        [1, 0.9, *LEFT],
        [1, 0.8, 2, 0, 40, 40],
        [1, 0.7, 75, 0, 90, 40],  # IoU 0.375 with RIGHT
        [2, 0.6, *LEFT],
        [1, 0.5, 0, 60, 10, 70],
        [2, 0.4, 0, 20, 40, 60],  # IoU 1/3 with LEFT
    ]
    second = [[2, 0.85, *LEFT]]
    result = error_types([np.array(first), np.array(second)], truth)
    assert result.detections.verdict.tolist() == ["right", "Dupe", "Loc", "Cls", "Bkg", "Both", "Cls"]
    assert result.detections.objects.tolist() == [0, 0, 1, 0, -1, -1, 2]
    np.testing.assert_allclose(result.detections.iou, [1, 0.95, 0.375, 1, 0, 1 / 3, 1])
    assert result.objects.verdict.tolist() == ["right", "Loc", "Cls", "Miss"]
    assert result.objects.detections.tolist() == [0, 2, 6, -1]
    # Class a finds one object of three: of 101 recalls, 34 have the precision 1. Class b finds nothing.
    assert result.ap50 == pytest.approx(34 / 101 / 2)
    expected = {
        "Cls": 100 * (67 - 34) / 101 / 2,  # the detection of 0.85 finds a second object of a
        "Loc": 100 * 33 * (2 / 3) / 101 / 2,  # the third detection finds a second one
        "Both": 0,
        "Dupe": 0,
        "Bkg": 0,
        "Miss": 0,  # class b has detections, but no object is left
        "FalsePos": 0,
        "FalseNeg": 100 * (101 - 34) / 101 / 2,
    }
    assert result.costs == pytest.approx(expected)
    assert result.counts == {
        "Cls": 2, "Loc": 1, "Both": 1, "Dupe": 1, "Bkg": 1, "Miss": 1, "FalsePos": 6, "FalseNeg": 3
    }  # fmt: skip
    assert result.to_dict()["errors"]["Cls"] == {"cost": result.costs["Cls"], "count": 2}
    assert "Loc             1   10.89  right class, loose box" in str(result).splitlines()


def test_false_alarms_cost_what_their_removal_gains():
    truth = dataset([(1, LEFT)])
    rows = [[1, 0.9, 50, 50, 60, 60], [1, 0.8, *LEFT]]
    result = error_types([np.array(rows)], truth)
    assert result.ap50 == 0.5
    assert (result.costs["Bkg"], result.costs["FalsePos"]) == (50, 50)


def test_of_two_loose_boxes_the_better_one_is_mended_and_the_other_removed():
    truth = dataset([(1, LEFT)])
    rows = [[1, 0.8, 0, 0, 15, 40], [1, 0.9, 0, 0, 10, 40]]
    result = error_types([np.array(rows)], truth)
    assert result.detections.verdict.tolist() == ["Loc", "Loc"]
    assert result.objects.detections.tolist() == [1]
    assert result.costs["Loc"] == 100


def test_a_detection_takes_the_next_object_if_its_best_one_is_taken():
    truth = dataset([(1, LEFT), (1, [10, 0, 50, 40])])
    rows = [[1, 0.9, *LEFT], [1, 0.8, 4, 0, 44, 40]]  # the second one lies nearer to LEFT
    result = error_types([np.array(rows)], truth)
    assert result.detections.verdict.tolist() == ["right", "right"]
    assert result.detections.objects.tolist() == [0, 1]


@pytest.mark.parametrize("flag", ["difficult", "crowd"])
def test_difficult_objects_and_crowds_are_neither_missed_nor_found(flag):
    truth = dataset([(1, LEFT), (1, RIGHT)], **{flag: [True, False]})
    rows = [[1, 0.9, *LEFT], [2, 0.8, *LEFT], [1, 0.7, *RIGHT]]
    result = error_types([np.array(rows)], truth)
    assert result.detections.verdict.tolist() == ["ignored", "Bkg", "right"]
    assert result.objects.verdict.tolist() == ["ignored", "right"]
    assert result.ap50 == 1
    assert result.counts["FalseNeg"] == 0


def test_a_small_box_in_a_crowd_region_is_ignored_but_not_on_a_difficult_object():
    rows = [np.array([[1, 0.9, 0, 0, 10, 10]])]  # IoU 1/16
    assert error_types(rows, dataset([(1, LEFT)], crowd=[True])).detections.verdict.tolist() == ["ignored"]
    assert error_types(rows, dataset([(1, LEFT)], difficult=[True])).detections.verdict.tolist() == ["Bkg"]


def test_of_an_image_the_best_hundred_count():
    truth = dataset([(1, LEFT)], [(1, LEFT)])
    many = np.tile([1, 0.5, 50, 50, 60, 60], (100, 1))
    last = np.array([[1, 0.4, *LEFT]])
    result = error_types([np.concatenate([last, many]), last], truth)
    assert result.detections.verdict.tolist() == ["surplus", *["Bkg"] * 100, "right"]
    assert result.counts["Miss"] == 1


def test_classes_without_objects_do_not_enter_the_mean():
    assert error_types([np.array([[1, 0.9, *LEFT], [2, 0.9, *RIGHT]])], dataset([(1, LEFT)])).ap50 == 1


def test_nothing_to_measure():
    result = error_types([NONE], dataset([]))
    assert np.isnan(result.ap50)
    assert result.to_dict()["ap50"] is None
    assert result.to_dict()["errors"]["Miss"] == {"cost": None, "count": 0}
    assert error_types([NONE], dataset([(1, LEFT)])).objects.verdict.tolist() == ["Miss"]


def test_bad_input():
    with pytest.raises(ValueError, match="error_types: 0: detections must be finite numbers"):
        error_types([np.array([[1, np.nan, *LEFT]])], dataset([(1, LEFT)]))
    with pytest.raises(TypeError, match="are the arguments swapped"):
        error_types(dataset([(1, LEFT)]), [NONE])
