"""The training loop: compile, fit, and what a run leaves behind."""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import keras

from .data_generator import (
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    SampleTransform,
    resize_only,
    ssd_augmentation,
    ssdlite_augmentation,
)
from .data_generator.batches.generator import naming_failures
from .data_generator.dataset import class_difference
from .deprecated import renamed_arguments
from .files import atomic
from .layers.multibox import multibox_of
from .losses import SSDFocalLoss, SSDLoss
from .models.detector import activation_of, anchors_of, class_names_of, is_detector, num_classes_of
from .recipes import default_optimizer

BATCH_SIZE = 16


@renamed_arguments(data="dataset")
def train(
    model: keras.Model,
    dataset: DetectionDataset | DataGenerator,
    output: str | os.PathLike[str],
    *,
    epochs: int,
    validation_data: DetectionDataset | DataGenerator | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    batch_size: int | None = None,
    augmentation: SampleTransform | None = None,
    loss: keras.losses.Loss | None = None,
    initial_epoch: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 0,
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Trains a detector with `model.fit`.

    Writes to `output`: `history.csv` (appended to when resumed), `last.keras` after each epoch, and, with
    validation data, `best.keras` at the lowest validation loss. Ends with a warning when the loss becomes
    NaN; the files of the last good epoch stay.

    To resume, load `last.keras`, which holds the optimizer's state, and pass `initial_epoch`: the number of
    epochs that are done.

    A model without class names gets those of the data set.

    Args:
        model: a model built for training.
        dataset: a `DetectionDataset` with the model's classes; or a `DataGenerator` with an encoder, whose
            `epoch` follows that of `fit`.
        output: folder.
        epochs: number of the last epoch, counted from the very start.
        validation_data: like `dataset`, or None.
        optimizer: a Keras optimizer. None: that of a compiled model, and for others
            `recipes.default_optimizer`.
        batch_size: images in a step; None: 16, or all images if there are fewer. For data sets only, as are
            `augmentation` and `seed`.
        augmentation: a `SampleTransform` for the training images; None: `ssd_augmentation` at the model's
            size, and torchvision's `ssdlite_augmentation` for an SSDLite.
        loss: a Keras loss. None: `loss_of(model)`, and for sigmoid scores `SSDFocalLoss(alpha=0.75)`, with
            which the published SSD MobileNet was trained.
        initial_epoch: epochs done before.
        callbacks: more Keras callbacks.
        seed: seed of the order of the images and of the augmentation.
        verbose: as in `fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        FileExistsError: if `output` holds another number of epochs than `initial_epoch`: nothing is
            overwritten, and nothing resumed in the wrong place.
        ImageError: for an image that cannot be read; names it.
        TypeError: for anything else than a data set or a generator.
        ValueError: if model, data and loss do not fit together, if there is no epoch left to train, for a
            loss without an optimizer where the compiled model's own loss goes on, and for a model to resume
            that is not compiled.
    """
    output = Path(output)
    log = output / "history.csv"
    if is_detector(model):
        raise ValueError('train: the model is built for inference; build it with mode="training"')
    options = {"batch_size": batch_size, "augmentation": augmentation}
    data = _batches(model, dataset, "dataset", seed=seed, **options)
    validation = validation_data and _validation_batches(model, validation_data, batch_size)
    _check_epochs(log, initial_epoch, epochs)
    _compile(model, optimizer, loss, epochs * len(data), resumed=initial_epoch > 0)
    if class_names_of(model) is None:
        multibox_of(model).class_names = data.dataset.class_names
    output.mkdir(parents=True, exist_ok=True)

    saved = [_Checkpoint(output / "last.keras")]
    if validation is not None:
        best = min((v for v in map(_val_loss, _rows(log)) if not math.isnan(v)), default=math.inf)
        saved.append(_Checkpoint(output / "best.keras", "val_loss", best))
    generators = [g for g in (data, validation) if g is not None]
    with ExitStack() as stack, naming_failures(*generators):
        for generator in generators:
            stack.callback(generator.close)
        history = model.fit(
            data,
            epochs=epochs,
            initial_epoch=initial_epoch,
            validation_data=validation,
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
    _warn_of_nan(history, output)
    return history


def loss_of(model: keras.Model, **options: Any) -> SSDLoss:
    """The `SSDLoss` that fits a model of this package: it reads the class logits as the decoder will.

    Args:
        model: a model built for training.
        **options: more arguments of `SSDLoss`.
    """
    return SSDLoss(activation=activation_of(model), **options)


def _batches(model, dataset, name, *, batch_size, augmentation, seed):
    """A generator of training batches: the given one, or one that is made for the data set."""
    if isinstance(dataset, DataGenerator):
        given = {"batch_size": batch_size, "augmentation": augmentation}
        for option, value in given.items():
            if value is not None:
                raise ValueError(f"train: {option} belongs to the DataGenerator that was passed as {name}")
        _check_fit(model, dataset, name)
        return dataset
    if not isinstance(dataset, DetectionDataset):
        raise TypeError(
            f"train: {name} must be a DetectionDataset, or a DataGenerator with an encoder, got "
            f"{type(dataset).__name__}"
        )
    _check_classes(model, dataset, name)
    size = anchors_of(model).image_size
    if augmentation is None:
        preset = ssdlite_augmentation if model.name.startswith("ssdlite") else ssd_augmentation
        augmentation = preset(size)
    batch_size = min(BATCH_SIZE, max(len(dataset), 1)) if batch_size is None else batch_size
    encoder = GroundTruthEncoder(model, sparse=True)
    return DataGenerator(dataset, batch_size, augmentation, encoder, seed=seed)


def _validation_batches(model, dataset, batch_size):
    """A generator of whole images in their order, for the validation."""
    if isinstance(dataset, DataGenerator):
        return _batches(model, dataset, "validation_data", batch_size=None, augmentation=None, seed=0)
    plain = resize_only(anchors_of(model).image_size)
    data = _batches(model, dataset, "validation_data", batch_size=batch_size, augmentation=plain, seed=0)
    data.shuffle = False
    return data


def _compile(model, optimizer, loss, steps, resumed):
    """Compiles the model, unless it is compiled and no optimizer is given: then it goes on as it is."""
    if optimizer is None and model.compiled:
        if loss is not None:
            raise ValueError(
                "train: a loss needs an optimizer; the model is compiled, and without an optimizer its own "
                "loss goes on"
            )
        _check_loss(model, model.loss)
        return
    if optimizer is None and resumed:
        raise ValueError(
            "train: the model is not compiled, so it holds no state to resume from; load last.keras, or pass "
            "an optimizer"
        )
    loss = loss or _default_loss(model)
    _check_loss(model, loss)
    optimizer = optimizer or default_optimizer(model, steps)
    model.compile(optimizer=optimizer, loss=loss, metrics=loss.metrics())


def _default_loss(model):
    """Mining would first shift every score of a detector that was trained with the focal loss."""
    return SSDFocalLoss(alpha=0.75) if activation_of(model) == "sigmoid" else loss_of(model)


def _warn_of_nan(history, output):
    final = history.history["loss"][-1]
    if not math.isfinite(final):
        warnings.warn(
            f"train: the loss became {final} in epoch {history.epoch[-1] + 1}; lower the learning rate. "
            f"{output} keeps what was saved after the epochs before.",
            stacklevel=3,
        )


def _set_epoch(data, epoch, logs=None):
    data.epoch = epoch  # whatever it has been used for before


class _Checkpoint(keras.callbacks.Callback):
    """Saves the model after each epoch, or after those with the lowest monitored value.

    A model whose loss has become NaN does not replace a good one, and neither does half a file: the file is
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


def _check_classes(model, dataset, name):
    if num_classes_of(model) != dataset.num_classes:
        raise ValueError(
            f"train: the model has {num_classes_of(model)} classes, {name} {dataset.num_classes} "
            f"({', '.join(dataset.class_names)})"
        )


def _check_fit(model, generator, name):
    """Whether a generator that was made elsewhere makes the model's targets."""
    if generator.encoder is None:
        raise ValueError(f"train: {name} has no encoder; make it with GroundTruthEncoder(model)")
    encoder = generator.encoder
    classes = num_classes_of(model)
    if classes != encoder.num_classes:
        raise ValueError(
            f"train: the model has {classes} classes, the encoder of {name} {encoder.num_classes}"
        )
    if anchors_of(model) != encoder.anchors:
        raise ValueError(
            f"train: the encoder of {name} has other anchors than the model; make it with "
            "GroundTruthEncoder(model)"
        )
    names = class_names_of(model)
    if names is not None and names != generator.dataset.class_names:
        difference = class_difference("the model", names, name, generator.dataset.class_names)
        raise ValueError(f"train: {difference}; make the encoder with GroundTruthEncoder(model)")


def _check_loss(model, loss):
    """Losses without an activation are not of this package and are not checked."""
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
            f"or resume with {log.parent / 'last.keras'} and initial_epoch={done}"
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
