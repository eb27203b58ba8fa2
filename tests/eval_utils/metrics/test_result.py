"""What the results of all metrics can do."""

import csv
import json

import numpy as np
import pytest

from multibox.data_generator import DetectionDataset, Record
from multibox.eval_utils import evaluate_coco, evaluate_voc
from multibox.eval_utils.metrics.result import ClassResult, EvaluationResult

# Five objects; of four detections the first, third and fourth are right. The last two have one score.
CURVE = ClassResult(
    average_precision=0.5,
    precision=np.array([1, 1 / 2, 2 / 3, 3 / 4]),
    recall=np.array([0.2, 0.2, 0.4, 0.6]),
    scores=np.array([0.9, 0.8, 0.3, 0.3]),
    num_objects=5,
)
EMPTY = ClassResult(np.nan, *[np.zeros(0)] * 3, 0)
MISSED = ClassResult(0.0, *[np.zeros(0)] * 3, 2)
RESULT = EvaluationResult({"=cat|\n": CURVE, "dog": EMPTY, "bird": MISSED})


def test_precision_at_recall_and_recall_at_precision():
    at = RESULT.precision_at_recall(0.5)
    assert (at["=cat|\n"], at["bird"]) == (0.75, 0)
    assert np.isnan(at["dog"])
    assert RESULT.precision_at_recall(0.2)["=cat|\n"] == 1
    assert RESULT.precision_at_recall(0.61)["=cat|\n"] == 0
    assert RESULT.recall_at_precision(0.7)["=cat|\n"] == 0.6
    assert RESULT.recall_at_precision(0.8)["=cat|\n"] == 0.2
    assert np.isnan(RESULT.recall_at_precision(0.8)["dog"])
    with pytest.raises(ValueError, match="recall must be at most 1, got 50"):
        RESULT.precision_at_recall(50)


def test_the_best_f1_does_not_cut_between_equal_scores():
    best = RESULT.best_f1()["=cat|\n"]
    assert best == pytest.approx((2 * 0.75 * 0.6 / 1.35, 0.3, 0.75, 0.6))
    np.testing.assert_allclose(CURVE.points.score, [0.9, 0.8, 0.3])
    np.testing.assert_allclose(CURVE.points.precision, [1, 0.5, 0.75])
    assert RESULT.best_f1()["bird"].f1 == 0
    assert np.isnan(RESULT.best_f1()["dog"].f1)


def test_the_csv_file_has_no_formulas(tmp_path):
    RESULT.to_csv(tmp_path / "ap.csv")
    with (tmp_path / "ap.csv").open(newline="") as file:
        header, cat, dog, bird, mean = csv.reader(file)
    assert header == [
        *("class", "AP", "objects", "detections", "best F1", "score", "precision", "recall"),
    ]
    assert cat[:4] == ["'=cat|\\n", "0.5", "5", "4"]
    assert cat[5:] == ["0.3", "0.75", "0.6"]
    assert dog == ["dog", "", "0", "0", *[""] * 4]
    assert bird == ["bird", "0.0", "2", "0", "0.0", *[""] * 3]
    assert mean == ["(mean)", "0.25", *[""] * 6]
    with pytest.raises(FileExistsError, match=r"ap\.csv exists already"):
        RESULT.to_csv(tmp_path / "ap.csv")
    RESULT.to_csv(tmp_path / "ap.csv", overwrite=True)


def test_markdown():
    assert RESULT.to_markdown().splitlines() == [
        "| class | AP | objects | detections | best F1 | score | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        r"| =cat\|\\n | 0.500 | 5 | 4 | 0.667 | 0.300 | 0.750 | 0.600 |",
        "| dog | - | 0 | 0 | - | - | - | - |",
        "| bird | 0.000 | 2 | 0 | 0.000 | - | - | - |",
        "| (mean) | 0.250 | - | - | - | - | - | - |",
    ]


def test_repr_is_the_table():
    assert repr(RESULT).splitlines()[0] == "class        AP  objects  detections"
    assert r"=cat|\n" in repr(RESULT)


@pytest.mark.parametrize("metric", [evaluate_voc, evaluate_coco])
def test_average_precision_by_size(metric):
    """A small, a medium and a large object; only the medium one is found, and a wrong box is small."""
    boxes = np.array([[0, 0, 31, 31], [50, 0, 100, 50], [0, 100, 97, 197]], np.float32)
    data = DetectionDataset(["a"], [Record("x", "", 200, 200, boxes, np.array([1, 1, 1], np.int32))])
    rows = np.array([[1, 0.9, 150, 150, 160, 160], [1, 0.8, *boxes[1]]])
    result = metric([rows], data)
    numbers = result.classes["a"].numbers
    assert [numbers[key] for key in ("APs", "APm", "APl")] == [0, 1, 0]
    assert result.numbers["APm"] == 1
    assert json.loads(json.dumps(result.to_dict()))["classes"]["a"]["numbers"]["APm"] == 1
    assert 0 < numbers["AP"] < 0.5
