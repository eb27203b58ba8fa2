import json

import cv2
import numpy as np
import pytest

import multibox as mb


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
    assert sorted(path.name for path in folder.iterdir()) == ["ap.json", "ap.txt", "precision_recall.png"]
    assert (folder / "ap.txt").read_text() == (
        "class      AP  objects  detections\n"
        "cat     0.500        1           2\n"
        "dog     0.000        1           0\n"
        "bird        -        0           0\n"
        "mAP     0.250  (IoU 0.5, 11 point)\n"
    )
    assert json.loads((folder / "ap.json").read_text()) == {
        "mean_average_precision": 0.25,
        "iou_threshold": 0.5,
        "metric": "11_point",
        "classes": {
            "cat": {"average_precision": 0.5, "objects": 1, "detections": 2},
            "dog": {"average_precision": 0.0, "objects": 1, "detections": 0},
            "bird": {"average_precision": None, "objects": 0, "detections": 0},
        },
    }
    assert cv2.imread(str(folder / "precision_recall.png")).shape[2] == 3


def test_an_earlier_result_is_replaced_only_if_asked(result, tmp_path):
    (tmp_path / "ap.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"ap\.json exists already"):
        mb.save_evaluation(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ap.json"]
    mb.save_evaluation(result, tmp_path, overwrite=True)
    assert json.loads((tmp_path / "ap.json").read_text())["mean_average_precision"] == 0.25
