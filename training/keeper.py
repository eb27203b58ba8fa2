"""The last callback of a run: writes its log and its checkpoints, and sees to NaN and signals."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from ..files import atomic
from . import processes
from .best import is_best
from .callback_state import changed, pack, put_back, restore, snapshot
from .interruption import Interruption
from .log import write_log
from .places import Devices
from .processes import Agreement
from .state import (
    RunState,
    as_arrays,
    assign,
    metric_sums,
    not_finite,
    random_states,
    restore_model,
    save_run,
)


class RunKeeper(keras.callbacks.Callback):
    """Keeps the files of a run: last.keras first, since everything else follows from it.

    Of several processes, the first one writes them. All have the state, and decide alike.

    It comes after the user's callbacks: what they add to the logs, and what they do to the model and to the
    learning rate at the end of an epoch, is kept too.

    Args:
        output: folder of the run.
        state: where the run begins.
        others: the user's callbacks, whose state is kept too.
        steps: steps of an epoch; None for data that cannot go on within an epoch.
        minutes: time between two checkpoints within an epoch.
        interruption: the signals that were noted.
        agreement: makes signals and checkpoints those of all processes.
        checks_steps: whether to stop at a step whose loss is not finite.
        best_by: what decides about best.keras, see `train`.
        devices: where the steps run.
        bad: gets (epoch, step, what) when a loss or a weight is not finite; then nothing is written.
    """

    def __init__(
        self,
        output: Path,
        state: RunState,
        others: Sequence[keras.callbacks.Callback],
        *,
        steps: int | None,
        minutes: float,
        interruption: Interruption,
        agreement: Agreement,
        checks_steps: bool,
        best_by: str,
        devices: Devices,
        bad: list[tuple[int, int, str]],
    ):
        super().__init__()
        self.output = output
        self.state = state
        self._others = list(others)
        self._steps = steps
        self._minutes = minutes
        self._interruption = interruption
        self._agreement = agreement
        self._checks_steps = checks_steps
        self._best_by = best_by
        self._devices = devices
        self._bad = bad
        self._saved_at = time.monotonic()
        self._loss = None  # of the step before
        self._stops = False  # whether a callback of this process has ended the training
        self._sums = {}  # of the metrics, before a validation resets them

    def on_train_begin(self, logs=None):
        assign(random_states(self.model), self.state.arrays)
        self._starts = [snapshot(callback) for callback in self._others]
        known = [tuple(attributes) for _, attributes in self.state.callbacks]
        self._known = [*known, *[()] * len(self._others)][: len(self._others)]
        if not (self.output / "last.keras").exists():
            self._save(0)  # the initial weights may be random ones
        self._restore_callbacks()

    def on_epoch_begin(self, epoch, logs=None):
        self._stops = False
        if self.state.step and epoch == self.state.epoch:
            # The epoch began in an earlier run. What callbacks have done now, such as a cut of the learning
            # rate, they have done then.
            restore_model(self.output / "last.keras", self.model)
            for callback, start in zip(self._others, self._starts, strict=True):
                put_back(callback, start)
            self._restore_callbacks()
            assign(metric_sums(self.model), self.state.arrays)  # Keras has just reset them
        else:
            self.state.epoch, self.state.step = epoch, 0

    def on_train_batch_end(self, batch, logs=None):
        # The loss of the step before is known by now; that of this step would have to be waited for.
        before, self._loss = self._loss, logs["loss"]
        self.state.step = batch + 1
        signal, is_due = self._agree()
        if self._checks_steps and before is not None and not math.isfinite(before):
            self._report(batch - 1, "the loss")
        elif signal:
            with self._devices.home():
                self._save_and_end(signal)
        elif self._steps is not None and self.state.step < self._steps and is_due:
            with self._devices.home():
                self._save(self.state.step)

    def on_test_begin(self, logs=None):
        self._sums = as_arrays(metric_sums(self.model))

    def on_test_batch_end(self, batch, logs=None):
        signal, _ = self._agree()
        if signal:
            with self._devices.home():
                for callback in self._others:
                    callback.on_test_end(logs)  # such as averages that were put into the model
                assign(metric_sums(self.model), self._sums)
                self._save_and_end(signal)

    def on_epoch_end(self, epoch, logs=None):
        signal, _ = self._agree(wait=True)
        # Some of Keras' callbacks have noted it already.
        logs.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        row = {"epoch": epoch, **{name: float(value) for name, value in logs.items()}}
        if not math.isfinite(row["loss"]):
            self._report(self.state.step - 1, "the loss")
        elif not math.isfinite(row.get("val_loss", 0.0)):
            self._report(self.state.step - 1, "the validation loss")
        if self._bad or self._has_bad_weights():
            return
        self._loss = None
        self._save_best(row)
        self.state.rows.append(row)
        self.state.epoch, self.state.step = epoch + 1, 0
        self.state.stopped = self.params["epochs"] if self.model.stop_training else 0
        self._save(0)
        if processes.is_first():
            write_log(self.output / "history.csv", self.state.rows)
        if signal:
            self._interruption.end(signal)

    def _agree(self, *, wait=False):
        """What some process asks for: a signal, and whether a checkpoint is due.

        A callback may have stopped one process alone, such as one that looks at the time.
        """
        is_due = time.monotonic() - self._saved_at >= 60 * self._minutes
        model = self._model  # `self.model` makes Keras put the values of a step into the variables on JAX
        self._stops = self._stops or bool(model.stop_training)
        signal, is_due, stops = self._agreement(self._interruption.signal, is_due, self._stops, wait=wait)
        model.stop_training = bool(stops)
        return signal, is_due

    def _save_and_end(self, signal):
        if self._steps is not None:
            self._save(self.state.step)
        processes.wait()
        self._interruption.end(signal)

    def _has_bad_weights(self):
        bad = not_finite(self.model)
        if bad is not None:
            self._report(self.state.step - 1, f"the weight {bad}")
        return bad is not None

    def _has_bad_sums(self):
        """The loss of the last step may be NaN with good weights, if the optimizer has left the step out."""
        sums = as_arrays(metric_sums(self.model)).values() if self._checks_steps else ()
        is_bad = not all(np.isfinite(value).all() for value in sums)
        if is_bad:
            self._report(self.state.step - 1, "the loss")
        return is_bad

    def _report(self, step, what):
        self.model.stop_training = True
        if not self._bad:
            self._bad.append((self.state.epoch, step, what))

    def _restore_callbacks(self):
        for callback, (_, attributes) in zip(self._others, self.state.callbacks, strict=False):
            restore(callback, attributes, self.state.arrays)

    def _save(self, step):
        """Writes last.keras, unless a weight or a running loss is not finite."""
        if step and (self._has_bad_weights() or self._has_bad_sums()):
            return
        self._saved_at = time.monotonic()
        if not processes.is_first():
            return
        arrays = as_arrays(random_states(self.model))
        if step:
            arrays |= as_arrays(metric_sums(self.model))
        self.state.callbacks = []
        each = zip(self._others, self._starts, self._known, strict=True)
        for number, (callback, start, known) in enumerate(each):
            attributes = {
                name: pack(value, f"callback/{number}/{name}", arrays)
                for name, value in changed(callback, start, known).items()
            }
            self.state.callbacks.append([type(callback).__name__, attributes])
        self.state.arrays = arrays
        save_run(self.output / "last.keras", self.model, self.state)
        self._saved_at = time.monotonic()

    def _save_best(self, row):
        """Writes best.keras if the epoch is better than every one before."""
        if processes.is_first() and is_best(row, self.state.rows, self._best_by):
            with atomic(self.output / "best.keras") as partial:
                self.model.save(partial)
