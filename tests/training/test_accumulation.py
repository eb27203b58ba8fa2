"""Optimizers that update the weights after some steps (`gradient_accumulation_steps`)."""

import keras
import numpy as np
import pytest
from training_on_devices import SIDE, network

import multibox as mb
from multibox.training.compiling import check_accumulation
from multibox.training.gradients import loss_and_gradients
from multibox.training.state import load_run

DATASET = mb.load_shapes(9, (SIDE, SIDE))  # five batches of two; the last one has one image


class Bad(mb.SSDLoss):
    """NaN while `is_bad`."""

    is_bad = False

    def call(self, y_true, y_pred):
        loss = super().call(y_true, y_pred)
        return loss * np.nan if self.is_bad else loss


class Events(keras.callbacks.Callback):
    """A bad step, or an interruption after a step of the first epoch."""

    def __init__(self, bad=None, end=None):
        super().__init__()
        self.bad, self.end = bad, end

    def on_train_batch_begin(self, batch, logs=None):
        self.model.loss.is_bad = batch == self.bad

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.end:
            raise KeyboardInterrupt


def batches(model, dataset=DATASET):
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    return mb.DataGenerator(dataset, 2, mb.resize_only((SIDE, SIDE)), encoder, shuffle=False)


def run(folder, steps, *callbacks, dataset=DATASET, epochs=1, on_nan="stop", **options):
    """Trains eagerly with updates after every so many steps."""
    model = network()
    optimizer = keras.optimizers.SGD(1e-2, gradient_accumulation_steps=steps)
    if on_nan == "skip":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
    model.compile(optimizer, Bad(), run_eagerly=True)
    options = {"epochs": epochs, "on_nan": on_nan, "verbose": 0, "checkpoint_minutes": 0} | options
    return model, mb.train(model, batches(model, dataset), folder, callbacks=callbacks, **options)


def assert_same(model, other, atol=0.0):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def by_hand(schedule, steps, momentum):
    """Weights and averages after an epoch with updates after every so many steps, in NumPy."""
    model = network()
    model.compile("sgd", mb.SSDLoss())
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    averages, sums = weights, [0] * len(weights)
    data = batches(model)
    for step in range(len(data)):
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)
        sums = [a + b for a, b in zip(sums, loss_and_gradients(model, *data[step])[1], strict=True)]
        if step % steps == steps - 1:
            rate = float(schedule(step))
            weights = [weight - rate * total / steps for weight, total in zip(weights, sums, strict=True)]
            sums = [0] * len(weights)
        share = 0 if step < steps else momentum  # Keras begins with the weights of the first update
        averages = [share * a + (1 - share) * w for a, w in zip(averages, weights, strict=True)]
    return weights, averages


def test_an_update_is_the_mean_of_steps_and_schedules_and_averages_count_steps(tmp_path):
    """As docs/train.md says."""
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 5, 0.01)
    weights, averages = by_hand(schedule, 2, 0.5)
    options = {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.5}
    model = network()
    optimizer = keras.optimizers.SGD(schedule, **options)
    history = mb.train(
        model, batches(model), tmp_path, epochs=1, optimizer=optimizer, loss=mb.SSDLoss(), verbose=0
    )
    assert history.history["learning_rate"] == [pytest.approx(0.01)]
    assert int(model.optimizer.iterations) == 2  # updates
    assert any(abs(a - b).max() > 1e-4 for a, b in zip(weights, averages, strict=True))
    for variable, value in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), value, atol=1e-6)


@pytest.mark.parametrize("end", [0, 3, 4])
def test_a_run_goes_on_within_an_accumulation(tmp_path, end):
    """Also with the rest of an epoch, which goes into the next one."""
    straight, _ = run(tmp_path / "straight", 3, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", 3, Events(end=end), epochs=2)
    resumed, _ = run(tmp_path / "cut", 3, Events(), epochs=2, resume=True)
    assert_same(straight, resumed)


def test_a_step_that_is_left_out_adds_nothing(tmp_path):
    with pytest.warns(UserWarning, match="left out step 2 of epoch 1"):
        bad, _ = run(tmp_path / "bad", 2, Events(bad=1), on_nan="skip")
    good, _ = run(tmp_path / "good", 2, dataset=DATASET[:2] + DATASET[4:])
    assert_same(bad, good, atol=1e-7)  # JAX rounds differently in the two optimizers: 1.5e-8


def test_sums_that_are_not_finite_are_not_saved(tmp_path):
    """The weights are still finite when a checkpoint is due; the sums of the gradients are not."""
    with pytest.warns(UserWarning, match="not finite in epoch 1, step 2"):
        run(tmp_path / "bad", 4, Events(bad=1))
    assert load_run(tmp_path / "bad" / "last.keras").step == 1
    resumed, _ = run(tmp_path / "bad", 4, Events(), resume=True)
    straight, _ = run(tmp_path / "straight", 4, Events())
    assert_same(resumed, straight)


def test_what_tensorflow_cannot_do_on_several_devices():
    model = network()
    model.compile(keras.optimizers.SGD(1e-2, gradient_accumulation_steps=2), mb.SSDLoss())
    check_accumulation(model, [])
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match="TensorFlow cannot accumulate gradients on several devices"):
            check_accumulation(model, ["cpu:0", "cpu:1"])
    else:
        check_accumulation(model, ["cpu:0", "cpu:1"])
