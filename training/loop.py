"""The training loop: compiles a model, fits it, and saves the log and the checkpoints of a run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import keras

from .. import limits
from ..arguments import checked
from ..data_generator import DataGenerator, DetectionDataset, SampleTransform
from ..data_generator.batches.generator import naming_failures
from ..deprecated import renamed_arguments
from ..layers.multibox import multibox_of
from ..losses import SSDFocalLoss, SSDLoss
from ..models.detector import activation_of, anchors_of, class_weights_of, is_detector
from ..recipes import default_optimizer
from .batches import check_objects, number_of_steps, take_over, training_batches, validation_batches
from .best import in_order, measured
from .diagnosis import diagnose
from .fit import EpochNumber, RunCallbacks, fit
from .interruption import noted_signals
from .keeper import RunKeeper
from .lock import locked
from .resume import begin, check_callbacks, check_free, check_restoring, end_again, with_earlier
from .skip import SkipBadSteps, skipping
from .state import restore_model

if TYPE_CHECKING:
    from tensorflow.data import Dataset as DatasetV2  # the name that tf.data.Dataset has at run time


@renamed_arguments(data="dataset")
@checked(epochs=1, batch_size=limits.BATCH_SIZE, checkpoint_minutes=0, seed=0)
def train(
    model: keras.Model,
    dataset: DetectionDataset | DataGenerator | keras.utils.PyDataset | DatasetV2,
    output: str | os.PathLike[str],
    *,
    epochs: int,
    validation_data: DetectionDataset | DataGenerator | keras.utils.PyDataset | DatasetV2 | None = None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    batch_size: int | None = None,
    augmentation: SampleTransform | Callable | None = None,
    loss: keras.losses.Loss | None = None,
    best_by: Literal["val_map", "val_loss"] | None = None,
    resume: bool = False,
    checkpoint_minutes: float = 10.0,
    on_nan: Literal["stop", "skip"] = "stop",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 0,
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Trains a detector with `model.fit`.

    The folder `output` gets these files:

    * `last.keras`: the model with the state of the optimizer, and with all that a resumed run needs. Written
      before the first step, after each epoch, and every `checkpoint_minutes` within an epoch.
    * `best.keras`: the model with the highest mAP on the validation data, see `best_by`.
    * `history.csv`: the losses and the mAP of each epoch that `last.keras` has finished.

    A run that ended early, for whatever reason, goes on with `resume=True` where `last.keras` left it: at the
    same step, with the same images, rates, averages and running losses. What is lost is the time since then.
    The result is that of a run without interruption, to the last bit on one machine and backend.

    Ctrl-C and SIGTERM end a run after the step in hand: `last.keras` is written, then KeyboardInterrupt or
    SystemExit(143) is raised. A second signal ends it at once.

    If the loss or a weight becomes NaN, training stops with a warning that names the likely cause. The files
    keep the last good weights, and the model has them again. The folder `diagnosis` shows the images of the
    step with their boxes, and the largest activations and gradients, see `training.diagnosis`.

    A model without class names gets those of the data set, and every model its `value_range`, with which
    `detect` then reads images. With an optimizer that averages weights (`use_ema=True`), all that follows an
    epoch is of the averages: the validation loss, the mAP, what callbacks see, the files, and the model that
    `train` leaves behind.

    Args:
        model: a model built for training.
        dataset: a `DetectionDataset` with the model's classes; or a `DataGenerator` with an encoder, whose
            `epoch` is set to that of `fit`; or another PyDataset or tf.data.Dataset of (images, targets):
            such a run can only go on at the beginning of an epoch.
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
        best_by: what decides about `best.keras`. "val_map": the highest mAP, which `MeanAveragePrecision`
            measures after each epoch; that takes as long as `predict_dataset` on the validation data.
            "val_loss": the lowest validation loss. None: "val_map" if the validation data are a
            `DetectionDataset` or `DataGenerator` with objects that count, or if there is such a callback.
        resume: True: go on with the run in `output`, or begin one if there is none. Call `train` with the
            same arguments as before; `epochs` may be larger.
        checkpoint_minutes: time between two checkpoints within an epoch.
        on_nan: "stop", or "skip" to leave out a step whose loss or gradients are not finite, up to ten or a
            tenth of an epoch's steps. The log then has a column `skipped_steps`. The optimizer is wrapped in
            `keras.optimizers.LossScaleOptimizer`.
        callbacks: more Keras callbacks. They run after the mAP is measured, and before the files of an epoch
            are written. Their state (numbers, strings and arrays among their attributes) is kept for a
            resumed run. A `MeanAveragePrecision` among them replaces that of `train`.
        seed: seed of the order of the images and of the augmentation.
        verbose: as in `fit`.

    Returns:
        The `keras.callbacks.History` of all epochs, also those of earlier runs.

    Raises:
        FileExistsError: if `output` holds a run and `resume` is False, or another run trains into it now.
        ImageError: for an image that cannot be read; the message names it.
        TypeError: for an argument of another kind; names it.
        ValueError: if model, data, loss and callbacks do not fit together; for a data set without images or
            objects, or with relative boxes; for a loss without an optimizer, if the model is compiled; for a
            damaged `last.keras`, or one of another network, optimizer or, within an epoch, other data.
    """
    multibox_of(model)  # refuses anything but a model of this package
    output = Path(output)
    if is_detector(model):
        raise ValueError('train: the model is built for inference; build it with mode="training"')
    options = {"batch_size": batch_size, "augmentation": augmentation}
    data = training_batches(model, dataset, "dataset", seed=seed, **options)
    if isinstance(data, DataGenerator):
        check_objects(data.dataset)
    validation = None
    if validation_data is not None:
        validation = validation_batches(model, validation_data, batch_size)
    take_over(model, data, validation)
    _compile(model, optimizer, loss, epochs, number_of_steps(data), on_nan)
    _check_rate(model, callbacks)
    check_restoring(callbacks)
    measuring, best_by = measured(best_by, validation, callbacks)
    with ExitStack() as stack:
        for generator in (data, validation):
            if isinstance(generator, DataGenerator):
                stack.callback(generator.close)
        if not resume:
            check_free(output)
        stack.enter_context(locked(output))
        state = begin(model, data, output, resume)
        stack.enter_context(naming_failures(data, validation))
        return _run(
            model,
            data,
            validation,
            output,
            state,
            epochs=epochs,
            minutes=checkpoint_minutes,
            skips=on_nan == "skip",
            callbacks=in_order(model, measuring, callbacks),
            best_by=best_by,
            verbose=verbose,
        )


def _run(model, data, validation, output, state, *, epochs, minutes, skips, callbacks, best_by, verbose):
    """Fits a compiled model from a state on, and keeps the files of the run."""
    rows, bad = list(state.rows), []
    others = list(callbacks)
    if skips:
        others.insert(0, SkipBadSteps(bad))
    if max(state.epoch, state.stopped) >= epochs:
        end_again(model, others, state)
        return with_earlier(rows, keras.callbacks.History())
    check_callbacks(others, state)
    last = output / "last.keras"
    with noted_signals() as interruption:
        keeper = RunKeeper(
            output,
            state,
            others,
            steps=len(data) if state.data else None,
            minutes=minutes,
            interruption=interruption,
            checks_steps=not skips,
            best_by=best_by,
            bad=bad,
        )
        every = RunCallbacks(
            [EpochNumber(data), *others, keeper],
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=number_of_steps(data),
        )
        history = fit(
            model, data, every, state, last, epochs=epochs, validation_data=validation, verbose=verbose
        )
        if interruption.signal is not None:
            interruption.end()
    if bad:
        _stop_at(bad[0], model, data, output)
    return with_earlier(rows, history)


@checked()
def loss_of(model: keras.Model, **options: Any) -> SSDLoss:
    """The `SSDLoss` for a model of this package, with the activation that the model's decoder uses.

    Args:
        model: a model built for training.
        **options: more arguments of `SSDLoss`. `class_weights` may be a dictionary by class name, see
            `class_weights_of`. A `box_loss` that needs `anchors` gets the model's.
    """
    if isinstance(options.get("class_weights"), Mapping):
        options["class_weights"] = class_weights_of(model, options["class_weights"])
    if options.get("box_loss", "smooth_l1") != "smooth_l1":
        options.setdefault("anchors", anchors_of(model))
    return SSDLoss(activation=activation_of(model), **options)


def _compile(model, optimizer, loss, epochs, steps, on_nan):
    """Compiles the model. A compiled model keeps its optimizer and loss if no optimizer is given."""
    if optimizer is None and model.compiled:
        if loss is not None:
            raise ValueError(
                "train: a loss needs an optimizer, because without one a compiled model keeps its own loss"
            )
        _check_loss(model, model.loss)
        if on_nan == "skip" and skipping(model.optimizer) is not model.optimizer:
            raise ValueError('train: on_nan="skip" needs an optimizer=, which it can wrap')
        return
    if optimizer is None and steps is None:
        raise ValueError("train: the length of the tf.data.Dataset is unknown, so pass an optimizer")
    loss = loss or _default_loss(model)
    _check_loss(model, loss)
    optimizer = default_optimizer(model, epochs * steps) if optimizer is None else _optimizer(optimizer)
    if on_nan == "skip":
        optimizer = skipping(optimizer)
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


def _check_loss(model, loss):
    """Checks the activation and the anchors of a loss. Losses of other packages have none of them."""
    expected = activation_of(model)
    given = getattr(loss, "activation", expected)
    if given != expected:
        raise ValueError(
            f"train: the loss is for {given} scores, the model's are {expected}; use "
            f'SSDLoss(activation="{expected}") or loss_of(model)'
        )
    anchors = getattr(loss, "anchors", None)
    if anchors is not None and anchors != anchors_of(model):
        raise ValueError(
            "train: the loss has other anchors than the model; make it with loss_of(model, box_loss=...) or "
            "anchors=multibox.anchors_of(model)"
        )


def _check_rate(model, callbacks):
    """Refuses callbacks that would fail at the end of the first epoch, or later."""
    changing = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    for callback in callbacks:
        if isinstance(callback, changing):
            try:
                model.optimizer.learning_rate = float(model.optimizer.learning_rate)
            except TypeError:
                raise ValueError(
                    f"train: {type(callback).__name__} cannot change the learning rate of this optimizer, "
                    "which follows a schedule; pass an optimizer with a number, such as "
                    "keras.optimizers.Adam(1e-3)"
                ) from None


def _stop_at(bad, model, data, output):
    """Puts the last good weights into a model whose training went wrong, and warns."""
    epoch, step, what = bad
    last = output / "last.keras"
    restore_model(last, model)
    folder = output / "diagnosis"
    cause = diagnose(model, data, folder, epoch=epoch, step=step, what=what)
    warnings.warn(
        f"train: {what} is not finite in epoch {epoch + 1}, step {step + 1}: {cause}. {last} and the model "
        f"have the last good weights; {folder} shows the batch",
        stacklevel=5,  # beyond both decorators of `train`
    )
