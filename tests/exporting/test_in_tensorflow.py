"""Where Keras does not run on TensorFlow, a process of TensorFlow writes the file."""

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.exporting import in_tensorflow
from multibox.exporting.checking import largest_difference

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

SIZE = (64, 96)


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(in_tensorflow, "_is_tensorflow", lambda: False)
    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=["cat", "dog"], image_size=SIZE)


def test_a_second_process_writes_the_same(model, tmp_path, capsys):
    path = mb.export(model, tmp_path / "m", "savedmodel", max_detections=20)
    assert "by a process of TensorFlow" in capsys.readouterr().out
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    expected = np.asarray(mb.to_inference(model, max_detections=20).predict_on_batch(images))
    found = mb.load_detector(path).predict_on_batch(images)
    assert max(map(largest_difference, expected, found)) <= 1e-5


def test_its_errors_are_ours(model, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        in_tensorflow.call_in_tensorflow(
            "litert_conversion",
            mb.to_inference(model),
            path=str(tmp_path / "nowhere" / "m.tflite"),
            precision="float32",
            images=None,
        )


def test_a_process_that_dies(model, tmp_path, monkeypatch):
    monkeypatch.setattr(in_tensorflow, "_PROGRAM", "import os; os.write(2, b'killed\\n'); os._exit(9)")
    with pytest.raises(RuntimeError, match=r"export: the process of TensorFlow ended with 9: killed"):
        mb.export(model, tmp_path / "m", "savedmodel")
    assert not [*tmp_path.iterdir()]
