"""`SSD` on other backbones: parameters, multiply-adds, milliseconds, and whether all of it works.

    python benchmarks/backbones.py
    python benchmarks/backbones.py --only ConvNeXtTiny --rounds 0 --check

The forward pass processes one image with random weights, without decoding and NMS. "times" is the ratio to
SSD300 in the same run. Parameters and multiply-adds are counted for 20 classes. With --check, each model also
trains a step, is saved, loaded and exported to ONNX, where ONNX Runtime must find what Keras finds. KerasHub
is measured if it is installed.
"""

import argparse
import importlib.util
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn

CLASSES = 20
SIZE = (320, 320)
BASELINE = "SSD300"
# Random class heads make scores near 0 or 1, which no trained model has: their kernels are scaled down.
CALM = 0.05


def on_application(name, num_classes, **options):
    backbone = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(*SIZE, 3))
    return mb.SSD(backbone, num_classes, **options)


def on_keras_hub(num_classes):
    """CSPDarkNet of KerasHub, in the size "tiny", made from its settings."""
    import keras_hub

    backbone = keras_hub.models.CSPNetBackbone(
        stem_filters=32,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 1, 3, 3, 1],
        stackwise_strides=[2, 2, 2, 2, 2],
        stackwise_num_filters=[64, 64, 128, 256, 512],
        block_type="dark_block",
        stage_type="dark",
        image_shape=(*SIZE, 3),
    )
    return mb.SSD(backbone, num_classes, pixels="torch", sources=(16, 32))


NETWORKS = {
    BASELINE: mb.SSD300,
    "SSDMobileNet": mb.SSDMobileNet,
    "SSD321": mb.SSD321,
    "SSD513": mb.SSD513,
    "DSSD321": mb.DSSD321,
    **{
        f"{name}, {head} heads": partial(on_application, name, head=head)
        for name, head in (
            ("ResNet50", "conv"),
            ("EfficientNetV2B0", "separable"),
            ("MobileNetV3Small", "separable"),
            ("MobileNetV3Large", "separable"),
            ("ConvNeXtTiny", "conv"),
            ("DenseNet121", "conv"),
        )
    },
}
if importlib.util.find_spec("keras_hub"):
    NETWORKS["CSPDarkNet of KerasHub, conv heads"] = on_keras_hub


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="forward passes of each network; 0: none")
    parser.add_argument("--only", help="part of the names of the networks to take")
    parser.add_argument("--check", action="store_true", help="train, save, load and export")
    args = parser.parse_args()

    wanted = args.only or ""
    chosen = [name for name in NETWORKS if wanted in name or (args.rounds and name == BASELINE)]
    models = {}
    for name in chosen:
        keras.utils.set_random_seed(0)
        models[name] = NETWORKS[name](CLASSES)
    seconds = {}
    if args.rounds:
        seconds = time_in_turn({name: forward_pass(model) for name, model in models.items()}, args.rounds)
    rows = [row(name, model, seconds, args.check) for name, model in models.items()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    report(
        f"backbones, {CLASSES} classes, batch 1", rows, backend=keras.backend.backend(), cores=cores, batch=1
    )


def row(name, model, seconds, check):
    cells = {
        "network": name,
        "input": "x".join(map(str, model.input_shape[1:3])),
        "parameters": f"{model.count_params():,}",
        "multiply-adds": f"{mb.complexity(model).multiply_adds / 1e9:.2f} G",
    }
    if seconds:
        cells |= {"ms": 1e3 * seconds[name], "times": seconds[name] / seconds[BASELINE]}
    return cells | ({"check": checked(name, model)} if check else {})


def checked(name, model):
    """ "yes", or what went wrong."""
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            check_all(model, Path(folder))
    except Exception as error:  # of any step: the table says which networks fail, and why
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    print(f"{name}: all works, {time.perf_counter() - began:.0f} s", flush=True)
    return "yes"


def check_all(model, folder):
    image_size = mb.anchors_of(model).image_size
    encoder = mb.GroundTruthEncoder(model)
    targets = np.stack([encoder(np.array([[0.1, 0.2, 0.6, 0.7]]), np.array([label])) for label in (1, 2)])
    images = np.random.default_rng(0).integers(0, 256, (2, *image_size, 3), np.uint8)
    model.compile("sgd", mb.loss_of(model))
    before = model.get_weights()
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)).kernel
    kernel = keras.ops.convert_to_numpy(first)
    if not np.isfinite(model.train_on_batch(images, targets)):
        raise ValueError("the loss is not finite")
    if np.array_equal(keras.ops.convert_to_numpy(first), kernel):
        raise ValueError("the first kernel has not changed")
    model.set_weights(before)
    for layer in model.layers:
        if "_mbox_conf" in layer.name and isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(CALM * layer.kernel)
    model.save(folder / "m.keras")
    again = keras.models.load_model(folder / "m.keras")
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    mb.export(again, folder / "m.onnx")  # which compares it with Keras


def forward_pass(model):
    image = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:]), np.uint8)
    return lambda: model.predict_on_batch(image)


if __name__ == "__main__":
    main()
