"""Training that goes wrong: it stops, keeps the last good weights and says what happened."""

import json
import os
import signal

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training.skip import SkipBadSteps, skipping
from multibox.training.state import load_run

SIZE = (64, 64)
DATASET = mb.load_shapes(8, SIZE)


def build(optimizer):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile(optimizer, loss=loss, metrics=loss.metrics(), run_eagerly=True)
    return model


class Poison(keras.callbacks.Callback):
    """Puts a NaN into a weight, as a bad update would."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            weight = self.model.trainable_variables[0]
            weight.assign(keras.ops.full(weight.shape, np.nan))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (1, r"train: the loss is not finite in epoch 2, step 3: with the last good weights, the loss"),
        (3, r"train: .* is not finite in epoch 2, step 4: .* the learning rate 0.001 is probably too high"),
    ],
)
def test_it_stops_and_keeps_the_last_good_weights(tmp_path, step, message):
    """In the middle of an epoch, and after its last step, whose loss is finite."""
    model = build(keras.optimizers.SGD(1e-3))
    data = {"batch_size": 2, "validation_data": DATASET[:2], "best_by": "val_loss", "verbose": 0}
    mb.train(model, DATASET, tmp_path, epochs=1, **data)
    good = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    weights = model.get_weights()
    with pytest.warns(UserWarning, match=message):
        history = mb.train(model, DATASET, tmp_path, epochs=3, callbacks=[Poison(step)], resume=True, **data)
    assert history.epoch == [0, 1]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == good
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    report = json.loads((tmp_path / "diagnosis" / "report.json").read_text())
    assert report["epoch"] == 1 and report["step"] == (2 if step == 1 else 3)
    assert len(report["images"]) == 2 and set(report["images"]) <= {r.image_id for r in DATASET}
    assert report["learning_rate"] == pytest.approx(1e-3)
    assert set(report["largest_activations"]) == {layer.name for layer in model.layers}
    assert all(value > 0 for value in report["largest_gradients"].values())
    assert keras.utils.load_img(tmp_path / "diagnosis" / "batch.jpg").size[0] > 100


def test_a_learning_rate_that_is_too_high(tmp_path):
    with pytest.warns(UserWarning, match=r"the learning rate 1e\+30 is probably too high\. "):
        mb.train(build(keras.optimizers.SGD(1e30)), DATASET, tmp_path, epochs=2, batch_size=2, verbose=0)
    saved = keras.models.load_model(tmp_path / "last.keras")
    assert all(np.isfinite(weight).all() for weight in saved.get_weights())


class Bad(mb.SSDLoss):
    """NaN while `is_bad`."""

    is_bad = False

    def call(self, y_true, y_pred):
        loss = super().call(y_true, y_pred)
        return loss * np.nan if self.is_bad else loss


class BadGradient(Bad):
    """A finite loss whose gradient is NaN while `is_bad`: that of the root of zero is infinite."""

    def call(self, y_true, y_pred):
        loss = mb.SSDLoss.call(self, y_true, y_pred)
        return loss + keras.ops.sqrt(0.0 * keras.ops.sum(y_pred)) if self.is_bad else loss


def run_with_bad_step(folder, images, bad_step, monkeypatch, kind=Bad):
    """Trains one epoch in batches of two; the weights and the history."""
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))
    model, loss = mb.SSD7(4, image_size=SIZE), kind()

    def begin(batch, logs=None):
        loss.is_bad = batch == bad_step

    encoder = mb.GroundTruthEncoder(model, sparse=True)
    history = mb.train(
        model,
        mb.DataGenerator(DATASET[:images], 2, mb.resize_only(SIZE), encoder, shuffle=False),
        folder,
        epochs=1,
        optimizer=keras.optimizers.SGD(1e-3, momentum=0.9),
        loss=loss,
        on_nan="skip",
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=begin)],
        verbose=0,
    )
    # Halved by each step that is left out, the scale would become zero in a long training.
    assert float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)) == 1.0
    return model.get_weights(), history.history


@pytest.mark.parametrize(("kind", "what"), [(Bad, "loss"), (BadGradient, "gradient")])
def test_bad_steps_are_left_out(tmp_path, monkeypatch, kind, what):
    """The losses of the epoch and the weights are as if there had been no such step."""
    with pytest.warns(UserWarning, match=f"train: left out step 3 of epoch 1: its {what} is not finite"):
        weights, history = run_with_bad_step(tmp_path / "bad", 6, 2, monkeypatch, kind)
    expected_weights, expected = run_with_bad_step(tmp_path / "good", 4, None, monkeypatch)
    assert history["skipped_steps"] == [1]
    assert history["loss"] == expected["loss"]
    for a, b in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_too_many_bad_steps_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("multibox.training.skip.MIN_SKIPPED", 1)
    with pytest.warns(UserWarning, match="train: the loss of 1 steps is not finite in .*: already with"):
        run_with_bad_step(tmp_path, 4, 0, monkeypatch)
    saved = keras.models.load_model(tmp_path / "last.keras", compile=False)
    assert all(np.isfinite(weight).all() for weight in saved.get_weights())
    assert not (tmp_path / "history.csv").exists()  # the epoch is not finished


def test_a_scale_that_an_earlier_version_has_worn_out_is_whole_again(monkeypatch):
    """It left out 140 steps and halved the scale to zero."""
    model = build(skipping(keras.optimizers.SGD(1e-3)))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(0.0)
    callback = SkipBadSteps([])
    callback.set_model(model)
    callback.on_epoch_begin(0)
    callback.on_train_batch_begin(0)
    assert float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)) == 1.0
    assert callback.skipped == 0


def test_a_running_loss_that_is_nan_is_not_written(tmp_path):
    """An optimizer of one's own has left the step out, so that all weights are good."""
    keras.utils.set_random_seed(0)
    model, loss = mb.SSD7(4, image_size=SIZE), Bad()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3))
    model.compile(optimizer, loss=loss, metrics=loss.metrics(), run_eagerly=True)

    class EndAtABadStep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.loss.is_bad = batch == 1

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        callbacks = [EndAtABadStep()]
        mb.train(model, DATASET[:6], tmp_path, epochs=1, batch_size=2, callbacks=callbacks, verbose=0)
    state = load_run(tmp_path / "last.keras")
    assert state.step == 0
    assert all(np.isfinite(array).all() for array in state.arrays.values() if array.dtype.kind == "f")


def test_a_bad_step_right_after_a_resume(tmp_path, monkeypatch):
    """The running losses of the steps before the interruption are kept, and the optimizer can go on."""
    monkeypatch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))

    class Begin(keras.callbacks.Callback):
        def __init__(self, ends):
            super().__init__()
            self._ends = ends

        def on_train_batch_begin(self, batch, logs=None):
            self.model.loss.is_bad = batch == 1

        def on_train_batch_end(self, batch, logs=None):
            if self._ends and batch == 0:
                os.kill(os.getpid(), signal.SIGINT)

    def run(folder, ends=False, **options):
        keras.utils.set_random_seed(0)
        model = mb.SSD7(4, image_size=SIZE)
        options = {"epochs": 1, "batch_size": 2, "on_nan": "skip", "verbose": 0} | options
        options |= {"optimizer": keras.optimizers.SGD(1e-3), "loss": Bad(), "callbacks": [Begin(ends)]}
        return mb.train(model, DATASET[:6], folder, **options).history

    with pytest.warns(UserWarning, match="left out step 2 of epoch 1"):
        straight = run(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed", ends=True)
    with pytest.warns(UserWarning, match="left out step 2 of epoch 1"):
        assert run(tmp_path / "resumed", resume=True) == straight
    assert straight["skipped_steps"] == [1]
