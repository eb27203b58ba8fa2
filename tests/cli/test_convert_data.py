"""`multibox convert-data`: what it prints and refuses."""

import sys

import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main


@pytest.fixture
def voc(tmp_path):
    data = mb.load_shapes(3, (64, 64), seed=0)
    mb.save_voc(data[:2], tmp_path / "voc", "train", progress=False)
    mb.save_voc(data[2:], tmp_path / "voc", "val", progress=False)
    return tmp_path / "voc"


def command(*arguments):
    return CliRunner().invoke(app, ["convert-data", *map(str, arguments)])


def test_all_sets_and_one_set(voc, tmp_path):
    result = command(voc, tmp_path / "new", "--to", "yolo")
    assert result.exit_code == 0, result.output
    assert "train: 2 images, " in result.output and "val: 1 images, " in result.output
    assert f"Written to {tmp_path / 'new'}." in result.output.replace("\n", "")
    assert mb.load_dataset(tmp_path / "new", "val", progress=False).class_names
    result = command(f"{voc}:val", tmp_path / "val.h5", "--to", "hdf5")
    assert result.exit_code == 0, result.output
    assert len(mb.load_hdf5(tmp_path / "val.h5")) == 1


def test_links(voc, tmp_path):
    assert command(f"{voc}:val", tmp_path / "new", "--to", "coco", "--link").exit_code == 0
    (picture,) = (tmp_path / "new/images/val").iterdir()
    assert picture.samefile(voc / "JPEGImages" / picture.name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["voc", "voc", "--to", "coco"], "voc exists already; it is not overwritten"),
        (["voc:test", "new", "--to", "coco"], "no image set|no split 'test'; there are: train, val"),
        (["voc", "new", "--to", "coca"], "did you mean 'coco'?"),
        (["nowhere", "new", "--to", "coco"], "nowhere: no such file or folder"),
    ],
)
def test_what_is_refused_in_one_line(voc, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(voc.parent)
    monkeypatch.setattr(sys, "argv", ["multibox", "convert-data", *arguments])
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("multibox: ")]
    assert any(part in line for part in message.split("|"))


def test_warnings_are_one_line(voc, tmp_path, monkeypatch, capsys):
    mb.save_coco(mb.load_dataset(voc, "val", progress=False), tmp_path / "voc/val.json", voc / "JPEGImages")
    monkeypatch.setattr(sys, "argv", ["multibox", "convert-data", str(voc), f"{voc}-new", "--to", "csv"])
    with pytest.raises(SystemExit, match="0"):
        main()
    lines = capsys.readouterr().err.splitlines()
    (line,) = [text for text in lines if "warning" in text]
    assert line.startswith(f"multibox convert-data: warning: {voc}: read as Pascal VOC; there is also COCO")
