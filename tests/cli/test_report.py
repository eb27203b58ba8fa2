"""`multibox report`: for a model and for a run, and what it refuses."""

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main

SIZE = (64, 64)


def command(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set with two sets, a model, and a run folder as `multibox train` leaves it."""
    folder = tmp_path_factory.mktemp("place")
    data = mb.load_shapes(4, SIZE, seed=0)
    mb.save_voc(data[:3], folder / "data", "train", progress=False)
    mb.save_voc(data[3:], folder / "data", "val", progress=False)
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    model.save(folder / "model.keras")
    run = folder / "run"
    run.mkdir()
    model.save(run / "best.keras")
    config = mb.RunConfig(data=str(folder / "data"), model="ssd7", epochs=20)
    (run / "config.yaml").write_text(config.to_yaml())
    (run / "history.csv").write_text("epoch,loss,val_loss\n0,4,5\n1,3,4\n")
    (run / "versions.json").write_text('{"keras": "3.12", "git": null}')
    return folder


def test_a_model_and_data(place, tmp_path):
    result = command(place / "model.keras", f"{place / 'data'}:train", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "<Pascal VOC train: 3 images" in result.output
    assert f"Written to {tmp_path / 'report.html'}" in result.output
    text = (tmp_path / "report.html").read_text()
    assert 'id="training"' not in text
    assert f"{place / 'data'}:train" in text
    again = command(place / "model.keras", place / "data", "--out", tmp_path)
    assert isinstance(again.exception, FileExistsError)
    assert "Pascal VOC" not in again.output  # refused before the work
    assert command(place / "model.keras", place / "data", "--out", tmp_path, "--force").exit_code == 0
    assert "Pascal VOC train+val" in (tmp_path / "report.html").read_text()


def test_a_run_brings_its_data_curves_and_settings(place):
    result = command(place / "run")
    assert result.exit_code == 0, result.output
    assert "<Pascal VOC val: 1 images" in result.output
    text = (place / "run/report.html").read_text()
    assert 'id="training"' in text
    for name, value in (("epochs", "20"), ("keras (environment)", "3.12")):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in text
    assert "git (environment)" not in text  # None


def test_detections_of_any_tool(place, tmp_path):
    data = mb.load_dataset(place / "data", "val")
    rows = [[r.labels[i], 0.9, *r.boxes[i]] for r in data for i in range(len(r.labels))]
    mb.save_detections([np.array(rows)], data, tmp_path / "results.json")
    result = command(tmp_path / "results.json", f"{place / 'data'}:val", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "<dt>mAP</dt><dd><strong>100.0</strong>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.keras"], "expected DATA for model.keras, which is not the folder of a run"),
        (["nothing.keras", "data"], "nothing.keras: no such model file, and no published model"),
        (["model.keras", "nowhere"], "nowhere: no such file or folder"),
        (["early"], "early: the run has no best.keras yet"),
        (["damaged"], "versions.json: expected the versions of a run as JSON"),
    ],
)
def test_what_is_refused_in_one_line(place, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(place)
    for name in ("early", "damaged"):
        (place / name).mkdir(exist_ok=True)
        (place / name / "config.yaml").write_bytes((place / "run/config.yaml").read_bytes())
    (place / "damaged/best.keras").write_bytes((place / "run/best.keras").read_bytes())
    (place / "damaged/versions.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["multibox", "report", *arguments])
    with pytest.raises(SystemExit):
        main()
    errors = capsys.readouterr().err
    assert message in " ".join(errors.replace("│", " ").split())
    assert not (place / "report").exists()
