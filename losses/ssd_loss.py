"""The training loss of SSD (paper, section 2.2, equations 1 to 3).

From top to bottom: the localization loss, the two confidence losses, what every detection loss does with
them, and `SSDLoss`. Hard negative mining is in `mining.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
from keras import ops

from ..activations import check_activation
from ..arguments import checked
from ..deprecated import renamed_arguments
from .metrics import SSDLossPart
from .mining import MINING

SPARSE = 4 + 1  # columns of sparse targets: four offsets and a class id


def smooth_l1(errors):
    """Quadratic below 1, linear above (Girshick, "Fast R-CNN", equation 3)."""
    size = ops.abs(errors)
    return ops.where(size < 1, 0.5 * ops.square(size), size - 0.5)


def softmax_cross_entropy(classes, logits):
    """Cross-entropy over background and classes (equation 3).

    Args:
        classes: (..., 1 + num_classes) one-hot, background first.
        logits: (..., 1 + num_classes).

    Returns:
        (...), never negative; 0 for an all-zero row of classes.
    """
    return -ops.sum(classes * ops.log_softmax(logits, axis=-1), axis=-1)


def sigmoid_cross_entropy(classes, logits):
    """Binary cross-entropy, summed over the classes; shapes as `softmax_cross_entropy`.

    Background means that every class is absent, so the background column has nothing to learn.
    """
    cross_entropy = ops.binary_crossentropy(classes[..., 1:], logits[..., 1:], from_logits=True)
    return ops.sum(cross_entropy, axis=-1)


CONFIDENCE_LOSSES = {"softmax": softmax_cross_entropy, "sigmoid": sigmoid_cross_entropy}


class DetectionLoss(keras.losses.Loss):
    """Smooth L1 on the offsets of positives plus a confidence loss, which subclasses define.

    `y_true`: (batch, num_anchors, 4 + 1 + num_classes) as `GroundTruthEncoder` makes it. A row whose
    class part is all zero is neutral and ignored. `y_pred`: same shape, offsets and class *logits*.
    Sparse targets have the shape (batch, num_anchors, 4 + 1), with class id 0 for background and -1 for
    neutral. The loss expands them on its device.

    Both parts are divided by the number of positives in the batch. What divides a batch without any is the
    subclass' choice.

    A NaN in the predictions or in the targets makes the loss NaN, also where the anchor does not count, and
    so does a class id of sparse targets that is not a whole number from -1 to num_classes. A graph cannot
    raise an error.

    Pass `metrics=loss.metrics()` to `compile` to see the parts in the progress bar and in the CSV log;
    they add up to the loss without weight decay.

    Args:
        localization_weight: weight of the localization part (alpha of equation 1).
        activation: the model's activation, "softmax" or "sigmoid".
        class_weights: for each class, in the order of the labels 1, 2, ..., the weight of the confidence loss
            of its positives; None: 1 for each. The background has weight 1. Offsets are not weighted. They
            take the place of `class_weight=` of `fit`, which is for classifiers; with a `DataGenerator`, it
            ends with Keras' "only 0-dimensional arrays can be converted to Python scalars".

    Raises:
        ValueError: for a weight that is negative or not finite, an unknown activation, another reduction than
            "sum", or if targets and predictions differ in shape, or class_weights in number.
    """

    def __init__(self, localization_weight, activation, class_weights, name, **kwargs):
        # The division by the positives is the reduction; images are summed, not averaged.
        if (reduction := kwargs.pop("reduction", "sum")) != "sum":
            raise ValueError(
                f'{type(self).__name__}: reduction must be "sum": the loss is already divided by the number '
                f"of positive anchors; got {reduction!r}"
            )
        super().__init__(name=name, reduction="sum", **kwargs)
        self._check_not_negative(localization_weight=localization_weight)
        self.localization_weight = localization_weight
        self.class_weights = self._checked_weights(class_weights)
        self.activation = check_activation(activation, type(self).__name__)

    def confidence(self, classes, logits, positive, negative):
        """The confidence loss of the anchors that count, and what divides both parts of the loss.

        Args:
            classes: (batch, anchors, 1 + num_classes) one-hot, background first.
            logits: (batch, anchors, 1 + num_classes).
            positive: (batch, anchors) boolean, matched to an object.
            negative: (batch, anchors) boolean, background.

        Returns:
            ((batch, anchors), zero where an anchor does not count; a positive scalar).
        """
        raise NotImplementedError

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            self._check_sample_weight(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        parts = self.parts(y_true, y_pred)
        return parts["localization"] + parts["confidence"]

    def parts(self, y_true, y_pred):
        """{"localization": (batch,), "confidence": (batch,)}: each image's share of the two parts."""
        self._check(y_true, y_pred)
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        offsets, classes = y_true[..., :4], _one_hot(y_true[..., 4:], y_pred.shape[-1] - 4)
        positive = ops.max(classes[..., 1:], axis=-1) > 0  # (batch, anchors)
        negative = classes[..., 0] > 0  # (batch, anchors)

        confidence, divisor = self.confidence(classes, y_pred[..., 4:], positive, negative)
        if self.class_weights is not None:
            weights = ops.convert_to_tensor([1.0, *self.class_weights], "float32")
            confidence = confidence * ops.sum(classes * weights, axis=-1)
        localization = ops.sum(smooth_l1(y_pred[..., :4] - offsets), axis=-1)
        localization = ops.where(positive, localization, 0.0)
        parts = {
            "localization": self.localization_weight * ops.sum(localization, axis=1) / divisor,
            "confidence": ops.sum(confidence, axis=1) / divisor,
        }
        broken = _any_nan(y_pred) | _any_nan(classes)  # mining and neutral rows would hide it
        return {part: ops.where(broken, np.nan, value) for part, value in parts.items()}

    def metrics(self) -> list[SSDLossPart]:
        """The two parts as metrics for `compile`."""
        return [SSDLossPart(self, part) for part in ("localization", "confidence")]

    def _check(self, y_true, y_pred):
        true, pred = tuple(y_true.shape), tuple(y_pred.shape)
        known = len(true) == len(pred) == 3 and pred[-1] is not None and pred[-1] >= 6
        wanted = (*pred[:2], SPARSE if known and true[-1] == SPARSE else pred[-1])
        if not known or any(
            None not in pair and pair[0] != pair[1] for pair in zip(true, wanted, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__}: expected targets and predictions of one shape (batch, num_anchors, "
                f"4 + 1 + num_classes), or sparse targets (batch, num_anchors, {SPARSE}), got targets {true} "
                f"and predictions {pred}; encoder and model must share the anchor spec and num_classes"
            )
        if self.class_weights is not None and len(self.class_weights) != pred[-1] - 5:
            raise ValueError(
                f"{type(self).__name__}: class_weights: expected one weight for each of the model's "
                f"{pred[-1] - 5} classes, got {len(self.class_weights)}"
            )

    def _check_sample_weight(self, sample_weight):
        """Keras makes a weight for each anchor of `class_weight` of `fit`, from wrong columns."""
        shape = getattr(sample_weight, "shape", ())
        is_unknown = getattr(shape, "rank", 0) is None
        if is_unknown or (len(shape) > 1 and tuple(shape[1:]) != (1,)):
            raise ValueError(
                f"{type(self).__name__}: sample_weight must have one number for each image, (batch,), got "
                f"the shape {shape}. Does it come from class_weight= of fit? That is for classifiers; "
                "weights of classes are an argument of the loss: multibox.loss_of(model, class_weights=...)"
            )

    def _check_not_negative(self, **arguments):
        if not all(0 <= value < math.inf for value in arguments.values()):
            given = ", ".join(f"{name}={value}" for name, value in arguments.items())
            raise ValueError(f"{type(self).__name__}: must be finite and must not be negative, got {given}")

    def _checked_weights(self, class_weights):
        if class_weights is None:
            return None
        if isinstance(class_weights, dict):
            raise ValueError(
                f"{type(self).__name__}: class_weights: expected a sequence in the order of the labels, got "
                "a dictionary; multibox.class_weights_of(model, weights) makes one from names"
            )
        weights = tuple(float(weight) for weight in class_weights)
        self._check_not_negative(**{f"class_weights[{i}]": weight for i, weight in enumerate(weights)})
        return weights

    def get_config(self):
        config = super().get_config()
        config.pop("reduction")
        return {
            **config,
            "localization_weight": self.localization_weight,
            "activation": self.activation,
            "class_weights": None if self.class_weights is None else list(self.class_weights),
        }


@keras.saving.register_keras_serializable(package="multibox")
class SSDLoss(DetectionLoss):
    """Smooth L1 on the offsets of positives plus cross-entropy on positives and hard negatives.

    Targets, predictions and `metrics()`: see `DetectionLoss`. Both parts are divided by the number of
    positives in the batch. If that is less than the number of mined negatives / negative_ratio, they are
    divided by the latter instead, and at least by 1. So a batch with few objects or none does not make a
    larger step.

    Args:
        negative_ratio: hard negatives for each positive.
        min_negatives: fewest hard negatives mined in each image.
        mining: where hard negatives come from. "paper": each image has negative_ratio for each of its
            positives, and an image without objects has min_negatives, so by default it teaches nothing.
            "all_images": as "paper", but an image without objects counts like the average image with objects
            in the batch. "batch": the hardest negatives of the whole batch, from any image.
        localization_weight: weight of the localization part (alpha of equation 1).
        activation: the model's activation. "softmax": cross-entropy over background and classes. "sigmoid":
            binary cross-entropy, summed over the classes. `multibox.loss_of(model)` sets it.
        class_weights: see `DetectionLoss`.

    Raises:
        ValueError: for arguments that are negative or not finite, an unknown mining, and as `DetectionLoss`.
    """

    @renamed_arguments(alpha="localization_weight")
    @checked()
    def __init__(
        self,
        *,
        negative_ratio: float = 3,
        min_negatives: int = 0,
        mining: Literal["paper", "all_images", "batch"] = "all_images",
        localization_weight: float = 1.0,
        activation: str = "softmax",
        class_weights: Sequence[float] | None = None,
        name: str = "ssd_loss",
        **kwargs,
    ):
        super().__init__(localization_weight, activation, class_weights, name, **kwargs)
        self._check_not_negative(negative_ratio=negative_ratio, min_negatives=min_negatives)
        self.negative_ratio = negative_ratio
        self.min_negatives = min_negatives
        self.mining = mining

    def confidence(self, classes, logits, positive, negative):
        loss = CONFIDENCE_LOSSES[self.activation](classes, logits)
        mined = MINING[self.mining](loss, positive, negative, self.negative_ratio, self.min_negatives)
        num_positives, num_negatives = _total(positive), _total(mined)
        # The number of positives with the paper's mining, which takes at most negative_ratio for each.
        divisor = ops.maximum(num_positives, num_negatives / (self.negative_ratio or 1))
        return ops.where(positive | mined, loss, 0.0), ops.maximum(divisor, 1.0)

    def get_config(self):
        names = "negative_ratio", "min_negatives", "mining"
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config):
        config = {"mining": "paper", **config}  # files of version 0.1 do not state it
        if "alpha" in config:
            config["localization_weight"] = config.pop("alpha")
        return cls(**config)


def _one_hot(classes, num_classes):
    """(..., num_classes) as they are, or from the class ids (..., 1) of sparse targets.

    -1 is all zero. What is no class id becomes NaN.
    """
    if classes.shape[-1] == num_classes:
        return classes
    ids = classes[..., 0]
    whole = ops.cast(ops.where(ops.isnan(ids), 0.0, ids), "int32")
    valid = (ops.cast(whole, "float32") == ids) & (whole >= -1) & (whole < num_classes)
    return ops.where(valid[..., None], ops.one_hot(whole, num_classes, dtype="float32"), np.nan)


def _total(chosen):
    return ops.sum(ops.cast(chosen, "float32"))


def _any_nan(values):
    """(batch,): whether any of the values (batch, anchors, columns) is NaN."""
    return ops.any(ops.isnan(values), axis=(1, 2))
