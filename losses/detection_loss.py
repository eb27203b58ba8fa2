"""What every detection loss does with targets and predictions (paper, section 2.2, equation 1)."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from ..activations import check_activation
from ..anchors import as_spec
from .box_losses import BOX_LOSSES
from .metrics import SSDLossPart

SPARSE = 4 + 1  # columns of sparse targets: four offsets and a class id


class DetectionLoss(keras.losses.Loss):
    """A loss on the boxes of positives plus a confidence loss, which subclasses define.

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
        box_loss: the loss of a positive's box, a row of `BOX_LOSSES`. "smooth_l1", the paper's: smooth L1 on
            the offsets. "giou", "diou", "ciou": 1 - the generalized, distance or complete IoU of the decoded
            box, in pixels of the model's input. They need `anchors`. Their gradients on the offsets are
            smaller, so give them a larger localization_weight, see docs/train.md.
        anchors: the model's `AnchorSpec` (or its config), `multibox.anchors_of(model)`. Smooth L1 does not
            read it.
        activation: the model's activation, "softmax" or "sigmoid".
        class_weights: for each class, in the order of the labels 1, 2, ..., the weight of the confidence loss
            of its positives; None: 1 for each. The background has weight 1. Offsets are not weighted. They
            take the place of `class_weight=` of `fit`, which is for classifiers; with a `DataGenerator`, it
            ends with Keras' "only 0-dimensional arrays can be converted to Python scalars".

    Raises:
        ValueError: for a weight that is negative or not finite, an unknown activation, another reduction than
            "sum", a box_loss that needs anchors without them, or if targets and predictions differ in shape,
            class_weights in number, or the predictions from the anchors.
    """

    def __init__(self, localization_weight, activation, class_weights, name, *, box_loss, anchors, **kwargs):
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
        self.box_loss = box_loss
        self.anchors = None if anchors is None else as_spec(anchors)
        if self.anchors is None and box_loss != "smooth_l1":
            raise ValueError(
                f'{type(self).__name__}: box_loss="{box_loss}" needs anchors=multibox.anchors_of(model), '
                "because it compares boxes; multibox.loss_of(model, box_loss=...) fills them in"
            )

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
        localization = BOX_LOSSES[self.box_loss](offsets, y_pred[..., :4], self.anchors)
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
        if self.anchors is not None and pred[1] not in (None, self.anchors.num_anchors):
            raise ValueError(
                f"{type(self).__name__}: anchors: the spec has {self.anchors.num_anchors} anchors, the "
                f"predictions {pred[1]}; expected multibox.anchors_of(model)"
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
            "box_loss": self.box_loss,
            "anchors": None if self.anchors is None else self.anchors.get_config(),
        }


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


def _any_nan(values):
    """(batch,): whether any of the values (batch, anchors, columns) is NaN."""
    return ops.any(ops.isnan(values), axis=(1, 2))
