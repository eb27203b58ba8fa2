"""Batches that several devices can share evenly."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .state import as_arrays

SPARSE = 5  # columns of sparse targets


def even_batches(data: Any, number: int, added: dict[int, float]) -> Any:
    """The data with batches whose sizes are multiples of a number of devices.

    A smaller batch, such as the last one of an epoch, is filled up with copies of its own images whose
    anchors are all neutral. No loss of this package counts them.

    Args:
        data: a PyDataset or tf.data.Dataset of (images, targets).
        number: number of devices.
        added: gets, for the number of each batch that is filled up, the share of its own images in it.
    """
    if isinstance(data, keras.utils.PyDataset):
        return EvenBatches(data, number, added)
    import tensorflow as tf

    # From a generator, because TensorFlow would otherwise divide batches by the size of the first ones.
    signature = tf.nest.map_structure(
        lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), data.element_spec
    )

    def batches():
        for step, batch in enumerate(data.as_numpy_iterator()):
            yield fill(batch, number, step, added)

    filled = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return filled.apply(tf.data.experimental.assert_cardinality(data.cardinality()))


class EvenBatches(keras.utils.PyDataset):
    """The batches of another PyDataset, each filled up by `fill`."""

    def __init__(self, data: keras.utils.PyDataset, number: int, added: dict[int, float]):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data = data
        self.number = number
        self.added = added

    def __len__(self):
        return len(self.data)

    def __getitem__(self, batch):
        return fill(self.data[batch], self.number, batch, self.added)

    def on_epoch_begin(self):
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()


def fill(batch: tuple, number: int, step: int, added: dict[int, float]) -> tuple:
    """A batch (images, targets, ...) of a multiple of `number` images; `step` is its number, see above."""
    size = len(batch[0])
    rows = np.arange(-(-size // number) * number) % size
    added.pop(step, None)
    if len(rows) == size:
        return batch
    added[step] = size / len(rows)
    images, targets, *others = (np.asarray(part)[rows] for part in batch)
    if targets.shape[-1] == SPARSE:
        targets[size:, :, -1] = -1
    else:
        targets[size:, :, 4:] = 0
    return images, targets, *others


class OwnImages:
    """Keeps the copies that fill up a batch out of the means of an epoch, which Keras weights by images.

    Args:
        model: a compiled model.
        added: see `even_batches`.
        devices: where the steps run.
    """

    def __init__(self, model: keras.Model, added: dict[int, float], devices: Any):
        self._model = model
        self._added = added
        self._devices = devices
        self._before = {}

    def begin(self, step: int) -> None:
        """Before a step."""
        if step in self._added:
            with self._devices.home():
                self._before = as_arrays(self._sums())

    def end(self, step: int) -> None:
        """After it."""
        if step in self._added:
            with self._devices.home():
                sums = self._sums()
                for name, after in as_arrays(sums).items():
                    before = self._before.get(name, 0.0)
                    sums[name].assign(before + (after - before) * self._added[step])

    def _sums(self):
        means = [metric for metric in self._model.metrics if isinstance(metric, keras.metrics.Mean)]
        return {v.path: v for metric in means for v in metric.variables}
