"""`fit` from any step of any epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from ..data_generator import DataGenerator
from . import processes
from .even_batches import Filled, OwnImages
from .places import Devices
from .state import RunState, build_metrics, restore_model

# Callbacks of Keras that write files or send messages, and do nothing to the training.
_TELLING = (
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


def in_this_process(callbacks: list[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """The callbacks, without Keras' that write files unless this is the first process.

    In their places are callbacks that do nothing.
    """
    if processes.is_first():
        return callbacks
    return [keras.callbacks.Callback() if isinstance(one, _TELLING) else one for one in callbacks]


class RestOfEpoch(keras.utils.PyDataset):
    """The batches of a `DataGenerator` from number `first` on."""

    def __init__(self, data: DataGenerator, first: int):
        super().__init__()
        self.data = data
        self.first = first
        self.length = len(data) - first

    def __len__(self):
        return self.length

    def __getitem__(self, batch):
        return self.data[self.first + batch]

    def num_samples_in(self, batch: int) -> int:
        """Samples in a batch of all processes."""
        return self.data.num_samples_in(self.first + batch)

    def on_epoch_begin(self):
        self.data.first_batch = self.first
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()


class EpochNumber(keras.callbacks.Callback):
    """Tells each `DataGenerator` the epoch, since it may have been used before, or the run goes on."""

    def __init__(self, *data):
        super().__init__()
        self._generators = [one for one in data if isinstance(one, DataGenerator)]

    def on_epoch_begin(self, epoch, logs=None):
        for generator in self._generators:
            generator.epoch = epoch


class AveragedWeights(keras.callbacks.SwapEMAWeights):
    """Validates and saves averaged weights.

    Keras' own gives up the weights themselves after the last epoch, from which more epochs would go on.
    """

    def on_epoch_end(self, epoch, logs=None):
        self.on_test_begin()


class ShortProgress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar without the numbers of single classes (`val_map/dog`)."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, {name: value for name, value in logs.items() if "/" not in name})


class RunCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a run that takes two calls of `fit`: the rest of an epoch, and the epochs after it.

    They see one training, and the numbers of the steps as if there had been no interruption. Except during
    steps, they see a model on one device.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback], *, devices: Devices, **options: Any):
        bars = [ShortProgress()] if options["verbose"] != 0 else []
        super().__init__([*callbacks, *bars], add_history=True, **options)
        self.first_step = 0
        self.training, self.validation = Filled(), Filled()
        self._devices = devices
        self._own_of_training = OwnImages(self._model, self.training, devices)
        self._own_of_validation = OwnImages(self._model, self.validation, devices)
        self._has_begun = False

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            self._has_begun = True
            with self._devices.home():
                super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        with self._devices.home():
            super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        with self._devices.home():
            super().on_epoch_end(epoch, logs)

    def on_test_begin(self, logs=None):
        with self._devices.home():
            super().on_test_begin(logs)

    def on_test_end(self, logs=None):
        with self._devices.home():
            super().on_test_end(logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._own_of_training.begin(batch)
        super().on_train_batch_begin(batch + self.first_step, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._own_of_training.end(batch)
        super().on_train_batch_end(batch + self.first_step, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._own_of_validation.begin(batch)
        super().on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._own_of_validation.end(batch)
        super().on_test_batch_end(batch, logs)

    def on_train_end(self, logs=None):
        """Of one call of `fit`; see `finish`."""

    def finish(self) -> None:
        """Tells the callbacks that the training has ended, if it has begun."""
        if self._has_begun:
            super().on_train_end()


def fit(
    model: keras.Model,
    data: Any,
    callbacks: RunCallbacks,
    state: RunState,
    last: Path,
    *,
    epochs: int,
    validation_data: Any,
    verbose: str | int,
    devices: Devices,
) -> keras.callbacks.History:
    """Trains from the epoch and step of `state` to the end of epoch number `epochs`.

    Args:
        last: the checkpoint that the callbacks write at the end of an epoch.
        devices: where the steps run.
    """
    options = {
        "validation_data": None
        if validation_data is None
        else devices.batches(validation_data, callbacks.validation),
        "verbose": verbose,
        "shuffle": False,  # a generator shuffles images itself, reproducibly in resumed runs
        "callbacks": callbacks,
    }
    epoch, step = state.epoch, state.step
    if step:
        build_metrics(model, data.encoder.target_shape)
        with devices:
            _finish_epoch(model, data, callbacks, step, epoch, options, devices)
        epoch += 1
        if not model.stop_training:
            restore_model(last, model)  # the end of `fit` may have replaced the weights by their averages
    if epoch < epochs and not (step and model.stop_training):
        with devices:
            batches = devices.batches(data, callbacks.training)
            model.fit(batches, initial_epoch=epoch, epochs=epochs, **options)
    if averages(model):
        restore_model(last, model)  # as above
    callbacks.finish()
    return model.history


def averages(model: keras.Model) -> bool:
    """Whether the optimizer of a compiled model averages weights."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return getattr(optimizer, "use_ema", False)


def _finish_epoch(model, data, callbacks, step, epoch, options, devices):
    """The steps of an epoch from number `step` on, and its validation."""
    if step < len(data):
        callbacks.first_step = step
        rest = devices.batches(RestOfEpoch(data, step), callbacks.training)
        model.fit(rest, initial_epoch=epoch, epochs=epoch + 1, **options)
        callbacks.first_step = 0
        return
    model.stop_training = False
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(epoch)
    logs = model.get_metrics_result()
    validation = options["validation_data"]
    if validation is not None:
        found = model.evaluate(validation, callbacks=callbacks, verbose=options["verbose"], return_dict=True)
        logs |= {f"val_{name}": value for name, value in found.items()}
    callbacks.on_epoch_end(epoch, logs)
