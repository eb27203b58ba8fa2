"""`multibox convert`: the file it writes, and what it refuses."""

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main
from multibox.weights import loading
from multibox.weights.download import DownloadError
from multibox.weights.loading import load_weights

TFLITE = "ssd_mobilenet_v1_coco/ssd_mobilenet.tflite"
TRAINED = ["--model", "ssd-mobilenet", "--classes", "90", "--alpha", "0.75", "--no-batch-norm"]


def command(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.mark.parametrize("name", ["new/x.keras", "x.weights.h5"])
def test_convert(golden, tmp_path, name):
    mobile = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False)
    load_weights(mobile, golden / TFLITE)
    result = command(golden / TFLITE, tmp_path / name, *TRAINED)
    assert result.exit_code == 0, result.output
    assert "loaded     47 layers, 4,101,231 weights" in result.output
    if name.endswith(".keras"):
        model = keras.models.load_model(tmp_path / name)
    else:
        model = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False)
        model.load_weights(tmp_path / name)
    for ours, theirs in zip(model.get_weights(), mobile.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    again = command(golden / TFLITE, tmp_path / name, *TRAINED)
    assert isinstance(again.exception, FileExistsError) and "not overwritten" in str(again.exception)


def test_underscores_in_the_name_of_a_network(golden, tmp_path):
    result = command(golden / TFLITE, tmp_path / "x.weights.h5", "--model", "ssd_mobilenet", *TRAINED[2:])
    assert result.exit_code == 0, result.output


def test_the_options_of_ssdlite_v2(tmp_path):
    path = tmp_path / "x.weights.h5"
    options = {"backbone": "mobilenet_v2", "head": "separable", "separable_extras": True, "alpha": 0.25}
    mb.SSDMobileNet(3, **options).save_weights(path)
    words = ["--backbone", "mobilenet_v2", "--head", "separable", "--separable-extras", "--alpha", "0.25"]
    result = command(path, tmp_path / "x.keras", "--model", "ssd-mobilenet", "--classes", "3", *words)
    assert result.exit_code == 0, result.output
    model = keras.models.load_model(tmp_path / "x.keras")
    assert model.get_layer("extra1_depthwise") and model.get_layer("c4_mbox_loc_depthwise")


@pytest.mark.parametrize(("option", "name"), [("--classes", "num_classes"), ("--alpha", "alpha")])
def test_numbers_that_would_fill_the_memory(tmp_path, option, name):
    options = {"--model": "ssdlite", "--classes": "2", option: "1000000000"}
    result = command("coco", tmp_path / "x.keras", *(word for pair in options.items() for word in pair))
    assert f"SSDLite: {name} must be at most" in str(result.exception)


def test_a_failure_to_write_leaves_nothing(golden, tmp_path, monkeypatch):
    def broken(self, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", broken)
    result = command(golden / TFLITE, tmp_path / "x.keras", *TRAINED)
    assert isinstance(result.exception, OSError) and not list(tmp_path.iterdir())


def test_published_weights_by_name_and_one_line_where_they_cannot_be_had(tmp_path, monkeypatch, capsys):
    def offline(source):
        raise DownloadError(f"{source.url}: no network; put the file into the cache")

    monkeypatch.setattr(loading, "fetch_source", offline)
    monkeypatch.setattr("sys.argv", ["multibox", "convert", "coco", str(tmp_path / "x.keras"), *TRAINED])
    with pytest.raises(SystemExit, match="1"):
        main()
    error = capsys.readouterr().err
    assert error.startswith("multibox: https://") and "no network" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.h5", *TRAINED], "expected a name that ends in .keras or .weights.h5"),
        (["x.keras", "--model", "ssd7", "--classes", "3", "--alpha", "0.5"], "ssd7 has no option --alpha"),
        (["x.keras", "--model", "ssd8", "--classes", "3"], "no network 'ssd8'; there are ssd300, ssd512"),
        (["x.keras", *TRAINED, "--anchors", "NO"], "unknown anchors 'NO'; there are SSD300_COCO, "),
        (["x.keras", *TRAINED[:3], "20", *TRAINED[4:]], "the file has 90 classes, the model 20"),
    ],
)
def test_convert_says_what_is_wrong_and_writes_nothing(golden, tmp_path, arguments, message):
    result = command(golden / TFLITE, tmp_path / arguments[0], *arguments[1:])
    assert isinstance(result.exception, ValueError) and message in str(result.exception)
    assert not list(tmp_path.iterdir())
