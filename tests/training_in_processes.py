"""Trainings in several processes of JAX, with two virtual devices each, and the same ones in one process.

`python training_in_processes.py FOLDER COUNT INDEX PORT PART ...` does some PARTS as process INDEX of COUNT,
and writes weights and logs to FOLDER. Each process has an output folder of its own.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from training_on_devices import SIDE, network, optimizer, start

SIZE = (SIDE, SIDE)
IMAGES, BATCH_SIZE = 9, 8  # the last batch has fewer images than there are processes


class Process:
    """One of the processes, and where it writes."""

    def __init__(self, folder, count, index, port):
        self.folder, self.count, self.index = folder, count, index
        sys.modules["tensorflow"] = None  # Keras would import it to save a model, which takes seconds
        start("jax", 2)
        import jax

        if count > 1:
            jax.distributed.initialize(f"127.0.0.1:{port}", count, index, heartbeat_timeout_seconds=10)

    def output(self, name):
        """A folder for a run: the same one in all processes that are the first of theirs."""
        return self.folder / f"process-{self.index}" / name

    def keep(self, name, model, history, **more):
        """Writes what a run has made."""
        import numpy as np

        path = self.folder / f"{name}-{self.count}-{self.index}"
        np.savez(path.with_suffix(".npz"), *model.get_weights(), iterations=int(model.optimizer.iterations))
        path.with_suffix(".json").write_text(json.dumps({"logs": history.history, **more}))


def noted(dataset, ids):
    """The data set; whoever reads an image notes its id."""
    import multibox as mb

    def read(record):
        ids.append(record.image_id)
        return mb.read_image(record.image)

    records = [replace(record, image=partial(read, record)) for record in dataset]
    return mb.DetectionDataset(dataset.class_names, records)


def whole(process):
    """A data set with validation, mAP, averaged weights, a cut of the rate, and many checkpoints."""
    import keras

    import multibox as mb

    model, ids = network(seed=process.index), []
    data = mb.load_shapes(IMAGES, SIZE)
    output = process.output(f"whole-{process.count}")
    history = mb.train(
        model,
        noted(data, ids),
        output,
        epochs=2,
        batch_size=BATCH_SIZE,
        augmentation=mb.resize_only(SIZE),
        validation_data=data[:5],
        optimizer=optimizer(use_ema=True, ema_momentum=0.5),
        callbacks=[
            keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100),
            keras.callbacks.CSVLogger(output.with_suffix(".csv")),
        ],
        checkpoint_minutes=0,
        devices="all",
        verbose=0,
    )
    process.keep("whole", model, history, ids=sorted(ids))


def short(process, name, epochs, *callbacks):
    """A run of small batches, or the rest of it."""
    import multibox as mb

    model = network()
    history = mb.train(
        model,
        mb.load_shapes(10, SIZE),
        process.output(name),
        epochs=epochs,
        batch_size=4,
        augmentation=mb.resize_only(SIZE),
        optimizer=optimizer(momentum=0.9),
        callbacks=callbacks,
        checkpoint_minutes=0,
        devices="all",
        resume=True,
        verbose=0,
    )
    process.keep(name, model, history)


def at_step(number, does):
    """A callback that does something with the model after a step of an epoch."""
    import keras

    class AtStep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == number:
                does(self.model)

    return AtStep()


def nothing(model):
    pass


def send(number):
    return lambda model: os.kill(os.getpid(), number)


def plain(process):
    """The run that the others begin or end."""
    short(process, "plain", 2)


def grown(process):
    """A run of one process, to be ended by two."""
    try:
        short(process, "grown", 2, at_step(1, send(signal.SIGTERM)))
    except SystemExit as end:
        assert end.code == 128 + signal.SIGTERM


def end_grown(process):
    short(process, "grown", 2, at_step(1, nothing))


def asked(process):
    """A run of two processes, one of which gets a signal."""
    does = send(signal.SIGTERM) if process.index else nothing
    try:
        short(process, "asked", 2, at_step(0, does))
    except SystemExit as end:
        assert end.code == 128 + signal.SIGTERM
        process.folder.joinpath(f"asked-{process.index}").touch()


def end_asked(process):
    short(process, "asked", 2, at_step(0, nothing))


def stopped(process):
    """A run of two processes, in one of which a callback ends the training."""

    def stop(model):
        model.stop_training = bool(process.index)

    short(process, "stopped", 2, at_step(0, stop))


def killed(process):
    """A run of two processes, one of which dies."""
    does = send(signal.SIGKILL) if process.index else nothing
    short(process, "killed", 2, at_step(2, does))


def end_killed(process):
    short(process, "killed", 2, at_step(2, nothing))


PARTS = {
    part.__name__: part
    for part in (whole, plain, grown, end_grown, asked, end_asked, stopped, killed, end_killed)
}


def main(folder, count, index, port, *parts):
    process = Process(Path(folder), int(count), int(index), port)
    for part in parts:
        print(part, flush=True)
        PARTS[part](process)


if __name__ == "__main__":
    main(*sys.argv[1:])
