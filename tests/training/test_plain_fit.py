"""Keras' own callbacks in a plain `fit` with a `DataGenerator`, and its TensorBoard callback in both."""

import csv
import math

import keras
import numpy as np
import pytest

import multibox as mb

SIZE = (64, 64)
DATA = mb.load_shapes(4, SIZE)
EPOCHS, STEPS = 4, 2


def build(optimizer=None):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile(optimizer or keras.optimizers.Adam(1e-3), loss, metrics=loss.metrics(), run_eagerly=True)
    return model


def batches(model, count=4):
    return mb.DataGenerator(DATA[:count], 2, mb.resize_only(SIZE), mb.GroundTruthEncoder(model, sparse=True))


class Quality(keras.callbacks.Callback):
    """Adds a metric to the logs: the second epoch is the best. Notes the generator's epoch at each step."""

    def __init__(self, data):
        super().__init__()
        self.data, self.epochs = data, []

    def on_train_batch_end(self, batch, logs=None):
        self.epochs.append(self.data.epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = (1, 3, 2, 2)[epoch]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    model, callbacks = build(), keras.callbacks
    data = batches(model)
    given = {
        "quality": Quality(data),
        "stopping": callbacks.EarlyStopping("quality", mode="max", patience=2, restore_best_weights=True),
        "plateau": callbacks.ReduceLROnPlateau("quality", mode="max", factor=0.5, patience=1, cooldown=1),
        "schedule": callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        "checkpoint": callbacks.ModelCheckpoint(
            folder / "best.keras", "quality", mode="max", save_best_only=True
        ),
        "log": callbacks.CSVLogger(folder / "log.csv"),
        "nan": callbacks.TerminateOnNaN(),
    }
    history = model.fit(data, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=list(given.values()))
    return folder, model, given, history


def test_each_does_what_it_is_for(fitted):
    folder, model, given, history = fitted
    assert history.history["quality"] == [1, 3, 2, 2]
    np.testing.assert_allclose(
        history.history["learning_rate"], [0.9e-3, 0.81e-3, 0.5 * 0.729e-3, 0.45 * 0.5 * 0.729e-3], rtol=1e-5
    )
    assert given["stopping"].stopped_epoch == 3
    saved = keras.models.load_model(folder / "best.keras")
    for a, b in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # EarlyStopping has put the second epoch's into the model
    with (folder / "log.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == history.history["loss"]


def test_the_epoch_of_the_generator_is_that_of_fit(fitted):
    assert fitted[2]["quality"].epochs[::STEPS] == [0, 1, 2, 3]


def test_a_run_goes_on_with_keras_own_backup(tmp_path):
    """BackupAndRestore repeats an interrupted epoch; `train(resume=True)` goes on within it."""

    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def run(*callbacks):
        model = build(keras.optimizers.SGD(1e-3))
        data, backup = batches(model), keras.callbacks.BackupAndRestore(tmp_path / "backup")
        options = {"epochs": 3, "shuffle": False, "verbose": 0}
        return model, model.fit(data, callbacks=[backup, *callbacks], **options)

    with pytest.raises(KeyboardInterrupt):
        run(End())
    assert run()[1].epoch == [2]


def test_averages_of_weights_are_swapped_in_for_the_end_of_an_epoch():
    model = build(keras.optimizers.SGD(1e-3, use_ema=True, ema_momentum=0.5))
    weights, averages = [], []

    def note(into):
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: into.append(model.get_weights()[0])
        )

    callbacks = [note(weights), keras.callbacks.SwapEMAWeights(swap_on_epoch=True), note(averages)]
    model.fit(batches(model, 2), epochs=2, shuffle=False, verbose=0, callbacks=callbacks)  # one step each
    assert np.abs(weights[1] - weights[0]).max() > 1e-5
    np.testing.assert_allclose(averages[1], (averages[0] + weights[1]) / 2, rtol=1e-5, atol=1e-7)


def test_a_loss_that_is_not_finite_ends_fit():
    model = build(keras.optimizers.SGD(1e30))
    history = model.fit(batches(model), epochs=9, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert not math.isfinite(history.history["loss"][-1])
    assert len(history.epoch) < 9


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras writes them with TensorFlow")
@pytest.mark.parametrize("way", ["fit", "train"])
def test_tensorboard(tmp_path, way):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model, board = build(), keras.callbacks.TensorBoard(tmp_path / "events")
    if way == "fit":
        history = model.fit(batches(model), epochs=2, shuffle=False, verbose=0, callbacks=[board])
    else:
        options = {"epochs": 2, "batch_size": 2, "callbacks": [board], "verbose": 0}
        history = mb.train(model, DATA, tmp_path / "run", **options)
    (folder,) = {file.parent for file in (tmp_path / "events").rglob("*tfevents*")}
    events = reader.EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    from tensorflow import make_ndarray

    losses = [float(make_ndarray(event.tensor_proto)) for event in events.Tensors("epoch_loss")]
    np.testing.assert_allclose(losses, history.history["loss"], rtol=1e-6)
