"""Kills a training at random moments, starts it again, and compares it with one that was not killed.

    python benchmarks/kills.py

It takes about seven minutes on two CPU cores, nearly all of them starts of the backends. Expected: no
difference, in the weights of last.keras, its optimizer's state and history.csv, and no process left.

SSD7 is trained on drawn shapes with validation. A checkpoint is written every 0.3 seconds. The process gets
SIGKILL at random moments after its first step, and is started again unchanged with `resume=True`.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import psutil
from timing import report

EPOCHS, STEPS, BATCH_SIZE = 6, 10, 4
LONGEST_SECONDS = 1.5  # between the first step of a process and its end
WAYS = (("tensorflow", "threads"), ("tensorflow", "processes"), ("jax", "threads"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "WORKERS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        train(Path(args.child[0]), args.child[1])
        return
    rows = []
    for backend, workers in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(Path(folder), backend, workers, args.kills, random.Random(args.seed)))
        print(rows[-1], file=sys.stderr, flush=True)
    report("kills", rows, seed=args.seed, steps=EPOCHS * STEPS)


def train(folder, workers):
    """One process: begins the run in the folder, or goes on with it."""
    import keras

    import multibox as mb

    def note(batch, logs):
        with (folder / "steps").open("a") as file:
            file.write(f"{os.getpid()}\n")

    random.seed(0)  # of the weights; Keras' own function imports TensorFlow on any backend
    size = (64, 64)
    data = mb.load_shapes(STEPS * BATCH_SIZE, size)
    model = mb.SSD7(4, image_size=size)
    generator = mb.DataGenerator(
        data,
        BATCH_SIZE,
        mb.ssd_augmentation(size),
        mb.GroundTruthEncoder(model, sparse=True),
        workers=2,
        use_multiprocessing=workers == "processes",
    )
    mb.train(
        model,
        generator,
        folder / "run",
        epochs=EPOCHS,
        validation_data=mb.load_shapes(8, size, 1),
        optimizer=keras.optimizers.Adam(1e-3),
        resume=True,
        checkpoint_minutes=0.005,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=note)],
        verbose=0,
    )


def compare(folder, backend, workers, kills, moments):
    """One row of the table."""
    start = time.perf_counter()
    for name in ("straight", "again", "killed"):
        (folder / name).mkdir()
    for name in ("straight", "again"):
        run(folder / name, backend, workers)
    done, left = 0, 0
    for _ in range(kills):
        survivors = run(folder / "killed", backend, workers, kill_after=moments.uniform(0, LONGEST_SECONDS))
        if survivors is None:
            break
        done, left = done + 1, left + survivors
    run(folder / "killed", backend, workers)
    steps = (folder / "killed" / "steps").read_text().split()
    weights, log = difference(folder / "straight", folder / "killed")
    return {
        "backend": backend,
        "workers": workers,
        "kills": done,
        "steps redone": len(steps) - EPOCHS * STEPS,
        "weights": weights,
        "history.csv": log,
        "weights of two runs without kills": difference(folder / "straight", folder / "again")[0],
        "files left": len(list((folder / "killed" / "run").glob(".partial*"))),
        "processes left": left,
        "seconds": time.perf_counter() - start,
    }


def run(folder, backend, workers, kill_after=None):
    """Starts a process and waits for its end, or kills it some seconds after its first step.

    Returns the number of its worker processes that live ten seconds later; None if it had ended by itself.
    """
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),  # makes later starts shorter
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, __file__, "--child", str(folder), workers]
    with subprocess.Popen(command, env=environment) as process:
        while kill_after is not None and process.poll() is None and not has_made_a_step(folder, process.pid):
            time.sleep(0.01)
        try:
            status = process.wait(kill_after)
        except subprocess.TimeoutExpired:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            return len(psutil.wait_procs(children, timeout=10)[1])
    if status:
        raise SystemExit(f"the training ended with status {status}")
    return None


def has_made_a_step(folder, pid):
    steps = folder / "steps"
    return steps.exists() and str(pid) in steps.read_text().split()


def difference(a, b):
    """The largest differences of the numbers in last.keras, and of those in history.csv."""
    pairs = [numbers_of(folder / "run" / "last.keras") for folder in (a, b)]
    logs = [rows_of(folder / "run" / "history.csv") for folder in (a, b)]
    assert pairs[0].keys() == pairs[1].keys() and logs[0].shape == logs[1].shape
    weights = max(
        float(np.abs(value.astype(float) - pairs[1][name]).max(initial=0)) for name, value in pairs[0].items()
    )
    return f"{weights:g}", f"{float(np.abs(logs[0] - logs[1]).max()):g}"


def numbers_of(path):
    """The weights and the optimizer's state in a Keras file by name."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as weights,
    ):
        weights.visititems(note)
        state = json.loads(archive.read("multibox/run.json"))
    assert (state["epoch"], state["step"]) == (EPOCHS, 0)
    return found


def rows_of(path):
    with path.open(newline="") as file:
        return np.array([[float(value) for value in row.values()] for row in csv.DictReader(file)])


if __name__ == "__main__":
    main()
