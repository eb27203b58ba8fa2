"""Compiles a model for `train`: its optimizer and its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ..arguments import checked
from ..data_generator import DataGenerator
from ..layers.multibox import unwrapped
from ..losses import SSDFocalLoss, SSDLoss
from ..losses.detection_loss import DetectionLoss
from ..models.detector import activation_of, anchors_of, class_weights_of
from ..recipes import default_optimizer
from .batches import batch_size_of, number_of_steps
from .skip import scaling, skipping

# Of the box losses that compare overlaps. 1 is too little for their short gradients; with 10 the first steps
# are as long as with smooth L1: see docs/train.md.
OVERLAP_WEIGHT = 5.0


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
    return SSDLoss(activation=activation_of(model), **_with_anchors(model, options))


def _with_anchors(model, options):
    """Options of a loss, with the model's anchors if the box loss needs some."""
    if options.get("box_loss", "smooth_l1") == "smooth_l1":
        return options
    return {"anchors": anchors_of(model), **options}


def compile_model(model, data, optimizer, loss, recipe, *, epochs, on_nan):
    """Compiles the model. A compiled model keeps its optimizer and loss if no optimizer is given."""
    if optimizer is None and recipe is None and model.compiled:
        if loss is not None:
            raise ValueError(
                "train: a loss needs an optimizer, because without one a compiled model keeps its own loss"
            )
        _check_loss(model, model.loss)
        if on_nan == "skip" and skipping(model.optimizer) is not model.optimizer:
            raise ValueError('train: on_nan="skip" needs an optimizer=, which it can wrap')
        if _computes_in_float16(model):
            check_scaling(model, optimizer, recipe)
        return
    if loss is None:
        loss = _loss_of_recipe(model, recipe)
    _check_loss(model, loss)
    given = optimizer is not None
    optimizer = _optimizer(optimizer) if given else _chosen_optimizer(model, data, recipe, epochs)
    if _computes_in_float16(model):
        # Keras itself scales the loss only for models that were built in float16, not for those cast to it.
        optimizer = scaling(optimizer)
    elif on_nan == "skip":
        optimizer = skipping(optimizer)
    metrics = loss.metrics() if isinstance(loss, DetectionLoss) else None
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)


def check_scaling(model, optimizer, recipe):
    """Raises ValueError if a model in float16 is to keep an optimizer that does not scale the loss."""
    keeps = optimizer is None and recipe is None and model.compiled
    if keeps and scaling(model.optimizer) is not model.optimizer:
        raise ValueError("train: float16 needs an optimizer=, which it can wrap in LossScaleOptimizer")


def _computes_in_float16(model):
    return any(layer.compute_dtype == "float16" for layer in unwrapped(model).layers)


def _chosen_optimizer(model, data, recipe, epochs):
    steps = number_of_steps(data)
    if steps is None:
        raise ValueError("train: the length of the tf.data.Dataset is unknown, so pass an optimizer")
    if recipe is None:
        return default_optimizer(model, epochs * steps)
    # A batch is smaller than it was asked to be if there are fewer images.
    is_generator = isinstance(data, DataGenerator)
    batch_size = data.num_samples_in(0) if is_generator else batch_size_of(data) or recipe.batch_size
    return recipe.build_optimizer(model, epochs * steps, batch_size)


def _optimizer(optimizer):
    try:
        return keras.optimizers.get(optimizer)
    except ValueError:
        raise ValueError(
            f"train: optimizer must be a Keras optimizer or the name of one, got {optimizer!r}"
        ) from None


def _loss_of_recipe(model, recipe):
    if recipe is None:
        return _default_loss(model)
    weight = recipe.localization_weight
    if weight is None:
        weight = 1.0 if recipe.box_loss == "smooth_l1" else OVERLAP_WEIGHT
    return _LOSSES[recipe.loss](model, box_loss=recipe.box_loss, localization_weight=weight)


def _focal_loss(model, **options):
    if (activation := activation_of(model)) != "sigmoid":
        raise ValueError(f"train: the focal loss is for sigmoid scores, the model's are {activation}")
    return SSDFocalLoss(alpha=0.75, **_with_anchors(model, options))


def _default_loss(model, **options):
    """Focal loss for sigmoid scores. Mining would shift all scores of a model trained with focal loss."""
    return _focal_loss(model, **options) if activation_of(model) == "sigmoid" else loss_of(model, **options)


_LOSSES = {None: _default_loss, "focal": _focal_loss, "mining": loss_of}  # as a `Recipe` names them


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


def check_rate(model, callbacks):
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


def check_accumulation(model: keras.Model, devices: Sequence[str]) -> None:
    """Refuses an optimizer that accumulates gradients on several devices, where TensorFlow cannot do so."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if devices and keras.backend.backend() == "tensorflow" and optimizer.gradient_accumulation_steps:
        raise ValueError(
            "train: devices: TensorFlow cannot accumulate gradients on several devices; set "
            "KERAS_BACKEND=jax, or make the optimizer without gradient_accumulation_steps"
        )
