"""The training loop: compile, fit, and what a run leaves behind."""

import csv
from pathlib import Path

import keras
import numpy as np

from .losses import SSDLoss


def train(
    model,
    data,
    output,
    epochs,
    optimizer,
    validation_data=None,
    initial_epoch=0,
    loss=None,
    callbacks=(),
    verbose="auto",
):
    """Trains a detector with `model.fit`.

    Writes to `output`: `history.csv` (appended to when resumed), `last.keras` after each epoch, and, with
    validation data, `best.keras` at the lowest validation loss. Ends when the loss is NaN, and keeps the
    files of the epoch before.

    To resume, load `last.keras` (it holds the optimiser's state), pass it with `optimizer=None` and
    `initial_epoch` as many epochs as are done.

    Args:
        model: built for training.
        data: a `DataGenerator` with an encoder; its `epoch` is set to `initial_epoch`.
        output: folder.
        epochs: number of the last epoch, counted from the very start.
        optimizer: a Keras optimizer, or None to go on with the compiled one.
        validation_data: like `data`, or None.
        initial_epoch: epochs done before.
        loss: None for `SSDLoss()`.
        callbacks: more Keras callbacks.
        verbose: as in `fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        FileExistsError: if `output` has a history.csv and `initial_epoch` is 0: nothing is overwritten.
        ValueError: if `optimizer` is None and the model is not compiled, or a loss is given.
    """
    output = Path(output)
    log = output / "history.csv"
    if initial_epoch == 0 and log.exists():
        raise FileExistsError(
            f"{log} exists: choose another output folder, or resume with initial_epoch=<epochs done>"
        )
    if optimizer is None and loss is not None:
        raise ValueError("train: a loss needs an optimizer; with optimizer=None the compiled loss goes on")
    if optimizer is not None:
        loss = loss or SSDLoss()
        model.compile(optimizer=optimizer, loss=loss, metrics=loss.metrics())
    elif not model.compiled:
        raise ValueError("train: the model is not compiled; pass an optimizer")
    output.mkdir(parents=True, exist_ok=True)
    data.epoch = initial_epoch

    saved = [_Checkpoint(output / "last.keras")]
    if validation_data is not None:
        best = _best_so_far(log) if initial_epoch else None
        saved.append(
            _Checkpoint(output / "best.keras", "val_loss", save_best_only=True, initial_value_threshold=best)
        )
    return model.fit(
        data,
        epochs=epochs,
        initial_epoch=initial_epoch,
        validation_data=validation_data,
        verbose=verbose,
        shuffle=False,  # the generator has shuffled the samples; batches stay in its order, also on resuming
        callbacks=[
            keras.callbacks.CSVLogger(log, append=True),
            keras.callbacks.TerminateOnNaN(),
            *saved,
            *callbacks,
        ],
    )


class _Checkpoint(keras.callbacks.ModelCheckpoint):
    """Does not save a model whose loss has become NaN over one that was good."""

    def on_epoch_end(self, epoch, logs=None):
        if np.isfinite(logs["loss"]):
            super().on_epoch_end(epoch, logs)


def _best_so_far(log):
    """The lowest validation loss of an earlier run, or None."""
    if not log.exists():
        return None
    with log.open(newline="") as file:
        values = [row.get("val_loss") for row in csv.DictReader(file)]
    return min((float(v) for v in values if v and v != "NA"), default=None)
