import re
import sys

import cv2
import keras
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main
from multibox.eval_utils import packages

COMMAND = sys.modules["multibox.cli.export"]  # the name itself is that of the function
needs_onnx = pytest.mark.skipif(
    packages.find_spec("onnx") is None or packages.find_spec("onnxruntime") is None,
    reason="onnx or onnxruntime is not installed",
)
SIZE = (64, 96)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with m.keras, two pictures as a data set, and one of them alone."""
    folder = tmp_path_factory.mktemp("place")
    keras.utils.set_random_seed(0)
    data = mb.load_shapes(2, SIZE, seed=0)
    mb.SSD7(class_names=data.class_names, image_size=SIZE).save(folder / "m.keras")
    cv2.imwrite(str(folder / "a.png"), mb.read_image(data[0].image))
    mb.save_voc(data[:1], folder / "data", "train", progress=False)
    mb.save_voc(data[1:], folder / "data", "val", progress=False)
    return folder


@needs_onnx
@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_the_file_takes_the_place_of_a_model(place, tmp_path):
    path = tmp_path / "m.onnx"
    (tmp_path / "m.bin").write_bytes(bytes(10**6))  # is of something else
    result = run("export", place / "m.keras", path)
    assert result.exit_code == 0, result.output
    assert "m.onnx, 0.8 MB. ONNX Runtime and Keras agree." in result.stdout
    assert result.stdout.endswith(f"Next: multibox predict {path} photos\n")
    assert "m.onnx exists already" in str(run("export", place / "m.keras", path).exception)

    found = tmp_path / "found"
    result = run("predict", path, place / "a.png", "--output", found, "--format", "json")
    assert result.exit_code == 0 and (found / "detections.json").exists()
    tables = [run("evaluate", model, f"{place / 'data'}:val").stdout for model in (path, place / "m.keras")]
    assert "mAP" in tables[0] and tables[0] == tables[1]


@needs_onnx
@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_check_compares_on_a_data_set(place, tmp_path):
    options = (
        "--max-detections",
        7,
        "--class-agnostic",
        "--confidence-threshold",
        0.02,
        "--iou-threshold",
        0.3,
    )
    result = run("export", place / "m.keras", tmp_path / "m.onnx", "--check", place / "data", *options)
    assert result.exit_code == 0, result.output
    assert re.search(r"^2 pictures +Keras +m.onnx$", result.stdout, re.MULTILINE)
    assert re.search(r"^rows above 0.05 +14 +14$", result.stdout, re.MULTILINE)
    assert "Rows without a counterpart: 0." in result.stdout
    metadata = mb.load_detector(tmp_path / "m.onnx").metadata
    assert [metadata[name] for name in ("max_detections", "class_agnostic")] == ["7", "true"]
    assert [metadata[name] for name in ("confidence_threshold", "iou_threshold")] == ["0.02", "0.3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.txt"], "path must end with .onnx (onnx), .xml (openvino), .tflite (litert), unless format is"),
        (["m.onnx", "--format", "onxx"], "must be onnx, openvino, savedmodel, litert, web, got 'onxx'"),
        (["m", "--format", "onnx"], "--format onnx writes a file that ends with .onnx, got m"),
        (["m.onnx", "--format", "savedmodel"], "--format savedmodel writes a folder, got m.onnx"),
        (["m.onnx", "--int8"], "--precision must be float32 for onnx, got 'int8'"),
        (["m.tflite", "--precision", "float1"], "float16 or dynamic or int8 for litert, got 'float1'"),
        (["m.tflite", "--int8"], "int8 needs --data DATA, pictures like those that the model will see"),
        (["m.tflite", "--int8", "--precision", "float16"], "--int8 is short for --precision int8; got"),
        (["m.onnx", "--data", "data"], "--data is for --int8; --check compares the file with Keras"),
        (["m.onnx", "--check", "nowhere"], "nowhere: no such file or folder"),
        (["a.png/m.onnx"], "a.png is a file; expected a folder"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_before_keras_starts(place, monkeypatch, capfd, arguments, message):
    if any(name.endswith(".onnx") for name in arguments):
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setattr(COMMAND, "start_keras", lambda: pytest.fail("Keras started"))
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["multibox", "export", "m.keras", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    text = capfd.readouterr().err
    assert stop.value.code == 1 and message in text and text.count("\n") == 1, text


def test_a_package_that_is_missing_is_named(place, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "onnx" else name)
    error = run("export", place / "m.keras", tmp_path / "m.onnx").exception
    assert "pip install onnx, or the extra onnx of multibox" in str(error)


@needs_onnx
def test_a_full_disk_leaves_nothing(place, monkeypatch, tmp_path):
    def full(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    error = run("export", place / "m.keras", tmp_path / "m.onnx").exception
    assert str(error) == f"[Errno 28] No space left on device: '{tmp_path / 'm.onnx'}'"
    assert not [*tmp_path.iterdir()]


def test_pictures_of_the_calibration_do_not_judge(place, monkeypatch, tmp_path, capfd):
    """The work is replaced: which pictures go where."""
    seen = {}
    monkeypatch.setattr("multibox.exporting.export", lambda *a, **options: seen.update(options))
    monkeypatch.setattr("multibox.exporting.check_export", lambda path, model, pictures: len(pictures))
    monkeypatch.setattr(COMMAND, "_size", lambda path: 0)
    monkeypatch.setattr(packages, "find_spec", lambda name: name)
    train, both = f"{place / 'data'}:train", place / "data"
    arguments = ("export", place / "m.keras", tmp_path / "m.tflite", "--int8")
    assert run(*arguments, "--data", train, "--check", f"{both}:val").exit_code == 0
    assert "warning" not in capfd.readouterr().err
    assert seen["precision"] == "int8" and len(seen["calibration"]) == 1
    result = run(*arguments, "--data", train, "--check", both)
    assert (
        "m.tflite and detect.py, 0.0 MB. LiteRT and Keras agree as far as int8 goes.\nNext: multibox predict"
        in result.stdout
    )
    assert "1 pictures of Pascal VOC train+val were used for the calibration, too, first" in result.stderr


def test_check_takes_the_file_in_the_page_for_browsers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("multibox.exporting.check_export", lambda path, model, pictures: path)
    (tmp_path / "model.onnx").touch()
    COMMAND._compare(tmp_path, None, "pictures")
    assert capsys.readouterr().out == f"pictures\n{tmp_path / 'model.onnx'}\n"


def test_the_size_is_that_of_all_files(tmp_path):
    for name in ("m.xml", "m.bin", "m.onnx", "detect.py", "m.tflite"):
        (tmp_path / name).write_bytes(bytes(10))
    sizes = [COMMAND._size(tmp_path / name) for name in ("m.onnx", "m.xml", "m.tflite", "")]
    assert sizes == [10, 20, 20, 50]


def test_a_data_set_with_other_classes_is_refused_before_the_export(place, monkeypatch, tmp_path):
    monkeypatch.setattr("multibox.exporting.export", lambda *a, **options: pytest.fail("exports"))
    monkeypatch.setattr(packages, "find_spec", lambda name: name)
    data = mb.load_shapes(1, SIZE)
    mb.save_voc(data.subset([data.class_names[data[0].labels[0] - 1]]), tmp_path / "data", progress=False)
    error = run("export", place / "m.keras", tmp_path / "m.onnx", "--check", tmp_path / "data").exception
    assert str(error).startswith("export --check: the model has 4 classes, the data set 1 (")


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
def test_the_folder_of_a_run_names_its_model(tmp_path, command):
    (tmp_path / "config.yaml").write_text("data: my_data\n")
    cv2.imwrite(str(tmp_path / "a.png"), mb.read_image(mb.load_shapes(1, SIZE)[0].image))
    mb.save_voc(mb.load_shapes(1, SIZE), tmp_path / "data", progress=False)
    others = {"evaluate": [tmp_path / "data"], "predict": [tmp_path / "a.png", "--output", tmp_path / "p"]}
    result = run(command, tmp_path, *others.get(command, [tmp_path / "m.onnx"]))
    expected = f"{tmp_path}: this is the folder of a run; its model is {tmp_path / 'best.keras'}"
    assert str(result.exception) == expected


def test_the_folder_of_a_savedmodel_is_a_model(tmp_path, monkeypatch):
    """A folder without saved_model.pb has detections."""
    (tmp_path / "saved_model.pb").touch()
    mb.save_voc(mb.load_shapes(1, SIZE), tmp_path / "data", progress=False)
    seen = []
    monkeypatch.setattr("multibox.eval_utils.exported.load_detector", seen.append)
    run("evaluate", tmp_path, tmp_path / "data")
    assert seen == [str(tmp_path)]
