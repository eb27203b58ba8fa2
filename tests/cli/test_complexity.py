"""`multibox complexity` and `multibox benchmark`: tables, files, and what they refuse."""

import json
import sys

import keras
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main
from multibox.profiling import benchmark as rows

SMALL = ["--classes", "2", "--size", "64x64"]


def command(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_a_network_without_weights_or_download(tmp_path):
    result = command("complexity", "ssd300", "--classes", 90, "--output", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == "ssd300, input 300x300x3, for one image"
    assert "34,858,153,472" in result.output and "decoding" in result.output
    written = json.loads((tmp_path / "new/complexity.json").read_text())
    assert written["multiply_adds"] == 34_858_153_472
    assert "| conv1\\_1 | Conv2D | 300x300x64 | 1,792 |" in (tmp_path / "new/complexity.md").read_text()
    again = command("complexity", "ssd7", "--output", tmp_path / "new")
    assert isinstance(again.exception, FileExistsError)
    assert command("complexity", "ssd7", "--output", tmp_path / "new", "--force").exit_code == 0


@pytest.mark.parametrize("name", ["ssd_mobilenet_coco", "ssdlite320", "ssd-mobilenet", "ssd_mobilenet"])
def test_published_models_and_other_spellings(name, monkeypatch):
    monkeypatch.setattr("multibox.weights.download.requests", None, raising=False)
    result = command("complexity", name)
    assert result.exit_code == 0, result.output
    assert ("4,101,231" in result.output) == (name == "ssd_mobilenet_coco")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model for training, and one of another package."""
    folder = tmp_path_factory.mktemp("models")
    mb.SSD7(2, image_size=(64, 64)).save(folder / "model.keras")
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="other").save(folder / "other.keras")
    any_size = [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]
    keras.Sequential(any_size, name="any").save(folder / "any.keras")
    return folder


def test_saved_models(saved):
    result = command("complexity", saved / "model.keras", "--layers")
    assert result.exit_code == 0, result.output
    assert "\ndetections " in result.output and "\ndecoding " in result.output
    other = command("complexity", saved / "other.keras")
    assert other.output.splitlines()[2].split() == ["model", "8", "384", "0.00", "1x1"]


def test_measure(monkeypatch, tmp_path):
    times = mb.profiling.StageTimes("ssd7", "jax", 4, 2, {"backbone": 0.1}, 0.2, 0.1, {})
    given = {}

    def measure(model, **options):
        given.update(options)
        return times

    monkeypatch.setattr(mb.profiling, "measure_stages", measure)
    options = ["--measure", "--batch", 4, "--rounds", 2, "--output", tmp_path]
    result = command("complexity", "ssd7", *SMALL, *options)
    assert result.exit_code == 0, result.output
    assert given == {"batch_size": 4, "rounds": 2}
    assert "backbone            100.00   50.0%" in result.output
    assert json.loads((tmp_path / "complexity.json").read_text())["times"]["forward_whole"] == 0.2
    assert "| all of it | 200.00 | 100.0% |" in (tmp_path / "complexity.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["complexity", "ssd301"], "ssd301: no such model file, network or published model"),
        (["complexity", "ssd7", "--size", "64"], "--size: expected HEIGHTxWIDTH, such as 240x320, got '64'"),
        (
            ["complexity", "ssd_mobilenet_coco", "--classes", "3"],
            "number of classes and size are for networks",
        ),
        (["complexity", "any.keras"], "'any' takes inputs of any size"),
        (["complexity", "other.keras", "--measure"], "model 'other' has 0 MultiBox layers"),
        (["benchmark", "ssd7", "--batch", "1,many"], "--batch: expected whole numbers separated by commas"),
        (["benchmark", "ssd7", "--batch", "0"], "batch sizes must be at least 1, got 0"),
        (["benchmark", "ssd7", "--precision", "float31"], "did you mean 'float32'?"),
    ],
)
def test_what_is_refused_in_one_line(saved, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(saved)
    monkeypatch.setattr(sys, "argv", ["multibox", *arguments])
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("multibox: ")]
    assert message in line


def test_benchmark_in_real_processes(saved, tmp_path):
    """One that works and one that cannot."""
    models = [saved / "model.keras", "no.keras"]
    result = command("benchmark", *models, "--batch", 2, "--rounds", 1, "--output", tmp_path)
    assert result.exit_code == 1
    written = json.loads((tmp_path / "benchmark.json").read_text())
    good, bad = written["rows"]
    assert good["parameters"] == mb.SSD7(2, image_size=(64, 64)).count_params()
    assert good["multiply_adds"] == mb.complexity(mb.SSD7(2, image_size=(64, 64))).multiply_adds
    assert good["milliseconds"] > 0 and good["peak_bytes"] > 0
    assert good["images_per_second"] == pytest.approx(2000 / good["milliseconds"])
    assert bad["milliseconds"] is None and bad["error"].startswith("no.keras: no such model file")
    assert written["machine"]["backend"].startswith(keras.config.backend())
    assert "1/2 " in result.stderr and "2/2 no.keras, batch 2, float32: no.keras: no such" in result.stderr


def test_the_table_of_a_benchmark(monkeypatch):
    numbers = {"input_shape": [64, 64, 3], "milliseconds": 20.0, "peak_bytes": 3 << 20, "parameters": 1000}
    numbers |= {"multiply_adds": 123456, "machine": {"backend": "jax", "device": "cpu"}}
    monkeypatch.setattr(
        rows, "_in_a_process", lambda task: dict(numbers) if task["batch_size"] > 1 else {"error": "no"}
    )
    result = rows.benchmark(["a"], batch_sizes=[4, 1])
    assert str(result).splitlines() == [
        "jax, cpu; medians of 10 runs",
        "model    input  batch  precision    ms  images/s  peak MiB  parameters  multiply-adds",
        "a      64x64x3      4    float32  20.0     200.0         3       1,000        123,456",
        "a            -      1    float32     -         -         -           -              -",
        "a, 1, float32: no",
    ]
    assert "| a | 64x64x3 | 4 | float32 | 20.0 | 200.0 | 3 | 1,000 | 123,456 |" in result.to_markdown()


def test_a_process_that_dies_says_why(monkeypatch):
    monkeypatch.setattr(rows.sys, "executable", "/bin/false" if sys.platform != "win32" else "false")
    assert rows._in_a_process({})["error"] == "the process ended with status 1: no message"
