"""Images per second of SSD300 on a GPU, in training and inference, compared with torchvision if installed.

    KERAS_BACKEND=jax python benchmarks/gpu_throughput.py
    KERAS_BACKEND=torch python benchmarks/gpu_throughput.py

The peak of the GPU is measured with a large matrix product of the same type in the same run. A forward pass
takes 31.4 billion multiplications per image, a training step three times as many.
"""

import argparse

import keras
import numpy as np
from keras import ops
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn

FORWARD_FLOPS = 2 * 31_373_537_792
PRODUCT = 8192
TYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--training-batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--product", type=int, default=PRODUCT, help="side of the matrices for the peak")
    args = parser.parse_args()

    rows = []
    for policy, dtype in TYPES.items():
        keras.config.set_dtype_policy(policy)
        functions = {f"inference, batch {n}": (n, FORWARD_FLOPS, inference(n)) for n in args.batches}
        n = args.training_batch
        functions[f"training, batch {n}"] = (n, 3 * FORWARD_FLOPS, training(n))
        functions.update(torchvision_functions(args, dtype))
        functions["matrix product"] = (1, 2 * args.product**3, matrix_product(args.product, dtype))
        seconds = time_in_turn({k: f for k, (_, _, f) in functions.items()}, args.rounds)
        peak = 2 * args.product**3 / seconds["matrix product"]
        for name, (count, flops, _) in functions.items():
            rate = count / seconds[name]
            rows.append(
                {
                    "type": policy,
                    "what": name,
                    "images per second": rate,
                    "TFLOP/s": rate * flops / 1e12,
                    "percent of peak": 100 * rate * flops / peak,
                }
            )
    report("SSD300 throughput", rows, backend=keras.backend.backend())


def pixels(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 300, 300, 3)).astype("float32")
    return ops.convert_to_tensor(images)


def inference(count):
    model, images = mb.SSD300(20, mode="inference"), pixels(count)
    return lambda: model.predict_on_batch(images)


def training(count):
    model, loss, images = mb.SSD300(20), mb.SSDLoss(), pixels(count)
    model.compile(keras.optimizers.SGD(1e-6, momentum=0.9), loss)
    boxes = np.array([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9]])
    target = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, 20)(boxes, [1, 2])
    targets = ops.convert_to_tensor(np.stack([target] * count))
    return lambda: model.train_on_batch(images, targets)


def matrix_product(side, dtype):
    a = ops.cast(ops.convert_to_tensor(np.random.default_rng(0).normal(size=(side, side))), dtype)
    return lambda: ops.convert_to_numpy(ops.sum(ops.matmul(a, a)[:1, :1]))


def torchvision_functions(args, dtype):
    """The same functions for torchvision's SSD300; empty if torchvision or CUDA is missing."""
    try:
        import torch
        from torchvision.models.detection import ssd300_vgg16
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}

    def model():
        return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21).cuda()

    def images(count):
        return list(torch.rand(count, 3, 300, 300, device="cuda"))

    cast = torch.autocast("cuda", torch.bfloat16, enabled=dtype == "bfloat16")

    def detect(net, batch):
        with torch.inference_mode(), cast:
            net(batch)
        torch.cuda.synchronize()

    def train(net, optimizer, batch, targets):
        with cast:
            loss = sum(net(batch, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.cuda.synchronize()

    functions = {}
    for n in args.batches:
        net, batch = model().eval(), images(n)
        functions[f"torchvision, inference, batch {n}"] = (
            n,
            FORWARD_FLOPS,
            lambda net=net, batch=batch: detect(net, batch),
        )
    n, net = args.training_batch, model().train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-6, momentum=0.9)
    boxes = torch.tensor([[30.0, 30.0, 150.0, 180.0], [120.0, 90.0, 270.0, 270.0]], device="cuda")
    targets = [{"boxes": boxes, "labels": torch.tensor([1, 2], device="cuda")}] * n
    batch = images(n)
    functions[f"torchvision, training, batch {n}"] = (
        n,
        3 * FORWARD_FLOPS,
        lambda: train(net, optimizer, batch, targets),
    )
    return functions


if __name__ == "__main__":
    main()
