"""Cost of `SSDLoss`: a training step of SSD300, compared with the same step with a trivial loss.

python benchmarks/training_step.py --batch 4
"""

import argparse

import keras
import numpy as np
from keras import ops
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn


def trivial_loss(y_true, y_pred):
    return ops.mean(ops.square(y_pred), axis=(1, 2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch, 300, 300, 3), np.uint8)
    encoder = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, 20)
    boxes = np.array([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9], [0.05, 0.7, 0.2, 0.8]])
    targets = np.stack([encoder(boxes, rng.integers(1, 21, 3)) for _ in range(args.batch)])

    loss = mb.SSDLoss()
    ciou = mb.SSDLoss(box_loss="ciou", anchors=mb.anchors.SSD300_VOC)
    functions = {
        "trivial loss": step(trivial_loss, [], images, targets),
        "SSDLoss": step(loss, [], images, targets),
        "SSDLoss and its parts as metrics": step(loss, loss.metrics(), images, targets),
        "SSDLoss with CIoU": step(ciou, [], images, targets),
    }
    seconds = time_in_turn(functions, args.rounds)
    reference = seconds["trivial loss"]
    rows = [
        {"what": k, "ms a step": 1e3 * v, "percent more": 100 * (v / reference - 1)}
        for k, v in seconds.items()
    ]
    report("training step of SSD300", rows, backend=keras.backend.backend(), batch=args.batch)


def step(loss, metrics, images, targets):
    keras.utils.set_random_seed(0)
    model = mb.SSD300(20)
    model.compile(keras.optimizers.SGD(1e-6), loss, metrics=metrics)
    return lambda: model.train_on_batch(images, targets)


if __name__ == "__main__":
    main()
