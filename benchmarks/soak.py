"""Memory, open files and threads over a long training with worker processes.

    python benchmarks/soak.py --minutes 60

SSD7 is trained on drawn shapes that lie as JPEG files on the disk, with augmentation, validation after each
epoch, and a checkpoint every half minute. One measurement a minute: of this process, and of its workers
together.

Reference in the same run: the first fifth of the measurements, which is left for warming up.
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

import keras
import psutil
from timing import report

import multibox as mb

SIZE = (96, 96)
IMAGES, BATCH_SIZE = 256, 8
EVERY = 60  # seconds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(60 * args.minutes)
        train(Path(folder), watch)
        with (Path(folder) / "run" / "history.csv").open() as log:
            epochs = len(list(csv.DictReader(log)))
    report("soak", summary(watch.rows), minutes=args.minutes, epochs=epochs, backend=keras.backend.backend())


class Watch(keras.callbacks.Callback):
    """Measures once a minute, and ends the training when the time is over."""

    not_kept = ("rows", "seconds", "start")

    def __init__(self, seconds):
        super().__init__()
        self.rows, self.seconds, self.start = [], seconds, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        passed = time.monotonic() - self.start
        if passed >= EVERY * (len(self.rows) + 1):
            self.rows.append(measure())
            print(f"{passed / 60:.0f} min: {self.rows[-1]}", file=sys.stderr, flush=True)
        self.model.stop_training = passed > self.seconds


def measure():
    own = psutil.Process()
    workers = own.children(recursive=True)
    return {
        "MiB": own.memory_info().rss / 2**20,
        "workers MiB": sum(worker.memory_info().rss for worker in workers) / 2**20,
        "workers": len(workers),
        "open files": own.num_fds(),
        "workers' open files": sum(worker.num_fds() for worker in workers),
        "threads": own.num_threads(),
    }


def summary(rows):
    """One row for each figure: its first and last measurement, and the median of the parts."""
    fifth = max(len(rows) // 5, 1)
    middle, end = rows[fifth : 2 * fifth] or rows, rows[-fifth:]
    return [
        {
            "figure": figure,
            "first": rows[0][figure],
            "second fifth": statistics.median(row[figure] for row in middle),
            "last fifth": statistics.median(row[figure] for row in end),
            "ratio": statistics.median(row[figure] for row in end)
            / max(statistics.median(row[figure] for row in middle), 1),
        }
        for figure in rows[0]
    ]


def train(folder, watch):
    mb.save_voc(mb.load_shapes(IMAGES, SIZE), folder / "data", "train", progress=False)
    mb.save_voc(mb.load_shapes(32, SIZE, seed=1), folder / "data", "val", progress=False)
    data = mb.load_dataset(folder / "data", "train")
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    generator = mb.DataGenerator(
        data,
        BATCH_SIZE,
        mb.ssd_augmentation(SIZE),
        mb.GroundTruthEncoder(model, sparse=True),
        workers=2,
        use_multiprocessing=True,
    )
    mb.train(
        model,
        generator,
        folder / "run",
        epochs=1_000_000,
        validation_data=mb.load_dataset(folder / "data", "val"),
        optimizer=keras.optimizers.Adam(1e-4),
        checkpoint_minutes=0.5,
        callbacks=[watch],
        verbose=0,
    )


if __name__ == "__main__":
    main()
