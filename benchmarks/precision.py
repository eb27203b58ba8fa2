"""Milliseconds an image of a network in float32 and in bfloat16: forward pass and training step.

    python benchmarks/precision.py --networks SSD300 SSDLite

Random weights, 20 classes. "ratio" is bfloat16 to float32 in the same run. "auto" is what
`mb.fastest_precision` chooses.
"""

import argparse

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.models.compiled import compiled
from multibox.profiling.compiled import time_in_turn

CLASSES = 20
POLICIES = ("float32", "mixed_bfloat16")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["SSD300", "SSD7", "SSDLite", "SSDMobileNet"])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    rows = []
    for name in args.networks:
        model = getattr(mb, name)(CLASSES)
        functions = {}
        for policy in POLICIES:
            cast = mb.cast_model(model, policy)
            functions["forward", policy] = forward_pass(cast, args.batch)
            functions["training", policy] = training_step(cast, args.batch)
        seconds = time_in_turn(functions, args.rounds)
        for what in ("forward", "training"):
            ms = [1e3 * seconds[what, policy] / args.batch for policy in POLICIES]
            row = {"network": name, "what": what} | dict(zip(POLICIES, ms, strict=True))
            rows.append(row | {"ratio": ms[1] / ms[0], "auto": mb.fastest_precision(model)})
    report("precision: ms an image", rows, backend=keras.backend.backend(), batch=args.batch)


def pixels(model, batch):
    shape = (batch, *model.input_shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def forward_pass(model, batch):
    run, images = compiled(model), pixels(model, batch)
    return lambda: keras.ops.convert_to_numpy(run([images])[0])


def training_step(model, batch):
    model.compile(keras.optimizers.SGD(1e-6), mb.loss_of(model))
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    boxes = np.array([[0.1, 0.1, 0.6, 0.7]])
    targets = np.stack([encoder(boxes, np.array([1]))] * batch)
    images = pixels(model, batch)
    return lambda: model.train_on_batch(images, targets)


if __name__ == "__main__":
    main()
