"""`evaluate_coco` against pycocotools, and by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from golden_voc2007 import read_voc2007

from multibox.data_generator import DetectionDataset, Record
from multibox.eval_utils import evaluate_coco, evaluate_voc

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
BOX = [0, 0, 40, 40]
NONE = np.zeros((0, 6))


def dataset(*images, **flags):
    """Images as lists of pairs of label and box; each flag applies to all objects."""
    records = []
    for i, objects in enumerate(images):
        boxes = np.array([box for _, box in objects], np.float32).reshape(-1, 4)
        labels = np.array([label for label, _ in objects], np.int32)
        flagged = {name: np.full(len(labels), value) for name, value in flags.items()}
        records.append(Record(str(i), "", 200, 200, boxes, labels, **flagged))
    return DetectionDataset(("a", "b"), records)


def from_sizes(rows):
    """The last four columns as xmin, ymin, xmax, ymax instead of x, y, width, height."""
    rows = np.array(rows, float).reshape(-1, 6)
    rows[:, 4:] += rows[:, 2:4]
    return rows


def test_equals_pycocotools_on_real_detections(golden):
    data, detections, _ = read_voc2007(golden)
    expected = json.loads((golden / "voc2007_eval/expected_coco.json").read_text())
    result = evaluate_coco(detections, data)
    assert result.numbers == pytest.approx(expected["summary"], abs=1e-6)
    for name, numbers in expected["classes"].items():
        assert {key: result.classes[name].numbers[key] for key in numbers} == pytest.approx(numbers, abs=1e-6)


def test_equals_pycocotools_with_crowds_and_equal_scores(small_golden):
    golden = json.loads((small_golden / "coco_metrics.json").read_text())
    records, detections = [], []
    for number, image in enumerate(golden["images"]):
        objects = from_sizes(image["objects"])
        boxes, labels = objects[:, 2:].astype(np.float32), objects[:, 0].astype(np.int32)
        records.append(Record(str(number), "", *image["size"], boxes, labels, crowd=objects[:, 1] == 1))
        detections.append(from_sizes(image["detections"]))
    result = evaluate_coco(detections, DetectionDataset(golden["classes"], records))
    assert sum(record.crowd.sum() for record in records) > 5
    assert tuple(result.numbers) == NAMES
    assert result.numbers == pytest.approx(golden["summary"], abs=1e-12)
    for name, numbers in golden["per_class"].items():
        ours = result.classes[name].numbers
        assert {key: ours[key] for key in numbers} == pytest.approx(numbers, abs=1e-12)
    assert all(np.isnan(value) for value in result.classes["never"].numbers.values())


def test_by_hand():
    # IoU 0.8 with the only object: right at 0.5, 0.55, ..., 0.8, seven of ten thresholds.
    result = evaluate_coco([np.array([[1, 0.9, 0, 0, 40, 32]])], dataset([(1, BOX)]))
    numbers = result.classes["a"].numbers
    assert numbers["AP"] == pytest.approx(0.7)
    assert (numbers["AP50"], numbers["AP75"], numbers["APm"]) == (1, 1, pytest.approx(0.7))
    assert np.isnan(numbers["APs"])
    assert np.isnan(numbers["APl"])
    assert result.mean_average_precision == pytest.approx(0.7)


def test_a_detection_takes_another_object_if_the_best_is_taken():
    # As in COCO, other than in VOC: both overlap the first object most, by 1 and 0.82, the second by 0.6.
    data = dataset([(1, BOX), (1, [14, 0, 54, 40])])
    rows = np.array([[1, 0.9, *BOX], [1, 0.8, 4, 0, 44, 40]])
    assert evaluate_coco([rows], data).classes["a"].numbers["AR100"] == pytest.approx((10 + 3) / 20)


def test_of_objects_that_overlap_equally_the_last_one_is_taken():
    # The first detection overlaps both by 0.6. It takes the second object, of which the other one is exact.
    data = dataset([(1, BOX), (1, [20, 0, 60, 40])])
    rows = np.array([[1, 0.9, 10, 0, 50, 40], [1, 0.8, 20, 0, 60, 40]])
    assert evaluate_coco([rows], data).numbers["AR100"] == pytest.approx(0.5)


def test_any_number_of_detections_may_lie_in_a_crowd():
    inside = np.array([[1, 0.9, 0, 0, 10, 10], [1, 0.8, 5, 5, 15, 15], [1, 0.7, 100, 100, 140, 140]])
    data = dataset([(1, BOX), (1, [100, 100, 140, 140])])
    data.records[0] = replace(data[0], crowd=np.array([True, False]))
    result = evaluate_coco([inside], data).classes["a"]
    assert result.average_precision == 1
    assert (result.num_objects, len(result.scores)) == (1, 1)


def test_difficult_objects_count_unless_asked():
    data = dataset([(1, BOX)], [(1, BOX)])
    data.records[1] = replace(data[1], difficult=np.array([True]))
    found = [np.array([[1, 0.9, *BOX]]), NONE]
    assert evaluate_coco(found, data).classes["a"].num_objects == 2
    assert evaluate_coco(found, data).numbers["AR100"] == pytest.approx(0.5)
    assert evaluate_coco(found, data, ignore_difficult=True).numbers["AR100"] == 1


def test_of_an_image_and_class_the_best_100_count():
    wrong = [[1, 0.9, 100, 100, 120, 120]] * 100
    data = dataset([(1, BOX), (2, BOX)])
    rows = np.array([*wrong[1:], [1, 0.5, *BOX], [2, 0.1, *BOX]])
    assert evaluate_coco([rows], data).numbers["AR100"] == 1
    rows = np.array([*wrong, [1, 0.5, *BOX], [2, 0.1, *BOX]])
    result = evaluate_coco([rows], data)
    assert [r.numbers["AR100"] for r in result.classes.values()] == [0, 1]
    assert len(result.classes["a"].scores) == 100


def test_the_table():
    result = evaluate_coco([np.array([[1, 0.9, 0, 0, 40, 32], [2, 0.5, *BOX]])], dataset([(1, BOX)]))
    assert repr(result).splitlines() == [
        "class      AP    AP50    AP75  objects  detections",
        "a       0.700   1.000   1.000        1           1",
        "b           -       -       -        0           1",
        "mean    0.700   1.000   1.000  (COCO)",
        "APs nan  APm 0.700  APl nan",
        "AR1 0.700  AR10 0.700  AR100 0.700",
        "ARs nan  ARm 0.700  ARl nan",
    ]


def test_without_objects_or_detections():
    with pytest.warns(UserWarning, match="evaluate_coco: mAP is NaN: none of the 1 images has an object"):
        assert np.isnan(evaluate_coco([np.array([[1, 0.9, *BOX]])], dataset([])).numbers["AP"])
    with pytest.warns(UserWarning, match="evaluate_coco: mAP is nearly 0: there are no detections"):
        assert evaluate_coco([NONE], dataset([(1, BOX)])).numbers["AP"] == 0
    with pytest.warns(UserWarning, match="mAP is nearly 0: the boxes look relative"):
        evaluate_coco([np.array([[1, 0.9, 0, 0, 0.2, 0.2]])], dataset([(1, BOX)]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, np.nan, *BOX]], "evaluate_coco: 0: detections must be finite numbers"),
        ([[1, 0.9, 40, 0, 0, 40]], r"0: boxes must be xmin, .*, got \[40.0, 0.0, 0.0, 40.0\], whose width"),
        ([[3, 0.9, *BOX]], r"evaluate_coco: 0: class ids must be 1..2 \(0 is background\), got 3$"),
        ([[1, 0.9, 0, 0]], "expected an array"),
        ([["dog", "0.9", "0", "0", "9", "9"]], "evaluate_coco: 0: expected an array of numbers, got one of"),
    ],
)
def test_what_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        evaluate_coco([np.array(rows)], dataset([(1, BOX)]))
    with pytest.raises(ValueError, match="expected detections for each image"):
        evaluate_coco([], dataset([(1, BOX)]))


@pytest.mark.parametrize("evaluate", [evaluate_coco, evaluate_voc])
def test_two_classes_in_another_order(evaluate):
    """The mAP is 1/3, and nothing else would tell why."""
    boxes = [[x, y, x + 10, y + 10] for y in (0, 20, 40) for x in range(0, 90, 15)]
    labels = np.repeat([1, 2, 3], 6).astype(np.int32)
    data = DetectionDataset(
        ("cat", "dog", "cow"), [Record("0", "", 100, 60, np.array(boxes, np.float32), labels)]
    )
    rows = np.column_stack([np.repeat([1, 3, 2], 6), np.full(18, 0.9), boxes])
    with pytest.warns(
        UserWarning, match="names look swapped: dog is found as cow, cow is found as dog; are the"
    ):
        evaluate([rows], data)


def test_rows_of_several_lengths():
    with pytest.raises(ValueError, match=r"evaluate_coco: 0: expected an array .* of several lengths"):
        evaluate_coco([[[1, 0.9], [1]]], dataset([(1, BOX)]))
