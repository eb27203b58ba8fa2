"""Steps whose loss is not finite are left out of a training."""

from __future__ import annotations

import math
import warnings

import keras

from .state import as_arrays, assign, metric_sums

# Training stops when more than this share of an epoch's steps so far, and at least this many, are left out.
MAX_SKIPPED_SHARE = 0.1
MIN_SKIPPED = 10


def skipping(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer that leaves out a step whose gradients are not finite.

    This is what Keras' `LossScaleOptimizer` does for float16. Its scale begins at 1, is halved by each such
    step, and never grows; a power of two changes no digit of a gradient.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0, dynamic_growth_steps=2**31 - 1)


class SkipBadSteps(keras.callbacks.Callback):
    """Takes a step whose loss is not finite out of the running losses and the statistics of normalization.

    The optimizer has left it out already, see `skipping`. The logs of an epoch get the number
    "skipped_steps". It waits for the loss of each step, which costs a little time on an accelerator.

    Args:
        bad: gets (epoch, step, what) when too many steps were left out.
    """

    not_kept = ("_good",)  # taken before each step

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

    def on_train_batch_end(self, batch, logs=None):
        if math.isfinite(logs["loss"]):
            self._good = as_arrays(self._variables())
            return
        self.model.reset_metrics()  # those that did not exist before the first step
        assign(self._variables(), self._good)
        self.skipped += 1
        where = f"step {batch + 1} of epoch {self._epoch + 1}"
        warnings.warn(f"train: left out {where}: its loss is not finite", stacklevel=2)
        if self.skipped >= max(MIN_SKIPPED, MAX_SKIPPED_SHARE * (batch + 1)):
            self.model.stop_training = True
            self._bad.append((self._epoch, batch, f"the loss of {self.skipped} steps"))

    def on_epoch_end(self, epoch, logs=None):
        logs["skipped_steps"] = self.skipped

    def _variables(self):
        states = {f"state/{i}": v for i, v in enumerate(self.model.non_trainable_variables)}
        return states | metric_sums(self.model)
