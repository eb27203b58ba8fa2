"""The training loop: compiles a model, fits it, and saves the log and the checkpoints of a run."""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import keras

from . import limits
from .arguments import checked
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
from .models.detector import (
    activation_of,
    anchors_of,
    channels_of,
    class_names_of,
    class_weights_of,
    is_detector,
    num_classes_of,
    set_value_range,
)
from .recipes import default_optimizer

BATCH_SIZE = 16


@renamed_arguments(data="dataset")
@checked(epochs=1, batch_size=limits.BATCH_SIZE, initial_epoch=0, seed=0)
def train(
    model: keras.Model,
    dataset: DetectionDataset | DataGenerator,
    output: str | os.PathLike[str],
    *,
    epochs: int,
    validation_data: DetectionDataset | DataGenerator | None = None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    batch_size: int | None = None,
    augmentation: SampleTransform | Callable | None = None,
    loss: keras.losses.Loss | None = None,
    initial_epoch: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 0,
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Trains a detector with `model.fit`.

    The folder `output` gets these files:

    * `history.csv`: the losses of each epoch; a resumed run appends to it.
    * `last.keras`: the model after the latest epoch, with the state of the optimizer.
    * `best.keras`: the model with the lowest validation loss, if there are validation data.

    If the loss becomes NaN, training stops with a warning and the files of the last good epoch are kept.

    To resume, load `last.keras` and pass the number of finished epochs as `initial_epoch`.

    A model without class names gets those of the data set, and every model its `value_range`, with which
    `detect` then reads images.

    Args:
        model: a model built for training.
        dataset: a `DetectionDataset` with the model's classes; or a `DataGenerator` with an encoder, whose
            `epoch` is set to that of `fit`.
        output: path of the output folder.
        epochs: number of the last epoch. Epochs are counted from the start of the first run.
        validation_data: like `dataset`, or None.
        optimizer: a Keras optimizer, or the name of one. None: that of the model if it is compiled, otherwise
            `recipes.default_optimizer`.
        batch_size: images per step; None: 16, or all images if there are fewer. A `DataGenerator` has its own
            batch size, augmentation and seed.
        augmentation: a `SampleTransform` for the training images. None: `ssdlite_augmentation` of torchvision
            for SSDLite, `ssd_augmentation` for the other models, at the model's image size.
        loss: a Keras loss. None: `SSDFocalLoss(alpha=0.75)` for sigmoid scores, with which the published SSD
            MobileNet was trained; otherwise `loss_of(model)`.
        initial_epoch: number of epochs that earlier runs have finished.
        callbacks: more Keras callbacks.
        seed: seed of the order of the images and of the augmentation.
        verbose: as in `fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        FileExistsError: if the number of epochs in `output` is not `initial_epoch`. This prevents overwriting
            a run or resuming it at the wrong epoch.
        ImageError: for an image that cannot be read; the message names it.
        TypeError: for an argument of another kind; names it.
        ValueError: if model, data and loss do not fit together; for a data set without images or objects; if
            no epoch is left to train; for a loss without an optimizer, if the model is compiled; and for a
            resumed run whose model is not compiled.
    """
    multibox_of(model)  # refuses anything but a model of this package
    output = Path(output)
    log = output / "history.csv"
    if is_detector(model):
        raise ValueError('train: the model is built for inference; build it with mode="training"')
    options = {"batch_size": batch_size, "augmentation": augmentation}
    data = _batches(model, dataset, "dataset", seed=seed, **options)
    _check_objects(data.dataset)
    validation = None
    if validation_data is not None:
        validation = _validation_batches(model, validation_data, batch_size)
    _check_pixels(model, data.dataset, (validation or data).dataset)
    _check_epochs(log, initial_epoch, epochs)
    _compile(model, optimizer, loss, epochs * len(data), resumed=initial_epoch > 0)
    if class_names_of(model) is None:
        multibox_of(model).class_names = data.dataset.class_names
    set_value_range(model, data.dataset.pixels.value_range)
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
            shuffle=False,  # the generator shuffles images itself, reproducibly in resumed runs
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


@checked()
def loss_of(model: keras.Model, **options: Any) -> SSDLoss:
    """The `SSDLoss` for a model of this package, with the activation that the model's decoder uses.

    Args:
        model: a model built for training.
        **options: more arguments of `SSDLoss`. `class_weights` may be a dictionary by class name, see
            `class_weights_of`.
    """
    if isinstance(options.get("class_weights"), Mapping):
        options["class_weights"] = class_weights_of(model, options["class_weights"])
    return SSDLoss(activation=activation_of(model), **options)


def _batches(model, dataset, name, *, batch_size, augmentation, seed):
    """A generator of training batches: the given one, or a new one for a data set."""
    if isinstance(dataset, DataGenerator):
        given = {"batch_size": batch_size, "augmentation": augmentation}
        for option, value in given.items():
            if value is not None:
                raise ValueError(f"train: {option} belongs to the DataGenerator that was passed as {name}")
        _check_fit(model, dataset, name)
        return dataset
    _check_classes(model, dataset, name)
    size = anchors_of(model).image_size
    if augmentation is None:
        preset = ssdlite_augmentation if model.name.startswith("ssdlite") else ssd_augmentation
        augmentation = preset(size)
    batch_size = min(BATCH_SIZE, max(len(dataset), 1)) if batch_size is None else batch_size
    encoder = GroundTruthEncoder(model, sparse=True)
    return DataGenerator(dataset, batch_size, augmentation, encoder, seed=seed)


def _validation_batches(model, dataset, batch_size):
    """A generator of validation batches: whole images, not shuffled."""
    if isinstance(dataset, DataGenerator):
        return _batches(model, dataset, "validation_data", batch_size=None, augmentation=None, seed=0)
    plain = resize_only(anchors_of(model).image_size)
    data = _batches(model, dataset, "validation_data", batch_size=batch_size, augmentation=plain, seed=0)
    data.shuffle = False
    return data


def _compile(model, optimizer, loss, steps, resumed):
    """Compiles the model. A compiled model keeps its optimizer and loss if no optimizer is given."""
    if optimizer is None and model.compiled:
        if loss is not None:
            raise ValueError(
                "train: a loss needs an optimizer, because without one a compiled model keeps its own loss"
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
    optimizer = default_optimizer(model, steps) if optimizer is None else _optimizer(optimizer)
    model.compile(optimizer=optimizer, loss=loss, metrics=loss.metrics())


def _optimizer(optimizer):
    try:
        return keras.optimizers.get(optimizer)
    except ValueError:
        raise ValueError(
            f"train: optimizer must be a Keras optimizer or the name of one, got {optimizer!r}"
        ) from None


def _default_loss(model):
    """Focal loss for sigmoid scores. Mining would shift all scores of a model trained with focal loss."""
    return SSDFocalLoss(alpha=0.75) if activation_of(model) == "sigmoid" else loss_of(model)


def _warn_of_nan(history, output):
    final = history.history["loss"][-1]
    if not math.isfinite(final):
        warnings.warn(
            f"train: the loss became {final} in epoch {history.epoch[-1] + 1}; lower the learning rate. "
            f"{output} contains the model of the last good epoch.",
            stacklevel=5,  # beyond both decorators of `train`
        )


def _set_epoch(data, epoch, logs=None):
    data.epoch = epoch  # the generator may have been used before


class _Checkpoint(keras.callbacks.Callback):
    """Saves the model after each epoch, or only after epochs with a new lowest monitored value.

    A model whose loss is NaN is not saved, so the file always has a good one.
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
            f"({', '.join(dataset.class_names)}); build the model with class_names=data.class_names"
        )


def _check_objects(dataset):
    """Refuses data without objects: they would only teach the model to find nothing."""
    if all(record.crowd.all() for record in dataset):
        raise ValueError(
            f"train: none of the {len(dataset)} images has an object to learn; are the annotations found? "
            "`multibox check` shows what was read"
        )


def _check_fit(model, generator, name):
    """Checks that the encoder of a given generator has the model's anchors and classes."""
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


def _check_pixels(model, training, validation):
    channels, found = channels_of(model), training.pixels.channels
    if channels != found:
        raise ValueError(
            f"train: the model takes {channels} channels, the images of {training.name} are read with "
            f"{found}; build the model with channels={found}, or use with_pixels(channels={channels})"
        )
    if training.pixels != validation.pixels:
        raise ValueError(
            f"train: the images of {training.name} are read with {training.pixels}, those of "
            f"{validation.name} with {validation.pixels}; use with_pixels(...) on both"
        )


def _check_loss(model, loss):
    """Checks the activation of a loss. Losses of other packages have none and are not checked."""
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
            f"train: epochs ({epochs}) must be greater than initial_epoch ({initial_epoch}); it counts from "
            "the start of the first run"
        )


def _rows(log):
    """The finished epochs in the log of earlier runs, without those whose loss was NaN."""
    if not log.exists():
        return []
    with log.open(newline="") as file:
        return [row for row in csv.DictReader(file) if math.isfinite(float(row["loss"]))]


def _val_loss(row):
    """The validation loss of an epoch, or NaN. Keras writes NA for an epoch without validation."""
    text = row.get("val_loss")
    return float(text) if text and text != "NA" else math.nan
