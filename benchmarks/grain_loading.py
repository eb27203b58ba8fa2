"""Images per second, CPU and memory of our workers and of grain's, on the same pictures and samples.

    pip install grain
    KERAS_BACKEND=jax python benchmarks/grain_loading.py --shards my_shards

Each sample is made by the same code (`SampleMaker`), so what differs is how samples are distributed to
workers and how batches come back. The reference is `DataGenerator` with as many processes. Start-up is not
measured. Where other programs run, compare the CPU that an image takes in all processes.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import psutil
from timing import report

import multibox as mb
from multibox.data_generator.batches.samples import SampleMaker

BATCH = 32
OURS, GRAIN_DATASET, GRAIN_LOADER = "DataGenerator", "grain.MapDataset", "grain.DataLoader"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", required=True, help="folder of save_shards")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(_measure(args.shards, args.child[0], int(args.child[1]), args.batches)))
        return
    rows = []
    for workers in args.workers:
        found = {kind: [] for kind in (OURS, GRAIN_DATASET, GRAIN_LOADER)}
        for _ in range(args.rounds):  # in turn, since other programs may run
            for kind, results in found.items():
                results.append(_in_child(kind, workers, args))
        for kind, results in found.items():
            rows.append({"processes": workers, "workers of": kind})
            rows[-1] |= {key: float(np.median([r[key] for r in results])) for key in results[0]}
    report("our workers and grain's", rows, batch=BATCH)


def _in_child(kind, workers, args):
    options = ["--shards", args.shards, "--batches", str(args.batches), "--child", kind, str(workers)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


class Samples:
    """Makes the sample of a record, as a source and a transform of grain need it."""

    def __init__(self, data):
        self.data = data
        encoder = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, data.num_classes, sparse=True)
        self.maker = SampleMaker(mb.ssd_augmentation(), encoder)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image = np.empty((1, 300, 300, 3), np.uint8)
        target = np.empty((1, *self.maker.encoder.target_shape), np.float32)
        self.maker.fill([self.data[int(index)]], [(0, 0, int(index))], image, target)
        return image[0], target[0]


def _ours(data, workers):
    generator = mb.DataGenerator(
        data,
        BATCH,
        mb.ssd_augmentation(),
        Samples(data).maker.encoder,
        workers=workers,
        use_multiprocessing=True,
    )
    while True:
        generator.on_epoch_begin()
        for i in range(len(generator)):
            yield generator[i]
        generator.on_epoch_end()


def _grain():
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():  # its workers need that
        flags.FLAGS(sys.argv[:1])
    return grain


def _grain_dataset(data, workers):
    grain = _grain()
    source = grain.MapDataset.source(Samples(data)).seed(0).shuffle().repeat().batch(BATCH)
    reading = grain.ReadOptions(num_threads=0)
    return iter(
        source.to_iter_dataset(reading).mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    )


def _grain_loader(data, workers):
    grain = _grain()
    sampler = grain.samplers.IndexSampler(len(data), shuffle=True, seed=0)
    reading = grain.ReadOptions(num_threads=0)
    operations = [grain.transforms.Batch(BATCH)]
    return iter(
        grain.DataLoader(
            data_source=Samples(data),
            sampler=sampler,
            operations=operations,
            worker_count=workers,
            read_options=reading,
        )
    )


_KINDS = {OURS: _ours, GRAIN_DATASET: _grain_dataset, GRAIN_LOADER: _grain_loader}


def _measure(folder, kind, workers, count):
    batches = _KINDS[kind](mb.load_shards(folder), workers)
    for _ in range(2 + 2 * workers):
        next(batches)
    process = psutil.Process()
    everyone = (process, *process.children(recursive=True))
    start, cpu = time.perf_counter(), _cpu(everyone)
    images = sum(len(next(batches)[0]) for _ in range(count))
    rate = images / (time.perf_counter() - start)
    used = (_cpu(everyone) - cpu) / images
    memory = sum(p.memory_full_info().pss for p in everyone) / 2**20
    for child in everyone[1:]:
        child.terminate()
    return {"images/s": rate, "ms of CPU": 1e3 * used, "MiB": memory}


def _cpu(processes):
    """Seconds of CPU of these processes."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    main()
