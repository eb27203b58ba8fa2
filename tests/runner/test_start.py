import csv
import json
from dataclasses import replace

import cv2
import keras
import msgspec
import numpy as np
import pytest

import multibox as mb
from multibox.runner import start
from multibox.runner.data import find_data
from multibox.runner.model import build_model, chosen_anchors, chosen_weights
from multibox.training import known

SIZE = (96, 96)
SMALL = {"model": "ssd7", "size": "96x96", "batch": 4}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A folder in VOC layout with the sets train (6 images) and val (2)."""
    folder = tmp_path_factory.mktemp("shapes")
    data = mb.load_shapes(8, SIZE, seed=0)
    records = []
    for i, record in enumerate(data):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), record.read()[..., ::-1])
        records.append(replace(record, image_id=str(i), image=str(path)))
    data = mb.DetectionDataset(data.class_names, records)
    mb.save_voc(data[:6], folder / "voc", "train", progress=False)
    mb.save_voc(data[6:], folder / "voc", "val", progress=False)
    return folder / "voc"


@pytest.fixture(scope="module")
def run(shapes, tmp_path_factory):
    """A finished run of one epoch: (description, result)."""
    config = mb.RunConfig(
        data=str(shapes), epochs=1, output=str(tmp_path_factory.mktemp("runs") / "a"), check="warn", **SMALL
    )
    return config, mb.start_run(config, quiet=True)


def rows(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def with_precision(config, result):
    """The description of a run, with the precision that it has found to be the fastest here."""
    return msgspec.structs.replace(config, precision=mb.fastest_precision(result.model))


def test_the_folder_of_a_run(run):
    config, result = run
    files = {path.name for path in result.folder.iterdir() if not path.name.startswith(".")} - {"events"}
    assert files == {
        *("best.keras", "last.keras", "history.csv", "loss.png", "samples.jpg", "detections.jpg"),
        "report.html",
        *("config.yaml", "versions.json", "log.txt"),
    }
    assert mb.read_config(result.folder / "config.yaml") == with_precision(config, result)
    assert json.loads((result.folder / "versions.json").read_text())["multibox"] == mb.__version__
    assert len(rows(result.folder)) == len(result.history.epoch) == 1
    assert mb.class_names_of(result.model) == ("circle", "square", "star", "triangle")


def test_what_a_run_tells(run):
    config, result = run
    log = (result.folder / "log.txt").read_text()
    for text in (
        f"Data: {config.data}:train, Pascal VOC; the images of {config.data}:val are for validation.",
        "Data check, findings by level: ",
        "Training: 6 images with ",
        "Validation: 2 images with ",
        "Classes: circle (",
        "Model: ssd7, input 96x96, ",
        f"weights: none, precision: {mb.fastest_precision(result.model)}.",
        "Plan: 1 epochs of 2 steps with 4 images.",
        "Epoch 1 of 1: ",
        "mAP ",
        "  best.keras     the model with the highest mAP on the validation images",
    ):
        assert text in log, text


def test_a_run_is_never_overwritten(run):
    config, result = run
    before = rows(result.folder)
    with pytest.raises(FileExistsError, match="exists already"):
        mb.start_run(config, quiet=True)
    assert rows(result.folder) == before


def test_a_run_goes_on(run):
    config, result = run
    longer = msgspec.structs.replace(config, epochs=2)
    history = mb.start_run(longer, resume=True, quiet=True).history
    assert history.epoch == [0, 1] and len(rows(result.folder)) == 2
    log = (result.folder / "log.txt").read_text()
    assert "Epoch 1 of 1: " in log and "Epoch 2 of 2: " in log and "Epoch 1 of 2: " not in log
    assert mb.read_config(result.folder / "config.yaml").epochs == 2


def test_no_run_to_resume(shapes, tmp_path):
    config = mb.RunConfig(data=str(shapes), output=str(tmp_path / "none"), **SMALL)
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        mb.start_run(config, resume=True)
    assert not (tmp_path / "none").exists()


def test_errors_in_the_data_stop_a_run_before_its_folder_is_made(shapes, tmp_path, capsys):
    (shapes / "ImageSets/Main/more.txt").write_text("0\nmissing\n")
    config = mb.RunConfig(data=f"{shapes}:more", val=f"{shapes}:val", output=str(tmp_path / "a"), **SMALL)
    with pytest.raises(ValueError, match=r"1 errors in the data; correct them .* or go on with --check warn"):
        mb.start_run(config)
    assert "  error: missing-file: " in capsys.readouterr().out
    assert not (tmp_path / "a").exists()
    (shapes / "ImageSets/Main/more.txt").unlink()


def test_the_validation_data(shapes):
    data = find_data(mb.RunConfig(data=str(shapes)))
    assert [len(part) for part in data.load(0, False)] == [6, 2]
    data = find_data(mb.RunConfig(data=f"{shapes}:train", val=f"{shapes}:train"))
    assert [len(part) for part in data.load(0, False)] == [6, 6]
    data = find_data(mb.RunConfig(data=f"{shapes}:train"))
    assert data.explanation == "a fifth of the images, drawn with the seed, is for validation"
    first, other = (data.load(seed, False) for seed in (0, 1))
    assert [len(part) for part in first] == [5, 1]
    assert {r.image_id for part in first for r in part} == {*"012345"}
    assert first[1][0].image_id != other[1][0].image_id
    assert first[1][0].image_id == data.load(0, False)[1][0].image_id
    with pytest.raises(ValueError, match="no set 'test'; there are: train, val"):
        find_data(mb.RunConfig(data=f"{shapes}:test"))


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("ssd_mobilenet", "coco"),
        ("ssd300", "coco"),
        ("ssdlite", "coco"),
        ("ssd512", "imagenet"),
        ("ssd7", "none"),
    ],
)
def test_weights_that_are_chosen(model, weights):
    assert chosen_weights(mb.RunConfig(data="a", model=model)) == weights
    assert chosen_weights(mb.RunConfig(data="a", model=model, weights="x.pth")) == "x.pth"


@pytest.fixture
def built(monkeypatch):
    """The arguments of a small network in place of keras.applications.MobileNet."""
    calls = []

    def small(**options):
        calls.append(options)
        image = x = keras.Input(options["input_shape"])
        for i in range(5):
            x = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name=f"conv{i}")(x)
        return keras.Model(image, x, name="mobilenet")

    monkeypatch.setattr(keras.applications, "MobileNet", small)
    return calls


BACKBONE = {"model": "ssd", "backbone": "MobileNet"}


def test_a_run_on_a_backbone_with_another_box_loss(shapes, tmp_path, built, monkeypatch):
    trained = []
    monkeypatch.setattr(
        start, "train", lambda *a, **options: trained.append(options) or mb.train(*a, **options)
    )
    config = mb.RunConfig(
        **BACKBONE,
        **{"data": str(shapes), "epochs": 1, "batch": 4, "size": "96x128", "output": str(tmp_path / "a")},
        **{"weights": "none", "check": "warn", "box_loss": "giou"},
        **{"sources": (8, 16), "extras": (8, 8), "head": "separable", "neck": "fpn"},
    )
    result = mb.start_run(config, quiet=True)
    assert "Model: ssd on MobileNet, input 96x128, " in (tmp_path / "a/log.txt").read_text()
    assert {"input_shape": (96, 128, 3), "weights": None, "include_top": False} in built
    grids = [level.grid for level in mb.anchors_of(result.model).levels]
    assert grids == [(12, 16), (6, 8), (3, 4), (2, 2)]
    assert {"conv2", "conv3"} <= {layer.name for layer in result.model.layers}
    recipe = trained[0]["recipe"]
    assert (recipe.name, recipe.box_loss) == ("finetune", "giou")
    assert mb.read_config(tmp_path / "a/config.yaml") == with_precision(config, result)


def test_a_model_that_knows_the_objects(shapes, tmp_path, monkeypatch):
    """A run says so, and keeps the recipe when it goes on."""
    trained = []
    monkeypatch.setattr(
        start, "train", lambda *a, **options: trained.append(options) or mb.train(*a, **options)
    )
    config = mb.RunConfig(
        data=str(shapes), epochs=1, output=str(tmp_path / "a"), check="warn", **SMALL | {"batch": None}
    )
    monkeypatch.setattr(known, "mean_ap", lambda model, data: 0.5)
    mb.start_run(config, quiet=True)
    text = (tmp_path / "a/log.txt").read_text()
    assert "The model finds the objects already: a lower rate" in text and "steps with 6 images" in text
    monkeypatch.setattr(known, "mean_ap", lambda model, data: 0.0)
    mb.start_run(msgspec.structs.replace(config, epochs=2), resume=True, quiet=True)
    expected = mb.recipes.finetune.for_known_objects()
    assert [options["recipe"] for options in trained] == [expected, expected]


def test_weights_of_a_backbone(built, tmp_path):
    imagenet = mb.RunConfig(data="a", **BACKBONE)
    assert chosen_weights(imagenet) == "imagenet"
    model = build_model(imagenet, ("a",), 3)
    assert built == [{"input_shape": (300, 300, 3), "weights": "imagenet", "include_top": False}]
    assert chosen_anchors(imagenet) == mb.anchors_of(model)
    model.save_weights(tmp_path / "all.weights.h5")
    again = build_model(
        mb.RunConfig(data="a", weights=str(tmp_path / "all.weights.h5"), **BACKBONE), ("a",), 3
    )
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert built[-1]["weights"] is None


def test_a_backbone_of_ssdlite(monkeypatch):
    monkeypatch.setattr(mb.models, "SSDLite", dict)  # returns its arguments
    lite = {"data": "a", "model": "ssdlite", "size": "64x64", "backbone": "efficientnet_lite0"}
    assert chosen_weights(mb.RunConfig(**lite)) == "imagenet"
    config = mb.RunConfig(weights="none", **lite)
    arguments = {"image_size": (64, 64), "channels": 3, "weights": None, "backbone": "efficientnet_lite0"}
    assert build_model(config, ("b",), 3) == {"class_names": ("b",), **arguments}
    assert chosen_anchors(config) == "ssdlite:64x64"
    assert (
        chosen_weights(msgspec.structs.replace(config, backbone="mobilenet_v3_large", weights=None)) == "coco"
    )


def test_a_backbone_of_ssd_mobilenet():
    """COCO's weights are those of the default backbone."""
    for backbone, weights in ((None, "coco"), ("mobilenet_v1", "coco"), ("mobilenet_v2", "imagenet")):
        assert chosen_weights(mb.RunConfig(data="a", backbone=backbone)) == weights


def test_a_model_as_weights_keeps_the_classes_that_it_knows(run):
    _, result = run
    path = str(result.folder / "best.keras")
    model = build_model(mb.RunConfig(data="a", weights=path, **SMALL), ("star", "moon"), 3)
    assert mb.class_names_of(model) == ("star", "moon")
    assert mb.anchors_of(model) == mb.anchors_of(result.model)


def test_weights_that_do_not_exist():
    with pytest.raises(FileNotFoundError, match="no such file; or coco, imagenet, none"):
        build_model(mb.RunConfig(data="a", weights="none.pth", **SMALL), ("a",), 3)
