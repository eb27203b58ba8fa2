from dataclasses import replace

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training import known, loop

DATA = mb.load_shapes(12, (64, 64), seed=0)
RECIPE = replace(mb.recipes.finetune, name="short", batch_size=8, averaging=0.0, warmup=0.0)
RECIPE = replace(RECIPE, known={"rate_factor": 0.01, "batch_size": 4, "augmentation": "ssd"})


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=DATA.class_names, image_size=(64, 64))


@pytest.fixture
def detections(monkeypatch):
    """Lets the model find what a function of the data set returns; the data sets that were asked for."""
    asked = []

    def set_found(function):
        def found(model, dataset, progress):
            asked.append(dataset)
            return function(dataset)

        monkeypatch.setattr(known, "predict_dataset", found)
        return asked

    return set_found


def perfect(dataset):
    return [np.column_stack([r.labels, np.ones(len(r.labels)), r.boxes]) for r in dataset]


def nothing(dataset):
    return [np.zeros((0, 6)) for _ in dataset]


def rate(model):
    return float(keras.ops.convert_to_numpy(model.optimizer._learning_rate(0)))


@pytest.fixture
def batches(monkeypatch):
    """The generators that `train` makes, the one that it takes last."""
    made = []
    whole = loop.training_batches
    monkeypatch.setattr(loop, "training_batches", lambda *a, **k: made.append(whole(*a, **k)) or made[-1])
    return made


@pytest.mark.parametrize(
    ("found", "factor", "size", "augmentation"),
    [(perfect, 0.01, 4, mb.ssd_augmentation), (nothing, 1.0, 8, mb.ssdlite_augmentation)],
)
def test_a_model_that_finds_the_objects_is_trained_otherwise(
    model, detections, batches, tmp_path, capsys, found, factor, size, augmentation
):
    detections(found)
    mb.train(model, DATA, tmp_path / "run", recipe=RECIPE, epochs=1, verbose=2)
    said = "already finds the objects; short uses rate_factor 0.01, batch_size 4, augmentation ssd\n"
    assert (said in capsys.readouterr().out) == (found is perfect)
    assert rate(model) == pytest.approx(4e-3 * factor)
    assert batches[-1].batch_size == size and batches[-1].transform == augmentation((64, 64))


def test_a_resumed_run_keeps_its_recipe(model, detections, batches, tmp_path):
    options = {"recipe": RECIPE, "verbose": 0, "resume": True}
    asked = detections(perfect)
    mb.train(model, DATA, tmp_path / "run", epochs=1, **options)
    detections(nothing)
    mb.train(model, DATA, tmp_path / "run", epochs=2, **options)
    assert rate(model) == pytest.approx(4e-5) and batches[-1].batch_size == 4
    assert len(asked) == 1


def test_what_is_passed_takes_the_place_of_the_recipe(model, detections, batches, tmp_path):
    detections(perfect)
    mb.train(model, DATA, tmp_path / "run", recipe=RECIPE, epochs=1, batch_size=6, verbose=0)
    assert rate(model) == pytest.approx(4e-5) and batches[-1].batch_size == 6


def test_nothing_is_measured_where_it_does_not_matter(model, detections, tmp_path):
    asked = detections(perfect)
    mb.train(model, DATA, tmp_path / "one", recipe=replace(RECIPE, known={}), epochs=1, verbose=0)
    mb.train(model, DATA, tmp_path / "two", recipe=RECIPE, optimizer="adam", epochs=1, verbose=0)
    assert not asked


@pytest.mark.parametrize(("images", "step"), [(12, 1), (100, 1), (101, 2), (250, 3)])
def test_a_hundred_images_from_all_of_the_data(detections, images, step):
    dataset = mb.DetectionDataset(DATA.class_names, list(DATA.records) * 21)[:images]
    asked = detections(perfect)
    assert known.mean_ap(None, dataset) == 1
    assert [r.image_id for r in asked[0]] == [r.image_id for r in dataset.records[::step]]


def test_an_untrained_model_finds_nothing(model):
    assert known.mean_ap(model, DATA) < known.ENOUGH
