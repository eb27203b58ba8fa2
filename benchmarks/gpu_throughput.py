"""Throughput of SSD300 and of torchvision's on this machine, for gpu.py."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import ops
from timing import report

import multibox as mb
from multibox.profiling.compiled import compiled, time_in_turn
from multibox.profiling.worker import machine

OBJECTS = np.array([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9]])  # of each image of a training step
TYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
CLASSES = 20
SMALL = (96, 128)


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        network: makes a network of so many classes.
        training: batch sizes of training steps.
        inference: batch sizes of forward passes.
        rounds: timed runs of each.
        side: of the matrices whose product is the peak.
        feeding: batch size and number of JPEGs for `fit`.
        images: drawn images to fine-tune with, where no data are given; a quarter of them is to measure with.
        epochs: of the fine-tuning.
    """

    network: Callable = mb.SSD300
    training: tuple[int, ...] = (32, 64, 128)
    inference: tuple[int, ...] = (1, 8, 64)
    rounds: int = 20
    side: int = 8192
    feeding: tuple[int, int] = (32, 1024)
    images: int = 800
    epochs: int = 20


QUICK = Scale(lambda classes: mb.SSD7(classes, image_size=SMALL), (2,), (2,), 2, 256, (4, 16), 16, 2)


def throughput(scale, policy):
    keras.config.set_dtype_policy(policy)
    peak = peak_of(scale.side, TYPES[policy])
    flops = 2 * mb.complexity(scale.network(CLASSES)).multiply_adds
    rows = []
    for count in scale.training:
        [seconds] = measured(partial(training_step, scale.network(CLASSES), count), 1, scale.rounds)
        rows.append(row(f"training, batch {count}", count, seconds, 3 * flops, peak))
    for count in scale.inference:
        network, detector = measured(
            lambda n=count: forward_passes(scale.network(CLASSES), n), 2, scale.rounds
        )
        rows.append(row(f"network, batch {count}", count, network, flops, peak))
        rows.append(row(f"detector, batch {count}", count, detector, flops, peak))
        if network and detector:
            rows[-1]["% decoding and NMS"] = 100 * (1 - network / detector)
    report(f"throughput, {policy}", rows, **facts(peak))


def row(what, count, seconds, flops, peak):
    """A row of the tables of throughput; `seconds` is None where the memory did not suffice."""
    rate = count / seconds if seconds else None
    return {
        "what": what,
        "ms": 1e3 * seconds if seconds else "out of memory",
        "images/s": rate or "-",
        "TFLOP/s": rate * flops / 1e12 if rate else "-",
        "% of peak": 100 * rate * flops / peak if rate else "-",
        "% decoding and NMS": "",
    }


def measured(make, number, rounds):
    """Median seconds of each of the functions that `make` makes, or None for each if the memory is full."""
    try:
        functions = dict(enumerate(make()))
        return list(time_in_turn(functions, rounds).values())
    except Exception as error:
        words = f"{type(error).__name__} {error}".lower()
        if not any(sign in words for sign in ("out of memory", "outofmemory", "resourceexhausted")):
            raise
    gc.collect()
    return [None] * number


def training_step(model, count):
    model.compile(keras.optimizers.SGD(1e-6, momentum=0.9), mb.SSDLoss())
    target = mb.GroundTruthEncoder(model, sparse=True)(OBJECTS, [1, 2])
    images, targets = pixels(model, count), ops.convert_to_tensor(np.stack([target] * count))
    return [lambda: model.train_on_batch(images, targets)]


def forward_passes(model, count):
    images = [pixels(model, count)]
    network, detector = compiled(model), compiled(mb.to_inference(model))
    return [lambda: network(images), lambda: detector(images)]


def pixels(model, count):
    shape = (count, *model.input_shape[1:])
    return ops.convert_to_tensor(np.random.default_rng(0).integers(0, 256, shape).astype("float32"))


def peak_of(side, dtype):
    """Floating-point operations per second of a product of two square matrices."""
    a = ops.cast(ops.convert_to_tensor(np.random.default_rng(0).normal(size=(side, side))), dtype)
    product = {"": lambda: ops.convert_to_numpy(ops.sum(ops.matmul(a, a)[:1, :1]))}
    return 2 * side**3 / time_in_turn(product, 20)[""]


def facts(peak=None):
    return machine() if peak is None else {**machine(), "peak TFLOP/s": peak / 1e12}


def torchvision_throughput(scale):
    import torch
    from torchvision.models.detection import ssd300_vgg16

    device = "cuda" if torch.cuda.is_available() else "cpu"
    flops = 2 * mb.complexity(mb.SSD300(CLASSES)).multiply_adds
    boxes = torch.tensor(300 * OBJECTS, dtype=torch.float32, device=device)
    target = {"boxes": boxes, "labels": torch.tensor([1, 2], device=device)}

    def steps(count, cast, is_training):
        net = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=1 + CLASSES).to(device)
        images = list(torch.rand(count, 3, 300, 300, device=device))
        optimizer = torch.optim.SGD(net.parameters(), 1e-6, momentum=0.9)

        def train():
            with cast:
                loss = sum(net(images, [target] * count).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return float(loss)

        def detect():
            with torch.inference_mode(), cast:
                return [found["scores"].cpu() for found in net(images)]

        net.train(is_training)
        return [train if is_training else detect]

    for policy, dtype in TYPES.items():
        cast = torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16")
        peak, rows = peak_of(scale.side, dtype), []
        for is_training, counts in ((True, scale.training), (False, scale.inference)):
            what = "training" if is_training else "detector"
            for count in counts:
                [seconds] = measured(lambda n=count, t=is_training, c=cast: steps(n, c, t), 1, scale.rounds)
                rows.append(
                    row(f"{what}, batch {count}", count, seconds, (1 + 2 * is_training) * flops, peak)
                )
                gc.collect()
                if device == "cuda":
                    torch.cuda.empty_cache()
        report(f"throughput of torchvision, {policy}", rows, **facts(peak))
