"""Steps whose loss or gradients are not finite are left out of a training."""

from __future__ import annotations

import math
import warnings

import keras

from .state import as_arrays, assign, metric_sums

# Training stops when more than this share of an epoch's steps so far, and at least this many, are left out.
MAX_SKIPPED_SHARE = 0.1
MIN_SKIPPED = 10
NO_GROWTH = 2**31 - 1  # steps until the scale would grow: never; tells our wrapper from scaling for float16


def skipping(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer that leaves out a step whose gradients are not finite.

    This is what Keras' `LossScaleOptimizer` does for float16. Its scale is 1 here. Each such step halves it,
    and `SkipBadSteps` sets it to 1 again. It never grows.
    """
    return scaling(optimizer, initial_scale=1.0, dynamic_growth_steps=NO_GROWTH)


def scaling(optimizer: keras.optimizers.Optimizer, **options: float) -> keras.optimizers.Optimizer:
    """An optimizer in a `LossScaleOptimizer`, unless it is one. Without options it is for float16."""
    kind = keras.optimizers.LossScaleOptimizer
    return optimizer if isinstance(optimizer, kind) else kind(optimizer, **options)


class SkipBadSteps(keras.callbacks.Callback):
    """Takes a step that is not finite out of the running losses and the statistics of normalization.

    The optimizer has left it out already, see `skipping`. The logs of an epoch get the number
    "skipped_steps". It waits for the loss of each step, which costs a little time on an accelerator.

    With Keras' scaling for float16, gradients that are not finite are a scale that is too large, which is
    nothing bad: only the loss counts there.

    Args:
        bad: gets (epoch, step, what) when too many steps were left out.
    """

    not_kept = ("_good", "_bad")  # taken before each step; of this run

    def __init__(self, bad: list[tuple[int, int, str]]):
        super().__init__()
        self.skipped = 0  # in this epoch
        self._bad = bad
        self._epoch = 0
        self._good = {}

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self._epoch:
            self.skipped = 0
        self._epoch = epoch
        self._good = {}

    def on_train_batch_begin(self, batch, logs=None):
        if not self._good:  # not at the begin of the epoch: a resumed one gets its running sums after it
            self._good = as_arrays(self._variables())
            self._scale_fell()

    def on_train_batch_end(self, batch, logs=None):
        has_bad_gradients = self._scale_fell()
        if math.isfinite(logs["loss"]) and not has_bad_gradients:
            self._good = as_arrays(self._variables())
            return
        self.model.reset_metrics()  # those that did not exist before the first step
        assign(self._variables(), self._good)
        self.skipped += 1
        where = f"step {batch + 1} of epoch {self._epoch + 1}"
        what = "gradient" if math.isfinite(logs["loss"]) else "loss"
        warnings.warn(f"train: left out {where}: its {what} is not finite", stacklevel=2)
        if self.skipped >= max(MIN_SKIPPED, MAX_SKIPPED_SHARE * (batch + 1)):
            self.model.stop_training = True
            self._bad.append((self._epoch, batch, f"the {what} of {self.skipped} steps"))

    def on_epoch_end(self, epoch, logs=None):
        logs["skipped_steps"] = self.skipped

    def _scale_fell(self):
        """Whether the optimizer has left out a step since the last call.

        The scale, which tells it, is 1 again afterwards: halved again and again, it would become zero.
        """
        optimizer = self.model.optimizer
        if optimizer.dynamic_growth_steps != NO_GROWTH or not optimizer.built:
            return False
        fell = float(keras.ops.convert_to_numpy(optimizer.dynamic_scale)) < 1
        if fell:
            optimizer.dynamic_scale.assign(1.0)
        return fell

    def _variables(self):
        states = {f"state/{i}": v for i, v in enumerate(self.model.non_trainable_variables)}
        return states | metric_sums(self.model)
