import cv2
import keras
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_the_file_takes_the_place_of_a_model(tmp_path):
    keras.utils.set_random_seed(0)
    data = mb.load_shapes(2, (64, 96), seed=0)
    mb.SSD7(class_names=data.class_names, image_size=(64, 96)).save(tmp_path / "m.keras")
    path = tmp_path / "m.onnx"
    result = run("export", tmp_path / "m.keras", path)
    assert result.exit_code == 0 and "m.onnx, 0.8 MB. ONNX Runtime and Keras agree." in result.stdout
    assert "m.onnx exists already" in str(run("export", tmp_path / "m.keras", path).exception)

    cv2.imwrite(str(tmp_path / "a.png"), mb.read_image(data[0].image))
    found = tmp_path / "found"
    result = run("predict", path, tmp_path / "a.png", "--output", found, "--format", "json")
    assert result.exit_code == 0 and (found / "detections.json").exists()
    mb.save_voc(data, tmp_path / "data", "val", progress=False)
    tables = [
        run("evaluate", model, f"{tmp_path / 'data'}:val").stdout for model in (path, tmp_path / "m.keras")
    ]
    assert "mAP" in tables[0] and tables[0] == tables[1]
