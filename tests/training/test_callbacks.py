"""Keras' own callbacks and a user's one, in runs that were interrupted within an epoch."""

import csv
import os
import signal

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training.state import load_run

SIZE = (64, 64)
DATASET = mb.load_shapes(4, SIZE)
EPOCHS, STEPS = 4, 2
QUALITY = (1, 3, 2, 2, 2)  # of each epoch: the second is the best


class Quality(keras.callbacks.Callback):
    """A user's callback: adds a metric to the logs, and counts what it is called for."""

    def __init__(self):
        super().__init__()
        self.epochs_begun, self.steps = 0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs_begun += 1

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = QUALITY[epoch]


class EndAfter(keras.callbacks.Callback):
    """Asks the process to end after a step, counted over all epochs."""

    def __init__(self, step=None):
        super().__init__()
        self._left = iter(range(step or 0))
        self._ends = step is not None

    def on_train_batch_end(self, batch, logs=None):
        next(self._left, None)
        if self._ends and self._left.__length_hint__() == 0:
            os.kill(os.getpid(), signal.SIGINT)


class StopAt(keras.callbacks.Callback):
    """Stops the training at a step of the first epoch, or at the end of it."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def build(optimizer=None):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    loss = mb.SSDLoss()
    optimizer = optimizer or keras.optimizers.Adam(1e-3)
    model.compile(optimizer, loss=loss, metrics=loss.metrics(), run_eagerly=True)
    return model


def train(folder, *callbacks, model=None, epochs=EPOCHS, **options):
    model = model or build()
    options = {"batch_size": 2, "validation_data": DATASET[:2], "best_by": "val_loss", "verbose": 0} | options
    return model, mb.train(model, DATASET, folder, epochs=epochs, callbacks=callbacks, **options)


def interrupted(folder, step, callbacks, **options):
    """A run that ended after a step and went on."""
    with pytest.raises(KeyboardInterrupt):
        train(folder, *callbacks(folder), EndAfter(step), **{k: f() for k, f in options.items()})
    given = callbacks(folder)
    return given, *train(folder, *given, EndAfter(), resume=True, **{k: f() for k, f in options.items()})


def assert_same(model, other):
    """To the last bit; TensorFlow rounds when SwapEMAWeights exchanges weights and averages."""
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def many(folder):
    """Eight callbacks at once: the quality stops the run after four epochs of five."""
    callbacks = keras.callbacks
    return [
        Quality(),
        callbacks.EarlyStopping("quality", mode="max", patience=2, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("quality", mode="max", factor=0.5, patience=1, cooldown=1),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.ModelCheckpoint(
            folder / "mine.weights.h5", "quality", mode="max", save_best_only=True, save_weights_only=True
        ),
        callbacks.CSVLogger(folder / "mine.csv"),
        callbacks.TerminateOnNaN(),
        callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None),
    ]


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    callbacks = many(folder)
    return folder, callbacks, *train(folder, *callbacks, EndAfter(), epochs=5)


def test_what_callbacks_do_in_a_run(straight):
    folder, callbacks, model, history = straight
    assert history.history["quality"] == [1, 3, 2, 2]
    assert [row["quality"] for row in table(folder / "history.csv")] == ["1.0", "3.0", "2.0", "2.0"]
    # 0.9 at each begin; the half at the end of the third epoch and, the cooldown over, of the fourth.
    np.testing.assert_allclose(
        history.history["learning_rate"], [0.9e-3, 0.81e-3, 0.5 * 0.729e-3, 0.45 * 0.5 * 0.729e-3], rtol=1e-5
    )
    assert callbacks[1].stopped_epoch == 3
    best = mb.SSD7(4, image_size=SIZE)
    best.load_weights(folder / "mine.weights.h5")
    assert_same(model, best)  # the second epoch's


@pytest.mark.parametrize("step", [3, 7])
def test_they_go_on_within_an_epoch(tmp_path, straight, step):
    """In the second epoch, before the best value, and in the fourth, in the cooldown."""
    folder, expected, model, history = straight
    callbacks, resumed, again = interrupted(tmp_path, step, many, epochs=lambda: 5)
    assert again.history == history.history
    assert_same(resumed, model)
    assert (tmp_path / "history.csv").read_text() == (folder / "history.csv").read_text()
    assert [row["epoch"] for row in table(tmp_path / "mine.csv")] == ["0", "1", "2", "3"]
    assert table(tmp_path / "mine.csv") == table(folder / "mine.csv")
    assert (callbacks[0].epochs_begun, callbacks[0].steps) == (4, 8)
    for name in ("wait", "best", "cooldown_counter"):
        assert getattr(callbacks[2], name) == getattr(expected[2], name)
    assert callbacks[4].best == expected[4].best == 3


def test_a_run_that_was_stopped_has_ended(tmp_path, straight):
    """Started again it does nothing, and the model is the one that it was: that of the best epoch."""
    folder, _, model, history = straight
    before = (folder / "last.keras").read_bytes()
    again, found = train(folder, *many(tmp_path), EndAfter(), epochs=5, resume=True)
    assert found.history == history.history
    assert_same(again, model)
    assert (folder / "last.keras").read_bytes() == before


@pytest.mark.parametrize("step", [None, 0])
def test_a_callback_that_stops_training(tmp_path, step):
    train(tmp_path, StopAt(step))
    assert load_run(tmp_path / "last.keras").stopped == EPOCHS
    assert train(tmp_path, StopAt(step), resume=True)[1].epoch == [0]
    assert train(tmp_path, StopAt(step), epochs=EPOCHS + 1, resume=True)[1].epoch == [0, 1]  # asked for more


def averaging():
    return build(keras.optimizers.SGD(1e-4, use_ema=True, ema_momentum=0.5))


@pytest.mark.parametrize("given", [False, True])
def test_averages_of_weights(tmp_path, given):
    """Files and the model have averages, and a run goes on from the weights themselves."""

    def callbacks(folder):
        return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if given else []

    model, history = train(tmp_path / "straight", *callbacks(None), model=averaging(), epochs=2)
    for name in ("last", "best"):  # the validation loss falls in each epoch
        assert history.history["val_loss"][1] < history.history["val_loss"][0]
        saved = keras.models.load_model(tmp_path / "straight" / f"{name}.keras", compile=False)
        assert_same(saved, model)
    _, resumed, again = interrupted(tmp_path / "resumed", 3, callbacks, model=averaging, epochs=lambda: 2)
    if keras.backend.backend() == "tensorflow":
        np.testing.assert_allclose(again.history["val_loss"], history.history["val_loss"], rtol=1e-5)
        return
    assert again.history == history.history
    assert_same(resumed, model)


def test_averages_of_a_run_that_gets_more_epochs_or_is_stopped(tmp_path):
    whole, _ = train(tmp_path / "whole", model=averaging(), epochs=2)
    train(tmp_path / "parts", model=averaging(), epochs=1)
    parts, _ = train(tmp_path / "parts", model=averaging(), epochs=2, resume=True)
    stopped, _ = train(tmp_path / "stopped", StopAt(None), model=averaging())
    saved = keras.models.load_model(tmp_path / "stopped" / "last.keras", compile=False)
    assert_same(stopped, saved)
    if keras.backend.backend() != "tensorflow":
        assert_same(parts, whole)


def test_the_callback_that_does_the_same_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"BackupAndRestore would set .* pass resume=True, which does"):
        train(tmp_path, keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    assert not list(tmp_path.iterdir())


class Remember(keras.callbacks.Callback):
    """Notes the number of the first epoch that it sees, and whether an epoch has no step yet."""

    def __init__(self):
        super().__init__()
        self.first, self.is_fresh, self.fresh_steps = None, False, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.is_fresh = True
        self.first = epoch if self.first is None else self.first

    def on_train_batch_end(self, batch, logs=None):
        self.fresh_steps += self.is_fresh
        self.is_fresh = False


def test_a_callback_that_is_used_again_keeps_what_it_knows(tmp_path):
    """As in a notebook: the second run has the same object, the third a new one."""
    callback = Remember()
    train(tmp_path, callback, epochs=1)
    train(tmp_path, callback, epochs=2, resume=True)
    new = Remember()
    train(tmp_path, new, epochs=3, resume=True)
    assert new.first == 0 and new.fresh_steps == 3


def test_what_an_epoch_has_begun_with_is_not_begun_again(tmp_path):
    """`is_fresh` has its first value when the run is interrupted, and so is not in the file."""
    (callback,), *_ = interrupted(tmp_path, 1, lambda folder: [Remember()], epochs=lambda: 1)
    assert callback.fresh_steps == 1
