"""The training loop: compiles a model, fits it, and saves the log and the checkpoints of a run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import keras

from .. import limits
from ..arguments import checked
from ..data_generator import DataGenerator, DetectionDataset, SampleTransform
from ..data_generator.batches.generator import naming_failures
from ..deprecated import renamed_arguments
from ..layers.multibox import multibox_of
from ..losses.detection_loss import DetectionLoss
from ..models.detector import is_detector
from ..models.precision import Precision, chosen_precision, set_precision
from ..recipes import Recipe, find_recipe
from . import processes
from .batches import check_objects, number_of_steps, take_over, training_batches, validation_batches
from .best import in_order, measured
from .compiling import check_accumulation, check_rate, check_scaling, compile_model
from .devices import check_batches, chosen_devices, on_devices
from .diagnosis import diagnose
from .fit import EpochNumber, RunCallbacks, fit, in_this_process
from .interruption import noted_signals
from .keeper import RunKeeper
from .known import fitting_recipe, goes_on, precision_of
from .lock import locked
from .resume import begin, check_callbacks, check_free, check_restoring, end_again, with_earlier
from .skip import SkipBadSteps
from .state import restore_model

if TYPE_CHECKING:
    from tensorflow.data import Dataset as DatasetV2  # the name that tf.data.Dataset has at run time


@renamed_arguments(data="dataset")
@checked(epochs=1, batch_size=limits.BATCH_SIZE, checkpoint_minutes=0, seed=0, devices=1)
def train(
    model: keras.Model,
    dataset: DetectionDataset | DataGenerator | keras.utils.PyDataset | DatasetV2,
    output: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    recipe: Recipe | str | None = None,
    validation_data: DetectionDataset | DataGenerator | keras.utils.PyDataset | DatasetV2 | None = None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    batch_size: int | None = None,
    devices: int | Literal["all"] | None = None,
    augmentation: SampleTransform | Callable | None = None,
    loss: keras.losses.Loss | None = None,
    precision: Precision | None = None,
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

    A model that already finds the objects keeps more of what it knows if it is trained otherwise, at a lower
    rate for example. `train` with a recipe that says how (`Recipe.known`), and without an optimizer, first
    measures the mAP on 100 of the training images (IoU 0.5). From 0.3 on, it takes
    `recipe.for_known_objects()`.

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
        epochs: number of the last epoch. Epochs are counted from the start of the first run. None: that of
            the recipe.
        recipe: a `multibox.recipes.Recipe` or the name of one, such as "finetune". It chooses what is not
            passed: epochs, optimizer, batch size, augmentation, loss and precision.
        validation_data: like `dataset`, or None.
        optimizer: a Keras optimizer, or the name of one. None: that of the recipe, or of the model if it is
            compiled, otherwise `recipes.default_optimizer`.
        batch_size: images per step; None: that of the recipe, or 16; all images if there are fewer. A
            `DataGenerator` has its own batch size, augmentation and seed.
        devices: number of devices that share each batch, or "all" of this machine, with TensorFlow and JAX.
            The result is that of one device, see docs/devices.md; the learning rate is not changed. None:
            one device. Where JAX or PyTorch runs in several processes, "all" are those of all of them.
        augmentation: a `SampleTransform` for the training images, or `Stages` of two. None: that of the
            recipe, if it has one; otherwise `ssdlite_augmentation` of torchvision for SSDLite,
            `ssd_augmentation` for the other models, at the model's image size.
        loss: a Keras loss. None: that of the recipe, if it has one; otherwise `SSDFocalLoss(alpha=0.75)` for
            sigmoid scores, with which the published SSD MobileNet was trained, and `loss_of(model)`. Losses
            that are no `DetectionLoss` get dense targets, in the layout of the model's output.
        precision: "auto" for the fastest one, see `fastest_precision`, or a policy of Keras. The model keeps
            it, also in its files; `cast_model` copies it into another one. None: that of the recipe, if it
            has one, or of the model; in a resumed run, that of the run.
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
            damaged `last.keras`, or one of another network, optimizer or, within an epoch, other data; for
            more devices than there are, or batches that they cannot share evenly.
    """
    multibox_of(model)  # refuses anything but a model of this package
    output = Path(output)
    if is_detector(model):
        raise ValueError('train: the model is built for inference; build it with mode="training"')
    names = chosen_devices(devices)
    recipe = None if recipe is None else find_recipe(recipe, owner="train")
    if epochs is None:
        epochs = _epochs(recipe)
    options = {"batch_size": batch_size, "augmentation": augmentation, "recipe": recipe, "epochs": epochs}
    sparse = options["sparse"] = loss is None or isinstance(
        loss, DetectionLoss
    )  # others do not expand targets
    data = training_batches(model, dataset, "dataset", seed=seed, **options)
    if isinstance(data, DataGenerator):
        check_objects(data.dataset)
    validation = None
    if validation_data is not None:
        validation = validation_batches(model, validation_data, batch_size, sparse)
    check_batches((data, validation), len(names))
    take_over(model, data, validation)
    if not resume:
        processes.of_first(lambda: check_free(output))
    if precision is None and recipe is not None:
        precision = processes.of_first(lambda: precision_of(recipe, output, resume=resume))
    if precision is not None:
        precision = chosen_precision(model, precision, "train")
        if precision == "mixed_float16":
            check_scaling(model, optimizer, recipe)
        set_precision(model, precision, "train")
    measures = optimizer is None  # otherwise the rate is the user's
    if measures and (fitting := fitting_recipe(recipe, model, dataset, output, resume=resume)) != recipe:
        if verbose and processes.is_first() and not goes_on(output, resume):
            _tell_changes(recipe, dataset, batch_size=batch_size, augmentation=augmentation)
        recipe = options["recipe"] = fitting
        data = training_batches(model, dataset, "dataset", seed=seed, **options)
        check_batches([data], len(names))
    compile_model(model, data, optimizer, loss, recipe, epochs=epochs, on_nan=on_nan)
    check_rate(model, callbacks)
    check_accumulation(model, names)
    check_restoring(callbacks)
    places = on_devices(model, names)
    measuring, best_by = measured(best_by, validation, callbacks)
    with ExitStack() as stack:
        for generator in (data, validation):
            if isinstance(generator, DataGenerator):
                stack.callback(generator.close)
        processes.of_first(lambda: stack.enter_context(locked(output)))
        state = begin(model, data, output, resume)
        state.recipe = recipe.name if recipe else ""
        state.precision = precision or ""
        stack.enter_context(naming_failures(data, validation))
        history = _run(
            model,
            data,
            validation,
            output,
            state,
            devices=places,
            epochs=epochs,
            minutes=checkpoint_minutes,
            skips=on_nan == "skip",
            callbacks=in_order(model, measuring, callbacks),
            best_by=best_by,
            verbose=verbose if processes.is_first() else 0,
        )
        processes.wait()
    return history


def _tell_changes(recipe, dataset, **passed):
    """Says what a recipe has changed for known objects, but for what was passed or a generator has itself."""
    is_whole = isinstance(dataset, DetectionDataset)
    kept = {name for name, value in passed.items() if value is not None or not is_whole}
    changes = [f"{name} {value}" for name, value in recipe.known.items() if name not in kept]
    print(f"train: the model already finds the objects; {recipe.name} uses {', '.join(changes)}")


def _epochs(recipe):
    if recipe is None:
        raise ValueError('train: pass epochs=, or recipe= such as "finetune"')
    return recipe.epochs


def _run(
    model, data, validation, output, state, *, devices, epochs, minutes, skips, callbacks, best_by, verbose
):
    """Fits a compiled model from a state on, and keeps the files of the run."""
    rows, bad = list(state.rows), []
    others = list(callbacks)
    if skips:
        others.insert(0, SkipBadSteps(bad))
    if max(state.epoch, state.stopped) >= epochs:
        end_again(model, others, state)
        return with_earlier(rows, keras.callbacks.History())
    check_callbacks(others, state)
    others = in_this_process(others)
    last = output / "last.keras"
    agreement = processes.Agreement()
    with noted_signals() as interruption, processes.own_parts(data, validation):
        keeper = RunKeeper(
            output,
            state,
            others,
            steps=len(data) if state.data else None,
            minutes=minutes,
            interruption=interruption,
            agreement=agreement,
            checks_steps=not skips,
            best_by=best_by,
            devices=devices,
            bad=bad,
        )
        every = RunCallbacks(
            [EpochNumber(data, validation), *others, keeper],
            devices=devices,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=number_of_steps(data),
        )
        history = fit(
            model,
            data,
            every,
            state,
            last,
            epochs=epochs,
            validation_data=validation,
            verbose=verbose,
            devices=devices,
        )
        signal, *_ = agreement(interruption.signal, False, False, wait=True)
        if signal:
            interruption.end(signal)
    if bad:
        _stop_at(bad[0], model, data, output)
    return with_earlier(rows, history)


def _stop_at(bad, model, data, output):
    """Puts the last good weights into a model whose training went wrong, and warns."""
    epoch, step, what = bad
    last = output / "last.keras"
    restore_model(last, model)
    folder = output / "diagnosis"
    cause = processes.of_first(lambda: diagnose(model, data, folder, epoch=epoch, step=step, what=what))
    warnings.warn(
        f"train: {what} is not finite in epoch {epoch + 1}, step {step + 1}: {cause}. {last} and the model "
        f"have the last good weights; {folder} shows the batch",
        stacklevel=5,  # beyond both decorators of `train`
    )
