"""Images per second of the data pipeline, with one and with several workers.

    python benchmarks/data_pipeline.py --voc VOCdevkit --set train

Measured: `DataGenerator` with `ssd_augmentation` and the encoder ("whole path"), reading from files, from the
RAM cache and from HDF5.

References in the same run:

* decoding alone (`cv2.imread`),
* the same augmentation step by step (plain_chain.py).

At the end feeding.py measures the time that `fit` needs to receive a batch, on each backend.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from plain_chain import plain_sample, plain_targets
from timing import report

import multibox as mb
from multibox.data_generator import cache_in_ram, create_hdf5_dataset, load_hdf5
from multibox.profiling.compiled import time_in_turn

BATCH = 32
ANCHORS = mb.anchors.SSD300_VOC
# `ssd_augmentation` draws one of five interpolations for each image. Lanczos is the slowest by far.
BILINEAR = replace(mb.ssd_augmentation(), interpolations=(cv2.INTER_LINEAR,))
DECODE, PLAIN = "decoding alone (cv2.imread)", "the plain chain"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--set", default="train", help="image set of VOC2007")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=sorted({1, os.cpu_count()}))
    args = parser.parse_args()

    cv2.setNumThreads(1)
    dataset = mb.load_voc(args.voc, [("2007", args.set)], progress=False)[: args.images]
    with tempfile.TemporaryDirectory() as folder:
        sources = _sources(dataset, Path(folder))
        for workers in args.workers:
            _compare(dataset, sources, workers, args.rounds)
    _encoder(dataset, args.rounds)
    for backend in filter(find_spec, ("tensorflow", "jax", "torch")):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, Path(__file__).with_name("feeding.py")], env=environment, check=True)


def _sources(dataset, folder):
    sources = {"files": dataset, "RAM cache, decoded": cache_in_ram(dataset, progress=False)}
    for name, decoded in (("HDF5, encoded", False), ("HDF5, decoded", True)):
        path = folder / f"{decoded}.h5"
        create_hdf5_dataset(dataset, path, decoded=decoded, progress=False)
        sources[name] = load_hdf5(path)
    return sources


def _compare(dataset, sources, workers, rounds):
    """Measures and reports everything for one number of workers."""
    runs = {DECODE: lambda: _decode(dataset, workers)}
    if workers == 1:
        runs[PLAIN] = lambda: _plain(dataset)
    for name, source in sources.items():
        runs[f"whole path from {name}"] = _epoch(source, workers)
    runs["from files, dense targets"] = _epoch(dataset, workers, sparse=False)
    runs["from files, bilinear resizing only"] = _epoch(dataset, workers, transform=BILINEAR)
    for name in ("files", "RAM cache, decoded"):
        runs[f"from {name}, in processes"] = _epoch(sources[name], workers, use_multiprocessing=True)
    seconds = time_in_turn(runs, rounds)
    rows = [
        {
            "what": what,
            "images per second": round(len(dataset) / value),
            "ms per image": 1e3 * value / len(dataset),
            "of decoding": seconds[DECODE] / value,
            **({"times the plain chain": seconds[PLAIN] / value} if PLAIN in seconds else {}),
        }
        for what, value in seconds.items()
    ]
    title = f"data pipeline, {workers} worker{'s' * (workers > 1)} of {os.cpu_count()} cores"
    report(title, rows, images=len(dataset), workers=workers)


def _epoch(dataset, workers, sparse=True, transform=None, **options):
    """A function that reads the batches of an epoch as `fit` does."""
    encoder = mb.GroundTruthEncoder(ANCHORS, dataset.num_classes, sparse=sparse)
    batches = mb.DataGenerator(
        dataset, BATCH, transform or mb.ssd_augmentation(), encoder, workers=workers, **options
    )

    def run():
        batches.on_epoch_begin()
        for i in range(len(batches)):
            batches[i]
        batches.on_epoch_end()

    return run


def _decode(dataset, workers):
    with ThreadPoolExecutor(workers) as pool:
        for image in pool.map(lambda record: cv2.imread(record.image).shape, dataset):
            assert image is not None


def _plain(dataset):
    for i, record in enumerate(dataset):
        _, boxes, labels = plain_sample(record, np.random.default_rng([0, i]))
        plain_targets(boxes, labels, ANCHORS, dataset.num_classes)


def _encoder(dataset, rounds):
    """Measures the encoder on the boxes of augmented images."""
    batches = mb.DataGenerator(dataset, BATCH, mb.ssd_augmentation(), workers=0)
    views = [a for i in range(len(batches)) for a in batches[i][1]]
    runs = {}
    for name, sparse in (("sparse targets", True), ("dense targets", False)):
        encoder = mb.GroundTruthEncoder(ANCHORS, dataset.num_classes, sparse=sparse)
        out = np.empty(encoder.target_shape, np.float32)
        runs[name] = lambda e=encoder, o=out: [e(v["boxes"], v["labels"], out=o) is o for v in views]
    runs["plain"] = lambda: [
        plain_targets(v["boxes"], v["labels"], ANCHORS, dataset.num_classes) is views for v in views
    ]
    seconds = time_in_turn(runs, rounds)
    rows = [
        {"encoder": name, "ms per image": 1e3 * s / len(views), "times the plain one": seconds["plain"] / s}
        for name, s in seconds.items()
    ]
    report("ground-truth encoder, 8732 anchors, one core", rows, images=len(views))


if __name__ == "__main__":
    main()
