"""`multibox evaluate`: the table, the files, and what it refuses."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import multibox as mb
from multibox.cli import app, main

SIZE = (64, 64)


def command(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def data():
    return mb.load_shapes(4, SIZE, seed=0)


@pytest.fixture(scope="module")
def place(tmp_path_factory, data):
    """A model and a data set with two sets."""
    folder = tmp_path_factory.mktemp("place")
    mb.save_voc(data[:3], folder / "data", "train", progress=False)
    mb.save_voc(data[3:], folder / "data", "val", progress=False)
    mb.SSD7(class_names=data.class_names, image_size=SIZE).save(folder / "model.keras")
    return folder


@pytest.fixture
def perfect(monkeypatch):
    """Detections that are the objects, with the score 0.9 for the first of each image, 0.3 for the others.

    Returns the options of each prediction.
    """
    looks = []

    def predict(model, dataset, batch_size, **look):
        looks.append(look)
        scores = [np.where(np.arange(len(record.labels)) == 0, 0.9, 0.3) for record in dataset]
        return [
            np.column_stack([r.labels, s, r.boxes]).astype("f4") for r, s in zip(dataset, scores, strict=True)
        ]

    monkeypatch.setattr("multibox.eval_utils.predict_dataset", predict)
    return looks


def test_an_output_that_is_a_file(place, perfect, tmp_path):
    (tmp_path / "out").write_text("mine")
    result = command(
        place / "model.keras", f"{place / 'data'}:train", "--output", tmp_path / "out", "--force"
    )
    assert "is a file; expected a folder for the results" in str(result.exception)
    assert perfect == []  # the model did not run


def test_the_table_and_the_files(place, perfect, data, tmp_path):
    result = command(place / "model.keras", f"{place / 'data'}:train", "--output", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "<Pascal VOC train: 3 images" in result.output
    assert "mAP        1.000  (IoU 0.5, 11 point)" in result.output
    assert (tmp_path / "new/ap.txt").read_text() in result.output
    written = json.loads((tmp_path / "new/ap.json").read_text())
    assert sum(c["objects"] for c in written["classes"].values()) == sum(len(r.labels) for r in data[:3])
    again = command(place / "model.keras", place / "data", "--output", tmp_path / "new")
    assert isinstance(again.exception, FileExistsError)
    assert "Pascal VOC" not in again.output  # refused before the work
    forced = command(place / "model.keras", place / "data", "--output", tmp_path / "new", "--force")
    assert forced.exit_code == 0, forced.output
    assert "<Pascal VOC train+val: 4 images" in forced.output


def test_options(place, perfect):
    options = ["--iou", "0.75", "--metric", "area", "--min-score", "0.5"]
    result = command(place / "model.keras", place / "data", *options)
    assert "(IoU 0.75, area)" in result.output
    names = mb.load_shapes(1, SIZE).class_names
    lines = [line.split() for line in result.output.splitlines()]
    assert sum(int(line[-1]) for line in lines if line[:1] and line[0] in names) == 4  # one for each image


def test_tiles_and_mirrored_pictures(place, perfect):
    assert command(place / "model.keras", place / "data", "--tiles", "2x3", "--flip").exit_code == 0
    assert command(place / "model.keras", place / "data", "--tiles", "640", "--overlap", "0.5").exit_code == 0
    assert perfect == [
        {"tiles": (2, 3), "overlap": 0.2, "flip": True},
        {"tiles": 640, "overlap": 0.5, "flip": False},
    ]
    for wrong in ("2x3x4", "x", "2x", "-1", "1.5", "٣"):
        result = command(place / "model.keras", place / "data", f"--tiles={wrong}")
        assert f"--tiles must be a side such as 640, or rows and columns such as 2x3, got '{wrong}'" == str(
            result.exception
        )


def test_the_metric_of_coco(place, perfect, tmp_path):
    result = command(place / "model.keras", place / "data", "--metric", "coco", "--output", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "mean       1.000   1.000   1.000  (COCO)" in result.output
    assert json.loads((tmp_path / "new/ap.json").read_text())["numbers"]["AR100"] == 1


@pytest.mark.parametrize("name", ["found.json", "found.csv", "found"])
def test_detections_in_files(place, data, tmp_path, name):
    rows = [np.column_stack([r.labels, np.full(len(r.labels), 0.5), r.boxes]) for r in data]
    loaded = mb.load_dataset(place / "data", progress=False)
    labels = [loaded.class_names.index(name) + 1 for name in data.class_names]
    for found in rows:
        found[:, 0] = [labels[int(label) - 1] for label in found[:, 0]]
    mb.save_detections(rows, loaded, tmp_path / name)
    for options in ([], ["--metric", "coco"]):
        result = command(tmp_path / name, place / "data", *options)
        assert result.exit_code == 0, result.output
        assert "  1.000" in next(
            line for line in result.output.splitlines() if line.startswith(("mAP", "mean"))
        )


def test_a_real_run_that_finds_nothing_says_why(place, monkeypatch, capsys):
    # An untrained model may meet an object by chance, but not by 0.99.
    arguments = ["evaluate", f"{place}/model.keras", f"{place}/data:val", "--iou", "0.99"]
    monkeypatch.setattr(sys, "argv", ["multibox", *arguments])
    with pytest.raises(SystemExit, match="0"):
        main()
    printed, errors = capsys.readouterr()
    assert "mAP        0.000" in printed
    assert "multibox evaluate: warning: evaluate_voc: mAP is nearly 0: of the " in errors


def test_classes_in_another_order(place, data, perfect, tmp_path):
    mb.SSD7(class_names=data.class_names[::-1], image_size=SIZE).save(tmp_path / "turned.keras")
    result = command(tmp_path / "turned.keras", place / "data")
    assert "mAP        1.000" in result.output


def test_a_published_model_has_the_classes_of_the_data(place, perfect, tmp_path, monkeypatch):
    called = []

    def pretrained(name, class_names):
        called.append((name, class_names))
        return mb.SSD7(class_names=class_names, image_size=SIZE)

    monkeypatch.setattr(sys.modules["multibox.models.pretrained"], "pretrained", pretrained)
    result = command("ssdlite_coco", place / "data")
    assert isinstance(result.exception, ValueError)
    assert "ssdlite_coco: does not know the classes " in str(result.exception)
    assert called == []
    one = mb.load_shapes(1, SIZE)[0]
    boxes, labels = one.boxes[:1], np.array([1], np.int32)
    record = mb.Record("a", one.image, one.width, one.height, boxes, labels)
    mb.save_voc(mb.DetectionDataset(["tvmonitor"], [record]), tmp_path, progress=False)
    assert command("ssdlite_coco", tmp_path).exit_code == 0
    assert called == [("ssdlite_coco", ("tvmonitor",))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.keras", "data"], "nothing.keras: no such model file, and no published model"),
        (["ssdlite_cocoo", "data"], "did you mean 'ssdlite_coco'?"),
        (["model.keras", "data:test"], "no split 'test'; there are: train, val"),
        (["data", "data", "--flip"], "data: --tiles and --flip are for models, and this is a file of det"),
        (["nothing.json", "data"], "nothing.json: no such file or folder of detections"),
        (["data", "data"], "data: expected files with names such as comp4_det_test_dog.txt"),
        (["model.keras", "nowhere"], "nowhere: no such file or folder"),
        (
            ["model.keras", "data", "--metric", "cooc"],
            "--metric must be 11_point, area, coco, got 'cooc'; did you",
        ),
        (["model.keras", "data", "--metric", "coco", "--iou", "0.5"], "--iou is for the metrics of VOC"),
        (["model.keras", "data", "--iou", "0"], "--iou must be above 0"),
    ],
)
def test_what_is_refused_in_one_line(place, perfect, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["multibox", "evaluate", *arguments])
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("multibox: ")]
    assert message in line
