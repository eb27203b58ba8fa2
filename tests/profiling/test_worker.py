import keras
import pytest

import multibox as mb
from multibox.models import precision
from multibox.profiling import worker


def task(path, name):
    return {
        "model": str(path),
        "precision": name,
        "classes": None,
        "image_size": None,
        "batch_size": 1,
        "rounds": 1,
    }


def test_a_saved_model_is_measured_in_any_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_on_accelerator", lambda: None)
    measured = []
    monkeypatch.setattr(worker, "compiled", lambda model: measured.append(model) or (lambda inputs: None))
    mb.SSD7(2, image_size=(32, 64)).save(tmp_path / "m.keras")
    for name, kind in (("mixed_bfloat16", "bfloat16"), ("float32", "float32")):
        assert worker.measure(task(tmp_path / "m.keras", name))["input_shape"] == (32, 64, 3)
        assert measured[-1].get_layer("conv1").compute_dtype == kind
        assert measured[-1].get_layer("detections").compute_dtype == "float32"


def test_a_model_of_another_package_keeps_its_precision(tmp_path):
    x = keras.Input((8, 8, 3))
    keras.Model(x, keras.layers.Conv2D(2, 1)(x)).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m.keras: a model of another package keeps .* with, float32"):
        worker.measure(task(tmp_path / "m.keras", "mixed_bfloat16"))
