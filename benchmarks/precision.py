"""Milliseconds an image of a network in float32 and in mixed_bfloat16: forward passes and training step.

    python benchmarks/precision.py --networks SSD300 SSDLite

Random weights, 20 classes, the fastest of some rounds. "ratio" is mixed_bfloat16 to float32 in the same run.
"auto" is what `mb.fastest_precision` chooses for the detector, or for the model in training.
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


def on_efficientnet():
    backbone = keras.applications.EfficientNetV2B0(include_top=False, weights=None)
    return mb.SSD(backbone, CLASSES)


# {name: (function that builds it, images in a batch)}
NETWORKS = {
    "SSD300": (lambda: mb.SSD300(CLASSES), 2),
    "SSD321": (lambda: mb.SSD321(CLASSES), 2),
    "SSD7": (lambda: mb.SSD7(CLASSES), 8),
    "SSDMobileNet": (lambda: mb.SSDMobileNet(CLASSES), 8),
    "SSDLite": (lambda: mb.SSDLite(CLASSES), 8),
    "SSDLite, efficientnet_lite0": (lambda: mb.SSDLite(CLASSES, backbone="efficientnet_lite0"), 8),
    "SSD, EfficientNetV2B0": (on_efficientnet, 8),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    rows = [row for name in args.networks for row in measured(name, args.rounds)]
    report("precision: ms an image", rows, backend=keras.backend.backend())


def measured(name, rounds):
    build, batch = NETWORKS[name]
    model = build()
    detector = mb.to_inference(model)
    functions = {}
    for policy in POLICIES:
        cast = mb.cast_model(model, policy)
        for size in (1, batch):
            functions["forward", size, policy] = forward_pass(cast, size)
        functions["training", batch, policy] = training_step(cast, batch)
    seconds = time_in_turn(functions, rounds, of=min)
    for what, size, judged in (
        ("forward", 1, detector),
        ("forward", batch, detector),
        ("training", batch, model),
    ):
        ms = [1e3 * seconds[what, size, policy] / size for policy in POLICIES]
        row = {"network": name, "what": what, "batch": size} | dict(zip(POLICIES, ms, strict=True))
        yield row | {"ratio": ms[1] / ms[0], "auto": mb.fastest_precision(judged)}


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
