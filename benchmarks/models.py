"""Size and speed of the networks: parameters, multiply-adds, milliseconds of a forward pass.

    python benchmarks/models.py

The forward pass processes one image with random weights, without decoding and NMS. "times" is the ratio to
SSD300 in the same run. "folded" is the ratio of `mb.fold_batch_norm` to the network itself, in the same run,
or "-" without BatchNorm. Parameters and multiply-adds are counted for 20 classes.
"""

import argparse
import os
from functools import partial

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox import networks
from multibox.profiling.compiled import time_in_turn

CLASSES = 20
NETWORKS = {network.function.__name__: network.function for network in networks.NETWORKS.values()}
# The published weights have this width.
NETWORKS["SSDMobileNet, alpha=0.75"] = partial(mb.SSDMobileNet, alpha=0.75, batch_norm=False)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()

    models = {name: build(CLASSES) for name, build in NETWORKS.items()}
    folded = {
        f"{name}, folded": mb.fold_batch_norm(model) for name, model in models.items() if has_norms(model)
    }
    passes = {name: forward_pass(model) for name, model in (models | folded).items()}
    seconds = time_in_turn(passes, args.rounds)
    rows = [
        {
            "network": name,
            "input": "x".join(map(str, model.input_shape[1:3])),
            "parameters": f"{model.count_params():,}",
            "multiply-adds": f"{mb.complexity(model).multiply_adds / 1e9:.2f} G",
            "ms": 1e3 * seconds[name],
            "times": seconds[name] / seconds["SSD300"],
            "folded": seconds[f"{name}, folded"] / seconds[name] if f"{name}, folded" in seconds else "-",
        }
        for name, model in models.items()
    ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    report(
        f"networks, {CLASSES} classes, batch 1", rows, backend=keras.backend.backend(), cores=cores, batch=1
    )


def has_norms(model):
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)


def forward_pass(model):
    image = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:]), np.uint8)
    return lambda: model.predict_on_batch(image)


if __name__ == "__main__":
    main()
