"""Trainings in several processes, and the same ones in one process. Of JAX, each has two virtual devices.

`python training_in_processes.py BACKEND FOLDER COUNT INDEX PORT PART ...` does some PARTS as process INDEX of
COUNT, and writes weights and logs to FOLDER. Each process has an output folder of its own.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from training_on_devices import SIDE, batches, network, optimizer, start

SIZE = (SIDE, SIDE)
IMAGES, BATCH_SIZE = 9, 8  # the last batch has fewer images than there are processes


def join_in_jax(address, count, index):
    import jax

    jax.distributed.initialize(address, count, index, heartbeat_timeout_seconds=10)


def join_in_torch(address, count, index):
    from torch import distributed

    distributed.init_process_group("gloo", f"tcp://{address}", world_size=count, rank=index)


JOIN = {"jax": join_in_jax, "torch": join_in_torch}


class Process:
    """One of the processes, and where it writes."""

    def __init__(self, backend, folder, count, index, port):
        self.folder, self.count, self.index = folder, count, index
        sys.modules["tensorflow"] = None  # Keras would import it to save a model, which takes seconds
        start(backend, 2)
        if count > 1:
            JOIN[backend](f"127.0.0.1:{port}", count, index)

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


def broken(process, name, epochs, bad_epoch, **options):
    """A run with a NaN in the second of four steps of an epoch, in the images of the last process."""
    import numpy as np

    import multibox as mb

    class Broken(mb.DataGenerator):
        def __getitem__(self, batch):
            images, targets = super().__getitem__(batch)
            is_broken = process.index == process.count - 1 and (self.epoch, batch) == (bad_epoch, 1)
            return images, np.full_like(targets, np.nan) if is_broken else targets

    model = network()
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    data = Broken(mb.load_shapes(16, SIZE), 4, mb.resize_only(SIZE), encoder, workers=0)
    output = process.output(f"{name}-{process.count}")
    history = mb.train(model, data, output, epochs=epochs, devices="all", verbose=0, **options)
    process.keep(name, model, history)


def ended(process):
    """A NaN ends the run in its second epoch. The first process alone evaluates losses to find the cause."""
    broken(process, "ended", 3, 1, optimizer=optimizer(momentum=0.9))


def skipped(process):
    """A NaN is left out. What is done with gradients is done with their sums."""
    chosen = optimizer(momentum=0.9, global_clipnorm=0.1, gradient_accumulation_steps=3)
    broken(process, "skipped", 1, 0, optimizer=chosen, on_nan="skip")


def normalized(process):
    """A step of a network with BatchNorm."""
    import multibox as mb

    model = network(batch_norm=True)
    data = batches(model)
    type(data).__len__ = lambda self: 1
    output = process.output(f"normalized-{process.count}")
    history = mb.train(model, data, output, epochs=1, optimizer=optimizer(), devices="all", verbose=0)
    statistics = [weight.numpy().tolist() for weight in model.non_trainable_weights]
    process.keep("normalized", model, history, statistics=statistics)


def known(process):
    """A model that finds the objects in the first process, and nothing in the others."""
    import numpy as np

    import multibox as mb
    from multibox.training import known as module

    def found(model, dataset, progress):
        finds = process.index == 0
        return [
            np.column_stack([one.labels, np.ones(len(one.labels)), one.boxes])[: None if finds else 0]
            for one in dataset
        ]

    module.predict_dataset = found
    recipe = replace(mb.recipes.finetune, batch_size=8, averaging=0.0, warmup=0.0, mosaic=0.0)
    recipe = replace(recipe, known={"batch_size": 4, "rate_factor": 0.01})
    model, data = network(), mb.load_shapes(8, SIZE)
    options = {"augmentation": mb.resize_only(SIZE), "devices": "all", "verbose": 0}
    history = mb.train(model, data, process.output("known"), epochs=1, recipe=recipe, **options)
    process.keep("known", model, history)


PARTS = {
    part.__name__: part
    for part in (
        *(whole, plain, grown, end_grown, asked, end_asked, stopped, killed, end_killed),
        *(ended, skipped, normalized, known),
    )
}


def main(backend, folder, count, index, port, *parts):
    process = Process(backend, Path(folder), int(count), int(index), port)
    for part in parts:
        print(part, flush=True)
        PARTS[part](process)


if __name__ == "__main__":
    main(*sys.argv[1:])
