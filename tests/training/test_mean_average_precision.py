"""The callback in plain `fit` and in `train`."""

import csv
import math

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training import mean_average_precision

SIZE = (64, 64)
DATA = mb.load_shapes(4, SIZE)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=DATA.class_names, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile("sgd", loss=loss, metrics=loss.metrics(), run_eagerly=True)
    return model


@pytest.fixture
def found(monkeypatch):
    """Detections that are right for the first images, one more each time; the last box of each is too low.

    Returns the weights of the model at each measurement.
    """
    seen = []

    def predict(model, dataset, batch_size, progress):
        seen.append(model.get_weights()[0])
        return [_rows(record, i < len(seen)) for i, record in enumerate(dataset)]

    def _rows(record, is_right):
        count = len(record.labels) if is_right else 0
        return np.column_stack([record.labels, np.full(len(record.labels), 0.9), record.boxes])[:count]

    monkeypatch.setattr(mean_average_precision, "predict_dataset", predict)
    return seen


def batches(model):
    return mb.DataGenerator(DATA, 4, mb.resize_only(SIZE), mb.GroundTruthEncoder(model, sparse=True))


def test_the_logs_of_fit(model, found):
    """All objects of the first image, then of two, and so on: recall is that share at any threshold."""
    measure = mb.MeanAveragePrecision(DATA, per_class=True)
    history = model.fit(batches(model), epochs=4, verbose=0, callbacks=[measure]).history
    assert history["val_map"][-1] == history["val_map50"][-1] == pytest.approx(1)
    assert history["val_map"] == sorted(history["val_map"]) and history["val_map"][0] < 0.6
    all_of_them, in_the_first = (sum((r.labels == 1).sum() for r in images) for images in (DATA, DATA[:1]))
    assert all_of_them > in_the_first > 0
    recall = np.linspace(0, 1, 101) <= in_the_first / all_of_them
    assert history[f"val_map/{DATA.class_names[0]}"][0] == pytest.approx(recall.mean())
    assert set(history) >= {f"val_map/{name}" for name in DATA.class_names}


def test_every_third_epoch_the_first_and_the_last(model, found):
    measure = mb.MeanAveragePrecision(DATA, every=3)
    history = model.fit(batches(model), epochs=5, verbose=0, callbacks=[measure]).history
    assert [math.isnan(value) for value in history["val_map"]] == [False, True, False, True, False]
    assert len(found) == 3


def test_epochs_without_a_measurement_do_not_blind_other_callbacks(model, found):
    """A NaN in the first epoch would be their best value for ever."""
    stop = keras.callbacks.EarlyStopping("val_map", mode="max", patience=2)
    callbacks = [mb.MeanAveragePrecision(DATA, every=2), stop]
    history = model.fit(batches(model), epochs=4, verbose=0, callbacks=callbacks).history
    assert len(history["val_map"]) == 4
    assert stop.best == max(history["val_map"][1::2]) > history["val_map"][0]


def test_other_callbacks_see_it(model, found, tmp_path):
    callbacks = [
        mb.MeanAveragePrecision(DATA),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "{epoch}.weights.h5",
            "val_map",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.EarlyStopping("val_map", mode="max", min_delta=2.0, patience=1, baseline=0.0),
    ]
    history = model.fit(batches(model), epochs=9, verbose=0, callbacks=callbacks).history
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_map"]) for row in rows] == history["val_map"]
    assert len(rows) == 2  # EarlyStopping saw no rise by 2
    assert (tmp_path / "1.weights.h5").exists()


def test_train_keeps_the_model_of_the_highest_map(model, monkeypatch, tmp_path):
    values = iter([0.2, 0.6, 0.4])

    class Result:
        def __init__(self):
            value = next(values)
            self.numbers = {"AP": value, "AP50": value}

    monkeypatch.setattr(mean_average_precision, "evaluate_coco", lambda found, data, **_: Result())
    weights = []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append((logs["val_map"], self.model.get_weights()))

    options = {"epochs": 3, "batch_size": 4, "callbacks": [Note()], "verbose": 0}
    history = mb.train(model, DATA, tmp_path / "run", validation_data=DATA[:1], **options).history
    assert history["val_map"] == [0.2, 0.6, 0.4] == [value for value, _ in weights]
    best = keras.models.load_model(tmp_path / "run/best.keras")
    for a, b in zip(best.get_weights(), weights[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_averaged_weights_are_measured(found, tmp_path):
    """What is measured, saved and left in the model is one and the same: the averages."""
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=DATA.class_names, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile(keras.optimizers.SGD(1e-3, use_ema=True, ema_momentum=0.5), loss=loss, run_eagerly=True)
    mb.train(model, DATA, tmp_path, epochs=2, validation_data=DATA[:1], batch_size=2, verbose=0)
    for name in ("last", "best"):
        saved = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(saved.get_weights()[0], found[-1])
    np.testing.assert_array_equal(model.get_weights()[0], found[-1])


def test_the_lines_that_train_prints_leave_single_classes_out(model, found, tmp_path, capsys):
    options = {"epochs": 1, "batch_size": 4, "verbose": 2}
    measure = mb.MeanAveragePrecision(DATA, per_class=True)
    mb.train(model, DATA, tmp_path, callbacks=[measure], **options)
    printed = capsys.readouterr().out
    assert "val_map50: " in printed and "loss: " in printed
    assert "val_map/" not in printed
    assert f"val_map/{DATA.class_names[0]}" in (tmp_path / "history.csv").read_text()


def test_what_is_refused(model):
    with pytest.raises(TypeError, match="MeanAveragePrecision: dataset must be a DetectionDataset"):
        mb.MeanAveragePrecision([1])
    with pytest.raises(ValueError, match="MeanAveragePrecision: every must be at least 1, got 0"):
        mb.MeanAveragePrecision(DATA, every=0)
    with pytest.raises(ValueError, match="MeanAveragePrecision: the data set has no images"):
        mb.MeanAveragePrecision(DATA[:0])
    with pytest.raises(ValueError, match="built for inference"):
        mb.MeanAveragePrecision(DATA).set_model(mb.to_inference(model))
    other = mb.DetectionDataset([*DATA.class_names, "dog"], list(DATA))
    with pytest.raises(ValueError, match=r"MeanAveragePrecision: the model has \d+ classes, the data set"):
        mb.MeanAveragePrecision(other).set_model(model)
    other = mb.DetectionDataset([*DATA.class_names[:-1], "dog"], list(DATA))
    with pytest.raises(ValueError, match=r"MeanAveragePrecision: .*dog"):
        mb.MeanAveragePrecision(other).set_model(model)
