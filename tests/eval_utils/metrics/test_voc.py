from dataclasses import replace

import keras
import numpy as np
import pytest
from golden_voc2007 import read_voc2007

from multibox.data_generator import DetectionDataset, Record, load_shapes
from multibox.eval_utils import evaluate_voc, predict_dataset
from multibox.eval_utils.metrics.voc import ClassResult, VOCResult
from multibox.models import SSD7

METRICS = {"11_point": "ap_11_point", "area": "ap_area"}


@pytest.fixture(scope="module")
def voc2007(golden):
    """The 4952 test images, real detections of seven classes, and the official evaluator's figures."""
    return read_voc2007(golden)


@pytest.mark.parametrize("metric", METRICS)
def test_equals_the_official_evaluator(voc2007, metric):
    dataset, detections, expected = voc2007
    result = evaluate_voc(detections, dataset, metric=metric)
    for name, figures in expected.items():
        ours = result.classes[name]
        assert ours.average_precision == pytest.approx(figures[METRICS[metric]], abs=1e-6)
        assert ours.recall[-1] == pytest.approx(figures["final_recall"], abs=1e-9)
    mean = np.mean([f[METRICS[metric]] for f in expected.values()])
    assert result.mean_average_precision == pytest.approx(mean, abs=1e-6)


def dataset(*images, names=("a", "b")):
    """Images as lists of (label, box, difficult)."""
    records = []
    for i, objects in enumerate(images):
        boxes = np.array([o[1] for o in objects], np.float32).reshape(-1, 4)
        labels = np.array([o[0] for o in objects], np.int32)
        difficult = np.array([o[2] for o in objects], bool)
        records.append(Record(str(i), "", 100, 80, boxes, labels, difficult, np.zeros(len(labels), bool)))
    return DetectionDataset(names, records)


LEFT, RIGHT = [0, 0, 40, 40], [50, 0, 90, 40]
NONE = np.zeros((0, 6))


def test_by_hand():
    truth = dataset([(1, LEFT, 0), (1, RIGHT, 0)], [(1, LEFT, 0)])
    detections = [
        np.array([[1, 0.9, *LEFT], [1, 0.8, *LEFT], [1, 0.6, *RIGHT]]),  # right, double, right
        np.array([[1, 0.7, *RIGHT]]),  # wrong place
    ]
    result = evaluate_voc(detections, truth).classes["a"]
    np.testing.assert_allclose(result.precision, [1, 1 / 2, 1 / 3, 2 / 4])
    np.testing.assert_allclose(result.recall, [1 / 3, 1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(result.scores, [0.9, 0.8, 0.7, 0.6])
    # Recalls 0 to 0.3 see precision 1, 0.4 to 0.6 see 1/2, the others 0.
    assert result.average_precision == pytest.approx((4 * 1 + 3 * 0.5) / 11)
    area = evaluate_voc(detections, truth, metric="area").classes["a"]
    assert area.average_precision == pytest.approx(1 / 3 * 1 + 1 / 3 * 0.5)


@pytest.mark.parametrize("flag", ["difficult", "crowd"])
def test_difficult_objects_and_crowds_neither_count_nor_punish(flag):
    record = dataset([(1, LEFT, 0), (1, RIGHT, 0)])[0]
    truth = DetectionDataset(("a", "b"), [replace(record, **{flag: np.array([True, False])})])
    detections = [np.array([[1, 0.9, *LEFT], [1, 0.8, *LEFT], [1, 0.7, *RIGHT]])]
    result = evaluate_voc(detections, truth)
    assert result.classes["a"].average_precision == 1
    assert result.classes["a"].num_objects == 1
    np.testing.assert_array_equal(result.classes["a"].scores, [0.7])


def test_the_threshold_is_exclusive():
    half = [0, 0, 20, 40]  # IoU with LEFT is exactly 1/2
    truth = dataset([(1, LEFT, 0)])
    detections = [np.array([[1, 0.9, *half]])]
    with pytest.warns(UserWarning, match="0 overlap an object by more than 0.5"):
        assert evaluate_voc(detections, truth).classes["a"].average_precision == 0
    assert evaluate_voc(detections, truth, iou_threshold=0.49).classes["a"].average_precision == 1


def test_a_taken_object_is_not_replaced_by_the_second_best():
    # Both detections overlap LEFT most; the second may not take its neighbor instead.
    truth = dataset([(1, LEFT, 0), (1, [15, 0, 55, 40], 0)])
    detections = [np.array([[1, 0.9, *LEFT], [1, 0.8, 4, 0, 44, 40]])]
    np.testing.assert_allclose(evaluate_voc(detections, truth).classes["a"].precision, [1, 0.5])


def test_names_in_the_table_cannot_control_the_terminal():
    curve = np.array([0.5])
    result = VOCResult({"cat\x1b[2J": ClassResult(1.0, curve, curve, curve, 3)}, 0.5, "area")
    assert str(result).splitlines() == [
        "class           AP  objects  detections",
        r"cat\x1b[2J   1.000        3           1",
        "mAP          1.000  (IoU 0.5, area)",
    ]


def test_classes_without_objects_do_not_enter_the_mean():
    truth = dataset([(1, LEFT, 0)])
    result = evaluate_voc([np.array([[1, 0.9, *LEFT], [2, 0.9, *LEFT]])], truth)
    assert np.isnan(result.classes["b"].average_precision)
    assert result.mean_average_precision == 1
    assert str(result).splitlines() == [
        "class      AP  objects  detections",
        "a       1.000        1           1",
        "b           -        0           1",
        "mAP     1.000  (IoU 0.5, 11 point)",
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 0.9, 0.0, 0.0, 0.4, 0.5]], "boxes look relative"),
        (
            [[2, 0.9, *LEFT], [1, 0.9, *RIGHT]],
            "of the 1 boxes with the highest scores, 1 are in the right place but under another class id",
        ),
        ([[1, 0.9, *RIGHT]], r"0 overlap an object by more than 0.5 \(best IoU of all boxes: 0.00\)"),
    ],
)
def test_a_mean_of_zero_says_why(rows, reason):
    with pytest.warns(UserWarning, match=f"mAP is nearly 0: .*{reason}"):
        evaluate_voc([np.array(rows)], dataset([(1, LEFT, 0)]))


def test_chance_hits_of_an_untrained_model_do_not_blame_the_class_order():
    """An untrained SSD7 lists 200 boxes an image; a few lie on objects, under a class by chance."""
    images = load_shapes(12, (64, 64))
    keras.utils.set_random_seed(0)
    rows = predict_dataset(SSD7(4, image_size=(64, 64)), images, progress=False)
    with pytest.warns(UserWarning, match="is the model trained"):
        evaluate_voc([r[r[:, 1] > 0] for r in rows], images, iou_threshold=0.6)


def test_a_detector_with_another_class_order_is_told_so():
    images = load_shapes(12, (64, 64))
    rng = np.random.default_rng(0)
    rows = []
    for record in images:
        right = np.column_stack(
            [record.labels % 4 + 1, rng.uniform(0.5, 1, len(record.labels)), record.boxes]
        )
        doubtful = np.tile([1, 0.02, 0, 0, 5, 5], (190, 1))
        rows.append(np.concatenate([right, doubtful]))
    with pytest.warns(UserWarning, match="are in the right place but under another class id"):
        evaluate_voc(rows, images)


def test_no_detections_at_all():
    with pytest.warns(UserWarning, match="mAP is nearly 0: there are no detections"):
        result = evaluate_voc([NONE, NONE], dataset([(1, LEFT, 0)], []))
    assert result.classes["a"].average_precision == 0
    assert result.mean_average_precision == 0


def test_no_objects_at_all():
    with pytest.warns(UserWarning, match="mAP is NaN: none of the 1 images has an object"):
        assert np.isnan(evaluate_voc([NONE], dataset([])).mean_average_precision)


def test_only_objects_that_do_not_count():
    images = dataset([(1, LEFT, 1), (2, LEFT, 1)], [(1, LEFT, 1)])
    images.records[1] = replace(images[1], crowd=np.array([True]))
    message = "of the 3 objects none counts: 2 are difficult and 1 are crowd regions"
    with pytest.warns(UserWarning, match=f"mAP is NaN: {message}"):
        assert np.isnan(evaluate_voc([NONE, NONE], images).mean_average_precision)


@pytest.mark.parametrize(
    ("detections", "options", "message"),
    [
        ([NONE], {"metric": "voc"}, 'metric must be "11_point" or "area", got str'),
        ([NONE], {"iou_threshold": -1}, "iou_threshold must be above 0 and at most 1, got -1"),
        ([NONE], {"iou_threshold": float("nan")}, "iou_threshold must be a number, got nan"),
        ([NONE], {"iou_threshold": 50}, "iou_threshold must be above 0 and at most 1, got 50"),
        ([], {}, "0 arrays for 1 images"),
        ([np.zeros((2, 5))], {}, r"0: expected an array \(detections, 6\), got \(2, 5\)"),
        ([np.array([[1, np.nan, *LEFT]])], {}, "0: detections must be finite numbers"),
        ([np.array([[0, 0.9, *LEFT]])], {}, r"class ids must be 1..2 \(0 is background\), got"),
        ([np.array([[3, 0.9, *LEFT]])], {}, "class ids must be 1..2"),
    ],
)
def test_bad_input(detections, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_voc(detections, dataset([(1, LEFT, 0)]), **options)


def test_of_two_objects_in_one_place_the_first_is_taken():
    truth = dataset([(1, LEFT, 0), (1, LEFT, 1)])
    assert evaluate_voc([np.array([[1, 0.9, *LEFT]])], truth).mean_average_precision == 1
