"""What a GPU does: throughput of SSD300, beside torchvision if installed; feeding; and a fine-tuning.

    KERAS_BACKEND=jax python benchmarks/gpu.py
    KERAS_BACKEND=torch python benchmarks/gpu.py --data my_data --coco
    KERAS_BACKEND=jax python benchmarks/gpu.py --quick

`--quick` tries all of it with a small network, also without a GPU. Each section runs in a process of its own,
so that a backend gives the memory back, and prints its table when it is done:

* float32, mixed_bfloat16: images per second in training and inference. "detector" is the network with
  decoding and non-max suppression. Its weights are random, so that nearly all boxes pass the threshold: the
  most that decoding can have to do. The peak is that of a large matrix product of the same type in the same
  process. A training step counts as three forward passes.
* torchvision: the same for its ssd300_vgg16, whose inference has decoding and resizing.
* feeding: the share of an epoch that `fit` waits for a `DataGenerator` of JPEGs, which is what the epoch
  takes longer than one with batches that are there already.
* finetuning: SSD MobileNet with the recipe "finetune", its images per second without the first epoch, and
  the mAP at IoU 0.5 (by area) on other images.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import keras
import numpy as np
from gpu_throughput import QUICK, SMALL, TYPES, Scale, facts, throughput, torchvision_throughput
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="try everything in small")
    parser.add_argument("--data", help='folder with the image sets "train" and "val" to fine-tune on')
    parser.add_argument("--coco", action="store_true", help="fine-tune COCO's weights, which are downloaded")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    args = parser.parse_args()
    scale = QUICK if args.quick else Scale()
    if args.here:
        for name in args.sections:
            SECTIONS[name](scale, args)
        return
    if not find_spec("torchvision") and "torchvision" in args.sections:
        args.sections.remove("torchvision")
        print("torchvision is not installed\n")
    failed = []
    for name in args.sections:
        own = {"KERAS_BACKEND": "torch"} if name == "torchvision" else {}
        start = time.perf_counter()
        command = [sys.executable, *sys.argv, "--here", "--sections", name]
        if subprocess.run(command, env={**os.environ, **own}, check=False).returncode:
            failed.append(name)
        print(f"{name}: {time.perf_counter() - start:.0f} s\n", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


class Ready(keras.utils.PyDataset):
    """One batch again and again, which takes no time to make."""

    def __init__(self, batch, number):
        super().__init__()
        self.batch, self.number = batch, number

    def __len__(self):
        return self.number

    def __getitem__(self, number):
        return self.batch


def feeding(scale, args):
    batch_size, number = scale.feeding
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = jpegs(number, Path(folder))
        for policy in TYPES:
            keras.config.set_dtype_policy(policy)
            model = scale.network(dataset.num_classes)
            model.compile(keras.optimizers.SGD(1e-6, momentum=0.9), mb.SSDLoss())
            encoder = mb.GroundTruthEncoder(model, sparse=True)
            augment = mb.ssd_augmentation(mb.anchors_of(model).image_size)
            for kind, in_processes in (("threads", False), ("processes", True)):
                options = {"workers": args.workers, "use_multiprocessing": in_processes}
                data = mb.DataGenerator(dataset, batch_size, augment, encoder, **options)
                seconds = time_in_turn(
                    {"ready": epoch(model, Ready(data[0], len(data))), "made": epoch(model, data)}, 2
                )
                data.close()
                rows.append(
                    {
                        "type": policy,
                        "workers": f"{args.workers} {kind}",
                        "images/s": number / seconds["made"],
                        "images/s without making them": number / seconds["ready"],
                        "% waiting": 100 * (1 - seconds["ready"] / seconds["made"]),
                    }
                )
    report(f"feeding, batch {batch_size}", rows, **facts())


def epoch(model, data):
    return lambda: model.fit(data, verbose=0, shuffle=False)


def jpegs(number, folder):
    """Drawn images of 500x375 pixels, as VOC's are, in JPEG files."""
    drawn = mb.load_shapes(number, (375, 500))
    records = []
    for record in drawn:
        path = folder / f"{record.image_id}.jpg"
        cv2.imwrite(str(path), record.read()[..., ::-1])
        records.append(replace(record, image=str(path)))
    return mb.DetectionDataset(drawn.class_names, records, "JPEGs")


class Clock(keras.callbacks.Callback):
    """Seconds of the steps of each epoch, without validation and files."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.end = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(self.end - self.start)


def finetuning(scale, args):
    keras.utils.set_random_seed(0)
    if args.data:
        data, test = (mb.load_dataset(args.data, name) for name in ("train", "val"))
    else:
        data, test = mb.load_shapes(scale.images, (300, 300)).split(0.75, seed=0)
    if args.coco:
        model = mb.pretrained("ssd_mobilenet_coco", class_names=data.class_names)
    else:
        size = SMALL if args.quick else None
        model = mb.SSDMobileNet(class_names=data.class_names, image_size=size)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        options = {"recipe": "finetune", "epochs": scale.epochs, "callbacks": [clock], "verbose": 0}
        start = time.perf_counter()
        mb.train(model, data, Path(folder) / "run", **options)
        total = time.perf_counter() - start
    found = mb.predict_dataset(model, test, progress=False)
    line = {
        "data": Path(args.data).name if args.data else "drawn shapes",
        "weights": "COCO" if args.coco else "random",
        "images": len(data),
        "epochs": scale.epochs,
        "images/s": len(data) / float(np.median(clock.seconds[1:])),
        "seconds in all": total,
        "mAP": mb.evaluate_voc(found, test, metric="area").mean_average_precision,
    }
    report("fine-tuning of SSD MobileNet", [line], **facts())


SECTIONS = {
    **{policy: lambda scale, args, policy=policy: throughput(scale, policy) for policy in TYPES},
    "torchvision": lambda scale, args: torchvision_throughput(scale),
    "feeding": feeding,
    "finetuning": finetuning,
}

if __name__ == "__main__":
    main()
