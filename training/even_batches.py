"""Batches that several devices can share evenly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from . import processes
from .batches import number_of_steps
from .state import as_arrays

SPARSE = 5  # columns of sparse targets


@dataclass
class Filled:
    """What is known about batches that were filled up.

    Attributes:
        shares: {number of the batch: share of its own images in it}.
        last: number of the last batch, or None.
    """

    shares: dict[int, float] = field(default_factory=dict)
    last: int | None = None

    def note(self, step: int, size: int, number: int) -> int:
        """The length to which a batch of `size` images is filled up for a number of devices."""
        length = -(-size // number) * number
        self.shares.pop(step, None)
        if length > size:
            self.shares[step] = size / length
        return length


def even_batches(data: Any, number: int, filled: Filled) -> Any:
    """The data with batches whose sizes are multiples of a number of devices.

    A smaller batch, such as the last one of an epoch, is filled up with copies of its own images whose
    anchors are all neutral. No loss of this package counts them. Each process gets its part of the batches.

    Args:
        data: a PyDataset or tf.data.Dataset of (images, targets).
        number: number of devices.
        filled: is told about the batches.
    """
    steps = number_of_steps(data)
    filled.last = None if steps is None else steps - 1
    if isinstance(data, keras.utils.PyDataset):
        return EvenBatches(data, number, filled)
    import tensorflow as tf

    # From a generator, because TensorFlow would otherwise divide batches by the size of the first ones.
    signature = tf.nest.map_structure(
        lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), data.element_spec
    )

    def batches():
        for step, batch in enumerate(data.as_numpy_iterator()):
            yield _own_part(batch, filled.note(step, len(batch[0]), number))

    even = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return even.apply(tf.data.experimental.assert_cardinality(data.cardinality()))


class EvenBatches(keras.utils.PyDataset):
    """The batches of another PyDataset, or this process's part of each, filled up by `fill`."""

    def __init__(self, data: keras.utils.PyDataset, number: int, filled: Filled):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data = data
        self.number = number
        self.filled = filled

    def __len__(self):
        return len(self.data)

    def __getitem__(self, batch):
        content = self.data[batch]
        if not hasattr(self.data, "num_samples_in"):
            return _own_part(content, self.filled.note(batch, len(content[0]), self.number))
        length = self.filled.note(batch, self.data.num_samples_in(batch), self.number)
        return fill(content, length // processes.count())  # a `DataGenerator` makes the part of this process

    def on_epoch_begin(self):
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()


def fill(batch: tuple, length: int) -> tuple:
    """A batch (images, targets, ...) of `length` images. One without images gets black ones."""
    size = len(batch[0])
    if size == length:
        return batch
    images, targets, *others = (_repeated(np.asarray(part), length) for part in batch)
    if targets.shape[-1] == SPARSE:
        targets[size:, :, -1] = -1
    else:
        targets[size:, :, 4:] = 0
    return images, targets, *others


def _repeated(part, length):
    if not len(part):
        return np.zeros((length, *part.shape[1:]), part.dtype)
    return part[np.arange(length) % len(part)]


def _own_part(batch, length):
    """This process's part of a batch that is filled up to `length` images."""
    mine = length // processes.count()
    first = mine * processes.index()
    return tuple(part[first : first + mine] for part in fill(batch, length))


class OwnImages:
    """Keeps the copies that fill up a batch out of the means of an epoch, which Keras weights by images.

    Only of batches that are known before their step: the last one, and those of an earlier epoch. There is
    no other way to know a step's share of the means.

    Args:
        model: a compiled model.
        filled: what `even_batches` tells.
        devices: where the steps run.
    """

    def __init__(self, model: keras.Model, filled: Filled, devices: Any):
        self._model = model
        self._filled = filled
        self._devices = devices
        self._before = None

    def begin(self, step: int) -> None:
        """Before a step."""
        self._before = None
        if step == self._filled.last or step in self._filled.shares:
            with self._devices.home():
                self._before = as_arrays(self._sums())

    def end(self, step: int) -> None:
        """After it."""
        share = self._filled.shares.get(step)
        if share is None or self._before is None:
            return
        with self._devices.home():
            sums = self._sums()
            for name, after in as_arrays(sums).items():
                before = self._before[name]
                sums[name].assign(before + (after - before) * share)

    def _sums(self):
        # Keras has the metrics of `compile` in one that has them all.
        each = [one for metric in self._model.metrics for one in getattr(metric, "metrics", [metric])]
        means = [metric for metric in each if isinstance(metric, keras.metrics.Mean)]
        return {v.path: v for metric in means for v in metric.variables}
