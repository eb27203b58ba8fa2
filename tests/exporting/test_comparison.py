import math

import keras
import numpy as np
import pytest
from exported_files import small_model

import multibox as mb

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from multibox.exporting import comparison
from multibox.exporting.comparison import ExportCheck, Measured, warn_of_shared_pictures

SIZE = (64, 96)
DATA = mb.load_shapes(3, SIZE, seed=0)
RECORD = mb.Record("a", "a.jpg", 100, 50, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


def compare(a, b, limit=200):
    return comparison._compare(np.array(a, np.float32), np.array(b, np.float32), RECORD, limit)


A = [1, 0.9, 10, 10, 50, 40]
B = [2, 0.6, 20, 20, 40, 30]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([A, B], [A, B], (0, 0, 0)),
        ([A, B], [[1, 0.8, 15, 10, 50, 40], [2, 0.6, 20, 20, 40, 31]], (0.1, 0.05, 0)),  # 5 of 100 pixels
        ([A, B], [A], (0, 0, 1)),
        ([A], [A, B], (0, 0, 1)),
        ([A], [[2, *A[1:]]], (0, 0, 2)),  # another class
        ([A], [[1, 0.9, 60, 10, 95, 40]], (0, 0, 2)),  # elsewhere
        ([A], [A, A], (0, 0, 1)),  # a row has one counterpart
        ([[1, 0.06, *A[2:]]], [[1, 0.04, *A[2:]]], (0.02, 0, 0)),  # a weak row is a counterpart
        ([A, [1, 0.04, 60, 10, 95, 40]], [A], (0, 0, 0)),  # and needs none
        ([[1, 0.9, 0, 0, 0, 50]], [[1, 0.9, 0, 0, 0.5, 50]], (0, 0.005, 0)),  # cut to nothing by the edge
    ],
)
def test_rows_that_belong_together(a, b, expected):
    np.testing.assert_allclose(compare(a, b), expected, atol=1e-6)


def test_the_last_rows_of_a_full_list_need_no_counterpart():
    other = [1, 0.6, 60, 10, 95, 40]
    assert compare([A, B], [A, other]) == (0, 0, 2)
    assert compare([A, B], [A, other], limit=2) == (0, 0, 0)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return mb.export(model, tmp_path_factory.mktemp("files") / "m.onnx", max_detections=20)


@pytest.mark.filterwarnings(
    "ignore:evaluate_voc. mAP is nearly 0", "ignore:predict_dataset. the data set has"
)
def test_a_file_and_its_model(model, path):
    shuffled = DATA.subset([*reversed(DATA.class_names)])
    result = mb.check_export(path, model, shuffled, progress=False)
    assert (result.pictures, result.unmatched) == (3, 0)
    assert result.keras.rows == result.exported.rows == 60  # 20 a picture: decoded as the file does it
    assert result.score_difference <= 1e-5 and result.box_difference <= 1e-5
    assert result.keras.mean_average_precision == result.exported.mean_average_precision
    assert 0 < result.exported.seconds < 60 and 0 < result.keras.seconds < 60


@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_other_weights_make_a_difference(model, path):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.layers[2].kernel.assign(np.asarray(other.layers[2].kernel) * 1.5)
    result = mb.check_export(mb.load_detector(path), other, DATA, progress=False)
    assert result.unmatched > 0 or result.score_difference > 1e-3


def test_another_model_is_named(path, model):
    keras.utils.set_random_seed(0)
    other = mb.SSD7(class_names=["cat"], image_size=SIZE)
    with pytest.raises(ValueError, match=r"m.onnx was made of another model: its num_classes differs from"):
        mb.check_export(path, other, DATA)
    detector = mb.load_detector(path)
    detector.metadata["anchors_sha256"] = "0"
    with pytest.raises(ValueError, match=r"m.onnx was made of another model: its anchors differ from"):
        mb.check_export(detector, model, DATA)


def test_metadata_of_a_decoder_that_cannot_be(path, model):
    detector = mb.load_detector(path)
    detector.metadata["iou_threshold"] = '"a"'
    with pytest.raises(
        ValueError, match=r"m.onnx: expected the options of its decoder in its metadata: .*iou_thr"
    ):
        mb.check_export(detector, model, DATA)
    del detector.metadata["iou_threshold"]
    with pytest.raises(
        ValueError, match=r"expected the options of its decoder in its metadata: 'iou_threshold'"
    ):
        mb.check_export(detector, model, DATA)


def test_no_picture(path, model):
    with pytest.raises(ValueError, match="check_export: dataset must have at least one picture"):
        mb.check_export(path, model, DATA[:0])


def test_the_table():
    result = ExportCheck(
        "m.onnx", 300, Measured(1234, 0.63184, 0.0221), Measured(1230, math.nan, 0.01704), 0.0123, 2e-7, 3
    )
    assert str(result).splitlines() == [
        "300 pictures           Keras  m.onnx",
        "mAP (VOC, 11 points)  0.6318     nan",
        "rows above 0.05         1234    1230",
        "ms a picture            22.1    17.0",
        "Largest difference of a score 0.012, of a box 2e-07 of the picture's sides.",
        "Rows without a counterpart: 3.",
    ]


def test_a_file_is_one_picture_also_under_another_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mb.save_voc(DATA, tmp_path / "data", "val", progress=False)
    data = mb.load_dataset("data", progress=False)
    absolute = mb.load_dataset(tmp_path / "data", progress=False)
    with pytest.warns(UserWarning, match=r"^2 pictures of Pascal VOC val were used for the calibration, too"):
        warn_of_shared_pictures(data[:2], absolute)
    warn_of_shared_pictures(data[:1], absolute[1:])
