"""Milliseconds that `fit` needs to receive a batch, on the backend in KERAS_BACKEND.

    KERAS_BACKEND=jax python benchmarks/feeding.py

The model does almost nothing, and the batches (32 images of 300 x 300, targets of SSD300) are prepared in
advance. What remains is Keras' own work. The reference is the usual setup of detection generators: dense
one-hot targets and Keras' own workers.
"""

import keras
import numpy as np
from keras import ops
from timing import report

from multibox.profiling.compiled import time_in_turn

BATCH, BATCHES = 32, 40
REFERENCE = "dense targets, workers of Keras"


class _Ready(keras.utils.PyDataset):
    """Prepared batches, which take no time to make."""

    def __init__(self, columns, workers):
        super().__init__(workers=workers)
        self.images = [np.zeros((BATCH, 300, 300, 3), np.uint8) for _ in range(4)]
        self.targets = [np.zeros((BATCH, 8732, columns), np.float32) for _ in range(4)]

    def __len__(self):
        return BATCHES

    def __getitem__(self, batch):
        return self.images[batch % 4], self.targets[batch % 4]


class _OnePixel(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(1,))

    def call(self, images):
        return ops.cast(images[:, :1, :1, 0], "float32") * self.factor


class _OneNumber(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(y_pred) + 0 * ops.mean(y_true[:, :1])


def tiny_model():
    """A compiled model for 300 x 300 images that does almost nothing."""
    images = keras.Input((300, 300, 3), dtype="uint8")
    model = keras.Model(images, _OnePixel()(images))
    model.compile(optimizer="sgd", loss=_OneNumber())
    return model


def main():
    model = tiny_model()

    def fit(columns, workers):
        data = _Ready(columns, workers)
        return lambda: model.fit(data, verbose=0, shuffle=False)

    seconds = time_in_turn(
        {
            REFERENCE: fit(25, 2),
            "dense targets, workers of the generator": fit(25, 1),
            "sparse targets, workers of the generator": fit(5, 1),
        },
        rounds=5,
    )
    rows = [
        {"feeding": name, "ms per batch": 1e3 * s / BATCHES, "of the reference": s / seconds[REFERENCE]}
        for name, s in seconds.items()
    ]
    report(f"feeding fit, {keras.backend.backend()}, batch {BATCH}", rows)


if __name__ == "__main__":
    main()
