"""The confusion matrix, counted by hand."""

import matplotlib
import numpy as np
import pytest

from multibox.data_generator import DetectionDataset, Record
from multibox.eval_utils import confusion_matrix, plot_confusion_matrix

matplotlib.use("Agg")
LEFT, RIGHT = [0, 0, 40, 40], [50, 0, 90, 40]


def dataset(*objects, difficult=None, names=("cat", "dog")):
    """One image with objects (label, box)."""
    boxes = np.array([box for _, box in objects], np.float32).reshape(-1, 4)
    labels = np.array([label for label, _ in objects], np.int32)
    flags = None if difficult is None else np.array(difficult)
    return DetectionDataset(names, [Record("0", "", 100, 80, boxes, labels, flags)])


def counts(rows, data, **options):
    return confusion_matrix([np.array(rows, float).reshape(-1, 6)], data, **options).counts.tolist()


def test_right_confused_missed_and_invented():
    data = dataset((1, LEFT), (2, RIGHT), (2, [0, 50, 20, 70]))
    rows = [[1, 0.9, *LEFT], [1, 0.8, *RIGHT], [2, 0.7, 60, 60, 80, 80]]
    # cat: found. dogs: one taken for a cat, one missed. Nothing there: a dog.
    assert counts(rows, data) == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]


def test_the_right_class_comes_first_whatever_the_scores():
    rows = [[2, 0.9, *LEFT], [1, 0.6, *LEFT]]
    assert counts(rows, dataset((1, LEFT))) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_among_wrong_classes_the_highest_score_has_the_object():
    rows = [[2, 0.6, *LEFT], [3, 0.9, 4, 0, 40, 40]]
    data = dataset((1, LEFT), names=("cat", "dog", "cow"))
    assert counts(rows, data) == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_a_second_box_of_the_same_class_is_invented():
    assert counts([[1, 0.9, *LEFT], [1, 0.8, *LEFT]], dataset((1, LEFT))) == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_thresholds_are_inclusive():
    half = [0, 0, 20, 40]  # IoU 0.5
    data = dataset((1, LEFT))
    assert counts([[1, 0.5, *half]], data) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert counts([[1, 0.5, *half]], data, min_score=0.51) == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert counts([[1, 0.5, *half]], data, iou_threshold=0.51) == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_difficult_objects_are_left_out_with_the_detections_of_their_class():
    data = dataset((1, LEFT), difficult=[True])
    assert counts([[1, 0.9, *LEFT], [2, 0.9, *LEFT]], data) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert counts([], data) == [[0] * 3] * 3


def test_a_detection_of_a_difficult_object_is_no_confusion_with_its_neighbor():
    data = dataset((1, LEFT), (2, LEFT), difficult=[True, False])
    assert counts([[1, 0.9, *LEFT]], data) == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_rows_add_up_to_objects_and_columns_to_detections():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (40, 2))], axis=1)
    labels = rng.integers(1, 3, 40)
    moved = boxes + rng.uniform(-2, 2, (40, 4))
    result = counts(
        np.column_stack([rng.integers(1, 3, 40), rng.uniform(0.5, 1, 40), moved]),
        dataset(*zip(labels.tolist(), boxes.tolist(), strict=True)),
    )
    assert np.sum(result[:2], axis=1).tolist() == np.bincount(labels)[1:].tolist()
    assert np.sum(result) - np.sum(result, axis=0)[2] == 40


def test_texts_and_numbers():
    result = confusion_matrix([np.array([[1, 0.9, *RIGHT]])], dataset((2, RIGHT)), min_score=0.3)
    assert result.confusions() == [("dog", "cat", 1)]
    assert str(result).splitlines()[:2] == [
        "0 right, 1 under another class, 0 missed, 0 invented",
        "     1  dog taken for cat",
    ]
    content = result.to_dict()
    assert content["rows"] == ["cat", "dog", "invented"]
    assert content["columns"] == ["cat", "dog", "missed"]
    assert content["counts"] == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert content["rule"].startswith("Detections with a score of at least 0.3 count. ")


def test_the_plot_states_the_rule_and_the_counts():
    import matplotlib.pyplot as plt

    data = dataset((1, LEFT), (2, RIGHT), names=("$a_", "dog"))
    figure = plot_confusion_matrix(confusion_matrix([np.array([[1, 0.9, *LEFT]])], data))
    (axes,) = figure.axes
    assert "at least 0.5" in axes.get_title(loc="left")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["$a_", "dog", "missed"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a_", "dog", "invented"]
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [((0, 0), "1"), ((2, 1), "1")]
    figure.canvas.draw()
    plt.close(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 50}, "min_score must be at most 1, got 50"),
        ({"iou_threshold": 0}, "iou_threshold must be above 0 and at most 1, got 0"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        counts([], dataset((1, LEFT)), **options)
