"""The training loop: compile, fit, and what a run leaves behind."""

import csv
import math
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import keras

from .data_generator import DataGenerator
from .data_generator.batches.generator import naming_failures
from .files import atomic
from .losses import SSDLoss
from .models.detector import activation_of, anchors_of, is_detector, num_classes_of


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
    validation data, `best.keras` at the lowest validation loss. Ends with a warning when the loss is NaN, and
    keeps the files of the epoch before.

    To resume, load `last.keras` (it holds the optimizer's state), pass it with `optimizer=None` and
    `initial_epoch` as many epochs as are done.

    Args:
        model: built for training.
        data: a `DataGenerator` with an encoder; its `epoch` follows that of `fit`.
        output: folder.
        epochs: number of the last epoch, counted from the very start.
        optimizer: a Keras optimizer, or None to go on with the compiled one.
        validation_data: like `data`, or None.
        initial_epoch: epochs done before.
        loss: None for `loss_of(model)`.
        callbacks: more Keras callbacks.
        verbose: as in `fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        FileExistsError: if `output` holds another number of epochs than `initial_epoch`: nothing is
            overwritten, and nothing resumed in the wrong place.
        ImageError: for an image that cannot be read; names it.
        ValueError: if model, data and loss do not fit together, if there is no epoch left to train, or for
            `optimizer=None` with a model that is not compiled or with a loss.
    """
    output = Path(output)
    log = output / "history.csv"
    for name, generator in (("data", data), ("validation_data", validation_data)):
        if generator is not None:
            _check_fit(model, generator, name)
    _check_epochs(log, initial_epoch, epochs)
    if optimizer is None and loss is not None:
        raise ValueError("train: a loss needs an optimizer; with optimizer=None the compiled loss goes on")
    if optimizer is None and not model.compiled:
        raise ValueError("train: the model is not compiled; pass an optimizer")
    loss = loss or (loss_of(model) if optimizer is not None else model.loss)
    _check_loss(model, loss)
    if optimizer is not None:
        model.compile(optimizer=optimizer, loss=loss, metrics=loss.metrics())
    output.mkdir(parents=True, exist_ok=True)

    saved = [_Checkpoint(output / "last.keras")]
    if validation_data is not None:
        best = min((v for v in map(_val_loss, _rows(log)) if not math.isnan(v)), default=math.inf)
        saved.append(_Checkpoint(output / "best.keras", "val_loss", best))
    generators = [g for g in (data, validation_data) if g is not None]
    with ExitStack() as stack, naming_failures(*generators):
        for generator in generators:
            stack.callback(generator.close)
        history = model.fit(
            data,
            epochs=epochs,
            initial_epoch=initial_epoch,
            validation_data=validation_data,
            verbose=verbose,
            shuffle=False,  # the generator has shuffled; batches stay in its order, also on resuming
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=partial(_set_epoch, data)),
                keras.callbacks.CSVLogger(log, append=initial_epoch > 0),
                keras.callbacks.TerminateOnNaN(),
                *saved,
                *callbacks,
            ],
        )
    final = history.history["loss"][-1]
    if not math.isfinite(final):
        warnings.warn(
            f"train: the loss became {final} in epoch {history.epoch[-1] + 1}; lower the learning rate. "
            f"{output} keeps what was saved after the epochs before.",
            stacklevel=2,
        )
    return history


def loss_of(model, **options):
    """The `SSDLoss` that fits a model of this package: it reads the class logits as the decoder will.

    Args:
        model: built for training.
        **options: more arguments of `SSDLoss`.
    """
    return SSDLoss(activation=activation_of(model), **options)


def _set_epoch(data, epoch, logs=None):
    data.epoch = epoch  # whatever it has been used for before


class _Checkpoint(keras.callbacks.Callback):
    """Saves the model after each epoch, or after those with the lowest monitored value.

    A model whose loss has become NaN is not saved over one that was good, and neither is half a file: it is
    written under another name first.
    """

    def __init__(self, path, monitor=None, best=math.inf):
        super().__init__()
        self.path = path
        self.monitor = monitor
        self.best = best

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            return
        if self.monitor is not None:
            if not logs[self.monitor] < self.best:
                return
            self.best = logs[self.monitor]
        with atomic(self.path) as partial:
            self.model.save(partial)


def _check_fit(model, generator, name):
    if not isinstance(generator, DataGenerator) or generator.encoder is None:
        raise ValueError(f"train: {name} must be a DataGenerator with an encoder, got {generator!r}")
    if is_detector(model):
        raise ValueError('train: the model is built for inference; build it with mode="training"')
    encoder = generator.encoder
    classes = num_classes_of(model)
    if classes != encoder.num_classes:
        raise ValueError(
            f"train: the model has {classes} classes, the encoder of {name} {encoder.num_classes}"
        )
    if anchors_of(model) != encoder.anchors:
        raise ValueError(
            f"train: the encoder of {name} has other anchors than the model; make it with "
            "GroundTruthEncoder(anchors_of(model), ...)"
        )


def _check_loss(model, loss):
    """Losses from elsewhere, which have no activation, are their author's business."""
    expected = activation_of(model)
    given = getattr(loss, "activation", expected)
    if given != expected:
        raise ValueError(
            f"train: the loss is for {given} scores, the model's are {expected}; use "
            f'SSDLoss(activation="{expected}") or loss_of(model)'
        )


def _check_epochs(log, initial_epoch, epochs):
    done = len(_rows(log))
    if done != initial_epoch:
        raise FileExistsError(
            f"{log} holds {done} epochs, but initial_epoch is {initial_epoch}: choose another output folder, "
            f"or resume with {log.parent / 'last.keras'}, optimizer=None and initial_epoch={done}"
        )
    if epochs <= initial_epoch:
        raise ValueError(
            f"train: epochs ({epochs}) counts from the very start and must exceed initial_epoch "
            f"({initial_epoch})"
        )


def _rows(log):
    """The finished epochs in an earlier run's log; none if there is no log, or that of a run that failed."""
    if not log.exists():
        return []
    with log.open(newline="") as file:
        return [row for row in csv.DictReader(file) if math.isfinite(float(row["loss"]))]


def _val_loss(row):
    """NaN where an epoch had no validation, which Keras writes as NA."""
    text = row.get("val_loss")
    return float(text) if text and text != "NA" else math.nan
