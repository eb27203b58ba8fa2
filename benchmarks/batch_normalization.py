"""A training step with `multibox.layers.BatchNormalization`, and with that of Keras, on TensorFlow.

    python benchmarks/batch_normalization.py
    python benchmarks/batch_normalization.py --precision mixed_bfloat16 --only SSDLite

The times of the step include the loss and Adam. The networks have random weights and 20 classes.
"""

import argparse
from unittest.mock import patch

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.layers import BatchNormalization
from multibox.profiling.compiled import time_in_turn

NETWORKS = ("SSDLite", "SSDMobileNet", "SSD7")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()

    rows = []
    for name in args.only:
        fused = step(name, args.precision, args.batch)
        with patch.object(BatchNormalization, "call", keras.layers.BatchNormalization.call):
            plain = step(name, args.precision, args.batch)
        seconds = time_in_turn({"Keras": plain, "multibox": fused}, args.rounds)
        each = {f"ms an image, {k}": 1000 * v / args.batch for k, v in seconds.items()}
        rows.append({"network": name, **each, "times": seconds["Keras"] / seconds["multibox"]})
    report("BatchNormalization in training", rows, precision=args.precision, batch=args.batch)


def step(name, precision, batch):
    """A training step that has been compiled, on images of noise with three objects each."""
    keras.utils.set_random_seed(0)
    model = mb.cast_model(getattr(mb, name)(20), precision)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, *mb.anchors_of(model).image_size, 3), np.uint8)
    boxes = np.array([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9], [0.05, 0.7, 0.2, 0.8]])
    encoder = mb.GroundTruthEncoder(model)
    targets = np.stack([encoder(boxes, rng.integers(1, 21, 3)) for _ in range(batch)])
    model.compile(keras.optimizers.Adam(1e-5), mb.SSDLoss())
    model.train_on_batch(images, targets)
    return lambda: model.train_on_batch(images, targets)


if __name__ == "__main__":
    main()
