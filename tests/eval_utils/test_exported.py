import numpy as np
import pytest
from exported_files import DATA, assert_same, small_model

import multibox as mb
from multibox.eval_utils.exported import CLASS_NAMES_KEY

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def detector(model, tmp_path_factory):
    return mb.load_detector(mb.export(model, tmp_path_factory.mktemp("onnx") / "m.onnx"))


@pytest.fixture(scope="module")
def images():
    return [mb.read_image(record.image) for record in DATA]


@pytest.mark.parametrize("options", [{}, {"tiles": 64}, {"flip": True}, {"batch_size": 2}])
def test_detect_finds_what_it_finds_with_keras(model, detector, images, options):
    for found, expected in zip(
        mb.detect(detector, images, **options), mb.detect(model, images, **options), strict=True
    ):
        assert_same(found, expected)
        assert found.class_names == expected.class_names and found.image_size == (80, 120)


def test_detect_takes_the_path(detector, images):
    assert_same(mb.detect(detector.path, images[0]), mb.detect(detector, images[0]))


def test_data_sets_and_files(model, detector, images, tmp_path):
    for found, expected in zip(
        mb.predict_dataset(detector, DATA, 2, progress=False),
        mb.predict_dataset(model, DATA, 2, progress=False),
        strict=True,
    ):
        assert len(found) > 0
        np.testing.assert_allclose(found, expected, atol=2e-3)
    np.save(tmp_path / "a.npy", images[0])
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), images[0][..., ::-1])
    ((source, found),) = mb.predict_files(detector, tmp_path / "a.png", progress=False)
    assert source.path.endswith("a.png")
    assert_same(found, mb.detect(model, images[0]))


def test_other_images_are_one_line(detector):
    match = r"m.onnx: expected images \(batch, 64, 96, 3\) uint8, got \(1, 64, 64, 3\) uint8; detect resizes"
    with pytest.raises(ValueError, match=match):
        detector.predict_on_batch(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r"got \(1, 64, 96, 3\) float32"):
        detector.predict_on_batch(np.zeros((1, 64, 96, 3), np.float32))


def test_files_that_are_none_of_ours(detector, tmp_path):
    path = tmp_path / "bad.onnx"
    with pytest.raises(FileNotFoundError, match=r"no such file: .*bad.onnx"):
        mb.load_detector(path)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"bad.onnx: .*ONNX Runtime cannot load this file: ") as caught:
        mb.load_detector(path)
    assert "\n" not in str(caught.value)
    other = onnx.load(detector.path)
    del other.metadata_props[:]
    onnx.save(other, path)
    with pytest.raises(
        ValueError, match=r"bad.onnx: expected a detector that multibox.export wrote: its metadata has"
    ):
        mb.load_detector(path)
    with pytest.raises(
        ValueError, match=r"expected a file that ends with .onnx or .xml or .tflite, or the folder"
    ):
        mb.load_detector(tmp_path)


@pytest.mark.parametrize("text", ["{", '["a"]', "3", "[" * 100_000])
def test_damaged_metadata(detector, tmp_path, text):
    other = onnx.load(detector.path)
    for entry in other.metadata_props:
        if entry.key == CLASS_NAMES_KEY:
            entry.value = text
    onnx.save(other, tmp_path / "bad.onnx")
    with pytest.raises(ValueError, match=r"bad.onnx: expected a detector that multibox.export wrote: "):
        mb.load_detector(tmp_path / "bad.onnx")


def test_a_missing_runtime_is_one_line(detector, monkeypatch):
    monkeypatch.setattr("multibox.eval_utils.packages.find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^load_detector: needs the package onnxruntime, .* extra onnx"
    ):
        mb.load_detector(detector.path)
