"""What a data set in shards costs with more workers, and with more images.

    KERAS_BACKEND=jax python benchmarks/scale.py

Measured, each in a process of its own:

* 1, 2, 4 workers, threads and processes: images per second, of the clock and of CPU, and the memory of all
  processes.
* 1,000 to 1,000,000 images: seconds of CPU to open the data set and to make the order of an epoch, memory,
  and images per second of CPU. A million images are the same 1000 drawn pictures under many names: each shard
  is a hard link to one file.

* The shuffle: how much the number of images of one class in a batch varies, with windows of 1 to all shards.

References in the same run: a full shuffle, pictures in files of their own, one worker, 1,000 images, and the
memory of a list of records.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import psutil
from timing import report

import multibox as mb
from multibox.data_generator.batches.order import shuffled_in_windows
from multibox.data_generator.formats.hdf5 import StoredImage
from multibox.data_generator.formats.shard_writer import write_index
from multibox.data_generator.formats.shards import INDEX, Shard, ShardImages, load_shards, shard_name
from multibox.data_generator.record_table import RecordTable

PICTURES, OBJECTS, BATCH = 1000, 7, 32
SIZE = (300, 300)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, folder, number, batches = args.child
        print(json.dumps(_CHILDREN[what](Path(folder), int(number), int(batches))))
        return
    report("spread of a class over batches", _shuffles())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pictures(folder)
        for count in args.images:
            _write_synthetic(folder, count)
        kinds = ("files, threads", "shards, threads", "shards, processes")
        rows = [{"workers": n, "from": k, **_run(k, folder, n, args)} for k in kinds for n in args.workers]
        report("workers", rows, pictures=PICTURES)
        report("images", [{"images": n, **_run("images", folder, n, args)} for n in args.images])
        report("a list of records", [_run("list", folder, args.images[-1], args)], images=args.images[-1])


def _shuffles():
    """Standard deviation of the number of images of one class in a batch of 32, over 20 epochs.

    100 shards have 1000 images each, a tenth of them of this class. "as written" has the order of
    `save_shards`, "sorted" one class after the other.
    """
    rng, shards = np.random.default_rng(0), np.repeat(np.arange(100), 1000)
    classes = {"sorted": shards // 10, "as written": rng.permutation(shards // 10)}
    samples = np.arange(len(shards))

    def spreads(shuffled):
        orders = np.stack([shuffled() for _ in range(20)]).reshape(-1, BATCH)
        return {name: float((of[orders] == 0).sum(axis=1).std()) for name, of in classes.items()}

    rows = [{"window": "full shuffle", **spreads(lambda: rng.permutation(samples))}]
    for window in (1, 4, 16, 100):
        rows.append({"window": window, **spreads(partial(shuffled_in_windows, samples, shards, window, rng))})
    return rows


def _run(what, folder, number, args):
    command = [sys.executable, __file__, "--child", what, folder, str(number), str(args.batches)]
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _write_pictures(folder):
    """Pictures in files, and the same in one shard."""
    rng, records = np.random.default_rng(0), []
    (folder / "files").mkdir()
    for i in range(PICTURES):
        small = rng.integers(0, 256, (24, 32, 3), np.uint8)
        path = folder / "files" / f"{i}.jpg"
        cv2.imwrite(str(path), cv2.resize(small, (500, 375), interpolation=cv2.INTER_CUBIC))
        corner = rng.uniform(0, 200, (OBJECTS, 2)).astype(np.float32)
        boxes, labels = np.concatenate([corner, corner + 90], 1), rng.integers(1, 21, OBJECTS)
        records.append(mb.Record(f"{i}", str(path), 500, 375, boxes, labels.astype(np.int32)))
    data = mb.DetectionDataset(mb.VOC_CLASSES, records)
    mb.save_coco(data, folder / "files.json", folder / "files")
    mb.save_shards(data, folder / "shards", shard_bytes=8 << 30, progress=False)


def _write_synthetic(folder, count):
    """A data set of so many images, in shards that are all the same file."""
    source, copies = load_shards(folder / "shards"), -(-count // PICTURES)
    images, objects = source.records.images, copies * PICTURES * OBJECTS
    fields = {name: np.tile(source.records.joined(name), copies) for name in ("labels", *_FLAGS)}
    fields["boxes"] = np.tile(source.records.joined("boxes"), (copies, 1))
    fields["width"], fields["height"] = np.tile(source.records.sizes, (copies, 1)).T
    fields["object_starts"] = np.arange(0, objects + 1, OBJECTS)
    places = np.tile([[image.start, image.stop - image.start] for image in images], (copies, 1))
    shards = [Shard(shard_name(i), images.shards[0].size) for i in range(copies)]
    new = ShardImages(shards, np.full(copies, PICTURES), *places.T)
    table = RecordTable([f"{i:012d}" for i in range(copies * PICTURES)], new, fields)
    target = folder / f"synthetic{count}"
    target.mkdir()
    data = mb.DetectionDataset(mb.VOC_CLASSES, table)
    write_index(target / INDEX, data, [PICTURES] * copies, [s.size for s in shards], places)
    for shard in shards:
        os.link(folder / "shards" / shard_name(0), target / shard.address)


_FLAGS = ("difficult", "truncated", "crowd")


def _batches(data, **options):
    encoder = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, data.num_classes, sparse=True)
    return mb.DataGenerator(data, BATCH, mb.ssd_augmentation(), encoder, **options)


def _memory():
    """MiB of this process and its workers; pages that they share count once."""
    process = psutil.Process()
    return sum(p.memory_full_info().pss for p in (process, *process.children(recursive=True))) / 2**20


def _rate(batches, count):
    """Images per second of the clock, and of CPU of this process and its workers."""
    batches.on_epoch_begin()
    for i in range(4):
        batches[i % len(batches)]
    clock, cpu = time.perf_counter(), _cpu()
    images = sum(len(batches[(4 + i) % len(batches)][0]) for i in range(count))
    return images / (time.perf_counter() - clock), images / (_cpu() - cpu)


def _cpu():
    process = psutil.Process()
    return sum(sum(p.cpu_times()[:2]) for p in (process, *process.children(recursive=True)))


def _workers(source, in_processes):
    def measure(folder, workers, count):
        data = source(folder)
        repeats = np.full(len(data), 4.0)  # an epoch that is long enough
        batches = _batches(data, workers=workers, use_multiprocessing=in_processes, repeat_factors=repeats)
        rate, of_cpu = _rate(batches, count)
        memory = _memory()
        batches.close()
        return {"images/s": rate, "images/s of CPU": of_cpu, "MiB of all processes": memory}

    return measure


def _images(folder, number, count):
    start, cpu = _memory(), time.process_time()
    data = load_shards(folder / f"synthetic{number}")
    opening, opened = time.process_time() - cpu, _memory() - start
    batches = _batches(data, workers=1)
    cpu = time.process_time()
    batches._order.of_epoch(0, True)
    ordering = time.process_time() - cpu
    start_feeding = _memory()
    _, rate = _rate(batches, min(count, len(batches) - 4))
    fed = _memory() - start_feeding
    batches.close()
    index = (folder / f"synthetic{number}" / INDEX).stat().st_size / 2**20
    return {
        **{"index MiB": index, "s to open": opening, "MiB": opened, "s for an order": ordering},
        **{"images/s of CPU": rate, "MiB more after feeding": fed},
    }


def _list(folder, number, count):
    start, cpu = _memory(), time.process_time()
    boxes, labels = np.full((OBJECTS, 4), (0, 0, 9, 9), np.float32), np.ones(OBJECTS, np.int32)
    records = [
        mb.Record(f"{i:012d}", StoredImage("x", 0, i, i + 1, None), 500, 375, boxes.copy(), labels.copy())
        for i in range(number)
    ]
    mb.DetectionDataset(mb.VOC_CLASSES, records)
    return {"s to make": time.process_time() - cpu, "MiB": _memory() - start}


_CHILDREN = {
    "files, threads": _workers(lambda f: mb.load_coco(f / "files.json", f / "files", progress=False), False),
    "shards, threads": _workers(lambda f: load_shards(f / "shards"), False),
    "shards, processes": _workers(lambda f: load_shards(f / "shards"), True),
    "images": _images,
    "list": _list,
}


if __name__ == "__main__":
    main()
