"""PyTorch: what the copies of Keras between layouts cost, in one convolution and in SSD300.

    KERAS_BACKEND=torch python benchmarks/torch_copies.py

Keras 3.15 copies the input of each convolution and pool from NHWC to NCHW, and that of a convolution back
again, although a permuted tensor of NHWC already has the layout that PyTorch calls channels_last. "without"
leaves the copies out; the outputs are equal. torchvision's SSD300, without its NMS, is measured if it is
installed.
"""

import argparse
import importlib.util
from contextlib import contextmanager

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn

if keras.backend.backend() != "torch":
    raise SystemExit("set KERAS_BACKEND=torch")
import torch
from keras.src.backend.torch import nn

ALONE = "PyTorch alone"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3)).astype("float32"))
    rows = []
    with torch.no_grad():
        for name, functions in {"3x3 convolution": convolution(), "SSD300": ssd300(images)}.items():
            seconds = time_in_turn(functions, args.rounds)
            base = seconds.get(ALONE, np.nan)
            rows += [
                {"network": name, "what": what, "ms": 1000 * value, "times": value / base}
                for what, value in seconds.items()
            ]
    report("copies between layouts on PyTorch", rows, torch=torch.__version__, keras=keras.__version__)


def convolution():
    """64 channels on 300x300 pixels, as in the first layers of VGG16."""
    layer = keras.layers.Conv2D(64, 3, padding="same", use_bias=False)
    layer.build((1, 300, 300, 64))
    x = torch.rand(1, 300, 300, 64)
    kernel = layer.kernel.value.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def alone():
        return torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel, padding=1)

    return with_and_without(lambda: layer(x)) | {ALONE: alone}


def ssd300(images):
    model = mb.SSD300(20)
    functions = with_and_without(lambda: model(images, training=False))
    if importlib.util.find_spec("torchvision"):
        from torchvision.models.detection import ssd300_vgg16

        other = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21).eval()
        scaled = images.permute(0, 3, 1, 2) / 255
        functions[ALONE] = lambda: other.head(list(other.backbone(scaled).values()))
    return functions


def with_and_without(function):
    def without():
        with no_copies():
            return function()

    np.testing.assert_array_equal(function(), without())
    return {"Keras": function, "Keras, without": without}


@contextmanager
def no_copies():
    """In the block, Keras leaves a permuted tensor as it is."""
    copying = nn._transpose_spatial_inputs
    nn._transpose_spatial_inputs = lambda inputs: inputs.permute(0, 3, 1, 2)
    try:
        yield
    finally:
        nn._transpose_spatial_inputs = copying


if __name__ == "__main__":
    main()
