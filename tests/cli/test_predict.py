"""`multibox predict`: what it writes, its exit status, and what it refuses."""

import json
import sys

import numpy as np
import pytest
from annotated_images import write_image
from typer.testing import CliRunner
from videos import video_facts, write_video

import multibox as mb
from multibox.cli import app, main
from multibox.eval_utils import streaming

SIZE = (64, 64)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, three pictures and a video of 20 frames."""
    folder = tmp_path_factory.mktemp("place")
    mb.SSD7(class_names=("cat", "dog"), image_size=SIZE).save(folder / "model.keras")
    for i in range(3):
        write_image(folder / f"in/{i}.jpg", seed=i)
    write_video(folder / "clip.avi")
    return folder


@pytest.fixture(autouse=True)
def workplace(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.keras", "in", "clip.avi"):
        (tmp_path / name).symlink_to(place / name)


def command(*arguments):
    return CliRunner().invoke(app, ["predict", "model.keras", *map(str, arguments)])


def run(monkeypatch, *arguments):
    """Exit status of the whole program."""
    monkeypatch.setattr(sys, "argv", ["multibox", "predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_without_options_it_draws_and_writes_json(tmp_path):
    result = command("in", "clip.avi", "--min-score", "0")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "predictions"
    assert written(folder) == [
        *("detections.json", "drawn/0.jpg", "drawn/1.jpg", "drawn/2.jpg", "drawn/clip.mp4"),
    ]
    assert video_facts(folder / "drawn/clip.mp4") == (20, (64, 48), 12.5)
    entries = json.loads((folder / "detections.json").read_text())
    assert len(entries) == 23 and all(entry["detections"] for entry in entries)
    assert "23 images in " in result.output and " images/s" in result.output
    assert "Written to predictions: detections.json, drawn" in result.output


def test_formats_classes_and_scores(tmp_path):
    formats = ["--format", "voc", "--format", "csv", "--format", "voc"]
    result = command("in/*.jpg", "--output", "out", *formats, "--classes", "dog", "--min-score", "0")
    assert result.exit_code == 0, result.output
    assert {path.split("/")[0] for path in written(tmp_path / "out")} == {"voc", "detections.csv"}
    data = mb.load_dataset(tmp_path / "out/voc", progress=False)
    assert data.class_names == ("dog",) and len(data) == 3
    ours = mb.detect(str(tmp_path / "model.keras"), str(tmp_path / "in/0.jpg"), min_score=0)["dog"]
    np.testing.assert_allclose(data[0].boxes, ours.boxes, atol=1e-3)


def test_pictures_that_cannot_be_read_are_named_at_the_end(tmp_path, monkeypatch, capsys):
    (tmp_path / "mixed").mkdir()
    write_image(tmp_path / "mixed/a.jpg")
    (tmp_path / "mixed/b.jpg").write_bytes(b"no picture")
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    assert run(monkeypatch, "model.keras", "mixed", "clip.mp4", "--format", "json") == 1
    printed, error = capsys.readouterr()
    assert "moov" not in error  # what FFmpeg itself would say
    lines = [line for line in error.splitlines() if line.strip() and line.startswith(("multibox", "  "))]
    assert lines[0] == "multibox predict: 2 could not be read:"
    assert lines[1].startswith("  mixed/b.jpg: ") and lines[2].startswith("  clip.mp4: ")
    assert "1 images in " in printed
    assert len(json.loads((tmp_path / "predictions/detections.json").read_text())) == 1


def test_ctrl_c_leaves_a_readable_video_and_status_130(tmp_path, monkeypatch, capsys):
    class Interrupted(streaming.VideoReader):
        def __iter__(self):
            for number, frame in enumerate(super().__iter__()):
                if number == 40:
                    raise KeyboardInterrupt
                yield frame

    monkeypatch.setattr(streaming, "VideoReader", Interrupted)
    write_video(tmp_path / "long.avi", count=60)
    status = run(monkeypatch, "model.keras", "long.avi", "--draw", "--format", "json", "--batch", "2")
    assert status == 130
    frames, size, fps = video_facts(tmp_path / "predictions/drawn/long.mp4")
    assert 0 < frames <= 40 and (size, fps) == ((64, 48), 12.5)
    assert len(json.loads((tmp_path / "predictions/detections.json").read_text())) == frames
    assert written(tmp_path / "predictions") == ["detections.json", "drawn/long.mp4"]
    error = capsys.readouterr().err
    assert "multibox predict: interrupted; what was found so far is in predictions" in error
    assert "Traceback" not in error


def test_earlier_results_are_kept_unless_forced(tmp_path):
    assert command("in", "--format", "json").exit_code == 0
    before = (tmp_path / "predictions/detections.json").read_text()
    again = command("in/0.jpg", "--format", "json")
    assert isinstance(again.exception, FileExistsError)
    assert (tmp_path / "predictions/detections.json").read_text() == before
    assert command("in/0.jpg", "--format", "json", "--force").exit_code == 0
    assert len(json.loads((tmp_path / "predictions/detections.json").read_text())) == 1


def test_tiles(tmp_path):
    result = command("in", "--format", "json", "--tiles", "40", "--overlap", "0.25", "--min-score", "0.1")
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "predictions/detections.json").read_text())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.keras", "nothing.jpg"], "nothing.jpg: no such picture, video, folder or list"),
        (["ssd_mobilenet_coko", "in"], "did you mean 'ssd_mobilenet_coco'?"),
        (["model.keras", "in", "--classes", "dgo"], "no class 'dgo'; did you mean 'dog'?; there are"),
        (["model.keras", "in", "clip.avi", "--format", "voc"], "clip.avi: a video is no part of a data set"),
        (["model.keras", "in", "--format", "pdf"], "unknown format 'pdf'; there are json, csv, coco-results"),
        (["in/0.jpg", "in"], "in/0.jpg"),
    ],
)
def test_what_is_refused_in_one_line_at_once(tmp_path, monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, *arguments) == 1
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("multibox: ")]
    assert message in line
    assert not (tmp_path / "predictions").exists()
