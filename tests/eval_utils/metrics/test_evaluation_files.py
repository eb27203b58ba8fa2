import json

import cv2
import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.metrics.evaluation_files import EVALUATION_FILES


@pytest.fixture
def result():
    """One cat, found by the second of two detections; a dog that was not looked for; no bird."""
    box = np.array([[0, 0, 10, 10]], np.float32)
    records = [mb.Record(i, "x.jpg", 20, 20, box, np.array([n], np.int32)) for i, n in (("a", 1), ("b", 2))]
    data = mb.DetectionDataset(("cat", "dog", "bird"), records)
    rows = np.array([[1, 0.9, 12, 12, 18, 18], [1, 0.6, 0, 0, 10, 10]])
    return mb.evaluate_voc([rows, np.zeros((0, 6))], data)


def test_the_files(result, tmp_path):
    mb.save_evaluation(result, tmp_path / "new" / "val")
    folder = tmp_path / "new" / "val"
    assert {path.name for path in folder.iterdir()} == set(EVALUATION_FILES)
    assert (folder / "ap.txt").read_text() == (
        "class      AP  objects  detections\n"
        "cat     0.500        1           2\n"
        "dog     0.000        1           0\n"
        "bird        -        0           0\n"
        "mAP     0.250  (IoU 0.5, 11 point)\n"
    )
    written = json.loads((folder / "ap.json").read_text())
    assert written["mean_average_precision"] == 0.25
    assert (written["iou_threshold"], written["metric"]) == (0.5, "11_point")
    assert written["numbers"] == {"AP": 0.25, "APs": 0.25, "APm": None, "APl": None}
    assert written["classes"]["cat"] == {
        **{"average_precision": 0.5, "objects": 1, "detections": 2},
        "numbers": {"AP": 0.5, "APs": 0.5, "APm": None, "APl": None},
        "best_f1": {"f1": pytest.approx(2 / 3), "score": 0.6, "precision": 0.5, "recall": 1.0},
    }
    assert written["classes"]["bird"]["average_precision"] is None
    assert (folder / "ap.csv").read_text().startswith("class,AP,APs,APm,APl,objects,detections,best F1,")
    for name in ("precision_recall.png", "scores.png"):
        assert cv2.imread(str(folder / name)).shape[2] == 3


def test_an_earlier_result_is_replaced_only_if_asked(result, tmp_path):
    (tmp_path / "ap.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"ap\.json exists already"):
        mb.save_evaluation(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ap.json"]
    mb.save_evaluation(result, tmp_path, overwrite=True)
    assert json.loads((tmp_path / "ap.json").read_text())["mean_average_precision"] == 0.25


def test_the_result_of_coco(tmp_path):
    data = mb.load_shapes(1)
    rows = np.column_stack([data[0].labels, np.full(len(data[0].labels), 0.9), data[0].boxes])
    mb.save_evaluation(mb.evaluate_coco([rows], data), tmp_path)
    assert json.loads((tmp_path / "ap.json").read_text())["numbers"]["AP50"] == 1
    assert "APs,APm,APl,AR1" in (tmp_path / "ap.csv").read_text()
